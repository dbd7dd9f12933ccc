from __future__ import annotations

import pytest

from coset.bench import Case, Contestant, Limit, all_benchmarks, benchmark, find_benchmark
from coset.core.errors import ConfigError, UnknownNameError


def test_a_registered_case_is_found_with_its_place(toys):
    found = find_benchmark("toy.sum")
    assert (found.sizes, list(found.variants)) == ((200, 500), ["centered", "shifted"])
    assert found.module == "toy_cases"
    assert found.file.endswith("toy_cases.py")
    assert found.line > 0
    assert isinstance(found.make(), Case)
    assert "toy.sum" in [known.id for known in all_benchmarks()]


def test_an_unknown_id_names_the_nearest(toys):
    with pytest.raises(UnknownNameError, match=r"did you mean .*toy\.sum"):
        find_benchmark("toy.sun")


@pytest.mark.parametrize(
    ("id", "sizes", "variants"),
    [
        ("Toy.sum", (1,), {"a": 0}),
        ("toy", (1,), {"a": 0}),
        ("toy.sum", (), {"a": 0}),
        ("toy.sum", (2, 1), {"a": 0}),
        ("toy.sum", (0, 1), {"a": 0}),
        ("toy.sum", (1,), {}),
    ],
)
def test_bad_registrations_are_refused(toys, id, sizes, variants):
    with pytest.raises(ConfigError, match=r"got|needs"):
        benchmark(id, title="t", sizes=sizes, variants=variants)(toys.make)


def test_one_id_cannot_be_registered_by_two_modules(toys):
    def factory():
        return toys.make()

    with pytest.raises(ConfigError, match="toy_cases"):
        benchmark("toy.sum", title="t", sizes=(1,), variants={"a": 0})(factory)


def test_a_case_refuses_what_could_not_be_judged(toys):
    with pytest.raises(ConfigError, match="verify"):
        Contestant(abs, partial="half of it")
    with pytest.raises(ConfigError, match="kind"):
        Limit("warp", len, "")
    with pytest.raises(ConfigError, match="empty"):
        toys.make(ours={})
    with pytest.raises(ConfigError, match="used twice: sum"):
        toys.make(peers={"sum": Contestant(sum)})
    with pytest.raises(ConfigError, match="whole work"):
        toys.make(ours={"part": Contestant(sum, partial="p", verify=toys.no_fault)})


def test_contestants_take_part_only_where_they_apply(toys):
    case = toys.make()
    assert "sign" not in case.applicable(0.0)
    assert list(case.applicable(1.0)) == ["sum", "loop", "half", "sign"]
