"""The tiles of one class of images as a permutation-reset automaton of its own.

Words permute the tiles of an image; the permutations form a group, tracked by the phases of its
compiled cascade. Tiles that no permutation joins are told apart by one more phase, the orbit, which
only resets change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from coset.core.errors import UnsupportedError
from coset.groups import Group
from coset.ssm.automata.images import Images
from coset.ssm.automata.monoid import TransitionMonoid
from coset.ssm.automata.permutations import StabilizerChain, order_text
from coset.ssm.cascade import Cascade
from coset.ssm.compile import compile_group

__all__ = ["MAX_GROUP", "TileGroup", "tile_group"]

# Order of a group of tiles: it is compiled from its table of products.
MAX_GROUP = 4096


@dataclass(frozen=True, eq=False)
class TileGroup:
    """One class of images: its tiles, what tokens do to them, and phases that say which it is.

    Attributes:
        maps: for each set A of the class, where the representative's states are led to in A.
        tiles: (k,) int64 numbers of the representative's tiles; the first is that of code 0.
        cascade: phases of the group of tiles; its tokens are the permutations that occur.
        action: (sets·X) of (set, token): the cascade's token, for each step inside the class.
        orbits: (k,) int64: the orbit of each tile.
        codes: (k,) int64: the code of the cascade at which an orbit's first tile is led there.
        landing: (num_orbits, num_codes) int64: which tile an orbit and a code stand for.
    """

    maps: Mapping[int, np.ndarray]
    tiles: np.ndarray
    cascade: Cascade
    action: Mapping[tuple[int, int], int]
    orbits: np.ndarray
    codes: np.ndarray
    landing: np.ndarray

    @property
    def states(self) -> np.ndarray:
        """The representative's states, (size,) int64."""
        return next(iter(self.maps.values()))

    @property
    def num_orbits(self) -> int:
        """How many parts the tiles fall into."""
        return len(self.landing)

    def tile_holding(self, images: Images, where: int, part: np.ndarray) -> int:
        """Return the first tile that holds some states.

        Args:
            images: the images.
            where: a set of this class.
            part: (p,) int64: a proper part of that set, an image or one state.

        Returns:
            The tile's place in `tiles`.
        """
        pulled = self.states[np.isin(self.maps[where], part)]
        for place, tile in enumerate(self.tiles):
            if np.isin(pulled, images.sets[tile]).all():
                return place
        raise AssertionError("the tiles of a set cover its parts")

    def tile_in(self, images: Images, where: int) -> np.ndarray:
        """Return which set each tile is when it lies in another set of the class.

        Args:
            images: the images.
            where: a set of this class.

        Returns:
            (k,) int64 numbers of sets.
        """
        led = np.full(len(images.delta), -1, dtype=np.int64)
        led[self.states] = self.maps[where]
        return np.array([images.index[np.sort(led[images.sets[t]]).tobytes()] for t in self.tiles])


def tile_group(images: Images, representative: int, first_tile: int | None) -> TileGroup:
    """Return the automaton of the tiles of a class.

    Args:
        images: the images.
        representative: the set whose tiles are numbered.
        first_tile: the number of the tile that code 0 stands for; ``None`` for any.

    Returns:
        Its phases and their meaning.

    Raises:
        NotSolvableError: if the group of tiles is not solvable.
        UnsupportedError: if the group is too large for a table.
    """
    maps = images.bijections(representative)
    tiles = images.tiles(representative).tolist()
    if first_tile is not None:
        tiles = [first_tile, *(t for t in tiles if t != first_tile)]
    permutations, action = _tile_permutations(images, representative, maps, tiles)
    cascade, codes_of, walk = _compiled(permutations, len(tiles))
    orbits, codes, landing = _orbits(len(tiles), walk, codes_of)
    return TileGroup(maps, np.array(tiles), cascade, action, orbits, codes, landing)


def _tile_permutations(
    images: Images, representative: int, maps: Mapping[int, np.ndarray], tiles: list[int]
) -> tuple[np.ndarray, dict[tuple[int, int], int]]:
    """Return the distinct permutations of tiles, and which one each step inside the class is."""
    states = images.sets[representative]
    place = {images.sets[t].tobytes(): i for i, t in enumerate(tiles)}
    inside = [np.searchsorted(states, images.sets[t]) for t in tiles]
    distinct: dict[tuple[int, ...], int] = {}
    action = {}
    for step, move in images.moves(dict(maps)).items():
        led = tuple(place[np.sort(states[move[tile]]).tobytes()] for tile in inside)
        action[step] = distinct.setdefault(led, len(distinct))
    return np.array(list(distinct), dtype=np.int64).reshape(-1, len(tiles)), action


def _compiled(permutations: np.ndarray, num_tiles: int) -> tuple[Cascade, np.ndarray, np.ndarray]:
    """Return the cascade of a group of permutations, its codes, and each element's permutation.

    Returns:
        The cascade over the permutations as tokens, (n,) code of each element, (n, k) elements.
    """
    if (permutations == np.arange(num_tiles)).all():  # nothing but resets; also no step at all
        nothing = Cascade((), len(permutations))
        return nothing, np.zeros(1, dtype=np.int64), np.arange(num_tiles)[None]
    group, elements, alphabet = _group(permutations)
    tracker = compile_group(group, alphabet)
    return tracker.cascade, np.asarray(tracker.codes), elements


def _group(permutations: np.ndarray) -> tuple[Group, np.ndarray, np.ndarray]:
    """Return the group that permutations generate, its elements (n, k), and their own ids."""
    order = StabilizerChain(permutations.shape[1], permutations).order
    if order > MAX_GROUP:
        raise UnsupportedError(
            f"a group of permutations may have order {MAX_GROUP:,} to be compiled; words permute "
            f"{permutations.shape[1]} sets of states in {order_text(order)} ways"
        )
    monoid = TransitionMonoid.from_delta(permutations.T, order)
    columns = np.empty((monoid.size, monoid.size), dtype=np.int32)
    columns[0] = np.arange(monoid.size)
    for b in range(1, monoid.size):  # a·b = (a·b')·x where b = b'·x
        columns[b] = monoid.right[columns[monoid.parents[b]], monoid.letters[b]]
    group = Group.from_table(np.ascontiguousarray(columns.T))
    return group, monoid.maps.astype(np.int64), monoid.right[0]


def _orbits(
    num_tiles: int, elements: np.ndarray, codes_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return orbit and code of each tile, and the tile of each orbit and code."""
    orbits = np.full(num_tiles, -1, dtype=np.int64)
    codes = np.zeros(num_tiles, dtype=np.int64)
    landing = []
    for tile in range(num_tiles):
        if orbits[tile] >= 0:
            continue
        led = np.empty(len(elements), dtype=np.int64)
        led[codes_of] = elements[:, tile]
        landing.append(led)
        # Among the elements that lead there, the identity for the first tile, else any fixed one.
        for code in range(len(led) - 1, -1, -1):
            orbits[led[code]] = len(landing) - 1
            codes[led[code]] = code
    return orbits, codes, np.array(landing)
