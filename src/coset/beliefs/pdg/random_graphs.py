"""Random tables and graphs, for studies and for checks of claims."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.core.errors import DomainError, ShapeError

__all__ = ["random_graph", "random_table"]


def random_table(
    *shape: int, num_targets: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Draw conditional distributions: uniform numbers, rows divided by their sums.

    Args:
        *shape: (*batch, *sources, *targets), each at least 1.
        num_targets: the number of trailing axes that a row spans.
        generator: the source of randomness.

    Returns:
        The table, float64, strictly positive.

    Raises:
        ShapeError: if a size is 0, or rows span no axis or more than there are.

    Example:
        >>> random_table(4, 3).sum(-1).allclose(torch.ones(4, dtype=torch.float64))
        True
    """
    if not 1 <= num_targets <= len(shape) or min(shape) < 1:
        raise ShapeError(
            f"a row spans 1 to {len(shape)} axes, each of 1 value or more; given {num_targets} of "
            f"{shape}"
        )
    numbers = 1.0 - torch.rand(shape, generator=generator, dtype=torch.float64)  # in (0, 1]
    axes = tuple(range(-num_targets, 0))
    return numbers / numbers.sum(axes, keepdim=True)


def random_graph(
    num_variables: int,
    num_arcs: int,
    *,
    cards: tuple[int, int] = (2, 3),
    num_sources: tuple[int, int] = (0, 3),
    num_targets: tuple[int, int] = (1, 2),
    generator: torch.Generator | None = None,
) -> PDG:
    """Draw a graph: sizes, scopes and tables are uniform, confidences α = β = 1.

    Args:
        num_variables: at least as many as an arc may have sources and targets.
        num_arcs: how many beliefs.
        cards: the least and the largest number of values of a variable.
        num_sources: the least and the largest number of sources of an arc.
        num_targets: the least and the largest number of targets.
        generator: the source of randomness.

    Returns:
        A graph of the variables X0, X1, … and the arcs p0, p1, …; it may have several parts, and
        variables that no arc touches.

    Raises:
        DomainError: if an arc could need more variables than there are, a target is not needed, or
            a range is empty.

    Example:
        >>> random_graph(5, 7, generator=torch.Generator().manual_seed(0))
        PDG(5 variables, 7 arcs)
    """
    most = num_sources[1] + num_targets[1]
    ranges = (cards, num_sources, num_targets)
    if num_targets[0] < 1 or cards[0] < 1 or most > num_variables or any(a > b for a, b in ranges):
        raise DomainError(
            f"an arc has 1 target or more and at most all {num_variables} variables; given "
            f"cards {cards}, sources {num_sources}, targets {num_targets}"
        )

    def draw(between: tuple[int, int]) -> int:
        return int(torch.randint(between[0], between[1] + 1, (), generator=generator))

    pdg = PDG({f"X{i}": draw(cards) for i in range(num_variables)})
    for number in range(num_arcs):
        sources, targets = draw(num_sources), draw(num_targets)
        places = torch.randperm(num_variables, generator=generator)[: sources + targets]
        names = [f"X{i}" for i in places.tolist()]
        table = random_table(*pdg.cards(names), num_targets=targets, generator=generator)
        pdg.add(f"p{number}", names[sources:], names[:sources], cpd=table)
    return pdg
