"""Evidence for a solution in floating point that can be checked without the solver."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import CosetError
from coset.core.results import Certificate, Record
from coset.decisions.processes.level import BLOCK, ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.admissible import Trap, actions_free_of, leaves
from coset.decisions.solvers.pair_problem import with_full_rows
from coset.decisions.solvers.row_sums import contraction_factors
from coset.decisions.solvers.ties import action_values, reward_errors

__all__ = ["LevelProof", "PolicyCertificate"]

# Action values are compared with the tolerance after another rounding than when it was applied.
_ROUNDED = 1.0 + 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class LevelProof(Record):
    """What proves the bounds of one level.

    Attributes:
        low: (S,) float64, or (1,) for all states: V* ≥ value − low.
        high: (S,) float64, or (1,): V* ≤ value + high.
        weights: (S,) float64 with Σ W w ≤ λ w, λ < 1, where multipliers die out; else ``None``.
        policy: (S,) int64, an action that attains the level; where they need not, else ``None``.
        component: (S,) int64, the end component without reward of each state, −1 for none.
        inside: (S, A) bool, the actions that stay in it.
        stays: (S,) bool, where staying for ever is best.
        tolerance: survivors may be worse than the best by this much more than the bounds.
    """

    low: Tensor
    high: Tensor
    weights: Tensor | None = None
    policy: Tensor | None = None
    component: Tensor | None = None
    inside: Tensor | None = None
    stays: Tensor | None = None
    tolerance: float = 0.0

    def __repr__(self) -> str:
        how = "multipliers that die out" if self.weights is not None else "end components"
        return f"LevelProof(within {float(self.error.max()):.2g}, by {how})"

    @property
    def error(self) -> Tensor:
        """(S,) or (1,) float64: |V* − value| is at most this."""
        return torch.maximum(self.low, self.high)


@dataclass(frozen=True, eq=False, repr=False)
class PolicyCertificate(Certificate):
    """Values with bounds, a policy, and the objective at which each other action lost.

    Attributes:
        mdp: the process; shared, not copied.
        value: (S, d) float64.
        policy: (S,) int64.
        lost_at: (S, A) int8, as in `MDPSolution`.
        proofs: for each objective what proves its bound.

    Claims: decisions.C8.
    """

    mdp: MDP
    value: Tensor
    policy: Tensor
    lost_at: Tensor
    proofs: tuple[LevelProof, ...]

    def __repr__(self) -> str:
        return f"PolicyCertificate({self.mdp!r}, proofs {self.proofs!r})"

    def verify(self) -> bool:
        """Check the bounds, every elimination and the policy, in float64 with rounding bounded.

        Level by level, on the actions that the levels above left over: the value is within its
        bound of the best one; each action that lost there is worse than another by more than the
        bounds allow; and none that survived is proved worse by more than the tolerance. That
        survivors are equal it cannot check: see `tie_status`.

        Returns:
            Whether all of it holds.
        """
        depth = self.mdp.num_objectives
        if not self._is_whole() or not self._policy_survives(depth):
            return False
        traps: list[Trap] = []
        for index, proof in enumerate(self.proofs):
            allowed = self.lost_at >= index
            level = self.mdp.level(index, self.value[:, :index], allowed)
            if proof.weights is None:
                level = with_full_rows(level, self.mdp, index)
            errors = [p.error for p in self.proofs[:index]]
            reward_error = reward_errors(self.mdp, index, self.value, errors)
            checked = _CheckedLevel(level, self.value[:, index], proof, reward_error)
            if not checked.is_bounded(traps) or not checked.separates(self.lost_at == index):
                return False
            trap = checked.trap(index)
            if trap is not None:
                traps.append(trap)
        policy = self.policy.cpu().numpy()
        return all(leaves(trap, policy) for trap in traps)

    def explain(self) -> str:
        """Say what is proved.

        Returns:
            One or two sentences.
        """
        depth = self.mdp.num_objectives
        kept = int((self.lost_at == depth).sum())
        gone = int((self.lost_at >= 0).sum()) - kept
        bounds = ", ".join(f"{float(p.error.max()):.2g}" for p in self.proofs)
        given = max((p.tolerance for p in self.proofs), default=0.0)
        return (
            f"{gone} actions are proved worse at the objective at which they lost, {kept} are "
            f"left, none of them proved worse by more than {given:.2g}; the values of the {depth} "
            f"objectives are within {bounds} of the best that the actions left at each of them "
            f"can do"
        )

    def _is_whole(self) -> bool:
        """Check shapes, and that nothing is missing, out of range, or worth something at an end."""
        mdp, live = self.mdp, self.mdp.allowed.any(1)
        size = mdp.num_states
        if (
            self.value.shape != (size, mdp.num_objectives)
            or self.policy.shape != (size,)
            or self.lost_at.shape != mdp.allowed.shape
            or len(self.proofs) != mdp.num_objectives
        ):
            return False
        sized = all(b.shape in ((size,), (1,)) for p in self.proofs for b in (p.low, p.high))
        in_range = (self.policy >= -1) & (self.policy < mdp.num_actions)
        return (
            sized
            and bool(torch.isfinite(self.value).all())
            and not bool(self.value[~live].any())
            and bool((in_range & ((self.policy >= 0) == live)).all())
            and bool(((self.lost_at >= 0) == mdp.allowed).all())
            and bool((self.lost_at <= mdp.num_objectives).all())
        )

    def _policy_survives(self, depth: int) -> bool:
        live = self.mdp.allowed.any(1)
        chosen = self.lost_at.gather(1, self.policy.clamp(min=0)[:, None])[:, 0]
        return bool((~live | (chosen == depth)).all())


class _CheckedLevel:
    """One level with its value inserted."""

    def __init__(
        self, level: ScalarLevel, value: Tensor, proof: LevelProof, reward_error: Tensor | float
    ) -> None:
        self.level, self.value, self.proof, self.reward_error = level, value, proof, reward_error
        error = proof.error
        self.error: Tensor | float = float(error) if error.numel() == 1 else error

    def is_bounded(self, traps: list[Trap]) -> bool:
        """Check |value − V*| ≤ error."""
        if not bool(torch.isfinite(self.proof.error).all()):
            return False
        if self.proof.weights is not None:
            return self._by_weights(self.proof.weights)
        return self._from_above(traps) and self._from_below()

    def _by_weights(self, weights: Tensor) -> bool:
        """Check T U ≤ U and T L ≥ L for U = value + high, L = value − low; T is a contraction."""
        try:
            _, factor = contraction_factors(self.level, weights)
        except CosetError:
            return False
        if not factor < 1:
            return False
        upper, lower = self.value + self.proof.high, self.value - self.proof.low
        for start in range(0, self.level.num_states, BLOCK):
            rows = slice(start, start + BLOCK)
            mine = self.level.allowed[rows]
            q, radius = action_values(self.level, rows, upper, 0.0, self.reward_error)
            if bool((mine & ~(q + radius <= upper[rows, None])).any()):
                return False
            q, radius = action_values(self.level, rows, lower, 0.0, self.reward_error)
            best = (q - radius).masked_fill(~mine, -torch.inf).amax(1)
            if bool((mine.any(1) & ~(best >= lower[rows])).any()):
                return False
        return True

    def _from_above(self, traps: list[Trap]) -> bool:
        """Check U = value + error: r + W U < U for actions outside of end components.

        Any policy then earns at most U: what it collects is at most U minus what is left of U, and
        each step that is not inside a component costs something more. Inside nothing is earned, U
        is the same everywhere, and ≥ 0 where staying is allowed.
        """
        inside, component = self._components()
        bound = self.value + self.proof.high
        q, radius = self._spread(bound)
        outside = self.level.allowed & ~inside
        if bool((outside & ~(q + radius < bound[:, None])).any()):
            return False
        if not self._rests(inside, component, bound):
            return False
        free = actions_free_of(traps, tuple(inside.shape))  # type: ignore[arg-type]
        for label in range(int(component.max()) + 1 if component.numel() else 0):
            members = component == label
            pairs = (inside & members[:, None]).cpu().numpy()
            allowed = all(bool(mine[pairs].any()) for mine in free)
            if allowed and bool((bound[members] < 0).any()):
                return False
        return True

    def _rests(self, inside: Tensor, component: Tensor, bound: Tensor) -> bool:
        """Check that inside of components nothing is earned and nothing ends or leaves."""
        if not bool(inside.any()):
            return True
        states, actions = torch.nonzero(inside, as_tuple=True)
        reward = self.level.reward[states, actions].abs()
        slack: Tensor | float = self.reward_error
        if isinstance(slack, Tensor):
            slack = slack[states, actions]
        successor = self.level.successor[states, actions].long()
        moves = self.level.weight[states, actions] > 0
        same = (component[successor] == component[states][:, None]) | ~moves
        level = (bound[successor] == bound[states][:, None]) | ~moves
        return bool((reward <= slack).all() and same.all() and level.all())

    def _from_below(self) -> bool:
        """Check L = value − error: the policy of the level ends or rests, and r + W L ≥ L."""
        policy, stays = self.proof.policy, self.proof.stays
        if policy is None or stays is None:
            return False
        inside, component = self._components()
        bound = self.value - self.proof.low
        live = policy >= 0
        if not bool((live == self.level.active).all()):
            return False
        if not self._rests(inside, component, bound):
            return False
        rows = torch.arange(len(policy), device=policy.device)
        chosen = policy.clamp(min=0)
        if not bool((self.level.allowed[rows, chosen] | ~live).all()):
            return False
        q, radius = self._spread(bound)
        low = (q - radius)[rows, chosen]
        resting = inside[rows, chosen] & live
        good = ~live | resting | (low >= bound)
        good &= ~(stays & live) | (resting & (bound <= 0))
        return bool(good.all()) and self._ends(policy, stays)

    def _ends(self, policy: Tensor, stays: Tensor) -> bool:
        trap = Trap.of_level(self.level, (~stays & (policy >= 0)).cpu().numpy(), -1)
        return leaves(trap, policy.cpu().numpy())

    def separates(self, lost: Tensor) -> bool:
        """Check that another action is better than each that lost here, and than no other."""
        for start in range(0, self.level.num_states, BLOCK):
            rows = slice(start, start + BLOCK)
            q, radius = action_values(self.level, rows, self.value, self.error, self.reward_error)
            mine = self.level.allowed[rows]
            sure = (q - radius).masked_fill(~mine, -torch.inf).amax(1, keepdim=True)
            loses = q + radius < sure
            close = q + radius >= sure - self.proof.tolerance * _ROUNDED
            if not bool((torch.where(lost[rows], loses, close) | ~mine).all()):
                return False
        return True

    def trap(self, index: int) -> Trap | None:
        """Return where the value of this level must be collected by leaving."""
        component, stays = self.proof.component, self.proof.stays
        if component is None or stays is None:
            return None
        above = self.value > self.proof.low
        if not bool(((component >= 0) & ~stays & above).any()):
            return None
        return Trap.of_level(self.level, above.cpu().numpy(), index)

    def _components(self) -> tuple[Tensor, Tensor]:
        inside, component = self.proof.inside, self.proof.component
        if inside is None or component is None:
            none = torch.full((self.level.num_states,), -1, device=self.level.allowed.device)
            return torch.zeros_like(self.level.allowed), none
        return inside & self.level.allowed, component

    def _spread(self, bound: Tensor) -> tuple[Tensor, Tensor]:
        return action_values(self.level, slice(None), bound, 0.0, self.reward_error)
