"""What training and rounding were seen to do, judged by the rows of experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from coset.core.claims import ClaimResult, claim

Rows = Sequence[dict[str, Any]]
Mutant = Callable[[Rows], Rows]


def _change(choose: Callable[[dict[str, Any]], bool], **values: object) -> Mutant:
    """Return a mutant of rows: the chosen rows get other values."""

    def changed(rows: Rows) -> Rows:
        return [{**row, **values} if choose(row) else dict(row) for row in rows]

    return changed


def _open_orbit(row: dict[str, Any]) -> bool:
    return row["kind"] == "horizon" and not row["is_closed"]


def _closed_orbit(row: dict[str, Any]) -> bool:
    return row["kind"] == "horizon" and bool(row["is_closed"])


# How far a measured median horizon may be from that of the random walk: stated before the run.
_HORIZON_FACTOR = 2.0
# The rotor that is expected to fail: 60 positions are closest to each other, bfloat16 is coarsest.
_FAILING = ("bfloat16", 60)


@claim(
    "ssm.C8b",
    title="a float rotor fails in finite time, unless rounding locks it on a finite orbit",
    statement="""A rotor of m positions in rounded arithmetic whose reachable float states are
        finitely many, each nearest to its true root, is right at every length (followed
        exhaustively). Where the orbit does not close, rounding errors walk: half of random words
        fail no earlier than half the median exit time 0.7577 (π/m ÷ c)² of a random walk of the
        drift c per step, and for 60 positions in bfloat16 no later than twice that time.""",
    hypotheses="""complex products with every product and sum rounded to bfloat16, float16 or
        float32; uniformly random words; c measured over the first 100 tokens""",
    source="[derived]; the first part is exhaustive, the second measured",
    kind="empirical",
    expected="holds",
    experiment="ssm.horizon",
    mutants={
        "a word fails on a closed orbit": _change(_closed_orbit, num_failed=1, first_failure=7),
        "open orbits never fail": _change(
            _open_orbit, num_failed=0, first_failure=None, median_failure=None
        ),
        "open orbits fail after a few tokens": _change(_open_orbit, median_failure=30),
    },
)
def C8b(rows: Rows) -> ClaimResult:
    """Judge ssm.C8b: closed orbits without failure, open ones that fail when a walk would."""
    table = [row for row in rows if row["kind"] == "horizon"]
    closed = [row for row in table if _closed_orbit(row)]
    broken = [row for row in closed if row["num_failed"]]
    walking = [row for row in table if _open_orbit(row) and row["median_failure"]]
    early = [row for row in walking if _ratio(row) < 1 / _HORIZON_FACTOR]
    named = [row for row in walking if (row["dtype"], row["modulus"]) == _FAILING]
    late = [row for row in named if _ratio(row) > _HORIZON_FACTOR]
    wrong = broken + early + late
    states = max((row["num_states"] for row in closed), default=0)
    farthest = max((max(_ratio(row), 1 / _ratio(row)) for row in named), default=float("inf"))
    return ClaimResult(
        holds=bool(closed and named and not wrong),
        measured=farthest,
        bound=_HORIZON_FACTOR,
        detail=(
            f"{len(closed)} closed orbits of at most {states} states, {len(broken)} of them with a "
            f"failing word; of {len(walking)} open ones where half of the words failed, "
            f"{len(early)} failed early; 60 positions in bfloat16: within a factor "
            f"{farthest:.2f} of the random walk's median"
        ),
        sample_size=len(table),
        counterexample=wrong[0] if wrong else None,
        evidence={"ratios": [_ratio(row) for row in walking]},
    )


def _ratio(row: dict[str, Any]) -> float:
    return float(row["median_failure"]) / float(row["predicted_median"])
