"""A run with everything that a resume must restore; as a script, a process that can be killed.

The model has dropout and batch normalization, the optimizer momentum, the scheduler acts once a
step, and a hook with a state of its own acts on the weights.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from torch import nn

from coset.core.seeds import generator_for
from coset.train import Callback, History, TrainConfig, fit


class Shrink:
    """Multiplies the weights by a factor that depends on how often it acted."""

    def __init__(self, model):
        self.model, self.count = model, 0

    def step(self):
        self.count += 1
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.mul_(1 - 1e-3 / self.count)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Run:
    """One set of fresh objects and the call of `fit` that trains them."""

    def __init__(self, width=8, **config):
        torch.manual_seed(7)
        self.model = nn.Sequential(
            nn.Linear(3, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(width, 2),
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.02)
        per_step = config.setdefault("scheduler_every", "step") == "step"
        self.scheduler = (
            torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.05, total_steps=200)
            if per_step
            else torch.optim.lr_scheduler.StepLR(self.optimizer, 1, gamma=0.7)
        )
        self.shrink, self.history = Shrink(self.model), History()
        self.config = TrainConfig(**{"num_epochs": 3, "batch_size": 8, "seed": 3} | config)
        generator = generator_for("training run")
        inputs = torch.randn(42, 3, generator=generator)
        self.dataset = (inputs, (inputs.sum(1) > 0).long())

    @staticmethod
    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    def evaluate(self, model):
        assert not model.training
        # Random on purpose: what an evaluation draws must not reach the training.
        noise = torch.rand(int(torch.randint(1, 5, ())))
        right = model(self.dataset[0]).argmax(1) == self.dataset[1]
        return {"accuracy": right.double().mean(), "noise": noise.sum()}

    def fit(self, checkpoint=None, callbacks=(), **more):
        return fit(
            self.model,
            self.optimizer,
            more.pop("loss", self.loss),
            more.pop("dataset", self.dataset),
            self.config,
            scheduler=self.scheduler,
            after_step=[self.shrink.step],
            callbacks=[self.history, *callbacks],
            checkpoint=checkpoint,
            evaluate=self.evaluate,
            extra_state={"shrink": self.shrink, "history": self.history},
            **more,
        )

    def bits(self):
        """Return everything that must be equal, bit for bit."""
        return (
            {name: value.clone() for name, value in self.model.state_dict().items()},
            self.optimizer.state_dict(),
            self.scheduler.state_dict(),
            self.shrink.count,
            self.history.rows,
        )

    def digest(self):
        """Return a digest of `bits`."""
        digest = hashlib.sha256()
        for part in _leaves(self.bits()):
            bits = part.numpy().tobytes() if isinstance(part, torch.Tensor) else repr(part).encode()
            digest.update(bits)
        return digest.hexdigest()


def _leaves(value):
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield key
            yield from _leaves(value[key])
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


class Announce(Callback):
    """Prints each step, so that the parent knows when to kill."""

    def on_step(self, state):
        print("step", state.step, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run = Run(width=200, num_epochs=12, num_checkpoint_steps=1)
    run.fit(checkpoint=Path(sys.argv[1]), callbacks=[Announce()])
    print("digest", run.digest(), flush=True)
