"""Hand dense problems to the compiled loops: tables as arrays, a plan, and joints back."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coset.beliefs.solvers.kernels.plan import EliminationPlan, Scope, elimination_plan, positions
from coset.beliefs.solvers.problem import DenseProblem, Term
from coset.beliefs.solvers.result import DenseResult

__all__ = ["solve_compiled"]

# From so many problems on they are solved side by side, in the lanes of vector instructions.
LEAST_BATCH = 48
LANES = 64
# Fewer problems than this are not worth a thread of their own.
LEAST_SHARE = 256


@dataclass(frozen=True, eq=False)
class _Tables:
    """A batch of problems as arrays: costs, what is forbidden, where to start, by leaf row."""

    plan: EliminationPlan
    cost: NDArray[np.float64]
    ban: NDArray[np.float64]
    start: NDArray[np.float64]
    arcs: tuple[Any, ...]


def solve_compiled(
    problem: DenseProblem, tol: float, max_iter: int, start: Tensor | None
) -> DenseResult:
    """Solve a batch of problems without constraints in compiled loops on the CPU.

    Args:
        problem: the problem, convex, on the CPU, with at least one free variable; every element
            of the batch has an allowed world.
        tol: the gap at which to stop.
        max_iter: the largest number of iterations.
        start: log μ to start from, (num, *shape), finite; uniform, if none.

    Returns:
        The result, with one batch axis; values and gaps are NaN where floats did not suffice.

    Complexity: of an iteration: the entries of all tables that elimination makes, each with one
    exponential and two additions a part.
    """
    from coset.beliefs.solvers.kernels.lanes import descend, memory_of

    num = math.prod(problem.batch_shape)
    tables = _tables(problem, num, start)
    plan = tables.plan
    log_tables = np.empty((num, plan.num_leaf_rows))
    values, gaps = np.empty(num), np.empty(num)
    iterations = np.empty(num, dtype=np.int64)
    most = int(tables.arcs[4].max(initial=1))
    parameters = (float(problem.gamma), float(problem.smoothness), float(tol), int(max_iter))
    lanes = (0,) * (LANES if num >= LEAST_BATCH else 1)

    masked = problem.allowed is not None

    def share(begin: int, end: int) -> None:
        memory = memory_of(plan, most, len(lanes), float(problem.gamma), masked)
        descend(
            plan.arrays(),
            (plan.links, plan.shared),
            tables.arcs,
            (tables.cost, tables.ban, tables.start),
            parameters,
            (log_tables, values, gaps, iterations),
            memory,
            begin,
            end,
            lanes,
        )

    _run(share, num)
    return DenseResult(
        value=torch.from_numpy(values),
        log_joint=_joint(problem.shape, plan, torch.from_numpy(log_tables), masked),
        gap=torch.from_numpy(gaps),
        iterations=int(iterations.max(initial=0)),
        converged=bool((gaps <= tol).all()),
    )


def _joint(
    cards: tuple[int, ...], plan: EliminationPlan, log_tables: Tensor, masked: bool
) -> Tensor:
    """Add up the tables: log μ, (num, *cards), −∞ where it is forbidden."""
    from coset.beliefs.solvers.kernels.descent import FORBIDDEN

    total = log_tables.new_zeros((len(log_tables), *cards))
    for i, scope in enumerate(plan.scopes):
        own = [card if axis in scope else 1 for axis, card in enumerate(cards)]
        total += log_tables[:, plan.leaf_first[i] : plan.leaf_first[i + 1]].reshape(-1, *own)
    return total.masked_fill_(total < -FORBIDDEN / 2, -math.inf) if masked else total


def _run(share: Any, num: int) -> None:
    """Call `share` on ranges of problems, in torch's number of threads."""
    threads = min(torch.get_num_threads(), num // LEAST_SHARE)
    if threads < 2:
        share(0, num)
        return
    cuts = [num * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(share, cuts[:-1], cuts[1:]))


def _scope(term: Term, ndim: int) -> Scope:
    return tuple(sorted(ndim + axis for axis in (*term.sources, *term.targets)))


def _tables(problem: DenseProblem, num: int, start: Tensor | None) -> _Tables:
    ndim, cards = len(problem.shape), problem.shape
    everything = tuple(range(ndim))
    scopes: dict[Scope, None] = {}
    if start is not None or problem.allowed is not None:
        # Neither a start nor costs with gaps are sums of functions of few variables
        scopes[everything] = None
    scopes.update((_scope(term, ndim), None) for term in problem.terms)
    scopes.pop((), None)
    covered = {axis for scope in scopes for axis in scope}
    scopes.update(((axis,), None) for axis in everything if axis not in covered)
    plan = elimination_plan(cards, tuple(scopes))
    place = {scope: i for i, scope in enumerate(plan.scopes)}
    cost = _costs(problem, plan, num)
    ban = np.zeros((0, 0)) if problem.allowed is None else _ban(problem, plan, num)
    starts = np.zeros((0, 0))
    if start is not None:
        starts = np.zeros_like(cost)
        leaf = place[everything]
        starts[:, plan.leaf_first[leaf] : plan.leaf_first[leaf + 1]] = start.reshape(
            num, -1
        ).numpy()
    return _Tables(plan, cost, ban, starts, _arcs(problem, plan, place))


def _spread(table: Tensor, ndim: int, batch: torch.Size, num: int) -> NDArray[Any]:
    """Return (num, entries), with one batch axis."""
    own = table.shape[table.ndim - ndim :]
    flat = table.expand((*batch, *own)).reshape(num, -1)
    array: NDArray[Any] = flat.numpy()
    return array


def _costs(problem: DenseProblem, plan: EliminationPlan, num: int) -> NDArray[np.float64]:
    """Write the costs as a sum of functions of the scopes: (num, rows of leaves).

    Each takes what is left where all other variables have their first value: exact for any such
    sum, from a few slices of it.
    """
    ndim, batch = len(problem.shape), problem.batch_shape
    cost = problem.cost.detach().double().expand((*batch, *problem.shape))
    cost = cost.reshape(num, *problem.shape)
    parts: list[Tensor] = []
    for scope in plan.scopes:
        left = _slice(cost, scope, ndim)
        for part in parts:
            left = left - _slice(part, scope, ndim)
        parts.append(left)
    return np.concatenate([part.reshape(num, -1).numpy() for part in parts], 1)


def _slice(table: Tensor, scope: Scope, ndim: int) -> Tensor:
    """Set all variables that are not of the scope to their first value."""
    index = [slice(None) if axis in scope else slice(0, 1) for axis in range(ndim)]
    return table[(slice(None), *index)]


def _ban(problem: DenseProblem, plan: EliminationPlan, num: int) -> NDArray[np.float64]:
    """Return what is forbidden for each row: entries all of whose worlds are."""
    from coset.beliefs.solvers.kernels.descent import FORBIDDEN

    assert problem.allowed is not None
    ndim = len(problem.shape)
    parts = []
    for scope in plan.scopes:
        rest = [axis - ndim for axis in range(ndim) if axis not in scope]
        allowed = problem.allowed.float().amax(rest, keepdim=True) if rest else problem.allowed
        parts.append(_spread(~allowed.bool(), ndim, problem.batch_shape, num))
    return np.concatenate(parts, 1) * FORBIDDEN


def _arcs(problem: DenseProblem, plan: EliminationPlan, place: dict[Scope, int]) -> tuple[Any, ...]:
    """Return (first row, length, where `source_of` begins, it, sources, weight, −log targets)."""
    ndim = len(problem.shape)
    terms = [term for term in problem.terms if term.weight and term.targets]
    leaves = [place[_scope(term, ndim)] for term in terms]
    first = np.array([plan.leaf_first[i] for i in leaves], dtype=np.int64)
    length = np.array([plan.leaf_first[i + 1] for i in leaves], dtype=np.int64) - first
    sources = [tuple(sorted(ndim + axis for axis in term.sources)) for term in terms]
    source_of = [
        positions(problem.shape, _scope(term, ndim), own)
        for term, own in zip(terms, sources, strict=True)
    ]
    counts = [math.prod(problem.shape[axis] for axis in own) for own in sources]
    targets = [math.prod(problem.shape[axis] for axis in term.targets) for term in terms]
    return (
        first,
        length,
        np.cumsum(length) - length,
        np.concatenate([np.zeros(0, dtype=np.int64), *source_of]),
        np.array(counts, dtype=np.int64),
        np.array([term.weight for term in terms], dtype=np.float64),
        -np.log(np.array(targets, dtype=np.float64)),
    )
