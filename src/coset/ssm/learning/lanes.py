"""Vectors of sixteen float32 inside numba kernels: what one restart a lane needs, and no more.

Numba has no vector type, and its compiler does not vectorize loops of sixteen whose arrays it
cannot tell apart: a gradient step with explicit vectors takes a fifth of the time of one with loops
over the lanes (measured on x86-64 with AVX-512). Where registers are shorter the compiler splits
the vectors. A machine without fused multiply-add rounds otherwise, so that the same seed may train
otherwise there.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from coset.ssm.learning.recipe import LANES

__all__ = [
    "add",
    "floor",
    "load",
    "maximum",
    "multiply",
    "multiply_add",
    "reciprocal",
    "splat",
    "store",
]

_FLOATS = ir.VectorType(ir.FloatType(), LANES)


class _LanesType(types.Type):
    def __init__(self):
        super().__init__(name=f"Lanes({LANES} x float32)")


_lanes = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _FLOATS)


def _pointer(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.PointerType(_FLOATS))


@intrinsic
def load(typing, array, index):
    """Return array[index : index + LANES] of a flat, contiguous float32 array."""

    def build(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=4)

    return _lanes(array, types.intp), build


@intrinsic
def store(typing, array, index, value):
    """Write a vector to array[index : index + LANES]."""

    def build(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), build


@intrinsic
def splat(typing, number):
    """Return a vector with the same float32 in every lane."""

    def build(context, builder, signature, arguments):
        first = builder.insert_element(
            ir.Constant(_FLOATS, ir.Undefined), arguments[0], ir.Constant(ir.IntType(32), 0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, first, mask)

    return _lanes(types.float32), build


@intrinsic
def add(typing, a, b):
    """Return a + b."""

    def build(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return _lanes(_lanes, _lanes), build


@intrinsic
def multiply(typing, a, b):
    """Return a · b."""

    def build(context, builder, signature, arguments):
        return builder.fmul(*arguments)

    return _lanes(_lanes, _lanes), build


def _call(builder, name, arguments):
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(arguments))
    name = f"llvm.{name}.v{LANES}f32"
    known = builder.module.globals.get(name)
    return builder.call(known or ir.Function(builder.module, kind, name), arguments)


@intrinsic
def multiply_add(typing, a, b, c):
    """Return a · b + c, rounded once where the machine can."""

    def build(context, builder, signature, arguments):
        return _call(builder, "fmuladd", arguments)

    return _lanes(_lanes, _lanes, _lanes), build


@intrinsic
def maximum(typing, a, b):
    """Return the larger of a and b in each lane."""

    def build(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return _lanes(_lanes, _lanes), build


@intrinsic
def floor(typing, a):
    """Return the largest integer ≤ a in each lane."""

    def build(context, builder, signature, arguments):
        return _call(builder, "floor", arguments)

    return _lanes(_lanes), build


@intrinsic
def reciprocal(typing, a):
    """Return 1 / a."""

    def build(context, builder, signature, arguments):
        return builder.fdiv(ir.Constant(_FLOATS, [1.0] * LANES), arguments[0])

    return _lanes(_lanes), build
