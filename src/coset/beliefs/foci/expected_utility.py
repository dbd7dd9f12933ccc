"""Decisions: the belief that what is desired comes true, with an action that can move."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError, ShapeError

__all__ = ["action_values", "decision", "decision_graph"]


def decision_graph(
    prior: Tensor,
    outcomes: Tensor,
    utility: Tensor,
    *,
    belief: float = 1.0,
    desire: float = 1.0,
    policy: Tensor | None = None,
) -> PDG:
    """Return beliefs about a state, about what actions lead to, and that the outcome is desired.

    "desire" is a binary variable, observed true, with p(true|o) = exp(u(o) − max u). The state
    does not depend on the action, and this is stated: p(S|A) = p(S) for each action.

    Args:
        prior: p(s), (S,).
        outcomes: τ(o | s, a), (S, A, O), certain.
        utility: u(o), (O,), finite.
        belief: confidence in p; ∞ for plain expected utility.
        desire: confidence that the outcome is desired, > 0.
        policy: π(a), (A,), positive: a certain belief that can move; without it the action is free.

    Returns:
        The graph, with variables "S", "A", "O" and "desire".

    Raises:
        ShapeError: if the shapes do not fit each other.
        DomainError: if a utility is not finite, or `desire` is not positive and finite.

    Claims: beliefs.C21.
    """
    if outcomes.ndim != 3 or outcomes.shape[::2] != (len(prior), len(utility)):
        raise ShapeError(
            f"outcomes are (S, A, O) for prior (S,) and utility (O,); given "
            f"{tuple(outcomes.shape)}, {tuple(prior.shape)}, {tuple(utility.shape)}"
        )
    if not bool(utility.isfinite().all()) or not 0 < desire < math.inf:
        raise DomainError(f"utilities are finite, and 0 < desire < ∞; given {utility}, {desire}")
    num_states, num_actions, num_outcomes = outcomes.shape
    graph = PDG({"S": num_states, "A": num_actions, "O": num_outcomes})
    if policy is not None:
        graph.add("action", "A", cpd=policy, alpha=0.0, beta=math.inf, learnable=True)
    same = prior.expand(num_actions, num_states)
    graph.add("state", "S", "A", cpd=same, alpha=0.0, beta=belief)
    graph.add("outcome", "O", ("S", "A"), cpd=outcomes, alpha=0.0, beta=math.inf)
    graph.cost("desire", "O", utility.max() - utility, beta=desire)
    return graph


def action_values(graph: PDG, *, tol: float = 1e-11) -> Tensor:
    """Return the inconsistency of each action; the least is the best.

    With b = `desire` and b_p = `belief` of the graph it is

        −b_p log Σ_s p(s) exp((b / b_p) (EU(s, a) − max u)),  EU(s, a) = E_τ u(O).

    For b_p = ∞ the best is the action of the greatest expected utility; as b
    grows, that with the greatest utility in some state.

    Args:
        graph: as `decision_graph` makes it.
        tol: the gap of each value.

    Returns:
        (A,), in nats; add −b max u to compare graphs of different utilities.

    Example:
        >>> eye = torch.eye(2)
        >>> graph = decision_graph(
        ...     torch.tensor([0.75, 0.25]),
        ...     eye[:, :, None] * eye[0] + (1 - eye[:, :, None]) * eye[1],
        ...     torch.tensor([1.0, 0.0]),
        ...     belief=math.inf,
        ... )
        >>> [round(float(v), 6) for v in action_values(graph)]
        [0.25, 0.75]

    Claims: beliefs.C21.
    """
    free = graph.subgraph(name for name in graph.arcs if name != "action")
    num_actions = graph.variables["A"].card
    values = [solve(free.condition({"A": a}), tol=tol).value for a in range(num_actions)]
    return torch.tensor(values, dtype=torch.float64)


def decision(rate: float) -> list[Focus]:
    """Return the one focus of a decision maker: look at everything, and move the policy.

    The inconsistency of a policy is the mean of `action_values` under it, so that one step is one
    of exact policy gradient, and actions of least value win.

    Args:
        rate: χ of the arc "action".

    Returns:
        One focus.

    Claims: beliefs.C21.
    """
    return [Focus(None, Control({"action": rate}), "decide")]
