"""Subgroups that grow by one generator at a time (Dimino's algorithm on a table)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from coset.groups.group import Group

__all__ = ["KnownSpans", "Span", "whole_span"]


class Span:
    """The subgroup that some elements generate, with a generating set of at most log₂ n of them.

    Args:
        group: the group it lies in.
        elements: element ids, already checked; those inside the span of the earlier ones add
            nothing.

    Attributes:
        members: (k,) int64 elements of the subgroup, in no particular order.
        mask: (n,) bool, True on the members.
        generators: those of the elements that made it grow, in order.

    Complexity: O(n + (n / m) · r) for a subgroup of order n whose last step came from order m.
    """

    def __init__(self, group: Group, elements: Iterable[int] = ()) -> None:
        self._group = group
        self.mask = np.zeros(group.order, dtype=bool)
        self.mask[group.identity] = True
        self.members = np.array([group.identity], dtype=np.int64)
        self.generators: list[int] = []
        self.extend(elements)

    def extend(self, elements: Iterable[int]) -> None:
        """Add generators.

        Args:
            elements: element ids.
        """
        for element in elements:
            if self.members.size == self._group.order:
                return
            self.add(int(element))

    def add(self, element: int) -> bool:
        """Add one generator.

        Args:
            element: an element id.

        Returns:
            Whether the subgroup grew.
        """
        if self.mask[element]:
            return False
        self.generators.append(element)
        if self.members.size == 1:
            self.members = self._powers(element)
            self.mask[self.members] = True
        else:
            self._fill_cosets(element)
        return True

    def _powers(self, element: int) -> np.ndarray:
        """Return e, g, g², … by doubling."""
        mul, order = self._group.mul, int(self._group.element_orders[element])
        powers, step = np.array([self._group.identity]), element
        while powers.size < order:
            powers = np.concatenate([powers, mul[step, powers]])
            step = int(mul[step, step])
        return powers[:order].astype(np.int64)

    def _fill_cosets(self, element: int) -> None:
        """Collect left cosets x·H until left multiplication by each generator stays inside."""
        mul, mask, subgroup = self._group.mul, self.mask, self.members
        gens = np.array(self.generators)
        parts = [subgroup]
        frontier = np.array([self._group.identity, element])
        while frontier.size:
            fresh = []
            for x in mul[gens[:, None], frontier].ravel().tolist():
                if not mask[x]:
                    part = mul[x, subgroup]
                    mask[part] = True
                    parts.append(part)
                    fresh.append(x)
            frontier = np.array(fresh, dtype=np.int64)
        self.members = np.concatenate(parts).astype(np.int64)

    def close_under(self, conjugators: Iterable[int]) -> Span:
        """Grow until conjugation by each of the elements given keeps the subgroup.

        Args:
            conjugators: element ids.

        Returns:
            Itself, now the normal closure under the group that they generate.
        """
        mul, inverse = self._group.mul, self._group.inverse
        by = np.array(list(conjugators), dtype=np.int64)
        done = 0
        while done < len(self.generators) and self.members.size < self._group.order:
            images = mul[mul[inverse[by], self.generators[done]], by]
            self.extend(images.tolist())
            done += 1
        return self

    @property
    def elements(self) -> np.ndarray:
        """(k,) int64 elements of the subgroup, increasing, read-only."""
        found = np.flatnonzero(self.mask)
        found.setflags(write=False)
        return found


class KnownSpans:
    """The last few subgroups seen, so that each is proved to be one only once.

    Spans kept here are never grown.
    """

    _MOST = 32

    def __init__(self) -> None:
        self._spans: dict[bytes, Span] = {}

    def keep(self, elements: np.ndarray, span: Span) -> None:
        """Remember a subgroup.

        Args:
            elements: (k,) int64 its elements, increasing.
            span: the same subgroup.
        """
        while len(self._spans) >= self._MOST:
            self._spans.pop(next(iter(self._spans)))
        self._spans[elements.tobytes()] = span

    def find(self, elements: np.ndarray) -> Span | None:
        """Look a subgroup up.

        Args:
            elements: (k,) int64, increasing.

        Returns:
            The subgroup, if it was kept and not dropped since.
        """
        return self._spans.get(elements.tobytes())


def whole_span(group: Group) -> Span:
    """Return the whole group as a span.

    Args:
        group: the group.

    Returns:
        The span, with the group's own generators.
    """
    whole = np.arange(group.order)
    known = group.known_spans.find(whole)
    if known is None:
        known = Span(group, group.generators)
        group.known_spans.keep(whole, known)
    return known
