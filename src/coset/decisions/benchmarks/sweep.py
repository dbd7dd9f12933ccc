"""Benchmark of one Bellman sweep against other people's, and against its random reads alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from coset.bench import Case, Contestant, Limit, benchmark
from coset.core.errors import UnavailableError
from coset.core.numerics import tolerance
from coset.decisions.processes.level import ScalarLevel

__all__ = [
    "SweepInputs",
    "SweepVariant",
    "prepare_level",
    "sweep_case",
    "sweep_cuda_case",
]

NUM_ACTIONS, NUM_SUCCESSORS = 4, 5
DISCOUNT = 0.95


@dataclass(frozen=True)
class SweepVariant:
    """Where successors lie, and in which precision values are.

    Attributes:
        successors: "random": anywhere; "local": within 512 states, as after reordering.
        dtype: of the values, "float64" or "float32"; probabilities are float32.
        device: "cpu" or "cuda".
    """

    successors: Literal["random", "local"] = "random"
    dtype: Literal["float64", "float32"] = "float64"
    device: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class SweepInputs:
    """A level of 4 actions with 5 successors each, rewards in [0, 1), discount 0.95; values."""

    successor: Tensor
    probability: Tensor
    reward: Tensor
    value: Tensor

    @cached_property
    def level(self) -> ScalarLevel:
        """The level that ours sweep."""
        allowed = torch.ones(self.reward.shape, dtype=torch.bool, device=self.reward.device)
        return ScalarLevel(self.successor, self.probability, self.reward, allowed, DISCOUNT)


def prepare_level(size: int, variant: SweepVariant, generator: torch.Generator) -> SweepInputs:
    """Draw a level with a given number of states.

    Args:
        size: number of states S, at least 1.
        variant: successors, precision, device.
        generator: source of randomness; the same one gives the same inputs.

    Returns:
        The inputs; all memory is written to.

    Raises:
        UnavailableError: if the variant needs a GPU and there is none.
    """
    if variant.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError(
            "decisions.sweep-cuda needs a CUDA device; torch sees none; run decisions.sweep"
        )
    shape = (size, NUM_ACTIONS, NUM_SUCCESSORS)
    if variant.successors == "local":
        steps = torch.randint(-512, 513, shape, generator=generator, dtype=torch.int32)
        steps += torch.arange(size, dtype=torch.int32)[:, None, None]
        successor = steps.clamp_(0, size - 1)
    else:
        successor = torch.randint(0, size, shape, generator=generator, dtype=torch.int32)
    probability = torch.rand(shape, generator=generator) + 1e-3
    probability /= probability.sum(-1, keepdim=True)
    reward = torch.rand(shape[:2], generator=generator, dtype=torch.float64)
    value = torch.rand(size, generator=generator, dtype=torch.float64) * 20
    value = value.to(getattr(torch, variant.dtype))
    parts = (successor, probability, reward, value)
    return SweepInputs(*(x.to(variant.device) for x in parts))


def csr_parts(inputs: SweepInputs) -> tuple[Tensor, Tensor, Tensor]:
    """Return the (S·A, S) matrix of probabilities, in the dtype of the values, as CSR.

    Args:
        inputs: the inputs.

    Returns:
        Row pointers and columns int32, numbers.
    """
    columns = inputs.successor.reshape(-1)
    rows = torch.arange(0, len(columns) + 1, NUM_SUCCESSORS, dtype=torch.int32)
    return rows, columns, inputs.probability.reshape(-1).to(inputs.value.dtype)


def make_quantecon(inputs: SweepInputs) -> Any:
    """Return the problem as QuantEcon's `DiscreteDP` in its sparse form.

    Args:
        inputs: the inputs.

    Returns:
        The problem.
    """
    from quantecon.markov import DiscreteDP
    from scipy.sparse import csr_matrix

    rows, columns, numbers = (x.numpy() for x in csr_parts(inputs))
    size = len(inputs.value)
    matrix = csr_matrix((numbers, columns, rows), shape=(size * NUM_ACTIONS, size))
    state = torch.arange(size).repeat_interleave(NUM_ACTIONS).numpy()
    action = torch.arange(NUM_ACTIONS).repeat(size).numpy()
    return DiscreteDP(inputs.reward.reshape(-1).numpy(), matrix, DISCOUNT, state, action)


def _ours_fresh(inputs: SweepInputs) -> Tensor:
    from coset.decisions.solvers.bellman import sweep

    return sweep(inputs.level, inputs.value)[0]


def _buffered(inputs: SweepInputs) -> tuple[SweepInputs, Tensor]:
    return inputs, torch.ones_like(inputs.value)


def _ours(state: tuple[SweepInputs, Tensor]) -> Tensor:
    from coset.decisions.solvers.bellman import sweep

    inputs, out = state
    return sweep(inputs.level, inputs.value, out)[0]


def _quantecon_setup(inputs: SweepInputs) -> tuple[Any, Any, Any]:
    return make_quantecon(inputs), inputs.value.numpy(), torch.ones_like(inputs.value).numpy()


def _quantecon(state: tuple[Any, Any, Any]) -> Tensor:
    problem, value, out = state
    problem.bellman_operator(value, Tv=out)
    return torch.from_numpy(out)


def _scipy_setup(inputs: SweepInputs) -> tuple[Any, Any, Any]:
    from scipy.sparse import csr_matrix

    rows, columns, numbers = (x.numpy() for x in csr_parts(inputs))
    size = len(inputs.value)
    matrix = csr_matrix((numbers, columns, rows), shape=(size * NUM_ACTIONS, size))
    return matrix, inputs.reward.numpy(), inputs.value.numpy()


def _scipy(state: tuple[Any, Any, Any]) -> Tensor:
    matrix, reward, value = state
    return torch.from_numpy((reward + DISCOUNT * (matrix @ value).reshape(reward.shape)).max(1))


def _torch_setup(inputs: SweepInputs) -> tuple[Tensor, Tensor, Tensor]:
    size = len(inputs.value)
    shape = (size * NUM_ACTIONS, size)
    matrix = torch.sparse_csr_tensor(*csr_parts(inputs), size=shape, check_invariants=False)
    return matrix, inputs.reward, inputs.value


def _torch(state: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    matrix, reward, value = state
    return (reward + DISCOUNT * (matrix @ value).reshape(reward.shape)).amax(1)


def _eager(inputs: SweepInputs) -> Tensor:
    from coset.decisions.solvers.bellman import sweep

    return sweep(inputs.level, inputs.value, backend="eager")[0]


def _gathers(inputs: SweepInputs) -> float:
    from coset.decisions.kernels import gathers

    compiled: Any = gathers.sum_gathered
    return float(compiled(inputs.successor.reshape(-1).numpy(), inputs.value.numpy()))


def _verify_gathers(inputs: SweepInputs, output: Any) -> str | None:
    right = float(inputs.value.double()[inputs.successor.reshape(-1).long()].sum())
    close = abs(output - right) <= 1e-9 * max(1.0, abs(right))
    return None if close else f"the sum is {output} instead of {right}"


def _reference(inputs: SweepInputs) -> Tensor:
    from coset.decisions.reference import bellman_reference

    table = bellman_reference(inputs.level, inputs.value.double().tolist())
    return torch.tensor([max(row) for row in table], dtype=torch.float64)


def compare_values(inputs: SweepInputs, output: Any, expected: Any) -> str | None:
    """Compare values by the rounding of sums of 2 K + 2 terms.

    Args:
        inputs: the inputs.
        output: (S,), to be judged.
        expected: (S,).

    Returns:
        What is wrong, or ``None``.
    """
    if tuple(output.shape) != tuple(expected.shape):
        return f"shape {tuple(output.shape)} instead of {tuple(expected.shape)}"
    error = (output.cpu().double() - expected.cpu().double()).abs()
    allowed = tolerance(inputs.value.dtype, 2 * NUM_SUCCESSORS + 2, "sum", scale=20.0)
    if not error.max() <= allowed:  # a NaN is refused too
        return f"a value differs by {float(error.max()):.3g}, allowed {allowed:.3g}"
    return None


def _num_bytes(inputs: SweepInputs) -> int:
    arrays = (inputs.successor, inputs.probability, inputs.reward, inputs.value, inputs.value)
    return sum(x.numel() * x.element_size() for x in arrays)


def _is_double(variant: SweepVariant) -> bool:
    return variant.dtype == "float64"


@benchmark(
    "decisions.sweep",
    title="one Bellman sweep over S states, 4 actions, 5 successors",
    sizes=(1_000_000,),
    variants={
        "random-float64": SweepVariant(),
        "random-float32": SweepVariant(dtype="float32"),
        "local-float64": SweepVariant("local"),
    },
    small_sizes=(1, 2, 3, 63, 64, 65, 1000),
)
def sweep_case() -> Case:
    """Build the case: `sweep` against QuantEcon, sparse products, its own reads, and a copy.

    Returns:
        The case.
    """
    return Case(
        prepare=prepare_level,
        reference=_reference,
        compare=compare_values,
        ours={
            "sweep, preallocated": Contestant(_ours, setup=_buffered, allocation="preallocated"),
            "sweep": Contestant(_ours_fresh),
            "sweep, eager torch": Contestant(_eager),
        },
        peers={
            "quantecon bellman_operator": Contestant(
                _quantecon, setup=_quantecon_setup, allocation="preallocated", applies=_is_double
            ),
            "scipy CSR product and max": Contestant(_scipy, setup=_scipy_setup),
            "torch CSR product and max": Contestant(_torch, setup=_torch_setup),
            "random reads alone": Contestant(
                _gathers,
                partial="the S·A·K values of the successors are read and summed, nothing else",
                verify=_verify_gathers,
                allocation="preallocated",
            ),
        },
        limits={
            "copy": Limit(
                "copy",
                _num_bytes,
                "indices, probabilities, rewards and values read once and TV written once ÷ copy "
                "bandwidth measured at the same footprint; leaves out that values are read at "
                "random: the random reads alone are the practical floor",
            )
        },
        tests=("tests/decisions/test_bellman.py",),
    )


def _cuda_sweep(backend: str) -> Any:
    def run(state: tuple[SweepInputs, Tensor]) -> Tensor:
        from coset.decisions.solvers.bellman import sweep

        inputs, out = state
        swept = sweep(inputs.level, inputs.value, out, backend)[0]
        torch.cuda.synchronize()
        return swept

    return run


def _cuda_torch_setup(inputs: SweepInputs) -> tuple[Tensor, Tensor, Tensor]:
    on_cpu = SweepInputs(
        inputs.successor.cpu(), inputs.probability.cpu(), inputs.reward, inputs.value
    )
    rows, columns, numbers = (x.to(inputs.value.device) for x in csr_parts(on_cpu))
    size = len(inputs.value)
    matrix = torch.sparse_csr_tensor(rows, columns, numbers, size=(size * NUM_ACTIONS, size))
    return matrix, inputs.reward, inputs.value


def _cuda_torch(state: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    swept = _torch(state)
    torch.cuda.synchronize()
    return swept


@benchmark(
    "decisions.sweep-cuda",
    title="one Bellman sweep on a GPU over S states, 4 actions, 5 successors",
    sizes=(10_000_000,),
    variants={
        "random-float32": SweepVariant(dtype="float32", device="cuda"),
        "random-float64": SweepVariant(dtype="float64", device="cuda"),
    },
    small_sizes=(1, 2, 3, 63, 64, 65, 1000),
)
def sweep_cuda_case() -> Case:
    """Build the case: the Triton kernel against tensor operations and a sparse product.

    Returns:
        The case; its inputs need a CUDA device.
    """
    return Case(
        prepare=prepare_level,
        reference=_reference,
        compare=compare_values,
        ours={
            "sweep, preallocated": Contestant(
                _cuda_sweep("triton"), setup=_buffered, allocation="preallocated"
            ),
            "sweep, eager torch": Contestant(
                _cuda_sweep("eager"), setup=_buffered, allocation="preallocated"
            ),
        },
        peers={
            "torch CSR product and max": Contestant(_cuda_torch, setup=_cuda_torch_setup),
        },
        limits={},
        tests=("tests/decisions/test_kernels_triton.py",),
    )
