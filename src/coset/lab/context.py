"""What a running experiment is given: its folder, its metrics log, its progress, its randomness."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError
from coset.core.files import storage_errors
from coset.core.seeds import derive_seed, generator_for
from coset.lab.configs import to_json
from coset.lab.metrics import MetricsLog

if TYPE_CHECKING:
    import torch

__all__ = ["Report", "RunContext"]

Report = Callable[[float, float, str], None]

_REPORT_PAUSE_S = 0.1


class RunContext:
    """The run's side of an experiment; the store makes one, and a test can too.

    Attributes:
        experiment_id: the experiment's id.
        config: its configuration.
        folder: the run folder; what an experiment writes goes below it.
        metrics: the metrics log; give it to the checkpoint as extra state.

    Args:
        experiment_id: the experiment's id.
        config: its configuration.
        folder: a folder of the run's own.
        report: receives (done, total, note).
    """

    def __init__(
        self, experiment_id: str, config: Any, folder: Path, report: Report | None = None
    ) -> None:
        self.experiment_id = experiment_id
        self.config = config
        self.folder = folder
        self.metrics = MetricsLog(folder / "metrics.jsonl")
        self._report = report
        self._reported = float("-inf")

    @property
    def checkpoint(self) -> Path:
        """The path for the run's checkpoint; its folder exists.

        Raises:
            StorageError: if the folder cannot be made.
        """
        folder = self.folder / "checkpoints"
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / "state.pt"

    def log(self, *, step: int, **metrics: Any) -> None:
        """Append numbers to ``metrics.jsonl``.

        Args:
            step: the step that they belong to.
            **metrics: scalars by name; no clock values.

        Raises:
            ConfigError: if a value is not a scalar.
            StorageError: if the file cannot be written.
        """
        self.metrics.log(step, **metrics)

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say how far the run is; cheap, and passed on at most ten times a second.

        Args:
            done: how much is done.
            total: how much there is.
            note: a few words.
        """
        now = time.monotonic()
        if self._report and (done >= total or now - self._reported >= _REPORT_PAUSE_S):
            self._reported = now
            self._report(done, total, note)

    def generator(self, *names: object, without: Sequence[str] = ()) -> torch.Generator:
        """Return a fresh generator that depends on experiment, configuration and `names` only.

        Args:
            *names: what the numbers are for; each purpose its own stream.
            without: fields of the configuration that shall not matter, so that runs which differ
                only there see the same numbers (paired comparisons).

        Returns:
            A CPU generator; asking again restarts the same stream.

        Raises:
            ConfigError: if a name in `without` is no field of the configuration.
        """
        return generator_for(*self._stream(names, without))

    def seed(self, *names: object, without: Sequence[str] = ()) -> int:
        """Return the seed of `generator`, for what takes an integer.

        Args:
            *names: as in `generator`.
            without: as in `generator`.

        Returns:
            An integer in [0, 2**63).

        Raises:
            ConfigError: as `generator`.
        """
        return derive_seed(*self._stream(names, without))

    def _stream(self, names: tuple[object, ...], without: Sequence[str]) -> tuple[Any, ...]:
        config = to_json(self.config)
        for field in without:
            if field not in config:
                raise ConfigError(
                    f"without must name fields of {type(self.config).__name__}; given {field!r}; "
                    f"its fields: {', '.join(config)}"
                )
            del config[field]
        return (self.experiment_id, config, *names)
