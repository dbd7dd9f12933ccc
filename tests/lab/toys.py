"""Toy experiments, importable by worker processes as ``lab.toys``."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy
import torch

from coset.core.errors import StorageError
from coset.core.files import write_json
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.train import Callback, TrainConfig, TrainState, fit


@dataclass(frozen=True)
class Net:
    width: int = 4
    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class DrawConfig:
    method: Literal["global", "own"] = "global"
    seed: int = 0
    shuffled: bool = False
    clip: float | None = None
    net: Net = field(default_factory=Net)


@experiment(
    "toy.draw",
    title="numbers from every source of randomness",
    presets={
        "smoke": Preset(DrawConfig(), {"method": ("global", "own"), "seed": (0, 1, 2)}),
        "cpu": Preset(DrawConfig(net=Net(width=8)), {"seed": (0,)}),
    },
)
def draw(config: DrawConfig, run: RunContext) -> Iterable[dict]:
    if config.method == "own":
        yield {"value": torch.rand((), generator=run.generator("draw")), "missing": None}
        return
    summed = torch.rand(config.net.width, 1000).sum()
    yield {"value": summed, "numpy": numpy.random.rand(), "python": random.random()}  # noqa: NPY002


@dataclass(frozen=True)
class WalkConfig:
    num_steps: int = 4
    keeps_metrics: bool = True
    num_rows: int = 1


@experiment("toy.walk", title="a walk with checkpoints", presets={"smoke": Preset(WalkConfig())})
def walk(config: WalkConfig, run: RunContext) -> Iterable[dict]:
    path = run.checkpoint.with_suffix(".json")
    state = {"step": 0, "total": 0.0}
    if path.exists():
        state = json.loads(path.read_text())
        if config.keeps_metrics:
            run.metrics.load_state_dict(state["metrics"])
    while state["step"] < config.num_steps:
        step = state["step"] + 1
        state["total"] += torch.rand((), generator=run.generator(step)).item()
        run.log(step=step, total=state["total"])
        run.log(step=step, again=state["total"])
        write_json(path, {**state, "step": step, "metrics": run.metrics.state_dict()})
        state["step"] = step
        run.progress(step, config.num_steps)
    return [{"total": state["total"], "row": i} for i in range(config.num_rows)]


@dataclass(frozen=True)
class FitConfig:
    num_epochs: int = 3
    seed: int = 0


class _Logging(Callback):
    def __init__(self, run: RunContext) -> None:
        self.run = run

    def on_epoch(self, state: TrainState) -> None:
        self.run.log(step=state.epoch, loss=state.metrics["train_loss"])


@experiment("toy.fit", title="a training with dropout", presets={"smoke": Preset(FitConfig())})
def train(config: FitConfig, run: RunContext) -> Iterable[dict]:
    x = torch.randn(64, 4, generator=run.generator("data"))
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(), torch.nn.Linear(8, 1)
    )
    state = fit(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        lambda model, batch: (model(batch[0]) - batch[1]).square().mean(),
        (x, x.sum(1, keepdim=True)),
        TrainConfig(config.num_epochs, batch_size=16, seed=config.seed, num_checkpoint_steps=3),
        checkpoint=run.checkpoint,
        callbacks=[_Logging(run)],
        extra_state={"metrics": run.metrics},
    )
    yield {"loss": state.loss, "weight": model[0].weight.double().sum()}


@dataclass(frozen=True)
class FaultConfig:
    mode: str = "fine"


FAULTS = ("fine", "raises", "dies", "exits", "nan", "none", "clash", "list", "full", "interrupts")


@experiment(
    "toy.fault",
    title="everything that can go wrong",
    presets={"smoke": Preset(FaultConfig(), {"mode": ("fine", "raises", "dies", "nan")})},
)
def fault(config: FaultConfig, run: RunContext) -> Iterable[dict]:
    mark = Path(os.environ["COSET_OUT"]) / "healed"
    if config.mode == "fine" or mark.exists():
        return [{"value": 1}]
    if config.mode == "raises":
        raise ValueError("a toy fault")
    if config.mode == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.mode == "exits":
        raise SystemExit(3)
    if config.mode == "full":
        raise StorageError("no space")
    if config.mode == "interrupts":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    rows = {
        "nan": [{"value": float("nan")}],
        "none": [],
        "clash": [{"mode": "other"}],
        "list": [{"value": [1]}],
    }
    return rows[config.mode]


@dataclass(frozen=True)
class WaitConfig:
    name: str = "a"


@experiment(
    "toy.wait",
    title="waits until it is let go",
    presets={"smoke": Preset(WaitConfig(), {"name": ("a", "b", "c")})},
)
def wait(config: WaitConfig, run: RunContext) -> Iterable[dict]:
    out = Path(os.environ["COSET_OUT"])
    (run.folder / "begun").touch()
    while not (out / "go").exists():
        time.sleep(0.01)
    return [{"value": len(config.name)}]
