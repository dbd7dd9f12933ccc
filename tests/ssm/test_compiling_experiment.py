"""The experiment of compiled groups: rows, claim, pictures."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import coset.ssm.claims.compiling  # noqa: F401
from coset.core.claims import find_claim
from coset.core.errors import ConfigError, UnavailableError
from coset.core.files import read_json
from coset.core.judging import judge
from coset.groups import parse_group
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg
from coset.ssm.experiments.compiling import CLOCK_FILE, MODES, CompilingConfig, compiling
from coset.ssm.figures.series import animate_clock, increment_maps, phase_clock, series_diagram

SMALL = CompilingConfig(groups=("Z6", "S3", "A5", "S4"), length=200, num_words=2)


def rows_of(folder, **change):
    config = replace(SMALL, **change)
    return list(compiling(config, RunContext("ssm.compile", config, folder)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return rows_of(folder), folder


def test_every_mode_of_every_group_is_exact(made):
    rows, _ = made
    assert len(rows) == 3 * len(MODES) + 1
    for row in rows:
        if row["mode"] != "refused":
            assert row["accuracy"] == 1.0
            assert row["first_error"] == -1
            assert row["certified"]
    by_group = {row["group"]: row for row in rows}
    assert by_group["S4"]["moduli"] == "2|3|2,2"
    assert by_group["S4"]["series"] == "24,12,4,1"
    assert by_group["S4"]["pairs"] == 576
    assert by_group["S4"]["num_parameters"] == 6624  # the last mode is "mlp"
    assert by_group["A5"]["residual_order"] == 60
    assert {frozenset(row) for row in rows} == {frozenset(rows[0])}


def test_rows_depend_on_the_configuration_only(made, tmp_path):
    assert rows_of(tmp_path) == made[0]
    few = rows_of(tmp_path, alphabet="generators", groups=("S3",))
    assert few[0]["num_tokens"] == 2
    assert few[0]["pairs"] == 12


def test_an_error_is_seen_and_placed(tmp_path, monkeypatch):
    from coset.ssm.phasor_modules import ComplexTracker

    right = ComplexTracker.track

    def wrong(self, tokens):
        found = right(self, tokens).clone()
        if self.letters and type(self) is ComplexTracker:
            found[1, 150] = (found[1, 150] + 1) % self.num_labels
        return found

    monkeypatch.setattr(ComplexTracker, "track", wrong)
    rows = rows_of(tmp_path, groups=("S3",))
    by_mode = {row["mode"]: row for row in rows}
    assert by_mode["complex"]["first_error"] == 150
    assert by_mode["complex"]["accuracy"] == pytest.approx(399 / 400)
    assert by_mode["int"]["accuracy"] == 1.0


def test_the_claim_judges_the_rows(made):
    judged = judge(find_claim("ssm.C2c"), rows=made[0])
    assert judged.as_expected, judged
    bad = [dict(row) for row in made[0]]
    bad[0]["certified"] = False
    assert judge(find_claim("ssm.C2c"), rows=bad).seen == "refuted"


def test_the_clock_holds_a_word_and_its_phases(made):
    clock = read_json(made[1] / CLOCK_FILE)
    group = parse_group("S4")
    product = group.prefix_products(torch.tensor(clock["word"]))
    assert clock["elements"] == product.tolist()
    assert len(clock["phases"]) == len(clock["word"]) == 12
    assert len(clock["phases"][0]) == 4
    assert clock["moduli"] == [[2], [3], [2, 2]]


@pytest.mark.parametrize("draw", [series_diagram, phase_clock, increment_maps])
def test_pictures(made, tmp_path, draw):
    figure = draw(made[0], [made[1]])
    assert isinstance(figure, Figure)
    path = tmp_path / "figure.svg"
    save_svg(figure, path)
    text = path.read_text(encoding="utf-8")
    assert "S4" in text
    again = tmp_path / "again.svg"
    save_svg(draw(made[0], [made[1]]), again)
    assert _unnamed(again.read_text(encoding="utf-8")) == _unnamed(text)


def _unnamed(svg):
    """Return the picture without names of clip paths: these hash all digits of a layout, of which
    the last depend on where Python put the objects."""
    return re.sub(r"\bp[0-9a-f]{10}\b", "clip", svg)


def test_what_the_pictures_say(made):
    texts = [t.get_text() for t in series_diagram(made[0], []).axes[0].texts]
    assert "Z2×Z2" in texts
    assert "perfect: refused at every depth" in texts
    maps = increment_maps([], [made[1]])
    images = [axes.images[0].get_array().shape for axes in maps.axes if axes.images]
    assert images[:2] == [(1, 24), (2, 24)]
    frames = phase_clock([], [made[1]]).axes
    assert frames[0].get_title(loc="left") == "start: e"
    assert len(frames) == 5


def test_the_animation_has_a_frame_a_token_and_one_before(made, tmp_path):
    animation = animate_clock(made[1])
    path = tmp_path / "clock.gif"
    animation.save(path, writer="pillow", dpi=40)
    with Image.open(path) as image:
        assert image.n_frames == 13


def test_pictures_without_a_run_say_what_to_do(made, tmp_path):
    for draw in (phase_clock, increment_maps):
        with pytest.raises(UnavailableError, match="run folder"):
            draw(made[0], [])
        with pytest.raises(UnavailableError, match="--fresh"):
            draw(made[0], [tmp_path])


@pytest.mark.parametrize(
    "change", [{"length": 0}, {"num_words": 0}, {"groups": ()}, {"shown": "A5"}, {"shown": "Z1"}]
)
def test_impossible_settings_are_refused(change, tmp_path):
    with pytest.raises(ConfigError):
        rows_of(tmp_path, **change)
