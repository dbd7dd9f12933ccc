"""Objectives by name: which rewards and multipliers "safety", "goal" and "steps" mean.

An objective is written ``name`` or ``name@discount``, the first priority first:
``["goal", "steps"]`` is "reach the goal as surely as possible; then be quick".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from coset.core.errors import DomainError, DtypeError, UnknownNameError

if TYPE_CHECKING:
    from coset.decisions.envs.toy_text import ToyText
    from coset.decisions.processes.mdp import MDP

__all__ = ["OBJECTIVES", "Objective", "objectives", "parse_objectives", "weighted_sum"]

OBJECTIVES: dict[str, str] = {
    "safety": "−1 on entering danger; never discounted",
    "goal": "+1 on reaching the goal",
    "steps": "−1 a step",
    "reward": "the environment's own reward",
}
_REWARDS: dict[str, Callable[[ToyText], torch.Tensor]] = {
    "safety": lambda model: -model.unsafe.double(),
    "goal": lambda model: model.goal.double(),
    "steps": lambda model: -torch.ones_like(model.reward),
    "reward": lambda model: model.reward,
}


@dataclass(frozen=True)
class Objective:
    """One priority.

    Attributes:
        name: a key of `OBJECTIVES`.
        discount: multiplier of every transition that does not end, in [0, 1].
    """

    name: str
    discount: float = 1.0

    def __str__(self) -> str:
        return self.name if self.discount == 1 else f"{self.name}@{self.discount:g}"


def parse_objectives(names: str | Sequence[str], gamma: float = 1.0) -> tuple[Objective, ...]:
    """Read objectives from text.

    Args:
        names: "goal,steps@0.99", or the parts; the first priority first.
        gamma: discount of those that name none; "safety" is never discounted (C7).

    Returns:
        The objectives.

    Raises:
        UnknownNameError: if a name is unknown; names the nearest.
        DomainError: if there is none, one is there twice, or a discount lies outside [0, 1].

    Example:
        >>> [str(objective) for objective in parse_objectives("safety,goal@0.9,steps", 0.99)]
        ['safety', 'goal@0.9', 'steps@0.99']
    """
    parts = names.split(",") if isinstance(names, str) else list(names)
    if not all(isinstance(part, str) for part in parts):
        raise DtypeError(f"objectives must be names such as 'goal@0.99'; given {parts!r}")
    found = tuple(_parse(part.strip(), gamma) for part in parts if part.strip())
    if not found:
        raise DomainError(
            f"there must be at least one objective; given none; known: {', '.join(OBJECTIVES)}"
        )
    twice = next((o.name for i, o in enumerate(found) if o.name in [b.name for b in found[:i]]), "")
    if twice:
        raise DomainError(f"each objective may be there once; {twice!r} is there twice; drop one")
    return found


def _parse(text: str, gamma: float) -> Objective:
    name, sign, given = text.partition("@")
    if name not in OBJECTIVES:
        raise UnknownNameError.of("objective", name, OBJECTIVES)
    try:
        discount = float(given) if sign else 1.0 if name == "safety" else float(gamma)
    except ValueError:
        discount = math.nan
    if not 0 <= discount <= 1:
        raise DomainError(
            f"a discount must be a number in [0, 1]; objective {text!r} with gamma {gamma} has "
            f"{given if sign else gamma!r}; write, for instance, {name}@0.99"
        )
    if name == "safety" and discount != 1:
        raise DomainError(
            f"safety must not be discounted: with Γ₁₁ < 1 a late accident would count less; "
            f"given {text!r}; write safety"
        )
    return Objective(name, discount)


def objectives(
    model: ToyText,
    names: str | Sequence[str],
    *,
    gamma: float = 1.0,
    unsafe_earns_nothing: bool = False,
) -> MDP:
    """Build the lexicographic MDP of an environment under named objectives.

    Objective k has the reward rₖ of its name and Γₖₖ = its discount. With `unsafe_earns_nothing`
    the first objective must be safety, and Γₖ₁ = rₖ on each transition, rₖ = 0 on unsafe ones: then
    uₖ(e∘τ) = (1 + u₁(τ))·rₖ(e) + γ·uₖ(τ), and a trajectory that ends in danger earns nothing.

    Args:
        model: the environment.
        names: the objectives, the first priority first; see `parse_objectives`.
        gamma: discount of those that name none.
        unsafe_earns_nothing: add those off-diagonal multipliers.

    Returns:
        The MDP with d objectives.

    Raises:
        UnknownNameError: if a name is unknown.
        DomainError: if a discount lies outside [0, 1]; if safety is asked for and an unsafe
            transition does not end; or if unsafe trajectories shall earn nothing and safety is not
            the first objective.

    Example:
        >>> import gymnasium
        >>> from coset.decisions.envs.toy_text import from_toy_text
        >>> lake = from_toy_text(gymnasium.make("FrozenLake-v1"))
        >>> objectives(lake, "goal,steps").num_objectives
        2

    Claims: decisions.C7, decisions.C8c, decisions.C16.
    """
    from coset.decisions.processes.mdp import MDP

    wanted = parse_objectives(names, gamma)
    _check_safety(model, wanted, unsafe_earns_nothing)
    reward = torch.stack([_REWARDS[objective.name](model) for objective in wanted], dim=-1)
    multiplier = torch.tensor([objective.discount for objective in wanted], dtype=torch.float64)
    if unsafe_earns_nothing:
        reward[..., 1:] *= (~model.unsafe).double()[..., None]
        matrix = torch.diag(multiplier).expand(*model.successor.shape, -1, -1).clone()
        matrix[..., 1:, 0] = reward[..., 1:]
        multiplier = matrix
    return MDP(
        model.successor,
        model.probability,
        reward,
        multiplier,
        mask=model.mask,
        terminal=model.terminal,
    )


def _check_safety(model: ToyText, wanted: Sequence[Objective], nothing: bool) -> None:
    names = [objective.name for objective in wanted]
    if nothing and names[0] != "safety":
        raise DomainError(
            f"where unsafe trajectories earn nothing, safety must be the first objective; given "
            f"{', '.join(names)}"
        )
    alive = (model.unsafe & ~model.ended).nonzero()
    if "safety" in names and len(alive):
        state, action, _ = alive[0].tolist()
        raise DomainError(
            f"safety needs episodes that end in danger; in {model.name} state {state}, action "
            f"{action} leads there and goes on; read it by from_toy_text(env, unsafe_ends=True)"
        )


def weighted_sum(model: ToyText, weights: Mapping[str, float], *, gamma: float = 1.0) -> MDP:
    """Build the scalar MDP whose reward is a weighted sum of named objectives.

    r = Σ wₖ rₖ: what one writes where there is only one number, for instance −1 a step and −100
    for an accident, ``{"steps": 1, "safety": 100}``.

    Args:
        model: the environment.
        weights: objective to weight, finite.
        gamma: discount, in [0, 1].

    Returns:
        The MDP, d = 1.

    Raises:
        UnknownNameError: if a name is unknown.
        DomainError: if there is no weight, one is not finite, or gamma lies outside [0, 1].

    Example:
        >>> from coset.decisions.envs.cliff import cliff_walk
        >>> punished = weighted_sum(cliff_walk(3), {"steps": 1, "safety": 100})
        >>> sorted(set(punished.reward.flatten().tolist()))
        [-101.0, -1.0]

    Claims: decisions.C10b.
    """
    for name, weight in weights.items():
        if name not in OBJECTIVES:
            raise UnknownNameError.of("objective", name, OBJECTIVES)
        if not math.isfinite(weight):
            raise DomainError(f"weights must be finite; {name} has {weight}")
    if not weights or not 0 <= gamma <= 1:
        raise DomainError(
            f"there must be at least one weight, and gamma in [0, 1]; given {dict(weights)} and "
            f"{gamma}"
        )
    reward = torch.zeros_like(model.reward)
    for name, weight in weights.items():
        reward += weight * _REWARDS[name](model)
    return replace(model, reward=reward).mdp(gamma)
