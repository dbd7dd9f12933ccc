"""An exact solution that anyone can check again by inserting it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import sparse
from torch import Tensor

from coset.core.errors import DomainError
from coset.core.results import Certificate
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.solvers.end_components import maximal_end_components, reach_almost_surely
from coset.decisions.solvers.rational_linear import solve_fixed_point

__all__ = ["ExactPolicyCertificate"]

_ZERO = Fraction(0)


@dataclass(frozen=True, eq=False, repr=False)
class ExactPolicyCertificate(Certificate):
    """Exact values, a policy, and where each other action lost.

    Attributes:
        mdp: the process.
        value: V*(s) of each state and objective, as text.
        policy: (S,) int64.
        lost_at: (S, A) int8, as in `MDPSolution`.

    Claims: decisions.C8.
    """

    mdp: RationalMDP
    value: tuple[tuple[str, ...], ...]
    policy: Tensor
    lost_at: Tensor

    def __repr__(self) -> str:
        return f"ExactPolicyCertificate({self.mdp!r})"

    def verify(self) -> bool:
        """Check optimality in exact arithmetic, without solving anything.

        At each level V ≥ r + W V for every action that was left, with equality exactly for those
        that survive; the policy leaves every end component of survivors in which staying would
        earn less than V; and no such component hides more than V.

        Returns:
            Whether all of it holds.
        """
        exists = [[bool(action) for action in state] for state in self.mdp.events]
        lost = self.lost_at.tolist()
        size, width, depth = self.mdp.num_states, self.mdp.num_actions, self.mdp.num_objectives
        if (
            self.lost_at.shape != (size, width)
            or self.policy.shape != (size,)
            or [len(row) for row in self.value] != [depth] * size
        ):
            return False
        shown = all(
            (lost[s][a] >= 0) == here and lost[s][a] <= depth
            for s, row in enumerate(exists)
            for a, here in enumerate(row)
        )
        if not shown:
            return False
        try:
            value = [[Fraction(x) for x in row] for row in self.value]
        except (ValueError, ZeroDivisionError):  # no number is written there
            return False
        policy = self.policy.tolist()
        for s, row in enumerate(exists):
            if any(row):
                if not 0 <= policy[s] < width or lost[s][policy[s]] != depth:
                    return False
            elif policy[s] != -1 or any(value[s]):
                return False
        levels = [_CheckedLevel(self.mdp, k, value, lost) for k in range(depth)]
        return all(level.holds(levels[:k], policy) for k, level in enumerate(levels))

    def explain(self) -> str:
        """Say what is proved.

        Returns:
            One sentence.
        """
        kept = int((self.lost_at == self.mdp.num_objectives).sum())
        gone = int((self.lost_at >= 0).sum()) - kept
        return (
            f"in exact arithmetic {gone} actions are worse at the objective at which they lost, "
            f"{kept} attain every optimum at once, and the policy is among them"
        )


class _CheckedLevel:
    """One level with its values inserted."""

    def __init__(
        self, mdp: RationalMDP, index: int, value: list[list[Fraction]], lost: list[list[int]]
    ) -> None:
        self.value = [row[index] for row in value]
        self.index, self.size, self.width = index, mdp.num_states, mdp.num_actions
        self.pairs: list[tuple[int, int]] = []
        self.rows: list[dict[int, Fraction]] = []
        self.reward: list[Fraction] = []
        self.survives: list[bool] = []
        for s, a in _left(lost, index):
            row: dict[int, Fraction] = {}
            reward = _ZERO
            for event in mdp.events[s][a]:
                multiplier = event.multiplier[index]
                above = sum(
                    (multiplier[j] * value[event.successor][j] for j in range(index)), _ZERO
                )
                reward += event.probability * (event.reward[index] + above)
                weight = event.probability * multiplier[index]
                if weight and any(x >= 0 for x in lost[event.successor]):
                    row[event.successor] = row.get(event.successor, _ZERO) + weight
            self.pairs.append((s, a))
            self.rows.append(row)
            self.reward.append(reward)
            self.survives.append(lost[s][a] > index)
        self.sums = [sum(row.values(), _ZERO) for row in self.rows]

    def holds(self, above: list[_CheckedLevel], policy: list[int]) -> bool:
        """Check this level, the ones above being given."""
        for (s, _), row, reward, survives in zip(
            self.pairs, self.rows, self.reward, self.survives, strict=True
        ):
            gap = self.value[s] - reward - sum((w * self.value[j] for j, w in row.items()), _ZERO)
            if gap < 0 or (gap == 0) != survives:
                return False
        if any(total > 1 for total in self.sums):
            return self._dies_out()
        return self._bounds_components(above) and self._is_attained(policy)

    def _dies_out(self) -> bool:
        """Improve lifetimes until none is longer: then max w = 1 + W w ≥ 1 is finite."""
        best: dict[int, int] = {}
        for i, (s, _) in enumerate(self.pairs):
            best.setdefault(s, i)
        states = sorted(best)
        at = {s: i for i, s in enumerate(states)}
        while True:
            rows = [{at[j]: w for j, w in self.rows[best[s]].items()} for s in states]
            try:
                lifetime = solve_fixed_point(rows, [Fraction(1)] * len(states))
            except DomainError:
                return False
            if min(lifetime) < 1:
                return False
            longer = False
            for i, (s, _) in enumerate(self.pairs):
                moved = sum((w * lifetime[at[j]] for j, w in self.rows[i].items()), _ZERO)
                if 1 + moved > lifetime[at[s]]:
                    best[s], longer = i, True
            if not longer:
                return True

    def links(self, chosen: list[bool]) -> tuple[np.ndarray, sparse.csr_array, np.ndarray]:
        """Return states and successors of some pairs, and which keep all their mass."""
        kept = [i for i, c in enumerate(chosen) if c]
        row = [n for n, i in enumerate(kept) for _ in self.rows[i]]
        column = [j for i in kept for j in self.rows[i]]
        shape = (len(kept), self.size)
        matrix = sparse.coo_array((np.ones(len(row)), (row, column)), shape=shape).tocsr()
        state = np.array([self.pairs[i][0] for i in kept], dtype=np.int64)
        return state, matrix, np.array([self.sums[i] == 1 for i in kept], dtype=bool)

    def _bounds_components(self, above: list[_CheckedLevel]) -> bool:
        """Check that staying for ever among survivors is worth at most V, or is not allowed."""
        state, matrix, full = self.links(self.survives)
        parts = maximal_end_components(state, matrix, full)
        kept = [i for i, s in enumerate(self.survives) if s]
        for label in range(parts.count):
            members = np.flatnonzero(parts.label == label).tolist()
            inside = [kept[i] for i in np.flatnonzero(parts.inside & (parts.label[state] == label))]
            if any(self.reward[i] != 0 for i in inside):
                return False
            if self.value[members[0]] < 0 and not _barred(
                above, members, [self.pairs[i] for i in inside]
            ):
                return False
        return True

    def _is_attained(self, policy: list[int]) -> bool:
        """Check that the policy never stays where V ≠ 0."""
        mine = [policy[s] == a for s, a in self.pairs]
        state, matrix, full = self.links(mine)
        target = np.array([v == 0 for v in self.value])
        usable = np.ones(len(state), dtype=bool)
        way = reach_almost_surely(state, matrix, usable, ~full, target)
        return not bool((way[state] == -2).any())


def _left(lost: list[list[int]], index: int) -> Iterator[tuple[int, int]]:
    for s, row in enumerate(lost):
        for a, at in enumerate(row):
            if at >= index:
                yield s, a


def _barred(above: list[_CheckedLevel], members: list[int], pairs: list[tuple[int, int]]) -> bool:
    """Tell whether a level above forbids to stay: it promises more, and goes on for certain."""
    for level in above:
        total = {pair: level.sums[i] for i, pair in enumerate(level.pairs)}
        if all(level.value[s] > 0 for s in members) and all(total[p] == 1 for p in pairs):
            return True
    return False
