"""Certainty equivalents as a fixed point in logarithms, with proved bounds around a guess."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.bounds import certified_bounds
from coset.decisions.solvers.evaluation import evaluate_level, reaching
from coset.decisions.solvers.policy_kernel import PolicyKernel
from coset.decisions.solvers.transience import transience

__all__ = ["EXPONENT", "LogProblem"]

# e^700 is near the largest float64.
EXPONENT = 700.0


class LogProblem:
    """C(s) = max_a −(1/β) log Σ P e^{−β(r + C(s'))}, β ≠ 0, for a process without discount.

    In units of e^{−βC} for a guess C, E[e^{−βR}] obeys linear equations y = W y + b whose weights
    P e^{−β(r + C(s') − C(s))} are of size 1 however large β r is; they are similar to those of the
    affine-reward process, so that multipliers die out in both or in neither.

    Args:
        mdp: a process of one objective with multipliers 1, or 0 where it ends.
        beta: β ≠ 0.

    Claims: decisions.C12.
    """

    def __init__(self, mdp: MDP, beta: float) -> None:
        self.beta, self.mdp = beta, mdp
        self.active = mdp.allowed.any(1)
        self.successor = mdp.successor.long()
        self.reward = mdp.reward[..., 0].double().expand(mdp.successor.shape)
        self.log_probability = mdp.probability.double().log()
        ends = (mdp.entry(0, 0) == 0).expand(mdp.successor.shape)
        self.ends = ends | ~self.active[self.successor]
        used = (mdp.probability > 0) & mdp.allowed[..., None]
        self.nonpositive = not bool((used & (self.reward > 0)).any())
        self.largest = float(torch.where(used, self.reward.abs(), 0.0).max())

    def exponents(self, value: Tensor) -> Tensor:
        """Return log P − β(r + C(s')).

        Args:
            value: (S,) float64, C.

        Returns:
            (S, A, K) float64, −∞ where the probability is 0.
        """
        after = torch.where(self.ends, 0.0, value[self.successor])
        return self.log_probability - self.beta * (self.reward + after)

    def action_values(self, value: Tensor) -> Tensor:
        """Return the certainty equivalent of each action, −∞ where it does not exist.

        Args:
            value: (S,) float64, C.

        Returns:
            (S, A) float64.
        """
        q = -torch.logsumexp(self.exponents(value), -1) / self.beta
        return q.masked_fill(~self.mdp.allowed, -torch.inf)

    def backup(self, value: Tensor) -> Tensor:
        """Return the best certainty equivalent of each state.

        Where no reward is positive the result is rounded upwards and never above what it was:
        sweeps from 0 then stay above the optimum, since the operator is monotone.

        Args:
            value: (S,) float64, C.

        Returns:
            (S,) float64, 0 where the process has ended.
        """
        best = torch.where(self.active, self.action_values(value).amax(1), 0.0)
        if not self.nonpositive:
            return best
        lift = self._rounding(value) / abs(self.beta)
        return torch.minimum(value, best + lift * self.active.double())

    def greedy(self, value: Tensor) -> Tensor:
        """Return the first best action of each state.

        Args:
            value: (S,) float64, C.

        Returns:
            (S,) int64, −1 where the process has ended.
        """
        policy = self.action_values(value).argmax(1)
        policy[~self.active] = -1
        return policy

    def bounds(self, value: Tensor, policy: Tensor) -> tuple[Tensor, Tensor]:
        """Return bounds on the optimal certainty equivalents.

        From below, what a policy is worth. From above, sweeps from 0 where no reward is positive,
        else the weighted bounds of the linear equations.

        Args:
            value: (S,) float64: the sweeps from 0.
            policy: (S,) int64.

        Returns:
            (lower, upper), each (S,) float64; lower is −∞ if the policy has no worth.

        Raises:
            NotTransientError: if a reward is positive and multipliers do not die out under some
                policy.
        """
        lower = self._worth(value, policy)
        if self.nonpositive:
            return torch.minimum(lower, value), value
        upper = self._upper(value)
        return lower, torch.maximum(upper, lower)

    def _worth(self, value: Tensor, policy: Tensor) -> Tensor:
        """Return a lower bound on the certainty equivalents of a policy."""
        chosen = torch.nn.functional.one_hot(policy.clamp(min=0), self.mdp.num_actions).bool()
        allowed = self.mdp.allowed & chosen
        collecting = self._collecting(policy)
        # Where nothing more is collected the process might as well have ended.
        ends = self.ends | ~collecting[self.successor]
        level = self._equations(torch.where(collecting, value, 0.0), ends)
        level = level.restrict(allowed & collecting[:, None])
        live = torch.where(collecting, policy, -1)
        nothing = torch.where(self.active & collecting, -torch.inf, 0.0).double()
        try:
            found = evaluate_level(level, live)
        except NotTransientError:
            return nothing
        side = 1.0 if self.beta > 0 else -1.0
        lost = 1.1 * self._rounding(value) * float(found.value.abs().max()) * found.lifetime
        ratio = found.value + side * (found.error + lost)
        worth = value - ratio.log() / self.beta
        good = collecting & torch.isfinite(worth) & (ratio > 0)
        return torch.where(good, worth, nothing)

    def _rounding(self, value: Tensor) -> float:
        """Return the relative error of one factor P e^{−β(r + C(s') − C(s))}, summed over k."""
        size = abs(self.beta) * (self.largest + 2 * float(value.abs().max()))
        return (8 * size + 2 * self.mdp.num_successors + 40) * 2.0**-53

    def _collecting(self, policy: Tensor) -> Tensor:
        """Return the states from which the policy may still meet a reward other than 0."""
        some = (self.reward != 0) & (self.mdp.probability > 0)
        weight = torch.where(self.ends, 0.0, self.mdp.probability.double())
        level = ScalarLevel(self.mdp.successor, weight, some.any(-1).double(), self.mdp.allowed)
        kernel = PolicyKernel.of(level, policy)
        earns = level.reward.gather(1, policy.clamp(min=0)[:, None]).squeeze(1) > 0
        found = reaching(kernel.matrix, (earns & self.active).cpu().numpy())
        return torch.from_numpy(found).to(policy.device)

    def _equations(self, value: Tensor, ends: Tensor, largest: float = EXPONENT) -> ScalarLevel:
        """Return y = W y + b, with what is reached at an end in b; exponents are cut."""
        after = torch.where(ends, 0.0, value[self.successor]) - value[:, None, None]
        exponent = self.log_probability - self.beta * (self.reward + after)
        factor = exponent.clamp(max=largest).exp()
        ending = torch.where(ends, factor, 0.0).sum(-1)
        weight = torch.where(ends, 0.0, factor)
        return ScalarLevel(self.mdp.successor, weight, ending, self.mdp.allowed)

    def _upper(self, value: Tensor) -> Tensor:
        """Return an upper bound from the equations of all actions at once."""
        # Where y ≥ 0 is minimized, smaller factors bound it from below all the same, and rows with
        # a factor above 1 are of no use to the best policy, cut or not: huge ones would spoil λ.
        level = self._equations(value, self.ends, 1.0 if self.beta > 0 else EXPONENT)
        side = 1.0 if self.beta < 0 else -1.0
        level = replace(level, reward=side * level.reward)
        found = transience(level).throw()
        assert found.weights is not None
        guess = side * self.active.double()
        bounds = certified_bounds(level, guess, found.weights, (found.low_factor, found.factor))
        least = float(found.weights[self.active].min())
        size = float(bounds.center.abs().max()) + bounds.error_bound
        lost = 1.1 * self._rounding(value) * size / least / (1 - found.factor) * found.weights
        ratio = (side * (bounds.upper + lost)).clamp(min=0.0)
        # Actions that were cut at e^700 are better than they seem if large factors are good.
        cut = self.beta < 0 and bool(
            (level.weight.amax() >= 1e300) | (level.reward.amax() >= 1e300)
        )
        upper = value - ratio.log() / self.beta
        return torch.where(self.active, torch.inf if cut else upper, 0.0)
