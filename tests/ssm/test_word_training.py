"""Training on words: the curriculum, resuming after a kill, and measuring by length."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError
from coset.groups import cyclic, parse_group
from coset.lab.context import RunContext
from coset.lab.metrics import read_metrics
from coset.ssm.compile import compile_group
from coset.ssm.experiments.word_training import (
    Curriculum,
    WordTraining,
    accuracy_rows,
    check_lengths,
    seeded,
    train_on_words,
    word_loss,
)
from coset.ssm.stack import SSMStack
from coset.train import TrainState

TINY = WordTraining(num_steps=30, steps_per_epoch=5, batch_size=16, last_length=8)


@dataclass(frozen=True)
class Config:
    seed: int = 0


def context(folder, seed=0):
    return RunContext("ssm.test", Config(seed), folder)


def epoch(curriculum, accuracy):
    curriculum.on_epoch(TrainState(metrics={"accuracy": accuracy}))
    return curriculum.length


def test_the_length_doubles_after_enough_good_epochs_in_a_row_and_stays_below_the_last():
    settings = replace(TINY, patience=2, first_length=3, last_length=10)
    curriculum = Curriculum(cyclic(2), settings)
    assert [epoch(curriculum, a) for a in (0.99, 0.9, 0.95, 0.95)] == [3, 3, 3, 6]
    assert [epoch(curriculum, 1.0) for _ in range(4)] == [6, 10, 10, 10]


def test_batches_hold_words_of_the_present_length_with_their_products(generator):
    group = parse_group("S3")
    curriculum = Curriculum(group, TINY)
    for length in (2, 4):
        batches = list(curriculum.batches(generator))
        assert len(batches) == TINY.steps_per_epoch
        for tokens, labels in batches:
            assert tokens.shape == (TINY.batch_size, length)
            now = torch.zeros(TINY.batch_size, dtype=torch.long) + group.identity
            for x, y in zip(tokens.T, labels.T, strict=True):
                now = torch.as_tensor(group.mul.copy()).long()[now, x]
                assert now.equal(y)
        epoch(curriculum, 1.0)


def test_a_curriculum_continues_from_its_state():
    first = Curriculum(cyclic(2), replace(TINY, patience=2))
    epoch(first, 1.0)
    second = Curriculum(cyclic(2), replace(TINY, patience=2))
    second.load_state_dict(first.state_dict())
    assert epoch(second, 1.0) == 4


def test_evaluation_knows_a_right_model_and_a_guessing_one():
    curriculum = Curriculum(cyclic(2), TINY)
    right = lambda tokens: nn.functional.one_hot(tokens.cumsum(-1) % 2, 2).float()  # noqa: E731
    assert curriculum.evaluate(right) == {"accuracy": 1.0, "length": 2.0}
    flipped = curriculum.evaluate(lambda tokens: -right(tokens))
    assert flipped["accuracy"] == 0.0


def test_the_loss_of_uniform_logits_is_the_logarithm_of_the_number_of_labels():
    tokens = torch.zeros(3, 5, dtype=torch.long)
    loss = word_loss(lambda t: torch.zeros(*t.shape, 6), (tokens, tokens))
    assert float(loss) == pytest.approx(torch.tensor(6.0).log().item())


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_killed_run_continues_to_the_same_weights_and_log(tmp_path):
    def build():
        return seeded(lambda: SSMStack(2, 2, "r", d_state=3, gate_width=8, decoder_width=8), 1)

    whole, broken = build(), build()
    # An easy threshold, so that the length has changed before the kill.
    settings = replace(TINY, threshold=0.3)
    reached = train_on_words(whole, cyclic(2), settings, context(tmp_path / "a"), seed=5)
    assert reached == 8
    run = context(tmp_path / "b")

    class Killed(Exception):
        pass

    def kill(done, total, note):
        if done == 4:
            raise Killed

    run.progress = kill
    with pytest.raises(Killed):
        train_on_words(broken, cyclic(2), settings, run, seed=5)
    again = build()
    assert train_on_words(again, cyclic(2), settings, context(tmp_path / "b"), seed=5) == 8
    assert weights(again).equal(weights(whole))
    logs = [read_metrics(tmp_path / name / "metrics.jsonl") for name in "ab"]
    assert logs[0] == logs[1]
    assert len(logs[0]) == settings.num_epochs


@pytest.mark.parametrize("schedule", ["cosine", "constant", "linear"])
def test_every_schedule_trains(schedule, tmp_path):
    model = seeded(lambda: SSMStack(2, 2, "r", d_state=3, gate_width=8, decoder_width=8), 1)
    before = weights(model).clone()
    train_on_words(model, cyclic(2), replace(TINY, schedule=schedule), context(tmp_path), seed=1)
    assert not weights(model).equal(before)


@pytest.mark.parametrize(
    "change",
    [
        *({"num_steps": 0}, {"batch_size": 0}, {"first_length": 0}, {"last_length": 1}),
        *({"patience": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"threshold": 0.0}),
        {"threshold": 1.5},
    ],
)
def test_impossible_settings_are_refused(change, tmp_path):
    with pytest.raises(ConfigError):
        train_on_words(
            nn.Linear(1, 1), cyclic(2), replace(TINY, **change), context(tmp_path), seed=0
        )


def test_lengths_and_words_that_measure_nothing_are_refused():
    check_lengths([1], 1)
    for lengths, num_words in (([], 1), ([0], 1), ([4], 0)):
        with pytest.raises(ConfigError):
            check_lengths(lengths, num_words)


def test_accuracies_of_a_tracker_are_one_and_words_are_shared(tmp_path):
    group = parse_group("S3")
    measured = [
        list(
            accuracy_rows(
                model,
                group,
                (4, 64),
                num_words=8,
                run=context(tmp_path, seed),
                without=["seed"],
            )
        )
        for seed in (0, 1)
        for model in (compile_group("S3"), lambda t: torch.randn(*t.shape, 6))
    ]
    assert [row["accuracy"] for row in measured[0]] == [1.0, 1.0]
    assert [row["last_accuracy"] for row in measured[0]] == [1.0, 1.0]
    assert measured[1][1]["accuracy"] < 0.4
    # The same words for every seed: a fixed wrong model scores alike.
    fixed = lambda tokens: nn.functional.one_hot(tokens, 6).float()  # noqa: E731
    scores = [
        list(
            accuracy_rows(
                fixed, group, (16,), num_words=8, run=context(tmp_path, s), without=["seed"]
            )
        )
        for s in (0, 1)
    ]
    assert scores[0] == scores[1]


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (seeded(lambda: nn.Linear(4, 4), 7).weight for _ in range(2))
    assert first.equal(second)
    assert torch.get_rng_state().equal(before)
