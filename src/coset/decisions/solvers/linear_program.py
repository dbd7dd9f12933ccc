"""One level as a linear program, whose dual variables are how often each action is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, NotConvergedError, ShapeError
from coset.core.results import Solution, Status
from coset.decisions.processes.level import ScalarLevel

__all__ = ["LinearProgramSolution", "solve_linear_program"]


@dataclass(frozen=True, repr=False)
class LinearProgramSolution(Solution):
    """The solution of a level by linear programming.

    Attributes:
        value: (S,) float64, V*, to the accuracy of the LP solver: see `certified_bounds`.
        occupancy: (S, A) float64 ≥ 0, x with Σ_a x(s, a) − Σ W x = start(s): the mass with which
            (s, a) is visited under an optimal policy, each visit weighted by the product of the
            multipliers before it.
    """

    occupancy: Tensor | None = None

    def __repr__(self) -> str:
        return f"LinearProgramSolution({len(self.value):,} states, {self.status})"


def solve_linear_program(level: ScalarLevel, start: Tensor | None = None) -> LinearProgramSolution:
    """Solve min Σ c V subject to V(s) ≥ r(s, a) + Σ W V for every allowed action.

    Args:
        level: a problem in which multipliers die out under every policy (`transience`).
        start: (S,) float64, c > 0 at states whose value is wanted; ones by default.

    Returns:
        Value and occupancy.

    Raises:
        ShapeError: if start is not one number a state.
        DomainError: if start is negative or not finite.
        NotConvergedError: if HiGHS found no solution.

    Complexity: S variables, S A rows, S A K entries.

    Examples:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> level = ScalarLevel(
        ...     torch.zeros(1, 1, 1, dtype=torch.int32), one[..., None], one, one > 0, scale=0.75
        ... )
        >>> found = solve_linear_program(level)
        >>> [round(float(x), 9) for x in (found.value, found.occupancy)]
        [4.0, 4.0]
    """
    from scipy.optimize import linprog

    cost = _start(level, start)
    rows, right, state, action = _constraints(level)
    num_states = level.num_states
    device = level.reward.device
    value = torch.zeros(num_states, dtype=torch.float64, device=device)
    occupancy = torch.zeros(level.allowed.shape, dtype=torch.float64, device=device)
    if not len(right):
        return LinearProgramSolution(value, Status.SOLVED, occupancy=occupancy)
    live = level.active.cpu().numpy()
    found = linprog(
        np.where(live, cost, 0.0),
        A_ub=rows,
        b_ub=right,
        bounds=[(None, None) if is_live else (0.0, 0.0) for is_live in live],
        method="highs",
    )
    if found.x is None or found.status != 0:
        raise NotConvergedError(
            f"the linear program of {num_states} states must have a solution; HiGHS says: "
            f"{found.message}; check transience(level)"
        )
    value[:] = torch.from_numpy(found.x)
    mass = torch.from_numpy(np.maximum(0.0, -found.ineqlin.marginals)).to(device)
    occupancy[torch.from_numpy(state), torch.from_numpy(action)] = mass
    return LinearProgramSolution(
        value, Status.SOLVED, iterations=int(found.nit), occupancy=occupancy
    )


def _start(level: ScalarLevel, start: Tensor | None) -> np.ndarray:
    if start is None:
        return np.ones(level.num_states)
    if start.shape != (level.num_states,):
        raise ShapeError(
            f"start must be one number a state, ({level.num_states},); given {tuple(start.shape)}"
        )
    if not bool(torch.isfinite(start).all() & (start >= 0).all()):
        raise DomainError("start must hold finite numbers ≥ 0")
    return np.asarray(start.double().cpu().numpy())


def _constraints(level: ScalarLevel) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Return Σ W V − V(s) ≤ −r(s, a) as (matrix, right side), and state and action of each row."""
    from scipy.sparse import csr_matrix

    allowed = level.allowed.cpu()
    state, action = (x.numpy() for x in torch.nonzero(allowed, as_tuple=True))
    count, num_successors = len(state), level.successor.shape[2]
    weight = (level.weight.cpu()[state, action].double() * level.scale).numpy()
    successor = level.successor.cpu()[state, action].numpy()
    numbers = np.arange(count)
    data = np.concatenate((weight.reshape(-1), -np.ones(count)))
    columns = np.concatenate((successor.reshape(-1), state))
    row = np.concatenate((np.repeat(numbers, num_successors), numbers))
    matrix = csr_matrix((data, (row, columns)), shape=(count, level.num_states))
    return matrix, -level.reward.cpu()[state, action].numpy(), state, action
