"""What a benchmark case is made of: contestants, limits, and how an answer is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from coset.core.errors import ConfigError, CosetError

if TYPE_CHECKING:
    import torch

__all__ = ["BenchmarkRefusedError", "Case", "Contestant", "Limit", "WorkerError"]

LIMIT_KINDS = ("copy", "gather", "gemm")


class BenchmarkRefusedError(CosetError, RuntimeError):
    """A contestant gave a wrong answer, or a case's tests are red: nothing was timed."""


class WorkerError(CosetError, RuntimeError):
    """The process that times contestants in another environment died, hung or failed."""


@dataclass(frozen=True)
class Contestant:
    """One way to do the work of a case, or a stated part of it.

    Attributes:
        run: takes the state that `setup` made (the inputs when there is no `setup`), returns the
            output; this call alone is timed, the release of its output included.
        setup: makes the state from the inputs, untimed (preallocated and touched buffers).
        partial: which part of the work this does ("sort only"); empty when it does all of it. A
            partial contestant is no rival, only a yardstick, and the tables say so.
        verify: for a partial contestant, the judge of its output: takes the inputs and the output,
            returns what is wrong, or ``None``.
        environment: variables that its process must have from the start; contestants with the same
            ones share a worker process.
        allocation: whether `run` allocates its output ("fresh") or writes into buffers of `setup`.
        applies: tells from the variant's value whether the contestant takes part.
    """

    run: Callable[[Any], Any]
    setup: Callable[[Any], Any] | None = None
    partial: str = ""
    verify: Callable[[Any, Any], str | None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    allocation: Literal["fresh", "preallocated"] = "fresh"
    applies: Callable[[Any], bool] | None = None

    def __post_init__(self) -> None:
        """Refuse a part of the work that nothing would check."""
        if self.partial and self.verify is None:
            raise ConfigError(
                f"a contestant that does a part of the work ({self.partial!r}) needs a `verify` "
                "function that judges its output; none was given; pass verify=..."
            )


@dataclass(frozen=True)
class Limit:
    """A physical limit: how much must be moved or computed, over a rate measured beside it.

    Attributes:
        kind: "copy" (bytes read plus bytes written), "gather" (random 4-byte reads) or "gemm"
            (floating-point operations).
        amount: takes the inputs, returns how much of it the work cannot do without.
        statement: the formula and what it leaves out, shown beside the number.
    """

    kind: Literal["copy", "gather", "gemm"]
    amount: Callable[[Any], int]
    statement: str

    def __post_init__(self) -> None:
        """Refuse a kind for which no rate can be measured."""
        if self.kind not in LIMIT_KINDS:
            raise ConfigError(
                f"a limit's kind must be one of {', '.join(LIMIT_KINDS)}; got {self.kind!r}"
            )


@dataclass(frozen=True)
class Case:
    """The work to be done, who does it, and what makes an answer right.

    Attributes:
        prepare: takes (size, the variant's value, a ``torch.Generator``), returns the inputs; the
            same arguments give the same inputs in every process.
        reference: the literal answer, for small sizes.
        compare: takes (inputs, output, expected), returns what is wrong, or ``None``.
        ours: our implementations by name; the first is the one that users get by default.
        peers: other people's implementations by name.
        limits: physical limits by name.
        tests: pytest targets, relative to the checkout, that must pass before anything is timed.
    """

    prepare: Callable[[int, Any, torch.Generator], Any]
    reference: Callable[[Any], Any]
    compare: Callable[[Any, Any, Any], str | None]
    ours: Mapping[str, Contestant]
    peers: Mapping[str, Contestant]
    limits: Mapping[str, Limit]
    tests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something of ours and that each name means one thing."""
        if not self.ours:
            raise ConfigError("a case needs at least one contestant of ours; `ours` is empty")
        names = [*self.ours, *self.peers, *self.limits]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                "names of contestants and limits must differ within a case; used twice: "
                + ", ".join(twice)
            )
        partial = [name for name, contestant in self.ours.items() if contestant.partial]
        if partial:
            raise ConfigError(f"what is ours must do the whole work; partial: {', '.join(partial)}")

    @property
    def contestants(self) -> dict[str, Contestant]:
        """All contestants by name, ours first."""
        return {**self.ours, **self.peers}

    def applicable(self, variant: Any) -> dict[str, Contestant]:
        """Return the contestants that take part in a variant.

        Args:
            variant: the variant's value, as in the benchmark's `variants`.

        Returns:
            The contestants by name, ours first.
        """
        return {
            name: contestant
            for name, contestant in self.contestants.items()
            if contestant.applies is None or contestant.applies(variant)
        }
