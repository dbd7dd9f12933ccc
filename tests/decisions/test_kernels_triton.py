"""Tests of coset.decisions.kernels.cuda: by Triton's interpreter, by its compiler, and on a GPU."""

from __future__ import annotations

import pytest
import torch

from coset.decisions.solvers.bellman import sweep
from coset.decisions.solvers.iterate import iterate
from decisions.kernel_cases import SHAPES, make_level, random_values
from triton_tools import compile_for_gpu, interpret

pytest.importorskip("triton")


def test_the_kernel_by_interpreter():
    interpret(
        "decisions.triton_run",
        "0,2,3,1,float64,all",
        "1,1,1,1,float64,all",
        "65,3,2,1,float32,all",
        "300,4,5,1,float64,all",
        "63,2,3,5,float64,own",
        "64,3,1,17,float32,own",
    )


@pytest.mark.slow
def test_the_kernel_by_interpreter_at_many_sizes():
    sizes, kinds = (1, 2, 63, 64, 65, 1000), ("float32,all", "float64,own")
    run = "decisions.triton_run"
    interpret(run, *(f"{size},2,2,{n},{kind}" for size in sizes for n in (1, 3) for kind in kinds))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fp32", "fp64"])
def test_the_kernel_compiles_for_a_gpu(kind):
    from coset.decisions.kernels import cuda

    types = {
        "successor": "*i32",
        "weight": "*fp32",
        "reward": "*fp64",
        "allowed": "*u8",
        "scale": "*fp64",
        **dict.fromkeys(("value", "out", "low", "high"), f"*{kind}"),
    }
    constants = {"num": 5, "states": 256, "columns": 1}
    assert "ld.global" in compile_for_gpu(cuda._sweep, types, constants)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_on_a_gpu(shape):
    for dtype, close in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        level = make_level(shape, allowed=0.6)
        value = random_values(shape[0], dtype)
        right = sweep(level, value)
        names = ("successor", "weight", "reward", "allowed")
        moved = type(level)(*(getattr(level, name).cuda() for name in names), level.scale)
        found = sweep(moved, value.cuda(), backend="triton")
        torch.testing.assert_close(found[0].cpu(), right[0], rtol=close, atol=close)
        torch.testing.assert_close(found[1:], right[1:], rtol=close, atol=close)
        one, other = iterate(level, tol=1e-8), iterate(moved, tol=1e-8)
        torch.testing.assert_close(other.value.cpu(), one.value, atol=1e-6, rtol=0)
