"""Train a model on a group's word problem by a curriculum of lengths, and measure it by length.

Used by the studies of learning: parity, near-solution, typed-stacks and learnability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError
from coset.groups import Group
from coset.lab.context import RunContext
from coset.ssm.alphabet import Alphabet
from coset.ssm.length_generalization import length_generalization
from coset.ssm.word_problem import WordProblem
from coset.train import Callback, TrainConfig, TrainState, fit

__all__ = [
    "Curriculum",
    "WordTraining",
    "accuracy_rows",
    "check_lengths",
    "seeded",
    "train_on_words",
    "word_loss",
]

Model = TypeVar("Model", bound=nn.Module)

_EVALUATION_WORDS = 128


@dataclass(frozen=True)
class WordTraining:
    """How a model is trained on words.

    Attributes:
        num_steps: optimizer steps; whole epochs of `steps_per_epoch` are taken, at least one.
        steps_per_epoch: steps between two decisions of the curriculum.
        batch_size: words a step.
        learning_rate: of AdamW at the start.
        weight_decay: of AdamW.
        schedule: "cosine" takes the learning rate to 0, "constant" keeps it, "linear" takes it
            linearly to 1 %.
        clip_norm: largest norm of the gradients together, or ``None``.
        first_length: of the first words.
        last_length: of the longest words; the length doubles up to it.
        threshold: accuracy over all positions at which the length doubles.
        patience: epochs in a row that must reach it.
        device: where to train.
    """

    num_steps: int = 600
    steps_per_epoch: int = 20
    batch_size: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 0.01
    schedule: Literal["cosine", "constant", "linear"] = "cosine"
    clip_norm: float | None = 1.0
    first_length: int = 2
    last_length: int = 32
    threshold: float = 0.95
    patience: int = 1
    device: str = "cpu"

    @property
    def num_epochs(self) -> int:
        """How many epochs the steps make."""
        return max(1, self.num_steps // self.steps_per_epoch)


class Curriculum(Callback):
    """Gives words of one length, and doubles it when the model has learned them.

    Give it as dataset (its method `batches`), as callback and as extra state.

    Attributes:
        length: of the words of the present epoch.
        streak: epochs in a row that reached the threshold.

    Args:
        group: whose words.
        settings: the settings.
        alphabet: what tokens stand for, as in `WordProblem`.
    """

    def __init__(self, group: Group, settings: WordTraining, alphabet: Alphabet = None) -> None:
        self.settings = settings
        self.length, self.streak = settings.first_length, 0
        self._problem = WordProblem(group, self.length, alphabet=alphabet, split="all")

    @property
    def problem(self) -> WordProblem:
        """The word problem at the present length."""
        if self._problem.length != self.length:
            self._problem = self._problem.with_length(self.length)
        return self._problem

    def batches(self, generator: torch.Generator) -> Iterable[tuple[Tensor, Tensor]]:
        """Return the batches of an epoch.

        Args:
            generator: source of randomness.

        Returns:
            `steps_per_epoch` pairs of tokens and labels, (batch_size, length) int64.
        """
        settings = self.settings
        source = self.problem.batches(settings.steps_per_epoch, settings.batch_size)
        return source(generator)

    def evaluate(self, model: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Return the accuracy over all positions of fresh words of the present length.

        Args:
            model: tokens to logits.

        Returns:
            "accuracy" and "length".
        """
        tokens, labels = self.problem.sample(_EVALUATION_WORDS)
        device = torch.device(self.settings.device)
        found = model(tokens.to(device)).argmax(-1).cpu()
        return {"accuracy": float((found == labels).double().mean()), "length": float(self.length)}

    def on_epoch(self, state: TrainState) -> bool | None:
        """Double the length after `patience` good epochs in a row.

        Args:
            state: its metrics hold what `evaluate` returned.

        Returns:
            ``None``: a curriculum never ends a run.
        """
        good = state.metrics["accuracy"] >= self.settings.threshold
        self.streak = self.streak + 1 if good else 0
        if self.streak >= self.settings.patience and self.length < self.settings.last_length:
            self.length, self.streak = min(2 * self.length, self.settings.last_length), 0
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the length and the streak."""
        return {"length": self.length, "streak": self.streak}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Take the length and the streak of a checkpoint.

        Args:
            state: what `state_dict` returned.
        """
        self.length, self.streak = int(state["length"]), int(state["streak"])


class _Report(Callback):
    """Logs each epoch and says how far the training is."""

    def __init__(self, run: RunContext, num_epochs: int) -> None:
        self.run, self.num_epochs = run, num_epochs

    def on_epoch(self, state: TrainState) -> bool | None:
        self.run.log(step=state.step, **state.metrics)
        note = f"length {state.metrics['length']:.0f}, accuracy {state.metrics['accuracy']:.3f}"
        self.run.progress(state.epoch, self.num_epochs, note)
        return None


def word_loss(model: Callable[[Tensor], Tensor], batch: Sequence[Tensor]) -> Tensor:
    """Return the mean cross-entropy over all positions of all words.

    Args:
        model: tokens (B, T) to logits (B, T, n).
        batch: tokens and labels, (B, T) int64.

    Returns:
        A scalar.
    """
    tokens, labels = batch
    return nn.functional.cross_entropy(model(tokens).flatten(0, -2), labels.flatten())


def train_on_words(
    model: nn.Module,
    group: Group,
    settings: WordTraining,
    run: RunContext,
    *,
    seed: int,
    checkpoint: Path | None = None,
    alphabet: Alphabet = None,
) -> int:
    """Train a model in place; a killed run continues from its checkpoint to the same bits.

    Args:
        model: tokens to logits.
        group: whose words.
        settings: the settings.
        run: logs the epochs.
        seed: decides the words.
        checkpoint: the file to write and to continue from; the run's own if ``None``.
        alphabet: what tokens stand for, as in `WordProblem`.

    Returns:
        The length of the words of the last epoch.

    Raises:
        ConfigError: if a setting is impossible.
    """
    _check(settings)
    curriculum = Curriculum(group, settings, alphabet)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    state = fit(
        model,
        optimizer,
        word_loss,
        curriculum.batches,
        TrainConfig(
            settings.num_epochs,
            settings.batch_size,
            device=settings.device,
            clip_norm=settings.clip_norm,
            seed=seed,
            scheduler_every="step",
            checkpoint_every=max(1, settings.num_epochs // 5),
        ),
        scheduler=_scheduler(optimizer, settings),
        callbacks=[_Report(run, settings.num_epochs), curriculum],
        checkpoint=checkpoint or run.checkpoint,
        evaluate=curriculum.evaluate,
        extra_state={"curriculum": curriculum, "metrics": run.metrics},
    )
    return round(state.metrics["length"])


def _scheduler(
    optimizer: torch.optim.Optimizer, settings: WordTraining
) -> torch.optim.lr_scheduler.LRScheduler | None:
    num_steps = settings.num_epochs * settings.steps_per_epoch
    if settings.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    if settings.schedule == "linear":
        return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, num_steps)
    return None


def _check(settings: WordTraining) -> None:
    least = {"num_steps": 1, "steps_per_epoch": 1, "batch_size": 1, "first_length": 1}
    for name, bound in {**least, "last_length": settings.first_length, "patience": 1}.items():
        if getattr(settings, name) < bound:
            raise ConfigError(f"{name} must be ≥ {bound}; given {getattr(settings, name)}")
    if not settings.learning_rate > 0 or settings.weight_decay < 0:
        raise ConfigError(
            f"learning_rate must be > 0 and weight_decay ≥ 0; given {settings.learning_rate} and "
            f"{settings.weight_decay}"
        )
    if not 0 < settings.threshold <= 1:
        raise ConfigError(f"threshold must be in (0, 1]; given {settings.threshold}")


def check_lengths(lengths: Sequence[int], num_words: int) -> None:
    """Refuse lengths or a number of words on which nothing can be measured.

    Args:
        lengths: to be measured.
        num_words: a length.

    Raises:
        ConfigError: if there is no length, or one of the numbers is not positive.
    """
    if not lengths or min(lengths) < 1:
        raise ConfigError(f"lengths must be one or more numbers ≥ 1; given {tuple(lengths)}")
    if num_words < 1:
        raise ConfigError(f"num_words must be ≥ 1; given {num_words}")


def accuracy_rows(
    model: Any,
    group: Group,
    lengths: Sequence[int],
    *,
    num_words: int,
    run: RunContext,
    without: Sequence[str],
    alphabet: Alphabet = None,
) -> Iterator[dict[str, Any]]:
    """Measure a model on the same random words for all models of a study.

    Args:
        model: tokens to logits, or a tracker.
        group: whose words.
        lengths: of the words.
        num_words: how many.
        run: source of randomness.
        without: fields of the configuration that must not change the words.
        alphabet: what tokens stand for, as in `WordProblem`.

    Yields:
        One dictionary a length: length, accuracy over all positions, its standard_error, and
        last_accuracy at the last position.
    """
    every, last = (
        length_generalization(
            model,
            group,
            lengths,
            num_words=num_words,
            metric=metric,
            alphabet=alphabet,
            generator=run.generator("test words", without=without),
        )
        for metric in _METRICS
    )
    for row, accuracy in zip(every.rows(), last.accuracies, strict=True):
        yield {**row, "last_accuracy": accuracy}


_METRICS: tuple[Literal["all", "last"], ...] = ("all", "last")


def seeded(build: Callable[[], Model], seed: int) -> Model:
    """Build a model with torch's global generator seeded, and give its state back.

    Args:
        build: makes the model.
        seed: of its initial weights.

    Returns:
        The model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
