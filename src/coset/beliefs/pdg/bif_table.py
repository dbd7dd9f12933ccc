"""The body of a probability block of a BIF file: the rows of one conditional distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from coset.beliefs.pdg.bif_tokens import Tokens
from coset.beliefs.pdg.variable import Variable
from coset.core.foreign_files import show

__all__ = ["TableReader", "rounding_tolerance", "unround"]

_TOLERANCE = 1e-6  # see `bif` for the evidence
_EXACT = 1e-12  # rows nearer to one than this stay as they are written


def rounding_tolerance(card: int) -> float:
    """Return how far a published row of `card` numbers may be from summing to one: 1e-6 each."""
    return _TOLERANCE * card


def unround(table: Tensor) -> tuple[Tensor, Tensor]:
    """Divide the rows of a published table that rounding explains by their sums.

    Args:
        table: (*parents, target) float64, at least 0.

    Returns:
        The table, in which a row that sums to one within 1e-12, or not even within
        `rounding_tolerance`, is as it was; and how far each row was from that, (*parents).

    Example:
        >>> table, deviations = unround(torch.tensor([0.3333333, 0.6666666], dtype=torch.float64))
        >>> float(table.sum()), round(float(deviations), 8)
        (1.0, 1e-07)
    """
    sums = table.sum(-1, keepdim=True)
    deviations = (sums - 1).abs()
    is_rounded = (deviations > _EXACT) & (deviations <= rounding_tolerance(table.shape[-1]))
    return torch.where(is_rounded, table / sums, table), deviations.squeeze(-1)


class TableReader:
    """Reads one probability block, from its brace to its brace.

    Args:
        tokens: the file, at the block's ``{``.
        axes: the parents, then the target.
    """

    def __init__(self, tokens: Tokens, axes: Sequence[Variable]) -> None:
        self._tokens = tokens
        self._parents, self._target = axes[:-1], axes[-1]
        # A value is found as a word and in quotes.
        self._indices = [
            {word: i for i, v in enumerate(p.values) for word in (v, f'"{v}"')}
            for p in self._parents
        ]
        self._num_rows = math.prod(parent.card for parent in self._parents)
        self._rows: dict[int, list[float]] = {}
        self._places: dict[int, int] = {}  # the token at which a row begins
        self._default: list[float] | None = None
        self._rest = tokens.place  # where what fills all other rows begins

    def read(self) -> tuple[Tensor, float]:
        """Read the block.

        Returns:
            (*parents, target) float64, rows that sum to one; and how far a row of the file was
            from that, at most.

        Raises:
            FileFormatError: if the block is malformed, a row is missing, twice, too long or too
                short, has a negative or infinite number, or does not sum to one within 1e-6 times
                the number of its numbers.
        """
        tokens, table = self._tokens, None
        tokens.expect("{")
        while (word := tokens.peek()) != "}":
            place = tokens.place
            tokens.place += 1
            if word == "property":
                tokens.until(";")
            elif word == "(" and table is None:
                self._row(place)
            elif word == "default" and table is None and self._default is None:
                self._default, self._rest = self._numbers(self._target.card, place), place
            elif word == "table" and table is None and not self._rows and self._default is None:
                table, self._rest = self._numbers(self._num_rows * self._target.card, place), place
            else:
                raise tokens.error(
                    f"here must be one table, or rows '(…) …;' and at most one default, or '}}'; "
                    f"given {show(word)}",
                    place,
                )
        tokens.place += 1
        if table is None:
            return self._checked(self._assembled())
        # BIF's order: the target's values change slowest.
        found = torch.tensor(table, dtype=torch.float64)
        return self._checked(found.view(self._target.card, self._num_rows).T.contiguous())

    def _numbers(self, count: int, place: int) -> list[float]:
        numbers = self._tokens.numbers()
        if len(numbers) != count:
            raise self._tokens.error(
                f"here must be {count:,} probabilities for {show(self._target.name)}; given "
                f"{len(numbers):,}",
                place,
            )
        return numbers

    def _row(self, place: int) -> None:
        words = self._tokens.items(")")
        row = 0
        try:
            for word, parent, indices in zip(words, self._parents, self._indices, strict=True):
                row = row * parent.card + indices[word]
        except (KeyError, ValueError):
            names = ", ".join(parent.name for parent in self._parents)
            raise self._tokens.error(
                f"a row of {show(self._target.name)} must begin with a value of each of "
                f"({names:.200}); given ({', '.join(words):.200})",
                place,
            ) from None
        if row in self._rows:
            raise self._tokens.error(
                f"a row must be there once; {self._label(row)} of {show(self._target.name)} is "
                f"twice",
                place,
            )
        self._rows[row] = self._numbers(self._target.card, place)
        self._places[row] = place

    def _assembled(self) -> Tensor:
        table = torch.empty(self._num_rows, self._target.card, dtype=torch.float64)
        if len(self._rows) < self._num_rows:
            if self._default is None:
                missing = next(row for row in range(self._num_rows) if row not in self._rows)
                raise self._tokens.error(
                    f"{show(self._target.name)} must have {self._num_rows:,} rows or a default; "
                    f"{self._label(missing)} is missing",
                    self._rest,
                )
            table[:] = torch.tensor(self._default, dtype=torch.float64)
        if self._rows:
            rows = torch.tensor(list(self._rows.values()), dtype=torch.float64)
            table[torch.tensor(list(self._rows))] = rows
        return table

    def _checked(self, table: Tensor) -> tuple[Tensor, float]:
        outside = ((table < 0) | ~torch.isfinite(table)).any(-1)
        if outside.any():
            row = int(outside.int().argmax())
            raise self._error(row, "must have numbers of 0 to 1", table[row].tolist())
        table, deviations = unround(table)
        row = int(deviations.argmax())
        worst, allowed = float(deviations[row]), rounding_tolerance(self._target.card)
        if worst > allowed:
            rule = f"must sum to 1 within {allowed:.1e}; divide it by its sum if it holds weights"
            raise self._error(row, rule, float(table[row].sum()))
        return table.view(*(p.card for p in self._parents), self._target.card), worst

    def _error(self, row: int, rule: str, given: object) -> Exception:
        what = f"row {self._label(row)}" if self._parents else "the table"
        return self._tokens.error(
            f"{what} of {show(self._target.name)} {rule}; given {show(given)}",
            self._places.get(row, self._rest),
        )

    def _label(self, row: int) -> str:
        values = []
        for parent in reversed(self._parents):
            row, index = divmod(row, parent.card)
            values.append(parent.values[index])
        return f"({', '.join(reversed(values)):.200})"
