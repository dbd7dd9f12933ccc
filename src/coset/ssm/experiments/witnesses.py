"""How long the words are that fool random models: group by depth, unitary and contracting."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from coset.core.errors import ConfigError
from coset.groups import Group, parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.alphabet import resolve_alphabet
from coset.ssm.witness import TrackingWitness, random_cascade, random_fading_stack, search_witness
from coset.ssm.witness.fading import FadingStack
from coset.ssm.witness.words import Word

__all__ = ["WitnessesConfig", "reading_rows", "witnesses"]

Row = dict[str, Any]
# Points of a reading: so many over the whole word, and all of the last ones.
_SPREAD, _LAST = 50, 150


@dataclass(frozen=True)
class WitnessesConfig:
    """One run of `ssm.witnesses`.

    Attributes:
        group: the group's name.
        depths: numbers of layers, as text: "1" or "1,2,3".
        alphabet: the tokens.
        modulus: M of every phase, ≥ 2.
        num_models: random models of each kind and depth, ≥ 1.
        seed: decides the models.
    """

    group: str = "S4"
    depths: str = "1,2"
    alphabet: Literal["all", "generators"] = "generators"
    modulus: int = 12
    num_models: int = 5
    seed: int = 0


def _depths(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise ConfigError(f"depths must be integers ≥ 1 with commas between; given {text!r}")
    return found


def reading_rows(stack: FadingStack, words: tuple[Word, Word]) -> list[Row]:
    """Return how far apart the states are while two words are read, aligned at their ends.

    The state is compared where it is numbers: phases as points of the unit circle, and the fading
    coordinates.

    Args:
        stack: the model.
        words: two words; only the common length before the end is read together.

    Returns:
        Rows of kind "reading": tokens_left until the end, and the ∞-distance.
    """
    points = [_path(stack, word) for word in words]
    length = min(len(p) for p in points)
    apart = np.abs(points[0][-length:] - points[1][-length:]).max(axis=1)
    left = np.arange(length)[::-1]
    spread = np.linspace(0, length - 1, min(length, _SPREAD)).astype(int)
    kept = np.union1d(spread, np.arange(max(0, length - _LAST), length))
    return [
        {"kind": "reading", "tokens_left": int(left[i]), "distance": float(apart[i])} for i in kept
    ]


def _path(stack: FadingStack, word: Word) -> np.ndarray:
    """Return the states after each token, phases as unit numbers: (T, R + D) complex."""
    code, fading = 0, np.zeros(stack.width, complex)
    moduli = np.array(stack.cascade.moduli)
    path: list[np.ndarray] = []
    for token in word.tokens().tolist():
        slope, shift = stack.transition(code, token)
        fading = slope @ fading + shift
        code = int(stack.cascade.step(np.array([code]), np.array([token]))[0])
        phases = np.exp(2j * np.pi * stack.cascade.decode(np.array(code)) / moduli)
        path.append(np.concatenate((phases, fading)))
    return np.array(path)


def _row(
    group: Group, depth: int, model: str, number: int, level: str, found: TrackingWitness | None
) -> Row:
    return {
        "kind": "witness",
        "group": group.name,
        "order": group.order,
        "derived_length": None if math.isinf(group.derived_length) else int(group.derived_length),
        "num_layers": depth,
        "model": model,
        "number": number,
        "level": level,
        "length": None if found is None else found.length,
        "distance": None if found is None else found.distance,
    }


@experiment(
    "ssm.witnesses",
    title="Words that fool random diagonal models, by group, depth and kind",
    presets={
        "smoke": Preset(WitnessesConfig(num_models=1), {"group": ("S4", "A5"), "depths": ("1,2",)}),
        "cpu": Preset(
            WitnessesConfig(depths="1,2,3"), {"group": ("S3", "A4", "S4", "GL(2,3)", "A5", "S5")}
        ),
        "paper": Preset(
            WitnessesConfig(depths="1,2,3", num_models=20),
            {
                "group": ("S3", "A4", "S4", "GL(2,3)", "A5", "S5", "SL(2,5)"),
                "alphabet": ("generators", "all"),
            },
        ),
    },
    claims=("ssm.C1b", "ssm.C2b"),
    figures=("coset.ssm.figures:witness_lengths", "coset.ssm.figures:witness_reading"),
)
def witnesses(config: WitnessesConfig, run: RunContext) -> Iterator[Row]:
    """Fool random unitary and contracting stacks, by search (A) and by commutators (C).

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        Rows of kind "witness": group, order, derived_length (``None``: not solvable), num_layers,
        model, number, level, length and distance (``None`` where there is no witness), seconds,
        replayed; and the rows of `reading_rows` for the first contracting model of each depth.

    Raises:
        ConfigError: if depths, modulus or num_models are impossible.
    """
    if config.num_models < 1 or config.modulus < 2:
        raise ConfigError(
            f"num_models must be ≥ 1 and modulus ≥ 2; given {config.num_models}, {config.modulus}"
        )
    group = parse_group(config.group)
    letters = resolve_alphabet(group, config.alphabet)
    for depth in _depths(config.depths):
        for number in range(config.num_models):
            source = run.generator("models", config.group, depth, number)
            for model, stack in _models(config, depth, len(letters), source):
                for level in "AC":
                    start = time.perf_counter()
                    found = search_witness(stack, group, alphabet=letters, levels=level).witness
                    seconds = time.perf_counter() - start
                    replayed = found is not None and found.replay(stack, group)
                    row = _row(group, depth, model, number, level, found)
                    yield {**row, "replayed": replayed, "seconds": seconds}
                    drawn = number == 0 and level == "C" and isinstance(stack, FadingStack)
                    if drawn and found is not None:
                        for point in reading_rows(stack, found.words):
                            yield {"group": group.name, "num_layers": depth, **point}


def _models(
    config: WitnessesConfig, depth: int, num_tokens: int, source: torch.Generator
) -> Iterator[tuple[str, Any]]:
    """Give a unitary and a contracting random model."""
    yield (
        "unitary",
        random_cascade(depth, num_tokens, modulus=config.modulus, generator=source),
    )
    yield (
        "contracting",
        random_fading_stack(depth, num_tokens, modulus=config.modulus, generator=source),
    )
