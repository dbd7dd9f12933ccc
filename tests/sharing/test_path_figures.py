"""The experiments of the whole path, their rows and their pictures."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.lab.figure_style import save_svg
from coset.sharing.experiments.dendrogram import DendrogramConfig, dendrogram, hull_rows
from coset.sharing.experiments.phase import PhaseConfig, phase_diagram, predicted_fractions
from coset.sharing.figures import path as path_figures
from coset.sharing.figures import phase as phase_figures
from coset.sharing.prox import prox_sharing
from coset.sharing.strengths import predicted_largest_fraction

DENSITIES = ("normal", "uniform", "Laplace", "logistic")


def tree(folder, **changes):
    config = replace(DendrogramConfig(), **changes)
    rows = dendrogram(config, RunContext("sharing.dendrogram", config, folder))
    return [{**row, "density": config.density, "seed": config.seed} for row in rows]


def phases(folder, **changes):
    config = replace(PhaseConfig(num_weights=20_000), **changes)
    rows = phase_diagram(config, RunContext("sharing.phase-diagram", config, folder))
    return [{**row, "density": config.density, "seed": config.seed} for row in rows]


@pytest.mark.experiment
@pytest.mark.parametrize("density", ["normal", "uniform", "two levels"])
def test_rows_of_the_dendrogram_are_whole(density, tmp_path):
    rows = tree(tmp_path, density=density)
    kinds = [row["kind"] for row in rows]
    assert (kinds.count("leaf"), kinds.count("join"), kinds.count("hull")) == (60, 59, 15)
    counts = [row for row in rows if row["kind"] == "count"]
    assert (counts[0]["num_unique"], counts[-1]["num_unique"]) == (60, 1)
    law = [row for row in counts if row["predicted_fraction"] is not None]
    gaps = [abs(row["distinct_fraction"] - row["predicted_fraction"]) for row in law]
    assert len(law) > 20
    assert max(gaps) < 0.25  # a sample of sixty


def test_sums_touch_the_minorant_where_clusters_end_and_its_slopes_are_the_prox(generator):
    w = torch.randn(30, generator=generator)
    rows = hull_rows(w, 0.8)
    out, info = prox_sharing(w.double() - w.double().mean(), 0.8, return_info=True)
    corners = [row for row in rows if row["corner"]]
    assert len(corners) == info.num_clusters + 1 < 30
    for row in rows:
        assert row["minorant"] <= row["cumulative"] + 1e-12
    for row in corners:
        assert row["minorant"] == pytest.approx(row["cumulative"], abs=1e-12)
    slopes = [b["minorant"] - a["minorant"] for a, b in itertools.pairwise(rows)]
    assert slopes == pytest.approx(out.sort().values.tolist(), abs=1e-12)


@pytest.mark.experiment
@pytest.mark.parametrize("density", DENSITIES)
def test_the_phase_diagram_follows_the_laws_away_from_the_critical_strength(density, tmp_path):
    rows = phases(tmp_path, density=density)
    assert len(rows) == 61
    critical = rows[0]["critical_strength"]
    for row in rows:
        if abs(row["strength"] / critical - 1) > 0.15:
            for what in ("distinct", "largest"):
                gap = row[f"{what}_fraction"] - row[f"predicted_{what}_fraction"]
                assert abs(gap) < 0.04, row
    shares = [row["largest_fraction"] for row in rows]
    assert shares == sorted(shares)
    assert shares[0] == 1 / 20_000
    assert [row["distinct_fraction"] for row in rows[:1]] == [1.0]


@pytest.mark.oracle
def test_the_laws_of_normal_weights_are_those_of_the_specification():
    """Fractions of distinct values and of the largest cluster, to the digits given there."""
    for g, distinct, largest in ((1.3, 0.2670, 0.3630), (1.5, 0.1730, 0.7196), (2, 0.0513, 0.9399)):
        found = predicted_fractions("normal", g)
        assert found == pytest.approx((distinct, largest), abs=6e-5)
        assert found[1] == pytest.approx(predicted_largest_fraction(g), rel=1e-9)


@pytest.mark.parametrize("density", DENSITIES)
def test_the_laws_meet_at_the_critical_strength_and_stay_in_range(density):
    fractions = [predicted_fractions(density, 0.02 * i) for i in range(200)]
    distinct, largest = zip(*fractions, strict=True)
    assert distinct[0] == 1.0
    assert list(distinct) == sorted(distinct, reverse=True)
    assert list(largest) == sorted(largest)
    assert min(distinct) >= 0
    assert max(largest) <= 1
    steps = [a - b for a, b in itertools.pairwise(distinct)]
    assert max(steps) < 0.03


@pytest.mark.parametrize(
    ("make", "changes", "match"),
    [
        (tree, {"num_weights": 1}, "num_weights"),
        (tree, {"num_ranks": 0}, "num_ranks"),
        (tree, {"hull_strength": -1.0}, "hull_strength"),
        (phases, {"num_weights": 1}, "num_weights"),
        (phases, {"num_strengths": 1}, "num_strengths"),
        (phases, {"last_strength": math.nan}, "last_strength"),
    ],
)
def test_impossible_settings_are_refused(make, changes, match, tmp_path):
    with pytest.raises(ConfigError, match=match):
        make(tmp_path, **changes)


def test_every_picture_renders_and_reads_well(tmp_path):
    trees = tree(tmp_path) + tree(tmp_path, density="uniform")
    diagram = phases(tmp_path, num_weights=500) + phases(tmp_path, num_weights=500, seed=1)
    given = {"sharing.dendrogram": (path_figures, trees)}
    given["sharing.phase-diagram"] = (phase_figures, diagram)
    for name, (module, rows) in given.items():
        for reference in find_experiment(name).figures:
            draw = getattr(module, reference.partition(":")[2])
            figure = draw(rows, [])
            assert isinstance(figure, Figure)
            assert figure.get_figwidth() == 5.0
            first = save_svg(figure, tmp_path / "a.svg").read_bytes()
            assert save_svg(draw(rows, []), tmp_path / "b.svg").read_bytes() == first
            sizes = [float(size) for size in re.findall(rb"font(?:-size)?: ([\d.]+)px", first)]
            assert min(sizes) >= 11
            for axes in figure.axes:
                assert axes.get_title()
                assert axes.get_ylabel()


def test_the_tree_shows_each_merge_once_and_the_first_run_only(tmp_path):
    first = tree(tmp_path)
    figure = path_figures.dendrogram(first + tree(tmp_path, seed=1), [])
    (collection,) = figure.axes[0].collections
    # Two horizontal and two vertical lines a merge.
    assert len(collection.get_segments()) == 4 * 59
    ends = {row["strength"] for row in first if row["kind"] == "join"}
    assert {round(float(s[1, 0]), 12) for s in collection.get_segments()} == {
        round(g, 12) for g in ends
    }
    measured, law = figure.axes[1].lines[:2]
    assert len(measured.get_xdata()) == 200
    assert max(law.get_xdata()) <= next(r["strength"] for r in first if r["kind"] == "critical")


def test_the_phase_diagram_draws_each_seed_and_one_law(tmp_path):
    rows = phases(tmp_path, num_weights=500) + phases(tmp_path, num_weights=500, seed=1)
    for draw, what in (
        (phase_figures.phase_diagram, "largest"),
        (phase_figures.phase_distinct, "distinct"),
    ):
        measured, law, critical = draw(rows, []).axes[0].lines[:3]
        assert measured.get_ydata().tolist() == [row[f"{what}_fraction"] for row in rows]
        expected = [row[f"predicted_{what}_fraction"] for row in rows[:61]]
        assert law.get_ydata().tolist() == expected
        assert critical.get_xdata()[0] == rows[0]["critical_strength"]
