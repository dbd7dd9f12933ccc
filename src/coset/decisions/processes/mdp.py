"""Decision processes with several objectives in order, on index arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coset.core.errors import RangeError
from coset.core.results import Record
from coset.decisions.processes import mdp_sources
from coset.decisions.processes.level import BLOCK, ScalarLevel
from coset.decisions.processes.mdp_arrays import check_level, checked

if TYPE_CHECKING:
    import gymnasium

__all__ = ["MDP"]


@dataclass(frozen=True, eq=False, repr=False)
class MDP(Record):
    """A finite Markov decision process whose return is u(e∘τ) = r(e) + Γ(e) u(τ) in R^d.

    Policies are compared lexicographically by E[u]: objective 0 first, the next only among equals.
    Each transition k of (s, a) is an event e with its own reward r and multiplier Γ: one number
    (a discount), one for each objective, or a lower triangular d × d matrix, whose entry Γ_kj adds
    Γ_kj V_j(s') to the reward of objective k. A multiplier 0 ends the process there, as does a
    terminal state, whose value is 0. Two transitions of (s, a) may lead to the same state (two
    events); they add.

    What is given is brought to the shapes below and checked; arrays that have the right form are
    shared, not copied, and must not be changed afterwards.

    Attributes:
        successor: (S, A, K) int32 in 0…S−1; the state itself where the probability is 0.
        probability: (S, A, K) float32 or float64, Σ_k = 1 (given up to 1e-6, then divided by the
            sum in float64; float32 is kept as it is); 0 pads unused places.
        reward: (S, A, K or 1, d) float32 or float64; given also as (S, A) or (S, A, K), d = 1.
        multiplier: (S or 1, A or 1, K or 1), the same with (d,) or with (d, d) behind, ≥ 0 on the
            diagonal, 0 above it; given also as a number, (d,) or (d, d); ``None`` is 1, no
            discount. With d = 1 it may be negative: then only `signed` solves it.
        mask: (S, A) bool: the actions that exist; all by default, none at terminal states.
        terminal: (S,) bool: where the process has ended; nowhere by default.

    Raises:
        ShapeError: if the shapes do not fit.
        DtypeError: if an array is not of numbers.
        DomainError: if a number is NaN or infinite, a probability negative, a sum not 1, a
            multiplier not of the form above, or a state that is not terminal has no action.
        RangeError: if a successor of positive probability is not a state.

    Examples:
        >>> mdp = MDP(
        ...     [[[0], [1]], [[1], [1]]],
        ...     [[[1.0], [1.0]], [[1.0], [1.0]]],
        ...     reward=[[0.0, 1.0], [2.0, 0.0]],
        ...     multiplier=0.5,
        ... )
        >>> mdp
        MDP(2 states, 2 actions, 1 successor, 1 objective)
        >>> mdp.level(0).backup(torch.zeros(2, dtype=torch.float64)).tolist()
        [1.0, 2.0]

    Claims: decisions.C5, decisions.C8.
    """

    successor: Tensor
    probability: Tensor
    reward: Tensor
    multiplier: Tensor | float | None = None
    mask: Tensor | None = field(default=None, kw_only=True)
    terminal: Tensor | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        arrays = checked(
            self.successor,
            self.probability,
            self.reward,
            self.multiplier,
            self.mask,
            self.terminal,
        )
        for name, value in arrays.items():
            object.__setattr__(self, name, value)

    @property
    def num_states(self) -> int:
        """S, terminal ones included."""
        return self.successor.shape[0]

    @property
    def num_actions(self) -> int:
        """A, the most actions of any state."""
        return self.successor.shape[1]

    @property
    def num_successors(self) -> int:
        """K, the most transitions of any action."""
        return self.successor.shape[2]

    @property
    def num_objectives(self) -> int:
        """The number d of objectives."""
        return self.reward.shape[3]

    @property
    def has_matrix(self) -> bool:
        """Whether the multipliers are matrices."""
        return self._multiplier.ndim == 5

    @property
    def has_negative_multiplier(self) -> bool:
        """Whether some event reverses preferences (d = 1 only)."""
        return self.num_objectives == 1 and bool((self._multiplier < 0).any())

    @property
    def allowed(self) -> Tensor:
        """(S, A) bool: the actions that exist; the same as `mask`."""
        assert isinstance(self.mask, Tensor)
        return self.mask

    @property
    def _multiplier(self) -> Tensor:
        assert isinstance(self.multiplier, Tensor)
        return self.multiplier

    def __repr__(self) -> str:
        parts = (
            (self.num_states, "state"),
            (self.num_actions, "action"),
            (self.num_successors, "successor"),
            (self.num_objectives, "objective"),
        )
        shown = (f"{count:,} {word}{'s' * (count != 1)}" for count, word in parts)
        return f"MDP({', '.join(shown)})"

    def entry(self, row: int, column: int) -> Tensor:
        """Return the entry Γ_ij of the multipliers of all transitions.

        Args:
            row: i in 0…d−1.
            column: j in 0…d−1.

        Returns:
            (S or 1, A or 1, K or 1), in the dtype of the multipliers; zeros off a diagonal one.

        Raises:
            RangeError: if an index is not an objective.
        """
        for index in (row, column):
            if not 0 <= index < self.num_objectives:
                raise RangeError(
                    f"an objective is one of 0…{self.num_objectives - 1}; given {index}"
                )
        gamma = self._multiplier
        if gamma.ndim == 5:
            return gamma[..., row, column]
        if row != column:
            return torch.zeros(1, 1, 1, dtype=gamma.dtype, device=gamma.device)
        return gamma[..., row] if gamma.ndim == 4 else gamma

    def expected_reward(self, level: int | None = None) -> Tensor:
        """Return Σ_k P(k | s, a) r(s, a, k), without what multipliers add.

        Args:
            level: one objective, or ``None`` for all.

        Returns:
            (S, A) float64, or (S, A, d) for all; 0 where the action does not exist.

        Raises:
            RangeError: if the level is not an objective.
        """
        if level is None:
            return torch.stack([self.expected_reward(k) for k in range(self.num_objectives)], -1)
        self.entry(level, level)
        reward = self.reward[..., level]
        if reward.shape[2] == 1:
            # Contiguous, as loops over it want it, and would each copy it for themselves.
            return reward[..., 0].to(torch.float64).contiguous()
        mean = torch.empty(reward.shape[:2], dtype=torch.float64, device=reward.device)
        for start in range(0, self.num_states, BLOCK):
            rows = slice(start, start + BLOCK)
            mean[rows] = (self.probability[rows].double() * reward[rows]).sum(-1)
        return mean

    def level(
        self, level: int, values_above: Tensor | None = None, allowed: Tensor | None = None
    ) -> ScalarLevel:
        """Return one objective as a scalar problem, the ones above it being solved.

        Its reward is Σ_k P (r_i + Σ_{j<i} Γ_ij V_j(s')), its weights are P Γ_ii.

        Args:
            level: i in 0…d−1.
            values_above: (S, i) float64, V_0 … V_{i−1}; needed where some Γ_ij, j < i, is not 0.
            allowed: (S, A) bool: the actions that are left; all that exist by default.

        Returns:
            The scalar problem; where all Γ_ii are one number the probabilities are shared.

        Raises:
            RangeError: if the level is not an objective.
            ShapeError: if values are missing or of another shape.
            DomainError: if multipliers are negative: see `signed`.
        """
        check_level(self, level, values_above)
        diagonal = self.entry(level, level)
        reward = self.expected_reward(level)
        for j in range(level):
            cross = self.entry(level, j)
            if values_above is not None and bool((cross != 0).any()):
                reward = reward + self._carried(cross, values_above[:, j])
        left = self.allowed if allowed is None else self.allowed & allowed
        if diagonal.numel() == 1:
            scale = float(diagonal)
            return ScalarLevel(self.successor, self.probability, reward, left, scale)
        # In float64 whatever the inputs: a product rounded to float32 would belie proved bounds.
        weight = (self.probability.double() * diagonal.double()).contiguous()
        return ScalarLevel(self.successor, weight, reward, left)

    def _carried(self, cross: Tensor, value: Tensor) -> Tensor:
        """Return Σ_k P Γ_ij V_j(s'), (S, A) float64."""
        total = torch.empty(self.allowed.shape, dtype=torch.float64, device=value.device)
        for start in range(0, self.num_states, BLOCK):
            rows = slice(start, start + BLOCK)
            successor = self.successor[rows]
            gathered = (
                value.double().index_select(0, successor.reshape(-1)).reshape(successor.shape)
            )
            here = cross[rows] if cross.shape[0] > 1 else cross
            total[rows] = (self.probability[rows].double() * here * gathered).sum(-1)
        return total

    def to(self, device: torch.device | str) -> MDP:
        """Return the same process with its arrays on a device.

        Args:
            device: where.

        Returns:
            The process.
        """
        names = ("successor", "probability", "reward", "multiplier", "mask", "terminal")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    @classmethod
    def from_dense(
        cls, transition: Any, reward: Any, multiplier: Any = None, *, terminal: Any = None
    ) -> MDP:
        """Make a process from one S × S matrix of probabilities for each action.

        Args:
            transition: (A, S, S) probabilities of going from row to column.
            reward: (S, A), (S, A, 1, d), or (A, S, S) for each transition.
            multiplier: a number, (d,), (d, d), or (A, S, S) for each transition.
            terminal: (S,) bool.

        Returns:
            The process, with K the most successors of any (s, a).

        Raises:
            ShapeError: if the shapes do not fit.
            CosetError: as the constructor.
        """
        return cls(**mdp_sources.from_dense(transition, reward, multiplier, terminal))

    @classmethod
    def from_scipy(
        cls, transition: Sequence[Any], reward: Any, multiplier: Any = None, *, terminal: Any = None
    ) -> MDP:
        """Make a process from one sparse S × S matrix of probabilities for each action.

        Args:
            transition: A matrices of `scipy.sparse`, (S, S) each.
            reward: (S, A) or (S, A, 1, d).
            multiplier: a number, (d,) or (d, d).
            terminal: (S,) bool.

        Returns:
            The process.

        Raises:
            ShapeError: if the shapes do not fit.
            CosetError: as the constructor.
        """
        return cls(**mdp_sources.from_scipy(transition, reward, multiplier, terminal))

    @classmethod
    def from_pairs(
        cls,
        state: Any,
        action: Any,
        successor: Any,
        probability: Any,
        reward: Any,
        multiplier: Any = None,
        *,
        num_states: int | None = None,
        terminal: Any = None,
    ) -> MDP:
        """Make a process from a list of state-action pairs, as many for a state as it has actions.

        Args:
            state: (L,) the state of each pair.
            action: (L,) the action of each pair; actions of a state need not be consecutive.
            successor: (L, K) the successors of each pair; padded by probability 0.
            probability: (L, K).
            reward: (L,), (L, K) for each transition, or (L, K or 1, d).
            multiplier: a number, (d,), (d, d), or (L, K), (L, K, d), (L, K, d, d).
            num_states: S; by default one more than the largest state named.
            terminal: (S,) bool; states without a pair are terminal by default.

        Returns:
            The process; pairs that are not listed do not exist in it.

        Raises:
            DomainError: if a pair is listed twice, with both places.
            CosetError: as the constructor.
        """
        listed = mdp_sources.from_pairs(
            state, action, successor, probability, reward, multiplier, num_states, terminal
        )
        return cls(**listed)

    @classmethod
    def from_gymnasium(cls, env: gymnasium.Env, multiplier: Any = None) -> MDP:
        """Make a process from a toy-text environment of Gymnasium, with its own reward.

        Args:
            env: an environment that has the table ``env.unwrapped.P``.
            multiplier: the discount, ``None`` for 1.

        Returns:
            The process with one objective.

        Raises:
            UnsupportedError: if the environment has no such table.
        """
        from coset.decisions.envs.toy_text import from_toy_text

        made: MDP = from_toy_text(env).mdp(multiplier)
        return made
