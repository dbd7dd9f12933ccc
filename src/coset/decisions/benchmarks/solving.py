"""Benchmarks of whole solves: one objective against QuantEcon, two objectives against one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from coset.bench import Case, Contestant, Limit, benchmark
from coset.decisions.benchmarks.sweep import (
    DISCOUNT,
    NUM_ACTIONS,
    SweepInputs,
    SweepVariant,
    make_quantecon,
    prepare_level,
)
from coset.decisions.processes.mdp import MDP

__all__ = ["TwoObjectives", "lexicographic_case", "measure_memory", "solve_case"]

# Half of QuantEcon's epsilon: its result, too, is the middle of bounds that far apart.
WIDTH = 1e-3

VARIANTS = {"random": SweepVariant(), "local": SweepVariant("local")}


def _iterate(inputs: SweepInputs) -> Tensor:
    from coset.decisions.solvers.iterate import iterate

    return iterate(inputs.level, tol=WIDTH / 2).value


def _mdp(inputs: SweepInputs) -> MDP:
    return MDP(inputs.successor, inputs.probability, inputs.reward, DISCOUNT)


def _solve(mdp: MDP) -> Tensor:
    from coset.decisions.solvers.solving import solve

    value: Tensor = solve(mdp, tol=WIDTH / 2).value
    return value[:, 0]


def _value_iteration(inputs: SweepInputs) -> Tensor:
    from coset.decisions.solvers.iterate import iterate

    return iterate(inputs.level, tol=WIDTH / 2, method="vi").value


def _quantecon(problem: Any) -> Tensor:
    # More sweeps than its default are allowed, in case it needs them; it takes seven.
    found = problem.solve(method="mpi", epsilon=WIDTH, max_iter=10_000)
    return torch.from_numpy(found.v)


def _reference(inputs: SweepInputs) -> Tensor:
    from coset.decisions.reference import policy_iteration_reference

    return policy_iteration_reference(inputs.level)[0]


def _compare(inputs: Any, output: Any, expected: Any) -> str | None:
    """Accept what differs by no more than both errors, WIDTH / 2 each."""
    if tuple(output.shape) != tuple(expected.shape):
        return f"shape {tuple(output.shape)} instead of {tuple(expected.shape)}"
    error = (output - expected).abs().max()
    if not error <= WIDTH:  # a NaN is refused too
        return f"a value differs by {float(error):.3g}, allowed {WIDTH:.3g}"
    return None


def _num_bytes(inputs: SweepInputs) -> int:
    arrays = (inputs.successor, inputs.probability, inputs.reward, inputs.value)
    return sum(x.numel() * x.element_size() for x in arrays)


@benchmark(
    "decisions.solve",
    title="values of S states, 4 actions, 5 successors, discount 0.95, known to ± 5e-4",
    sizes=(1_000_000,),
    variants=VARIANTS,
    small_sizes=(1, 2, 3, 63, 64, 65, 300),
)
def solve_case() -> Case:
    """Build the case: `iterate` and `solve` against QuantEcon's modified policy iteration.

    Returns:
        The case.
    """
    return Case(
        prepare=prepare_level,
        reference=_reference,
        compare=_compare,
        ours={
            "iterate": Contestant(_iterate),
            "iterate, value iteration": Contestant(_value_iteration),
            "solve, with tie set and certificate": Contestant(_solve, setup=_mdp),
        },
        peers={"quantecon modified policy iteration": Contestant(_quantecon, setup=make_quantecon)},
        limits={
            "copy": Limit(
                "copy",
                _num_bytes,
                "indices, probabilities and rewards read once and values written once ÷ copy "
                "bandwidth measured at the same footprint; leaves out that one pass is not enough",
            )
        },
        tests=("tests/decisions/test_iterate.py",),
    )


@dataclass(frozen=True)
class TwoObjectives:
    """A process in which pairs of actions tie at objective 1, and objective 2 tells them apart."""

    successor: Tensor
    probability: Tensor
    reward: Tensor

    @cached_property
    def mdp(self) -> MDP:
        """The process with both objectives."""
        discount = torch.full((2,), DISCOUNT, dtype=torch.float64)
        return MDP(self.successor, self.probability, self.reward[:, :, None, :], discount)

    @cached_property
    def first(self) -> MDP:
        """The process with the first objective alone."""
        return MDP(self.successor, self.probability, self.reward[..., 0], DISCOUNT)


def _prepare_two(size: int, variant: SweepVariant, generator: torch.Generator) -> TwoObjectives:
    """Draw a level and give actions 2 and 3 the events of 0 and 1, but for objective 2."""
    inputs = prepare_level(size, variant, generator)
    successor, probability = inputs.successor, inputs.probability
    half = NUM_ACTIONS // 2
    successor[:, half:], probability[:, half:] = successor[:, :half], probability[:, :half]
    first = inputs.reward
    first[:, half:] = first[:, :half]
    second = torch.rand(first.shape, generator=generator, dtype=torch.float64)
    return TwoObjectives(successor, probability, torch.stack([first, second], -1))


def _solve_two(inputs: TwoObjectives) -> Tensor:
    from coset.decisions.solvers.solving import solve

    value: Tensor = solve(inputs.mdp, tol=WIDTH / 2).value
    return value


def _solve_first(inputs: TwoObjectives) -> Tensor:
    from coset.decisions.solvers.solving import solve

    value: Tensor = solve(inputs.first, tol=WIDTH / 2).value
    return value


def _reference_two(inputs: TwoObjectives) -> Tensor:
    from coset.decisions.processes.level import ScalarLevel
    from coset.decisions.reference import bellman_reference, policy_iteration_reference

    allowed = torch.ones(inputs.reward.shape[:2], dtype=torch.bool)
    values = []
    for index in range(2):
        level = ScalarLevel(
            inputs.successor, inputs.probability, inputs.reward[..., index], allowed, DISCOUNT
        )
        value, _ = policy_iteration_reference(level)
        values.append(value)
        table = torch.tensor(bellman_reference(level, value.tolist()), dtype=torch.float64)
        allowed = allowed & (table >= table.amax(1, keepdim=True) - 1e-9)
    return torch.stack(values, -1)


def _verify_first(inputs: TwoObjectives, output: Any) -> str | None:
    return _compare(inputs, output[:, 0], _solve_two(inputs)[:, 0])


@benchmark(
    "decisions.lexicographic",
    title="two objectives of S states, 4 actions in tied pairs, 5 successors, discount 0.95",
    sizes=(1_000_000,),
    variants={"random": SweepVariant()},
    small_sizes=(1, 2, 3, 63, 64, 65, 300),
)
def lexicographic_case() -> Case:
    """Build the case: `solve` with two objectives, and with the first of them alone.

    Returns:
        The case.
    """
    return Case(
        prepare=_prepare_two,
        reference=_reference_two,
        compare=_compare,
        ours={"solve, two objectives": Contestant(_solve_two)},
        peers={
            "solve, first objective alone": Contestant(
                _solve_first, partial="the first objective only", verify=_verify_first
            )
        },
        limits={},
        tests=("tests/decisions/test_iterate.py",),
    )


_MEMORY = """
import json, resource, sys, threading, time
import torch
from coset.decisions.benchmarks.sweep import SweepVariant, prepare_level
from coset.decisions.solvers.iterate import iterate
torch.set_num_threads(1)
page = resource.getpagesize()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * page
generator = torch.Generator().manual_seed(0)
small = prepare_level(300_000, SweepVariant(), generator)
iterate(small.level, tol=1e-3, max_iter=3)  # loads what compiled loops need
del small
inputs = prepare_level(int(sys.argv[1]), SweepVariant(), generator)
level = inputs.level
parts = (level.successor, level.weight, level.reward, level.allowed)
arrays = sum(x.numel() * x.element_size() for x in parts)
before, peak, done = resident(), 0, False
def watch():
    global peak
    while not done:
        peak = max(peak, resident())
        time.sleep(0.0005)
watcher = threading.Thread(target=watch)
watcher.start()
found = iterate(level, tol=5e-4)
done = True
watcher.join()
peak = max(peak, resident())
print(json.dumps({"arrays": arrays, "extra": peak - before, "ratio": 1 + (peak - before) / arrays,
                  "iterations": found.iterations}))
"""


def measure_memory(size: int = 1_000_000) -> dict[str, float]:
    """Measure in a process of its own what `iterate` needs beside the arrays of the level.

    Args:
        size: number of states S, of 4 actions with 5 successors.

    Returns:
        Bytes of the arrays ("arrays"), the most resident memory beyond what was resident with the
        arrays in place ("extra"; results included), (arrays + extra) / arrays ("ratio"), and the
        number of sweeps ("iterations").

    Raises:
        subprocess.CalledProcessError: if the process fails.
    """
    command = [sys.executable, "-c", _MEMORY, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
