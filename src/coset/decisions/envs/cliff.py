"""A cliff of any length, with the moves of Gymnasium's CliffWalking."""

from __future__ import annotations

from fractions import Fraction

import torch

from coset.core.errors import DomainError
from coset.decisions.envs.toy_tables import Transition, successor_table, tensors_of
from coset.decisions.envs.toy_text import ToyText

__all__ = ["cliff_walk"]

_LARGEST = 1_000_000
_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left


def cliff_walk(length: int = 10, *, num_rows: int = 4, slippery: bool = True) -> ToyText:
    """Build a cliff between start and goal; to fall ends the episode.

    The bottom row is the start, `length` cells of cliff, and the goal; the other rows are free. On
    slippery ground a move goes as meant, or to its left or right, with chance 1/3 each. Length 10
    and 4 rows is ``CliffWalking-v1`` with a cliff that ends the episode.

    Args:
        length: cells of cliff, ≥ 1.
        num_rows: rows in all, ≥ 2.
        slippery: whether moves can go astray.

    Returns:
        The environment; rewards are −1 a step and −100 for a fall.

    Raises:
        DomainError: if a size is not positive, or there are more than a million cells.

    Example:
        >>> cliff_walk(3).layout
        ('FFFFF', 'FFFFF', 'FFFFF', 'SCCCG')

    Claims: decisions.C10b.
    """
    width = length + 2
    if length < 1 or num_rows < 2 or num_rows * width > _LARGEST:
        raise DomainError(
            f"length must be ≥ 1, num_rows ≥ 2 and cells ≤ {_LARGEST:,}; given length {length} and "
            f"{num_rows} rows"
        )
    layout = ("F" * width,) * (num_rows - 1) + ("S" + "C" * length + "G",)
    letters = "".join(layout)
    turns = (-1, 0, 1) if slippery else (0,)
    rows = [
        [_outcomes(state, move, turns, layout, letters) for move in range(4)]
        for state in range(len(letters))
    ]
    arrays = tensors_of(successor_table(rows))
    start = torch.zeros(len(letters), dtype=torch.float64)
    start[letters.index("S")] = 1.0
    return ToyText(
        name=f"cliff of {length}",
        start=start,
        actions=("up", "right", "down", "left"),
        layout=layout,
        **arrays,
    )


def _outcomes(
    state: int, move: int, turns: tuple[int, ...], layout: tuple[str, ...], letters: str
) -> list[Transition]:
    if letters[state] in "CG":
        return []
    width, height = len(layout[0]), len(layout)
    row, column = divmod(state, width)
    chances: dict[int, int] = {}
    for turn in turns:
        down, right = _MOVES[(move + turn) % 4]
        there = min(max(row + down, 0), height - 1) * width + min(max(column + right, 0), width - 1)
        chances[there] = chances.get(there, 0) + 1
    return [
        Transition(
            state,
            move,
            there,
            -100.0 if letters[there] == "C" else -1.0,
            letters[there] in "CG",
            Fraction(count, len(turns)),
            goal=letters[there] == "G",
            unsafe=letters[there] == "C",
        )
        for there, count in chances.items()
    ]
