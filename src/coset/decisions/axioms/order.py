"""What stated preferences say before any utility is sought: coverage, circles, exchanges.

Each search costs about N log N for N preferences.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from coset.core.results import Verdict
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.preferences import INDIFFERENT, STRICT, WEAK, Preferences
from coset.decisions.preferences.lottery import Number

__all__ = ["Coverage", "OrderVerdict", "completeness", "independence", "transitivity"]

_BREADTH_SEARCHES = 30
_PARALLEL = 1e-12
_TRIALS = 8


@dataclass(frozen=True)
class Coverage(Verdict):
    """How much of the order was asked for.

    Attributes:
        num_lotteries: how many different lotteries appear.
        num_compared: how many unordered pairs of them were compared.
        num_possible: how many such pairs there are.
        num_islands: into how many groups the lotteries fall that no comparison joins.
    """

    num_lotteries: int = 0
    num_compared: int = 0
    num_possible: int = 0
    num_islands: int = 0


@dataclass(frozen=True, eq=False)
class OrderVerdict(Verdict):
    """Whether an axiom survives the data by themselves.

    Attributes:
        certificate: the preferences that break it, if any do.
    """

    certificate: PreferenceCertificate | None = None


def completeness(preferences: Preferences) -> Coverage:
    """Count which pairs of lotteries were compared; holds iff all were.

    Args:
        preferences: the data.

    Returns:
        The counts. Data that are not complete contradict nothing.

    Examples:
        >>> found = completeness(Preferences.from_pairs(strict=[("a", "b"), ("c", "d")]))
        >>> found.num_compared, found.num_possible, found.num_islands
        (2, 6, 2)
    """
    from scipy.sparse.csgraph import connected_components

    num = preferences.num_lotteries
    low = np.minimum(preferences.preferred, preferences.other)
    high = np.maximum(preferences.preferred, preferences.other)
    compared = len(np.unique((low * num + high)[low != high]))
    possible = num * (num - 1) // 2
    islands = int(connected_components(_graph(preferences), directed=False)[0]) if num else 0
    return Coverage(
        holds=compared == possible,
        reason=f"{compared:,} of {possible:,} pairs of lotteries were compared, in {islands:,} "
        f"{'group' if islands == 1 else 'groups'} that comparisons join",
        num_lotteries=num,
        num_compared=compared,
        num_possible=possible,
        num_islands=islands,
    )


def transitivity(preferences: Preferences) -> OrderVerdict:
    """Search for preferences that run in a circle with a strict one in it.

    Finds one iff there is one: a strict preference inside a strongly connected component of the
    graph of ≿. The circle returned is the shortest through one of the first 30 such preferences.

    Args:
        preferences: the data; lotteries are the same if their weights are equal.

    Returns:
        The verdict, with the circle as a certificate.

    Examples:
        >>> cycle = Preferences.from_pairs(strict=[("a", "b"), ("b", "c"), ("c", "a")])
        >>> transitivity(cycle).certificate.weights
        (Fraction(1, 3), Fraction(1, 3), Fraction(1, 3))

    Claims: decisions.C1b.
    """
    found = _shortest_circle(preferences)
    if found is None:
        return OrderVerdict(True, "no circle of preferences has a strict one in it")
    kind = "itself" if len(found) == 1 else f"a circle of {len(found)} preferences"
    return OrderVerdict(
        False,
        f"a lottery is strictly preferred to {kind}" if len(found) == 1 else f"there is {kind}",
        certificate=_certificate(preferences, found),
    )


def independence(preferences: Preferences) -> OrderVerdict:
    """Search for two preferences that judge one exchange of probability in two ways.

    If p − q and r − s have one direction, then Independence wants one answer to both. Only two
    preferences at a time are looked at; `check` looks at all.

    Args:
        preferences: the data.

    Returns:
        The verdict, with the two preferences as a certificate.

    Claims: decisions.C1b.
    """
    found = _opposed(preferences)
    if found is None:
        return OrderVerdict(True, "no two preferences judge one exchange in two ways")
    return OrderVerdict(
        False,
        "two preferences judge one exchange of probability in two ways",
        certificate=_certificate(preferences, found),
    )


def _certificate(preferences: Preferences, weights: dict[int, Number]) -> PreferenceCertificate:
    if not preferences.is_exact:
        weights = {i: float(w) for i, w in weights.items()}
    return PreferenceCertificate.of(preferences, weights)


def _graph(preferences: Preferences) -> object:
    """Return the graph of ≿ between lotteries."""
    from scipy.sparse import csr_array

    both = preferences.relation == INDIFFERENT
    tail = np.concatenate([preferences.preferred, preferences.other[both]])
    head = np.concatenate([preferences.other, preferences.preferred[both]])
    size = preferences.num_lotteries
    graph = csr_array((np.ones(len(tail), dtype=np.int8), (tail, head)), shape=(size, size))
    graph.sum_duplicates()
    graph.data[:] = 1  # counts of duplicates could overflow to 0
    return graph


def _shortest_circle(preferences: Preferences) -> dict[int, Number] | None:
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    p, q = preferences.preferred, preferences.other
    strict = preferences.relation == STRICT
    themselves = np.flatnonzero(strict & (p == q))
    if len(themselves):
        return {int(themselves[0]): Fraction(1)}
    if not strict.any():
        return None
    graph = _graph(preferences)
    _, component = connected_components(graph, connection="strong")
    inside = np.flatnonzero(strict & (component[p] == component[q]))
    if not len(inside):
        return None
    best: tuple[int, list[int]] | None = None
    for pair in _two_circles_first(preferences, inside)[:_BREADTH_SEARCHES].tolist():
        _, before = breadth_first_order(graph, int(q[pair]), return_predecessors=True)
        path = [int(p[pair])]
        while path[-1] != q[pair]:
            path.append(int(before[path[-1]]))
        if best is None or len(path) < len(best[1]):
            best = pair, path[::-1]
        if len(path) == 2:
            break
    assert best is not None
    return _edges(preferences, *best)


def _two_circles_first(preferences: Preferences, inside: np.ndarray) -> np.ndarray:
    """Put the strict preferences first of which the reverse was stated, too."""
    size = preferences.num_lotteries
    p, q = preferences.preferred, preferences.other
    both = preferences.relation == INDIFFERENT
    stated = np.concatenate([p * size + q, (q * size + p)[both]])
    reverse = np.isin(q[inside] * size + p[inside], stated)
    return np.concatenate([inside[reverse], inside[~reverse]])


def _edges(preferences: Preferences, pair: int, path: list[int]) -> dict[int, Number]:
    """Return the preferences along a path that the strict one closes, each with weight ±1."""
    wanted = set(itertools.pairwise(path))
    found: dict[tuple[int, int], tuple[int, int]] = {}
    touched = np.isin(preferences.preferred, path) & np.isin(preferences.other, path)
    for i in np.flatnonzero(touched).tolist():
        p, q = int(preferences.preferred[i]), int(preferences.other[i])
        if (p, q) in wanted:
            found.setdefault((p, q), (i, 1))
        if (q, p) in wanted and preferences.relation[i] == INDIFFERENT:
            found.setdefault((q, p), (i, -1))
    weights: dict[int, Number] = {pair: Fraction(1)}
    weights.update({i: Fraction(sign) for i, sign in found.values()})
    return weights


def _opposed(preferences: Preferences) -> dict[int, Number] | None:
    """Return weights of two preferences whose differences cancel, one of them strict."""
    matrix = preferences.differences
    if not matrix.shape[0] or not matrix.shape[1]:
        return None
    probe = np.random.default_rng(0).uniform(0.5, 1.5, size=matrix.shape[1])
    length = np.sqrt((matrix * matrix).sum(axis=1))
    sign_of = matrix @ probe
    filled = np.flatnonzero((length > 0) & (sign_of != 0))
    # Rows of one direction have one angle to the probe, whatever their length.
    angle = np.abs(sign_of[filled]) / length[filled]
    order = np.argsort(angle, kind="stable")
    rows, angle = filled[order], angle[order]
    ends = np.flatnonzero(np.diff(angle, append=np.inf) > _PARALLEL * matrix.shape[1]) + 1
    starts = np.concatenate([[0], ends[:-1]])
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        found = _opposed_in(preferences, rows[start:end], np.sign(sign_of[rows[start:end]]))
        if found is not None:
            return found
    return None


def _opposed_in(
    preferences: Preferences, rows: np.ndarray, sign: np.ndarray
) -> dict[int, Number] | None:
    relation = preferences.relation[rows]
    for side in (1, -1):
        for i in rows[(relation == STRICT) & (sign == side)][:_TRIALS]:
            against = ((relation <= WEAK) & (sign == -side)) | (relation == INDIFFERENT)
            for j in rows[against][:_TRIALS]:
                found = _cancel(preferences, int(i), int(j))
                if found is not None:
                    return found
    return None


def _cancel(preferences: Preferences, i: int, j: int) -> dict[int, Number] | None:
    """Return weights with w_i d_i + w_j d_j = 0, if the rows are parallel."""
    first, second = preferences.exact_difference(i), preferences.exact_difference(j)
    if set(first) != set(second):
        return None
    outcome = next(iter(first))
    ratio = -first[outcome] / second[outcome]
    if any(first[o] + ratio * second[o] != 0 for o in first):
        return None
    if ratio < 0 and preferences.relation[j] != INDIFFERENT:
        return None
    return {i: Fraction(1), j: ratio}
