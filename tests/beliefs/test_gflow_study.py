"""The focus of trajectory balance, the claims with their mutants, the study's rows and pictures."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.claims import gflow, gflow_study
from coset.beliefs.experiments.hypergrid import HyperGridConfig, hypergrid
from coset.beliefs.figures.gflow import hypergrid_curves, hypergrid_maps
from coset.beliefs.gflow import (
    HyperGrid,
    all_trajectories,
    attended_inconsistency,
    balancing_focus,
    step_log_probabilities,
)
from coset.beliefs.gflow.policy import masked_log_softmax
from coset.beliefs.gflow.trajectories import look_up
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.score import incompatibility
from coset.core.claims import find_claim
from coset.core.errors import ConfigError, DomainError, ShapeError
from coset.core.judging import judge
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment, points
from coset.lab.figure_style import save_svg
from coset.lab.run_folder import checked_rows

assert gflow.C20  # importing the modules registers their claims
assert gflow_study.C20c


def flow_graph(grid, log_pf, log_pb, steps):
    """Return the network as a dependency graph of its states, live ones first, then stopped."""
    n = grid.num_states
    forward, backward = (torch.zeros(2 * n, 2 * n, dtype=torch.float64) for _ in range(2))
    for state in range(n):
        forward[state, state + n] = log_pf[state, -1].exp()
        forward[state + n, state + n] = 1.0
        backward[state + n, state] = 1.0
        for axis in range(grid.dims):
            if grid.forward_mask[state, axis]:
                after = state + int(grid.strides[axis])
                forward[state, after] = log_pf[state, axis].exp()
                backward[after, state] = log_pb[after, axis].exp()
    backward[0, 0] = 1.0  # never reached
    pdg = PDG({f"S{i}": 2 * n for i in range(steps + 1)})
    for i in range(steps):
        pdg.add(f"F{i}", f"S{i + 1}", f"S{i}", cpd=forward)
        pdg.add(f"B{i}", f"S{i}", f"S{i + 1}", cpd=backward)
    pdg.add("target", f"S{steps}", cpd=torch.cat([grid.target * 0, grid.target]))
    return pdg


@pytest.mark.oracle
@pytest.mark.parametrize("steps", [2, 3])
def test_the_attended_value_is_that_of_the_dependency_graph(steps, generator):
    grid = HyperGrid(2, 2)
    shapes = [(4, 3), (4, 2)]
    masks = grid.forward_mask, grid.backward_mask
    tables = [
        masked_log_softmax(torch.randn(s, generator=generator, dtype=torch.float64), m)
        for s, m in zip(shapes, masks, strict=True)
    ]
    every = all_trajectories(grid)
    chosen = every.lengths == steps
    states = every.states[chosen][:, : steps + 1]
    rows = [look_up(table, every.states) for table in tables]
    log_pf, log_pb = (x[chosen][:, :steps] for x in step_log_probabilities(every, *rows))
    sampler = torch.rand(len(states), generator=generator, dtype=torch.float64) + 0.1
    sampler = sampler / sampler.sum()
    forward = torch.randn(steps, generator=generator, dtype=torch.float64)
    backward = torch.randn(steps + 1, generator=generator, dtype=torch.float64)
    found = attended_inconsistency(
        states, sampler, log_pf, log_pb, grid.target.log()[states[:, -1]], forward, backward
    )
    joint = torch.zeros(*[8] * (steps + 1), dtype=torch.float64)
    for path, chance in zip(states.tolist(), sampler.tolist(), strict=True):
        joint[tuple([*path[:-1], path[-1] + 4])] = chance
    names = [f"F{i}" for i in range(steps)] + [f"B{i}" for i in range(steps)] + ["target"]
    factors = dict(zip(names, [*forward.tolist(), *backward.tolist()], strict=True))
    graph = flow_graph(grid, *tables, steps)
    wanted = incompatibility(graph, joint, Attention(factors, dict.fromkeys(names, 0.0)))
    torch.testing.assert_close(found, wanted)


def test_the_focus_by_hand():
    delta, lengths = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([4, 1, 3])
    attention, control = balancing_focus(delta, lengths)
    assert attention.tolist() == [-1.0, 1.0, 0.0]
    assert control.tolist() == [4.0, 2.0, 0.0]
    assert balancing_focus(delta, lengths, "length")[1].tolist() == [1.0, 2.0, 0.0]


def test_bad_focus_input_is_refused():
    delta = torch.ones(2)
    with pytest.raises(ShapeError, match="lengths"):
        balancing_focus(delta, torch.ones(3))
    with pytest.raises(DomainError, match="normalize"):
        balancing_focus(delta, delta, "T")
    with pytest.raises(DomainError, match="count the stop"):
        balancing_focus(delta, delta * 0)
    paths, half = torch.tensor([[0, 1], [0, 2]]), torch.full((2,), 0.5)
    steps, one, two = torch.zeros(2, 1), torch.ones(1), torch.ones(2)
    good = [paths, half, steps, steps, torch.zeros(2), one, two]
    assert attended_inconsistency(*good).isfinite()
    never = steps - math.inf
    assert attended_inconsistency(paths, half, never, steps, torch.zeros(2), one, two) == math.inf
    ignored = [paths, half, never, steps, torch.zeros(2), 0 * one, two]
    assert attended_inconsistency(*ignored).isfinite()  # an arc that is not attended is dropped
    for place, wrong, error, message in (
        (0, paths[:, :1], ShapeError, "paths must be"),
        (0, paths[:0], ShapeError, "paths must be"),
        (0, paths[[0, 0]], DomainError, "once"),
        (1, half[:1], ShapeError, "sampler"),
        (1, half * 3, DomainError, "sum to 1"),
        (1, torch.tensor([1.0, 0.0]), DomainError, "leave out"),
        (1, half * math.nan, DomainError, "sum to 1"),
        (2, steps[:, :0], ShapeError, "log_pf"),
        (4, one, ShapeError, "log_target"),
        (5, two, ShapeError, "forward_attention"),
    ):
        given = [*good]
        given[place] = wrong
        with pytest.raises(error, match=message):
            attended_inconsistency(*given)


@pytest.mark.claim
@pytest.mark.parametrize("name", ["C20", "C20a", "C20b", "C20d"])
def test_proved_claims_and_their_mutants(name):
    judged = judge(find_claim(f"beliefs.{name}"))
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)
    assert len(judged.mutants) >= 2


def made_rows(gain, spread=0.0, seeds=8):
    """Return final rows in which TB/T ends `gain` times as near as TB at the rate 1e-2."""
    rows = [{"kind": "floor", "study": "8x8", "reward": "original", "noise_floor": 0.003}]
    for loss, rate, seed in itertools.product(("TB", "TB/T"), (1e-3, 1e-2), range(seeds)):
        l1 = 0.04 if rate == 1e-3 else 0.1
        l1 /= gain if loss == "TB/T" else 1.0
        l1 *= 1 + spread * (seed - (seeds - 1) / 2)
        labels = {"kind": "final", "study": "8x8", "reward": "original", "loss": loss}
        rows.append({**labels, "rank": 0, "rate": rate, "seed": seed, "final_l1": l1})
    return rows


@pytest.mark.claim
def test_C20c_is_decided_by_its_intervals():
    item = find_claim("beliefs.C20c")
    judged = judge(item, rows=made_rows(1.6, 0.1))
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)
    low, high = judged.result.interval
    assert low < 1.5 < high
    assert judged.result.measured == pytest.approx(1.6)
    assert judge(item, rows=made_rows(1.6), mutants=False).seen == "holds"
    assert judge(item, rows=made_rows(3.0, 0.05), mutants=False).seen == "holds"
    assert judge(item, rows=made_rows(1.2, 0.01), mutants=False).seen == "refuted"
    assert judge(item, rows=made_rows(1.6, 0.1, seeds=1), mutants=False).seen == "open"


SHORT = HyperGridConfig("8x8", seeds=(0, 1), num_steps=6, evaluate_every=4, num_samples=1000)


def rows_of(config, folder):
    item = find_experiment("beliefs.hypergrid")
    return checked_rows(item, config, hypergrid(config, RunContext(item.id, config, folder)))


@pytest.mark.experiment
def test_rows_of_a_short_run(tmp_path):
    rows = rows_of(SHORT, tmp_path)
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("floor", "curve", "final", "map")] == [1, 4, 2, 64]
    floor = rows[0]
    assert floor["num_support"] == 64
    assert abs(floor["noise_floor"] - floor["drawn_floor"]) < 0.5 * floor["noise_floor"]
    curve = [row for row in rows if row["kind"] == "curve"]
    assert [(row["step"], row["trajectories"]) for row in curve[::2]] == [(4, 256), (6, 384)]
    for row in (row for row in rows if row["kind"] == "final"):
        own = [r["l1"] for r in curve if r["seed"] == row["seed"]]
        assert row["final_l1"] == own[-1]
        assert row["best_l1"] == min(own)
        for name in ("final", "best"):
            gap = row[f"{name}_sampled_l1"] - row[f"{name}_l1"]
            assert abs(gap) < 2 * floor["noise_floor"]
        assert row["failed"] is False
    cells = [row for row in rows if row["kind"] == "map"]
    assert sum(row["target"] for row in cells) == pytest.approx(1.0)
    wrong = sum(abs(row["target"] - row["learned"]) for row in cells)
    assert wrong == pytest.approx([r for r in curve if r["seed"] == 0][-1]["l1"])


@pytest.mark.experiment
def test_rows_depend_on_the_configuration_only_and_seeds_on_themselves(tmp_path):
    once, twice = (rows_of(SHORT, tmp_path / name) for name in "ab")
    assert once == twice
    alone = rows_of(replace(SHORT, seeds=(1,)), tmp_path / "c")
    single = next(row["final_l1"] for row in alone if row["kind"] == "final")
    member = next(r["final_l1"] for r in once if r["kind"] == "final" and r["seed"] == 1)
    assert single == pytest.approx(member, rel=1e-3)


@pytest.mark.experiment
def test_a_search_trains_the_best_of_its_trials(tmp_path):
    config = replace(SHORT, num_trials=4, trial_steps=3, num_kept=2, loss="VarGrad/T")
    rows = rows_of(config, tmp_path)
    trials = [row for row in rows if row["kind"] == "trial"]
    assert len({row["rate"] for row in trials}) == 4
    for row in trials:
        assert 1e-5 <= row["rate"] <= 1e-1
        assert 10 <= row["log_z_factor"] <= 1000
        assert 0.01 <= row["gradient_clip"] <= 10
        assert row["second_moment_decay"] in (0.99, 0.999, 0.9999)
    best = sorted(trials, key=lambda row: row["best_l1"])[:2]
    final = {row["rank"]: row["rate"] for row in rows if row["kind"] == "final"}
    assert final == {0: best[0]["rate"], 1: best[1]["rate"]}


@pytest.mark.experiment
def test_a_run_whose_loss_explodes_says_so(tmp_path):
    rows = rows_of(replace(SHORT, learning_rate=1e30), tmp_path)
    final = [row for row in rows if row["kind"] == "final"]
    assert len(final) == 2
    assert all(row["failed"] for row in final)


def test_impossible_settings_are_refused(tmp_path):
    for name, value in (
        ("seeds", ()),
        ("seeds", (1, 1)),
        ("num_steps", 0),
        ("evaluate_every", 0),
        ("num_samples", 0),
        ("num_trials", -1),
        ("trial_steps", 0),
        ("num_kept", 0),
        ("learning_rate", -1.0),
    ):
        with pytest.raises(ConfigError, match=name):
            rows_of(replace(SHORT, **{name: value}), tmp_path)


def test_presets_cover_the_study():
    item = find_experiment("beliefs.hypergrid")
    assert [len(points(item, name)) for name in ("smoke", "cpu", "paper")] == [6, 24, 16]
    assert all(len(config.seeds) >= 5 for config in points(item, "cpu"))


def texts(figure, path):
    content = save_svg(figure, path).read_text()
    return set(re.findall(r"<!-- (.*?) -->", content)) | set(re.findall(r">([^<>]+)</", content))


@pytest.mark.experiment
def test_pictures_show_the_rows(tmp_path):
    rows = [r for loss in ("TB", "TB/T") for r in rows_of(replace(SHORT, loss=loss), tmp_path)]
    figure = hypergrid_maps(rows, [])
    assert len(figure.axes) == 6
    cells = [row for row in rows if row["kind"] == "map" and row["loss"] == "TB/T"]
    shown = figure.axes[4].images[0].get_array()
    for row in cells:
        assert float(shown[row["y"], row["x"]]) == row["learned"]
    wrong = sum(abs(row["target"] - row["learned"]) for row in cells)
    assert f"|difference|, sum {wrong:.3f}" in texts(figure, tmp_path / "maps.svg")
    curves = hypergrid_curves(rows, [])
    (axes,) = curves.axes
    first = axes.lines[0].get_xydata().tolist()
    values = [r["l1"] for r in rows if r["kind"] == "curve" and r["loss"] == "TB"]
    assert first[0] == [256.0, pytest.approx(sum(values[:2]) / 2)]
    floor = rows[0]["noise_floor"]
    assert any(set(line.get_ydata()) == {floor} for line in axes.lines)
    assert "floor of 1 000 draws" in texts(curves, tmp_path / "curves.svg")
    for draw in (hypergrid_maps, hypergrid_curves):
        assert not draw([], []).axes
