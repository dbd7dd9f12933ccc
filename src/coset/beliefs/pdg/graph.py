"""The probabilistic dependency graph: variables, and beliefs about them that may conflict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from networkx.utils import UnionFind
from numpy.typing import ArrayLike
from torch import Tensor, nn

from coset.beliefs.pdg.arc import Arc, Table
from coset.beliefs.pdg.tables import LogitTable, as_table
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import DomainError, DtypeError, ShapeError, UnknownNameError
from coset.core.foreign_files import show

__all__ = ["PDG"]

Names = str | Sequence[str]


def _names(names: Names) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else names
    if not isinstance(found, Sequence) or not all(isinstance(name, str) for name in found):
        raise DtypeError(f"variables are named by a text or a list of texts; given {show(names)}")
    return tuple(found)


class PDG:
    """Variables, and arcs that each hold a belief p(T | S) with confidences (β, α).

    It is built up by `variable`, `add`, `observe` and `cost`; the other methods return new graphs
    that share the arcs.

    Args:
        variables: name → number of values, or their names; or `Variable` objects.

    Attributes:
        variables: name → `Variable`, in the order in which they came.
        arcs: name → `Arc`, likewise.

    Example:
        >>> import coset.beliefs as beliefs
        >>> pdg = beliefs.PDG({"rain": ["no", "yes"]})
        >>> arc = pdg.add("radio", "rain", cpd=[0.2, 0.8])
        >>> arc = pdg.add("window", "rain", cpd=[0.9, 0.1])
        >>> round(beliefs.solve(pdg).value, 4)
        0.6931

    Claims: beliefs.C1.
    """

    def __init__(
        self, variables: Mapping[str, int | Sequence[str]] | Iterable[Variable] = ()
    ) -> None:
        self.variables: dict[str, Variable] = {}
        self.arcs: dict[str, Arc] = {}
        if isinstance(variables, Mapping):
            variables = [Variable.of(name, values) for name, values in variables.items()]
        for variable in variables:
            if not isinstance(variable, Variable):
                raise DtypeError(
                    f"variables are given as name → number or names of values, or as `Variable` "
                    f"objects; given {show(variable)}"
                )
            self._put_variable(variable)

    def _put_variable(self, variable: Variable) -> None:
        known = self.variables.setdefault(variable.name, variable)
        if known != variable:
            raise DomainError(
                f"a variable has one set of values; {variable.name!r} is {known} and {variable}"
            )

    def _put_arc(self, arc: Arc) -> Arc:
        if arc.name in self.arcs:
            raise DomainError(
                f"names of arcs are unique; {arc.name!r} is there already: give another name"
            )
        for name in (*arc.sources, *arc.targets):
            if name not in self.variables:
                raise UnknownNameError.of("variable", name, self.variables)
        self.arcs[arc.name] = arc
        return arc

    def variable(self, name: str, values: int | Sequence[str]) -> Variable:
        """Add a variable.

        Args:
            name: its name, new.
            values: the number of its values, or their names.

        Returns:
            The variable.

        Raises:
            DomainError: if a variable of that name has other values.
        """
        self._put_variable(Variable.of(name, values))
        return self.variables[name]

    def cards(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the numbers of values of the variables named."""
        return tuple(self.variables[name].card for name in names)

    def add(
        self,
        name: str,
        target: Names,
        given: Names = (),
        *,
        cpd: Table | ArrayLike | None = None,
        alpha: float = 1.0,
        beta: float = 1.0,
        learnable: bool = False,
        is_log: bool = False,
        parameters: Iterable[Tensor] = (),
    ) -> Arc:
        """Add the belief p(target | given).

        Args:
            name: the arc's name, new.
            target: one variable or more.
            given: the sources, possibly none.
            cpd: probabilities, one axis a source, then one a target (batch axes lead), as a
                tensor, an array or lists; or a module or function that returns a tensor.
            alpha: structural confidence.
            beta: observational confidence; `math.inf` makes it a constraint.
            learnable: make the table a softmax of free logits that `cpd` (uniform, if none)
                starts.
            is_log: whether `cpd` holds log-probabilities.
            parameters: what gradients may move, if `cpd` is a function.

        Returns:
            The arc.

        Raises:
            UnknownNameError: if a variable is unknown.
            DomainError: if the name is taken, an entry is negative or NaN, …
            DtypeError: if names are no texts, the table no numbers or a confidence no number.
            ShapeError: if the table has the wrong shape.
            NotNormalizedError: if a row of a table does not sum to one.
        """
        sources, targets = _names(given), _names(target)
        if cpd is None:
            if not learnable:
                raise DomainError(f"{name!r} needs a cpd, or learnable=True to start uniform")
            known = [v for v in (*sources, *targets) if v in self.variables]
            size = math.prod(self.cards(v for v in targets if v in self.variables))
            cpd = torch.full(self.cards(known), 1.0 / size, dtype=torch.float64)
        if not (isinstance(cpd, nn.Module) or callable(cpd)):
            cpd = as_table(cpd)
        arc = Arc(name, sources, targets, cpd, alpha, beta, is_log, tuple(parameters))
        if isinstance(cpd, Tensor | LogitTable):
            for variable in (*sources, *targets):
                if variable not in self.variables:
                    raise UnknownNameError.of("variable", variable, self.variables)
            arc.log_probabilities(self.cards((*sources, *targets)))
        return self._put_arc(arc.learnable() if learnable else arc)

    def observe(self, name: str, value: int | str) -> Arc:
        """Add the certainty that a variable takes a value: a point mass with β = ∞.

        Args:
            name: the variable.
            value: a position or the name of a value.

        Returns:
            The arc, named ``"variable=value"``; the one that is there if it was observed before.

        Raises:
            UnknownNameError: if there is no such variable.
            RangeError: if it has no such value.
        """
        if name not in self.variables:
            raise UnknownNameError.of("variable", name, self.variables)
        variable = self.variables[name]
        table = torch.zeros(variable.card, dtype=torch.float64)
        table[variable.index(value)] = 1.0
        arc = Arc(f"{name}={value}", (), (name,), table, 0.0, math.inf)
        known = self.arcs.get(arc.name, arc)
        if known.is_hard and known.targets == (name,) and torch.equal(known.probabilities(), table):
            self.arcs[arc.name] = known
            return known
        return self._put_arc(arc)

    def cost(self, name: str, given: Names, costs: Tensor | ArrayLike, beta: float = 1.0) -> Arc:
        """Add a cost as a belief: a binary variable that is observed true has p = exp(−cost).

        Args:
            name: the name of the arc; the variable is called the same.
            given: the variables on which the cost depends.
            costs: at least 0, one axis a variable.
            beta: its weight: the score grows by β E[cost].

        Returns:
            The arc.

        Raises:
            DomainError: if a cost is negative or NaN (add a constant to all of them).

        Claims: beliefs.C12.
        """
        costs = as_table(costs)
        if not costs.is_floating_point():
            costs = costs.double()
        if not bool((costs >= 0).all()):
            raise DomainError(
                f"costs are ≥ 0, because exp(−cost) is a probability; the least of {name!r} is "
                f"{float(costs.min()):.6g}: add a constant to all, and subtract β times it later"
            )
        self.variable(name, ("false", "true"))
        # log(1 − exp(−c)), which is −∞ where the cost is 0
        table = torch.stack([torch.log(-torch.expm1(-costs)), -costs], -1)
        arc = self.add(name, name, given, cpd=table, alpha=0.0, beta=beta, is_log=True)
        self.observe(name, "true")
        return arc

    @property
    def num_worlds(self) -> int:
        """The number of joint values, ∏ card."""
        return math.prod(v.card for v in self.variables.values())

    def parameters(self) -> dict[str, tuple[Tensor, ...]]:
        """Return what gradients may move, by the name of the arc."""
        return {name: arc.parameters for name, arc in self.arcs.items() if arc.parameters}

    def subgraph(self, arcs: Iterable[str]) -> PDG:
        """Return the graph of some arcs and of the variables that they touch.

        Args:
            arcs: names.

        Returns:
            A new graph that shares the arcs.

        Raises:
            UnknownNameError: if there is no such arc.
        """
        chosen = dict.fromkeys([arcs] if isinstance(arcs, str) else arcs)
        for name in chosen:
            if name not in self.arcs:
                raise UnknownNameError.of("arc", name, self.arcs)
        touched = {v for a in chosen for v in (*self.arcs[a].sources, *self.arcs[a].targets)}
        graph = PDG(v for name, v in self.variables.items() if name in touched)
        for name in self.arcs:
            if name in chosen:
                graph._put_arc(self.arcs[name])
        return graph

    def condition(self, values: Mapping[str, int | str]) -> PDG:
        """Return this graph with some variables observed as well; see `observe`."""
        graph = self.copy()
        for name, value in values.items():
            graph.observe(name, value)
        return graph

    def copy(self) -> PDG:
        """Return a graph of its own that shares the arcs."""
        graph = PDG(self.variables.values())
        graph.arcs.update(self.arcs)
        return graph

    def __add__(self, other: PDG) -> PDG:
        """Return the union of variables and of arcs; the names of arcs must differ."""
        if not isinstance(other, PDG):
            return NotImplemented
        graph = self.copy()
        for variable in other.variables.values():
            graph._put_variable(variable)
        for arc in other.arcs.values():
            graph._put_arc(arc)
        return graph

    def components(self) -> list[PDG]:
        """Return the connected parts, isolated variables included; their values add."""
        joined = UnionFind(self.variables)
        for arc in self.arcs.values():
            joined.union(*arc.sources, *arc.targets)
        place = {name: i for i, group in enumerate(joined.to_sets()) for name in group}
        parts = [PDG() for _ in range(len(set(place.values())))]
        for variable in self.variables.values():
            parts[place[variable.name]]._put_variable(variable)
        for arc in self.arcs.values():
            parts[place[arc.targets[0]]].arcs[arc.name] = arc
        return parts

    def batch_shape(self) -> torch.Size:
        """Return the common leading shape of the tables, evaluated now.

        Raises:
            DtypeError, ShapeError: if a table is none.
            ShapeError: if two tables disagree.
        """
        shapes = [
            arc.table().shape[: -len(arc.sources) - len(arc.targets)] for arc in self.arcs.values()
        ]
        try:
            # torch's function of this name loads sympy: half a second
            return torch.Size(np.broadcast_shapes(*shapes))
        except ValueError:
            raise ShapeError(
                f"batch axes lead and must be the same in all tables (or none); given "
                f"{', '.join(f'{n}: {tuple(s)}' for n, s in zip(self.arcs, shapes, strict=True))}"
            ) from None

    def __repr__(self) -> str:
        return f"PDG({len(self.variables)} variables, {len(self.arcs)} arcs)"
