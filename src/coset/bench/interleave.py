"""The order of measurement: every contestant once a round, in a new random order each round.

Drift of the machine (clock speed, neighbors) then hits all of them alike, and nobody always runs
after the same one.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

__all__ = ["calls_per_turn", "measure", "schedule"]

Turn = TypeVar("Turn")

MIN_ROUNDS = 5
_TURN_S = 0.01


def schedule(names: Sequence[str], num_rounds: int, seed: int) -> list[list[str]]:
    """Return who runs when: each round is a permutation of `names`, drawn from `seed`.

    Args:
        names: contestants and limits.
        num_rounds: how many rounds.
        seed: of the orders; the same seed gives the same orders.

    Returns:
        One list of all names a round.

    Example:
        >>> [sorted(order) for order in schedule(["a", "b"], 2, seed=0)]
        [['a', 'b'], ['a', 'b']]
    """
    draw = random.Random(seed)
    return [draw.sample(list(names), len(names)) for _ in range(num_rounds)]


def calls_per_turn(seconds: float) -> int:
    """Return how many calls make a turn of about ten milliseconds, between 1 and 1000.

    Args:
        seconds: one call.

    Returns:
        The number of calls.
    """
    return max(1, min(1000, math.ceil(_TURN_S / max(seconds, 1e-9))))


def measure(
    timers: Mapping[str, Callable[[], Turn]],
    orders: Sequence[Sequence[str]],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    after_round: Callable[[int], None] | None = None,
) -> dict[str, list[Turn]]:
    """Run the rounds; after the time is up no new round starts, but five are always run.

    Args:
        timers: for each name, a call that takes one turn and returns what it measured.
        orders: as `schedule` returns them.
        seconds: time for all rounds together.
        clock: monotonic seconds.
        after_round: told the number of rounds done.

    Returns:
        For each name what its turns returned, one a round, in the order of the rounds.
    """
    found: dict[str, list[Turn]] = {name: [] for name in timers}
    start = clock()
    for done, order in enumerate(orders):
        if done >= MIN_ROUNDS and clock() - start > seconds:
            break
        for name in order:
            found[name].append(timers[name]())
        if after_round is not None:
            after_round(done + 1)
    return found
