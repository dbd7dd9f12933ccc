"""Whether disbelief (β < 0) makes the score −∞: exact, because everything is finite."""

from __future__ import annotations

import math

from coset.beliefs.errors import UnboundedInconsistencyError
from coset.beliefs.solvers.cells import possible_worlds
from coset.beliefs.solvers.problem import DenseProblem, elements

__all__ = ["check_bounded"]


def check_bounded(problem: DenseProblem) -> None:
    """Raise if the score has no lower bound.

    Each entropy and each finite log p is bounded, so the score is −∞ iff some joint that meets
    the constraints gives weight to a world where a belief with β < 0 has p = 0. Beliefs with
    β > 0 that rule the world out hold such a disbelief.

    Args:
        problem: the problem, or a batch of them.

    Raises:
        UnboundedInconsistencyError: if it has none, with the names of the arcs.
    """
    doubtful = [
        t.name for t in problem.terms if t.linear < 0 and bool((t.log_p == -math.inf).any())
    ]
    if not doubtful:
        return
    loose: dict[str, None] = {}
    for element in elements(problem):
        worlds, _ = possible_worlds(element)
        for term in element.terms:
            if term.name in doubtful:
                impossible = (term.log_p == -math.inf).expand(element.shape).reshape(-1)
                if bool(impossible[worlds].any()):
                    loose[term.name] = None
    if loose:
        raise UnboundedInconsistencyError(
            f"{', '.join(map(repr, loose))} {'is' if len(loose) == 1 else 'are'} disbelieved "
            f"(β < 0) and p = 0 in worlds that no other belief rules out, so the score has no "
            f"lower bound; give p > 0 there, β ≥ 0, or rule these worlds out",
            tuple(loose),
        )
