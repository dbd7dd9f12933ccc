"""One vocabulary of results for all subjects: solutions, certificates, witnesses, verdicts.

Subjects extend these classes and never rename them. Each is a frozen dataclass that becomes JSON
and comes back; tensors are stored with dtype and shape, floats exactly.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

from coset.core.errors import CosetError, FileFormatError, NotConvergedError

__all__ = ["Certificate", "Record", "Solution", "Status", "Verdict", "Witness"]


def _encode(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, Mapping):
        return {"mapping": [[_encode(k), _encode(v)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(v) for v in value]}
    if isinstance(value, list):
        return [_encode(v) for v in value]
    if hasattr(value, "detach") and hasattr(value, "dtype"):
        flat = value.detach().cpu().reshape(-1).tolist()
        return {
            "tensor": [_encode(v) for v in flat],
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
        }
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a result holds JSON values, tensors and results; given {type(value)}")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        import torch

        dtype = getattr(torch, value["dtype"])
        return torch.tensor(_decode(value["tensor"]), dtype=dtype).reshape(value["shape"])
    if "float" in value:
        return float(value["float"])
    if "tuple" in value:
        return tuple(_decode(v) for v in value["tuple"])
    if "mapping" in value:
        return {_decode(k): _decode(v) for k, v in value["mapping"]}
    if "class" in value:
        return Record.from_json(value)
    raise FileFormatError(f"a stored result has an object with unknown keys {sorted(value)}")


# Without eq=False a subclass that asks for identity would inherit a comparison of no fields.
@dataclass(frozen=True, eq=False)
class Record:
    """A frozen dataclass that becomes JSON and comes back; the root of the classes below."""

    _classes: ClassVar[dict[str, type[Record]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Record._classes[f"{cls.__module__}:{cls.__qualname__}"] = cls

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values: its class and its fields.

        Returns:
            ``{"class": "module:Name", "fields": {...}}``.

        Raises:
            TypeError: if a field holds something other than JSON values, tensors and records.
        """
        fields = {f.name: _encode(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"class": f"{type(self).__module__}:{type(self).__qualname__}", "fields": fields}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild a record from `to_json`; only classes already loaded are ever constructed.

        Args:
            value: what `to_json` returned.

        Returns:
            The record.

        Raises:
            FileFormatError: if the class is unknown, is not a `cls`, or fields are missing.
        """
        name = value.get("class")
        found = Record._classes.get(str(name))
        if found is None or not issubclass(found, cls):
            raise FileFormatError(
                f"a stored {cls.__name__} must name a loaded subclass of it; it names {name!r}; "
                f"import the subject that defines it first"
            )
        try:
            return found(**{k: _decode(v) for k, v in value["fields"].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(f"a stored {name} lacks or misnames fields: {error}") from error


class Status(StrEnum):
    """How a solver ended; the value is the word that tables show."""

    SOLVED = "solved"
    MAX_ITERATIONS = "iteration limit reached"
    STALLED = "stalled"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"


@dataclass(frozen=True, eq=False)
class Certificate(Record):
    """Data from which a result can be checked again without the solver that made it.

    Subclasses implement both methods from their own fields only.
    """

    def verify(self) -> bool:
        """Check the certificate from its own data.

        Returns:
            Whether it proves what it says.
        """
        raise NotImplementedError

    def explain(self) -> str:
        """Say in words what it proves and why.

        Returns:
            A short text.
        """
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Witness(Record):
    """An input on which a model or a statement fails, replayable by anyone."""

    def replay(self, model: Any) -> bool:
        """Run the witness again.

        Args:
            model: the thing it refutes.

        Returns:
            Whether the failure is seen again.
        """
        raise NotImplementedError

    def explain(self) -> str:
        """Say in words what goes wrong.

        Returns:
            A short text.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Verdict(Record):
    """A yes or no with its reason.

    Attributes:
        holds: the answer.
        reason: one sentence.
        evidence: figures behind it.
    """

    holds: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.holds


@dataclass(frozen=True)
class Solution(Record):
    """What a solver returns: the value, how it ended, and how far off it can be.

    Attributes:
        value: the answer, a tensor or a number.
        status: how the solver ended.
        advice: what to change if it did not solve, else "".
        error_bound: a proved bound on the distance to the answer, or ``None``.
        certificate: data that proves the bound, or ``None``.
        iterations: how many were used.
    """

    value: Any
    status: Status
    advice: str = ""
    error_bound: float | None = None
    certificate: Certificate | None = None
    iterations: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    def throw(self, error: type[CosetError] = NotConvergedError) -> Self:
        """Return the solution if it solved, else raise.

        Args:
            error: the named error to raise.

        Returns:
            Itself.

        Raises:
            CosetError: `error`, with status and advice as its message.
        """
        if self.status is not Status.SOLVED:
            raise error(f"{self.status} after {self.iterations} iterations; {self.advice}")
        return self
