"""The plow, the rounds experiment, and its pictures."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from coset.core.errors import ConfigError, DomainError, DtypeError, UnavailableError
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.lab.figure_style import save_svg
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.sharing.experiments.rounds import METHODS, SECONDS_FILE, RoundsConfig, rounds
from coset.sharing.figures import rounds as figures
from coset.sharing.plow import plow
from coset.sharing.prox import prox_sharing

ID = "sharing.rounds"
TINY = RoundsConfig(sizes=(20, 64), max_quadratic=30)


@pytest.mark.parametrize("d", [4, 6, 50, 200])
@pytest.mark.parametrize("strength", [1e-300, 0.02, 3.0, 1e300])
def test_the_plow_needs_half_as_many_rounds_as_weights_and_one_more(d, strength):
    w = plow(d, strength)
    assert w.shape == (d,)
    assert w.dtype == torch.float64
    _, info = prox_sharing(w, strength, method="imminent", return_info=True)
    assert info.rounds == d // 2 + 1
    assert info.num_clusters == 1
    # The tail by itself touches nothing.
    gaps = w[d // 2 :].diff()
    assert (gaps > 2 * (strength / (d - 1))).all()


def test_the_smallest_plow_has_no_collision():
    assert prox_sharing(plow(2, 1.0), 1.0, method="imminent", return_info=True)[1].rounds == 0
    assert plow(3, 1.0).tolist() == [0.0, *(1.000000001 * k for k in (1, 2))]


@pytest.mark.parametrize(
    ("d", "strength", "error"),
    [
        (1, 1.0, DomainError),
        (4.0, 1.0, DtypeError),
        (True, 1.0, DtypeError),
        (4, 0.0, DomainError),
        (4, -1.0, DomainError),
        (4, math.nan, DomainError),
        (4, math.inf, DomainError),
        (2, 1.7e308, DomainError),
        (4, 1e-310, DomainError),
        (4, 5e-324, DomainError),
        (4, "1", DtypeError),
    ],
)
def test_impossible_plows_are_refused(d, strength, error):
    with pytest.raises(error, match="must be"):
        plow(d, strength)


def rows_of(config, folder):
    return list(rounds(config, RunContext(ID, config, folder)))


@pytest.mark.experiment
def test_rows_hold_the_counts_of_the_methods(tmp_path):
    rows = rows_of(replace(TINY, input="plow"), tmp_path)
    by_place = {(row["method"], row["num_weights"]): row for row in rows}
    assert len(rows) == len(by_place) == 9
    assert ("imminent", 64) not in by_place  # the slow one on this input
    assert by_place["imminent", 20]["rounds"] == 11
    assert {row["num_clusters"] for row in rows} == {1}
    assert all(row["same_clusters"] for row in rows)
    for row in rows:
        w = plow(row["num_weights"], row["strength"])
        _, info = prox_sharing(w, row["strength"], method=row["method"], return_info=True)
        assert (row["rounds"], row["depth"], row["work"]) == (info.rounds, info.depth, info.work)


@pytest.mark.experiment
def test_rows_do_not_depend_on_the_clock_or_on_other_sizes(tmp_path):
    whole = rows_of(TINY, tmp_path / "a")
    assert rows_of(TINY, tmp_path / "b") == whole
    assert len(whole) == 9
    assert not any((row["method"], row["num_weights"]) == ("end", 64) for row in whole)
    part = rows_of(replace(TINY, sizes=(64,)), tmp_path / "c")
    assert part == [row for row in whole if row["num_weights"] == 64]
    seconds = json.loads((tmp_path / "a" / SECONDS_FILE).read_text())
    assert [(s["method"], s["num_weights"]) for s in seconds] == [
        (row["method"], row["num_weights"]) for row in whole
    ]
    assert all(s["seconds"] > 0 for s in seconds)


@pytest.mark.experiment
def test_the_inputs_are_what_their_names_say(tmp_path):
    clusters = {}
    for name in figures._INPUTS:
        config = replace(TINY, input=name, sizes=(1000,), max_quadratic=2)
        first = rows_of(config, tmp_path / name)[0]
        clusters[name] = first["num_clusters"] / 1000
        assert rows_of(replace(config, seed=1), tmp_path / "seed")[0] != first or name == "plow"
    # The law of distinct values: 1 − 2 g ∫ p² below the critical strength.
    assert clusters["normal-0.5"] == pytest.approx(0.718, abs=0.05)
    assert clusters["normal-1.0"] == pytest.approx(0.436, abs=0.07)
    assert clusters["normal-1.5"] < 0.3
    assert 0.4 < clusters["half-zero"] < 0.55
    assert clusters["plow"] == 0.001


@pytest.mark.parametrize("sizes", [(), (1,), (10, 0)])
def test_impossible_sizes_are_refused(sizes, tmp_path):
    with pytest.raises(ConfigError, match="sizes must be"):
        rows_of(replace(TINY, sizes=sizes), tmp_path)


def test_the_presets_cover_the_claims():
    item = find_experiment(ID, "coset.sharing.experiments.rounds")
    assert set(item.presets) == {"smoke", "cpu", "paper"}
    assert item.claims == ("sharing.C13", "sharing.C14", "sharing.C15", "sharing.C18")
    for preset in item.presets.values():
        assert set(preset.grid["input"]) == set(figures._INPUTS)
    assert set(figures._METHODS) == set(METHODS)
    assert figures._SECONDS_FILE == SECONDS_FILE


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return rows and folders of a small sweep over the inputs."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    small = ["sizes=[16, 64, 256]", "max_quadratic=64"]
    records = run_preset(ID, "smoke", small, store=store)
    assert [record.error for record in records] == [None] * 5
    return [dict(row) for record in records for row in record.rows], [r.folder for r in records]


@pytest.mark.experiment
def test_every_picture_renders_and_reads_well(drawn, tmp_path):
    for name in find_experiment(ID).figures:
        draw = getattr(figures, name.partition(":")[2])
        figure = draw(*drawn)
        assert isinstance(figure, Figure)
        assert figure.get_figwidth() == 5.0
        first = save_svg(figure, tmp_path / "first.svg").read_bytes()
        assert save_svg(draw(*drawn), tmp_path / "again.svg").read_bytes() == first
        sizes = [float(size) for size in re.findall(rb"font(?:-size)?: ([\d.]+)px", first)]
        assert min(sizes) >= 11
        assert len(figure.legends) == 1


@pytest.mark.experiment
def test_lines_show_the_rows(drawn):
    rows, _ = drawn
    (axes,) = figures.rounds_by_size(*drawn).axes
    wanted = [
        (row["num_weights"], row["rounds"])
        for row in rows
        if (row["method"], row["input"]) == ("imminent", "plow")
    ]
    plows = next(line for line in axes.lines if line.get_label() == "plow")
    assert [tuple(point) for point in plows.get_xydata()] == wanted == [(16, 9), (64, 33)]
    top = figures.costs_by_size(*drawn).axes[0]
    bridge = next(line for line in top.lines if line.get_label() == "bridge merges")
    assert bridge.get_ydata().tolist() == [
        row["depth"] for row in rows if (row["method"], row["input"]) == ("bridge", "normal-1.5")
    ]


@pytest.mark.experiment
def test_a_line_is_the_median_over_seeds(drawn):
    rows = [{**row, "rounds": 2, "seed": 0} for row in drawn[0]]
    rows += [{**row, "rounds": rounds, "seed": rounds} for row in drawn[0] for rounds in (5, 90)]
    (axes,) = figures.rounds_by_size(rows, []).axes
    assert len(axes.lines) == 5
    assert all(set(line.get_ydata()) == {5} for line in axes.lines)


@pytest.mark.experiment
def test_missing_seconds_say_what_to_do(drawn, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnavailableError, match="run folder"):
        figures.seconds_by_size(drawn[0], [tmp_path / "empty"])
    folder = drawn[1][0]
    whole = (folder / SECONDS_FILE).read_text()
    (folder / SECONDS_FILE).unlink()
    with pytest.raises(UnavailableError, match="run the experiment again"):
        figures.seconds_by_size(drawn[0], [folder])
    (folder / SECONDS_FILE).write_text("{")
    with pytest.raises(UnavailableError, match="not there or damaged"):
        figures.seconds_by_size(drawn[0], [folder])
    (folder / SECONDS_FILE).write_text(whole)
