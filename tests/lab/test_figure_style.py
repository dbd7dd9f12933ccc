from __future__ import annotations

import matplotlib
import pytest
from matplotlib.figure import Figure

from coset.core.errors import StorageError
from coset.lab.figure_style import COLORS, INK, save_svg, style


def _contrast(color, background):
    def luminance(text):
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(color), luminance(background)))
    return (high + 0.05) / (low + 0.05)


def _figure():
    with style():
        figure = Figure()
        axes = figure.subplots()
        for shift in range(3):
            axes.plot([0, 1, 2], [shift, 1, 2 * shift], label=f"series {shift}")
        axes.set_xlabel("step")
        axes.legend()
    return figure


@pytest.mark.parametrize("color", [*COLORS, INK])
def test_every_color_is_seen_on_light_and_on_dark(color):
    assert _contrast(color, "#ffffff") >= 3
    assert _contrast(color, "#121212") >= 3


def test_ink_is_readable_as_text():
    assert _contrast(INK, "#ffffff") >= 4.5
    assert _contrast(INK, "#121212") >= 4


def test_equal_figures_give_equal_bytes_without_a_date(tmp_path):
    first = save_svg(_figure(), tmp_path / "new" / "a.svg").read_bytes()
    second = save_svg(_figure(), tmp_path / "b.svg").read_bytes()
    assert first == second
    assert b"<dc:date>" not in first
    assert b">step</text>" in first


def test_backgrounds_are_transparent_and_series_differ_without_color():
    figure = _figure()
    assert figure.get_facecolor()[3] == 0
    assert figure.axes[0].get_facecolor()[3] == 0
    lines = figure.axes[0].lines
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3


def test_nothing_outside_the_block_changes():
    before = dict(matplotlib.rcParams)
    with style():
        assert matplotlib.rcParams["svg.hashsalt"] == "coset"
    assert dict(matplotlib.rcParams) == before


def test_an_unwritable_place_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        save_svg(_figure(), tmp_path / "file" / "a.svg")
