"""Tests of coset.scan.kernels.cuda: by Triton's interpreter, by its compiler, and on a GPU."""

from __future__ import annotations

import pytest
import torch

from coset.scan import scan, scan_reference
from scan.inputs import DTYPES, SIZES, make
from triton_tools import compile_for_gpu, interpret

pytest.importorskip("triton")

KERNELS = ("_forward_real", "_forward_complex", "_backward_real", "_backward_complex")


def test_kernels_by_interpreter():
    interpret("scan.triton_run", "float32:0,1,2,63,64,65", "complex64:1,65")


@pytest.mark.slow
def test_kernels_by_interpreter_over_many_blocks():
    cases = (f"{name}:65,1000" for name in ("float32", "float64", "complex128"))
    interpret("scan.triton_run", "complex64:0,1,2,63,64,65,1000", *cases)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_compile_for_a_gpu(name):
    from coset.scan.kernels import cuda

    types = dict.fromkeys(("a", "b", "h", "h0", "g", "da", "db", "dh0"), "*fp32")
    constants = {"steps": 64, "columns": 32}
    assert "ld.global" in compile_for_gpu(getattr(cuda, name), types, constants)


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
