"""exp and log as straight arithmetic, which compilers turn into vector code; imports numba.

The library's exp and log are calls, and a loop around a call stays scalar (measured on x86-64: 6
against 0.8 ns a number). Both are within 2 units in the last place.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# mypy: disable-error-code="call-arg, var-annotated"

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["LARGEST", "exponential", "logarithm"]

# Beyond ± these, exp is set to infinity and to zero: results would be infinite, or not normal.
LARGEST = 709.0
LEAST = -708.0
# Adding 1.5 · 2⁵² to a small float leaves its nearest integer in the low bits of the sum.
_ROUNDER = 6755399441055744.0
# log 2 in two parts, the first short enough that its product with an exponent is exact.
_LOG2_HIGH, _LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_INVERSE_LOG2 = 1.4426950408889634
_SQRT2 = 1.4142135623730951
_FRACTION = (1 << 52) - 1
_ONE = 1023 << 52
# The float 2⁵² has a zero fraction: an integer put there is added to it.
_TWO_52 = 0x4330000000000000
_BIAS = 4503599627370496.0 + 1023.0


@intrinsic
def _bits(typing_context, x):
    """Return the 64 bits of a float as an integer."""

    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), build


@intrinsic
def _from_bits(typing_context, x):
    """Return the float that has these 64 bits."""

    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def exponential(x):
    """Return exp(x): its Taylor series on |r| ≤ log(2)/2 times a power of two; NaN stays NaN."""
    held = max(min(x, LARGEST), LEAST)
    shifted = held * _INVERSE_LOG2 + _ROUNDER
    power = shifted - _ROUNDER
    r = (held - power * _LOG2_HIGH) - power * _LOG2_LOW
    series = 1 / 6227020800.0
    series = series * r + 1 / 479001600.0
    series = series * r + 1 / 39916800.0
    series = series * r + 1 / 3628800.0
    series = series * r + 1 / 362880.0
    series = series * r + 1 / 40320.0
    series = series * r + 1 / 5040.0
    series = series * r + 1 / 720.0
    series = series * r + 1 / 120.0
    series = series * r + 1 / 24.0
    series = series * r + 1 / 6.0
    series = series * r + 0.5
    series = series * r + 1.0
    series = series * r + 1.0
    value = series * _from_bits((_bits(shifted) << 52) + _ONE)
    value = value if x <= LARGEST else x * 1e308
    return 0.0 if x < LEAST else value


@njit(error_model="numpy", fastmath={"contract"}, cache=True)
def logarithm(x):
    """Return log(x) of a normal float x > 0: 2 artanh((m − 1)/(m + 1)) + e log 2, x = m 2ᵉ."""
    bits = _bits(x)
    exponent = _from_bits((bits >> 52) | _TWO_52) - _BIAS
    mantissa = _from_bits((bits & _FRACTION) | _ONE)
    large = mantissa > _SQRT2
    mantissa = mantissa * 0.5 if large else mantissa
    exponent = exponent + 1.0 if large else exponent
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    series = 1 / 21.0
    series = series * z + 1 / 19.0
    series = series * z + 1 / 17.0
    series = series * z + 1 / 15.0
    series = series * z + 1 / 13.0
    series = series * z + 1 / 11.0
    series = series * z + 1 / 9.0
    series = series * z + 1 / 7.0
    series = series * z + 1 / 5.0
    series = series * z + 1 / 3.0
    series = series * z * s + s
    return exponent * _LOG2_HIGH + (2.0 * series + exponent * _LOG2_LOW)
