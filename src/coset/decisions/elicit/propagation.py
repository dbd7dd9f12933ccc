"""What intervals of rewards and multipliers mean for the decision: is an action surely optimal?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.results import Record
from coset.decisions.elicit.affine_reward import AffineReward
from coset.decisions.elicit.limits import check_count

if TYPE_CHECKING:
    from coset.decisions.processes.mdp import MDP

__all__ = ["ActionChances", "action_chances"]


@dataclass(frozen=True, eq=False)
class ActionChances(Record):
    """How often each action is optimal when the numbers are drawn from their intervals.

    Attributes:
        chance: float64 (S, A), the share of samples in which the action is in the tie set.
        alone: float64 (S, A), the share in which it is the only optimal one.
        num_samples: how many times the process was solved.
        num_failed: samples that could not be solved (values that do not exist, or multipliers
            below 0, which no memoryless person has); they count in neither share.
    """

    chance: Tensor
    alone: Tensor
    num_samples: int
    num_failed: int = 0

    def __repr__(self) -> str:
        states, actions = self.chance.shape
        return (
            f"ActionChances({states:,} states, {actions:,} actions, {len(self.undecided):,} states "
            f"undecided in {self.num_samples:,} samples, {self.num_failed:,} failed)"
        )

    @property
    def policy(self) -> Tensor:
        """The action that is most often optimal in each state, −1 where the process has ended."""
        best = self.chance.argmax(1)
        return torch.where(self.chance.sum(1) > 0, best, torch.full_like(best, -1))

    @property
    def undecided(self) -> Tensor:
        """The states in which no action is optimal in every sample."""
        live = self.chance.sum(1) > 0
        return (live & (self.chance.max(1).values < 1)).nonzero()[:, 0]


def action_chances(
    found: AffineReward,
    build: Callable[[Mapping[str, float], Mapping[str, float]], MDP],
    num_samples: int = 100,
    *,
    solver: Callable[..., Any] | None = None,
    generator: torch.Generator | None = None,
) -> ActionChances:
    """Return the probability that each action is optimal, given what is known of the rewards.

    Each number is drawn uniformly from its interval, independently; so is a Monte Carlo answer to
    "is it worth asking on": where an action is optimal in every sample, no further question about
    these events would change it much.

    Args:
        found: what was elicited.
        build: makes the process from (reward, multiplier), event → number.
        num_samples: how many processes are solved, ≥ 1; the standard error of a chance is at most
            0.5/√num_samples.
        solver: from a process to a solution with `tie_set`; `coset.decisions.solve` by default.
        generator: source of randomness.

    Returns:
        The shares.

    Raises:
        DomainError: if there is no sample, none could be solved, or an interval is infinite.
        ShapeError: if `build` makes processes of different sizes.

    Complexity: num_samples solves.
    """
    num_samples = check_count("num_samples", num_samples)
    if not isinstance(found, AffineReward):
        raise DtypeError(f"found must be an AffineReward; given {type(found).__name__}")
    if not callable(build):
        raise DtypeError(f"build must be a function to an MDP; given {type(build).__name__}")
    solve = _default_solver() if solver is None else solver
    sets, failed = [], 0
    for _ in range(num_samples):
        ties = _solved(solve, build(*found.sample(generator=generator)))
        failed += ties is None
        if ties is not None:
            sets.append(ties)
    if not sets:
        raise DomainError(
            f"at least one of {num_samples} sampled processes must have a solution; none had; "
            f"narrow the intervals, or check that multipliers make values finite"
        )
    if len({tuple(s.shape) for s in sets}) > 1:
        raise ShapeError("build must make processes of one size; the sizes differ")
    stacked = torch.stack(sets).double()
    single = stacked * (stacked.sum(2, keepdim=True) == 1)
    return ActionChances(stacked.mean(0), single.mean(0), num_samples, failed)


def _default_solver() -> Callable[..., Any]:
    from coset.decisions.solvers.solving import solve

    return solve


def _solved(solve: Callable[..., Any], process: Any) -> Tensor | None:
    from coset.core.errors import NotConvergedError
    from coset.decisions.errors import NoOptimalPolicyError

    try:
        ties: Tensor = solve(process).tie_set
    except (NotConvergedError, NoOptimalPolicyError):
        return None
    except DomainError:
        # Noisy intervals of m = 0 reach below 0; any other mistake is the caller's.
        if getattr(process, "has_negative_multiplier", False):
            return None
        raise
    return ties
