"""What hardening makes of a trained model, and its multipliers before and after, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from coset.groups import Group
from coset.lab.context import RunContext
from coset.ssm.harden import HardenedTracker
from coset.ssm.length_generalization import length_generalization

__all__ = ["hardened_columns", "multiplier_rows"]

_NUM_WORDS = 32


def hardened_columns(
    hardened: HardenedTracker, group: Group, length: int, run: RunContext
) -> dict[str, Any]:
    """Return whether a hardened model is exact, and what it kept.

    Args:
        hardened: the result of `harden`.
        group: whose words.
        length: of the random words that it reads.
        run: source of randomness.

    Returns:
        is_certified; kept, such as "[2][3]"; residual in steps; hardened_length; and
        hardened_accuracy over all positions of 32 words of that length, ``None`` if it is not
        certified.
    """
    accuracy = None
    if hardened.certified:
        table = length_generalization(
            hardened,  # type: ignore[arg-type]
            group,
            [length],
            num_words=_NUM_WORDS,
            generator=run.generator("long words"),
        )
        accuracy = table.accuracies[0]
    return {
        "is_certified": hardened.certified,
        "kept": "".join(str(list(layer.moduli)) for layer in hardened.layers),
        "residual": hardened.residual,
        "hardened_length": length,
        "hardened_accuracy": accuracy,
    }


@torch.no_grad()
def multiplier_rows(
    model: Any, stage: str, hardened: HardenedTracker | None = None
) -> Iterator[dict[str, Any]]:
    """Give the multipliers a of a model as points of the unit disc.

    Args:
        model: a module with ``num_tokens`` and ``layer_transition``.
        stage: a name for the points of the model as it is.
        hardened: what `harden` made of it, or ``None`` to leave that out.

    Yields:
        Dictionaries with layer, coordinate, cell (of the exact layers below), token, real, imag
        and stage: all of the lowest layer, the kept ones of the others, and with stage "hardened"
        the roots of unity that they were snapped to.
    """
    tokens = torch.arange(model.num_tokens)
    lowest, _ = model.layer_transition(0, [], tokens)
    yield from _points(lowest[None].to(torch.complex128), 0, range(lowest.shape[-1]), stage)
    for layer in hardened.layers if hardened is not None else ():
        if layer.index > 0:
            yield from _points(layer.before, layer.index, layer.coordinates, stage)
        yield from _points(layer.after, layer.index, layer.coordinates, "hardened")


def _points(
    values: torch.Tensor, layer: int, coordinates: Any, stage: str
) -> Iterator[dict[str, Any]]:
    cells, num_tokens, _ = values.shape
    for cell in range(cells):
        for token in range(num_tokens):
            for place, coordinate in enumerate(coordinates):
                value = complex(values[cell, token, place])
                yield {
                    "layer": layer,
                    "coordinate": coordinate,
                    "cell": cell,
                    "token": token,
                    "real": value.real,
                    "imag": value.imag,
                    "stage": stage,
                }
