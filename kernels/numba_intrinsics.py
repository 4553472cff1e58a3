"""Operations that Numba's Python lacks, as single instructions of LLVM."""

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic, register_jitable

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


@register_jitable(**STRICT)
def clamp(x: Any, low: Any, high: Any) -> Any:
    return low if x < low else (high if x > high else x)  # NaN passes through
