"""Exact outcomes of actions, and the padded arrays that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from coset.core.errors import FileFormatError
from coset.decisions.processes.mdp import MDP

__all__ = ["Outcome", "outcome_arrays", "outcomes_of"]

_MAX_CELLS = 50_000_000


@dataclass(frozen=True)
class Outcome:
    """One possible outcome of an action, in exact numbers.

    Attributes:
        state: where the action is taken.
        action: which.
        successor: the next state.
        probability: in (0, 1].
        reward: one number an objective.
        multiplier: d rows of d numbers, 0 above the diagonal.
    """

    state: int
    action: int
    successor: int
    probability: Fraction
    reward: tuple[Fraction, ...]
    multiplier: tuple[tuple[Fraction, ...], ...]


def outcome_arrays(
    outcomes: Sequence[Outcome],
    num_states: int,
    num_actions: int,
    num_objectives: int,
    where: str = "the process",
) -> dict[str, torch.Tensor]:
    """Return exact outcomes as the padded arrays of an `MDP`.

    Args:
        outcomes: all of them; a state without any is terminal.
        num_states: S.
        num_actions: A.
        num_objectives: d.
        where: what an error calls the process.

    Returns:
        The arguments of `MDP` by name, in float64.

    Raises:
        FileFormatError: if the padded arrays would have more than 50 million numbers.
    """
    depth = num_objectives
    taken: dict[tuple[int, int], int] = {}
    places = []
    for outcome in outcomes:
        pair = (outcome.state, outcome.action)
        places.append((*pair, taken.get(pair, 0)))
        taken[pair] = places[-1][2] + 1
    shape = (num_states, num_actions, max(taken.values(), default=1))
    if math.prod(shape) * depth**2 > _MAX_CELLS:
        raise FileFormatError(
            f"{where}: states × actions × outcomes × objectives² may be {_MAX_CELLS:,}; given "
            f"{' × '.join(map(str, shape))} × {depth}²; use npz"
        )
    at = tuple(torch.tensor(places, dtype=torch.int64).reshape(-1, 3).T)
    successor = torch.arange(num_states)[:, None, None].expand(shape).clone()
    successor[at] = torch.tensor([o.successor for o in outcomes], dtype=torch.int64)
    probability = torch.zeros(shape, dtype=torch.float64)
    probability[at] = _floats([o.probability for o in outcomes])
    reward = torch.zeros(*shape, depth, dtype=torch.float64)
    reward[at] = _floats([x for o in outcomes for x in o.reward]).reshape(-1, depth)
    flat = _floats([x for o in outcomes for row in o.multiplier for x in row])
    multiplier = _plain(at, flat.reshape(-1, depth, depth), shape)
    mask = (probability > 0).any(-1)
    return {
        "successor": successor,
        "probability": probability,
        "reward": reward,
        "multiplier": multiplier,
        "mask": mask,
        "terminal": ~mask.any(-1),
    }


def _floats(numbers: Sequence[Fraction]) -> torch.Tensor:
    return torch.tensor([float(x) for x in numbers], dtype=torch.float64)


def _plain(
    at: tuple[torch.Tensor, ...], matrices: torch.Tensor, shape: tuple[int, ...]
) -> torch.Tensor:
    """Return multipliers in their smallest form: shared and diagonal where they are."""
    depth = matrices.shape[-1]
    diagonal = matrices.diagonal(dim1=-2, dim2=-1)
    if bool((matrices == torch.diag_embed(diagonal)).all()):
        matrices = diagonal if depth > 1 else diagonal[:, 0]
    if not len(matrices):
        return torch.ones(1, 1, 1, dtype=torch.float64)
    if bool((matrices == matrices[0]).all()):
        return matrices[0].clone().reshape(1, 1, 1, *matrices.shape[1:])
    full = torch.zeros(*shape, *matrices.shape[1:], dtype=torch.float64)
    full[at] = matrices
    return full


def outcomes_of(mdp: MDP) -> tuple[Outcome, ...]:
    """Return every outcome of a process in exact numbers.

    Args:
        mdp: the process.

    Returns:
        The outcomes; a float is read as a fraction with a denominator of at most 10,000 that
        rounds to it, if there is one, and else exactly.
    """
    depth = mdp.num_objectives
    shape = mdp.successor.shape
    reward = mdp.reward.expand(*shape, depth)
    entries = [[mdp.entry(i, j).expand(shape) for j in range(depth)] for i in range(depth)]
    return tuple(
        Outcome(
            s,
            a,
            int(mdp.successor[s, a, k]),
            _simple(float(mdp.probability[s, a, k])),
            tuple(_simple(float(x)) for x in reward[s, a, k]),
            tuple(tuple(_simple(float(e[s, a, k])) for e in row) for row in entries),
        )
        for s, a, k in (mdp.probability > 0).nonzero().tolist()
    )


def _simple(number: float) -> Fraction:
    """Return the simplest fraction that is this float, or the float itself, exactly."""
    exact = Fraction(number)
    simple = exact.limit_denominator(10_000)
    return simple if float(simple) == number else exact
