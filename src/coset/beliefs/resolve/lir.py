"""The loop: attend to some beliefs, move some of them towards agreement, look elsewhere."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from coset.beliefs.attention import attend
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.argmin import minimize
from coset.beliefs.resolve.attended import Attended, Inner, larger
from coset.beliefs.resolve.elements import element_graph
from coset.beliefs.resolve.focus import Focus, Refocus, foci_of
from coset.beliefs.resolve.integrators import Integrator, State, VectorField, integrate
from coset.beliefs.resolve.movement import movement, tables_of
from coset.beliefs.resolve.trace import Trace, TraceStep
from coset.core.errors import DomainError, NotConvergedError, ShapeError

__all__ = ["lir"]


def lir(
    pdg: PDG,
    refocus: Refocus,
    steps: int,
    *,
    gamma: float = 0.0,
    inner: Literal["exact"] | int = "exact",
    integrator: Integrator = "euler",
    substeps: int = 1,
    tol: float = 1e-9,
    overall_every: int = 1,
    callback: Callable[[TraceStep], object] | None = None,
) -> Trace:
    """Resolve inconsistency locally: θ ← exp_θ(−χ ∇ ⟨⟨φ · M(θ)⟩⟩_γ), focus after focus.

    Each step asks `refocus` for a focus (φ, χ), and lets the parameters of controlled arcs follow
    the negative gradient of the attended inconsistency, each at its rate χ, for one unit of time.
    Arcs with χ = ∞ go to the minimizer; if others have finite rates in the same focus, they follow
    the gradient while those stay at the minimizer. Parameters are moved in place, as optimizers
    do. What is not attended may become more inconsistent: the trace records both.

    Args:
        pdg: the beliefs; some arcs are learnable. Leading batch axes of tables are independent
            graphs, and each value of the trace has these axes.
        refocus: a function of the step (0, 1, …) and the graph, or foci that are taken in turn.
            For a batch of one axis it may give a focus for each element.
        steps: how many foci.
        gamma: γ ≥ 0.
        inner: "exact", or a number of mirror steps for the joint at each evaluation (cheaper;
            gradients are then biased).
        integrator: "euler", "rk4" or "adaptive"; see `integrate`.
        substeps: steps of the integrator for a unit of time.
        tol: the gap of exact joints.
        overall_every: record the inconsistency of the whole graph after every so many steps (and
            before the first); 0 for never.
        callback: called with each step of the trace; the run ends early if it returns True.

    Returns:
        What each step did.

    Raises:
        DomainError: if `steps` < 0, `inner` is neither, a rate is negative, a controlled arc has
            nothing to move, or two arcs share a parameter and have different rates.
        NotConvergedError: if a step leaves the finite numbers; its parameters are put back.
        UnknownNameError: if a focus names an arc that is not there.
        ShapeError: if foci for elements are given and the batch has another shape.

    Warns:
        RuntimeWarning: if nothing attended depends on what is controlled: the step moves nothing;
            if joints or a minimizer (χ = ∞) were not found to the accuracy asked for.

    Claims: beliefs.C15, beliefs.C16, beliefs.C22, beliefs.C22b, beliefs.C22c.

    Example:
        >>> pdg = PDG({"rain": ["no", "yes"]})
        >>> arc = pdg.add("radio", "rain", cpd=[0.2, 0.8])
        >>> arc = pdg.add("mine", "rain", cpd=[0.9, 0.1], learnable=True)
        >>> trace = lir(pdg, [Focus()], steps=20)
        >>> [round(float(v), 4) for v in trace.overall[[0, 1, 20]]]
        [0.6931, 0.5102, 0.0001]
    """
    counts = ((steps, 0), (overall_every, 0), (1 if inner == "exact" else inner, 1))
    if not all(isinstance(number, int) and number >= least for number, least in counts):
        raise DomainError(
            f'integers steps ≥ 0, overall_every ≥ 0, and inner "exact" or ≥ 1; given {steps}, '
            f"{overall_every}, {inner!r}"
        )
    if isinstance(gamma, str):
        raise DomainError(f"gamma is a number ≥ 0 here; given {gamma!r}: take a small one")
    run = _Run(
        pdg,
        gamma,
        Inner(None if inner == "exact" else int(inner), tol),
        lambda field, start: integrate(field, start, integrator=integrator, substeps=substeps),
        Attended(pdg, gamma, Inner(tol=tol)),
    )
    start = tables_of(pdg)
    initial = (run.whole.value() if overall_every else run.unknown()).expand(pdg.batch_shape())
    done: list[TraceStep] = []
    for step, focus in enumerate(foci_of(refocus, pdg, steps)):
        wanted = overall_every > 0 and (step + 1) % overall_every == 0
        done.append(run.step(step, focus, start, wanted))
        if callback is not None and callback(done[-1]) is True:
            break
    if inner == "exact":
        _warn_of_gaps(done, tol)
    return Trace(gamma, initial, tuple(done))


def _warn_of_gaps(steps: Sequence[TraceStep], tol: float) -> None:
    worst = max((step.gap for step in steps), default=0.0)
    # Gaps below 1e-9 may be all that rounding leaves
    if worst > 10 * max(tol, 1e-9):
        warnings.warn(
            f"joints were not found to the gap of {tol:g} that was asked for: values are up to "
            f"{worst:.2g} nats too high and gradients biased; raise tol, or see `gap` of each step",
            RuntimeWarning,
            stacklevel=3,
        )


@dataclass(frozen=True)
class _Outcome:
    """What one focus did: attended values, (*batch,), and the largest gap."""

    before: Tensor
    after: Tensor
    gap: float


@dataclass(frozen=True)
class _Run:
    """The settings of a run, and one step of it."""

    pdg: PDG
    gamma: float
    inner: Inner
    follow: Callable[[VectorField, Sequence[Tensor]], State]
    whole: Attended

    def unknown(self) -> Tensor:
        return torch.full(self.pdg.batch_shape(), math.nan, dtype=torch.float64)

    def step(
        self, step: int, focus: Focus | tuple[Focus, ...], start: dict[str, Tensor], wanted: bool
    ) -> TraceStep:
        before = tables_of(self.pdg)
        self.whole.forget()
        name: str | tuple[str, ...]
        if isinstance(focus, Focus):
            outcome, name = self._resolve(self.pdg, focus), focus.name
        else:
            outcome, name = self._resolve_each(focus), tuple(f.name for f in focus)
        after, shape = tables_of(self.pdg), self.pdg.batch_shape()
        overall = self.whole.value().expand(shape) if wanted else self.unknown()
        return TraceStep(
            step,
            name,
            outcome.before.expand(shape),
            outcome.after.expand(shape),
            overall,
            movement(self.pdg, before, after),
            movement(self.pdg, start, after),
            larger(outcome.gap, self.whole.gap),
        )

    def _resolve_each(self, foci: tuple[Focus, ...]) -> _Outcome:
        """Resolve elements of the batch that have the same focus together."""
        shape = self.pdg.batch_shape()
        if tuple(shape) != (len(foci),):
            raise ShapeError(
                f"a focus for each element needs a batch of {len(foci)}; the tables have the "
                f"batch {tuple(shape)}"
            )
        groups: list[tuple[Focus, list[int]]] = []
        for element, focus in enumerate(foci):
            members = next((m for f, m in groups if f is focus or f == focus), None)
            if members is None:
                groups.append((focus, members := []))
            members.append(element)
        before, after, gap = self.unknown(), self.unknown(), 0.0
        for focus, members in groups:
            index = torch.tensor(members)
            outcome = self._resolve(element_graph(self.pdg, index), focus)
            before[index] = outcome.before.to(before.dtype)
            after[index] = outcome.after.to(after.dtype)
            gap = larger(gap, outcome.gap)
        return _Outcome(before, after, gap)

    def _resolve(self, pdg: PDG, focus: Focus) -> _Outcome:
        graph = attend(pdg, focus.attention)
        moving = tuple(p for own in pdg.parameters().values() for p in own)
        attended = Attended(graph, self.gamma, self.inner, moving)
        if pdg is self.pdg and self.inner.steps is None and _is_same(graph, pdg):
            attended = self.whole
        rates = focus.control.rates(pdg)
        at_once = [name for name, rate in rates.items() if rate == math.inf and name in graph.arcs]
        parameters, speeds = _speeds(pdg, rates)
        before = attended.value()
        moved = bool(at_once)
        if parameters:
            moved |= self._follow(attended, parameters, speeds, at_once)
        elif at_once:
            minimize(attended, at_once)
        if not moved:
            warnings.warn(
                f"nothing that the focus {focus.name!r} attends to depends on what it controls "
                f"({', '.join(rates) or 'nothing'}): this step moves nothing; attend to a "
                f"controlled arc with β ≠ 0",
                RuntimeWarning,
                stacklevel=4,
            )
            return _Outcome(before, before, attended.gap)
        return _Outcome(before, attended.value(), attended.gap)

    def _follow(
        self, attended: Attended, parameters: list[Tensor], speeds: list[float], at_once: list[str]
    ) -> bool:
        depends = False

        def place(state: State) -> None:
            if any(bool((y.isnan() | (y == math.inf)).any()) for y in state):
                _assign(parameters, start)
                raise NotConvergedError(
                    "parameters must stay finite; this step of rates "
                    f"{', '.join(f'{s:g}' for s in sorted(set(speeds)))} takes them beyond: use "
                    "smaller rates of control, or more substeps"
                )
            _assign(parameters, state)

        def velocity(state: State) -> State:
            nonlocal depends
            place(state)
            if at_once:
                minimize(attended, at_once)
            _, gradients = attended.gradient(parameters)
            depends |= any(gradient is not None for gradient in gradients)
            return [
                torch.zeros_like(p) if g is None else -speed * g
                for p, g, speed in zip(parameters, gradients, speeds, strict=True)
            ]

        start = [p.detach().clone() for p in parameters]
        end = self.follow(velocity, start)
        place(end)
        if at_once:
            minimize(attended, at_once)
        return depends or bool(at_once)


def _is_same(graph: PDG, other: PDG) -> bool:
    """Tell whether an attended graph is the whole one."""
    return graph.variables.keys() == other.variables.keys() and all(
        name in graph.arcs
        and (graph.arcs[name].alpha, graph.arcs[name].beta) == (arc.alpha, arc.beta)
        for name, arc in other.arcs.items()
    )


def _assign(parameters: Sequence[Tensor], state: State) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, state, strict=True):
            # What is not written to need not be solved for again
            if not torch.equal(parameter, value):
                parameter.copy_(value)


def _speeds(pdg: PDG, rates: dict[str, float]) -> tuple[list[Tensor], list[float]]:
    """Return the parameters with finite rates, each once, and their rates."""
    found: dict[int, tuple[Tensor, float, str]] = {}
    for name, rate in rates.items():
        for parameter in pdg.arcs[name].parameters:
            _, known, by = found.setdefault(id(parameter), (parameter, rate, name))
            if known != rate:
                raise DomainError(
                    f"a parameter has one rate; {by!r} and {name!r} share one and have the rates "
                    f"{known} and {rate}"
                )
    finite = [(p, rate) for p, rate, _ in found.values() if rate < math.inf]
    return [p for p, _ in finite], [rate for _, rate in finite]
