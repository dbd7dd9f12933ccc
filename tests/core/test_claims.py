from __future__ import annotations

import pytest
import torch

from coset.core import claims as registry
from coset.core.claims import ClaimResult, claim, find_claim
from coset.core.errors import ConfigError, UnavailableError, UnknownNameError
from coset.core.judging import judge, judge_mutants


@pytest.fixture
def scratch(monkeypatch):
    """Give the test a registry of its own."""
    monkeypatch.setattr(registry, "_CLAIMS", {})
    return registry._CLAIMS


def double(x):
    return 2 * x


def square(x):
    return x * x


def triple(x):
    return 3 * x


FIELDS = dict(
    title="doubling",
    statement="f(x) = x + x",
    hypotheses="none",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={"square": square},
    near_misses=lambda: [(2,)],
)


def make(scratch, body=None, **changes):
    def sound(f=double, *, preset, generator):
        wrong = [x for x in range(5) if f(x) != x + x]
        bad = {"x": wrong[0]} if wrong else None
        return ClaimResult(holds=not wrong, sample_size=5, counterexample=bad)

    claim("sharing.C900", **{**FIELDS, **changes})(body or sound)
    return scratch["sharing.C900"]


def test_a_right_claim_is_as_expected_and_its_mutant_is_caught(scratch):
    judged = judge(make(scratch))
    assert (judged.seen, judged.as_expected) == ("holds", True)
    assert [(m.caught, m.near_miss) for m in judged.mutants] == [(True, True)]
    assert judged.to_json()["as_expected"] is True


def test_broken_code_is_seen(scratch):
    def sound(f=triple, *, preset, generator):
        return ClaimResult(holds=all(f(x) == x + x for x in range(5)), sample_size=5)

    judged = judge(make(scratch, sound))
    assert (judged.seen, judged.as_expected) == ("refuted", False)


def test_holding_where_refuted_was_expected_is_not_as_expected(scratch):
    judged = judge(make(scratch, expected="refuted"), mutants=False)
    assert (judged.seen, judged.as_expected) == ("holds", False)


def test_a_refuted_claim_needs_a_counterexample(scratch):
    def refuted(f=double, *, preset, generator):
        return ClaimResult(holds=False, sample_size=1)

    judged = judge(make(scratch, refuted, expected="refuted"), mutants=False)
    assert judged.seen == "refuted"
    assert not judged.as_expected
    assert "counterexample" in judged.problem


def test_a_mutant_that_survives_turns_the_verdict(scratch):
    judged = judge(make(scratch, mutants={"the same": double}))
    assert judged.seen == "holds"
    assert not judged.as_expected


def test_a_mutant_that_is_no_near_miss_turns_the_verdict(scratch):
    (outcome,) = judge_mutants(make(scratch, mutants={"triple": triple}))
    assert (outcome.caught, outcome.near_miss, outcome.passed) == (True, False, False)


def test_a_mutant_of_an_open_claim_must_be_decided(scratch):
    def undecided(f=double, *, preset, generator):
        holds = None if f(3) == 6 else f(3) == 9
        return ClaimResult(holds=holds, sample_size=1, interval=(0.0, 1.0))

    mutants = {"square": square, "the same": lambda x: x + x}
    first, second = judge_mutants(make(scratch, undecided, expected="open", mutants=mutants))
    assert (first.caught, second.caught) == (True, False)


def test_a_mutant_that_crashes_is_not_caught(scratch):
    def crash(x):
        raise ZeroDivisionError

    (outcome,) = judge_mutants(make(scratch, mutants={"crash": crash}))
    assert not outcome.caught
    assert "ZeroDivisionError" in outcome.detail


def test_a_judge_that_raises_is_an_error_with_its_traceback(scratch):
    def crash(f=double, *, preset, generator):
        raise RuntimeError("boom")

    judged = judge(make(scratch, crash), mutants=False)
    assert judged.seen == "error"
    assert "boom" in judged.problem
    assert not judged.as_expected


def test_unavailable_is_a_verdict(scratch):
    def missing(f=double, *, preset, generator):
        raise UnavailableError("no CUDA device")

    judged = judge(make(scratch, missing, expected="unavailable"), mutants=False)
    assert (judged.seen, judged.as_expected) == ("unavailable", True)


@pytest.mark.parametrize("rate", [None, 1e-3, float("nan")])
def test_a_statistical_claim_states_its_false_alarm_rate(scratch, rate):
    def vague(f=double, *, preset, generator):
        return ClaimResult(holds=True, sample_size=10, false_alarm=rate)

    judged = judge(make(scratch, vague, kind="statistical"), mutants=False)
    assert not judged.as_expected
    assert "false-alarm" in judged.problem


def test_an_open_claim_shows_its_interval(scratch):
    def vague(f=double, *, preset, generator):
        return ClaimResult(holds=None, sample_size=10)

    judged = judge(make(scratch, vague, expected="open"), mutants=False)
    assert not judged.as_expected
    assert "interval" in judged.problem


def test_a_claim_that_checked_nothing_does_not_hold(scratch):
    def idle(f=double, *, preset, generator):
        return ClaimResult(holds=True, sample_size=0)

    assert not judge(make(scratch, idle), mutants=False).as_expected


def test_an_empirical_claim_judges_rows(scratch):
    def by_rows(rows):
        return ClaimResult(holds=all(r["x"] > 0 for r in rows), sample_size=len(rows))

    def negate_first(rows):
        rows[0]["x"] = -1
        return rows

    item = make(
        scratch,
        by_rows,
        kind="empirical",
        experiment="sharing.torus-digits",
        mutants={"a sign": negate_first},
    )
    judged = judge(item, rows=[{"x": 1}, {"x": 2}])
    assert judged.as_expected
    assert judge(item, rows=[]).seen == "error"


def test_the_stream_depends_on_claim_preset_and_seed_only(scratch):
    seen = []

    def draw(f=double, *, preset, generator):
        seen.append(float(torch.rand((), generator=generator)))
        return ClaimResult(holds=True, sample_size=1)

    item = make(scratch, draw)
    for preset, seed in [("smoke", 0), ("smoke", 0), ("smoke", 1), ("cpu", 0)]:
        judge(item, preset=preset, seed=seed, mutants=False)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "certain"},
        {"expected": "true"},
        {"mutants": {}},
        {"near_misses": None},
    ],
)
def test_malformed_claims_are_refused(scratch, changes):
    with pytest.raises(ConfigError):
        make(scratch, **changes)


@pytest.mark.parametrize("id", ["sharing.5", "Sharing.C5", "sharing.C5'", "C5", "sharing.C5bc"])
def test_malformed_ids_are_refused(scratch, id):
    with pytest.raises(ConfigError, match="must look like"):
        claim(id, **FIELDS)


def test_a_judge_without_a_thing_under_test_is_refused(scratch):
    with pytest.raises(ConfigError, match="first argument"):
        claim("sharing.C900", **FIELDS)(lambda *, preset, generator: None)


def test_unknown_claims_name_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean .*sharing\.C"):
        find_claim("sharing.C55555")


def test_results_become_json_without_nan(scratch):
    def odd(f=double, *, preset, generator):
        return ClaimResult(holds=True, measured=float("nan"), sample_size=1)

    record = judge(make(scratch, odd), mutants=False).to_json()
    assert record["result"]["measured"] == "nan"
