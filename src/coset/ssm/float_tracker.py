"""What trackers in floats share: numbers compiled from integers, their dtype, and their proof."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from coset.core.errors import CosetError, DomainError, UnsupportedError
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import TrackerCertificate
from coset.ssm.circle import drift_horizon, keep_complex
from coset.ssm.tracker_module import Tracker

if TYPE_CHECKING:
    from coset.ssm.tracker import CompiledTracker

__all__ = ["FloatTracker"]

# The precisions that hold phases apart for long; bfloat16 loses Z_60 after about 180 tokens.
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


class FloatTracker(Tracker):
    """Float numbers that are compiled from the integer tables, and compared with them.

    ``double()``, ``to(dtype)``, … change the precision of all numbers, complex ones as well; those
    that were as compiled are compiled again in the new one.

    Args:
        dtype: name of the dtype.
        **arguments: those of `Tracker`.

    Raises:
        UnsupportedError: if the dtype is too coarse to hold phases apart.
    """

    default_dtype: ClassVar[str]
    dtypes: ClassVar[tuple[str, ...]]
    points: Tensor

    def __init__(self, *, dtype: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        if dtype not in self.dtypes:
            raise self._wrong_dtype(dtype)
        self.dtype_name = dtype
        self.complex_dtype: torch.dtype = getattr(torch, _COMPLEX.get(dtype, dtype))
        num_phases = sum(len(m) for m in self.moduli)
        shape = (len(self.elements), num_phases, 2)
        self.register_buffer("points", torch.zeros(shape, dtype=self.complex_dtype.to_real()))

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the module again, as JSON values."""
        return {**super().arguments, "dtype": self.dtype_name}

    def fill(self, tracker: CompiledTracker) -> None:
        """Take over the tables of a tracker with the same arguments.

        Args:
            tracker: what `build_module` was given.
        """
        super().fill(tracker)
        self._write(tracker.cascade)

    def float_tables(self, cascade: Cascade) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the values, in double precision, of all numbers that are compiled.

        Args:
            cascade: the layers, as integers.

        Yields:
            The name of a buffer or parameter, and what it holds before it is rounded.
        """
        raise NotImplementedError

    @torch.no_grad()
    def _write(self, cascade: Cascade) -> None:
        held = self.state_dict()
        for name, numbers in self.float_tables(cascade):
            held[name].copy_(numbers)

    def _changed(self) -> str | None:
        """Return the name of a table that is not the one compiled from the integers, or None."""
        held, real = self.state_dict(), self.complex_dtype.to_real()
        for name, numbers in self.float_tables(self.cascade):
            found = held[name].cpu()
            stored = self.complex_dtype if numbers.is_complex() else real
            if found.dtype != stored or not torch.equal(found, numbers.to(stored)):
                return name
        return None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        real, before = fn(self.points.new_empty(0)).dtype, self.points.dtype
        names = {getattr(torch, _COMPLEX.get(n, n)): n for n in self.dtypes}
        named = {dtype.to_real(): name for dtype, name in names.items()}
        if real.to_real() not in named:
            raise self._wrong_dtype(str(real).removeprefix("torch."))
        compiled = real.to_real() != before and self._is_compiled()
        super()._apply(keep_complex(fn), recurse)  # type: ignore[no-untyped-call]
        self.dtype_name = named[real.to_real()]
        self.complex_dtype = getattr(torch, _COMPLEX.get(self.dtype_name, self.dtype_name))
        if compiled:
            self._write(self.cascade)
        return self

    def _is_compiled(self) -> bool:
        try:
            return not self.points.is_meta and self._changed() is None
        except CosetError:  # no tables yet, or damaged ones: there is nothing to compile again
            return False

    def _wrong_dtype(self, given: str) -> UnsupportedError:
        return UnsupportedError(
            f"the dtype of this mode must be {' or '.join(self.dtypes)}; given {given}; half "
            f"precision mistakes phases of Z60 after about a hundred tokens; modes int and "
            f"table are exact at every length"
        )

    def certificate(self) -> TrackerCertificate:
        """Return the proof of the integer tables, if the float numbers are what they say.

        Returns:
            A certificate; ``verify()`` checks all (state, token) pairs, ``explain()`` says for how
            many tokens rounding lets the floats follow the integers.

        Raises:
            DomainError: if a number is another one, as after training: the proof would say nothing
                of it.

        Claims: ssm.C2.
        """
        proof = super().certificate()
        name = self._changed()
        if name is not None:
            raise DomainError(
                f"{name} must hold the numbers that the integer tables say; it holds others, so no "
                f"proof speaks of them: coset.ssm.harden reads exact layers off a trained module; "
                f"if it was not trained, compile or load the tracker again"
            )
        horizon = self.horizon()
        if horizon is None:
            return proof
        return dataclasses.replace(proof, numbers=self.dtype_name, horizon=horizon)

    def horizon(self) -> int | None:
        """Estimate from below for how many tokens ``track`` is right.

        Each token turns a phase by at most 2ε too much or too little, and π/m is its margin.

        Returns:
            The estimate; ``None`` where nothing rounds, as all numbers are 0, ±1 and ±i.
        """
        largest = max((m for layer in self.moduli for m in layer if m not in (1, 2, 4)), default=0)
        return drift_horizon(math.pi / largest, 2.0, self.complex_dtype) if largest else None
