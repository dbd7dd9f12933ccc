"""The pictures of the studies: they show the rows, label every axis, and can be read on a phone."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure

from coset.core.errors import UnavailableError
from coset.lab.figure_style import save_svg
from coset.ssm.figures.learnability import learnability_gap
from coset.ssm.figures.lengths import accuracy_by_length, near_solution_lengths
from coset.ssm.figures.unit_disc import unit_disc

LENGTHS = (16, 64, 256)


def made_rows():
    """Return rows of a study: a stack that can, one that cannot; two seeds, one certified."""
    rows = []
    for name, trackable, level in (("c", True, 0.9), ("t", False, 0.5)):
        for seed in (0, 1):
            own = {
                "model": name,
                "group": "Z2",
                "seed": seed,
                "noise": 0.1,
                "is_trackable": trackable,
                "trained_length": 32,
                "chance": 0.5,
            }
            for stage, lift in (("start", 0.05), ("trained", 0.0)):
                rows += [
                    {
                        "kind": "accuracy",
                        **own,
                        "stage": stage,
                        "length": t,
                        "accuracy": level - 0.1 * seed + lift,
                    }
                    for t in LENGTHS
                ]
            certified = trackable and seed == 0
            rows.append(
                {
                    "kind": "outcome",
                    **own,
                    "stage": "trained",
                    "is_certified": certified,
                    "hardened_length": 10_000,
                    "hardened_accuracy": 1.0 if certified else None,
                }
            )
            for stage, shift in (("trained", 0.1), ("hardened", 0.0)):
                rows += [
                    {
                        "kind": "multiplier",
                        **own,
                        "stage": stage,
                        "layer": 0,
                        "coordinate": 0,
                        "cell": 0,
                        "token": token,
                        "real": 1.0 - 2 * token,
                        "imag": shift + seed,
                    }
                    for token in (0, 1)
                ]
    return rows


def gap_rows():
    return [
        {
            "kind": "outcome",
            "group": group,
            "model": model,
            "num_layers": depth,
            "seed": seed,
            "is_trackable": model != "mamba",
            "longest_length": 64 * seed * (model == "aussm"),
        }
        for group in ("Z2", "A4")
        for model in ("mamba", "aussm")
        for depth in (1, 2)
        for seed in (0, 1)
    ]


FIGURES = [
    (accuracy_by_length, made_rows),
    (near_solution_lengths, made_rows),
    (unit_disc, made_rows),
    (learnability_gap, gap_rows),
]


@pytest.mark.parametrize(("draw", "make"), FIGURES, ids=lambda f: f.__name__)
def test_pictures_render_with_equal_bytes_and_readable_text(draw, make, tmp_path):
    figure = draw(make(), [])
    assert isinstance(figure, Figure)
    first = save_svg(figure, tmp_path / "a.svg").read_bytes()
    assert save_svg(draw(make(), []), tmp_path / "b.svg").read_bytes() == first
    sizes = [float(size) for size in re.findall(rb"font(?:-size)?: ([\d.]+)px", first)]
    assert min(sizes) >= 11
    assert figure.get_figwidth() == 5.0


def data_lines(axes, name):
    return [line for line in axes.lines if line.get_label() == name]


def test_what_theory_allows_stands_above_what_it_forbids():
    figure = accuracy_by_length(made_rows(), [])
    upper, lower = figure.axes
    assert upper.get_title() == "theory: some weights track it"
    assert lower.get_title() == "theory: no weights track it"
    assert upper.get_facecolor() != lower.get_facecolor()
    (line,) = data_lines(upper, "c")
    assert line.get_xdata().tolist() == list(LENGTHS)
    assert line.get_ydata() == pytest.approx([0.85] * 3)  # the median of two seeds
    assert not data_lines(upper, "t")
    (other,) = data_lines(lower, "t")
    assert other.get_ydata() == pytest.approx([0.45] * 3)
    for axes in figure.axes:
        marks = {line.get_linestyle() for line in axes.lines}
        assert {"--", ":"} <= marks  # the training length and chance
        assert axes.get_ylabel() == "accuracy"


def test_a_star_says_how_many_seeds_are_certified():
    upper, lower = accuracy_by_length(made_rows(), []).axes
    assert [text.get_text() for text in upper.texts] == ["1/2"]
    assert not lower.texts
    stars = [line for line in upper.lines if line.get_marker() == "*"]
    assert [(s.get_xdata()[0], s.get_ydata()[0]) for s in stars] == [(10_000, 1.0)]


def test_one_verdict_needs_one_panel_and_missing_accuracies_no_line():
    only = [row for row in made_rows() if row["is_trackable"]]
    assert len(accuracy_by_length(only, []).axes) == 1
    none = [{**r, "accuracy": None} if r["kind"] == "accuracy" else r for r in only]
    (axes,) = accuracy_by_length(none, []).axes
    assert not data_lines(axes, "c")


def test_before_and_after_training():
    before, after = near_solution_lengths(made_rows(), []).axes
    assert (before.get_title(), after.get_title()) == ("before training", "after training")
    (first,), (second,) = (data_lines(axes, "c") for axes in (before, after))
    assert first.get_ydata() == pytest.approx(second.get_ydata() + 0.05)


def test_the_disc_shows_the_first_seed_of_the_certified_model():
    figure = unit_disc(made_rows(), [])
    trained, hardened = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["trained", "hardened"]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in trained.lines]
    assert points == [(1.0, 0.1), (-1.0, 0.1)]
    assert [line.get_ydata()[0] for line in hardened.lines] == [0.0, 0.0]
    assert trained.get_ylabel() == "layer 1"
    assert "Z2, c" in figure.get_suptitle()


def test_a_disc_without_certified_model_says_what_to_do():
    rows = [{**r, "is_certified": False} if r["kind"] == "outcome" else r for r in made_rows()]
    with pytest.raises(UnavailableError, match="train longer"):
        unit_disc(rows, [])


def test_the_gap_shows_ours_over_the_published_and_the_verdict():
    figure = learnability_gap(gap_rows(), [])
    first, second = figure.axes
    assert (first.get_title(), second.get_title()) == (
        "1 layer: ours over published",
        "2 layers: ours over published",
    )
    # By row: Z2 Mamba none over ✘, Z2 AUSSM 64 over 1,000; A4 none over ✘, 64 over ✘.
    texts = [text.get_text() for text in first.texts]
    assert texts == ["–", "✘", "64", "1,000", "–", "✘", "64", "✘"]
    # Of two layers only AUSSM's are published: 200 for Z2, ✘ for A4.
    assert [text.get_text() for text in second.texts] == ["–", "64", "200", "–", "64", "✘"]
    colors = {patch.get_facecolor() for patch in first.patches}
    assert len(colors) == 2
