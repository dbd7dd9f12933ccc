"""An automaton as a cascade of diagonal layers: the holonomy decomposition.

Instead of the state, the cascade keeps a chain of sets that hold it: all states, then a tile of
those, a tile of that, … down to one state. A token maps a set A of the chain onto A·x. Where the
next chain has A·x itself, the token permutes tiles, and phases are added; where it has a larger
set, A·x lies in one known tile of it, and the phases are reset. Nothing else happens, so every
level is a permutation-reset automaton, gated by the levels above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from coset.core.errors import UnsupportedError
from coset.ssm.automata.images import Images
from coset.ssm.automata.regroup import regroup
from coset.ssm.automata.slots import LevelLayout
from coset.ssm.automata.tile_group import TileGroup, tile_group
from coset.ssm.cascade import Cascade
from coset.ssm.phase_layer import PhaseLayer

__all__ = ["MAX_ENTRIES", "decompose"]

# Of one layer's table of increments: cells × tokens × phases, 8 bytes each.
MAX_ENTRIES = 2**24


def decompose(delta: np.ndarray, start: int = 0) -> tuple[Cascade, np.ndarray]:
    """Return a cascade that tracks an automaton, and the state that each code stands for.

    Args:
        delta: (n, X) int64: all states can be reached from the start.
        start: the state before the first token, which code 0 stands for.

    Returns:
        The cascade and (num_codes,) int64 states, −1 for codes that no word reaches.

    Raises:
        NotSolvableError: if a group of tiles is not solvable.
        UnsupportedError: if a table or a group would be too large.

    Claims: ssm.C9.

    Example:
        >>> cascade, states = decompose(np.array([[1, 0], [2, 0], [0, 0]]))  # mod 3, or reset
        >>> cascade.moduli, states.tolist()
        ((3,), [0, 1, 2])
    """
    images = Images.from_delta(delta)
    chain = _chain(images, start)
    cascade = Cascade((), delta.shape[1])
    codes, sets = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for height in range(int(images.heights[0]), 0, -1):
        active = np.unique(sets[images.heights[sets] == height])
        if active.size:
            level = _Level(images, cascade, codes, sets, _tile_groups(images, active, chain))
            cascade = Cascade((*cascade.layers, *level.layers(height)), delta.shape[1])
            codes = cascade.reachable()
            sets = level.narrow(codes)
    states = np.full(cascade.num_codes, -1, dtype=np.int64)
    states[codes] = [images.sets[a][0] for a in sets]
    return regroup(cascade, states)


def _chain(images: Images, start: int) -> dict[int, int]:
    """Return the sets that hold the start, each with its tile that does."""
    here, chain = 0, {}
    while images.sizes[here] > 1:
        holding = [t for t in images.tiles(here).tolist() if start in images.sets[t]]
        chain[here] = holding[0]
        here = holding[0]
    return chain


def _tile_groups(images: Images, active: np.ndarray, chain: dict[int, int]) -> dict[int, TileGroup]:
    """Return the automaton of tiles of each class that occurs at one height."""
    groups = {}
    for label in np.unique(images.classes[active]):
        mine = active[images.classes[active] == label].tolist()
        # Code 0 stands for the start: its chain must hold representatives and first tiles.
        representative = next((a for a in mine if a in chain), mine[0])
        groups[int(label)] = tile_group(images, representative, chain.get(representative))
    return groups


@dataclass
class _Level:
    """The layers of one height, on top of a cascade whose codes mean sets.

    Attributes:
        images: the images.
        above: the cascade of the larger heights, whose codes gate this level.
        codes: (P,) the codes of it that words reach.
        sets: (P,) the set of each.
        groups: the automaton of tiles of each class of sets.
    """

    images: Images
    above: Cascade
    codes: np.ndarray
    sets: np.ndarray
    groups: dict[int, TileGroup]

    def __post_init__(self) -> None:
        demands = [(group.cascade, group.num_orbits) for group in self.groups.values()]
        self.layout = LevelLayout.share(demands)
        self.placements = dict(zip(self.groups, self.layout.placements, strict=True))

    def layers(self, height: int) -> list[PhaseLayer]:
        """Return the phase layers of this height."""
        tables = self._empty_tables()
        num_tokens = self.above.num_tokens
        after = np.searchsorted(
            self.codes, self.above.step(self.codes[:, None], np.arange(num_tokens)[None])
        )
        there = self.sets[after]
        here = np.broadcast_to(self.sets[:, None], there.shape)
        tokens = np.broadcast_to(np.arange(num_tokens)[None], there.shape)
        triples = np.stack([here, tokens, there], -1).reshape(-1, 3)
        distinct, which = np.unique(triples, axis=0, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        bounds = np.searchsorted(which.reshape(-1)[order], np.arange(len(distinct) + 1))
        for i, (a, x, b) in enumerate(distinct.tolist()):
            cells = self.codes[order[bounds[i] : bounds[i + 1]] // num_tokens]
            self._fill(tables, cells, a, x, b, height)
        return [
            PhaseLayer(
                moduli,
                added.reshape(-1, num_tokens, len(moduli)),
                resets.reshape(-1, num_tokens, len(moduli)) if (resets >= 0).any() else None,
            )
            for moduli, (added, resets) in zip(self.layout.moduli, tables, strict=True)
        ]

    def _empty_tables(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return zero increments and no resets, (codes above, local cells, X, slots) a layer."""
        tables, local = [], 1
        for moduli in self.layout.moduli:
            shape = (self.above.num_codes, local, self.above.num_tokens, len(moduli))
            local *= math.prod(moduli)
            if math.prod(shape) > MAX_ENTRIES or self.above.num_codes * local > MAX_ENTRIES:
                raise UnsupportedError(
                    f"the table of a layer may have {MAX_ENTRIES:,} entries; the holonomy "
                    f"decomposition of this automaton needs {math.prod(shape):,} for "
                    f"{self.above.num_codes * local:,} codes; merge states (minimal()) or tokens"
                )
            tables.append((np.zeros(shape, np.int64), np.full(shape, -1, np.int64)))
        return tables

    def _fill(
        self,
        tables: list[tuple[np.ndarray, np.ndarray]],
        cells: np.ndarray,
        here: int,
        token: int,
        there: int,
        height: int,
    ) -> None:
        """Write what a token does to this level's phases where it takes one set to another."""
        if self.images.heights[there] < height:
            self._reset(tables, cells, token, np.zeros(self.layout.num_slots, np.int64))
            return
        label = int(self.images.classes[there])
        group, placement = self.groups[label], self.placements[label]
        led = int(self.images.steps[here, token])
        if led == there:
            move = group.action[here, token]
            for layer, (added, _) in enumerate(tables):
                added[cells, :, token, :] = placement.increments(layer, move)
            return
        tile = group.tile_holding(self.images, there, self.images.sets[led])
        values = placement.values(group.orbits[tile], group.codes[tile])
        self._reset(tables, cells, token, values)

    def _reset(
        self,
        tables: list[tuple[np.ndarray, np.ndarray]],
        cells: np.ndarray,
        token: int,
        values: np.ndarray,
    ) -> None:
        first = 0
        for moduli, (_, resets) in zip(self.layout.moduli, tables, strict=True):
            resets[cells, :, token, :] = values[first : first + len(moduli)]
            first += len(moduli)

    def narrow(self, codes: np.ndarray) -> np.ndarray:
        """Return the set of each code that this level's phases have narrowed down.

        Args:
            codes: (P',) codes of the cascade with this level's layers.

        Returns:
            (P',) int64 numbers of sets.
        """
        above, local = np.divmod(codes, self.layout.num_codes)
        sets = self.sets[np.searchsorted(self.codes, above)]
        narrowed = sets.copy()
        for label, group in self.groups.items():
            spelled = self.placements[label].local_codes(len(self.layout.moduli))
            tile_at = np.full(self.layout.num_codes, -1, dtype=np.int64)
            tile_at[spelled] = group.landing
            for a in np.unique(sets[self.images.classes[sets] == label]):
                chosen = sets == a
                narrowed[chosen] = group.tile_in(self.images, int(a))[tile_at[local[chosen]]]
        return narrowed
