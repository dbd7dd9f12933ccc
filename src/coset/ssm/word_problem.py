"""The word problem of a group as data: words over an alphabet, labeled with their running products.

Words are divided into train and test by a keyed hash of the whole word, so that the two splits have
no word in common at any length, and no list of words is ever stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import ConfigError, DomainError
from coset.core.seeds import derive_seed
from coset.groups import Group
from coset.ssm.alphabet import Alphabet, as_group, resolve_alphabet
from coset.ssm.layers import check_size
from coset.ssm.stack import safe_words

__all__ = ["WordProblem"]

Split = Literal["train", "test", "all"]

# Splits of at most so many words in all are listed, as one may be empty. Of more words, each split
# has at least a hundredth, so that it is empty with a chance below e^−40.
_LISTED = 4096
_LEAST_FRACTION = 0.01


class WordProblem:
    """Words x_1 … x_T and their running products y_t = x_1·x_2·…·x_t [diagonal-ssm].

    A word is in the test split if a keyed hash of it falls into the first `test_fraction` of its
    range; the same word is in the same split in every run with the same seed. The empty word is in
    both.

    Attributes:
        group: the group.
        alphabet: (X,) int64, the element of each token.
        length: T.
        split: "train", "test", or "all" words.

    Args:
        group: a group or its name.
        length: T ≥ 0.
        alphabet: what tokens stand for: "all" elements, the group's "generators", or elements.
        seed: keys the division into splits; it does not seed the draws.
        split: which words to draw from.
        test_fraction: share of words in the test split, in [0.01, 0.99].

    Raises:
        ConfigError: if a size, a name or the fraction is impossible.
        DomainError: if the split has no word of this length, or the alphabet is empty.
        RangeError: if the alphabet names no element.

    Example:
        >>> problem = WordProblem("Z2", 8, split="test")
        >>> tokens, labels = problem.sample(4)
        >>> bool((labels == tokens.cumsum(-1) % 2).all())
        True
    """

    def __init__(
        self,
        group: Group | str,
        length: int,
        *,
        alphabet: Alphabet = "all",
        seed: int = 0,
        split: Split = "train",
        test_fraction: float = 0.2,
    ) -> None:
        if split not in get_args(Split):
            raise ConfigError(f"split must be one of {get_args(Split)}; given {split!r}")
        if not _LEAST_FRACTION <= test_fraction <= 1 - _LEAST_FRACTION:
            raise ConfigError(f"test_fraction must lie in [0.01, 0.99]; given {test_fraction}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise ConfigError(f"seed must be an integer; given {seed!r}")
        self.group = as_group(group)
        self.alphabet = resolve_alphabet(self.group, alphabet)
        self.length = check_size("length", length, 0)
        self.seed, self.split, self.test_fraction = int(seed), split, float(test_fraction)
        self._threshold = np.uint64(int(test_fraction * 2.0**64))
        self._listed = self._list_words()

    @property
    def num_tokens(self) -> int:
        """X, the size of the alphabet."""
        return len(self.alphabet)

    @property
    def num_labels(self) -> int:
        """n, the order of the group."""
        return int(self.group.order)

    def with_length(self, length: int) -> WordProblem:
        """Return the same problem for words of another length.

        Args:
            length: T ≥ 0.

        Returns:
            A new problem.
        """
        return WordProblem(
            self.group,
            length,
            alphabet=self.alphabet,
            seed=self.seed,
            split=self.split,
            test_fraction=self.test_fraction,
        )

    def contains(self, tokens: Tensor) -> Tensor:
        """Tell which words are in the split.

        Args:
            tokens: (…, T) int64 in 0 … X − 1, of any length.

        Returns:
            (…) bool.

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if tokens are no integers.
            ShapeError: if they have no time.
        """
        tokens = safe_words(tokens, self.num_tokens)
        if self.split == "all" or tokens.shape[-1] == 0:
            return torch.ones(tokens.shape[:-1], dtype=torch.bool)
        words = tokens.cpu().numpy().astype(np.uint64)
        # A random linear hash modulo 2^64, its bits mixed so that the high ones are uniform.
        keys = _keys(words.shape[-1], self.seed)
        # An array even for one word: NumPy warns where a scalar wraps around.
        code = _mix(np.atleast_1d((_mix(words + np.uint64(1)) * keys).sum(-1, dtype=np.uint64)))
        test = code < self._threshold
        kept = test if self.split == "test" else ~test
        return torch.from_numpy(kept).reshape(tokens.shape[:-1])

    def label(self, tokens: Tensor) -> Tensor:
        """Return the running products.

        Args:
            tokens: (…, T) int64.

        Returns:
            (…, T) int64 in 0 … n − 1.

        Raises:
            RangeError: if a token is out of range.
        """
        return self.group.prefix_products(tokens, alphabet=self.alphabet)

    def sample(
        self, num_words: int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw words independently and uniformly from the split.

        Args:
            num_words: N ≥ 0.
            generator: source of randomness; torch's own if ``None``.

        Returns:
            (N, T) tokens and (N, T) labels, both int64.
        """
        tokens = self._draw(check_size("num_words", num_words, 0), generator)
        return tokens, self.label(tokens)

    def batches(
        self, num_batches: int, batch_size: int
    ) -> Callable[[torch.Generator], Iterator[tuple[Tensor, Tensor]]]:
        """Return a source of fresh batches for `coset.train.fit`.

        Args:
            num_batches: batches an epoch.
            batch_size: words a batch.

        Returns:
            A function of a generator that gives batches (tokens, labels).
        """
        check_size("num_batches", num_batches)
        check_size("batch_size", batch_size)

        def source(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
            return (self.sample(batch_size, generator=generator) for _ in range(num_batches))

        return source

    def _draw(self, num_words: int, generator: torch.Generator | None) -> Tensor:
        if self._listed is not None:
            chosen = torch.randint(len(self._listed), (num_words,), generator=generator)
            return self._listed[chosen]
        found: list[Tensor] = []
        missing = num_words
        share = {"all": 1.0, "test": self.test_fraction, "train": 1 - self.test_fraction}
        while missing > 0:
            size = (int(missing / share[self.split] * 1.1) + 16, self.length)
            drawn = torch.randint(self.num_tokens, size, generator=generator)
            if self.split != "all":
                drawn = drawn[self.contains(drawn)]
            found.append(drawn[:missing])
            missing -= len(found[-1])
        return torch.cat(found) if found else torch.zeros((0, self.length), dtype=torch.int64)

    def _list_words(self) -> Tensor | None:
        """List the split's words where there are few, so that an empty split is seen."""
        if self.split == "all" or self.length == 0 or self.num_tokens**self.length > _LISTED:
            return None
        letters = torch.arange(self.num_tokens)
        words = torch.cartesian_prod(*[letters] * self.length).reshape(-1, self.length)
        kept = words[self.contains(words)]
        if not len(kept):
            raise DomainError(
                f"the {self.split} split must hold a word; of the {len(words)} words of length "
                f"{self.length} over {self.num_tokens} tokens it has none; use longer words, "
                f"another seed, or split='all'"
            )
        return kept

    def __repr__(self) -> str:
        return (
            f"WordProblem({self.group.name or self.group!r}, length={self.length}, "
            f"num_tokens={self.num_tokens}, split={self.split!r})"
        )


def _keys(length: int, seed: int) -> np.ndarray:
    """Return odd keys, one a position; words of different length have different keys."""
    first = derive_seed("ssm.WordProblem", seed, length)
    draws = np.random.default_rng(first).integers(0, 2**63, size=length, dtype=np.uint64)
    keys: np.ndarray = (draws << np.uint64(1)) | np.uint64(1)
    return keys


def _mix(code: np.ndarray) -> np.ndarray:
    """Finish a 64-bit hash as SplitMix64 does: every bit of the input moves every output bit."""
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = code ^ (code >> np.uint64(31))
    return mixed
