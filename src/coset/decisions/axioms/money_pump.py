"""The bets that drain whoever holds contradictory preferences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coset.decisions.axioms.exact_records import ExactRecord
from coset.decisions.axioms.preferences import number_text
from coset.decisions.preferences.lottery import Lottery, Number

__all__ = ["MoneyPump", "PumpStep"]


@dataclass(frozen=True)
class PumpStep(ExactRecord):
    """One trade.

    Attributes:
        pair: the number of the preference that makes the trade welcome.
        probability: of this trade being the one that is drawn.
        gives: the lottery handed over.
        gets: the lottery received, preferred to it (or as good).
        fee: what is paid for it.
    """

    pair: int
    probability: Number
    gives: Lottery
    gets: Lottery
    fee: Number


@dataclass(frozen=True)
class MoneyPump(ExactRecord):
    """One round of trades, each welcome, that changes nothing but the purse.

    Attributes:
        steps: the trades; one of them is drawn with the probabilities that they name.
        before: the lottery held before the round.
        after: the lottery held after it, the same one.
    """

    steps: tuple[PumpStep, ...]
    before: Lottery
    after: Lottery

    @property
    def expected_loss(self) -> Number:
        """What a round costs on average: Σ probability · fee."""
        loss: Any = sum(step.probability * step.fee for step in self.steps)
        result: Number = loss
        return result

    def trace(self, num_rounds: int = 3) -> list[str]:
        """Return the round in words, and what several of them cost.

        Args:
            num_rounds: how many rounds to sum up.

        Returns:
            One line for each trade, and a last one with the loss.
        """
        lines = [f"You hold {self.before}."]
        for step in self.steps:
            price = f"paying {number_text(step.fee)}" if step.fee else "for nothing"
            lines.append(
                f"With probability {number_text(step.probability)} it turns out to be "
                f"{step.gives}, and you swap it for {step.gets}, {price} "
                f"(preference {step.pair + 1})."
            )
        loss = self.expected_loss
        lines.append(
            f"You hold the same lottery as before, and paid {number_text(loss)} on average; "
            f"{number_text(num_rounds * loss)} after {num_rounds} rounds."
        )
        return lines

    def __str__(self) -> str:
        return "\n".join(self.trace())
