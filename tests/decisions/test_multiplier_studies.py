"""The experiments on risk, contraction and cycles, and the pictures drawn from their rows."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from coset.core.errors import ConfigError
from coset.decisions.experiments.multipliers import (
    ContractionConfig,
    CyclesConfig,
    contraction,
    cycles,
    random_growth,
)
from coset.decisions.experiments.risk import RiskConfig, risk, total_deviation
from coset.decisions.figures.convergence import convergence
from coset.decisions.figures.gauge import gauge_obstruction
from coset.decisions.figures.risk import risk_frontier
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.transience import transience
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg


def rows_of(run, id, config, tmp_path):
    return list(run(config, RunContext(id, config, tmp_path)))


def test_risk_rows_and_their_frontier(tmp_path):
    config = RiskConfig(betas=(-0.1, 0.0, 0.05, 0.1))
    rows = rows_of(risk, "decisions.risk", config, tmp_path)
    assert [r["beta"] for r in rows] == [-0.1, 0.0, 0.05, 0.1]
    assert all(r["solved"] for r in rows)
    neutral = rows[1]
    assert neutral["num_changed"] == 0
    assert neutral["mean"] == pytest.approx(-64.70918, abs=1e-5)
    assert neutral["certainty_equivalent"] == pytest.approx(neutral["mean"], abs=1e-6)
    assert neutral["goal_chance"] == pytest.approx(1.0)
    worth = [r["certainty_equivalent"] for r in rows]
    assert worth == sorted(worth, reverse=True)
    assert all(r["mean"] <= neutral["mean"] + 1e-9 for r in rows)
    # Averse enough, the agent falls at once: a sure loss is worth more than a spread of ways.
    assert rows[3]["danger_chance"] == pytest.approx(1.0)
    assert rows[3]["deviation"] < neutral["deviation"] / 5
    figure = risk_frontier(rows, [])
    assert len(figure.axes) == 2
    text = save_svg(figure, tmp_path / "risk.svg").read_text()
    assert "standard deviation" in text
    assert "penalty 100" in text


def test_the_deviation_is_that_of_a_geometric_time():
    mdp = MDP(
        [[[0, 1]], [[1, 1]]],
        [[[0.75, 0.25]], [[1.0, 0.0]]],
        [[-1.0], [0.0]],
        terminal=[False, True],
    )
    found = total_deviation(mdp, torch.tensor([0, -1]))
    assert float(found[0]) == pytest.approx(math.sqrt(0.75) / 0.25)
    bet = replace(mdp, reward=torch.tensor([[[[0.0], [4.0]]], [[[0.0], [0.0]]]]))
    assert float(total_deviation(bet, torch.tensor([0, -1]))[0]) == pytest.approx(0.0, abs=1e-7)


def test_contraction_rows_and_their_picture(tmp_path):
    rows = rows_of(contraction, "decisions.contraction", ContractionConfig(), tmp_path)
    assert [r["residual_sup"] for r in rows[:6]] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rows[0]["lifetime_factor"] == pytest.approx(5 / 6)
    ratios = [b["residual_best"] / a["residual_best"] for a, b in itertools.pairwise(rows)]
    assert ratios == pytest.approx([math.sqrt(0.5)] * len(ratios), rel=1e-6)
    assert rows[-1]["error_sup"] < 1e-4
    wide = ContractionConfig(model="random", num_states=12, num_sweeps=15)
    more = rows_of(contraction, "decisions.contraction", wide, tmp_path)
    for name, factor in (("residual_lifetime", "lifetime_factor"), ("residual_best", "radius")):
        for a, b in itertools.pairwise(more):
            assert b[name] <= a[name] * a[factor] * (1 + 1e-9)
    assert more[0]["row_sum"] > 1
    text = save_svg(convergence(rows + more, []), tmp_path / "c.svg").read_text()
    assert "by the lifetimes w" in text
    assert "0.7071" in text


def test_random_growth_has_rows_above_one_and_dies_out():
    level = random_growth(10, torch.Generator().manual_seed(3))
    assert float(level.row_sums().max()) > 1
    assert transience(level).holds
    assert not transience(replace(level, scale=level.scale / 0.89)).holds


def test_cycle_rows_and_their_picture(tmp_path):
    rows = rows_of(cycles, "decisions.cycles", CyclesConfig(), tmp_path)
    verdicts = {r["panel"]: r for r in rows if r["kind"] == "verdict"}
    assert [v["holds"] for v in verdicts.values()] == [True, False, True, False]
    assert verdicts["two states"]["number"] == pytest.approx(math.sqrt(0.9))
    assert verdicts["rewards 1, 2, −2"]["number"] == pytest.approx(1 / 3)
    edges = [r for r in rows if r["kind"] == "edge" and r["panel"] == "two states"]
    assert [e["fitted"] for e in edges] == pytest.approx([math.sqrt(0.9)] * 2)
    assert any(
        e["on_witness"]
        for e in rows
        if e.get("panel") == "a circle and a chord" and e["kind"] == "edge"
    )
    whole = rows_of(cycles, "decisions.cycles", CyclesConfig(defect=1.0), tmp_path)
    assert whole[3]["holds"]
    assert whole[3]["number"] == pytest.approx(0.9)
    text = save_svg(gauge_obstruction(rows, []), tmp_path / "g.svg").read_text()
    assert "no discount" in text
    assert "0.333 left" in text


def test_impossible_settings_are_refused(tmp_path):
    for run, id, config in (
        (risk, "decisions.risk", RiskConfig(penalty=0.0)),
        (risk, "decisions.risk", RiskConfig(betas=(float("nan"),))),
        (contraction, "decisions.contraction", ContractionConfig(num_sweeps=0)),
        (cycles, "decisions.cycles", CyclesConfig(defect=0.0)),
    ):
        with pytest.raises(ConfigError, match="must be"):
            next(run(config, RunContext(id, ContractionConfig(), tmp_path)))
