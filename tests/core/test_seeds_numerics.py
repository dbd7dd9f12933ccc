from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from coset.core.numerics import EPSILON, tolerance
from coset.core.seeds import derive_seed, generator_for


def test_seeds_are_the_same_in_every_process():
    code = (
        "from coset.core.seeds import derive_seed; print(derive_seed('a', 1, [2.5], {'k': None}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) == derive_seed("a", 1, [2.5], {"k": None})


def test_seeds_of_different_names_differ_and_fit_a_generator():
    seeds = {derive_seed("x", i) for i in range(1000)} | {derive_seed("x1"), derive_seed("x", "1")}
    assert len(seeds) == 1002
    assert all(0 <= s < 2**63 for s in seeds)
    a, b = (torch.rand(3, generator=generator_for("x", 1)) for _ in range(2))
    assert torch.equal(a, b)


@pytest.mark.parametrize("name", EPSILON)
def test_epsilon_is_that_of_torch(name):
    assert EPSILON[name] == torch.finfo(getattr(torch, name)).eps


def test_tolerance_takes_names_torch_and_numpy():
    right = 8 * 2.0**-23 * 9
    assert tolerance("float32", 9, "sum") == right
    assert tolerance(torch.float32, 9, "sum") == right
    assert tolerance(np.float32, 9, "sum") == right
    assert tolerance(np.dtype("float32"), 9, "sum") == right
    with pytest.raises(KeyError):
        tolerance("int32")
