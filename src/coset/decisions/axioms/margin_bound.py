"""A proof that no utility separates the preferences by more than a margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.results import Certificate
from coset.decisions.axioms.exact_records import ExactRecord
from coset.decisions.axioms.preferences import Preferences, number_text
from coset.decisions.axioms.weighed_pairs import is_exact, is_well_formed, total_difference
from coset.decisions.preferences.lottery import Lottery, Number

__all__ = ["MarginCertificate"]

_FLOAT_SLACK = 1e-8


@dataclass(frozen=True, eq=False)
class MarginCertificate(ExactRecord, Certificate):
    """Weights λ whose compound lotteries almost agree: t ≤ Σ_o |Σ_i λ_i (p_i(o) − q_i(o))|.

    Any utility with values in [−1, 1] and u(p_i) − u(q_i) ≥ t for the strict pairs has
    t ≤ Σ λ_i (u(p_i) − u(q_i)) ≤ the total on the right, if Σ λ = 1 over the strict pairs.

    Attributes:
        margin: the bound t.
        support: the numbers of the preferences that hold it.
        relations: for each, "strict", "weak" or "indifferent".
        preferred: their first lotteries.
        other: their second lotteries.
        weights: λ; those of strict pairs sum to 1, those of indifferent pairs have either sign.

    Claims: decisions.C3.
    """

    margin: Number
    support: tuple[int, ...]
    relations: tuple[str, ...]
    preferred: tuple[Lottery, ...]
    other: tuple[Lottery, ...]
    weights: tuple[Number, ...]

    @classmethod
    def of(
        cls, preferences: Preferences, weights: Mapping[int, Number], margin: Number
    ) -> MarginCertificate:
        """Build the certificate from weights of the preferences.

        Args:
            preferences: the data.
            weights: number of a preference → λ.
            margin: the bound that they are to prove.

        Returns:
            The certificate, not yet verified.
        """
        support = tuple(sorted(weights))
        sides = [preferences.pair(i) for i in support]
        return cls(
            margin,
            support,
            tuple(relation for _, _, relation in sides),
            tuple(p for p, _, _ in sides),
            tuple(q for _, q, _ in sides),
            tuple(weights[i] for i in support),
        )

    @property
    def bound(self) -> Number:
        """Σ_o |Σ_i λ_i (p_i(o) − q_i(o))|, which no margin exceeds."""
        return total_difference(self.weights, self.preferred, self.other)

    def __repr__(self) -> str:
        return (
            f"MarginCertificate(margin ≤ {number_text(self.margin)} by {len(self.support)} "
            f"preferences)"
        )

    def verify(self) -> bool:
        """Check that the weights are admissible and prove the margin.

        Returns:
            Whether they do: exactly, or to 1e-8 if a lottery has floats.
        """
        sides = (self.preferred, self.other, self.weights)
        if not is_well_formed(self.support, self.relations, *sides):
            return False
        marked = list(zip(self.relations, self.weights, strict=True))
        if not all(w >= 0 for relation, w in marked if relation != "indifferent"):
            return False
        total: Any = sum(w for relation, w in marked if relation == "strict")
        if all(p.is_exact for p in (*self.preferred, *self.other)):
            exact = is_exact(*sides) and isinstance(self.margin, Fraction)
            return bool(exact and total == 1 and self.bound <= self.margin)
        return bool(abs(total - 1) <= _FLOAT_SLACK and self.bound <= self.margin + _FLOAT_SLACK)

    def explain(self) -> str:
        """Say in words why no utility does better.

        Returns:
            A short text.
        """
        many = len(self.support)
        return (
            f"Mixing {many} of the preferences gives two lotteries that differ by "
            f"{number_text(self.bound)} in all; so no utility with values between −1 and 1 "
            f"separates every strict preference by more."
        )
