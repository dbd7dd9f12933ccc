from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest

import coset.lab
from coset.core.errors import ConfigError, UnknownNameError
from coset.lab.experiments import (
    Preset,
    all_experiments,
    experiment,
    find_experiment,
    points,
    reproduce_command,
    run_digest,
)
from lab.toys import DrawConfig, Net, WalkConfig


@pytest.fixture
def draw():
    return find_experiment("toy.draw", "lab.toys")


def test_an_experiment_knows_its_place(draw):
    assert draw.subject == "toy"
    assert draw.module == "lab.toys"
    assert draw.file.endswith("toys.py")
    assert draw.line > 1
    assert draw.config_class is DrawConfig


def test_points_vary_the_last_field_fastest(draw):
    found = points(draw, "smoke")
    assert [(c.method, c.seed) for c in found] == [
        (m, s) for m in ("global", "own") for s in (0, 1, 2)
    ]


def test_an_override_pins_a_field_of_the_grid(draw):
    found = points(draw, "smoke", ["method=own", "net.width=2"])
    assert [(c.method, c.seed, c.net.width) for c in found] == [("own", s, 2) for s in (0, 1, 2)]


def test_grid_and_seeds_replace_axes_and_take_texts(draw):
    found = points(draw, "smoke", ["method=own"], {"net.rate": ("0.1", 0.2)}, seeds=[7])
    assert [(c.seed, c.net.rate) for c in found] == [(7, 0.1), (7, 0.2)]


def test_equal_points_are_run_once(draw):
    assert len(points(draw, "smoke", ["method=own"], seeds=[1, 1])) == 1


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"preset": "smok"}, UnknownNameError, "did you mean smoke"),
        ({"overrides": ["seeed=1"]}, ConfigError, "did you mean seed"),
        ({"overrides": ["seed=1"], "seeds": [1]}, ConfigError, "once"),
        ({"grid": {"seed": (1,)}, "seeds": [1]}, ConfigError, "once"),
        ({"grid": {"seed": ()}}, ConfigError, "sequence"),
        ({"grid": {"seed": "12"}}, ConfigError, "sequence"),
        ({"grid": {"seed": ("x",)}}, ConfigError, "seed must be int"),
    ],
)
def test_wrong_points_are_refused(draw, kwargs, error, message):
    with pytest.raises(error, match=message):
        points(draw, **{"preset": "smoke", **kwargs})


def test_seeds_need_a_field_named_seed():
    with pytest.raises(ConfigError, match="no field 'seed'"):
        points(find_experiment("toy.walk", "lab.toys"), "smoke", seeds=[1])


@pytest.mark.parametrize("preset", ["smoke", "cpu", None])
@pytest.mark.parametrize(
    "overrides",
    [[], ["net.rate=3"], ["net.sizes="], ["net.sizes=4,5", "clip=2"], ["shuffled=true", "seed=9"]],
)
def test_the_command_reproduces_exactly_its_point(draw, preset, overrides):
    for config in points(draw, preset or "smoke", overrides):
        words = shlex.split(reproduce_command(draw, config, preset))
        assert words[:4] == ["coset", "run", "toy.draw", "--preset"]
        assert points(draw, words[4], words[6::2]) == [config]
        assert set(words[5::2]) <= {"--set"}
        for skipped in range(6, len(words), 2):
            fewer = [w for i, w in enumerate(words) if i >= 6 and i % 2 == 0 and i != skipped]
            assert points(draw, words[4], fewer) != [config]


def test_the_command_is_quoted_for_a_shell():
    fault = find_experiment("toy.fault", "lab.toys")
    config = fault.config_class(mode="it's; rm -rf $HOME\n")
    words = shlex.split(reproduce_command(fault, config))
    assert words[-1] == "mode=it's; rm -rf $HOME\n"


def test_the_digest_depends_on_values_not_on_how_they_were_written(draw):
    assert run_digest(draw, DrawConfig(clip=1)) == run_digest(draw, DrawConfig(clip=1.0))  # type: ignore[arg-type]
    assert run_digest(draw, DrawConfig(seed=1)) != run_digest(draw, DrawConfig())
    with pytest.raises(ConfigError, match="must be DrawConfig; given Net"):
        run_digest(draw, Net())


def test_all_experiments_belong_to_subjects():
    assert "toy.draw" not in [e.id for e in all_experiments()]


def test_an_unknown_experiment_names_the_nearest(draw):
    with pytest.raises(UnknownNameError, match=r"did you mean toy\.draw"):
        find_experiment("toy.drew")


@pytest.mark.parametrize(
    ("name", "presets", "message"),
    [
        ("Toy.x", {"smoke": Preset(WalkConfig())}, "must look like"),
        ("toy.x_y", {"smoke": Preset(WalkConfig())}, "must look like"),
        ("toy.x", {}, "at least one preset"),
        ("toy.x", {"smoke": Preset(WalkConfig()), "cpu": Preset(Net())}, "all presets must be"),
        ("toy.x", {"smoke": Preset(WalkConfig(), {"num_steps": ("x",)})}, "num_steps must be int"),
        ("toy.x", {"smoke": Preset(WalkConfig(), {"num_steps": ()})}, "at least one"),
        ("toy.x", {"smoke": Preset(3)}, "frozen dataclass"),
    ],
)
def test_wrong_registrations_are_refused(name, presets, message):
    with pytest.raises(ConfigError, match=message):
        experiment(name, title="x", presets=presets)


def test_an_id_belongs_to_one_module():
    def other(config, run):
        return []

    with pytest.raises(ConfigError, match=r"registered twice: .*toys\.py"):
        experiment("toy.walk", title="x", presets={"smoke": Preset(WalkConfig())})(other)


def test_a_config_must_be_frozen():
    @dataclass
    class Loose:
        x: int = 0

    with pytest.raises(ConfigError, match="frozen"):
        experiment("toy.loose", title="x", presets={"smoke": Preset(Loose())})


def test_public_names_resolve():
    for name in coset.lab.__all__:
        assert getattr(coset.lab, name).__name__ == name
