"""Compile groups, certify them, and run long random words in every mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from coset.core.errors import ConfigError
from coset.core.files import write_json
from coset.groups import Group, parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.compile import compile_group
from coset.ssm.errors import NotSolvableError
from coset.ssm.tracker import CompiledTracker

__all__ = ["CERTIFIED", "CLOCK_FILE", "MODES", "REFUSED", "CompilingConfig", "compiling"]

CERTIFIED = (
    *("Z2", "Z60", "Z2xZ4", "S3", "D4", "Q8", "A4", "S4", "SL(2,3)", "GL(2,3)", "D30", "Heis(3)"),
)
REFUSED = ("A5", "S5")
MODES = ("int", "table", "complex", "real", "mlp")
CLOCK_FILE = "clock.json"

# Tokens of the word that the pictures read.
_CLOCK_LENGTH = 12


@dataclass(frozen=True)
class CompilingConfig:
    """One run of `ssm.compile`.

    Attributes:
        groups: names of groups; those that are not solvable must be refused.
        alphabet: tokens for all elements, or for a small generating set.
        length: tokens of each random word, ≥ 1.
        num_words: how many words each mode reads, ≥ 1.
        shown: the group whose phases the pictures show; it has more than one element.
        seed: decides the words.
    """

    groups: tuple[str, ...] = (*CERTIFIED, *REFUSED)
    alphabet: Literal["all", "generators"] = "all"
    length: int = 10_000
    num_words: int = 1
    shown: str = "S4"
    seed: int = 0


@experiment(
    "ssm.compile",
    title="Groups compiled, certified, and read for 10,000 tokens",
    presets={
        "smoke": Preset(
            CompilingConfig(groups=("Z2xZ4", "S3", "S4", "A5"), length=1000), {"seed": (0,)}
        ),
        "cpu": Preset(CompilingConfig(), {"alphabet": ("all", "generators"), "seed": (1, 2, 3)}),
        "paper": Preset(
            CompilingConfig(
                groups=(*CERTIFIED, "S4xZ2", "Heis(5)", "S3xA4", *REFUSED, "SL(2,5)"), num_words=8
            ),
            {"alphabet": ("all", "generators"), "seed": (1, 2, 3)},
        ),
    },
    claims=("ssm.C1", "ssm.C2", "ssm.C2c"),
    figures=(
        "coset.ssm.figures.series:series_diagram",
        "coset.ssm.figures.series:phase_clock",
        "coset.ssm.figures.series:increment_maps",
    ),
    cost={"smoke": 2.0, "cpu": 15.0},
)
def compiling(config: CompilingConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Compile every group, check all pairs, and compare every mode with the running product.

    Args:
        config: the settings.
        run: source of randomness; its folder gets ``clock.json`` for the pictures.

    Yields:
        A row a group and mode: depth, moduli, sizes of tables, pairs checked, the accuracy over
        all positions, and the place of the first error (−1: none). A refused group has one row,
        of mode "refused", with the order of its perfect residual.

    Raises:
        ConfigError: if a size is below 1, there is no group, or the shown one cannot be compiled.
    """
    if min(config.length, config.num_words) < 1 or not config.groups:
        raise ConfigError(
            f"length and num_words must be at least 1 and groups not empty; given "
            f"{config.length}, {config.num_words}, {config.groups}"
        )
    _write_clock(config, run)
    total = len(config.groups) * len(MODES)
    for number, name in enumerate(config.groups):
        group = parse_group(name)
        try:
            tracker = compile_group(group, config.alphabet)
        except NotSolvableError as error:
            yield _row(group, "refused", residual_order=error.residual_order)
            continue
        generator = run.generator("words", name, without=("groups", "shown"))
        shape = (config.num_words, config.length)
        words = torch.randint(0, tracker.num_tokens, shape, generator=generator)
        products = group.prefix_products(words, torch.from_numpy(tracker.alphabet.copy()))
        for place, mode in enumerate(MODES):
            run.progress(number * len(MODES) + place, total, f"{name}, {mode}")
            yield _mode_row(tracker, mode, words, products)
    run.progress(total, total, "done")


def _row(group: Group, mode: str, **fields: Any) -> dict[str, Any]:
    nothing = {
        "depth": None,
        "moduli": "",
        "series": "",
        "num_tokens": None,
        "num_phases": None,
        "table_entries": None,
        "num_parameters": None,
        "pairs": 0,
        "certified": False,
        "accuracy": None,
        "first_error": None,
        "residual_order": 1,
    }
    return {"group": group.name, "order": group.order, "mode": mode, **nothing, **fields}


def _mode_row(
    tracker: CompiledTracker, mode: str, words: torch.Tensor, products: torch.Tensor
) -> dict[str, Any]:
    module = tracker.to_module(mode)
    certificate = module.certificate()
    with torch.no_grad():
        right = module.track(words) == products
    wrong = (~right).any(0).nonzero()
    return _row(
        tracker.group,
        mode,
        depth=len(tracker.layers),
        moduli="|".join(",".join(map(str, layer.moduli)) for layer in tracker.layers),
        series=",".join(str(len(v)) for v in tracker.series),
        num_tokens=tracker.num_tokens,
        num_phases=tracker.num_phases,
        table_entries=sum(layer.increments.size for layer in tracker.layers),
        num_parameters=sum(p.numel() for p in module.parameters()),
        pairs=certificate.num_pairs,
        certified=certificate.verify(),
        accuracy=float(right.double().mean()),
        first_error=int(wrong[0]) if len(wrong) else -1,
    )


def _write_clock(config: CompilingConfig, run: RunContext) -> None:
    """Write one group's tables and the phases of a short word, for the pictures."""
    try:
        tracker = compile_group(config.shown)
    except NotSolvableError as error:
        raise ConfigError(f"shown must name a solvable group; {error}") from error
    if not tracker.layers:
        raise ConfigError(f"shown must name a group that needs a layer; given {config.shown!r}")
    generator = run.generator("clock", without=("groups", "length", "num_words", "alphabet"))
    word = torch.randint(0, tracker.num_tokens, (_CLOCK_LENGTH,), generator=generator)
    phases = tracker.cascade.decode(tracker.states(word).numpy())
    clock = {
        "group": tracker.group.name,
        "labels": list(tracker.group.labels),
        "moduli": [list(layer.moduli) for layer in tracker.layers],
        "word": word.tolist(),
        "elements": tracker.track(word).tolist(),
        "phases": phases.tolist(),
        "increments": [layer.increments.tolist() for layer in tracker.layers],
    }
    write_json(run.folder / CLOCK_FILE, clock)
