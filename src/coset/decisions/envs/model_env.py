"""A decision process on arrays as a Gymnasium environment, so that learners can be held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch

from coset.core.errors import DomainError, DtypeError, RangeError

if TYPE_CHECKING:
    from coset.decisions.processes.mdp import MDP

__all__ = ["ModelEnv"]


class ModelEnv(gymnasium.Env):
    """An `MDP` to be walked through: states and actions are numbers, rewards are vectors.

    What is learned here can be compared with what `coset.decisions.solve` proves. An episode
    terminates at a terminal state and after a transition with multiplier 0.

    Args:
        mdp: the process.
        start: the state in which episodes start; ``None``: uniformly one that is not terminal.

    Raises:
        DtypeError: if the start is no integer.
        RangeError: if it is not a state.
        DomainError: if the start is terminal, or every state is.

    Claims: decisions.C5.

    Example:
        >>> from coset.decisions.processes.mdp import MDP
        >>> env = ModelEnv(MDP([[[1]], [[1]]], [[[1.0]], [[1.0]]], [[3.0], [0.0]], 0.5), start=0)
        >>> env.reset(seed=0)[0]
        0
        >>> after, reward, *_, info = env.step(0)
        >>> int(after), reward, info["multiplier"]
        (1, array([3.]), array([[0.5]]))
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, mdp: MDP, start: int | None = None) -> None:
        assert isinstance(mdp.terminal, torch.Tensor)
        assert isinstance(mdp.multiplier, torch.Tensor)
        terminal = mdp.terminal.cpu().numpy()
        if terminal.all():
            raise DomainError("a state must be left that is not terminal; all are")
        if start is not None and not isinstance(start, int | np.integer):
            raise DtypeError(f"start must be a state's number; given {start!r}")
        if start is not None and not 0 <= start < len(terminal):
            raise RangeError(f"start must be a state, 0…{len(terminal) - 1}; given {start}")
        if start is not None and terminal[start]:
            raise DomainError(f"start must not be terminal; state {start} is")
        size = mdp.num_objectives
        self.observation_space = gymnasium.spaces.Discrete(mdp.num_states)
        self.action_space = gymnasium.spaces.Discrete(mdp.num_actions)
        self.reward_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)
        self.num_objectives = size
        self._terminal = terminal
        self._starts = np.flatnonzero(~terminal) if start is None else np.array([start])
        self._successor = mdp.successor.cpu().numpy()
        self._cumulative = mdp.probability.double().cumsum(-1).cpu().numpy()
        self._reward = mdp.reward.double().cpu().numpy()
        self._multiplier = _matrices(mdp.multiplier, size)
        self._mask = mdp.allowed.cpu().numpy()
        self._state = -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: of the environment's randomness.
            options: not used.

        Returns:
            The state, and info with "action_mask", (A,) bool: the actions that exist there.
        """
        super().reset(seed=seed, options=options)
        self._state = int(self._starts[self.np_random.integers(len(self._starts))])
        return self._state, self._info()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take an action.

        Args:
            action: one that exists in the present state.

        Returns:
            Next state, float64 (d,) reward, terminated, False, info with "multiplier" (d, d) and
            "action_mask".

        Raises:
            DomainError: if no episode is running, or the action does not exist here.
        """
        state, chosen = self._state, int(action)
        if state < 0:
            raise DomainError("an episode must be running; it has ended, call reset()")
        if not 0 <= chosen < self._mask.shape[1] or not self._mask[state, chosen]:
            existing = np.flatnonzero(self._mask[state]).tolist()
            raise DomainError(f"the actions of state {state} are {existing}; given {chosen}")
        row = self._cumulative[state, chosen]
        k = int(np.searchsorted(row, self.np_random.random() * row[-1], side="right"))
        reward = _entry(self._reward, state, chosen, k)
        gamma = _entry(self._multiplier, state, chosen, k)
        after = int(self._successor[state, chosen, k])
        terminated = bool(self._terminal[after]) or not gamma.any()
        self._state = after
        info = {**self._info(), "multiplier": gamma * (not terminated)}
        if terminated:
            self._state = -1
        return after, reward, terminated, False, info

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self._mask[self._state].copy()}


def _entry(array: np.ndarray, state: int, action: int, k: int) -> np.ndarray:
    """Return a copy of what an array that may have size 1 along S, A or K holds of a transition."""
    sizes = array.shape
    place = (min(state, sizes[0] - 1), min(action, sizes[1] - 1), min(k, sizes[2] - 1))
    entry: np.ndarray = array[place].copy()
    return entry


def _matrices(multiplier: torch.Tensor, size: int) -> np.ndarray:
    """Return (S or 1, A or 1, K or 1, d, d)."""
    gamma = multiplier.double().cpu()
    if gamma.dim() == 3:
        gamma = gamma[..., None].expand(*gamma.shape, size)
    return (torch.diag_embed(gamma) if gamma.dim() == 4 else gamma).numpy()
