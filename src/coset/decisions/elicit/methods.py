"""Which search finds each number: exact or noisy answers, fractions or intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from coset.core.errors import DomainError
from coset.decisions.elicit.limits import check_count, check_share
from coset.decisions.elicit.posterior import MAX_ADAPTIVE_QUERIES, adapt
from coset.decisions.elicit.question import Question
from coset.decisions.elicit.search import Found, bisect, stern_brocot
from coset.decisions.elicit.trisection import MAX_NOISY_QUERIES, trisect

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
    check_share("tol", tol)
    if max_denominator is not None:
        max_denominator = check_count("max_denominator", max_denominator)
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
    share = float(check_share("delta", delta)) / num_numbers
    if link not in (None, "logistic"):
        raise DomainError(f"link must be 'logistic' or None; given {link!r}")
    if max_queries is None:
        max_queries = MAX_ADAPTIVE_QUERIES if link else MAX_NOISY_QUERIES
    limit = check_count("max_queries", max_queries)
    search = adapt if link else trisect
    return lambda question: search(question, tol, share, limit)
