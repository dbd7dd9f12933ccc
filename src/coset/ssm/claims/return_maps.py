"""A return map that keeps every representation corrects no error among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim


def fixing_maps(points: Tensor) -> Tensor:
    """Return a basis of all affine maps that fix every point, in exact arithmetic.

    A map x ↦ x + N x + s fixes the points iff N c + s = 0 for each, row by row: (N_i, s_i) lies in
    the null space of [c 1].

    Args:
        points: (n, d) int64.

    Returns:
        (K, d + 1) int64: integer rows (N_i, s_i) that span the null space; each of the d rows of
        (N, s) may be any combination of them.

    Claims: ssm.C8.

    Example:
        >>> fixing_maps(torch.tensor([[1, 0], [3, 0]])).tolist()
        [[0, 1, 0]]
    """
    return _null_space(torch.cat((points, torch.ones_like(points[:, :1])), 1))


def _null_space(rows: Tensor) -> Tensor:
    """Return an integer basis of {v : rows v = 0} by elimination in fractions."""
    matrix = [[Fraction(int(x)) for x in row] for row in rows.tolist()]
    width, pivots = rows.shape[1], list[int]()
    for column in range(width):
        below = [i for i in range(len(pivots), len(matrix)) if matrix[i][column] != 0]
        if not below:
            continue
        at = len(pivots)
        matrix[at], matrix[below[0]] = matrix[below[0]], matrix[at]
        head = matrix[at][column]
        matrix[at] = [x / head for x in matrix[at]]
        for i, row in enumerate(matrix):
            if i != at and row[column] != 0:
                matrix[i] = [x - row[column] * y for x, y in zip(row, matrix[at], strict=True)]
        pivots.append(column)
    found = []
    for free in (c for c in range(width) if c not in pivots):
        vector = [Fraction(int(c == free)) for c in range(width)]
        for i, column in enumerate(pivots):
            vector[column] = -matrix[i][free]
        scale = np.lcm.reduce([x.denominator for x in vector])
        found.append([int(x * int(scale)) for x in vector])
    return torch.tensor(found, dtype=torch.int64).reshape(len(found), width)


def _first_two_fixed(points: Tensor) -> Tensor:
    return fixing_maps(points[:2])


def _mean_fixed(points: Tensor) -> Tensor:
    return fixing_maps(points.sum(0, keepdim=True)) if len(points) > 2 else fixing_maps(points)


def _linear_part_only(points: Tensor) -> Tensor:
    return torch.nn.functional.pad(_null_space(points), (0, 1))


@claim(
    "ssm.C8",
    title="a return map that keeps all representations corrects no error among them",
    statement="""If an affine map fixes the representation c_g of every value g, it is the identity
        on span{c_g − c_h}: an error along a difference of representations is returned unchanged.
        The maps that fix them are exactly x ↦ x + N x + s whose rows (N_i, s_i) annihilate
        every (c_g, 1): d (d − dim span) dimensions. For a compiled tracker every word of value e
        is such a map, and turns every coordinate by exactly 0.""",
    hypotheses="exact arithmetic; random integer points, and the trackers of S3, A4, S4",
    source="[site] Chung et al., arXiv 2605.07755; the count is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "only the first two representations are fixed": _first_two_fixed,
        "only their mean is fixed": _mean_fixed,
        "the shift is left out": _linear_part_only,
    },
    near_misses=lambda: [(torch.tensor([[0, 0, 0], [3, 1, 0]]),), (torch.tensor([[2, 4]]),)],
)
def C8(
    maps: Callable[[Tensor], Tensor] = fixing_maps, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge ssm.C8: fixed points, identity on their span, the right dimension; words of value e."""
    number = {"smoke": 40, "cpu": 400, "paper": 2000}[preset]
    wrong, first = 0, None
    for points in _point_sets(number, generator):
        rows = maps(points)
        ones = torch.ones_like(points[:, :1])
        moved = torch.cat((points, ones), 1) @ rows.T  # N c + s of every combination of rows
        along = (points - points[:1]) @ rows[:, :-1].T
        span = int(torch.linalg.matrix_rank((points - points[:1]).double()))
        right_size = len(rows) == points.shape[1] - span
        if moved.any() or along.any() or not right_size:
            wrong += 1
            first = first or {"points": points.tolist(), "rows": rows.tolist()}
    turned = sum(_turns(name, generator) for name in ("S3", "A4", "S4"))
    return ClaimResult(
        holds=wrong == 0 and turned == 0,
        measured=float(wrong + turned),
        bound=0.0,
        detail=f"{wrong} of {number} sets of points, {turned} words of value e, are not as claimed",
        sample_size=number,
        counterexample=first,
    )


def _point_sets(number: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Give random integer points inside random subspaces, shifted."""
    for _ in range(number):
        d, rank, n = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in ((2, 6), (1, 4), (3, 8))
        )
        inner = torch.randint(-4, 5, (n, min(rank, d)), generator=generator)
        frame = torch.randint(-3, 4, (min(rank, d), d), generator=generator)
        yield inner @ frame + torch.randint(-3, 4, (1, d), generator=generator)


def _turns(name: str, generator: torch.Generator) -> int:
    """Count random words of value e after which a compiled tracker's phases have turned."""
    from coset.ssm.compile import compile_group

    tracker = compile_group(name)
    words = torch.randint(tracker.num_tokens, (32, 20), generator=generator)
    values = tracker.track(words)[:, -1]
    inverse = torch.as_tensor(tracker.group.inverse.copy()).long()[values]
    closed = torch.cat((words, inverse[:, None]), 1)  # token x is element x
    starts = torch.as_tensor(tracker.cascade.reachable())
    ends = [tracker.cascade.run(closed, int(start))[:, -1] for start in starts]
    return int(sum((end != start).sum() for end, start in zip(ends, starts, strict=True)))
