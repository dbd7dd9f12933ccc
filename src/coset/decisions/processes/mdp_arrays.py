"""The arrays of a decision process, brought to one form and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError

if TYPE_CHECKING:
    from coset.decisions.processes.mdp import MDP

__all__ = ["as_floats", "as_integers", "check_level", "checked"]

# Sums of probabilities may miss 1 by this; beyond, they are refused.
_SUM_TOLERANCE = 1e-6
# Below this a sum of float64 probabilities is rounding, and they stay as they were given.
_ROUNDING = 1e-12


def checked(
    successor: Any, probability: Any, reward: Any, multiplier: Any, mask: Any, terminal: Any
) -> dict[str, Tensor]:
    """Return the arrays of an `MDP` in their one form, or refuse them.

    Args:
        successor: as `MDP` takes it, as are the others.
        probability: see `MDP`.
        reward: see `MDP`.
        multiplier: see `MDP`.
        mask: see `MDP`.
        terminal: see `MDP`.

    Returns:
        The arrays by name.

    Raises:
        CosetError: as `MDP` says.
    """
    places = as_integers("successor", successor)
    if places.ndim != 3 or 0 in places.shape:
        raise ShapeError(
            f"successor must be (S, A, K), none of them 0; given {tuple(places.shape)}"
        )
    chance = as_floats("probability", probability)
    if chance.shape != places.shape:
        raise ShapeError(
            f"probability must be of the shape of successor, {tuple(places.shape)}; "
            f"given {tuple(chance.shape)}"
        )
    num_states, num_actions, _ = places.shape
    ended = _flags("terminal", terminal, (num_states,), False)
    exists = _flags("mask", mask, (num_states, num_actions), True) & ~ended[:, None]
    lacking = torch.nonzero(~exists.any(1) & ~ended).flatten()
    if len(lacking):
        raise DomainError(
            f"each state needs an action, unless it is terminal; {_some(lacking, 'state')} "
            f"{'has' if len(lacking) == 1 else 'have'} none; set terminal there"
        )
    chance = _probabilities(chance, exists)
    places = _successors(places, chance)
    rewards = _rewards(reward, chance)
    gamma = _multipliers(multiplier, chance, rewards.shape[3])
    return {
        "successor": places,
        "probability": chance,
        "reward": rewards,
        "multiplier": gamma,
        "mask": exists,
        "terminal": ended,
    }


def _tensor(name: str, value: Any) -> Tensor:
    try:
        array = value if isinstance(value, Tensor) else torch.as_tensor(_native(value))
    except (TypeError, ValueError) as error:
        raise DtypeError(
            f"{name} must be an array of numbers; given {type(value).__name__}; {error}"
        ) from error
    if array.dtype.is_complex:
        raise DtypeError(f"{name} must be real; given {array.dtype}")
    return array.detach()


def _native(value: Any) -> np.ndarray:
    """Return an array as torch reads it: of this machine's byte order, no step backwards."""
    array = np.asarray(value)
    if array.dtype.kind in "iuf" and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    # Torch compares no unsigned integers; a larger one than int64 wraps to < 0: out of range, too.
    if array.dtype.kind == "u":
        array = array.astype(np.int64)
    return array.copy() if min(array.strides, default=0) < 0 else array


def as_integers(name: str, value: Any) -> Tensor:
    """Return an array as integers of its own width.

    Args:
        name: how messages call it.
        value: a tensor, an array or nested lists.

    Returns:
        The tensor, shared where possible.

    Raises:
        DtypeError: if it does not hold integers.
    """
    array = _tensor(name, value)
    if array.numel() == 0:  # an empty list has no type of its own; the shape will be refused
        return array.long()
    if array.dtype.is_floating_point or array.dtype == torch.bool:
        raise DtypeError(f"{name} must be integers; given {array.dtype}")
    return array


def as_floats(name: str, value: Any) -> Tensor:
    """Return an array as float32, if it is that, or else float64.

    Args:
        name: how messages call it.
        value: a tensor, an array or nested lists.

    Returns:
        The tensor, shared where possible.

    Raises:
        DtypeError: if it does not hold real numbers.
    """
    array = _tensor(name, value)
    if array.dtype == torch.bool:
        raise DtypeError(f"{name} must be numbers; given {array.dtype}")
    return array if array.dtype in {torch.float32, torch.float64} else array.to(torch.float64)


def _flags(name: str, value: Any, shape: tuple[int, ...], default: bool) -> Tensor:
    if value is None:
        return torch.full(shape, default, dtype=torch.bool)
    array = _tensor(name, value)
    if tuple(array.shape) != shape:
        raise ShapeError(f"{name} must be {shape}; given {tuple(array.shape)}")
    if array.dtype != torch.bool:
        raise DtypeError(f"{name} must be bool; given {array.dtype}; write {name} != 0")
    return array


def _some(places: Tensor, what: str) -> str:
    shown = ", ".join(str(int(s)) for s in places[:5])
    more = f" and {len(places) - 5} more" if len(places) > 5 else ""
    return f"{what}{'' if len(places) == 1 else 's'} {shown}{more}"


def _first(bad: Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in torch.nonzero(bad)[0])


def _probabilities(chance: Tensor, exists: Tensor) -> Tensor:
    exists = exists.to(chance.device)
    if not bool(exists.all()):
        # What is written at an action that does not exist, NaN included, is not read.
        chance = torch.where(exists[..., None], chance, torch.zeros((), dtype=chance.dtype))
    wrong = ~((chance >= 0) & (chance < torch.inf))
    if bool(wrong.any()):
        s, a, k = _first(wrong)
        raise DomainError(
            f"probabilities must be finite and not negative; probability[{s}, {a}, {k}] is "
            f"{float(chance[s, a, k])}"
        )
    total = chance.sum(-1, dtype=torch.float64)
    off = ((total - 1).abs() > _SUM_TOLERANCE) & exists
    if bool(off.any()):
        s, a = _first(off)
        raise DomainError(
            f"the probabilities of an action must sum to 1; those of state {s}, action {a} sum to "
            f"{float(total[s, a]):.9g} ({int(off.sum())} such in all); a process that may end "
            f"goes to a terminal state or has multiplier 0; an action that does not exist is "
            f"masked"
        )
    drift = ((total - 1).abs() > _ROUNDING) & exists
    if chance.dtype == torch.float64 and bool(drift.any()):
        chance = chance / torch.where(exists, total, torch.ones_like(total))[..., None]
    return chance.contiguous()


def _successors(places: Tensor, chance: Tensor) -> Tensor:
    num_states = places.shape[0]
    outside = (places < 0) | (places >= num_states)
    wrong = outside & (chance > 0)
    if bool(wrong.any()):
        s, a, k = _first(wrong)
        raise RangeError(
            f"a successor must be a state 0…{num_states - 1}; successor[{s}, {a}, {k}] is "
            f"{int(places[s, a, k])} with probability {float(chance[s, a, k]):.6g}"
        )
    unused = (chance == 0) & (outside | (places != 0))
    if bool(unused.any()):
        own = torch.arange(num_states, dtype=places.dtype, device=places.device)[:, None, None]
        places = torch.where(chance == 0, own, places)
    return places.to(torch.int32).contiguous()


def _rewards(reward: Any, chance: Tensor) -> Tensor:
    given = as_floats("reward", reward)
    shape = tuple(chance.shape)
    array = given
    if given.ndim == 2:
        array = given[:, :, None, None]
    elif given.ndim == 3:
        array = given[..., None]
    fits = array.ndim == 4 and tuple(array.shape[:2]) == shape[:2] and array.shape[3] >= 1
    if not fits or array.shape[2] not in {1, shape[2]}:
        raise ShapeError(
            f"reward must be (S, A), (S, A, K) or (S, A, K or 1, d) with (S, A, K) = {shape}; "
            f"given {tuple(given.shape)}; rewards of actions for d objectives are (S, A, 1, d)"
        )
    array = array.to(chance.device)
    finite = torch.isfinite(array)
    if not bool(finite.all()):
        used = (chance > 0) if array.shape[2] > 1 else (chance > 0).any(2, keepdim=True)
        wrong = ~finite & used[..., None]
        if bool(wrong.any()):
            s, a, k, i = _first(wrong)
            raise DomainError(
                f"rewards must be finite; reward[{s}, {a}, {k}] of objective {i} is "
                f"{float(array[s, a, k, i])}; a forbidden action is masked, not given −inf"
            )
        array = torch.where(finite, array, torch.zeros((), dtype=array.dtype))
    return array


def _multipliers(multiplier: Any, chance: Tensor, num_objectives: int) -> Tensor:
    d = num_objectives
    given = as_floats("multiplier", 1.0 if multiplier is None else multiplier)
    array = given.reshape(1, 1, 1, *given.shape) if given.ndim < 3 else given
    lead = tuple(array.shape[:3])
    tail = tuple(array.shape[3:])
    fits = all(n in {1, size} for n, size in zip(lead, chance.shape, strict=True))
    if not fits or tail not in {(), (d,), (d, d)}:
        raise ShapeError(
            f"multiplier must be a number, (d,), (d, d), or (S, A, K) with nothing, (d,) or "
            f"(d, d) behind, where (S, A, K) = {tuple(chance.shape)} (1 for shared) and d = {d}; "
            f"given {tuple(given.shape)}"
        )
    array = array.to(chance.device)
    if not bool(torch.isfinite(array).all()):
        s, a, k = _first(~torch.isfinite(array))[:3]
        raise DomainError(f"multipliers must be finite; multiplier[{s}, {a}, {k}] is not")
    if len(tail) == 2:
        above = torch.triu(torch.ones(d, d, dtype=torch.bool, device=array.device), 1)
        if bool((array != 0)[..., above].any()):
            s, a, k = _first((array != 0) & above)[:3]
            raise DomainError(
                f"a multiplier matrix must be lower triangular (a lower priority never changes a "
                f"higher one); multiplier[{s}, {a}, {k}] has an entry above the diagonal"
            )
        array = array[..., 0] if d == 1 else array
    diagonal = torch.diagonal(array, dim1=-2, dim2=-1) if array.ndim == 5 else array
    if d > 1 and bool((diagonal < 0).any()):
        s, a, k = _first(diagonal < 0)[:3]
        raise DomainError(
            f"multipliers must not be negative on the diagonal: the event would reverse the "
            f"order; multiplier[{s}, {a}, {k}] does; reversal is for one objective (`signed`)"
        )
    return array[..., 0] if d == 1 and array.ndim == 4 else array


def check_level(mdp: MDP, level: int, values_above: Tensor | None) -> None:
    """Refuse to make a scalar problem of a level from too little.

    Args:
        mdp: the process.
        level: the objective, 0…d−1.
        values_above: (S, level) or ``None``.

    Raises:
        RangeError: if the level is not an objective.
        ShapeError: if values are missing or of another shape.
        DomainError: if multipliers are negative.
    """
    mdp.entry(level, level)
    if mdp.has_negative_multiplier:
        raise DomainError(
            "a negative multiplier reverses preferences, so that the best of each state is not a "
            "fixed point of the Bellman operator; solve signed(mdp), which remembers the sign"
        )
    shape = (mdp.num_states, level)
    if values_above is None:
        if mdp.has_matrix and any(bool((mdp.entry(level, j) != 0).any()) for j in range(level)):
            raise ShapeError(
                f"level {level} takes part of its reward from the values of the levels above it; "
                f"give values_above of shape {shape}"
            )
    elif (
        values_above.ndim != 2 or values_above.shape[0] != shape[0] or values_above.shape[1] < level
    ):
        raise ShapeError(f"values_above must be {shape}; given {tuple(values_above.shape)}")
