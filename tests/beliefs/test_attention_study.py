"""The study of attention: the paper's recipe on the repository's tables, rows, pictures, claim."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from coset.beliefs.claims.resolution import worked_graph
from coset.beliefs.experiments.attention_study import (
    STRUCTURES,
    AttentionStudyConfig,
    attention_study,
    random_graphs,
)
from coset.beliefs.experiments.unconverged import AdamRecipe
from coset.beliefs.figures.attention_study import resolution_heatmap, resolution_scatter
from coset.beliefs.figures.trace import parameter_paths, resolution_trace
from coset.beliefs.pdg.graph import PDG
from coset.core.claims import find_claim
from coset.core.errors import ConfigError
from coset.core.judging import judge
from coset.lab.context import RunContext

# Tables of the first replicate with seven variables, as the authors' repository stores them.
SEVEN = {
    "AB": [
        [0.5397682487575778, 0.26499361201930655, 0.19523813922311584],
        [0.3932643595498348, 0.22014687247503392, 0.3865887679751313],
    ],
    "BC": [
        [0.4893224121358579, 0.20139100228441553, 0.30928658557972655],
        [0.3710441118300279, 0.24916405394272073, 0.3797918342272512],
        [0.34373022220682264, 0.3106693737830216, 0.34560040401015585],
    ],
    "CD": [
        [0.23633063489680856, 0.4001607373502021, 0.36350862775298937],
        [0.5814482512141483, 0.1918429109757359, 0.22670883781011575],
        [0.264138272664613, 0.04853878516650802, 0.687322942168879],
    ],
    "EA": [
        [0.6047214941607912, 0.39527850583920876],
        [0.8423222261655576, 0.15767777383444237],
    ],
    "GD": [
        [0.21064163936770222, 0.0032824219012104815, 0.7860759387310873],
        [0.24258325587279123, 0.6007662054798223, 0.1566505386473865],
    ],
    "EC": [
        [0.42646785221526046, 0.11322158179239185, 0.46031056599234765],
        [0.17995875274253825, 0.3844949265883884, 0.4355463206690733],
    ],
}


def seven_variables() -> PDG:
    cards = STRUCTURES["7v"][1]
    pdg = PDG({chr(ord("A") + i): card for i, card in enumerate(cards)})
    for name, table in SEVEN.items():
        pdg.add(name, name[1], name[0], cpd=torch.tensor([table], dtype=torch.float64))
    return pdg


def test_the_recipe_gives_the_stored_numbers_of_the_authors() -> None:
    recipe = AdamRecipe(seven_variables())
    start, all_arcs = recipe.log_probabilities().exp(), torch.ones(1, 6, dtype=torch.float64)
    first = recipe.report(recipe.uniform(), all_arcs)
    assert recipe.score(first, all_arcs).item() == pytest.approx(0.04240153729915619, rel=1e-7)
    joint, moved = first, []
    for _ in range(20):
        joint = recipe.refocus(joint, all_arcs, all_arcs)
        moved.append(float((recipe.log_probabilities().exp() - start).abs().sum() / 2))
    stored = [0.28896868406535015, 0.5650955760686474, 0.7677101238808586]
    assert moved[:3] == pytest.approx(stored, rel=1e-7)
    assert moved[-1] == pytest.approx(1.7538988890396645, rel=1e-4)
    last = recipe.report(joint, all_arcs)
    assert recipe.score(last, all_arcs).item() == pytest.approx(0.009936311282217503, rel=1e-4)
    distortion = float((first - last).abs().sum() / 2)
    assert distortion == pytest.approx(0.4742528136763614, rel=1e-4)


def test_the_recipe_starts_where_the_stored_worked_graph_does() -> None:
    plain = worked_graph()
    pdg = PDG({"A": 2, "B": 2, "C": 2, "D": 3})
    for arc in plain.arcs.values():
        table = arc.probabilities().detach()[None]
        pdg.add(arc.name, arc.targets, arc.sources, cpd=table)
    recipe = AdamRecipe(pdg)
    all_arcs = torch.ones(1, 3, dtype=torch.float64)
    start = recipe.log_probabilities().exp()
    joint = recipe.report(recipe.uniform(), all_arcs)
    assert recipe.score(joint, all_arcs).item() == pytest.approx(0.06644455343484879, rel=1e-6)
    recipe.refocus(joint, all_arcs, all_arcs)
    moved = float((recipe.log_probabilities().exp() - start).abs().sum() / 2)
    assert moved == pytest.approx(0.10105472961340471, rel=1e-6)


def test_arcs_that_are_not_controlled_stay() -> None:
    recipe = AdamRecipe(seven_variables())
    start = recipe.log_probabilities().exp()
    beta = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]], dtype=torch.float64)
    recipe.refocus(recipe.uniform(), beta, beta)
    change = (recipe.log_probabilities().exp() - start).abs()[0]
    moved = [float(change[recipe.arc == i].max()) > 0 for i in range(6)]
    assert moved == [True, False, False, True, False, True]


def test_random_graphs_are_distributions_of_the_right_shape() -> None:
    for name, (arcs, _) in STRUCTURES.items():
        pdg = random_graphs(name, 5, torch.Generator().manual_seed(0))
        assert list(pdg.arcs) == arcs.split()
        assert tuple(pdg.batch_shape()) == (5,)
        assert all(arc.parameters and arc.alpha == 0 for arc in pdg.arcs.values())


def run(config: AttentionStudyConfig, folder: Path) -> list[dict[str, Any]]:
    return list(attention_study(config, RunContext("beliefs.attention-study", config, folder)))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    found = []
    for structure in ("4v", "5v"):
        for focus in ("uniform", "partial", "hub"):
            config = AttentionStudyConfig(structure, focus, num_replicates=3, num_steps=3)  # type: ignore[arg-type]
            found += run(config, tmp_path_factory.mktemp("run"))
    return found


def test_rows(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    table = [row for row in rows if row["kind"] == "replicate"]
    assert len(table) == 2 * 3 * 2 * 3
    for row in table:
        assert row["initial_bits"] >= row["true_initial_bits"] - 1e-7
        assert row["final_bits"] >= row["true_final_bits"] - 1e-7
        assert 0 <= row["distortion"] <= 1
        assert row["gap_bits"] <= 2e-8
    pairs: dict[tuple[object, ...], set[float]] = {}
    for row in table:
        key = (row["structure"], row["replicate"])
        pairs.setdefault(key, set()).add(round(row["true_initial_bits"], 6))
    assert all(len(values) == 1 for values in pairs.values())
    assert not any(isinstance(v, float) and math.isnan(v) for row in rows for v in row.values())
    config = AttentionStudyConfig("4v", "hub", num_replicates=3, num_steps=3)
    again = run(config, tmp_path)
    assert again == [r for r in rows if (r["structure"], r["focus"]) == ("4v", "hub")]


def test_pictures_without_rows() -> None:
    for draw in (resolution_heatmap, resolution_scatter, resolution_trace, parameter_paths):
        assert not any(axes.images for axes in draw([], []).axes)


def test_wrong_settings(tmp_path: Path) -> None:
    for config in (
        AttentionStudyConfig(num_replicates=0),
        AttentionStudyConfig(num_steps=0),
        AttentionStudyConfig(rate=0.0),
        AttentionStudyConfig(tol=-1.0),
    ):
        with pytest.raises(ConfigError, match="positive"):
            run(config, tmp_path)


def test_the_claim_and_its_mutants(rows: list[dict[str, Any]]) -> None:
    judged = judge(find_claim("beliefs.C22d"), rows=rows)
    assert judged.as_expected, judged


def test_pictures(rows: list[dict[str, Any]]) -> None:
    assert len(resolution_trace(rows, []).axes) == 3
    assert len([a for a in parameter_paths(rows, []).axes if a.get_visible()]) == 2
    cells = [text.get_text() for text in resolution_heatmap(rows, []).axes[0].texts]
    assert len(cells) == 6
    assert "0.0 %" in cells
    upper, lower = resolution_scatter(rows, []).axes
    assert len(upper.lines) == len(lower.lines) == 6
