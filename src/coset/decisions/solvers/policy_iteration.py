"""Howard's policy iteration on one level, with sparse or dense evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.core.errors import NotConvergedError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.policy_kernel import PolicyKernel

__all__ = ["greedy_policy", "policy_iteration", "policy_reward"]


def greedy_policy(level: ScalarLevel, value: Tensor) -> Tensor:
    """Return the first best action of each state.

    Args:
        level: the problem.
        value: (S,) float64.

    Returns:
        (S,) int64, −1 at states without an action.
    """
    policy = level.action_values(value).argmax(1)
    policy[~level.active] = -1
    return policy


def policy_reward(level: ScalarLevel, policy: Tensor) -> Tensor:
    """Return r_π.

    Args:
        level: the problem.
        policy: (S,) int64, −1 at states without an action; or (S, A) float64 shares.

    Returns:
        (S,) float64, 0 at states without an action.
    """
    if policy.ndim == 2:
        return torch.where(policy != 0, policy * level.reward, 0.0).sum(1)
    chosen = level.reward.gather(1, policy.clamp(min=0)[:, None]).squeeze(1)
    return torch.where(policy >= 0, chosen, 0.0)


def policy_iteration(
    level: ScalarLevel,
    start: Tensor | None = None,
    *,
    max_iter: int = 1000,
) -> tuple[Tensor, Tensor, int]:
    """Solve a level by policy iteration: evaluate, then change the actions that lose.

    Args:
        level: a problem in which multipliers die out under every policy (`transience`), or at
            least under every policy that is met.
        start: (S,) float64: the first policy is greedy for it; zeros by default.
        max_iter: the most policies that are evaluated.

    Returns:
        (value (S,) float64, policy (S,) int64, number of evaluations); the value is that of the
        policy up to the accuracy of the linear solver: prove it with `certified_bounds`.

    Raises:
        NotConvergedError: if a policy could not be evaluated.

    Claims: decisions.C17.

    Examples:
        >>> one = torch.ones(1, 2, dtype=torch.float64)
        >>> level = ScalarLevel(
        ...     torch.zeros(1, 2, 1, dtype=torch.int32),
        ...     one[..., None],
        ...     torch.tensor([[1.0, 2.0]], dtype=torch.float64),
        ...     one > 0,
        ...     0.5,
        ... )
        >>> value, policy, evaluations = policy_iteration(level)
        >>> value.tolist(), policy.tolist()
        ([4.0], [1])
    """
    zeros = torch.zeros(level.num_states, dtype=torch.float64, device=level.reward.device)
    value = zeros if start is None else start.double()
    policy = greedy_policy(level, value)
    if not bool(level.active.any()):
        return zeros, policy, 0
    for evaluations in range(1, max_iter + 1):
        value = PolicyKernel.of(level, policy).solve(policy_reward(level, policy))
        q = level.action_values(value)
        best, action = q.max(1)
        here = q.gather(1, policy.clamp(min=0)[:, None]).squeeze(1)
        # A gain below the solver's own error would let the policy run in a circle.
        noise = (here - value).abs().where(level.active, 0.0).max()
        scale = value.abs().max().clamp(min=1.0)
        switch = level.active & (best > here + 4 * noise + 1e-14 * scale)
        if not bool(switch.any()):
            return value, policy, evaluations
        policy = torch.where(switch, action, policy)
    raise NotConvergedError(
        f"policy iteration must end within {max_iter} evaluations; it did not; raise max_iter"
    )
