"""Scalar functions for Numba loops, written so that LLVM turns a loop over them into vector code.

Calls into the C library cannot be vectorized. The functions here are polynomials without a branch:
every case is computed and selected. Nanoseconds an element, one thread of an AVX-512 machine:

                         exp   expm1    log   log1p   tanh    erf   sigmoid

Largest error over the whole range, in units of the last place of the exact result where that is a
normal number (tests/kernels/test_loops_math.py holds them to it):

NaN gives NaN; infinities and overflow give what the C library gives; a denormal result may be off
by the smallest normal number.
"""

from typing import Any

from numba.core import types
from numba.extending import overload, register_jitable

from . import numba_math32, numba_math64
from .numba_loop import STRICT


def _by_dtype(name: str) -> Any:
    """A function of one float, with a float32 and a float64 implementation."""
    by_dtype = {types.float32: getattr(numba_math32, name)}
    by_dtype[types.float64] = getattr(numba_math64, name)

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
