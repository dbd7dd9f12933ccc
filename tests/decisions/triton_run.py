"""Run the Triton sweep on CPU tensors by Triton's interpreter; print "same" if all is right.

Started by test_kernels_triton.py in a process of its own, since the interpreter is chosen at the
import.
"""

from __future__ import annotations

import dataclasses
import sys

import torch

from coset.decisions.kernels.cuda import sweep_triton
from coset.decisions.processes.level import ScalarLevel
from decisions.kernel_cases import make_level


def compare(shape, width, dtype, per_column):
    num_states, num_actions, _ = shape
    generator = torch.Generator().manual_seed(width)
    level = make_level(shape, allowed=0.6, weight=dtype)
    reward = torch.randn(num_states, num_actions, width, generator=generator, dtype=torch.float64)
    allowed = level.allowed
    if per_column:
        allowed = torch.rand(num_states, num_actions, width, generator=generator) < 0.6
    value = torch.randn(num_states, width, generator=generator, dtype=torch.float64).to(dtype)
    out = torch.full_like(value, torch.nan)
    low, high = sweep_triton(
        level.successor, level.weight, reward, allowed, level.scale, value, out
    )
    close = (
        {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    )
    for n in range(width):
        mask = allowed[..., n].contiguous() if per_column else allowed
        one = dataclasses.replace(level, reward=reward[..., n].contiguous(), allowed=mask)
        assert isinstance(one, ScalarLevel)
        right = one.backup(value[:, n].double())
        torch.testing.assert_close(out[:, n].double(), right, **close)
        change = (right - value[:, n].double())[one.active]
        wanted = (change.min(), change.max()) if change.numel() else (torch.zeros(()),) * 2
        for found, extreme in zip((low[n], high[n]), wanted, strict=True):
            torch.testing.assert_close(found.double(), extreme.double(), **close)


def main(cases):
    for case in cases:
        states, actions, num, width, name, per_column = case.split(",")
        shape = (int(states), int(actions), int(num))
        compare(shape, int(width), getattr(torch, name), per_column == "own")
    print("same")


if __name__ == "__main__":
    main(sys.argv[1:])
