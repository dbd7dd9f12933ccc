"""Which search finds each number: exact or noisy answers, fractions or intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from coset.core.errors import DomainError
from coset.decisions.elicit.posterior import MAX_ADAPTIVE_QUERIES, adapt
from coset.decisions.elicit.question import Question
from coset.decisions.elicit.search import (
    Found,
    bisect,
    check_denominator,
    check_tolerance,
    stern_brocot,
)
from coset.decisions.elicit.trisection import (
    MAX_NOISY_QUERIES,
    check_delta,
    check_limit,
    trisect,
)

__all__ = ["Link", "Search", "choose_search"]

Search = Callable[[Question], Found]
Link = Literal["logistic"]


def choose_search(
    tol: float,
    delta: float | None,
    max_denominator: int | None,
    link: Link | None,
    max_queries: int | None,
    num_numbers: int,
) -> Search:
    """Return the search that the arguments of an elicitation ask for.

    Args:
        tol: the width of intervals, relative above 1.
        delta: permitted probability that any of all intervals misses its number; ``None`` if
            answers are exact.
        max_denominator: ask for fractions of at most this denominator, exactly.
        link: "logistic" to believe in a logistic curve and ask fewer questions.
        max_queries: the most answers a number may take; only for noisy ones.
        num_numbers: how many numbers share δ, ≥ 1.

    Returns:
        The function from a question to what is found.

    Raises:
        DomainError: if arguments contradict each other or are outside their ranges.
    """
    check_tolerance(tol)
    if max_denominator is not None:
        check_denominator(max_denominator)
    if delta is None:
        if link is not None or max_queries is not None:
            raise DomainError(
                "link and max_queries are for noisy answers; give delta, the probability with "
                "which an interval may miss, or leave them out"
            )
        if max_denominator is None:
            return lambda question: bisect(question, tol)
        return lambda question: stern_brocot(question, max_denominator)
    if max_denominator is not None:
        raise DomainError(
            "noisy answers cannot say that two lotteries are indifferent, so that no fraction is "
            "found exactly; give delta or max_denominator, not both"
        )
    share = check_delta(delta) / num_numbers
    if link not in (None, "logistic"):
        raise DomainError(f"link must be 'logistic' or None; given {link!r}")
    most = (MAX_ADAPTIVE_QUERIES if link else MAX_NOISY_QUERIES) if max_queries is None else None
    limit = most if most is not None else max_queries
    assert limit is not None
    check_limit(limit)
    search = adapt if link else trisect
    return lambda question: search(question, tol, share, limit)
