"""The processor's prefetch instruction for compiled loops; importing this module imports numba."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["prefetch"]


@intrinsic
def prefetch(typing_context, array, place):
    """Ask for the cache line of ``array[place]``, one-dimensional, without waiting for it.

    A hint only: the loads that follow find the line on its way, and a place that is never read
    costs a little bandwidth. It lets the gathers of states to come overlap with the sums of this
    one.
    """
    signature = types.void(array, place)

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte_pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte_pointer)
        shape = ir.FunctionType(ir.VoidType(), [byte_pointer, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte_pointer], shape)
        # To be read, into every cache, of data (not of instructions).
        builder.call(function, [address, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return signature, codegen
