"""Preferences between lotteries, stored compactly: distinct lotteries, pairs, differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.decisions.axioms.difference_rows import DifferenceRows, difference_rows
from coset.decisions.axioms.packing import PackedLottery, pack_exact, pack_floats, packed
from coset.decisions.axioms.stated_pairs import in_one_arithmetic, listed, read_pair
from coset.decisions.preferences.lottery import Lottery, Number

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["INDIFFERENT", "RELATIONS", "STRICT", "WEAK", "Pair", "Preferences"]

RELATIONS = ("strict", "weak", "indifferent")
STRICT, WEAK, INDIFFERENT = range(3)

Pair = tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class Preferences:
    """A finite list of stated preferences p ≻ q, p ≿ q or p ≈ q over n outcomes.

    Equal lotteries are stored once. Exact weights are kept as integers over one denominator for
    each lottery, so that a hundred thousand preferences need no fraction objects.

    Attributes:
        outcomes: the n outcomes; their order is that of the columns.
        indptr: (L + 1,) int64: lottery l has the entries indptr[l]:indptr[l + 1].
        indices: (nnz,) int64: their outcomes.
        weights: (nnz,) float64, or exact numerators as int64 or Python integers.
        denominators: (L,) exact denominators, or ``None`` for floats.
        preferred: (N,) int64: the lottery that stands first in each preference.
        other: (N,) int64: the one that stands second.
        relation: (N,) int8: 0 strict, 1 weak, 2 indifferent, as in `RELATIONS`.

    Claims: decisions.C1b.
    """

    outcomes: tuple[Hashable, ...]
    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    denominators: np.ndarray | None
    preferred: np.ndarray
    other: np.ndarray
    relation: np.ndarray

    @classmethod
    def from_pairs(
        cls,
        strict: Iterable[Pair] = (),
        weak: Iterable[Pair] = (),
        indifferent: Iterable[Pair] = (),
        outcomes: Sequence[Hashable] | None = None,
        exact: bool | str = "auto",
    ) -> Preferences:
        """Build preferences from pairs of lotteries.

        Args:
            strict: pairs (p, q) with p ≻ q. A lottery is a `Lottery`, a mapping outcome →
                probability, or an outcome for certain.
            weak: pairs with p ≿ q.
            indifferent: pairs with p ≈ q.
            outcomes: all outcomes in the wanted order; those of the lotteries if not given.
            exact: "auto": exact if every weight is; True: floats are read as the decimals that
                they print as, and must then sum to 1 exactly; False: floats.

        Returns:
            The preferences: all strict ones, then the weak ones, then the indifferent ones.

        Raises:
            DomainError: if a lottery is malformed, or uses an outcome that is not listed.
            DtypeError: if an item is no pair, or `exact` is none of the three.

        Examples:
            >>> p = Preferences.from_pairs(strict=[("tea", "coffee")])
            >>> p.num_pairs, p.outcomes
            (1, ('coffee', 'tea'))
        """
        if not isinstance(exact, bool) and (not isinstance(exact, str) or exact != "auto"):
            raise DtypeError(f"exact must be 'auto', True or False; given {exact!r}")
        index: dict[Lottery, int] = {}
        sides: list[tuple[int, int, int]] = []
        for kind, pairs in enumerate((strict, weak, indifferent)):
            for place, pair in enumerate(listed(pairs, RELATIONS[kind])):
                p, q = read_pair(pair, RELATIONS[kind], place)
                sides.append(
                    (index.setdefault(p, len(index)), index.setdefault(q, len(index)), kind)
                )
        # Weights that differ as floats may be the same decimals.
        final: dict[Lottery, int] = {}
        one = [final.setdefault(p, len(final)) for p in in_one_arithmetic(list(index), exact)]
        lotteries = list(final)
        names = _outcomes((o for lottery in lotteries for o in lottery.outcomes), outcomes)
        first, second, kinds = _columns([(one[p], one[q], kind) for p, q, kind in sides])
        return cls(names, *_pack(lotteries, names), first, second, kinds)

    @classmethod
    def from_packed(
        cls, lotteries: Sequence[PackedLottery], sides: Sequence[tuple[int, int, int]]
    ) -> Preferences:
        """Build exact preferences from lotteries that are integers already; nothing is checked.

        Args:
            lotteries: L different ones, with the outcomes of each in one order for equal ones.
            sides: for each preference the numbers of its lotteries, and its relation's code.

        Returns:
            The preferences, in the order of `sides`.
        """
        names = _outcomes((o for outcomes, _, _ in lotteries for o in outcomes), None)
        column = {outcome: j for j, outcome in enumerate(names)}
        first, second, kinds = _columns(sides)
        return cls(names, *pack_exact(lotteries, column), first, second, kinds)

    @classmethod
    def from_arrays(
        cls,
        preferred: Any,
        other: Any,
        relation: Any = "strict",
        outcomes: Sequence[Hashable] | None = None,
        denominator: int | None = None,
    ) -> Preferences:
        """Build preferences from two arrays of probabilities.

        Args:
            preferred: (N, n): row i is the lottery that stands first; floats ≥ 0 with sum 1
                (± 1e-9), or integers ≥ 0 over one denominator.
            other: (N, n), the same for the lottery that stands second.
            relation: one of `RELATIONS` for all pairs, or (N,) codes 0 strict, 1 weak,
                2 indifferent.
            outcomes: n names; 0, 1, … if not given.
            denominator: what the rows of integers sum to; makes the preferences exact.

        Returns:
            The preferences, in the order of the rows.

        Raises:
            ShapeError: if the arrays do not fit each other.
            DomainError: if an entry is negative, NaN or infinite, or a row does not sum to 1 (or
                to the denominator); names the row.
            DtypeError: if the dtype is not as described.
        """
        from coset.decisions.axioms.probability_arrays import pack_arrays

        packed = pack_arrays(preferred, other, denominator)
        num_pairs, num_outcomes = packed.shape
        names = tuple(range(num_outcomes)) if outcomes is None else _distinct(outcomes)
        if len(names) != num_outcomes:
            raise ShapeError(
                f"outcomes must name each of the {num_outcomes} columns; given {len(names)} names"
            )
        return cls(names, *packed.lotteries, *packed.sides, _relation(relation, num_pairs))

    def take(self, numbers: Any) -> Preferences:
        """Return some of the preferences, or all in another order.

        Args:
            numbers: (M,) integers 0 … num_pairs − 1.

        Returns:
            Preferences over the same outcomes and lotteries.

        Raises:
            RangeError: if a number is out of range.
            DtypeError: if they are not integers.
        """
        rows = np.asarray(numbers).reshape(-1)
        if len(rows) and not np.issubdtype(rows.dtype, np.integer):
            raise DtypeError(
                f"numbers of preferences are integers; given {rows.dtype}"
                f"{'; use numpy.flatnonzero(mask)' if rows.dtype == bool else ''}"
            )
        rows = rows.astype(np.int64)
        wrong = rows[(rows < 0) | (rows >= self.num_pairs)]
        if len(wrong):
            raise RangeError(f"a preference's number is 0 … {self.num_pairs - 1}; given {wrong[0]}")
        return dataclasses.replace(
            self,
            preferred=self.preferred[rows],
            other=self.other[rows],
            relation=self.relation[rows],
        )

    @property
    def num_pairs(self) -> int:
        """N, the number of preferences."""
        return len(self.relation)

    @property
    def num_outcomes(self) -> int:
        """n, the number of outcomes."""
        return len(self.outcomes)

    @property
    def num_lotteries(self) -> int:
        """L, the number of different lotteries."""
        return len(self.indptr) - 1

    @property
    def is_exact(self) -> bool:
        """Whether all weights are exact."""
        return self.denominators is not None

    @cached_property
    def rows(self) -> DifferenceRows:
        """The differences d = p − q: as integers over one scale for each row, if exact."""
        return difference_rows(
            self.indptr,
            self.indices,
            self.weights,
            self.denominators,
            self.preferred,
            self.other,
            self.num_outcomes,
        )

    @property
    def differences(self) -> csr_array:
        """The differences d = p − q as a sparse float64 matrix (N, n)."""
        return self.rows.matrix

    def exact_difference(self, number: int) -> dict[int, Fraction]:
        """Return d = p − q of one preference in fractions; floats count as what they are.

        Args:
            number: 0 … num_pairs − 1.

        Returns:
            The number of each outcome with d ≠ 0 → d.
        """
        if self.is_exact:
            columns, numerators, scale = self.rows.integers(number)
            return {j: Fraction(int(v), scale) for j, v in zip(columns, numerators, strict=True)}
        total: dict[int, Fraction] = {}
        for sign, lottery in ((1, self.preferred[number]), (-1, self.other[number])):
            span = slice(int(self.indptr[lottery]), int(self.indptr[lottery + 1]))
            for j, w in zip(self.indices[span].tolist(), self.weights[span].tolist(), strict=True):
                total[j] = total.get(j, Fraction()) + sign * Fraction(w)
        return {j: d for j, d in total.items() if d}

    def __repr__(self) -> str:
        kind = "exact" if self.is_exact else "float"
        return (
            f"Preferences({self.num_pairs:,} {kind} ones between {self.num_lotteries:,} lotteries "
            f"over {self.num_outcomes:,} outcomes)"
        )

    def lottery(self, number: int) -> Lottery:
        """Return one of the different lotteries.

        Args:
            number: 0 … num_lotteries − 1.

        Returns:
            The lottery.

        Raises:
            RangeError: if there is none of that number.
        """
        if not 0 <= number < self.num_lotteries:
            raise RangeError(f"a lottery's number is 0 … {self.num_lotteries - 1}; given {number}")
        span = slice(int(self.indptr[number]), int(self.indptr[number + 1]))
        names = [self.outcomes[j] for j in self.indices[span].tolist()]
        weights: list[Any] = self.weights[span].tolist()
        if self.denominators is not None:
            scale = int(self.denominators[number])
            weights = [Fraction(w, scale) for w in weights]
        return Lottery(names, weights)

    def pair(self, number: int) -> tuple[Lottery, Lottery, str]:
        """Return one preference.

        Args:
            number: 0 … num_pairs − 1.

        Returns:
            p, q and the relation between them, one of `RELATIONS`.

        Raises:
            RangeError: if there is none of that number.
        """
        if not 0 <= number < self.num_pairs:
            raise RangeError(f"a preference's number is 0 … {self.num_pairs - 1}; given {number}")
        p, q = int(self.preferred[number]), int(self.other[number])
        return self.lottery(p), self.lottery(q), RELATIONS[self.relation[number]]


def _pack(
    lotteries: list[Lottery], outcomes: tuple[Hashable, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    column = {outcome: j for j, outcome in enumerate(outcomes)}
    if lotteries and not lotteries[0].is_exact:
        return pack_floats(lotteries, column)
    exact: list[Any] = list(lotteries)
    return pack_exact([packed(p.outcomes, p.weights) for p in exact], column)


def _columns(sides: Sequence[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(sides, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2].astype(np.int8)


def _outcomes(
    used: Iterable[Hashable], outcomes: Sequence[Hashable] | None
) -> tuple[Hashable, ...]:
    distinct = dict.fromkeys(used)
    if outcomes is None:
        if not distinct:
            return ()
        # Lottery keeps its outcomes in one canonical order; borrow it for all of them.
        return Lottery(list(distinct), [Fraction(1, len(distinct))] * len(distinct)).outcomes
    names = _distinct(outcomes)
    known = set(names)
    missing = [o for o in distinct if o not in known]
    if missing:
        raise DomainError(
            f"outcomes must list every outcome of the lotteries; {missing[0]!r} is not among them"
        )
    return names


def _distinct(outcomes: Sequence[Hashable]) -> tuple[Hashable, ...]:
    try:
        names = tuple(outcomes)
        different = len(set(names))
    except TypeError as error:
        raise DtypeError(f"outcomes must list hashable things; given {outcomes!r}") from error
    if different != len(names):
        twice = next(o for i, o in enumerate(names) if o in names[:i])
        raise DomainError(f"outcomes must differ; {twice!r} is listed twice")
    return names


def _relation(relation: Any, num_pairs: int) -> np.ndarray:
    if isinstance(relation, str):
        if relation not in RELATIONS:
            raise DomainError(f"a relation is one of {', '.join(RELATIONS)}; given {relation!r}")
        return np.full(num_pairs, RELATIONS.index(relation), dtype=np.int8)
    codes = np.asarray(relation)
    if codes.shape != (num_pairs,):
        raise ShapeError(f"relation must have shape ({num_pairs},); given {codes.shape}")
    if not np.issubdtype(codes.dtype, np.integer):
        raise DtypeError(f"relation must hold integers 0, 1, 2; given {codes.dtype}")
    if not ((codes >= 0) & (codes <= INDIFFERENT)).all():
        place = int(np.flatnonzero((codes < 0) | (codes > INDIFFERENT))[0])
        raise DomainError(f"relation[{place}] must be 0, 1 or 2; given {codes[place]}")
    return codes.astype(np.int8)


def number_text(value: Number) -> str:
    """Return a number as people read it: 1/2, or 0.25 to six digits.

    Args:
        value: a fraction or a float.

    Returns:
        The text.
    """
    if isinstance(value, Fraction) and len(str(value)) <= 16:
        return str(value)
    exact = Fraction(value)
    if exact and not 1e-300 < abs(exact) < 1e300:
        digits = len(str(abs(exact.numerator))) - len(str(exact.denominator))
        return f"about {'-' if exact < 0 else ''}10^{digits}"
    return f"{float(exact):.6g}"
