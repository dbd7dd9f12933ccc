"""Small benchmarks, right and wrong, that the tests and their worker processes import by name."""

from __future__ import annotations

import os
import signal

import torch

from coset.bench import Case, Contestant, Limit, benchmark

ELSEWHERE = {"TOY_PLACE": "elsewhere"}


def is_elsewhere():
    return os.environ.get("TOY_PLACE") == "elsewhere"


def prepare(size, variant, generator):
    return torch.randn(size, generator=generator, dtype=torch.float64) + variant


def compare(inputs, output, expected):
    difference = abs(float(output) - float(expected))
    return None if difference <= 1e-9 * (1 + inputs.numel()) else f"off by {difference:.3g}"


def no_fault(inputs, output):
    return None


def loop(x):
    return torch.tensor(sum(x.tolist()), dtype=torch.float64)


def make(run=torch.sum, run_elsewhere=None, **changes):
    peers = {
        "loop": Contestant(loop),
        "half": Contestant(lambda x: x[::2].sum(), partial="every other number", verify=no_fault),
        "sign": Contestant(
            lambda state: torch.sign(state[0], out=state[1]),
            setup=lambda x: (x, torch.zeros_like(x)),
            partial="signs",
            verify=no_fault,
            allocation="preallocated",
            applies=lambda variant: variant > 0,
        ),
    }
    if run_elsewhere is not None:
        peers["sum elsewhere"] = Contestant(run_elsewhere, environment=ELSEWHERE)
    limits = {"copy": Limit("copy", lambda x: 8 * x.numel(), "read once, 8 d bytes")}
    arguments = {
        "prepare": prepare,
        "reference": loop,
        "compare": compare,
        "ours": {"sum": Contestant(run)},
        "peers": peers,
        "limits": limits,
    }
    return Case(**{**arguments, **changes})


def off_by_one(x):
    return x.sum() + 1


def wrong_when_large(x):
    return x.sum() + (x.numel() > 100)


def wrong_elsewhere(x):
    return x.sum() + is_elsewhere()


def die_when_large(x):
    if x.numel() > 100 and is_elsewhere():
        print("the toy dies now", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return x.sum()


def prepare_by_place(size, variant, generator):
    return prepare(size, variant + is_elsewhere(), generator)


def _register(name, **changes):
    @benchmark(
        f"toy.{name}",
        title="sum of a vector",
        sizes=(200, 500),
        variants={"centered": 0.0, "shifted": 1.0},
        small_sizes=(1, 2, 63),
    )
    def factory():
        return make(**changes)


_register("sum", run_elsewhere=torch.sum)
_register("local")
_register("wrong", run=off_by_one)
_register("wrong-when-large", run=wrong_when_large)
_register("wrong-elsewhere", run_elsewhere=wrong_elsewhere)
_register("dies", run_elsewhere=die_when_large)
_register("prints", run_elsewhere=lambda x: (print("noise"), x.sum())[1])
_register("other-inputs", run_elsewhere=torch.sum, prepare=prepare_by_place)
