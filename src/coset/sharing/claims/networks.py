"""What the training of networks was seen to do, judged by the rows of an experiment."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coset.core.claims import ClaimResult, changed_rows, claim

Rows = Sequence[dict[str, Any]]

# What counts as convolution-like, and as the failure of a CNN: ours, stated before the run.
CIRCULANT = 0.9
CNN_FALL = 0.1

# The two ways of training with the penalty: the prox after each step, and dual averaging.
SHARED = ("fc+sharing", "fc+dual-averaging")


def _change(
    names: Sequence[str], shuffled: bool | None, **values: object
) -> Callable[[Rows], Rows]:
    """Return a mutant of rows: the named methods' rows get other values."""
    return changed_rows(
        lambda row: row["method"] in names and shuffled in (None, row["shuffled"]), **values
    )


def _mean(rows: Rows, column: str, **where: object) -> float:
    chosen = [r for r in rows if all(r[name] == value for name, value in where.items())]
    return float(np.mean([float(r[column]) for r in chosen]))


def _summaries(rows: Rows) -> list[dict[str, Any]]:
    """Return one dictionary a side and method of training with the penalty."""
    found = []
    for side in sorted({int(r["side"]) for r in rows}):
        here = [r for r in rows if r["side"] == side]
        accuracy = {
            (method, order): _mean(here, "test_accuracy", method=method, shuffled=order)
            for method in ("fc", "cnn")
            for order in (False, True)
        }
        plain = (accuracy["fc", False] + accuracy["fc", True]) / 2
        for method in [m for m in SHARED if any(r["method"] == m for r in here)]:
            shapes = [
                _mean(here, "circulance", method=method, shuffled=order) for order in (False, True)
            ]
            own = [float(r["circulance"]) for r in here if r["method"] == method]
            found.append(
                {
                    "side": side,
                    "method": method,
                    # Convolutions are to be found in either order of the pixels.
                    "circulance": min(shapes),
                    "spread": max(abs(shape - min(shapes)) for shape in own),
                    "gain": _mean(here, "test_accuracy", method=method) - plain,
                    "cnn_fall": accuracy["cnn", False] - accuracy["cnn", True],
                }
            )
    return found


@claim(
    "sharing.C19",
    title="dense nets with sharing learn convolution-like filters",
    statement="""Fully connected networks trained with the penalty learn convolution-like filters,
        also on shuffled pixels, where convolutional networks fail.""",
    hypotheses="""the torus-digits experiment at our sizes; circulance ≥ 0.9 counts as
        convolution-like; a CNN fails if shuffling costs it 0.1 of accuracy""",
    source="[paper]",
    kind="empirical",
    expected="open",
    experiment="sharing.torus-digits",
    mutants={
        "the CNN does not mind shuffling": _change(["cnn"], True, test_accuracy=1.0),
        "sharing falls to chance": _change(SHARED, None, test_accuracy=0.1),
        "the tied filters are circulant": _change(SHARED, None, circulance=1.0),
    },
)
def C19(rows: Rows) -> ClaimResult:
    """Judge sharing.C19 by rows: filters, the CNN's fall, and what sharing does to accuracy.

    It holds if, at some size and for some way of training with the penalty, the filters are
    circulant in both orders of the pixels, the CNN falls and accuracy does not. It is refuted if
    the CNN survives at every size, or sharing ruins the dense net at every size in every way.
    Filters that are not circulant leave it open: the paper's networks and training are larger than
    ours.
    """
    images = min(int(row["num_test"]) for row in rows)
    # Five standard errors of a difference of two accuracies, each at its least certain; all seeds
    # are tested on the same images, so that more seeds do not make it smaller.
    half = 5 * math.sqrt(0.5 / images)
    seen = _summaries(rows)
    best = max(seen, key=lambda s: float(s["circulance"]))
    refuted = all(s["cnn_fall"] < CNN_FALL for s in seen) or all(s["gain"] + half < 0 for s in seen)
    shown = not refuted and any(
        s["circulance"] >= CIRCULANT and s["gain"] + half > 0 and s["cnn_fall"] >= CNN_FALL
        for s in seen
    )
    falls, gains = [s["cnn_fall"] for s in seen], [s["gain"] for s in seen]
    return ClaimResult(
        holds=False if refuted else True if shown else None,
        measured=best["circulance"],
        bound=CIRCULANT,
        detail=(
            f"largest circulance of tied filters {best['circulance']:.2f} ({best['method']}, side "
            f"{best['side']}; farthest row: ± {best['spread']:.3f}), needed {CIRCULANT}; shuffling "
            f"costs the CNN {min(falls):.3f} to {max(falls):.3f}, needed {CNN_FALL}; sharing "
            f"changes accuracy by {min(gains):+.3f} to {max(gains):+.3f} (5 standard errors: "
            f"± {half:.3f})"
        ),
        sample_size=len(rows),
        interval=(best["circulance"] - best["spread"], best["circulance"] + best["spread"]),
        counterexample={"summaries": seen} if refuted else None,
        evidence={"summaries": seen},
    )
