"""Lotteries on which an oracle breaks Independence or Continuity, found by search."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from coset.core.errors import DomainError, DtypeError
from coset.core.results import Witness
from coset.decisions.axioms.exact_records import ExactRecord
from coset.decisions.preferences.lottery import Lottery, Oracle, mix

__all__ = [
    "ContinuityWitness",
    "IndependenceWitness",
    "find_continuity_violation",
    "find_independence_violation",
]

_SIGNS = {1: "≻", 0: "≈", -1: "≺"}
_BATCH = 512


@dataclass(frozen=True)
class IndependenceWitness(ExactRecord, Witness):
    """Two lotteries whose order turns when both are mixed with a third.

    Attributes:
        first: q.
        second: r.
        third: p.
        share: α in (0, 1): the mixtures are αp + (1 − α)q and αp + (1 − α)r.
        before: the answer to q, r: +1, 0 or −1.
        after: the answer to the mixtures, another one.

    Claims: decisions.C9.
    """

    first: Lottery
    second: Lottery
    third: Lottery
    share: Fraction
    before: int
    after: int

    @property
    def mixtures(self) -> tuple[Lottery, Lottery]:
        """The lotteries αp + (1 − α)q and αp + (1 − α)r."""
        return (
            mix(self.share, self.third, self.first),
            mix(self.share, self.third, self.second),
        )

    def replay(self, model: Oracle) -> bool:
        """Ask both questions again.

        Args:
            model: the oracle.

        Returns:
            Whether its two answers differ.
        """
        return bool(model(self.first, self.second) != model(*self.mixtures))

    def explain(self) -> str:
        """Say which two answers clash.

        Returns:
            Two lines.
        """
        left, right = self.mixtures
        return (
            f"{self.first}  {_SIGNS[self.before]}  {self.second}, but mixed with {self.share} of "
            f"{self.third}:\n{left}  {_SIGNS[self.after]}  {right}"
        )


@dataclass(frozen=True)
class ContinuityWitness(ExactRecord, Witness):
    """Lotteries p ≻ q ≻ r with a jump: no mixture of p and r that was tried is as good as q.

    Bisection narrows the jump to an interval of weights: a mixture with the weight `high` of p is
    better than q, one with `low` is worse, and one with the simplest fraction between is either.

    Attributes:
        best: p.
        middle: q.
        worst: r.
        low: a weight of p at which the mixture is worse than q.
        high: a weight of p at which it is better.

    Claims: decisions.C9.
    """

    best: Lottery
    middle: Lottery
    worst: Lottery
    low: Fraction
    high: Fraction

    def replay(self, model: Oracle) -> bool:
        """Ask again at both ends of the jump.

        Args:
            model: the oracle.

        Returns:
            Whether the mixture is worse than q at the one and better at the other.
        """
        below = mix(self.low, self.best, self.worst)
        above = mix(self.high, self.best, self.worst)
        return bool(model(below, self.middle) < 0 < model(above, self.middle))

    def explain(self) -> str:
        """Say where the jump is.

        Returns:
            One sentence.
        """
        return (
            f"αp + (1 − α)r jumps over q between α = {self.low} and α = {self.high}, with "
            f"p = {self.best}, q = {self.middle}, r = {self.worst}"
        )


def find_independence_violation(
    oracle: Oracle,
    outcomes: Sequence[Hashable],
    num_samples: int = 10_000,
    *,
    generator: torch.Generator | None = None,
) -> IndependenceWitness | None:
    """Search random lotteries for a breach of Independence.

    Args:
        oracle: answers +1, −1 or 0 to two exact lotteries.
        outcomes: at least two.
        num_samples: how many triples of lotteries to try; each costs two questions.
        generator: source of randomness.

    Returns:
        The first witness, or ``None``: then nothing was found, which proves nothing.

    Raises:
        DomainError: if there are fewer than two outcomes, or no sample is wanted.

    Claims: decisions.C9.
    """
    _check(outcomes, num_samples)
    for (p, q, r), share in _samples(outcomes, num_samples, generator):
        before = oracle(q, r)
        after = oracle(mix(share, p, q), mix(share, p, r))
        if before != after:
            return IndependenceWitness(q, r, p, share, before, after)
    return None


def find_continuity_violation(
    oracle: Oracle,
    outcomes: Sequence[Hashable],
    num_samples: int = 1000,
    steps: int = 64,
    *,
    generator: torch.Generator | None = None,
) -> ContinuityWitness | None:
    """Search for p ≻ q ≻ r where the mixtures of p and r jump over q.

    Finitely many questions cannot prove a jump, only narrow it. But an exact oracle whose point of
    indifference is a fraction with a denominator below 2^(steps/2) is never accused: bisection
    leaves no other such fraction than the simplest one, which is tried last.

    Args:
        oracle: answers +1, −1 or 0 to two exact lotteries.
        outcomes: at least two.
        num_samples: how many triples of lotteries to try.
        steps: how often the interval is halved.
        generator: source of randomness.

    Returns:
        The first triple on which no indifference was met; ``None`` if all met one.

    Raises:
        DomainError: if there are fewer than two outcomes, or no sample is wanted.

    Claims: decisions.C9.
    """
    _check(outcomes, num_samples)
    for (p, q, r), _ in _samples(outcomes, num_samples, generator):
        ordered = _in_order(oracle, [p, q, r])
        if ordered is None:
            continue
        jump = _bisect(oracle, ordered, steps)
        if jump is not None:
            return jump
    return None


def _in_order(oracle: Oracle, lotteries: list[Lottery]) -> list[Lottery] | None:
    """Return three lotteries from best to worst, if the oracle separates them so."""
    for p in lotteries:
        for q in lotteries:
            for r in lotteries:
                if oracle(p, q) > 0 and oracle(q, r) > 0:
                    return [p, q, r]
    return None


def _bisect(oracle: Oracle, ordered: list[Lottery], steps: int) -> ContinuityWitness | None:
    best, middle, worst = ordered
    low, high = Fraction(0), Fraction(1)
    for step in range(steps + 1):
        weight = (low + high) / 2 if step < steps else _simplest_between(low, high)
        answer = oracle(mix(weight, best, worst), middle)
        if answer == 0:
            return None
        low, high = (low, weight) if answer > 0 else (weight, high)
    return ContinuityWitness(best, middle, worst, low, high)


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction of least denominator in the open interval (low, high), low ≥ 0."""
    whole = low.numerator // low.denominator
    if whole + 1 < high:
        return Fraction(whole + 1)
    # Both lie in [whole, whole + 1]: turn what is left over, 0 into infinity.
    if low == whole:
        return whole + 1 / Fraction((1 / (high - whole)).__floor__() + 1)
    return whole + 1 / _simplest_between(1 / (high - whole), 1 / (low - whole))


def _check(outcomes: Sequence[Hashable], num_samples: int) -> None:
    try:
        different = len(set(outcomes))
    except TypeError as error:
        raise DtypeError(f"outcomes must list hashable things; given {outcomes!r}") from error
    if different < 2:
        raise DomainError(f"a search needs at least two different outcomes; given {outcomes!r}")
    if num_samples < 1:
        raise DomainError(f"num_samples must be at least 1; given {num_samples}")


def _samples(
    outcomes: Sequence[Hashable], num_samples: int, generator: torch.Generator | None
) -> Iterator[tuple[list[Lottery], Fraction]]:
    """Give triples of random exact lotteries, often on few outcomes, and a share in (0, 1)."""
    for start in range(0, num_samples, _BATCH):
        count = min(_BATCH, num_samples - start)
        shape = (count, 3, len(outcomes))
        parts = torch.randint(1, 7, shape, generator=generator)
        kept = torch.rand(shape, generator=generator) < 0.5
        # One outcome at least stays in each lottery.
        first = torch.randint(len(outcomes), (*shape[:2], 1), generator=generator)
        parts = torch.where(kept.scatter(-1, first, True), parts, 0)
        shares = torch.randint(1, 6, (count,), generator=generator).tolist()
        for rows, share in zip(parts.tolist(), shares, strict=True):
            yield [_proportional(outcomes, row) for row in rows], Fraction(share, 6)


def _proportional(outcomes: Sequence[Hashable], parts: list[int]) -> Lottery:
    total = sum(parts)
    return Lottery(outcomes, [Fraction(part, total) for part in parts])
