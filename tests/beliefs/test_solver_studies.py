"""Tests of coset.beliefs.experiments.solvers and its pictures: solvers end where they should."""

from __future__ import annotations

import pytest

from coset.beliefs.experiments.solvers import (
    SOLVERS,
    GammaCurveConfig,
    SolversConfig,
    gamma_curve,
    solvers,
)
from coset.beliefs.figures.solvers import gamma_curve as draw_curve
from coset.beliefs.figures.solvers import gap_vs_time
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    config = SolversConfig(2, gamma=0.01, max_worlds=150, max_iter=60)
    return list(
        solvers(config, RunContext("beliefs.solvers", config, tmp_path_factory.mktemp("r")))
    )


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    config = GammaCurveConfig(5)
    context = RunContext("beliefs.gamma-curve", config, tmp_path_factory.mktemp("r"))
    return list(gamma_curve(config, context))


def test_solvers_with_certificates_agree_and_the_others_stay_above(compared):
    assert {row["solver"] for row in compared} == set(SOLVERS)
    exact = {"mirror, accelerated", "mirror, whole tensors", "interior point", "cone (Clarabel)"}
    for row in compared:
        assert row["gap"] >= 1e-15
        if row["solver"] in exact:
            assert row["gap"] <= 1e-8
            assert row["certified"] <= 1e-8
        if row["certified"] is not None:
            # A bound on the distance from the infimum is one on that from the best value found
            assert row["gap"] <= row["certified"] + 1e-11
    plain = [row["gap"] for row in compared if row["solver"] == "mirror, plain"]
    adam = [row["gap"] for row in compared if row["solver"] == "Adam on logits"]
    assert min(plain) > 1e-8
    assert min(adam) > 1e-8


def test_curves_have_the_worked_values(curves):
    """W2, W3 and C4."""
    found = {(row["graph"], row["gamma"]): row["inconsistency"] for row in curves}
    worked = {
        ("two beliefs about one variable", 0.0): 0.09541140987375518,
        ("two beliefs about one variable", 1.0): 0.7765287894989964,
        ("two beliefs in a cycle", 0.25): -0.036026343040,
        ("two beliefs in a cycle", 1.0): -0.223143551314,
        **{("a Bayesian network", gamma / 4): 0.0 for gamma in range(5)},
    }
    for key, value in worked.items():
        assert found[key] == pytest.approx(value, abs=2e-9)
    for row in curves:
        assert row["incompatibility"] >= -1e-12
        if row["gamma"] == 0:
            assert row["incompatibility"] == pytest.approx(row["inconsistency"], abs=1e-8)


@pytest.mark.parametrize(
    "config", [SolversConfig(0), SolversConfig(max_iter=0), SolversConfig(max_worlds=31)]
)
def test_numbers_that_are_too_small_are_refused(config, tmp_path):
    with pytest.raises(ConfigError):
        next(iter(solvers(config, RunContext("beliefs.solvers", config, tmp_path))))


def test_a_curve_of_one_point_is_refused(tmp_path):
    config = GammaCurveConfig(1)
    with pytest.raises(ConfigError, match="2 points"):
        next(iter(gamma_curve(config, RunContext("beliefs.gamma-curve", config, tmp_path))))


def test_pictures_show_every_solver_and_graph(compared, curves, tmp_path):
    other = [{**row, "gamma": 1.0} for row in compared]
    figure = gap_vs_time([*compared, *other], [])
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == set(SOLVERS)
    points = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    wanted = [
        [[r["seconds"], r["gap"]] for r in compared if r["solver"] == name] for name in SOLVERS
    ]
    assert points == wanted
    picture = draw_curve(curves, [])
    shown = [axes.get_title() for axes in picture.axes if axes.lines]
    assert shown == list(dict.fromkeys(row["graph"] for row in curves))
    ends = picture.axes[1].lines[0].get_xydata()[-1].tolist()
    assert ends == [1.0, pytest.approx(-0.223143551314, abs=1e-9)]
    for number, drawn in enumerate((figure, picture)):
        save_svg(drawn, tmp_path / f"{number}.svg")
        assert (tmp_path / f"{number}.svg").stat().st_size > 1000
