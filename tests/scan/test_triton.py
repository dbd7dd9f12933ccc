"""Tests of coset.scan.kernels.cuda: by Triton's interpreter, by its compiler, and on a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coset.scan import scan, scan_reference
from scan.inputs import DTYPES, SIZES, make

triton = pytest.importorskip("triton")

TESTS = Path(__file__).parents[1]
KERNELS = ("_forward_real", "_forward_complex", "_backward_real", "_backward_complex")


def interpret(*cases):
    command = [sys.executable, "-m", "scan.triton_run", *cases]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["same"], done.stderr[-2000:]


def test_kernels_by_interpreter():
    interpret("float32:0,1,2,63,64,65", "complex64:1,65")


@pytest.mark.slow
def test_kernels_by_interpreter_over_many_blocks():
    cases = (f"{name}:65,1000" for name in ("float32", "float64", "complex128"))
    interpret("complex64:0,1,2,63,64,65,1000", *cases)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compile_for_a_gpu(name):
    """The interpreter accepts more than the compiler does; this needs no GPU."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from coset.scan.kernels import cuda

    kernel = getattr(cuda, name)
    pointers = {"a", "b", "h", "h0", "g", "da", "db", "dh0"}
    constants = {"steps": 64, "columns": 32}
    kinds = {
        argument: "*fp32"
        if argument in pointers
        else "constexpr"
        if argument in constants
        else "i64"
        for argument in kernel.arg_names
    }
    places = {(kernel.arg_names.index(k),): v for k, v in constants.items()}
    source = ASTSource(fn=kernel, signature=kinds, constexprs=places)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert "ld.global" in compiled.asm["ptx"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_on_a_gpu(dtype):
    for size in SIZES:
        for width in (1, 3, 70):
            inputs = [x.cuda().requires_grad_() for x in make((2, size, width), dtype)]
            for reverse in (False, True):
                h = scan(*inputs, reverse=reverse)
                right = scan_reference(*inputs, reverse=reverse)
                torch.testing.assert_close(h, right, rtol=1e-4, atol=1e-4)
                if size:
                    grads = [torch.autograd.grad(x.abs().sum(), inputs) for x in (h, right)]
                    for x, y in zip(*grads, strict=True):
                        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)
