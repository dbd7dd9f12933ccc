"""The study of planted conflicts, and the picture of blame."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.blame import blame
from coset.beliefs.experiments.blame import PlantedConflictConfig, lawn, planted_conflict
from coset.beliefs.figures.blame import blame_hypergraph, hypergraph_of
from coset.beliefs.pdg.graph import PDG
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg


def rows_of(folder, **settings):
    config = PlantedConflictConfig(**settings)
    return list(planted_conflict(config, RunContext("beliefs.planted-conflict", config, folder)))


def drawn(figure, path) -> str:
    return save_svg(figure, path).read_text(encoding="utf-8")


def test_the_neighbor_is_to_blame_for_the_lawn():
    found = blame(lawn())
    assert found.arcs[0].arc == "neighbor"
    assert found.value == pytest.approx(sum(a.conflict for a in found.arcs))


def test_rows_tell_the_rank_of_the_planted_belief(tmp_path):
    rows = [row for row in rows_of(tmp_path, num_cases=12, num_arcs=12) if row["kind"] == "planted"]
    assert len(rows) == 12
    for row in rows:
        assert 1 <= row["rank"] <= 12
        assert 0 <= row["share"] <= 1 + 1e-12
        assert row["inconsistency"] >= -1e-9
    # One wrong belief among eleven that agree is found much more often than one in twelve.
    assert sum(row["rank"] == 1 for row in rows) >= 6


def test_rows_depend_on_the_seed_alone(tmp_path):
    assert rows_of(tmp_path, num_cases=2) == rows_of(tmp_path, num_cases=2)
    assert rows_of(tmp_path, num_cases=2) != rows_of(tmp_path, num_cases=2, seed=1)
    assert {row["kind"] for row in rows_of(tmp_path, num_cases=0)} == {"arc"}


@pytest.mark.parametrize("wrong", [{"num_cases": -1}, {"num_variables": 2}, {"num_arcs": 1}])
def test_wrong_settings_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="num_arcs ≥ 2"):
        rows_of(tmp_path, **wrong)


def test_the_picture_names_beliefs_variables_and_amounts(tmp_path):
    rows = rows_of(tmp_path, num_cases=1)
    text = drawn(blame_hypergraph(rows, []), tmp_path / "a.svg")
    assert text == drawn(blame_hypergraph(rows, []), tmp_path / "b.svg")
    for word in ("neighbor", "0.364", "certain", "sprinkler", "Conflict of beliefs: 0.983 nats"):
        assert word in text
    assert text == drawn(hypergraph_of(lawn(), blame(lawn())), tmp_path / "c.svg")


def test_contradictions_are_drawn_as_infinite(tmp_path):
    pdg = lawn().condition({"shoes": "wet"})
    text = drawn(hypergraph_of(pdg, blame(pdg)), tmp_path / "a.svg")
    assert "Conflict of beliefs: ∞ nats" in text
    assert "shoes=wet" in text


def test_many_beliefs_are_cut_and_none_is_said(tmp_path):
    pdg = PDG({f"X{i}": 2 for i in range(4)})
    for i in range(30):
        p = 0.1 + 0.02 * i
        pdg.add(f"p{i}", f"X{i % 4}", cpd=torch.tensor([p, 1 - p], dtype=torch.float64))
    found = blame(pdg)
    text = drawn(hypergraph_of(pdg, found), tmp_path / "a.svg")
    assert "the worst 24 of 30" in text
    assert f">{found.arcs[0].arc}<" in text
    assert "no beliefs to show" in drawn(hypergraph_of(PDG(), blame(PDG())), tmp_path / "b.svg")


def test_agreement_and_long_names_can_be_drawn(tmp_path):
    name = "a variable with a very long name"
    pdg = PDG({name: 2})
    pdg.add("p", name, cpd=torch.tensor([0.5, 0.5], dtype=torch.float64), beta=math.inf)
    text = drawn(hypergraph_of(pdg, blame(pdg)), tmp_path / "a.svg")
    assert "a variable wi…" in text
