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
# Of all layers: 2²² codes of two tokens take about 20 s on one core.
MAX_CODES = 2**22


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
    _check_num_codes(images, chain)
    cascade = Cascade((), delta.shape[1])
    codes, sets = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    after = np.zeros((1, delta.shape[1]), dtype=np.int64)
    for height in range(int(images.heights[0]), 0, -1):
        active = np.unique(sets[images.heights[sets] == height])
        if active.size:
            groups = _tile_groups(images, active, chain)
            level = _Level(images, cascade, codes, after, sets, groups)
            layers = level.layers(height)
            cascade = Cascade((*cascade.layers, *layers), delta.shape[1])
            codes, after = level.extend(layers)
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


def _check_num_codes(images: Images, chain: dict[int, int]) -> None:
    """Refuse an automaton of too many codes before any table is built.

    Each set that holds the start has its tiles told apart at its own height, so there are at least
    as many codes as the product of their numbers.
    """
    least = math.prod(len(images.tiles(here)) for here in chain)
    if least > MAX_CODES:
        raise UnsupportedError(
            f"the layers of an automaton may have {MAX_CODES:,} codes; the holonomy "
            f"decomposition of this one has at least {least:.3g}, a factor for each of "
            f"{len(chain)} sets of states inside each other; merge states (minimal()) or tokens"
        )


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
        codes: (P,) the codes of it that words reach, sorted; the first is 0.
        after: (P, X) the place among them of the code after each token.
        sets: (P,) the set of each.
        groups: the automaton of tiles of each class of sets.
    """

    images: Images
    above: Cascade
    codes: np.ndarray
    after: np.ndarray
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
        num_sets = len(self.images.sets)
        # Set, token and next set as one number: sorting rows of three is far slower.
        keys = (self.sets[:, None] * num_tokens + np.arange(num_tokens)) * num_sets
        keys = (keys + self.sets[self.after]).reshape(-1)
        order = np.argsort(keys, kind="stable")
        distinct, first = np.unique(keys[order], return_index=True)
        bounds = [*first.tolist(), len(keys)]
        for i, key in enumerate(distinct.tolist()):
            (a, x), b = divmod(key // num_sets, num_tokens), key % num_sets
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
            entries, codes = math.prod(shape), self.above.num_codes * local
            if codes > MAX_CODES:
                raise UnsupportedError(
                    f"the layers of an automaton may have {MAX_CODES:,} codes; the holonomy "
                    f"decomposition of this one needs {codes:,}; merge states (minimal()) or tokens"
                )
            if entries > MAX_ENTRIES:
                raise UnsupportedError(
                    f"the table of a layer may have {MAX_ENTRIES:,} entries; the holonomy "
                    f"decomposition of this automaton needs {entries:,}; merge states (minimal()) "
                    f"or tokens"
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

    def extend(self, layers: list[PhaseLayer]) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes that words reach with this level's layers, and their steps.

        The steps of the levels above are known, so only those of this level are worked out.

        Args:
            layers: what `layers` returned.

        Returns:
            (P',) sorted codes and (P', X) the place of the code after each token.
        """
        count, tokens = self.layout.num_codes, np.arange(self.above.num_tokens)
        moduli = [m for layer in layers for m in layer.moduli]
        values = np.stack(np.unravel_index(np.arange(count), moduli), -1)[:, None]
        cells = self.codes[:, None, None]
        led = np.zeros((len(self.codes), count, len(tokens)), dtype=np.int64)
        first = 0
        for layer in layers:
            mine = values[..., first : first + layer.num_phases]
            moved = layer.apply(cells, tokens, mine)
            for j, m in enumerate(layer.moduli):
                cells, led = cells * m + mine[..., j], led * m + moved[..., j]
            first += layer.num_phases
        steps = (self.after[:, None] * count + led).reshape(-1, len(tokens))
        reached = _reached(steps)
        rank = np.cumsum(reached) - 1
        places = np.flatnonzero(reached)
        return self.codes[places // count] * count + places % count, rank[steps[places]]

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


def _reached(steps: np.ndarray) -> np.ndarray:
    """Return which nodes of a graph node 0 leads to, (N,) bool, from its (N, X) steps."""
    seen = np.zeros(len(steps), dtype=bool)
    seen[0] = True
    frontier = np.zeros(1, dtype=np.int64)
    while frontier.size:
        after = steps[frontier].reshape(-1)
        frontier = np.unique(after[~seen[after]])
        seen[frontier] = True
    return seen
