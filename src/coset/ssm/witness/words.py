"""Words in power form: (0 1)^500 2 takes three rules, not a thousand tokens."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, UnsupportedError
from coset.core.results import Record

__all__ = ["Word", "power"]

Rule = tuple[tuple[int, int], ...]
Element = TypeVar("Element")

# What `tokens` writes out at most: 800 MB of int64.
MAX_EXPANDED = 10**8
_MAX_TEXT = 200
# A longer factor is kept as a rule: written out in each product, it would double at every level.
_MAX_INLINE = 64


@dataclass(frozen=True, repr=False)
class Word(Record):
    """A word over tokens 0 … X − 1, written with powers that may be nested and shared.

    A rule is a sequence of (symbol, count). A symbol s ≥ 0 is a token, s < 0 is the earlier rule
    −1 − s. The last rule is the word; no rule at all is the empty word.

    Attributes:
        rules: the rules, each one referring to earlier ones only.

    Example:
        >>> word = Word.of([0, 1]) ** 500 + Word.of([2])
        >>> word.length, str(word)
        (1001, '(0 1)^500 2')
    """

    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        rules = tuple(tuple((int(s), int(c)) for s, c in rule) for rule in self.rules)
        for number, rule in enumerate(rules):
            for symbol, count in rule:
                if count < 1 or symbol < -number:
                    raise DomainError(
                        f"a rule must hold (symbol, count ≥ 1) with symbols that are tokens ≥ 0 or "
                        f"earlier rules; given {(symbol, count)} in rule {number}"
                    )
        object.__setattr__(self, "rules", rules)

    @classmethod
    def of(cls, tokens: Iterable[int]) -> Word:
        """Return the word of these tokens, with runs of equal ones as powers.

        Args:
            tokens: integers ≥ 0.

        Returns:
            The word.

        Raises:
            RangeError: if a token is negative.
            DtypeError: if a token is no integer.
        """
        top: list[tuple[int, int]] = []
        for token in tokens:
            number = _integer(token, "a token")
            if number < 0:
                raise RangeError(f"tokens must be ≥ 0; given {number}")
            _append(top, number, 1)
        return cls((tuple(top),) if top else ())

    @classmethod
    def join(cls, parts: Iterable[tuple[Word, int]]) -> Word:
        """Return the product of powers w₁^n₁ w₂^n₂ …, sharing equal rules.

        Args:
            parts: words with their exponents ≥ 0.

        Returns:
            The word.

        Raises:
            DomainError: if an exponent is negative.
            DtypeError: if an exponent is no integer.
        """
        places: dict[Rule, int] = {}
        rules: list[Rule] = []
        top: list[tuple[int, int]] = []

        def place(rule: Rule) -> int:
            if rule not in places:
                places[rule] = len(rules)
                rules.append(rule)
            return places[rule]

        for word, exponent in parts:
            count = _integer(exponent, "an exponent")
            if count < 0:
                raise DomainError(f"an exponent must be ≥ 0; given {count}")
            if count == 0 or not word.rules:
                continue
            moved: list[int] = []
            for rule in word.rules[:-1]:
                moved.append(place(_renamed(rule, moved)))
            last = _renamed(word.rules[-1], moved)
            if len(last) == 1:
                _append(top, last[0][0], last[0][1] * count)
            elif count == 1 and len(last) <= _MAX_INLINE:
                for symbol, times in last:
                    _append(top, symbol, times)
            else:
                _append(top, -1 - place(last), count)
        return cls((*rules, tuple(top)) if top else ())

    def __add__(self, other: Word) -> Word:
        return Word.join(((self, 1), (other, 1)))

    def __pow__(self, exponent: int) -> Word:
        return Word.join(((self, exponent),))

    @cached_property
    def _lengths(self) -> list[int]:
        lengths: list[int] = []
        for rule in self.rules:
            lengths.append(sum(c * (1 if s >= 0 else lengths[-1 - s]) for s, c in rule))
        return lengths

    @property
    def length(self) -> int:
        """How many tokens it has; any size."""
        return self._lengths[-1] if self.rules else 0

    @property
    def last(self) -> int | None:
        """The last token, or ``None`` for the empty word."""
        if not self.rules:
            return None
        symbol = self.rules[-1][-1][0]
        while symbol < 0:
            symbol = self.rules[-1 - symbol][-1][0]
        return symbol

    def fold(
        self,
        letter: Callable[[int], Element],
        compose: Callable[[Element, Element], Element],
        identity: Element,
    ) -> Element:
        """Return the product of the letters in a monoid, by repeated squaring.

        Args:
            letter: element of a token.
            compose: (a, b) to "a, then b"; must be associative.
            identity: its neutral element, the value of the empty word.

        Returns:
            The product.

        Complexity: O(rules · log count) compositions, whatever the length.

        Example:
            >>> (Word.of([3]) ** 10**9).fold(lambda x: x, lambda a, b: (a + b) % 7, 0)
            4
        """
        found = self.fold_rules(letter, compose, identity)
        return found[-1] if found else identity

    def fold_rules(
        self,
        letter: Callable[[int], Element],
        compose: Callable[[Element, Element], Element],
        identity: Element,
    ) -> list[Element]:
        """Return the product of each rule in a monoid; the last one is the word's.

        Args:
            letter: as in `fold`.
            compose: as there.
            identity: as there.

        Returns:
            As many elements as rules.
        """
        found: list[Element] = []
        for rule in self.rules:
            product = identity
            for symbol, count in rule:
                base = letter(symbol) if symbol >= 0 else found[-1 - symbol]
                product = compose(product, power(base, count, compose, identity))
            found.append(product)
        return found

    def value(self, mul: np.ndarray, alphabet: Sequence[int] | np.ndarray, identity: int) -> int:
        """Return its product in a finite group (or monoid).

        Args:
            mul: (n, n) integers, mul[a, b] is "a, then b".
            alphabet: (X,) the element of each token.
            identity: the neutral element.

        Returns:
            The element.

        Raises:
            RangeError: if a token is not in the alphabet.
        """
        self.check(len(alphabet))
        return self.fold(lambda x: int(alphabet[x]), lambda a, b: int(mul[a, b]), int(identity))

    def check(self, num_tokens: int) -> None:
        """Raise unless all tokens lie in 0 … num_tokens − 1.

        Args:
            num_tokens: X.

        Raises:
            RangeError: with the first token that does not.
        """
        for rule in self.rules:
            for symbol, _ in rule:
                if symbol >= num_tokens:
                    raise RangeError(f"tokens must lie in 0 … {num_tokens - 1}; given {symbol}")

    def counts(self, num_tokens: int) -> tuple[int, ...]:
        """Return how often each token occurs.

        Args:
            num_tokens: X.

        Returns:
            X integers of any size.

        Raises:
            RangeError: if a token is ≥ X.
        """
        self.check(num_tokens)
        found: list[list[int]] = []
        for rule in self.rules:
            total = [0] * num_tokens
            for symbol, count in rule:
                if symbol >= 0:
                    total[symbol] += count
                else:
                    total = [t + count * k for t, k in zip(total, found[-1 - symbol], strict=True)]
            found.append(total)
        return tuple(found[-1]) if found else (0,) * num_tokens

    def chunks(self, size: int = 4096) -> Iterator[np.ndarray]:
        """Give its tokens piece by piece, so that memory does not grow with the length.

        Args:
            size: tokens of a piece at most, ≥ 1.

        Yields:
            int64 arrays; joined they are the word.

        Raises:
            DomainError: if the size is < 1.
        """
        if size < 1:
            raise DomainError(f"the size of a piece must be ≥ 1; given {size}")
        yield from self._pieces(len(self.rules) - 1, size, {})

    def _pieces(self, number: int, size: int, whole: dict[int, np.ndarray]) -> Iterator[np.ndarray]:
        if number < 0:
            return
        for symbol, count in self.rules[number]:
            length = 1 if symbol >= 0 else self._lengths[-1 - symbol]
            if length > size:
                for _ in range(count):
                    yield from self._pieces(-1 - symbol, size, whole)
                continue
            if symbol not in whole:
                inner = [] if symbol >= 0 else list(self._pieces(-1 - symbol, size, whole))
                whole[symbol] = np.concatenate(inner) if inner else np.array([symbol])
            piece, left = whole[symbol], count
            while left:
                times = min(left, max(1, size // length))
                yield np.tile(piece, times)
                left -= times

    def tokens(self) -> Tensor:
        """Write the word out.

        Returns:
            (length,) int64.

        Raises:
            UnsupportedError: if it has more than 10⁸ tokens; use `chunks` or `fold`.
        """
        if self.length > MAX_EXPANDED:
            raise UnsupportedError(
                f"a word written out may have {MAX_EXPANDED:,} tokens; this one has "
                f"{self.length:,}; read it in chunks or fold it"
            )
        pieces = list(self.chunks(2**16))
        return torch.from_numpy(np.concatenate(pieces) if pieces else np.zeros(0, np.int64))

    def __str__(self) -> str:
        text = self._text(len(self.rules) - 1) if self.rules else "the empty word"
        return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"

    def __repr__(self) -> str:
        return f"<Word of {self.length:,} tokens: {self}>"

    def _text(self, number: int) -> str:
        shown: list[str] = []
        for symbol, count in self.rules[number]:
            inner = str(symbol) if symbol >= 0 else f"({self._text(-1 - symbol)})"
            shown.append(inner if count == 1 else f"{inner}^{count}")
            if sum(map(len, shown)) > _MAX_TEXT:
                break
        return " ".join(shown)


def _integer(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise DtypeError(f"{name} must be an integer; given {value!r}") from error


def _append(top: list[tuple[int, int]], symbol: int, count: int) -> None:
    if top and top[-1][0] == symbol:
        top[-1] = (symbol, top[-1][1] + count)
    else:
        top.append((symbol, count))


def _renamed(rule: Rule, moved: Sequence[int]) -> Rule:
    return tuple((s if s >= 0 else -1 - moved[-1 - s], c) for s, c in rule)


def power(
    base: Element, count: int, compose: Callable[[Element, Element], Element], identity: Element
) -> Element:
    """Return baseⁿ in a monoid, by repeated squaring.

    Args:
        base: an element.
        count: n ≥ 0.
        compose: (a, b) to "a, then b"; must be associative.
        identity: its neutral element.

    Returns:
        The product of n factors.
    """
    result, square = identity, base
    while True:
        if count & 1:
            result = compose(result, square)
        count >>= 1
        if not count:
            return result
        square = compose(square, square)
