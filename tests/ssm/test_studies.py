"""The studies of learning: their rows, pairing, refusals, hardening and presets."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from coset.core.errors import ConfigError, CosetError
from coset.groups import parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment, points
from coset.ssm.compile import compile_group
from coset.ssm.errors import NotSolvableError
from coset.ssm.experiments.learnability import MODELS, LearnabilityConfig, learnability
from coset.ssm.experiments.near_solution import NearSolutionConfig, near_solution
from coset.ssm.experiments.parity import STACKS, ParityConfig, parity
from coset.ssm.experiments.snapped import hardened_columns, multiplier_rows
from coset.ssm.experiments.typed_stacks import TypedStacksConfig, typed_stacks
from coset.ssm.experiments.word_training import WordTraining
from coset.ssm.harden import harden
from coset.ssm.tracking import can_track

TINY = WordTraining(num_steps=4, steps_per_epoch=2, batch_size=4, last_length=4)
SIZES = {"lengths": (4, 20), "num_words": 4}
SMALL = {
    parity: ParityConfig(training=TINY, d_state=2, hardened_length=50, **SIZES),
    near_solution: NearSolutionConfig(
        near=replace(TINY, first_length=4), scratch=TINY, d_state=2, hardened_length=50, **SIZES
    ),
    typed_stacks: TypedStacksConfig(training=TINY, d_state=2, hardened_length=50, **SIZES),
    learnability: LearnabilityConfig(training=TINY, d_model=4, d_state=2, hidden=4, **SIZES),
}
NAMES = {
    parity: "ssm.parity",
    near_solution: "ssm.near-solution",
    typed_stacks: "ssm.typed-stacks",
    learnability: "ssm.learnability",
}


def rows_of(study, folder, **change):
    config = replace(SMALL[study], **change)
    return list(study(config, RunContext(NAMES[study], config, folder)))


def of_kind(rows, kind, **columns):
    return [r for r in rows if r["kind"] == kind and all(r[c] == v for c, v in columns.items())]


@pytest.mark.experiment
@pytest.mark.parametrize("study", list(SMALL), ids=lambda s: s.__name__)
def test_rows_are_sound_and_repeat(study, tmp_path):
    rows = rows_of(study, tmp_path / "a")
    assert rows == rows_of(study, tmp_path / "b")
    trained = of_kind(rows, "accuracy", stage="trained")
    assert [row["length"] for row in trained] == [4, 20]
    for row in trained:
        assert 0 <= row["last_accuracy"] <= 1
        assert 0 <= row["accuracy"] <= 1
        assert row["trained_length"] == 4
    (outcome,) = of_kind(rows, "outcome")
    assert outcome["reached_length"] in (2, 4)
    other = rows_of(study, tmp_path / "c", seed=1)
    assert of_kind(other, "accuracy") != of_kind(rows, "accuracy")


@pytest.mark.experiment
@pytest.mark.parametrize("study", list(SMALL), ids=lambda s: s.__name__)
def test_lengths_that_measure_nothing_are_refused(study, tmp_path):
    for change in ({"lengths": ()}, {"lengths": (0,)}, {"num_words": 0}):
        with pytest.raises(ConfigError):
            rows_of(study, tmp_path, **change)


@pytest.mark.experiment
@pytest.mark.parametrize("layers", STACKS)
def test_parity_says_what_theory_says_and_reads_every_stack(layers, tmp_path):
    rows = rows_of(parity, tmp_path, layers=layers)
    verdict = bool(set(layers) & {"r", "c"})
    assert {row["is_trackable"] for row in rows} == {verdict}
    (outcome,) = of_kind(rows, "outcome")
    assert outcome["accuracy_20"] == of_kind(rows, "accuracy", length=20)[0]["accuracy"]
    assert len(outcome["stack"].split("+")) == len(layers)
    if not verdict:
        assert not outcome["is_certified"]
    lowest = of_kind(rows, "multiplier", layer=0, stage="trained")
    assert len(lowest) == 2 * 2  # two tokens, two coordinates
    for row in lowest:
        assert row["real"] ** 2 + row["imag"] ** 2 <= 1 + 1e-5
        if layers[0] == "p":
            assert row["real"] >= 0


@pytest.mark.experiment
def test_the_exact_start_is_exact_and_hardens(tmp_path):
    rows = rows_of(near_solution, tmp_path, noise=0.0)
    assert [r["accuracy"] for r in of_kind(rows, "accuracy", stage="start")] == [1.0, 1.0]
    (outcome,) = of_kind(rows, "outcome")
    assert (outcome["is_certified"], outcome["kept"]) == (True, "[2][3]")
    assert outcome["hardened_accuracy"] == 1.0
    stages = {row["stage"] for row in of_kind(rows, "multiplier")}
    assert stages == {"start", "trained", "hardened"}
    hard = of_kind(rows, "multiplier", stage="hardened", layer=1)
    for row in hard:  # cube roots of unity
        assert complex(row["real"], row["imag"]) ** 3 == pytest.approx(1.0)


@pytest.mark.experiment
def test_noise_of_every_size_has_one_direction_and_a_random_start_none(tmp_path):
    def start(noise):
        rows = rows_of(near_solution, tmp_path / str(noise), noise=noise)
        found = of_kind(rows, "multiplier", stage="start", layer=0)
        return torch.tensor([(r["real"], r["imag"]) for r in found], dtype=torch.float64)

    exact, little, more = (start(noise) for noise in (0.0, 1e-4, 2e-4))
    assert (little - exact).abs().max() > 1e-6
    assert torch.allclose(2 * (little - exact), more - exact, atol=2e-6)
    rows = rows_of(near_solution, tmp_path / "none", noise=None)
    assert not of_kind(rows, "accuracy", stage="start")
    assert {row["model"] for row in rows} == {"random start"}


@pytest.mark.experiment
def test_near_solution_refuses_negative_noise_and_groups_without_solution(tmp_path):
    with pytest.raises(ConfigError, match="noise must be ≥ 0"):
        rows_of(near_solution, tmp_path, noise=-0.1)
    with pytest.raises(NotSolvableError):
        rows_of(near_solution, tmp_path, group="A5")


@pytest.mark.experiment
@pytest.mark.parametrize(("layers", "right"), [("rc", True), ("cr", False), ("cc", True)])
@pytest.mark.parametrize("input_term", [False, True])
def test_a_stack_compiles_in_the_right_order_only(layers, right, input_term, tmp_path):
    rows = rows_of(typed_stacks, tmp_path, layers=layers, input_term=input_term)
    compiled = [row["accuracy"] for row in of_kind(rows, "accuracy", stage="compiled")]
    assert compiled == ([1.0, 1.0] if right else [None, None])
    assert {row["is_trackable"] for row in rows} == {right}
    assert {row["model"] for row in rows} == {layers if input_term else f"{layers}, b = 0"}


@pytest.mark.experiment
def test_unknown_layers_are_refused(tmp_path):
    with pytest.raises(CosetError):
        rows_of(typed_stacks, tmp_path, layers="rx")


@pytest.mark.experiment
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_every_model_is_trained_and_judged_by_its_classes(model, num_layers, tmp_path):
    rows = rows_of(learnability, tmp_path, model=model, num_layers=num_layers, group="S3")
    (outcome,) = of_kind(rows, "outcome")
    letters = {"mamba": "p", "negative-mamba": "r", "s4d": "t"}.get(model, "c") * num_layers
    recurrent = model in ("rnn", "gru")
    assert outcome["layers"] == ("" if recurrent else letters)
    verdict = recurrent or can_track(parse_group("S3"), letters).holds
    assert outcome["is_trackable"] == verdict
    assert outcome["num_layers"] == num_layers
    assert outcome["num_parameters"] > 50


@pytest.mark.experiment
def test_the_longest_length_is_unbroken(tmp_path, monkeypatch):
    given = [(4, 0.99), (8, 0.95), (16, 0.9), (32, 0.97)]

    def measured(*arguments, **options):
        return iter([{"length": t, "accuracy": a, "last_accuracy": a} for t, a in given])

    # The package holds the function under the module's name.
    module = sys.modules[learnability.__module__]
    monkeypatch.setattr(module, "accuracy_rows", measured)
    rows = rows_of(learnability, tmp_path, model="rnn")
    # 0.9 itself is not above 90 %, and what comes after a failure does not count.
    assert of_kind(rows, "outcome")[0]["longest_length"] == 8


@pytest.mark.experiment
@pytest.mark.parametrize("field", ["num_layers", "d_model", "d_state", "hidden"])
def test_models_of_no_size_are_refused(field, tmp_path):
    with pytest.raises(ConfigError, match=f"{field} must be ≥ 1"):
        rows_of(learnability, tmp_path, **{field: 0})


def test_columns_of_an_exact_and_of_a_useless_model(tmp_path):
    run = RunContext("ssm.parity", SMALL[parity], tmp_path)
    group = parse_group("S3")
    exact = harden(compile_group("S3").to_module("mlp"), group)
    columns = hardened_columns(exact, group, 300, run)
    assert columns == {
        "is_certified": True,
        "kept": "[2][3]",
        "residual": pytest.approx(0.0, abs=1e-5),
        "hardened_length": 300,
        "hardened_accuracy": 1.0,
    }
    model = compile_group("S3").to_module("mlp")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    useless = harden(model, group)
    columns = hardened_columns(useless, group, 300, run)
    assert (columns["is_certified"], columns["kept"]) == (False, "")
    assert columns["hardened_accuracy"] is None


def test_multipliers_are_those_of_the_model():
    model = compile_group("S3").to_module("mlp")
    rows = list(multiplier_rows(model, "start", harden(model, "S3")))
    lowest = [row for row in rows if (row["layer"], row["stage"]) == (0, "start")]
    a, _ = model.layer_transition(0, [], torch.arange(6))
    found = [complex(row["real"], row["imag"]) for row in lowest]
    assert found == pytest.approx(a[:, 0].tolist())
    upper = [row for row in rows if (row["layer"], row["stage"]) == (1, "start")]
    assert len(upper) == 2 * 6  # the states of the layer below, the tokens
    assert not [row for row in multiplier_rows(model, "start") if row["stage"] == "hardened"]


@pytest.mark.parametrize("study", list(SMALL), ids=lambda s: s.__name__)
def test_presets_are_whole(study):
    item = find_experiment(NAMES[study])
    assert set(item.presets) == {"smoke", "cpu", "paper"}
    for preset in item.presets:
        assert points(item, preset)
    if study is parity:
        assert set(item.presets["cpu"].grid["layers"]) == set(STACKS)
        assert len(item.presets["cpu"].grid["seed"]) >= 3
    if study is near_solution:
        assert len(item.presets["cpu"].grid["seed"]) >= 5
    if study is learnability:
        assert item.presets["paper"].config.training.device == "cuda"
        assert "A5" in item.presets["paper"].grid["group"]
