"""Which of the surviving actions attain an undiscounted level: those that do not stay for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from coset.core.errors import UnsupportedError
from coset.decisions.errors import NoOptimalPolicyError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.end_components import maximal_end_components, reach_almost_surely
from coset.decisions.solvers.pair_problem import full_mass
from coset.decisions.solvers.state_list import list_states
from coset.decisions.solvers.undiscounted import LevelValues

__all__ = ["Trap", "actions_free_of", "admissible_policy", "leaves", "leaving_choice", "trap_of"]


@dataclass(frozen=True, eq=False)
class Trap:
    """Where an undiscounted objective promises a value > 0 that only leaving collects.

    Attributes:
        index: the objective, counted from 0.
        states: (S,) bool: its value there is > 0.
        full: (S, A) bool: actions under which its process goes on for certain.
        links: (S · A, S) sparse; an entry > 0 is a possible successor with multiplier > 0.
    """

    index: int
    states: np.ndarray
    full: np.ndarray
    links: sparse.csr_array

    @classmethod
    def of_level(cls, level: ScalarLevel, states: np.ndarray, index: int) -> Trap:
        """Describe a set of states of a level, and where its actions lead.

        Args:
            level: the level.
            states: (S,) bool.
            index: the objective.

        Returns:
            The trap.
        """
        num_states, num_actions, _ = level.successor.shape
        used = (level.weight > 0).cpu().numpy()
        pair = np.broadcast_to(
            np.arange(num_states * num_actions).reshape(num_states, num_actions, 1), used.shape
        )
        columns = level.successor.cpu().numpy()[used]
        links = sparse.coo_array(
            (np.ones(len(columns), dtype=np.int32), (pair[used], columns)),
            shape=(num_states * num_actions, num_states),
        ).tocsr()
        ended = ~level.active.cpu().numpy()
        ends = (links @ ended.astype(np.int32) > 0).reshape(num_states, num_actions)
        return cls(index, states, full_mass(level) & ~ends, links)


def trap_of(level: ScalarLevel, graph: LevelValues, index: int) -> Trap | None:
    """Return the trap of a solved undiscounted level, if it has one.

    Args:
        level: the level.
        graph: its values.
        index: the objective.

    Returns:
        The trap, or ``None`` if staying anywhere costs nothing.
    """
    waiting = (graph.component >= 0) & ~graph.stays & (graph.value > graph.low)
    if not waiting.any():
        return None
    return Trap.of_level(level, graph.value > graph.low, index)


def actions_free_of(traps: Sequence[Trap], shape: tuple[int, int]) -> np.ndarray:
    """Tell which actions, repeated for ever, do not keep the process in a trap for certain.

    Args:
        traps: those of the levels above.
        shape: (S, A).

    Returns:
        (T, S, A) bool, T the number of traps. One may stay in an end component if for each trap
        one of the actions inside is free of it.
    """
    free = [~trap.states[:, None] | ~trap.full for trap in traps]
    return np.stack(free) if free else np.ones((0, *shape), dtype=bool)


def admissible_policy(allowed: Tensor, traps: Sequence[Trap]) -> Tensor:
    """Return a policy of the surviving actions that leaves every trap with probability 1.

    Args:
        allowed: (S, A) bool, the actions that survived.
        traps: where staying for ever would collect nothing.

    Returns:
        (S,) int64: outside of traps the first action that survived; −1 at terminal states.

    Raises:
        NoOptimalPolicyError: if the surviving actions cannot leave a trap: what the levels below
            want is approached by leaving later and later, and not attained.
        UnsupportedError: if two levels need different actions in one state.

    Claims: decisions.C8b.
    """
    kept = allowed.cpu().numpy()
    # Of torch, which is quick along short rows.
    policy = np.where(allowed.any(1).cpu().numpy(), kept.argmax(1), -1)
    routed = np.zeros(len(policy), dtype=bool)
    for trap in traps:
        choice = leaving_choice(trap, kept)
        stuck = (choice == -2) & trap.states
        if stuck.any():
            _refuse(trap, kept, stuck)
        inside = trap.states & (choice >= 0) & ~routed
        policy[inside] = choice[inside] % kept.shape[1]
        routed |= trap.states
    for trap in traps[1:] and traps:
        if not leaves(trap, policy):
            raise UnsupportedError(
                f"one action a state must attain all objectives; objective {trap.index + 1} and "
                f"another undiscounted one need different actions in one state; only a randomized "
                f"policy attains both; discount one of them"
            )
    return torch.from_numpy(policy).to(allowed.device)


def leaving_choice(trap: Trap, kept: np.ndarray) -> np.ndarray:
    """Find actions under which a trap is left with probability 1.

    Args:
        trap: the trap.
        kept: (S, A) bool, the actions that may be used.

    Returns:
        (S,) int64: s · A + a; −1 outside of the trap, −2 where no policy leaves for certain.
    """
    state = np.repeat(np.arange(len(kept)), kept.shape[1])
    return reach_almost_surely(
        state, trap.links, kept.reshape(-1), ~trap.full.reshape(-1), ~trap.states
    )


def leaves(trap: Trap, policy: np.ndarray) -> bool:
    """Tell whether a policy leaves a trap with probability 1.

    Args:
        trap: the trap.
        policy: (S,) integers, an action, or −1 where there is none.

    Returns:
        Whether it does from each state of the trap.
    """
    mine = np.zeros_like(trap.full)
    live = np.flatnonzero(policy >= 0)
    mine[live, policy[live]] = True
    return not bool(((leaving_choice(trap, mine) == -2) & trap.states).any())


def _refuse(trap: Trap, kept: np.ndarray, stuck: np.ndarray) -> None:
    num_states, num_actions = kept.shape
    state = np.repeat(np.arange(num_states), num_actions)
    usable = (kept & trap.full & stuck[:, None]).reshape(-1)
    parts = maximal_end_components(state, trap.links, usable)
    members = np.flatnonzero(parts.label == 0)
    inside = parts.inside.reshape(kept.shape)
    actions = tuple(tuple(int(a) for a in np.flatnonzero(inside[s])) for s in members)
    shown = list_states(members)
    where = f"state{'s' if len(members) > 1 else ''} {shown}"
    raise NoOptimalPolicyError(
        f"an optimal policy must leave {where} to collect objective {trap.index + 1}, yet "
        f"each later objective is better the longer it stays: the best value is approached and "
        f"not attained; discount objective {trap.index + 1}, or give staying a cost",
        tuple(int(s) for s in members),
        actions,
    )
