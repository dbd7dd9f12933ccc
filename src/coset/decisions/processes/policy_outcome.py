"""What a policy leads to in a toy-text environment: goal, danger, and how many steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from coset.core.errors import DomainError, ShapeError

if TYPE_CHECKING:
    import scipy.sparse

    from coset.decisions.envs.toy_text import ToyText

__all__ = ["PolicyOutcome", "policy_outcome"]


@dataclass(frozen=True, eq=False)
class PolicyOutcome:
    """Chances and times under one policy, without any time limit or discount.

    Attributes:
        goal: float64 (S,), the chance that the goal is reached from each state.
        danger: float64 (S,), the chance that danger is ever entered.
        steps: float64 (S,), the expected number of steps; infinity where the episode may never end.
        start: float64 (S,), the distribution of the first state.

    Claims: decisions.C16, decisions.C16b.
    """

    goal: torch.Tensor
    danger: torch.Tensor
    steps: torch.Tensor
    start: torch.Tensor

    def __repr__(self) -> str:
        return (
            f"PolicyOutcome(goal {self.goal_chance:.6g}, danger {self.danger_chance:.6g}, "
            f"{self.expected_steps:.6g} steps)"
        )

    @property
    def goal_chance(self) -> float:
        """The chance of the goal from the start."""
        return float(self.start @ self.goal)

    @property
    def danger_chance(self) -> float:
        """The chance of danger from the start."""
        return float(self.start @ self.danger)

    @property
    def expected_steps(self) -> float:
        """The expected number of steps from the start; infinity if it may go on for ever."""
        used = self.start > 0
        return float(self.start[used] @ self.steps[used])


def policy_outcome(model: ToyText, policy: torch.Tensor) -> PolicyOutcome:
    """Compute where a policy leads, by linear equations on its Markov chain.

    The chances are the least non-negative solutions: a state from which the goal cannot be reached
    has chance 0, also where the chain never ends.

    Args:
        model: the environment.
        policy: int64 (S,), an action for each state that is not terminal; or float64 (S, A), the
            chances of the actions.

    Returns:
        Chances and times, accurate to rounding.

    Raises:
        ShapeError: if the policy has another shape.
        DomainError: if it takes an action that does not exist, or its chances do not sum to 1.

    Example:
        >>> from coset.decisions.envs.cliff import cliff_walk
        >>> toy = cliff_walk(1, num_rows=2, slippery=False)
        >>> up_right_right_down = torch.tensor([1, 1, 2, 0, -1, -1])
        >>> policy_outcome(toy, up_right_right_down).expected_steps
        4.0

    Claims: decisions.C16, decisions.C16b.
    """
    weights = _weights(model, policy)
    chance = weights[..., None] * model.probability
    alive = _matrix(model, chance * ~model.ended)
    ending = (chance * model.ended).sum((1, 2)).numpy()
    goal = _absorbed(alive, (chance * model.goal).sum((1, 2)).numpy(), model.goal & ~model.ended)
    danger = _absorbed(
        _matrix(model, chance * ~(model.ended | model.unsafe)),
        (chance * model.unsafe).sum((1, 2)).numpy(),
    )
    return PolicyOutcome(
        goal=goal,
        danger=danger,
        steps=_steps(alive, ending, model.terminal.numpy()),
        start=model.start,
    )


def _weights(model: ToyText, policy: torch.Tensor) -> torch.Tensor:
    shape = tuple(model.mask.shape)
    given = torch.as_tensor(policy)
    live = ~model.terminal
    if tuple(given.shape) == shape[:1] and not given.is_floating_point():
        inside = (given >= 0) & (given < shape[1])
        exists = inside & model.mask.gather(1, given.long().clamp(0, shape[1] - 1)[:, None])[:, 0]
        _refuse(model, live & ~exists, "an action that exists", given)
        weights = torch.zeros(shape, dtype=torch.float64)
        states = live.nonzero()[:, 0]
        weights[states, given[states].long()] = 1.0
        return weights
    if tuple(given.shape) != shape:
        raise ShapeError(
            f"a policy must be whole numbers ({shape[0]},) or chances {shape}; given "
            f"{tuple(given.shape)} of {given.dtype}"
        )
    weights = given.double()
    fine = (
        (weights >= 0).all(1)
        & ((weights.sum(1) - 1).abs() <= 1e-9)
        & ~(weights.ne(0) & ~model.mask).any(1)
    )
    _refuse(model, live & ~fine, "chances ≥ 0 of existing actions that sum to 1", given)
    return torch.where(live[:, None], weights, torch.zeros_like(weights))


def _refuse(model: ToyText, wrong: torch.Tensor, what: str, given: torch.Tensor) -> None:
    if bool(wrong.any()):
        state = int(wrong.nonzero()[0])
        raise DomainError(
            f"the policy must give {what} in each state that is not terminal; at {state} "
            f"({model.label(state)}) it gives {given[state].tolist()}"
        )


def _matrix(model: ToyText, chance: torch.Tensor) -> scipy.sparse.csr_matrix:
    from scipy.sparse import csr_matrix

    rows = torch.arange(model.num_states)[:, None, None].expand_as(chance)
    kept = chance > 0
    entries = (chance[kept].numpy(), (rows[kept].numpy(), model.successor[kept].numpy()))
    return csr_matrix(entries, shape=(model.num_states, model.num_states))


def _absorbed(
    alive: scipy.sparse.csr_matrix, entering: np.ndarray, stays: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the chance that an event of chance `entering` a step ever happens."""
    if stays is not None and bool(stays.any()):
        raise DomainError("a goal must end the episode: its chance would count visits")
    able = _reaching(alive, entering > 0)
    return _solved(alive, able, entering)


def _steps(
    alive: scipy.sparse.csr_matrix, ending: np.ndarray, terminal: np.ndarray
) -> torch.Tensor:
    stuck = ~_reaching(alive, ending > 0) & ~terminal
    lost = _reaching(alive, stuck)  # may come to where there is no end
    steps = _solved(alive, ~lost & ~terminal, np.ones(len(ending)))
    return torch.where(torch.from_numpy(lost), torch.inf, steps)


def _reaching(matrix: scipy.sparse.csr_matrix, target: np.ndarray) -> np.ndarray:
    """Return the states from which a target state can be reached, the targets included."""
    reaching = target.copy()
    while True:
        grown = reaching | (matrix @ reaching.astype(float) > 0)
        if (grown == reaching).all():
            return reaching
        reaching = grown


def _solved(matrix: scipy.sparse.csr_matrix, where: np.ndarray, right: np.ndarray) -> torch.Tensor:
    """Solve x = right + M x on the states `where`, with x = 0 elsewhere."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import splu

    value = np.zeros(len(right))
    if where.any():
        inner = matrix[where][:, where]
        value[where] = splu((identity(inner.shape[0]) - inner).tocsc()).solve(right[where])
    return torch.from_numpy(value)
