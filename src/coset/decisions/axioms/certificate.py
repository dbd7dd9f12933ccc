"""The Dutch book: two compound lotteries that are the same, one preferred to the other."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError
from coset.core.results import Certificate
from coset.decisions.axioms.exact_records import ExactRecord
from coset.decisions.axioms.money_pump import MoneyPump, PumpStep
from coset.decisions.axioms.naming import NAMES, name_of
from coset.decisions.axioms.preferences import Preferences, number_text
from coset.decisions.axioms.weighed_pairs import is_exact, is_well_formed, total_difference
from coset.decisions.preferences.lottery import Lottery, Number

__all__ = ["PreferenceCertificate"]

_SIGNS = {"strict": "≻", "weak": "≿", "indifferent": "≈"}
# How far apart the two compound lotteries may be if lotteries are floats: what rounding explains,
# and so little beside the weight of the strict preferences that no margin above it can hide there.
_ROUNDING = 1e-14
_HIDDEN_MARGIN = 1e-12


@dataclass(frozen=True, eq=False)
class PreferenceCertificate(ExactRecord, Certificate):
    """A proof that preferences contradict each other, whatever the utility.

    Independence turns p_i ≻ q_i into Σ w_i p_i ≻ Σ w_i q_i; here both sides are one lottery.

    Attributes:
        support: the numbers of the preferences used; `check` uses none that could be left out.
        relations: for each, "strict", "weak" or "indifferent".
        preferred: the lottery p_i on the better side; an indifferent pair may stand either way.
        other: the lottery q_i on the other side.
        weights: w_i > 0 with sum 1; fractions, or floats if a lottery is.

    Claims: decisions.C1b.
    """

    support: tuple[int, ...]
    relations: tuple[str, ...]
    preferred: tuple[Lottery, ...]
    other: tuple[Lottery, ...]
    weights: tuple[Number, ...]

    @classmethod
    def of(cls, preferences: Preferences, weights: Mapping[int, Number]) -> PreferenceCertificate:
        """Build the certificate from weights of the preferences.

        Args:
            preferences: the data.
            weights: number of a preference → its weight; negative ones turn an indifferent pair.

        Returns:
            The certificate, its weights scaled to sum 1; not yet verified.

        Raises:
            DomainError: if no weight is given, or a weight that is not 0 < |w| < ∞.
        """
        sizes: list[Any] = [abs(w) for w in weights.values()]
        if not sizes or not all(0 < size < math.inf for size in sizes):
            raise DomainError(f"a certificate needs finite weights ≠ 0; given {dict(weights)}")
        total = sum(sizes)
        support = tuple(sorted(weights))
        sides = [preferences.pair(i) for i in support]
        turned = [weights[i] < 0 for i in support]
        return cls(
            support=support,
            relations=tuple(relation for _, _, relation in sides),
            preferred=tuple(q if t else p for t, (p, q, _) in zip(turned, sides, strict=True)),
            other=tuple(p if t else q for t, (p, q, _) in zip(turned, sides, strict=True)),
            weights=tuple(size / total for _, size in sorted(zip(weights, sizes, strict=True))),
        )

    @property
    def P(self) -> Lottery:
        """The compound lottery Σ w_i p_i."""
        return _compound(self.weights, self.preferred)

    @property
    def Q(self) -> Lottery:
        """The compound lottery Σ w_i q_i."""
        return _compound(self.weights, self.other)

    @property
    def residual(self) -> Number:
        """Σ_o |P(o) − Q(o)|: 0 if the weights are exact."""
        return total_difference(self.weights, self.preferred, self.other)

    @property
    def name(self) -> str:
        """What kind of contradiction it is, one of `coset.decisions.axioms.naming.NAMES`."""
        return name_of(self.relations, self.preferred, self.other)

    def verify(self) -> bool:
        """Check that the preferences used, mixed with these weights, contradict themselves.

        Returns:
            Whether the weights are positive and sum to 1, a strict preference is among them, and
            P = Q: exactly; or, if a lottery has floats, to 1e-14 and to 1e-12 of the weight of
            the strict preferences.
        """
        if not is_well_formed(self.support, self.relations, *self._sides):
            return False
        # A weight that is not a number compares as False.
        if "strict" not in self.relations or not all(w > 0 for w in self.weights):
            return False
        if is_exact(*self._sides):
            return sum(self.weights) == 1 and self.residual == 0
        if all(p.is_exact for p in (*self.preferred, *self.other)):
            return False  # exact data deserve an exact proof
        strict = math.fsum(
            w for w, r in zip(self.weights, self.relations, strict=True) if r == "strict"
        )
        off: Any = abs(math.fsum(self.weights) - 1)
        return bool(
            off <= _HIDDEN_MARGIN and self.residual <= min(_ROUNDING, _HIDDEN_MARGIN * strict)
        )

    @property
    def _sides(self) -> tuple[tuple[Lottery, ...], tuple[Lottery, ...], tuple[Number, ...]]:
        return self.preferred, self.other, self.weights

    def __repr__(self) -> str:
        shown = ", ".join(str(i) for i in self.support[:6]) + (", …" * (len(self.support) > 6))
        return f"PreferenceCertificate({self.name!r} of {len(self.support)} preferences: {shown})"

    def belongs_to(self, preferences: Preferences) -> bool:
        """Tell whether each preference used was stated.

        Args:
            preferences: the data.

        Returns:
            Whether the pairs of those numbers are these.
        """
        if not is_well_formed(self.support, self.relations, *self._sides):
            return False
        if not all(0 <= i < preferences.num_pairs for i in self.support):
            return False
        for i, p, q, relation in zip(
            self.support, self.preferred, self.other, self.relations, strict=True
        ):
            stated = preferences.pair(i)
            turned = relation == "indifferent" and (q, p, relation) == stated
            if (p, q, relation) != stated and not turned:
                return False
        return True

    def money_pump(self, fee: Number | int = Fraction(1, 100)) -> MoneyPump:
        """Return the bet that drains whoever acts on these preferences.

        Args:
            fee: > 0: what is asked for each swap that is strictly preferred.

        Returns:
            The trades of one round; afterwards one holds what one held before, and has paid.

        Raises:
            DomainError: if the fee is not a finite number > 0.
        """
        if not isinstance(fee, int | float | Fraction) or not 0 < fee < math.inf:
            raise DomainError(f"a fee must be a finite number > 0; given {fee!r}")
        charge = fee if isinstance(fee, float) else Fraction(fee)
        steps = [
            PumpStep(i, w, q, p, charge if relation == "strict" else Fraction(0))
            for i, w, q, p, relation in zip(
                self.support, self.weights, self.other, self.preferred, self.relations, strict=True
            )
        ]
        return MoneyPump(tuple(steps), self.Q, self.P)

    def explain(self) -> str:
        """Say in words which preferences clash, and why.

        Returns:
            A text of a few lines.
        """
        lines = [f"{NAMES[self.name]}:"]
        for i, w, relation, p, q in zip(
            self.support, self.weights, self.relations, self.preferred, self.other, strict=True
        ):
            lines.append(f"  {number_text(w)} × [{i + 1}]  {p}  {_SIGNS[relation]}  {q}")
        lines += [
            f"Mixed with these weights, the left sides give P = {short(self.P)},",
            f"and the right sides give Q = {short(self.Q)}.",
            "By Independence P ≻ Q; but P and Q are the same lottery.",
        ]
        return "\n".join(lines)


def short(lottery: Lottery, limit: int = 12) -> str:
    """Return a lottery's text, with an ellipsis if it has many outcomes or digits.

    Args:
        lottery: any.
        limit: how many outcomes are written.

    Returns:
        The text.
    """
    items = list(lottery.items())
    terms = [f"{number_text(w)} {o}" for o, w in items[:limit]]
    if len(items) > limit:
        terms.append(f"… ({len(items) - limit} more)")
    return str(items[0][0]) if len(items) == 1 else " + ".join(terms)


def _compound(weights: Sequence[Number], lotteries: Sequence[Lottery]) -> Lottery:
    total: dict[Hashable, Any] = {}
    for w, lottery in zip(weights, lotteries, strict=True):
        for outcome, probability in lottery.items():
            total[outcome] = total.get(outcome, 0) + w * probability
    return Lottery.of(total)
