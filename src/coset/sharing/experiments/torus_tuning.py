"""Which settings each method of `sharing.torus-digits` gets: chosen on validation images only.

The plain dense net gets learning rate and momentum first; every other method starts from its best
and tunes its own settings, with the same number of trials. Test images are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from coset.core.errors import ConfigError, FileFormatError
from coset.core.files import read_json, write_json
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.experiments.torus_training import (
    METHODS,
    Method,
    TorusSettings,
    accuracy,
    read_torus,
    train_torus,
    usual_size,
)
from coset.sharing.experiments.weights import weight_statistics
from coset.train import Callback, TrainState

__all__ = ["NUM_TRIALS", "TuningConfig", "best_trials", "torus_tuning", "trials"]

NUM_TRIALS = 8
_TRIALS_FILE = "trials.json"
# What a choice may cost in validation accuracy where fewer values are the aim.
_ALLOWED_LOSS = 0.01

Row = dict[str, Any]


@dataclass(frozen=True)
class TuningConfig:
    """One run of `sharing.torus-tuning`: all methods at one size.

    Attributes:
        side: pixels a side after pooling, 7 or 14.
        seed: of every trial.
        dataset: "digits" (in the package) or "mnist" (needs `coset data get mnist`).
        channels: width of the layer; ``None`` takes `usual_size`.
        num_epochs: passes over the training images; ``None`` takes `usual_size`.
        num_train: training images.
        num_validation: validation images, disjoint from them.
    """

    side: int = 7
    seed: int = 0
    dataset: Literal["digits", "mnist"] = "digits"
    channels: tuple[int, ...] | None = None
    num_epochs: int | None = None
    num_train: int = 3500
    num_validation: int = 500


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def trials(method: Method, best: Row | None = None) -> list[Row]:
    """Return what is tried for a method.

    Strengths are chosen as strengths of a first step, learning rate · λ, and divided by the
    learning rate: what a step does to the weights is then tried over the same range at any rate.

    Args:
        method: the method.
        best: learning_rate and momentum of the plain dense net; needed for every other method.

    Returns:
        `NUM_TRIALS` dictionaries of fields of `TorusSettings`.

    Raises:
        ConfigError: if `best` is missing.

    Example:
        >>> trials("fc")[0]
        {'learning_rate': 1.0, 'momentum': 0.0}
    """
    if method == "fc":
        rates = (1.0, 3.0, 10.0, 30.0)
        return [{"learning_rate": r, "momentum": m} for m in (0.0, 0.9) for r in rates]
    if best is None:
        raise ConfigError(f"the trials of {method!r} start from the best of 'fc'; give best=")
    rate, momentum = best["learning_rate"], best["momentum"]
    start = {"learning_rate": rate, "momentum": momentum}
    return [{**start, **own} for own in _own_trials(method, rate, momentum)]


def _own_trials(method: Method, rate: float, momentum: float) -> list[Row]:
    if method == "fc+sharing":
        pairs = [(g, 0.0) for g in (0.001, 0.002, 0.003, 0.006, 0.012)]
        pairs += [(g, 0.98) for g in (0.03, 0.1, 0.3)]
        return [{"strength": _rounded(g / rate), "rewind": rho} for g, rho in pairs]
    if method == "fc+dual-averaging":
        rates = (rate, _rounded(rate / 3))
        return [{"learning_rate": r, "kappa": k} for r in rates for k in (1.0, 1.3, 1.6, 1.7)]
    if method == "fc+l1":
        soft = (1e-4, 3e-4, 6e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
        return [{"l1": _rounded(g / rate)} for g in soft]
    if method == "fc+beta-lasso":
        steps = (3e-5, 1e-4, 3e-4, 1e-3)
        return [{"l1": _rounded(g / rate), "beta": b} for b in (50.0, 300.0) for g in steps]
    if method == "fc+kmeans":
        return [{"num_values": 2**k} for k in range(1, NUM_TRIALS + 1)]
    # A kernel's gradient is not divided among n positions as a dense weight's is: smaller rates.
    speeds = (1.0, 3.0, 10.0, 30.0)
    return [
        {"kernel_size": k, "learning_rate": _rounded(s * (1 - momentum))}
        for k in (3, 7)
        for s in speeds
    ]


def best_trials(rows: Sequence[Row]) -> dict[tuple[int, str], Row]:
    """Return the chosen row of each side and method.

    The highest validation accuracy wins, among equals the fewest distinct values. For "fc+kmeans",
    which changes nothing but the number of values, the fewest values win that cost at most 0.01 of
    the highest.

    Args:
        rows: of `sharing.torus-tuning`.

    Returns:
        (side, method) to its row.

    Example:
        >>> row = dict(side=7, method="fc", trial=0, validation_accuracy=0.5, num_distinct=9)
        >>> better = {**row, "trial": 1, "validation_accuracy": 0.6}
        >>> best_trials([row, better])[7, "fc"]["trial"]
        1
    """
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["side"], row["method"]), []).append(row)
    return {key: _best(key[1], group) for key, group in groups.items()}


def _best(method: str, rows: Sequence[Row]) -> Row:
    highest = max(row["validation_accuracy"] for row in rows)
    if method == "fc+kmeans":
        good = [row for row in rows if row["validation_accuracy"] >= highest - _ALLOWED_LOSS]
        return min(good, key=lambda row: row["num_distinct"])
    good = [row for row in rows if row["validation_accuracy"] == highest]
    return min(good, key=lambda row: row["num_distinct"])


@experiment(
    "sharing.torus-tuning",
    title="Digits on a torus: settings of each method, chosen on validation images",
    presets={
        "smoke": Preset(
            TuningConfig(channels=(2,), num_epochs=1, num_train=200, num_validation=100)
        ),
        "cpu": Preset(TuningConfig(), {"side": (7, 14)}),
        "paper": Preset(
            TuningConfig(dataset="mnist", num_train=30_000, num_validation=5_000),
            {"side": (7, 14)},
        ),
    },
    claims=("sharing.C19",),
    data=("digits", "mnist"),
    cost={"smoke": 5.0},
)
def torus_tuning(config: TuningConfig, run: RunContext) -> Iterator[Row]:
    """Train every trial of every method and report its validation accuracy.

    A killed run continues: finished trials are read from the run folder.

    Args:
        config: the size.
        run: where to write.

    Yields:
        One row a trial; is_best marks the choice, settings names what was tried.

    Raises:
        ConfigError: if a setting is impossible.

    Claims: sharing.C19.
    """
    done = _finished(run)
    rows: list[Row] = []
    for method in METHODS:
        best = json.loads(best_trials(rows)[config.side, "fc"]["settings"]) if rows else None
        for trial, tried in enumerate(trials(method, best)):
            name = f"{method}/{trial}"
            if name not in done:
                done[name] = _run_trial(config, method, trial, tried, run)
                write_json(run.folder / _TRIALS_FILE, done)
            rows.append({"side": config.side, "method": method, "trial": trial, **done[name]})
    chosen = best_trials(rows)
    for row in rows:
        is_best = chosen[row["side"], row["method"]]["trial"] == row["trial"]
        yield {**row, "is_best": is_best}


def _finished(run: RunContext) -> dict[str, Row]:
    path = run.folder / _TRIALS_FILE
    try:
        return dict(read_json(path)) if path.is_file() else {}
    except FileFormatError:
        return {}  # written by nobody else; the trials are made again


class _Progress(Callback):
    """Says how far the trials are."""

    def __init__(self, run: RunContext, number: int, name: str, num_epochs: int) -> None:
        self.run, self.number, self.name, self.num_epochs = run, number, name, num_epochs

    def on_epoch(self, state: TrainState) -> bool | None:
        total = NUM_TRIALS * len(METHODS)
        self.run.progress(self.number + state.epoch / self.num_epochs, total, self.name)
        return None


def _run_trial(
    config: TuningConfig, method: Method, trial: int, tried: Row, run: RunContext
) -> Row:
    channels, num_epochs = usual_size(config.side)
    settings = replace(
        TorusSettings(
            method=method,
            side=config.side,
            seed=config.seed,
            dataset=config.dataset,
            channels=config.channels or channels,
            num_epochs=num_epochs if config.num_epochs is None else config.num_epochs,
            num_train=config.num_train,
            num_validation=config.num_validation,
        ),
        **tried,
    )
    data = read_torus(settings)
    number = METHODS.index(method) * NUM_TRIALS + trial
    checkpoint = run.checkpoint.with_name(f"trial{number}.pt")
    watch = _Progress(run, number, f"{method}, trial {trial + 1}", settings.num_epochs)
    trained = train_torus(settings, data, checkpoint=checkpoint, callbacks=[watch])
    for path in checkpoint.parent.glob(f"{checkpoint.name}*"):
        path.unlink()
    statistics = weight_statistics(trained.weights)
    return {
        "settings": json.dumps(tried),
        "train_accuracy": accuracy(trained.model, data.train_images, data.train_labels),
        "validation_accuracy": accuracy(
            trained.model, data.validation_images, data.validation_labels
        ),
        **{name: statistics[name] for name in ("num_weights", "num_distinct", "sparsity")},
    }
