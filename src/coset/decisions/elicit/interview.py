"""Asking an oracle: every answer is checked and counted, and an exact one is asked only once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from coset.core.errors import DomainError, DtypeError
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, Oracle

if TYPE_CHECKING:
    import torch

__all__ = ["Future", "Interview", "as_future", "check_answer"]

# What may stand for a lottery over futures: an event, several events in order, ε as ().
Future = Lottery | EventSequence | str | Sequence[str]


def as_future(given: Future) -> Lottery:
    """Read a lottery over event sequences.

    Args:
        given: a lottery, a sequence of events, or the name of one event; () is ε, the end.

    Returns:
        The lottery.

    Raises:
        DtypeError: if it is none of these, or a lottery over something else.

    Examples:
        >>> as_future(("walk", "fall"))
        walk·fall
        >>> as_future(())
        ε
    """
    if isinstance(given, str):
        return Lottery.sure(EventSequence((given,)))
    if isinstance(given, Lottery):
        odd = [o for o in given.outcomes if not isinstance(o, EventSequence)]
        if odd:
            raise DtypeError(
                f"a future is a lottery over event sequences; given the outcome {odd[0]!r}; write "
                f"EventSequence.of('a', 'b')"
            )
        return given
    if isinstance(given, EventSequence):
        return Lottery.sure(given)
    if isinstance(given, Sequence):
        return Lottery.sure(EventSequence(tuple(given)) if len(given) else EMPTY)
    raise DtypeError(
        f"a future is a lottery, an event sequence or the name of an event; given {given!r}"
    )


def check_answer(answer: Any, first: Lottery, second: Lottery) -> int:
    """Return an oracle's answer as an integer.

    Args:
        answer: +1, 0 or −1, as a number of any kind. A truth value is refused: "False" would pass
            for "indifferent".
        first: the lotteries that were shown, for the message.
        second: the other one.

    Returns:
        +1, 0 or −1.

    Raises:
        DomainError: if it is anything else.
    """
    # Scalars of NumPy and torch, their truth values too, become Python's.
    value = answer.item() if getattr(answer, "shape", None) == () else answer
    if type(value) not in (int, float, Fraction) or value not in (-1, 0, 1):
        raise DomainError(
            f"an oracle must answer +1 (the first), −1 (the second) or 0 (indifferent); it "
            f"answered {answer!r:.60} to {first} or {second}"
        )
    return int(value)


class Interview:
    """An oracle with a notebook: answers are validated, counted and, if exact, remembered.

    Args:
        oracle: +1 if the first lottery is preferred, −1 if the second, 0 if neither.
        noisy: whether answers are random; then each question is asked anew, and an answer of 0
            is refused.
        generator: if given, shows the two lotteries in random order, so that a liking for what
            stands first cancels.

    Attributes:
        num_queries: how often the oracle was asked.

    Examples:
        >>> interview = Interview(lambda p, q: 1)
        >>> win, lose = Lottery.sure("win"), Lottery.sure("lose")
        >>> interview.ask(win, lose), interview.ask(lose, win), interview.ask(win, win)
        (1, -1, 0)
        >>> interview.num_queries
        1
    """

    def __init__(
        self,
        oracle: Oracle,
        *,
        noisy: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if not callable(oracle):
            raise DtypeError(
                f"an oracle is a function of two lotteries; given {type(oracle).__name__}"
            )
        self._oracle = oracle
        self._noisy = noisy
        self._generator = generator
        self._coins: list[bool] = []
        self._answers: dict[tuple[Lottery, Lottery], int] = {}
        self.num_queries = 0

    @property
    def noisy(self) -> bool:
        """Whether answers are random."""
        return self._noisy

    def ask(self, first: Lottery, second: Lottery) -> int:
        """Return which lottery is preferred.

        Args:
            first: a lottery.
            second: another; equal ones are indifferent without a question.

        Returns:
            +1, −1 or 0.

        Raises:
            DomainError: if the oracle answers anything else, or a noisy one 0.
        """
        if self._noisy:
            return self._put(first, second)
        if first == second:
            return 0
        known = self._answers.get((first, second))
        if known is None:
            known = self._put(first, second)
            self._answers[first, second] = known
            self._answers[second, first] = -known
        return known

    def repeatedly(self, first: Lottery, second: Lottery) -> Callable[[], int]:
        """Return a function that asks the same question anew each time.

        Args:
            first: a lottery.
            second: another.

        Returns:
            The function.
        """
        return lambda: self._put(first, second)

    def _put(self, first: Lottery, second: Lottery) -> int:
        swapped = self._generator is not None and self._coin()
        shown = (second, first) if swapped else (first, second)
        answer = check_answer(self._oracle(*shown), *shown)
        self.num_queries += 1
        if self._noisy and answer == 0:
            raise DomainError(
                f"a noisy oracle must answer +1 or −1; it answered 0 to {first} or {second}; leave "
                f"delta out if answers are exact, or toss a coin where it is indifferent"
            )
        return -answer if swapped else answer

    def _coin(self) -> bool:
        if not self._coins:
            import torch

            drawn = torch.randint(2, (1024,), generator=self._generator)
            self._coins = [bool(c) for c in drawn]
        return self._coins.pop()
