"""Stated pairs of lotteries, as people give them in Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, DtypeError
from coset.decisions.preferences.lottery import Lottery

__all__ = ["in_one_arithmetic", "listed", "read_pair"]


def listed(pairs: Any, relation: str) -> Iterable[Any]:
    """Return what should be a list of pairs, if it can be one.

    Args:
        pairs: what was given.
        relation: for the message.

    Returns:
        The same.

    Raises:
        DtypeError: if it is a text, or not iterable.
    """
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise DtypeError(f"{relation} must list pairs (p, q) of lotteries; given {pairs!r}")
    return pairs


def read_pair(pair: Any, relation: str, place: int) -> tuple[Lottery, Lottery]:
    """Return the lotteries of one stated preference.

    Args:
        pair: (p, q): lotteries, mappings outcome → probability, or outcomes for certain.
        relation: for the message.
        place: for the message.

    Returns:
        p and q.

    Raises:
        DtypeError: if it is no pair, or an outcome or a weight is of a wrong type.
        DomainError: if a lottery is malformed.
    """
    try:
        # A name of two letters, a set and a lottery with two outcomes come apart, too.
        if isinstance(pair, str | Set | Mapping):
            raise TypeError(f"{type(pair)} is no pair")
        p, q = pair
    except (TypeError, ValueError) as error:
        raise DtypeError(
            f"{relation}[{place}] must be a pair (p, q) of lotteries; given {pair!r}"
        ) from error
    try:
        return _read_lottery(p), _read_lottery(q)
    except (DomainError, DtypeError) as error:
        raise type(error)(f"{relation}[{place}]: {error}") from error


def _read_lottery(value: Any) -> Lottery:
    if isinstance(value, Lottery):
        return value
    return Lottery.of(value) if isinstance(value, Mapping) else Lottery.sure(value)


def in_one_arithmetic(lotteries: list[Lottery], exact: bool | str) -> list[Lottery]:
    """Return the lotteries with all weights exact or all floats.

    Args:
        lotteries: any.
        exact: "auto": exact if all are; True: floats are read as the decimals that they print as.

    Returns:
        As many lotteries.

    Raises:
        DomainError: if such decimals do not sum to 1.
    """
    if exact == "auto":
        exact = all(lottery.is_exact for lottery in lotteries)
    if exact:
        return [p if p.is_exact else _as_decimals(p) for p in lotteries]
    return [
        Lottery(p.outcomes, [float(w) for w in p.weights]) if p.is_exact else p for p in lotteries
    ]


def _as_decimals(lottery: Lottery) -> Lottery:
    return Lottery(lottery.outcomes, [Fraction(repr(w)) for w in lottery.weights])
