"""Can a stack of diagonal layers track an automaton, and how many layers does it take?

Why only solvable groups: let words u, v represent elements of a group in the transition monoid with
identity e, and let z be a word of e. If u and v act alike on the states of the stack, then so do
u·z and v·z, which end in the same token; all states of the automaton can be reached, so the answers
show that u·z = u and v·z = v act alike on them. The group is thus a quotient of a part of the
stack's own monoid, whose subgroups are solvable with derived length at most the depth (ssm.C2).
Why they suffice: the holonomy decomposition (`coset.ssm.automata.holonomy`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from coset.core.errors import UnsupportedError
from coset.core.results import Record, Verdict
from coset.ssm.automata.automaton import Automaton
from coset.ssm.automata.images import MAX_IMAGES, Images, check_num_states
from coset.ssm.automata.permutations import derived_orders, order_text

__all__ = ["AutomatonVerdict", "SyntacticGroup", "judge_automaton"]


@dataclass(frozen=True)
class SyntacticGroup(Record):
    """A maximal group in the transition monoid: what words do to one set of states.

    Attributes:
        states: the labels of the states that it permutes.
        orders: the orders along its derived series; the last is 1 iff it is solvable.
        regular: whether it is a subgroup of the monoid; if not, it is a quotient of a subgroup of
            one that is.
    """

    states: tuple[str, ...]
    orders: tuple[int, ...]
    regular: bool = True

    @property
    def order(self) -> int:
        """How many permutations it holds."""
        return self.orders[0]

    @property
    def is_solvable(self) -> bool:
        """Whether its derived series ends at the identity."""
        return self.orders[-1] == 1

    @property
    def derived_length(self) -> int | float:
        """How many layers track it: the length of the derived series, infinite if it stalls."""
        return len(self.orders) - 1 if self.is_solvable else math.inf


@dataclass(frozen=True)
class AutomatonVerdict(Verdict):
    """Whether diagonal layers can track an automaton, and bounds on their number.

    Attributes:
        kind: "permutation", "permutation-reset", "aperiodic" or "general".
        groups: the maximal groups of the transition monoid, without trivial ones; if words have
            too many images to list, only the one that decides.
        depth_at_least: no fewer layers do, even if the answer may look at the last token.
        depth_at_most: so many layers do; infinite if none do.
    """

    kind: str = "general"
    groups: tuple[SyntacticGroup, ...] = ()
    depth_at_least: int | float = 0
    depth_at_most: int | float = math.inf


def judge_automaton(automaton: Automaton) -> AutomatonVerdict:
    """Judge an automaton by the groups of its images.

    It can be tracked iff every group in its transition monoid is solvable. At least as many layers
    are needed as the largest derived length; max(1, derived length) layers for each height of its
    images, added up, suffice.

    Args:
        automaton: the states that no word reaches are left out.

    Returns:
        The verdict.

    Raises:
        UnsupportedError: if words have more than 4,096 images, or reach more states.

    Claims: ssm.C9, ssm.C9b, ssm.C9c.

    Example:
        >>> mod_3_or_reset = Automaton.from_dfa([[1, 0], [2, 0], [0, 0]])
        >>> verdict = judge_automaton(mod_3_or_reset)
        >>> verdict.holds, verdict.kind, [group.order for group in verdict.groups]
        (True, 'permutation-reset', [3])
        >>> verdict.depth_at_least, verdict.depth_at_most
        (1, 1)
    """
    automaton = automaton.trim()
    check_num_states(automaton.num_states)
    try:
        images = Images.from_delta(automaton.delta)
    except UnsupportedError:
        return _judge_by_tokens(automaton)
    groups: list[SyntacticGroup] = []
    level_depths: dict[int, int | float] = dict.fromkeys(range(1, 1 + int(images.heights[0])), 1)
    for representative in _representatives(images):
        group = _group_of(automaton, images, representative)
        if group.order > 1:
            groups.append(group)
            height = int(images.heights[representative])
            level_depths[height] = max(level_depths[height], group.derived_length)
    groups = [group for group in groups if group.regular]
    return AutomatonVerdict(
        holds=all(group.is_solvable for group in groups),
        reason=_reason(groups),
        evidence={
            "num_states": automaton.num_states,
            "num_tokens": automaton.num_tokens,
            "num_images": images.num_images,
        },
        kind=_kind_of(automaton, groups),
        groups=tuple(groups),
        depth_at_least=_least_depth(automaton, groups),
        depth_at_most=sum(level_depths.values()),
    )


def _least_depth(automaton: Automaton, groups: list[SyntacticGroup]) -> int | float:
    """Return a depth below which no stack tracks it; the answer may look at the last token too."""
    forgets = (automaton.delta == automaton.delta[0]).all()
    return max((group.derived_length for group in groups), default=0 if forgets else 1)


def _judge_by_tokens(automaton: Automaton) -> AutomatonVerdict:
    """Return a verdict without a list of images, if tokens that permute all states settle it."""
    num_states = automaton.num_states
    columns = [c for c in automaton.delta.T if np.unique(c).size == num_states]
    group = SyntacticGroup(automaton.state_labels, derived_orders(num_states, columns))
    if group.is_solvable:
        raise UnsupportedError(
            f"words of an automaton may have {MAX_IMAGES:,} images to be judged; this one has "
            f"more, and the group of the tokens that permute all states is solvable; merge states "
            f"(minimal()) or tokens that act alike"
        )
    evidence = {"num_states": num_states, "num_tokens": automaton.num_tokens}
    return AutomatonVerdict(
        False, _reason([group]), evidence, "general", (group,), math.inf, math.inf
    )


def _representatives(images: Images) -> list[int]:
    """Return the first set of each class of more than one state, in order of their size."""
    first = np.unique(images.classes, return_index=True)[1]
    chosen = [int(i) for i in first if images.sizes[i] > 1]
    return sorted(chosen, key=lambda i: (-images.sizes[i], i))


def _group_of(automaton: Automaton, images: Images, representative: int) -> SyntacticGroup:
    moves = images.moves(images.bijections(representative))
    distinct = {p.tobytes(): p for p in moves.values()}
    orders = derived_orders(int(images.sizes[representative]), distinct.values())
    states = tuple(automaton.state_labels[q] for q in images.sets[representative])
    return SyntacticGroup(states, orders, orders[0] == 1 or images.is_regular(representative))


def _kind_of(automaton: Automaton, groups: list[SyntacticGroup]) -> str:
    if not groups:
        return "aperiodic"
    columns = np.sort(automaton.delta, axis=0)
    permutes = (columns == np.arange(automaton.num_states)[:, None]).all(0)
    resets = columns[0] == columns[-1]
    if permutes.all():
        return "permutation"
    return "permutation-reset" if (permutes | resets).all() else "general"


def _reason(groups: list[SyntacticGroup]) -> str:
    stuck = next((group for group in groups if not group.is_solvable), None)
    if stuck is not None:
        return (
            f"the words that permute {describe_states(stuck.states)} form a group of order "
            f"{order_text(stuck.order)} that is not solvable: its derived series stalls at a "
            f"perfect subgroup of order {order_text(stuck.orders[-1])}"
        )
    if not groups:
        return "its transition monoid has no group but trivial ones: it only sets, holds, forgets"
    orders = sorted({group.order for group in groups}, reverse=True)
    return (
        f"every group in its transition monoid is solvable; "
        f"{'orders' if len(orders) > 1 else 'order'} {', '.join(map(order_text, orders))}"
    )


def describe_states(states: tuple[str, ...]) -> str:
    """Return a set of states in at most a few words.

    Args:
        states: their labels.

    Returns:
        "{a, b}", or how many there are beside the first ones.

    Example:
        >>> describe_states(("a", "b")), describe_states(tuple("abcdefghij"))
        ('{a, b}', '{a, b, c, … 10 states}')
    """
    if len(states) <= 6 and sum(map(len, states)) <= 60:
        return "{" + ", ".join(states) + "}"
    shown = ", ".join(state[:20] for state in states[:3])
    return f"{{{shown}, … {len(states)} states}}"
