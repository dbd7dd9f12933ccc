"""Run the Triton kernels on CPU tensors by Triton's interpreter; print "same" if all is right.

Started by test_triton.py in a process of its own, since the interpreter is chosen at the import.
"""

from __future__ import annotations

import sys

import torch

from coset.scan.kernels.cuda import backward_triton, forward_triton
from coset.scan.kernels.launch import backward_numba, forward_numba
from scan.inputs import make


def compare(shape, dtype, reverse):
    a, b, h0 = make(shape, dtype)
    g = make(shape, dtype, seed=1)[1]
    views = (a, b.transpose(0, 2).contiguous().transpose(0, 2), h0[:1].expand_as(h0))
    h = forward_triton(*views, reverse)
    right = forward_numba(*views, reverse)
    torch.testing.assert_close(h, right, rtol=1e-4, atol=1e-5)
    found = backward_triton(g, a, right, views[2], reverse)
    for x, y in zip(found, backward_numba(g, a, right, views[2], reverse), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)


def main(cases):
    for case in cases:
        name, _, sizes = case.partition(":")
        dtype = getattr(torch, name)
        for size in map(int, sizes.split(",")):
            shape = (2, size, 3) if size < 63 else (1, size, 1)
            # Long ones one way only: the interpreter takes about a millisecond a number.
            for reverse in (False, True) if size < 64 else (dtype.is_complex,):
                compare(shape, dtype, reverse)
    print("same")


if __name__ == "__main__":
    main(sys.argv[1:])
