"""From what someone wants to a decision process: each transition is an event with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.decisions.elicit.events import check_events
from coset.decisions.preferences.models import EventModel
from coset.decisions.processes.mdp import MDP

__all__ = ["event_process"]


def event_process(
    model: EventModel,
    names: Sequence[str],
    event: Tensor,
    successor: Tensor,
    probability: Tensor,
    *,
    mask: Tensor | None = None,
    terminal: Tensor | None = None,
) -> MDP:
    """Return the process in which every transition has the reward and multiplier of its event.

    Args:
        model: r and Γ of each event, for instance what `AffineReward.model()` returns.
        names: the events that `event` counts, all known to the model.
        event: (S, A, K) integers, the place of each transition's event in `names`; anything where
            the probability is 0.
        successor: (S, A, K) integers.
        probability: (S, A, K), Σ_k = 1.
        mask: (S, A) bool, the actions that exist.
        terminal: (S,) bool, where the process has ended.

    Returns:
        The process, with as many objectives as the model has levels.

    Raises:
        DomainError: if the model lacks an event, a name is given twice, or as `MDP`.
        DtypeError: if the model is none, or `event` does not hold integers.
        RangeError: if `event` holds no place in `names` where the probability is positive.
        ShapeError: if `event` has another shape than `successor`.

    Claims: decisions.C5, decisions.C7.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> person = AffineModel({"walk": -1, "home": 5}, {"walk": "9/10", "home": 0})
        >>> process = event_process(  # state 0: action 0 walks on the spot, action 1 goes home
        ...     person,
        ...     ["walk", "home"],
        ...     event=torch.tensor([[[0], [1]], [[0], [0]]]),
        ...     successor=torch.tensor([[[0], [1]], [[1], [1]]]),
        ...     probability=torch.ones(2, 2, 1),
        ...     terminal=torch.tensor([False, True]),
        ... )
        >>> process.expected_reward(0)[0].tolist()
        [-1.0, 5.0]
    """
    if not isinstance(model, EventModel):
        raise DtypeError(
            f"model must be an AffineModel or a LexicographicModel; given "
            f"{type(model).__name__}; of something elicited take .model()"
        )
    names = check_events(names)
    unknown = [name for name in names if name not in model.events]
    if unknown:
        raise DomainError(
            f"names must list events of the model; {unknown[0]!r} is not among "
            f"{', '.join(model.events)}"
        )
    event, successor, probability = (
        _tensor(name, x)
        for name, x in (("event", event), ("successor", successor), ("probability", probability))
    )
    if event.dtype == torch.bool or event.is_floating_point() or event.is_complex():
        raise DtypeError(f"event must hold integers, places in names; given {event.dtype}")
    if event.shape != successor.shape or event.shape != probability.shape:
        raise ShapeError(
            f"event must have the shape of successor and probability, (S, A, K); given "
            f"{tuple(event.shape)}, {tuple(successor.shape)} and {tuple(probability.shape)}"
        )
    wrong = ((event < 0) | (event >= len(names))) & (probability > 0)
    if bool(wrong.any()):
        place = tuple(wrong.nonzero()[0].tolist())
        raise RangeError(
            f"event must be in 0…{len(names) - 1}; given {int(event[place])} at state {place[0]}, "
            f"action {place[1]}, transition {place[2]}"
        )
    place_of = event.long().clamp(0, len(names) - 1)
    reward = _floats([model.vector(name) for name in names])[place_of]
    multiplier = _floats([model.matrix(name) for name in names])[place_of]
    return MDP(
        successor,
        probability,
        reward,
        multiplier[..., 0, 0] if model.num_levels == 1 else multiplier,
        mask=mask,
        terminal=terminal,
    )


def _tensor(name: str, values: Any) -> Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{name} must be a tensor (S, A, K) of numbers: {error}") from error


def _floats(values: Any) -> Tensor:
    if isinstance(values, list | tuple):
        return torch.stack([_floats(x) for x in values])
    return torch.tensor(float(values), dtype=torch.float64)
