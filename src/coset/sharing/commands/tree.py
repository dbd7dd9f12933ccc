"""The tree of the last merges, drawn with the box characters of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["draw_tree"]

# A character by the directions in which its line leaves it.
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_SIGNS = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"


def draw_tree(rows: Sequence[dict[str, Any]], width: int) -> list[str]:
    """Draw the tree, one line a leaf: the strength grows to the right, weights downwards.

    Args:
        rows: of `coset.sharing.merge_tree.tree_rows`, at least one leaf.
        width: columns, ≥ 2, for the strengths from the first merge to the last.

    Returns:
        A line of text a leaf, without its label.

    Example:
        >>> import torch
        >>> from coset.sharing.merge_tree import tree_rows
        >>> from coset.sharing.path import sharing_path
        >>> for line in draw_tree(tree_rows(sharing_path(torch.tensor([0.0, 1.0, 3.0])), 9), 8):
        ...     print(line)
        ╶────┬─┐
        ╶────┘ ├╴
        ╶──────┘
    """
    leaves = sum(row["kind"] == "leaf" for row in rows)
    joins = [row for row in rows if row["kind"] == "join"]
    grid = [[0] * (width + 1) for _ in range(leaves)]
    if not joins:
        return ["─" for _ in grid]
    begin, end = rows[0]["strength"], joins[-1]["strength"]
    span = end - begin or 1.0

    def column(strength: float) -> int:
        return 1 + int((width - 2) * (strength - begin) / span + 0.5)

    for join in joins:
        here, ends = column(join["strength"]), []
        for side in ("lower", "upper"):
            line, since = round(join[f"{side}_line"]), join[f"{side}_strength"]
            ends.append(line)
            _draw_row(grid[line], 0 if since == begin else column(since), here)
        for line in range(ends[0], ends[1]):
            grid[line][here] |= _DOWN
            grid[line + 1][here] |= _UP
    _draw_row(grid[round(joins[-1]["line"])], column(end), width)
    return ["".join(_SIGNS[mask] for mask in cells).rstrip() for cells in grid]


def _draw_row(cells: list[int], start: int, stop: int) -> None:
    """Draw a horizontal line from one column to another."""
    for place in range(start, stop):
        cells[place] |= _RIGHT
        cells[place + 1] |= _LEFT
