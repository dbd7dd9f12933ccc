"""The history keeps rows across a resume; the plain callback does nothing."""

from __future__ import annotations

from pathlib import Path

from coset.train import Callback, History, TrainState


def test_history_keeps_a_row_an_epoch_and_comes_back():
    history = History()
    assert history.on_epoch(TrainState(epoch=1, step=4, metrics={"train_loss": 0.5})) is None
    history.on_epoch(TrainState(epoch=2, step=8, metrics={"train_loss": 0.25}))
    assert history.rows[1] == {"epoch": 2, "step": 8, "train_loss": 0.25}
    other = History()
    other.load_state_dict(history.state_dict())
    assert other.rows == history.rows
    other.rows[0]["step"] = 0
    assert history.rows[0]["step"] == 4


def test_plain_callback_watches_everything_and_stops_nothing():
    callback, state = Callback(), TrainState()
    assert callback.on_start(state) is None
    assert callback.on_step(state) is None
    assert callback.on_epoch(state) is None
    assert callback.on_checkpoint(state, Path("x")) is None
