"""Settings that cannot work are refused before anything runs."""

from __future__ import annotations

import dataclasses

import pytest

from coset.core.errors import ConfigError
from coset.train import TrainConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_epochs", -1),
        ("num_epochs", 1.5),
        ("batch_size", 0),
        ("batch_size", True),
        ("batch_size", "8"),
        ("device", None),
        ("precision", "float8"),
        ("clip_norm", 0.0),
        ("clip_norm", float("nan")),
        ("clip_norm", float("inf")),
        ("clip_norm", "1"),
        ("drop_last", 1),
        ("seed", 0.5),
        ("checkpoint_every", -1),
        ("num_checkpoint_steps", -1),
        ("scheduler_every", "batch"),
        ("unused_parameters", None),
    ],
)
def test_impossible_value_names_field_and_value(name, value):
    with pytest.raises(ConfigError, match=name) as caught:
        TrainConfig(**{"num_epochs": 1, "batch_size": 1} | {name: value})
    assert repr(value) in str(caught.value)


def test_config_is_frozen_and_plain():
    config = TrainConfig(num_epochs=0, batch_size=1, clip_norm=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
    assert all(
        value is None or isinstance(value, (bool, int, float, str))
        for value in dataclasses.asdict(config).values()
    )
