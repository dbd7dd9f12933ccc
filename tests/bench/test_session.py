from __future__ import annotations

import dataclasses

import numba
import numpy as np
import pytest
import torch

from coset.bench import BenchmarkRefusedError, Contestant, find_benchmark
from coset.bench.session import Session, digest_inputs, limited_threads


@pytest.fixture
def session(toys):
    return Session(find_benchmark("toy.sum"))


def test_small_sizes_are_compared_with_the_reference(session):
    assert session.check_small("centered", ["sum", "loop", "half"]) == 3 * 3


def test_a_wrong_contestant_is_refused_at_a_small_size(toys):
    session = Session(find_benchmark("toy.wrong"))
    with pytest.raises(BenchmarkRefusedError, match=r"toy\.wrong.*'sum'.*size 1.*off by 1"):
        session.check_small("centered", ["sum"])


def test_a_contestant_wrong_only_when_large_is_refused_against_the_peer(toys):
    session = Session(find_benchmark("toy.wrong-when-large"))
    session.check_small("centered", ["sum"])
    session.prepare(200, "centered")
    with pytest.raises(BenchmarkRefusedError, match=r"'sum'.*size 200, against loop.*off by 1"):
        session.check_full(["loop"])


def test_a_contestant_that_raises_is_refused_with_its_words(toys, session):
    def broken(x):
        raise ValueError("no such luck")

    session.case = toys.make(ours={"sum": Contestant(broken)})
    with pytest.raises(BenchmarkRefusedError, match="ValueError: no such luck"):
        session.check_small("centered", ["sum"])


def test_a_partial_contestant_is_judged_by_its_own_verify(toys, session):
    part = Contestant(torch.sum, partial="p", verify=lambda x, output: "not what it says")
    session.case = toys.make(peers={"loop": Contestant(torch.sum), "part": part})
    session.prepare(200, "centered")
    with pytest.raises(BenchmarkRefusedError, match="not what it says"):
        session.check_full(["part"])


def test_the_full_check_compares_ours_with_a_peer_even_if_nobody_asks(session):
    session.prepare(200, "shifted")
    assert session.check_full([]) == ["sum", "loop"]
    assert session.check_full(["half", "loop"]) == ["sum", "half", "loop"]


def test_inputs_depend_on_benchmark_size_and_variant_only(session, toys):
    first = session.prepare(200, "centered")
    assert session.prepare(200, "shifted") != first
    assert session.prepare(500, "centered") != first
    torch.manual_seed(99)
    assert Session(find_benchmark("toy.sum")).prepare(200, "centered") == first


def test_contestants_and_limits_are_timed_in_seconds(session):
    session.prepare(200, "shifted")
    for name in ("sum", "sign", "copy"):
        wall, cpu = session.time(name, 2)
        assert 0 < wall < 10
        assert 0 <= cpu < 10
    described = session.describe_limit("copy", 2.0)
    assert (described["needed"], described["rate"], described["unit"]) == (1600, 800.0, "B/s")
    session.close()


@dataclasses.dataclass
class Pair:
    left: object
    right: object


def test_digests_tell_inputs_apart():
    x = torch.arange(6.0)
    base = digest_inputs(Pair(x, {"a": 1}))
    assert base == digest_inputs(Pair(x.clone(), {"a": 1}))
    others = [
        Pair(x.double(), {"a": 1}),
        Pair(x.reshape(2, 3), {"a": 1}),
        Pair(x, {"a": 2}),
        Pair(x.flip(0), {"a": 1}),
    ]
    assert base not in [digest_inputs(other) for other in others]
    assert digest_inputs([np.ones(3)]) != digest_inputs([np.ones(3, np.float32)])


def test_threads_are_set_and_restored_also_after_an_error():
    before = torch.get_num_threads(), numba.get_num_threads()

    def fail_inside():
        with limited_threads(2):
            assert torch.get_num_threads() == 2
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert (torch.get_num_threads(), numba.get_num_threads()) == before
