"""The saved state of a `ProxSharing`: read and checked as a whole before anything is changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import ConfigError, CosetError
from coset.sharing.optimizer.groups import Mode, read_settings
from coset.sharing.penalty import check_weights, read_number

__all__ = ["STATE_VERSION", "LoadedState", "read_state"]

STATE_VERSION = 1

_KEYS = ("version", "mode", "num_steps", "summed_lr", "param_groups", "iterates")

Iterates = list[list[tuple[Tensor, Tensor]]]


@dataclass(frozen=True)
class LoadedState:
    """A state that fits its `ProxSharing`, in new containers and new tensors.

    Attributes:
        num_steps: steps done.
        summed_lr: learning rates since the last proximal map, for each parameter of each group.
        settings: the settings of each group.
        iterates: (z, weights shown for it) for each parameter of each group; [] in mode "prox".
    """

    num_steps: int
    summed_lr: list[list[float]]
    settings: list[dict[str, Any]]
    iterates: Iterates


def read_state(
    state: Any, mode: Mode, groups: Sequence[Mapping[str, Any]], iterates: Iterates
) -> LoadedState:
    """Return a state that was checked down to its last tensor.

    Args:
        state: as given to `ProxSharing.load_state_dict`; not changed.
        mode: of the object that loads it.
        groups: its sharing groups.
        iterates: its iterates, which give shapes, dtypes and devices.

    Returns:
        What to set.

    Raises:
        ConfigError: naming what is missing, foreign or impossible.
    """
    if not isinstance(state, Mapping):
        raise ConfigError(
            f"the state must be the dictionary that state_dict() returned; given "
            f"{type(state).__name__}"
        )
    if missing := [key for key in _KEYS if key not in state]:
        raise ConfigError(
            f"the state must hold {', '.join(_KEYS)}; {', '.join(missing)} is missing; pass what "
            f"ProxSharing.state_dict() returned, not the optimizer's or the model's"
        )
    if state["version"] != STATE_VERSION:
        raise ConfigError(
            f"the state's version must be {STATE_VERSION}; given {state['version']!r}"
        )
    sizes = [len(group["params"]) for group in groups]
    summed = _read_lists(state["summed_lr"], "summed_lr")
    given = [len(values) for values in summed]
    if state["mode"] != mode or given != sizes:
        raise ConfigError(
            f"the state must come from mode {mode!r} with groups of {sizes} parameters; given mode "
            f"{state['mode']!r} with {given}"
        )
    num_steps = state["num_steps"]
    if isinstance(num_steps, bool) or not isinstance(num_steps, int) or num_steps < 0:
        raise ConfigError(f"num_steps of the state must be an integer ≥ 0; given {num_steps!r}")
    return LoadedState(
        num_steps=num_steps,
        summed_lr=[[_read_rate(value) for value in values] for values in summed],
        settings=_read_groups(state["param_groups"], mode, groups),
        iterates=_read_iterates(state["iterates"], iterates),
    )


def _read_lists(value: Any, name: str) -> list[list[Any]]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, list | tuple) for v in value):
        raise ConfigError(f"{name} of the state must be a list of lists; given {value!r}")
    return [list(inner) for inner in value]


def _read_rate(value: Any) -> float:
    try:
        number = read_number(value, "each of summed_lr of the state")
    except CosetError as error:
        raise ConfigError(str(error)) from error
    if not 0 <= number < math.inf:
        raise ConfigError(f"each of summed_lr of the state must be finite and ≥ 0; given {number}")
    return number


def _read_groups(
    given: Any, mode: Mode, groups: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    if not isinstance(given, list | tuple) or len(given) != len(groups):
        count = len(given) if isinstance(given, list | tuple) else repr(given)
        raise ConfigError(
            f"param_groups of the state must hold the settings of {len(groups)} groups; given "
            f"{count}"
        )
    found = []
    for i, (settings, group) in enumerate(zip(given, groups, strict=True)):
        try:
            found.append(read_settings(settings, group["params"], mode))
        except CosetError as error:
            raise ConfigError(f"group {i} of the state: {error}") from error
    return found


def _read_iterates(given: Any, own: Iterates) -> Iterates:
    lists = _read_lists(given, "iterates")
    sizes = [len(pairs) for pairs in own]
    if [len(entries) for entries in lists] != sizes:
        raise ConfigError(
            f"iterates of the state must hold {sizes} entries; given "
            f"{[len(entries) for entries in lists]}"
        )
    return [
        [
            (_read_tensor(entry, "z", z), _read_tensor(entry, "shown", shown))
            for entry, (z, shown) in zip(entries, pairs, strict=True)
        ]
        for entries, pairs in zip(lists, own, strict=True)
    ]


def _read_tensor(entry: Any, name: str, like: Tensor) -> Tensor:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    try:
        check_weights(value, f"{name} of each iterate of the state")
    except CosetError as error:
        raise ConfigError(str(error)) from error
    assert isinstance(value, Tensor)
    if value.shape != like.shape or value.is_meta:
        raise ConfigError(
            f"the state holds a tensor of shape {tuple(value.shape)} on {value.device} for a "
            f"parameter of shape {tuple(like.shape)}; give the groups in the saved order"
        )
    return torch.empty_like(like).copy_(value.detach())
