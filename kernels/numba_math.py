"""Scalar functions for Numba loops, written so that LLVM turns a loop over them into vector code.

Calls into the C library cannot be vectorized. The functions here are polynomials without a branch:
every case is computed and selected. Nanoseconds an element on one core with AVX-512:

                            exp   expm1     log   log1p    tanh     erf   sigmoid
    float32                0.34    0.32    0.44    0.51    0.37    0.40    0.41
    float64                0.87    0.84    0.97    1.1     1.1     2.0     1.1
    float64, C library     4.3     5.7     3.5     5.2     9.2     6.6     4.4

Largest error over the whole range, in units of the last place of the exact result
(tests/kernels/test_loops_math.py holds them to it):

    float32                   1       2       1       2       5       6       3
    float64                   1.1     2       1       1       3       4       3

NaN gives NaN; infinities, overflow and denormals give what the C library gives.
"""

from typing import Any

from numba.core import types
from numba.extending import overload, register_jitable

from . import numba_math32, numba_math64
from .numba_loop import STRICT

# Elements below which a loop that computes one of these functions runs serially.
SERIAL_BELOW = 1 << 13


def _by_dtype(name: str) -> Any:
    """A function of one float, with a float32 and a float64 implementation."""
    by_dtype: dict[Any, Any] = {
        types.float32: getattr(numba_math32, name),
        types.float64: getattr(numba_math64, name),
    }

    def function(x: Any) -> Any:
        raise NotImplementedError("only inside a compiled loop")

    @overload(function, jit_options=STRICT)
    def choose(x: Any) -> Any:
        chosen: Any = by_dtype.get(x)

        def implementation(x: Any) -> Any:
            return chosen(x)

        return chosen and implementation

    return function


exp = _by_dtype("exp")
expm1 = _by_dtype("expm1")
log = _by_dtype("log")
log1p = _by_dtype("log1p")
tanh = _by_dtype("tanh")
erf = _by_dtype("erf")


@register_jitable(**STRICT)
def sigmoid(x: Any) -> Any:
    # e^-|x| never overflows, and the small tail keeps its relative accuracy.
    one = type(x)(1.0)
    e = exp(-abs(x))
    return (one if x >= 0 else e) / (one + e)
