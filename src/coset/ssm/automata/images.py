"""What words make of the set of all states: images, which of them are alike, and their groups.

The image of a word w is Q·w, the states in which reading w can end. Images A, B are alike if words
lead from A onto B and from B onto A; such words are bijections, and the words from A onto A permute
A: they form the group of A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coset.core.errors import UnsupportedError
from coset.ssm.automata.monoid import strong_components

__all__ = ["MAX_IMAGES", "MAX_STATES", "Images", "check_num_states"]

# Containment of images, single states among them, is a square table.
MAX_IMAGES = 4096
MAX_STATES = 4096


def check_num_states(num_states: int) -> None:
    """Refuse an automaton whose images could not be compared.

    Args:
        num_states: how many states words reach.

    Raises:
        UnsupportedError: if they are more than 4,096.
    """
    if num_states > MAX_STATES:
        raise UnsupportedError(
            f"an automaton to be judged may have {MAX_STATES:,} states that words reach; this one "
            f"has {num_states:,}; merge states (minimal())"
        )


@dataclass(frozen=True, eq=False)
class Images:
    """The images of all words, the set of all states first, and the sets of one state.

    Attributes:
        delta: (n, X) int64.
        sets: the sets, each a sorted (size,) int64.
        steps: (I, X) int64: which set is A·x.
        num_images: how many of the sets are images of words; the others have one state.

    Example:
        >>> flip_flop = np.array([[0, 0, 1], [1, 0, 1]])
        >>> [a.tolist() for a in Images.from_delta(flip_flop).sets]
        [[0, 1], [0], [1]]
    """

    delta: np.ndarray
    sets: tuple[np.ndarray, ...]
    steps: np.ndarray
    num_images: int

    @classmethod
    def from_delta(cls, delta: np.ndarray) -> Images:
        """Find all images, breadth first.

        Args:
            delta: (n, X) int64 in 0 … n − 1.

        Returns:
            The images.

        Raises:
            UnsupportedError: if there are more than 4,096 of more than one state, or more states.
        """
        check_num_states(len(delta))
        everything = np.arange(len(delta))
        sets, index = [everything], {everything.tobytes(): 0}
        steps: list[list[int]] = []
        while len(steps) < len(sets):
            after = [np.unique(column) for column in delta[sets[len(steps)]].T]
            for image in after:
                if index.setdefault(image.tobytes(), len(sets)) == len(sets):
                    sets.append(image)
            steps.append([index[image.tobytes()] for image in after])
            if len(sets) > MAX_IMAGES + len(delta):
                raise UnsupportedError(
                    f"words of an automaton may have {MAX_IMAGES:,} images to be judged; this one "
                    f"has more; merge states (minimal()) or tokens that act alike"
                )
        return cls._with_single_states(delta, sets, steps)

    @classmethod
    def _with_single_states(
        cls, delta: np.ndarray, sets: list[np.ndarray], steps: list[list[int]]
    ) -> Images:
        num_images = len(sets)
        place = {int(a[0]): i for i, a in enumerate(sets) if len(a) == 1}
        for q in range(len(delta)):
            if q not in place:
                place[q] = len(sets)
                sets.append(np.array([q]))
        for a in sets[num_images:]:
            steps.append([place[int(q)] for q in delta[a[0]]])
        return cls(delta, tuple(sets), np.array(steps, dtype=np.int64), num_images)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(I,) int64: how many states each set has."""
        return np.array([len(a) for a in self.sets], dtype=np.int64)

    @cached_property
    def index(self) -> dict[bytes, int]:
        """The number of each set, by its states' bytes."""
        return {a.tobytes(): i for i, a in enumerate(self.sets)}

    @cached_property
    def classes(self) -> np.ndarray:
        """(I,) int64: equal for sets that are alike."""
        return strong_components(self.steps)

    @cached_property
    def inside(self) -> np.ndarray:
        """(I, I) bool: whether the first set is a proper part of the second."""
        member = np.zeros((len(self.sets), len(self.delta)), dtype=np.float32)
        for i, a in enumerate(self.sets):
            member[i, a] = 1
        common = member @ member.T
        part = np.array(common == self.sizes[:, None], dtype=bool)
        np.fill_diagonal(part, False)
        return part

    @cached_property
    def heights(self) -> np.ndarray:
        """(I,) int64: 0 for one state, else 1 + the largest height of what lies strictly below.

        Below A are its proper parts and the images A·x that are not alike to A.
        """
        source = np.repeat(np.arange(len(self.sets)), self.steps.shape[1])
        edges = np.stack([source, self.steps.reshape(-1)], 1)
        edges = np.concatenate([edges, np.argwhere(self.inside.T)])
        pairs = np.unique(self.classes[edges], axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        single = np.zeros(int(self.classes.max()) + 1, dtype=bool)
        single[self.classes[self.sizes == 1]] = True
        heights = (~single).astype(np.int64)
        pairs = pairs[~single[pairs[:, 0]]]
        while True:
            before = heights.copy()
            np.maximum.at(heights, pairs[:, 0], 1 + before[pairs[:, 1]])
            if np.array_equal(before, heights):
                result: np.ndarray = heights[self.classes]
                return result

    def tiles(self, which: int) -> np.ndarray:
        """Return the largest sets that are proper parts of one.

        Args:
            which: the set's number.

        Returns:
            (k,) int64 numbers of its tiles, sorted; together they cover it.
        """
        parts = np.flatnonzero(self.inside[:, which])
        covered = self.inside[np.ix_(parts, parts)].any(1)
        tiles: np.ndarray = parts[~np.asarray(covered)]
        return tiles

    def bijections(self, representative: int) -> dict[int, np.ndarray]:
        """Return how words lead from one set onto each that is alike.

        Args:
            representative: the set's number.

        Returns:
            For each set of its class, (size,) int64: where the representative's states, in order,
            are led to; the identity for itself.
        """
        found = {representative: self.sets[representative]}
        waiting = [representative]
        for here in waiting:
            for x, there in enumerate(self.steps[here]):
                if there not in found and self.classes[there] == self.classes[here]:
                    found[int(there)] = self.delta[found[here], x]
                    waiting.append(int(there))
        return found

    def moves(self, maps: dict[int, np.ndarray]) -> dict[tuple[int, int], np.ndarray]:
        """Return each step inside a class as a permutation of the representative's states.

        Args:
            maps: what `bijections` returned.

        Returns:
            For each set A and token x with A·x in the class, (size,) int64: from A's place back to
            the representative, from there along u_A, x, and back along u_{A·x}.
        """
        back = {}
        for which, image in maps.items():
            back[which] = np.full(len(self.delta), -1, dtype=np.int64)
            back[which][image] = np.arange(len(image))
        result = {}
        for which, image in maps.items():
            for x, there in enumerate(self.steps[which].tolist()):
                if there in maps:
                    result[which, x] = back[there][self.delta[image, x]]
        return result

    def is_regular(self, which: int) -> bool:
        """Tell whether some idempotent word has this image.

        Args:
            which: the set's number.

        Returns:
            Whether a word w has Q·w = A·w alike to A: then words that permute A form a subgroup of
            the transition monoid.
        """
        count, mine = len(self.sets), self.classes == self.classes[which]
        seen = np.zeros(count * count, dtype=bool)
        frontier = np.array([which])  # the pair (Q, A) as Q·I + A, Q being set 0
        seen[frontier] = True
        while frontier.size:
            first, second = np.divmod(frontier, count)
            if (first == second).any():
                return True
            after = self.steps[first] * count + self.steps[second]
            after = np.unique(after[mine[self.steps[second]]])
            frontier = after[~seen[after]]
            seen[frontier] = True
        return False
