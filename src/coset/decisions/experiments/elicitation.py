"""Elicitation: how many questions a number costs, and whether the policy comes out right.

A simulated person is asked about random events (curves of error against questions), and then about
the events of slippery CliffWalking: each step, the goal, the cliff. What was found is solved and
compared with the policy that the person's own numbers ask for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import torch

from coset.core.errors import ConfigError, NotConvergedError
from coset.decisions import elicit
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.experiments.grid_rows import finite
from coset.decisions.preferences.models import AffineModel, EventModel, noisy_oracle, safety_model
from coset.decisions.preferences.random_models import random_affine_model
from coset.decisions.processes.policy_outcome import policy_outcome
from coset.decisions.solvers.solving import solve
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from coset.decisions.elicit import AffineReward
    from coset.decisions.envs.toy_text import ToyText
    from coset.decisions.processes.mdp import MDP
    from coset.decisions.solvers.solution import MDPSolution

__all__ = ["ElicitationConfig", "elicitation"]

Method = Literal["bisection", "stern-brocot", "trisection", "adaptive"]
_EVENTS = ("step", "goal", "cliff")
_NOISY = ("trisection", "adaptive")
_DENOMINATOR = 1000
# Reports of a curve: questions a number, on a logarithmic grid.
_BUDGETS = tuple(sorted({round(2 ** (k / 2)) for k in range(31)}))


@dataclass(frozen=True)
class ElicitationConfig:
    """One run of `decisions.elicitation`.

    Attributes:
        method: how each number is searched for; the last two are for noisy answers.
        slope: σ of the noise, the difference of utility at which 73 % of the answers are right; the
            unit is the utility of the first event, or of one step on the cliff. 0 for exact
            answers.
        tol: width of the intervals, relative above 1.
        delta: for noisy answers, the permitted probability of a miss, over all numbers of a person.
        num_people: random people asked about three events each.
        penalty: what a fall costs the noisy person on the cliff, in steps.
        discount: γ of a step on the cliff, as the person has it.
        num_samples: processes solved for the chances of actions.
        seed: of people and noise.
    """

    method: Method = "bisection"
    slope: float = 0.0
    tol: float = 1e-6
    delta: float = 0.05
    num_people: int = 8
    penalty: float = 30.0
    discount: float = 0.9
    num_samples: int = 20
    seed: int = 0


@experiment(
    "decisions.elicitation",
    title="How many questions until the reward, and the policy, are right?",
    presets={
        "smoke": Preset(
            ElicitationConfig(num_people=2, tol=0.2, slope=0.05, num_samples=8),
            {"method": ("bisection", "stern-brocot", "trisection", "adaptive")},
        ),
        "cpu": Preset(
            ElicitationConfig(tol=0.05, num_people=12, num_samples=50),
            {
                "method": ("bisection", "stern-brocot", "trisection", "adaptive"),
                "slope": (0.02, 0.05, 0.1),
            },
        ),
        "paper": Preset(
            ElicitationConfig(tol=0.02, num_people=40, num_samples=200),
            {
                "method": ("bisection", "stern-brocot", "trisection", "adaptive"),
                "slope": (0.02, 0.05, 0.1),
                "seed": (0, 1, 2),
            },
        ),
    },
    claims=("decisions.C1", "decisions.C14"),
    figures=(
        "coset.decisions.figures:elicitation_curves",
        "coset.decisions.figures:elicitation_intervals",
    ),
)
def elicitation(config: ElicitationConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Elicit random people and one on a cliff, and solve what was found.

    Args:
        config: the settings; `slope` counts for the two noisy methods only.
        run: source of randomness.

    Yields:
        In all rows noise, σ of the answers: `slope`, or 0 for exact ones. Rows "curve", one a
        number of questions: median_error and worst_error of the middle of the interval, and
        median_width, over the numbers of all people, in the bounded coordinate x / (1 + |x|). One
        row "people": num_numbers, num_held (in their intervals), num_exact, median_queries a
        number. Rows "interval", the cliff: number, queries, low, high as the search goes. One row
        "cliff": person ("safety-first" for exact answers, "penalty" for noisy ones), num_queries,
        agrees (every action taken is optimal for the person, of `num_states`), goal_chance and
        expected_steps of the policy found and of the true one, and for noisy answers least_chance
        (of the action taken to be optimal, over states), num_unsure (states without an action
        that is optimal in every sample).

    Raises:
        ConfigError: if a setting is impossible.

    Claims: decisions.C1, decisions.C14.
    """
    _check(config)
    labels = {
        "method": config.method,
        "noise": config.slope if config.method in _NOISY else 0.0,
        "tol": config.tol,
        "seed": config.seed,
    }
    numbers: list[_Number] = []
    for index in range(config.num_people):
        run.progress(index, config.num_people + 2, "people")
        numbers += _ask_someone(config, run, index)
    for row in _curve(numbers):
        yield {"kind": "curve", **labels, **row}
    yield {"kind": "people", **labels, **_held(numbers)}
    run.progress(config.num_people, config.num_people + 2, "cliff")
    for row in _cliff(config, run):
        yield {**labels, **row}


def _check(config: ElicitationConfig) -> None:
    if config.num_people < 1 or config.num_samples < 1:
        raise ConfigError(
            f"num_people and num_samples must be ≥ 1; given {config.num_people} and "
            f"{config.num_samples}"
        )
    if not 0 < config.discount < 1 or config.penalty <= 0:
        raise ConfigError(
            f"discount must lie in (0, 1) and penalty be positive; given {config.discount} and "
            f"{config.penalty}"
        )
    if config.method in _NOISY and config.slope <= 0:
        raise ConfigError(f"{config.method} is for noisy answers; give a slope > 0")


@dataclass(frozen=True)
class _Number:
    """One number of a person: the truth, the trace of its interval, and whether it was exact."""

    truth: Fraction
    trace: tuple[tuple[int, Any, Any], ...]
    is_exact: bool


def _found(
    config: ElicitationConfig,
    person: AffineModel,
    reference: Any,
    generator: torch.Generator,
    terminal: tuple[str, ...] = (),
) -> AffineReward:
    if config.method in _NOISY:
        return elicit.affine(
            noisy_oracle(person, config.slope, generator),
            person.events,
            reference,
            config.tol,
            config.delta,
            terminal=terminal,
            link="logistic" if config.method == "adaptive" else None,
        )
    exact = _DENOMINATOR if config.method == "stern-brocot" else None
    return elicit.affine(
        person, person.events, reference, config.tol, max_denominator=exact, terminal=terminal
    )


def _ask_someone(config: ElicitationConfig, run: RunContext, index: int) -> list[_Number]:
    # The same people for every method and noise.
    drawn = run.generator(
        "person", index, without=["method", "slope", "tol", "delta", "num_people", "num_samples"]
    )
    person = random_affine_model(3, generator=drawn)
    reward = {**person.reward, "a": Fraction(1)}  # the unit
    person = AffineModel(reward, person.multiplier)
    found = _found(config, person, "a", run.generator("noise", index))
    numbers = []
    for event in person.events:
        for kind, truth in (
            ("reward", person.reward[event]),
            ("multiplier", person.multiplier[event]),
        ):
            steps = tuple(s[2:] for s in found.trace if s[:2] == (event, kind))
            if steps:
                numbers.append(_Number(truth, steps, steps[-1][1] == steps[-1][2]))
    return numbers


def _bounded(x: Any) -> float:
    if abs(x) == math.inf:
        return 1.0 if x > 0 else -1.0
    return float(x / (1 + abs(x)))


def _curve(numbers: list[_Number]) -> Iterator[dict[str, Any]]:
    longest = max(number.trace[-1][0] for number in numbers)
    for budget in _BUDGETS:
        errors, widths = [], []
        for number in numbers:
            known = [s for s in number.trace if s[0] <= budget]
            low, high = (_bounded(x) for x in known[-1][1:]) if known else (-1.0, 1.0)
            errors.append(abs((low + high) / 2 - _bounded(number.truth)))
            widths.append(high - low)
        yield {
            "queries": budget,
            "median_error": _median(errors),
            "worst_error": max(errors),
            "median_width": _median(widths),
        }
        if budget >= longest:
            return


def _median(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).median())


def _held(numbers: list[_Number]) -> dict[str, Any]:
    held = sum(n.trace[-1][1] <= n.truth <= n.trace[-1][2] for n in numbers)
    return {
        "num_numbers": len(numbers),
        "num_held": int(held),
        "num_exact": sum(n.is_exact for n in numbers),
        "median_queries": int(_median([float(n.trace[-1][0]) for n in numbers])),
    }


def _cliff(config: ElicitationConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    toy = cliff_walk()
    event = torch.where(toy.goal, 1, torch.where(toy.unsafe, 2, 0))
    generator = run.generator("cliff")
    discount = Fraction(str(config.discount))
    if config.method in _NOISY:
        person: EventModel = AffineModel(
            {"step": -1, "goal": 0, "cliff": Fraction(str(-config.penalty))},
            {"step": discount, "goal": 0, "cliff": 0},
        )
        assert isinstance(person, AffineModel)
        affine = _found(config, person, ((), "step"), generator, ("goal", "cliff"))
        model: EventModel = affine.model()
        queries = affine.num_queries
    else:
        person = safety_model({"step": -1, "goal": -1}, discount, ["cliff"], ["goal"])
        exact = _DENOMINATOR if config.method == "stern-brocot" else None
        found = elicit.safety_first(
            person, _EVENTS, ((), "step"), config.tol, exact, terminal=["goal"]
        )
        affine, model, queries = found.affine, found.model(), found.num_queries
    yield from _interval_rows(affine)
    yield {
        "kind": "cliff",
        "person": "penalty" if config.method in _NOISY else "safety-first",
        "num_queries": queries,
        **_compared(toy, _process(toy, event, person), _process(toy, event, model)),
        **_sureness(config, toy, event, affine, generator),
    }


def _interval_rows(affine: AffineReward) -> Iterator[dict[str, Any]]:
    """Give the steps of the searches, but of those that follow each other closely the last."""
    after = [*affine.trace[1:], None]
    shown = 0
    for step, following in zip(affine.trace, after, strict=True):
        name, kind, used, low, high = step
        last = following is None or following[:2] != step[:2]
        if used >= 1.15 * shown or last:
            yield {
                "kind": "interval",
                "number": f"{'m' if kind == 'multiplier' else 'r'}({name})",
                "queries": used,
                "low": _bounded(low),
                "high": _bounded(high),
            }
            shown = 0 if last else used


def _process(toy: ToyText, event: torch.Tensor, model: EventModel) -> MDP:
    return elicit.event_process(
        model,
        _EVENTS,
        event,
        toy.successor,
        toy.probability,
        mask=toy.mask,
        terminal=toy.terminal,
    )


def _compared(toy: ToyText, true: MDP, found: MDP) -> dict[str, Any]:
    """Compare the policy of what was found with what the person's own numbers ask for."""
    right: MDPSolution = solve(true)
    live = ~toy.terminal
    row = {"num_states": int(live.sum()), **_outcome(toy, right.policy, "true_")}
    try:
        policy = solve(found).policy
    except NotConvergedError:  # multipliers found so large that values do not exist
        return {**row, "agrees": 0, **dict.fromkeys(_OUTCOME)}
    taken = right.tie_set.gather(1, policy.clamp(min=0)[:, None])[:, 0]
    return {**row, "agrees": int((taken & live).sum()), **_outcome(toy, policy, "")}


_OUTCOME = ("goal_chance", "expected_steps")


def _outcome(toy: ToyText, policy: torch.Tensor, prefix: str) -> dict[str, Any]:
    outcome = policy_outcome(toy, policy)
    return {
        f"{prefix}goal_chance": outcome.goal_chance,
        f"{prefix}expected_steps": finite(outcome.expected_steps),
    }


def _sureness(
    config: ElicitationConfig,
    toy: ToyText,
    event: torch.Tensor,
    affine: AffineReward,
    generator: torch.Generator,
) -> dict[str, Any]:
    """Return what the intervals leave open, where answers are noisy."""
    if config.method not in _NOISY:
        return {"least_chance": None, "num_unsure": None, "num_failed": None}

    def build(reward: Any, multiplier: Any) -> MDP:
        return _process(toy, event, AffineModel(reward, multiplier))

    chances = elicit.action_chances(affine, build, config.num_samples, generator=generator)
    most = chances.chance.max(1).values[~toy.terminal]
    return {
        "least_chance": float(most.min()),
        "num_unsure": int(chances.undecided.numel()),
        "num_failed": chances.num_failed,
    }
