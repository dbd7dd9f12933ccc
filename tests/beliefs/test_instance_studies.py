"""The studies of EM, belief propagation, digits and a ring: rows, claims, pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from coset.beliefs.experiments.adversarial import AdversarialConfig, adversarial_digits
from coset.beliefs.experiments.belief_propagation import (
    BeliefPropagationConfig,
    belief_propagation,
)
from coset.beliefs.experiments.em import EMConfig, em_beside_closed_form
from coset.beliefs.experiments.gan import GANConfig, gan_ring
from coset.beliefs.figures.instances import (
    adversarial_bars,
    bp_residuals,
    em_staircase,
    gan_ring_samples,
)
from coset.core.claims import find_claim
from coset.core.errors import ConfigError
from coset.core.judging import judge
from coset.lab.context import RunContext


def rows_of(run, id, config, folder):
    return list(run(config, RunContext(id, config, folder)))


def judged(id, rows):
    verdict = judge(find_claim(id), rows=rows)
    assert verdict.as_expected, (verdict.problem, verdict.result, verdict.mutants)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in (axes.title, *axes.texts)]


def test_em_falls_with_each_focus(tmp_path):
    config = EMConfig(num_iterations=4)
    rows = rows_of(em_beside_closed_form, "beliefs.em", config, tmp_path)
    assert [row["focus"] for row in rows] == ["E", "M"] * 4
    values = [row["inconsistency"] for row in rows]
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(values))
    assert max(row["difference"] for row in rows if row["focus"] == "M") <= 1e-12
    (title,) = (t for t in texts(em_staircase(rows, [])) if t)
    assert title.startswith("latent-class")
    with pytest.raises(ConfigError, match="counts"):
        rows_of(em_beside_closed_form, "beliefs.em", EMConfig(num_iterations=0), tmp_path)


def test_mixtures_agree_and_the_claim_judges_them(tmp_path):
    config = EMConfig(model="mixture", num_classes=2, num_iterations=2)
    rows = rows_of(em_beside_closed_form, "beliefs.em", config, tmp_path)
    judged("beliefs.C15c", rows)
    assert isinstance(em_staircase(rows, []), Figure)


def test_messages_settle_on_a_grid_and_are_exact_on_trees(tmp_path):
    small = BeliefPropagationConfig(num_graphs=2, max_variables=5, side=2, num_sweeps=3)
    rows = []
    for graph in ("trees", "grid"):
        config = replace(small, graph=graph)
        rows += rows_of(belief_propagation, "beliefs.belief-propagation", config, tmp_path)
    trees, grid = rows[:2], rows[2:]
    assert [row["num_variables"] for row in trees] == [4, 5]
    assert all(row["error"] <= 1e-8 and row["residual"] is None for row in trees)
    assert all(row["difference"] <= 1e-8 for row in rows)
    assert grid[-1]["error"] > 1e-6  # cycles: not exact
    figure = bp_residuals(rows, [])
    assert figure.axes[0].get_title().startswith("2 trees")
    config = replace(small, side=9)
    with pytest.raises(ConfigError, match="sides"):
        rows_of(belief_propagation, "beliefs.belief-propagation", config, tmp_path)


def test_both_trainings_of_digits_are_paired(tmp_path):
    small = AdversarialConfig(
        num_train=320, num_epochs=8, batch_size=32, attack_steps=1, patch_rate=0.7
    )
    rows = []
    for training in ("plain", "adversarial"):
        config = replace(small, training=training)
        rows += rows_of(adversarial_digits, "beliefs.adversarial", config, tmp_path)
    plain, adversarial = (row for row in rows if row["kind"] == "outcome")
    assert (plain["training"], adversarial["training"]) == ("plain", "adversarial")
    assert plain["robust_accuracy"] < plain["clean_accuracy"] > 0.5
    assert adversarial["robust_accuracy"] > plain["robust_accuracy"]
    digits = [row for row in rows if row["kind"] == "digit"]
    assert [row["label"] for row in digits] == [*range(10), *range(10)]
    same = [row["pixels"] for row in digits]
    assert same[:10] == same[10:]  # paired: one split for both
    figure = adversarial_bars(rows, [])
    assert sum(t in "0123456789" for t in texts(figure) if t) == 18
    with pytest.raises(ConfigError, match="batch_size"):
        rows_of(adversarial_digits, "beliefs.adversarial", replace(small, batch_size=0), tmp_path)


def test_a_ring_says_what_was_found(tmp_path):
    config = GANConfig(num_rounds=5, hidden=8, batch_size=16)
    rows = rows_of(gan_ring, "beliefs.gan", config, tmp_path)
    outcome, *samples = rows
    assert 0 <= outcome["modes_found"] <= outcome["num_modes"] == 8
    assert len(samples) == 400
    assert outcome["value"] < 0
    assert rows == rows_of(gan_ring, "beliefs.gan", config, tmp_path)
    figure = gan_ring_samples(rows, [])
    assert "of 8 modes" in figure.axes[0].get_title()
    with pytest.raises(ConfigError, match="counts"):
        rows_of(gan_ring, "beliefs.gan", replace(config, hidden=0), tmp_path)
