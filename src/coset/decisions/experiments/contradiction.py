"""Famous preferences between lotteries of three prizes: their contradictions and utilities."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import ConfigError
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import Report, check
from coset.decisions.preferences.lottery import Lottery
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["EXAMPLES", "ContradictionConfig", "contradiction"]

# Example -> prizes from worst to best, and lotteries as percentages of them. In each, most people
# prefer A to B and D to C; C and D are A and B with the same part of both replaced.
EXAMPLES: dict[str, tuple[tuple[str, str, str], dict[str, tuple[int, int, int]]]] = {
    "Allais": (
        ("nothing", "1M", "5M"),
        {"A": (0, 100, 0), "B": (1, 89, 10), "C": (89, 11, 0), "D": (90, 0, 10)},
    ),
    "common ratio": (
        ("nothing", "3000", "4000"),
        {"A": (0, 100, 0), "B": (20, 0, 80), "C": (75, 25, 0), "D": (80, 0, 20)},
    ),
}
_ANSWERS = {"usual": (("A", "B"), ("D", "C")), "consistent": (("A", "B"), ("C", "D"))}


@dataclass(frozen=True)
class ContradictionConfig:
    """One run of `decisions.contradiction`.

    Attributes:
        example: "Allais" or "common ratio" (Kahneman and Tversky, 1979).
        seed: not used.
    """

    example: str = "common ratio"
    seed: int = 0


@experiment(
    "decisions.contradiction",
    title="Preferences between lotteries that no utility explains, and those that one does",
    presets={
        name: Preset(ContradictionConfig(), {"example": ("common ratio", "Allais")})
        for name in ("smoke", "cpu", "paper")
    },
    claims=("decisions.C1b",),
    figures=("coset.decisions.figures.contradiction:contradiction_triangle",),
    cost={"smoke": 0.2, "cpu": 0.2},
)
def contradiction(config: ContradictionConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Check both patterns of answers to an example's two questions.

    That a better prize is preferred to a worse one is taken for granted.

    Args:
        config: the settings.
        run: not used: nothing is random.

    Yields:
        All rows have example, answers ("usual" or "consistent"), kind, name, the probabilities
        worst, middle and best, and weight. Kind "lottery": one of A … D; kind "preference": the
        preferred lottery's probabilities, other_worst, other_middle and other_best, and its weight
        in the contradiction, 0 if there is none; kind "compound": the lottery that is preferred to
        itself, if there is one; kind "utility": the prizes' utilities in place of probabilities,
        and as weight the margin; kind "verdict": name is the status, or what is violated.

    Raises:
        ConfigError: if there is no such example.
    """
    if config.example not in EXAMPLES:
        raise ConfigError(f"example must be one of {', '.join(EXAMPLES)}; given {config.example!r}")
    prizes, table = EXAMPLES[config.example]
    lotteries = {
        name: Lottery(prizes, [Fraction(w, 100) for w in row]) for name, row in table.items()
    }
    for answers, pairs in _ANSWERS.items():
        asked = [(lotteries[p], lotteries[q]) for p, q in pairs]
        report = check(strict=[*asked, *itertools.pairwise(prizes[::-1])], outcomes=prizes)
        shared = {"example": config.example, "answers": answers}
        for row in _rows(report, prizes, lotteries, pairs):
            yield {**shared, **row}


def _rows(
    report: Report,
    prizes: tuple[str, str, str],
    lotteries: dict[str, Lottery],
    pairs: tuple[tuple[str, str], ...],
) -> Iterator[dict[str, Any]]:
    book = report.certificate if isinstance(report.certificate, PreferenceCertificate) else None
    yield _row("verdict", report.named or report.status, (0.0, 0.0, 0.0))
    for name, lottery in lotteries.items():
        yield _row("lottery", name, _place(lottery, prizes))
    for number, (p, q) in enumerate(pairs):
        weight = float(book.weights[book.support.index(number)]) if book else 0.0
        row = _row("preference", f"{p} ≻ {q}", _place(lotteries[p], prizes), weight)
        other = dict(zip(_OTHER, _place(lotteries[q], prizes), strict=True))
        yield {**row, **other}
    if book is not None:
        yield _row("compound", "P = Q", _place(book.P, prizes))
    elif report.utility is not None and report.margin is not None:
        values = tuple(float(report.utility[prize]) for prize in prizes)
        yield _row("utility", " < ".join(prizes), values, float(report.margin))


_OTHER = ("other_worst", "other_middle", "other_best")


def _place(lottery: Lottery, prizes: tuple[str, str, str]) -> tuple[float, ...]:
    return tuple(float(lottery.probability(prize)) for prize in prizes)


def _row(kind: str, name: str, place: tuple[float, ...], weight: float = 0.0) -> dict[str, Any]:
    worst, middle, best = place
    return {
        "kind": kind,
        "name": name,
        "worst": worst,
        "middle": middle,
        "best": best,
        **dict.fromkeys(_OTHER, None),
        "weight": weight,
    }
