"""Phases that several groups share when only one of them is in use at any time.

A phase of Z_m is kept in a slot Z_M with m | M by counting in steps of M/m. Which orbit a group is
in, which only resets change, fits into any slot with enough values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coset.ssm.cascade import Cascade

__all__ = ["LevelLayout", "Placement"]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the phases of one group, and the orbit that it is in, are kept.

    Attributes:
        cascade: the phases of the group.
        num_orbits: how many orbits there are.
        moduli: for each layer of the level, its slots' moduli.
        slots: for each layer of the group, the slot of each phase in that layer of the level.
        orbit: the slot of the first layer that keeps the orbit, −1 if there is only one.
    """

    cascade: Cascade
    num_orbits: int
    moduli: tuple[tuple[int, ...], ...]
    slots: tuple[tuple[int, ...], ...]
    orbit: int

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the place among all slots of each phase, and its factor M/m, (R,) each."""
        columns, factors, first = [], [], 0
        for layer, slots in enumerate(self.slots):
            moduli = self.cascade.layers[layer].moduli
            columns += [first + slot for slot in slots]
            pairs = zip(moduli, slots, strict=True)
            factors += [self.moduli[layer][slot] // m for m, slot in pairs]
            first += len(self.moduli[layer])
        return np.array(columns, dtype=np.int64), np.array(factors, dtype=np.int64)

    def values(self, orbits: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return what all slots hold.

        Args:
            orbits: (…) int64.
            codes: (…) int64 codes of the group's cascade.

        Returns:
            (…, num_slots) int64; unused slots hold 0.
        """
        orbits, codes = np.broadcast_arrays(orbits, codes)
        result = np.zeros((*codes.shape, sum(map(len, self.moduli))), dtype=np.int64)
        columns, factors = self._columns
        result[..., columns] = self.cascade.decode(codes) * factors
        if self.orbit >= 0:
            result[..., self.orbit] = orbits
        return result

    def local_codes(self, num_layers: int) -> np.ndarray:
        """Return how the level's slots spell each orbit and each code of the group's lower layers.

        Args:
            num_layers: how many of the layers.

        Returns:
            (num_orbits, Π lower moduli) int64 codes of the level's lower slots; the codes of the
            group are those of its lower layers.
        """
        mine = min(num_layers, len(self.cascade.layers))
        lower = self.cascade.below(mine)
        stride = self.cascade.num_codes // lower.num_codes
        orbits = np.arange(self.num_orbits)[:, None]
        values = self.values(orbits, np.arange(lower.num_codes)[None] * stride)
        codes = np.zeros(values.shape[:-1], dtype=np.int64)
        moduli = [m for layer in self.moduli[:num_layers] for m in layer]
        for place, m in enumerate(moduli):
            codes = codes * m + values[..., place]
        return codes

    def increments(self, layer: int, move: int) -> np.ndarray:
        """Return what one of the group's tokens adds to the slots of a layer.

        Args:
            layer: its place in the level.
            move: the token of the group's cascade.

        Returns:
            (codes of the level's lower slots, slots of the layer) int64.
        """
        cells = math.prod(m for lower in self.moduli[:layer] for m in lower)
        block = np.zeros((cells, len(self.moduli[layer])), dtype=np.int64)
        if layer < len(self.cascade.layers):
            phases = self.cascade.layers[layer]
            slots = np.array(self.slots[layer], dtype=np.int64)
            top = np.array(self.moduli[layer], dtype=np.int64)[slots]
            factors = top // np.array(phases.moduli, dtype=np.int64)
            # Every orbit counts alike, so a row of codes serves all of them.
            for row in self.local_codes(layer):
                block[row[:, None], slots] = phases.increments[:, move] * factors
        return block


@dataclass(frozen=True, eq=False)
class LevelLayout:
    """The slots of a level's layers, and where each group is kept in them.

    Attributes:
        moduli: for each layer, its slots' moduli.
        placements: one for each group.

    Example:
        >>> import numpy as np
        >>> from coset.ssm.phase_layer import PhaseLayer
        >>> clock = Cascade((PhaseLayer((3,), np.ones((1, 1, 1), int)),), 1)
        >>> hold = Cascade((), 1)
        >>> layout = LevelLayout.share([(clock, 1), (hold, 2)])
        >>> layout.moduli, [placement.orbit for placement in layout.placements]
        (((3,),), [-1, 0])
    """

    moduli: tuple[tuple[int, ...], ...]
    placements: tuple[Placement, ...]

    @classmethod
    def share(cls, groups: Sequence[tuple[Cascade, int]]) -> LevelLayout:
        """Give each group its slots, as few as a greedy choice finds.

        Args:
            groups: the phases and the number of orbits of each; at least one.

        Returns:
            The layout.
        """
        depth = max(1, *(len(cascade.layers) for cascade, _ in groups))
        moduli: list[list[int]] = [[] for _ in range(depth)]
        slots: list[list[tuple[int, ...]]] = [[] for _ in groups]
        for layer in range(depth):
            order = sorted(range(len(groups)), key=lambda i: -_top(groups[i][0], layer))
            chosen = {i: _place(_phases(groups[i][0], layer), moduli[layer]) for i in order}
            for i, (cascade, _) in enumerate(groups):
                if layer < len(cascade.layers):
                    slots[i].append(chosen[i])
        orbit = _place_orbits([count for _, count in groups], slots, moduli[0])
        shape = tuple(map(tuple, moduli))
        placements = (
            Placement(cascade, count, shape, tuple(slots[i]), orbit[i])
            for i, (cascade, count) in enumerate(groups)
        )
        return cls(shape, tuple(placements))

    @property
    def num_slots(self) -> int:
        """How many slots all layers have."""
        return sum(map(len, self.moduli))

    @property
    def num_codes(self) -> int:
        """Π of all moduli."""
        return math.prod(m for layer in self.moduli for m in layer)


def _phases(cascade: Cascade, layer: int) -> tuple[int, ...]:
    return cascade.layers[layer].moduli if layer < len(cascade.layers) else ()


def _top(cascade: Cascade, layer: int) -> int:
    return max(_phases(cascade, layer), default=0)


def _place(moduli: Sequence[int], slots: list[int]) -> tuple[int, ...]:
    """Return a slot for each modulus, a free one that it divides or else a new one."""
    taken: list[int] = []
    for m in moduli:
        free = (s for s, top in enumerate(slots) if s not in taken and top % m == 0)
        slot = next(free, len(slots))
        if slot == len(slots):
            slots.append(m)
        taken.append(slot)
    return tuple(taken)


def _place_orbits(
    counts: Sequence[int], slots: Sequence[Sequence[tuple[int, ...]]], moduli: list[int]
) -> list[int]:
    """Return the slot of the first layer for each group's orbit, −1 where there is only one."""
    found = [-1] * len(counts)
    for i in sorted(range(len(counts)), key=lambda i: -counts[i]):
        if counts[i] > 1:
            taken = slots[i][0] if slots[i] else ()
            free = (s for s, top in enumerate(moduli) if s not in taken and top >= counts[i])
            found[i] = next(free, len(moduli))
            if found[i] == len(moduli):
                moduli.append(counts[i])
    return found
