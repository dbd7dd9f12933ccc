"""Lexicographic utilities up to what the order fixes, and lotteries by their chance of safety."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, DtypeError
from coset.decisions.preferences.exact_numbers import (
    Matrix,
    Vector,
    apply,
    exact_matrix,
    exact_number,
    exact_vector,
    is_order_preserving,
    row_reduce,
)
from coset.decisions.preferences.lottery import Lottery, Number, Oracle, check_lottery, mix
from coset.decisions.preferences.outcome_utilities import LexicographicUtility, LinearUtility

__all__ = [
    "SafetyOrder",
    "canonical",
    "compose_safety",
    "relate",
    "safety_utility",
    "same_order",
    "split_safety",
    "transform",
]

Utility = LexicographicUtility | LinearUtility


def transform(
    utility: Utility, matrix: Sequence[Sequence[Any]], offset: Sequence[Any] | None = None
) -> LexicographicUtility:
    """Return A u + b, which represents the same order.

    Args:
        utility: u, of d levels.
        matrix: A, d × d, lower triangular with a positive diagonal.
        offset: b, d numbers; 0 by default.

    Returns:
        The utility A u + b.

    Raises:
        DomainError: if A is not lower triangular with a positive diagonal.
        ShapeError: if A is not d × d.

    Claims: decisions.C2.

    Examples:
        >>> u = LexicographicUtility({"x": (0, 0), "y": (0, 1), "z": (1, 0)})
        >>> transform(u, [[2, 0], [-5, 3]]).utility("z")
        (Fraction(2, 1), Fraction(-5, 1))
    """
    d = utility.num_levels
    rows = exact_matrix(matrix, d, "the matrix")
    if not is_order_preserving(rows):
        raise DomainError(
            "the matrix must be lower triangular with a positive diagonal: all others change the "
            "order of some lotteries"
        )
    shift = exact_vector((0,) * d if offset is None else offset, "the offset")
    if len(shift) != d:
        raise DomainError(f"the offset must have {d} numbers; given {len(shift)}")
    changed = {
        o: tuple(x + b for x, b in zip(apply(rows, utility.utility(o)), shift, strict=True))
        for o in utility.outcomes
    }
    return LexicographicUtility(changed)


def canonical(utility: Utility) -> LexicographicUtility:
    """Return the one utility, of the fewest levels, that stands for all of the same order.

    A level that is an affine combination of those above it is dropped. Of the rest, each is 0 at
    the pivot outcomes of the levels above it and at the first outcome, and ±1 at its own pivot, the
    first outcome at which it can be other than 0. An indifferent relation gives one level of 0.

    Args:
        utility: any; the order in which it names its outcomes matters for the form.

    Returns:
        The canonical utility: u and v over the same outcomes represent the same order iff theirs
        are equal.

    Claims: decisions.C2.

    Examples:
        >>> padded = LexicographicUtility({"x": (0, 7), "y": (0, 9), "z": (0, 8)})
        >>> canonical(padded).utility_of["z"]
        (Fraction(1, 2),)
    """
    outcomes = utility.outcomes
    first = utility.utility(outcomes[0])
    columns = [[a - b for a, b in zip(utility.utility(o), first, strict=True)] for o in outcomes]
    kept: list[list[Fraction]] = []
    pivots: list[int] = []
    for level in range(utility.num_levels):
        row = [column[level] for column in columns]
        for known, pivot in zip(kept, pivots, strict=True):
            factor = row[pivot] / known[pivot]
            row = [x - factor * y for x, y in zip(row, known, strict=True)]
        lead = next((i for i, x in enumerate(row) if x), None)
        if lead is not None:
            kept.append([x / abs(row[lead]) for x in row])
            pivots.append(lead)
    kept = kept or [[Fraction(0)] * len(outcomes)]
    return LexicographicUtility({o: tuple(r[i] for r in kept) for i, o in enumerate(outcomes)})


def same_order(first: Utility, second: Utility) -> bool:
    """Tell whether two utilities order all lotteries alike.

    Args:
        first: a utility.
        second: another over the same outcomes, of any number of levels.

    Returns:
        Whether they do; decided exactly.

    Raises:
        DomainError: if their outcomes differ.

    Claims: decisions.C2.

    Examples:
        >>> same_order(
        ...     LexicographicUtility({"x": (1, 0), "y": (2, 0)}),
        ...     LexicographicUtility({"x": (0, 1), "y": (0, 2)}),
        ... )
        True
    """
    _check_same_outcomes(first, second)
    ordered = LexicographicUtility({o: second.utility(o) for o in first.outcomes})
    return canonical(first) == canonical(ordered)


def relate(first: Utility, second: Utility) -> tuple[Matrix, Vector] | None:
    """Find the order-preserving affine map that makes the second utility of the first.

    Args:
        first: u, of d levels.
        second: v over the same outcomes, of d levels.

    Returns:
        (A, b) with v = A u + b and A lower triangular with a positive diagonal, or ``None`` if
        there is none. There is one whenever both represent the same order and neither has a level
        to spare; (x, 0) and (0, x) represent one order, and nothing relates them.

    Raises:
        DomainError: if their outcomes or their numbers of levels differ.

    Claims: decisions.C2.

    Examples:
        >>> u = LexicographicUtility({"x": (0, 0), "y": (0, 1), "z": (1, 0)})
        >>> A, b = relate(u, transform(u, [[2, 0], [-5, 3]], (1, 1)))
        >>> A == ((2, 0), (-5, 3)), b == (1, 1)
        (True, True)
    """
    _check_same_outcomes(first, second)
    d = first.num_levels
    if d != second.num_levels:
        raise DomainError(
            f"both utilities must have the same number of levels; given {d} and "
            f"{second.num_levels}; make both canonical first"
        )
    zero = first.outcomes[0]
    start, target = first.utility(zero), second.utility(zero)
    rows: list[Vector] = []
    for level in range(d):
        equations = []
        for o in first.outcomes[1:]:
            change = [x - y for x, y in zip(first.utility(o), start, strict=True)]
            equations.append([*change[: level + 1], second.utility(o)[level] - target[level]])
        row = _positive_last(equations, level + 1)
        if row is None:
            return None
        rows.append((*row, *(Fraction(0),) * (d - level - 1)))
    offset = tuple(y - x for x, y in zip(apply(rows, start), target, strict=True))
    return tuple(rows), offset


def _positive_last(equations: list[list[Fraction]], size: int) -> Vector | None:
    """Solve the equations (each with its right side last) for numbers, the last one positive."""
    reduced, pivots = row_reduce(equations)
    if size in pivots:
        return None
    solution = [Fraction(0)] * size
    # Not fixed by the equations, it may be any positive number; fixed, it is a pivot's.
    solution[size - 1] = Fraction(1)
    for row, pivot in zip(reversed(reduced), reversed(pivots), strict=True):
        rest = sum((row[j] * solution[j] for j in range(pivot + 1, size)), Fraction(0))
        solution[pivot] = row[size] - rest
    return tuple(solution) if solution[size - 1] > 0 else None


def _check_same_outcomes(first: Utility, second: Utility) -> None:
    lone = set(first.outcomes) ^ set(second.outcomes)
    if lone:
        raise DomainError(
            f"both utilities must name the same outcomes; only one of them names "
            f"{min(map(repr, lone))}"
        )


def safety_utility(
    utility: Mapping[Any, Any] | LinearUtility, unsafe: Iterable[Hashable]
) -> LexicographicUtility:
    """Return the utility of safety first: (0, u'(o)) for safe outcomes and (−1, 0) for unsafe ones.

    The expectation of a lottery is (P(safe) − 1, P(safe) E[u' | safe]); the images of all lotteries
    fill the triangle with apex (−1, 0) and base {0} × [min u', max u'].

    Args:
        utility: u', of the safe outcomes.
        unsafe: the unsafe outcomes, all indifferent to each other; at least one.

    Returns:
        The utility, of two levels.

    Raises:
        DomainError: if there is no unsafe outcome, or one has a utility.

    Claims: decisions.C4c.

    Examples:
        >>> u = safety_utility({"slow": 1, "quick": 2}, ["crash"])
        >>> risky = Lottery.of({"quick": Fraction(1, 2), "crash": Fraction(1, 2)})
        >>> u.utility(risky), u.prefer("slow", risky)
        ((Fraction(-1, 2), Fraction(1, 1)), 1)
    """
    chosen = utility if isinstance(utility, LinearUtility) else LinearUtility(utility)
    bad = _checked_unsafe(unsafe)
    both = [o for o in bad if o in chosen.utility_of]
    if both:
        raise DomainError(f"an unsafe outcome has no utility of its own; given one for {both[0]!r}")
    safe = {o: (0, chosen.utility(o)[0]) for o in chosen.outcomes}
    return LexicographicUtility({**safe, **dict.fromkeys(bad, (-1, 0))})


def _checked_unsafe(unsafe: Iterable[Hashable]) -> list[Hashable]:
    listed = list(unsafe) if isinstance(unsafe, Iterable) else []
    if not listed or isinstance(unsafe, str):
        raise DomainError(f"unsafe must list at least one outcome; given {unsafe!r}")
    if not all(isinstance(outcome, Hashable) for outcome in listed):
        raise DtypeError(f"an outcome must be hashable; given {listed!r:.60}; use names or tuples")
    return listed


def split_safety(lottery: Lottery, unsafe: Iterable[Hashable]) -> tuple[Number, Lottery | None]:
    """Write a lottery as [α, p] = (1 − α) o† + α p: how safe it is, and what it gives if safe.

    Args:
        lottery: the lottery.
        unsafe: the unsafe outcomes.

    Returns:
        α, and p; ``None`` for p if α = 0, when every p gives the same lottery.

    Raises:
        DomainError: if no outcome is unsafe.
        DtypeError: if it is not a lottery.

    Claims: decisions.C4b.

    Examples:
        >>> third = Fraction(1, 3)
        >>> split_safety(Lottery.of({"o": third, "x": third * 3 / 2, "y": third / 2}), ["o"])
        (Fraction(2, 3), 3/4 x + 1/4 y)
    """
    check_lottery(lottery)
    bad = frozenset(_checked_unsafe(unsafe))
    safe = [(o, w) for o, w in lottery.items() if o not in bad]
    alpha: Number = sum((w for _, w in safe), Fraction(0))
    if not safe:
        return Fraction(0), None
    return alpha, Lottery([o for o, _ in safe], [w / alpha for _, w in safe])


def compose_safety(alpha: Any, safe: Lottery, unsafe: Hashable) -> Lottery:
    """Return [α, p] = (1 − α) o† + α p.

    Args:
        alpha: the chance of safety, in [0, 1].
        safe: p, a lottery over safe outcomes.
        unsafe: o†.

    Returns:
        The lottery.

    Raises:
        DomainError: if α is outside [0, 1] or o† is in the support of p.
        DtypeError: if p is not a lottery.

    Claims: decisions.C4b.

    Examples:
        >>> compose_safety(Fraction(2, 3), Lottery.sure("x"), "crash")
        1/3 crash + 2/3 x
    """
    check_lottery(safe)
    if unsafe in safe.support:
        raise DomainError(f"the safe part must not hold the unsafe outcome; it holds {unsafe!r}")
    share = alpha if isinstance(alpha, float) else exact_number(alpha, "the chance of safety")
    return mix(share, safe, Lottery.sure(unsafe))


@dataclass(frozen=True)
class SafetyOrder:
    """The order that puts safety first: [α, p] ≿ [β, q] iff α > β, or α = β and p ≿ q.

    At α = 0 all p give the same lottery, and none is preferred.

    Attributes:
        safe: the relation on lotteries over safe outcomes, any oracle.
        unsafe: the unsafe outcomes.

    Claims: decisions.C4b.

    Examples:
        >>> order = SafetyOrder(LinearUtility({"slow": 1, "quick": 2}), frozenset(["crash"]))
        >>> order(Lottery.sure("slow"), Lottery.sure("quick"))
        -1
    """

    safe: Oracle
    unsafe: frozenset[Hashable]

    def __post_init__(self) -> None:
        object.__setattr__(self, "unsafe", frozenset(_checked_unsafe(self.unsafe)))

    def __call__(self, first: Lottery, second: Lottery) -> int:
        """Compare two lotteries: first their chances of safety, then what they give if safe."""
        alpha, p = split_safety(first, self.unsafe)
        beta, q = split_safety(second, self.unsafe)
        if alpha != beta:
            return 1 if alpha > beta else -1
        return self.safe(p, q) if p is not None and q is not None else 0
