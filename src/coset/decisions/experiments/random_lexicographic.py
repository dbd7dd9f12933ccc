"""Random lexicographic processes: every solver, right and wrong, against all policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from coset.core.errors import ConfigError
from coset.decisions.claims.flawed_solvers import FLAWED, Policy, sequential
from coset.decisions.processes.random_mdps import random_rational_mdp
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.reference_lexicographic import (
    BruteForce,
    brute_force,
    joint_policy_iteration,
    policy_worth,
)
from coset.decisions.solvers.solution import MDPSolution, TieStatus
from coset.decisions.solvers.solving import solve
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["RandomLexicographicConfig", "random_lexicographic"]

Coupling = Literal["triangular", "diagonal"]


@dataclass(frozen=True)
class RandomLexicographicConfig:
    """One run of `decisions.random-lexicographic`.

    Attributes:
        coupling: multiplier matrices: "triangular", or "diagonal" (objectives apart).
        num_cases: how many processes.
        max_states: processes have 1 to so many states, and two actions.
        max_objectives: processes have 2 to so many objectives.
        seed: decides the processes.
    """

    coupling: Coupling = "triangular"
    num_cases: int = 60
    max_states: int = 3
    max_objectives: int = 3
    seed: int = 0


@experiment(
    "decisions.random-lexicographic",
    title="Right and wrong solvers on random lexicographic processes",
    presets={
        "smoke": Preset(RandomLexicographicConfig(), {"coupling": ("triangular",)}),
        "cpu": Preset(
            RandomLexicographicConfig(num_cases=1000), {"coupling": ("triangular", "diagonal")}
        ),
        "paper": Preset(
            RandomLexicographicConfig(num_cases=5000, max_states=4),
            {"coupling": ("triangular", "diagonal")},
        ),
    },
    cost={"smoke": 3.0, "cpu": 90.0},
)
def random_lexicographic(
    config: RandomLexicographicConfig, run: RunContext
) -> Iterator[dict[str, Any]]:
    """Draw processes, enumerate their policies exactly, and count who finds an optimal one.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        A row for each solver: num_cases, num_wrong (policies that are not optimal from every
        state), num_ties (processes with a tie that the next objective decided), most_rounds (for
        joint policy iteration: policies evaluated; else ``None``), and for solvers in floating
        point num_unproved (processes with an unproved tie), num_beyond (values off by more than
        the proved bound) and num_misjudged (tie sets that differ though each tie was proved).

    Raises:
        ConfigError: if a count is too small.
    """
    if min(config.num_cases, config.max_states) < 1 or config.max_objectives < 2:
        raise ConfigError(
            f"at least one case, one state and two objectives are needed; given "
            f"{config.num_cases}, {config.max_states}, {config.max_objectives}"
        )
    cases = []
    generator = run.generator("processes", config.coupling)
    for number in range(config.num_cases):
        if number % 10 == 0:
            run.progress(number, config.num_cases, "all policies")
        mdp = _draw(config, generator)
        cases.append((mdp, brute_force(mdp)))
    num_ties = sum(_was_decided_late(mdp, best) for mdp, best in cases)
    exact: dict[str, Callable[[RationalMDP], Policy]] = {"sequential, exact": sequential, **FLAWED}
    for name, solver in exact.items():
        run.progress(config.num_cases, config.num_cases, name)
        wrong = sum(solver(mdp) not in best.policies for mdp, best in cases)
        yield _row(name, config.num_cases, wrong, num_ties)
    found = [(joint_policy_iteration(mdp), best) for mdp, best in cases]
    wrong = sum(policy not in best.policies for (_, policy, _), best in found)
    rounds = max(count for (_, _, count), _ in found)
    joint = _row("joint policy iteration, exact", config.num_cases, wrong, num_ties)
    yield {**joint, "most_rounds": rounds}
    for method in ("pi", "vi"):
        run.progress(config.num_cases, config.num_cases, f"floating point, {method}")
        solved = [(solve(mdp.to_mdp(), method), mdp, best) for mdp, best in cases]
        yield _float_row(f"sequential, float64, {method}", solved, num_ties)


def _draw(config: RandomLexicographicConfig, generator: torch.Generator) -> RationalMDP:
    states = int(torch.randint(1, config.max_states + 1, (), generator=generator))
    depth = int(torch.randint(2, config.max_objectives + 1, (), generator=generator))
    return random_rational_mdp(
        states, 2, depth, diagonal=config.coupling == "diagonal", generator=generator
    )


def _was_decided_late(mdp: RationalMDP, best: BruteForce) -> bool:
    """Tell whether some policy is as good at the first objective, and worse at a later one."""
    others = set()
    for policy in best.policies:
        for s, a in enumerate(policy):
            swapped = [b for b, events in enumerate(mdp.events[s]) if events and b != a]
            others |= {(*policy[:s], b, *policy[s + 1 :]) for b in swapped}
    for policy in others - set(best.policies):
        worth = policy_worth(mdp, policy)
        if all(row[0] == top[0] for row, top in zip(worth, best.value, strict=True)):
            return True
    return False


def _row(solver: str, cases: int, wrong: int, ties: int) -> dict[str, Any]:
    return {
        "solver": solver,
        "num_cases": cases,
        "num_wrong": wrong,
        "num_ties": ties,
        "most_rounds": None,
        "num_unproved": None,
        "num_beyond": None,
        "num_misjudged": None,
    }


def _float_row(
    name: str, solved: list[tuple[MDPSolution, RationalMDP, BruteForce]], ties: int
) -> dict[str, Any]:
    wrong = unproved = beyond = misjudged = 0
    for found, _, best in solved:
        wrong += tuple(found.policy.tolist()) not in best.policies
        unproved += found.num_unproved_ties > 0
        rows = [[float(x) for x in row] for row in best.value]
        value = torch.tensor(rows, dtype=torch.float64)
        assert found.error_bound is not None
        # The right values are rounded to float64 themselves.
        allowed = found.error_bound + 2.0**-52 * float(value.abs().max())
        beyond += float((found.value - value).abs().max()) > allowed
        exact = torch.zeros_like(found.tie_set)
        for policy in best.policies:
            exact[torch.arange(len(policy)), torch.tensor(policy)] = True
        sure = not bool((found.tie_status == TieStatus.ASSUMED).any())
        misjudged += sure and not torch.equal(exact, found.tie_set)
    row = _row(name, len(solved), int(wrong), ties)
    return {
        **row,
        "num_unproved": int(unproved),
        "num_beyond": int(beyond),
        "num_misjudged": int(misjudged),
    }
