"""Operations that Numba's Python lacks, as single instructions of LLVM."""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable
from numba.np.arrayobj import make_array, populate_array

from .numba_loop import STRICT


def bitcast(source: Any, target: Any, llvm_type: Any) -> Any:
    """The function from `source` to `target`, Numba types of one size, that keeps the bits."""

    @intrinsic
    def function(context: Any, x: Any) -> Any:
        def emit(_: Any, builder: Any, __: Any, args: Any) -> Any:
            return builder.bitcast(args[0], llvm_type)

        return target(source), emit

    return function


def _binary_intrinsic(name: str) -> Any:
    @intrinsic
    def function(context: Any, x: Any, y: Any) -> Any:
        def emit(_: Any, builder: Any, __: Any, args: Any) -> Any:
            t = args[0].type
            return builder.call(
                builder.module.declare_intrinsic(name, [t], ir.FunctionType(t, [t, t])), args
            )

        return x(x, x), emit

    return function


# NaN if either is NaN, as NumPy's; unlike `a if a > b else b`, LLVM vectorizes a loop's running
# maximum by them.
maximum = _binary_intrinsic("llvm.maximum")
minimum = _binary_intrinsic("llvm.minimum")
copysign = _binary_intrinsic("llvm.copysign")


def _row_at(context: Any, number: Any, address: Any, size: Any) -> Any:
    """row_at(number, address, size): the array of `size` adjacent numbers of that dtype there."""
    row = types.Array(number, 1, "C")

    def emit(context: Any, builder: Any, _: Any, args: Any) -> Any:
        array = make_array(row)(context, builder)
        item = context.get_constant(
            types.intp, context.get_abi_sizeof(context.get_data_type(number))
        )
        populate_array(
            array,
            data=builder.inttoptr(args[1], array.data.type),
            shape=cgutils.pack_array(builder, [args[2]]),
            strides=cgutils.pack_array(builder, [item]),
            itemsize=item,
            meminfo=None,
        )
        return array._getvalue()

    return row(number, types.intp, types.intp), emit


row_at: Any = intrinsic(_row_at)


@register_jitable(**STRICT)
def clamp(x: Any, low: Any, high: Any) -> Any:
    return low if x < low else (high if x > high else x)  # NaN passes through
