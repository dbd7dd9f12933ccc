"""Rates of the machine, measured beside the contestants: copy, gather, matrix product.

All buffers are allocated and written before the first timed call, so that no page fault enters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coset.bench.case import Limit
from coset.core.errors import ConfigError

__all__ = ["Probe", "make_probe"]

# A matrix product this large runs at its full rate; a larger one would only take longer.
_LARGEST_SIDE = 1024
_UNITS = {"copy": "B/s", "gather": "gathers/s", "gemm": "flop/s"}


@dataclass(frozen=True)
class Probe:
    """A call whose duration measures a rate.

    Attributes:
        run: does the work once.
        amount: how much work one call does, in bytes, gathers or operations.
        needed: how much work the limit asks for.
        unit: the unit of the rate.
        method: what exactly is run, for the record.
    """

    run: Callable[[], object]
    amount: int
    needed: int
    unit: str
    method: str

    def seconds(self, measured: float) -> float:
        """Return the limit's time: needed ÷ (amount ÷ measured).

        Args:
            measured: seconds that one call took.

        Returns:
            Seconds that the needed work would take at the measured rate.
        """
        return measured * self.needed / self.amount


def make_probe(limit: Limit, inputs: object) -> Probe:
    """Build the call that measures the rate of a limit at the footprint of these inputs.

    The footprint matters: a copy of 40 kB lives in the first cache level, one of 40 MB does not.

    Args:
        limit: the limit.
        inputs: the inputs of the case.

    Returns:
        The probe, its buffers allocated and touched.

    Raises:
        ConfigError: if the limit's amount is below 1.
    """
    needed = int(limit.amount(inputs))
    if needed < 1:
        raise ConfigError(f"a limit's amount must be at least 1; got {needed} ({limit.statement})")
    if limit.kind == "copy":
        return _copy_probe(needed)
    return _gather_probe(needed) if limit.kind == "gather" else _gemm_probe(needed)


def _copy_probe(needed: int) -> Probe:
    import numpy as np

    num_bytes = (needed + 1) // 2  # each byte is read once and written once
    source, target = np.ones(num_bytes, np.uint8), np.ones(num_bytes, np.uint8)
    method = f"numpy.copyto of {num_bytes} bytes between preallocated, touched buffers"
    return Probe(lambda: np.copyto(target, source), 2 * num_bytes, needed, _UNITS["copy"], method)


def _gather_probe(needed: int) -> Probe:
    import numpy as np

    table = np.ones(needed, np.float32)
    index = np.random.default_rng(0).permutation(needed)
    target = np.ones(needed, np.float32)
    method = f"numpy.take of {needed} float32 at a random permutation, into a touched buffer"
    return Probe(
        lambda: np.take(table, index, out=target, mode="clip"),
        needed,
        needed,
        _UNITS["gather"],
        method,
    )


def _gemm_probe(needed: int) -> Probe:
    import torch

    side = min(_LARGEST_SIDE, max(1, round((needed / 2) ** (1 / 3))))
    left, right, target = (torch.ones(side, side) for _ in range(3))
    method = f"torch.mm of two float32 matrices {side}x{side} into a touched buffer"
    return Probe(
        lambda: torch.mm(left, right, out=target), 2 * side**3, needed, _UNITS["gemm"], method
    )
