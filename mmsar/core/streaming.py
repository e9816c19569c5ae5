"""Writing past the cache: what is read again only after much else need not be fetched before it is written.

A store to memory that is not in the cache first reads the line. A store marked as not temporal does not, where it
writes all of a line, and leaves in the cache what is there.
"""

from llvmlite import ir
from numba import types
from numba.core import errors
from numba.extending import intrinsic

LINE = 8
"""Numbers of 8 bytes in a line of the cache."""


@intrinsic
def stream_line(typing, out, start, values):
    """out[start : start + LINE] = values, a line of the cache; float64 numbers that stand for any 8 bytes.

    out: contiguous float64 array, its line at `start` aligned to 64 bytes. values: tuple of LINE float64.
    """
    if values != types.UniTuple(types.float64, LINE):
        raise errors.TypingError(f"stream_line: got values of type {values}, wanted {LINE} float64")

    def generate(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        vector_type = ir.VectorType(ir.DoubleType(), LINE)
        vector = ir.Constant(vector_type, ir.Undefined)
        for lane in range(LINE):
            value = builder.extract_value(args[2], lane)
            vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
        place = builder.bitcast(builder.gep(array.data, [args[1]]), vector_type.as_pointer())
        store = builder.store(vector, place, align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(out, types.intp, values), generate
