"""Benchmark of checking many preferences, with exact proofs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from coset.bench import Case, Contestant, Limit, benchmark
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import Report, check
from coset.decisions.axioms.exact_simplex import largest_margin
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, Preferences

__all__ = ["CheckInputs", "check_case"]

_NUM_OUTCOMES = 100
_SUPPORT = 3
_DENOMINATOR = 100


@dataclass(frozen=True, eq=False)
class CheckInputs:
    """Preferences of a random utility between lotteries of three outcomes in percent.

    Attributes:
        preferred: (N, n) int64, over 100.
        other: (N, n) int64.
        relation: (N,) int64 codes.
    """

    preferred: np.ndarray
    other: np.ndarray
    relation: np.ndarray

    def preferences(self) -> Preferences:
        """Return them packed, as a user would build them."""
        return Preferences.from_arrays(
            self.preferred, self.other, self.relation, denominator=_DENOMINATOR
        )


def _prepare(size: int, variant: str, generator: torch.Generator) -> CheckInputs:
    source = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
    num_outcomes = min(_NUM_OUTCOMES, max(_SUPPORT, size // 4))
    utility = source.integers(0, 10**6, num_outcomes)
    sides = []
    for _ in range(2):
        table = np.zeros((size, num_outcomes), dtype=np.int64)
        columns = np.argsort(source.random((size, num_outcomes)), axis=1)[:, :_SUPPORT]
        spare = _DENOMINATOR - _SUPPORT
        weights = source.multinomial(spare, [1 / _SUPPORT] * _SUPPORT, size=size) + 1
        np.put_along_axis(table, columns, weights, axis=1)
        sides.append(table)
    p, q = sides
    value = (p - q) @ utility
    p[value < 0], q[value < 0] = q[value < 0], p[value < 0].copy()
    relation = np.where(value == 0, INDIFFERENT, STRICT)
    if variant == "one turned" and size:
        # The clearest preference, so that turning it cannot be explained away.
        turned = int(np.argmax(np.abs(value)))
        p[turned], q[turned] = q[turned].copy(), p[turned].copy()
    return CheckInputs(p, q, relation)


def _reference(inputs: CheckInputs) -> Fraction:
    """Return the margin by the exact simplex method alone, without a guess by floats."""
    preferences = inputs.preferences()
    if not (preferences.relation == STRICT).any():
        return Fraction(0)
    return largest_margin(preferences).margin


def _compare(inputs: CheckInputs, output: Any, expected: Any) -> str | None:
    """Check the report from its own proofs, and its margin against the literal one."""
    assert isinstance(output, Report)
    preferences = inputs.preferences()
    if (output.margin or 0) != expected:
        return f"margin {output.margin} instead of {expected}"
    book = output.certificate
    if isinstance(book, PreferenceCertificate):
        right = book.verify() and book.belongs_to(preferences)
        return None if right else "the contradiction does not hold"
    found = explains(preferences, output.utility or {})
    return None if found else found.reason


def _highs(inputs: CheckInputs) -> tuple[float, np.ndarray]:
    """Solve the whole linear program in floats, as one writes it with SciPy: no proof."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack

    preferences = inputs.preferences()
    rows, n = preferences.differences, preferences.num_outcomes
    strict = preferences.relation == STRICT
    above = csr_array(np.ones((int(strict.sum()), 1)))
    same = csr_array((int((~strict).sum()), 1))
    found = linprog(
        np.concatenate([np.zeros(n), [-1.0]]),
        A_ub=hstack([-rows[np.flatnonzero(strict)], above], format="csr"),
        b_ub=np.zeros(int(strict.sum())),
        A_eq=hstack([rows[np.flatnonzero(~strict)], same], format="csr"),
        b_eq=np.zeros(int((~strict).sum())),
        bounds=[(-1.0, 1.0)] * n + [(0.0, 2.0)],
        method="highs",
    )
    return float(found.x[-1]), found.x[:-1]


def _verify_highs(inputs: CheckInputs, output: Any) -> str | None:
    margin, utility = output
    preferences = inputs.preferences()
    value = (preferences.differences @ utility)[preferences.relation == STRICT]
    least = float(value.min()) if len(value) else margin
    return None if least >= margin - 1e-6 else f"margin {margin}, but {least} is attained"


@benchmark(
    "decisions.check",
    title="checking N preferences over 100 outcomes, with an exact proof",
    sizes=(1_000, 10_000, 100_000),
    small_sizes=(0, 1, 2, 12, 40, 120),
    variants={"representable": "representable", "refuted": "one turned"},
)
def check_case() -> Case:
    """Build the case: `check` from arrays to proof, against one linear program in floats.

    Returns:
        The case.
    """
    return Case(
        prepare=_prepare,
        reference=_reference,
        compare=_compare,
        ours={"check": Contestant(lambda inputs: check(inputs.preferences()))},
        peers={
            "scipy linprog (HiGHS)": Contestant(
                _highs,
                partial="one linear program in floats over all preferences; nothing is proved",
                verify=_verify_highs,
            )
        },
        limits={
            "copy": Limit(
                "copy",
                lambda inputs: int(inputs.preferred.nbytes + inputs.other.nbytes),
                "both arrays read once, 16 N n bytes ÷ copy bandwidth; leaves out all arithmetic",
            )
        },
        tests=("tests/decisions/test_axioms_check.py",),
    )
