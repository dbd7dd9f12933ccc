"""Rotors in floating point: rounding, closed orbits, failures, the rows, the picture, the claim."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from coset.core.claims import find_claim
from coset.core.errors import ConfigError, UnsupportedError
from coset.core.judging import judge
from coset.lab.context import RunContext
from coset.ssm.claims import studies  # registers the claim
from coset.ssm.experiments.horizon import (
    HorizonConfig,
    float_orbit,
    horizon,
    rounded_roots,
    turn,
)
from coset.ssm.figures.horizon import horizon_margins, horizons

SMALL = HorizonConfig(length=400, num_words=8, num_times=5, max_states=2000)


def rows_of(tmp_path, **change):
    config = replace(SMALL, **change)
    return list(horizon(config, RunContext("ssm.horizon", config, tmp_path)))


@pytest.mark.parametrize("modulus", [1, 2, 3, 4, 7, 60])
def test_roots_are_rounded_to_nearest_and_zeros_are_exact(modulus):
    exact = torch.polar(
        torch.ones(modulus, dtype=torch.float64),
        2 * math.pi * torch.arange(modulus, dtype=torch.float64) / modulus,
    )
    found = rounded_roots(modulus, torch.bfloat16)
    assert (found.double() - torch.view_as_real(exact)).abs().max() <= 2.0**-9
    if modulus % 4 == 0:
        assert found[modulus // 4].tolist() == [0.0, 1.0]


def test_a_turn_is_a_product_of_complex_numbers(generator):
    a, b = torch.randn(2, 50, 2, generator=generator, dtype=torch.float32)
    wanted = torch.view_as_complex(a) * torch.view_as_complex(b)
    assert torch.allclose(torch.view_as_complex(turn(a, b)), wanted, atol=1e-5)
    # Each part is rounded: 1/3 · 3 in bfloat16 is what bfloat16 says.
    third = torch.tensor([1 / 3, 0], dtype=torch.bfloat16)
    assert turn(third, torch.tensor([3.0, 0], dtype=torch.bfloat16)).dtype == torch.bfloat16


def brute_force(modulus, dtype, depth):
    """Return the states of all words up to a depth, one word after the other."""
    roots = rounded_roots(modulus, dtype)
    found = set()
    for length in range(depth + 1):
        for word in itertools.product(range(modulus), repeat=length):
            state = roots[0]
            for x in word:
                state = turn(state, roots[x])
            found.add(tuple((state + 0.0).tolist()))
    return found


@pytest.mark.parametrize(("modulus", "states"), [(2, 2), (3, 27), (4, 4)])
def test_a_closed_orbit_holds_the_states_of_all_words(modulus, states):
    orbit = float_orbit(modulus, torch.bfloat16)
    assert orbit.closed
    assert not orbit.failed
    assert orbit.num_states == states
    depth = min(orbit.depth, 9)
    assert len(brute_force(modulus, torch.bfloat16, depth)) == states


def test_an_open_orbit_is_given_up_and_a_failing_one_is_found():
    given_up = float_orbit(60, torch.bfloat16, max_states=500)
    assert not given_up.closed
    assert not given_up.failed
    assert given_up.num_states > 500
    # 2000 roots are closer than bfloat16 can tell apart: one token fails.
    failing = float_orbit(2000, torch.bfloat16)
    assert (failing.failed, failing.closed, failing.depth) == (True, False, 1)


def test_a_closed_orbit_never_fails_on_random_words(tmp_path):
    rows = rows_of(tmp_path, modulus=3, length=3000)
    assert rows[-1]["is_closed"]
    assert (rows[-1]["num_failed"], rows[-1]["first_failure"]) == (0, None)
    margins = [row["least_margin"] for row in rows if row["kind"] == "margin"]
    assert min(margins) > 0.99


def test_sixty_positions_fail_in_bfloat16_and_count_in_float32(tmp_path):
    low = rows_of(tmp_path / "a", length=4000)[-1]
    assert low["num_failed"] >= 6
    assert 50 < low["first_failure"] <= low["median_failure"] < 4000
    # The median exit time of a random walk of the measured drift, within a factor of 3 here
    # (8 words; the factor of 2 of the claim is for 64 words and more).
    assert 1 / 3 < low["median_failure"] / low["predicted_median"] < 3
    high = rows_of(tmp_path / "b", dtype="float32")[-1]
    assert high["num_failed"] == 0
    assert high["predicted_median"] > 1e9
    assert not high["is_closed"]


def test_renormalizing_keeps_the_modulus(tmp_path):
    drifting = rows_of(tmp_path / "a", modulus=7, length=4000)
    kept = rows_of(tmp_path / "b", modulus=7, length=4000, renormalize_every=10)
    last = [[r for r in rows if r["kind"] == "margin"][-1] for rows in (drifting, kept)]
    assert last[0]["largest_modulus"] > 3
    assert last[1]["largest_modulus"] < 1.1


def test_no_orbit_is_claimed_of_a_rotor_that_is_renormalized(tmp_path):
    bare = rows_of(tmp_path / "a", modulus=3, length=200)[-1]
    kept = rows_of(tmp_path / "b", modulus=3, length=200, renormalize_every=10)[-1]
    assert (bare["is_closed"], kept["is_closed"], kept["num_states"]) == (True, False, 0)


def test_orbits_of_wider_floats_are_refused():
    with pytest.raises(UnsupportedError, match="given torch"):
        float_orbit(3, torch.float64)


def test_words_are_the_same_in_every_dtype_and_differ_by_seed(tmp_path):
    # With 4 positions every dtype is exact, so that only the words could make a difference.
    columns = ("least_margin", "least_modulus")
    first, second = (rows_of(tmp_path, modulus=4, dtype=d) for d in ("bfloat16", "float32"))
    assert [[r[c] for c in columns] for r in first[:-1]] == [
        [r[c] for c in columns] for r in second[:-1]
    ]
    failures = [rows_of(tmp_path, length=2000, seed=s)[-1]["first_failure"] for s in (0, 1, 2)]
    assert len(set(failures)) > 1
    assert rows_of(tmp_path, seed=1) == rows_of(tmp_path, seed=1)


@pytest.mark.parametrize(
    "change",
    [{"modulus": 1}, {"length": 199}, {"num_words": 0}, {"num_times": 1}, {"max_states": 0}],
)
def test_impossible_settings_are_refused(change, tmp_path):
    with pytest.raises(ConfigError, match="must be ≥"):
        rows_of(tmp_path, **change)


@pytest.fixture(scope="module")
def smoke_rows(tmp_path_factory):
    found = []
    for dtype in ("bfloat16", "float32"):
        for modulus in (3, 60):
            config = HorizonConfig(length=3000, dtype=dtype, modulus=modulus)
            folder = tmp_path_factory.mktemp("run")
            found += list(horizon(config, RunContext("ssm.horizon", config, folder)))
    return found


@pytest.mark.claim
def test_the_claim_holds_and_its_mutants_are_caught(smoke_rows):
    assert studies.C8b.__name__ == "C8b"
    judged = judge(find_claim("ssm.C8b"), rows=smoke_rows)
    assert judged.seen == "holds", judged
    assert len(judged.mutants) == 3
    for outcome in judged.mutants:
        assert outcome.passed, outcome


def test_pictures_show_the_verdicts(smoke_rows):
    figure = horizons(smoke_rows, [])
    assert isinstance(figure, Figure)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[:2] == ["∞ (27)", "∞ (3)"]
    assert texts[3] == "> 3,000"
    (failed,) = [r for r in smoke_rows if r["kind"] == "horizon" and r["num_failed"]]
    assert texts[2] == f"{failed['median_failure']:,}"
    margins = horizon_margins(smoke_rows, [])
    assert [axes.get_title() for axes in margins.axes] == [
        "a rotor of 60 positions",
        "a rotor of 3 positions",
    ]
    line = margins.axes[0].lines[0]
    points = [r for r in smoke_rows if r["kind"] == "margin" and r["modulus"] == 60]
    own = [r for r in points if r["dtype"] == "bfloat16"]
    assert line.get_ydata().tolist() == [max(0.0, r["median_margin"]) for r in own]
