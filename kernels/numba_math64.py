"""exp, log, tanh and erf for float64, without a branch: see numba_math.

exp, expm1  e^x = 2^n e^r, |r| <= ln 2 / 2; e^r by its Taylor series, whose rest is 4e-18
log, log1p  the series of log((1 + s) / (1 - s)) in minimax form, from FDLIBM (Sun, e_log.c)
tanh        (1 - e^-2x) / (1 + e^-2x) by expm1
erf         Cody's rational functions (see erf.py); |x| > 4 needs no third one: 1 - erf(x) is less
            than 2e-8 there, and the second one good to eight digits
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import register_jitable

from .erf import A, B, C, D
from .numba_intrinsics import bitcast, clamp, copysign
from .numba_loop import STRICT

i8 = np.int64
INFINITY, NAN = np.inf, np.nan
LOG2_E = 1.44269504088896338700
# ln 2 = high + low; n * high is exact for |n| < 2^20
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
ROUNDER = 6755399441055744.0  # 1.5 * 2^52: adding it leaves the nearest integer in the lowest bits
ROUNDER_BITS = i8(0x4338000000000000)
SQRT_HALF_BITS = i8(0x3FE6A09E667F3BCD)
SMALLEST_NORMAL, SCALE_54 = 2.0**-1022, 2.0**54

bits_to_float = bitcast(types.int64, types.float64, ir.DoubleType())
float_to_bits = bitcast(types.float64, types.int64, ir.IntType(64))


@register_jitable(**STRICT)
def _reduce(x: Any) -> Any:
    """(n, r) with x = n ln 2 + r, |r| <= ln 2 / 2 and n an integer, for |x| < 1100."""
    rounded = x * LOG2_E + ROUNDER
    n = rounded - ROUNDER
    r = x - n * LN2_HIGH
    return float_to_bits(rounded) - ROUNDER_BITS, r - n * LN2_LOW


@register_jitable(**STRICT)
def _expm1_series(r: Any) -> Any:
    """e^r - 1 for |r| <= ln 2 / 2."""
    y = r * (1.0 / 6227020800.0) + (1.0 / 479001600.0)
    y = y * r + (1.0 / 39916800.0)
    y = y * r + (1.0 / 3628800.0)
    y = y * r + (1.0 / 362880.0)
    y = y * r + (1.0 / 40320.0)
    y = y * r + (1.0 / 5040.0)
    y = y * r + (1.0 / 720.0)
    y = y * r + (1.0 / 120.0)
    y = y * r + (1.0 / 24.0)
    y = y * r + (1.0 / 6.0)
    y = y * r + 0.5
    return y * (r * r) + r


@register_jitable(**STRICT)
def _power_of_two(n: Any) -> Any:
    return bits_to_float((n + i8(1023)) << i8(52))


@register_jitable(**STRICT)
def exp(x: Any) -> Any:
    # Beyond these bounds the result is 0 or infinity. Two factors, because 2^n alone need not be a
    # normal number.
    n, r = _reduce(clamp(x, -746.0, 710.0))
    first = n >> i8(1)
    return (_expm1_series(r) + 1.0) * _power_of_two(first) * _power_of_two(n - first)


@register_jitable(**STRICT)
def expm1(x: Any) -> Any:
    n, r = _reduce(clamp(x, -40.0, 710.0))
    half_scale = _power_of_two(n - i8(1))
    value = (_expm1_series(r) * half_scale + (half_scale - 0.5)) * 2.0
    return x if x == 0.0 else value  # keeps the sign of zero


@register_jitable(**STRICT)
def _log_plus(x: Any, lost: Any) -> Any:
    """log(x) + lost for positive x, of which lost is a small part."""
    tiny = x < SMALLEST_NORMAL
    bits = float_to_bits(x * SCALE_54 if tiny else x)
    n = (bits - SQRT_HALF_BITS) >> i8(52)
    f = bits_to_float(bits - (n << i8(52))) - 1.0  # 1 + f = x / 2^n, in [sqrt 1/2, sqrt 2)
    # As a float by its bits: not every machine converts 64-bit integers in vectors.
    scale = bits_to_float(n - (i8(54) if tiny else i8(0)) + ROUNDER_BITS) - ROUNDER
    s = f / (2.0 + f)
    z = s * s
    y = z * 1.479819860511658591e-01 + 1.531383769920937332e-01
    y = y * z + 1.818357216161805012e-01
    y = y * z + 2.222219843214978396e-01
    y = y * z + 2.857142874366239149e-01
    y = y * z + 3.999999999940941908e-01
    y = y * z + 6.666666666666735130e-01
    half_square = 0.5 * f * f
    low = s * (half_square + y * z) + (scale * LN2_LOW + lost)
    return scale * LN2_HIGH - ((half_square - low) - f)


@register_jitable(**STRICT)
def log(x: Any) -> Any:
    value = _log_plus(x, 0.0)
    value = x if x >= INFINITY else value
    value = -INFINITY if x == 0.0 else value
    return value if x >= 0.0 else NAN


@register_jitable(**STRICT)
def log1p(x: Any) -> Any:
    u = 1.0 + x
    value = _log_plus(u, (x - (u - 1.0)) / u)  # what the rounding of 1 + x lost, to first order
    value = x if x >= INFINITY or x == 0.0 else value  # keeps the sign of zero
    value = -INFINITY if u == 0.0 else value
    return value if u >= 0.0 else NAN


@register_jitable(**STRICT)
def tanh(x: Any) -> Any:
    e = expm1(-2.0 * abs(x))
    return copysign(e / (e + 2.0), x)


@register_jitable(**STRICT)
def erf(x: Any) -> Any:
    y = abs(x)
    y = 6.0 if y > 6.0 else y
    near = y <= 0.46875
    square = y * y
    # x A(x^2) / B(x^2) near zero, 1 - e^(-x^2) C(x) / D(x) further out: one division for both.
    p = _polynomial(A, square) * y
    q = _polynomial(B, square)
    p = p if near else _polynomial(C, y)
    q = q if near else _polynomial(D, y)
    ratio = p / q
    return copysign(ratio if near else 1.0 - exp(-square) * ratio, x)


@register_jitable(**STRICT)
def _polynomial(coefficients: Any, x: Any) -> Any:
    value = coefficients[0]
    for i in range(1, len(coefficients)):
        value = value * x + coefficients[i]
    return value
