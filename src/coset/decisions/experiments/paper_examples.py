"""The worked examples of the papers, computed: each number beside the one that is printed there."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.decisions.axioms.relations import constrained_relation
from coset.decisions.preferences.hausner import split_safety
from coset.decisions.preferences.lottery import EventSequence, Lottery
from coset.decisions.preferences.models import safety_model
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["PaperExamplesConfig", "paper_examples"]


@dataclass(frozen=True)
class PaperExamplesConfig:
    """One run of `decisions.paper-examples`; nothing is drawn at random.

    Attributes:
        seed: kept for the record; it changes nothing.
    """

    seed: int = 0


def _row(example: str, quantity: str, value: Any) -> dict[str, Any]:
    return {"kind": "example", "example": example, "quantity": quantity, "value": float(value)}


def _safety_split() -> Iterator[dict[str, Any]]:
    name = "safety split"
    mixed = Lottery(["unsafe", "x", "y"], [Fraction(1, 3), Fraction(1, 2), Fraction(1, 6)])
    alpha, safe = split_safety(mixed, {"unsafe"})
    assert safe is not None
    yield _row(name, "probability of safety", alpha)
    for outcome in ("x", "y"):
        yield _row(name, f"weight of {outcome} when safe", safe.probability(outcome))


def _constraint() -> Iterator[dict[str, Any]]:
    name = "constraint"
    utilities: dict[Hashable, tuple[int, int]] = {"o1": (4, -2), "o2": (2, 2), "o3": (0, 4)}
    half = Fraction(1, 2)
    lotteries = {"A": Lottery(["o1", "o3"], [half, half]), "B": Lottery(["o2", "o3"], [half, half])}
    for letter, lottery in lotteries.items():
        for place, word in enumerate(("first", "second")):
            mean = lottery.expect({o: u[place] for o, u in utilities.items()})
            yield _row(name, f"{word} utility of {letter}", mean)
    prefer = constrained_relation(utilities, [0])
    yield _row(name, "A against B", prefer(lotteries["A"], lotteries["B"]))
    alone = prefer(Lottery.sure("o1"), Lottery.sure("o2"))
    yield _row(name, "A against B without the third outcome", alone)


def _unsafe_trajectory() -> Iterator[dict[str, Any]]:
    model = safety_model({"walk": 2}, {"walk": Fraction(9, 10)}, unsafe=["fall"])
    for word, value in zip(
        ("first", "second"), model.utility(EventSequence.of("walk", "fall")), strict=True
    ):
        yield _row("unsafe trajectory", f"{word} coordinate", value)


@experiment(
    "decisions.paper-examples",
    title="The worked examples of the papers: are ours the printed numbers?",
    presets={name: Preset(PaperExamplesConfig()) for name in ("smoke", "cpu", "paper")},
)
def paper_examples(config: PaperExamplesConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Compute the worked examples exactly.

    Args:
        config: nothing to choose.
        run: seeds, progress and folder of the run.

    Yields:
        One row for each number: kind, example, quantity, value.
    """
    del config, run
    yield from _safety_split()
    yield from _constraint()
    yield from _unsafe_trajectory()
