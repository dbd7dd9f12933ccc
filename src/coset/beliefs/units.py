"""Nats inside, nats or bits at the front doors."""

from __future__ import annotations

import math
from typing import Literal, TypeVar

from torch import Tensor

from coset.core.errors import DomainError

__all__ = ["Units", "in_units"]

Units = Literal["nats", "bits"]
Number = TypeVar("Number", float, Tensor)


def in_units(nats: Number, units: Units) -> Number:
    """Return a number of nats in the units that were asked for: 1 nat is 1 / log 2 bits.

    Args:
        nats: a number or a tensor.
        units: "nats" or "bits".

    Returns:
        The same information.

    Raises:
        DomainError: if the units are neither.

    Example:
        >>> in_units(2 * math.log(2), "bits")
        2.0
    """
    if units not in ("nats", "bits"):
        raise DomainError(f'units are "nats" or "bits"; given {units!r}')
    return nats if units == "nats" else nats / math.log(2)
