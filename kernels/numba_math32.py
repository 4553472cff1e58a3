"""exp, log, tanh and erf for float32, without a branch: see numba_math.

exp, expm1 and log reduce the argument by powers of two and use the minimax polynomials of S. L.
Moshier's Cephes library (expf, logf); log1p and expm1 keep the digits that forming 1 + x and
e^x - 1 would lose; tanh and erf are odd rational functions, those of the Eigen library.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import register_jitable

from .numba_intrinsics import bitcast, clamp
from .numba_loop import STRICT

# i4(...) around every sum of integers, because Numba takes two int32 to an int64.
f4, i4 = np.float32, np.int32
ZERO, HALF, ONE, TWO = f4(0.0), f4(0.5), f4(1.0), f4(2.0)
INFINITY, NAN = f4(np.inf), f4(np.nan)
LOG2_E = f4(1.44269504088896341)
LN2_HIGH, LN2_LOW = f4(0.693359375), f4(-2.12194440e-4)  # ln 2 = high + low; n * high is exact
ROUNDER = f4(12582912.0)  # 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits
ROUNDER_BITS = i4(0x4B400000)
SQRT_HALF_BITS = i4(0x3F3504F3)
TWO_OVER_SQRT_PI = f4(1.12837916709551257)
SMALLEST_NORMAL, SCALE_23 = f4(2.0**-126), f4(2.0**23)


bits_to_float = bitcast(types.int32, types.float32, ir.FloatType())
float_to_bits = bitcast(types.float32, types.int32, ir.IntType(32))


@register_jitable(**STRICT)
def _reduce(x: Any) -> Any:
    """(n, r) with x = n ln 2 + r, |r| <= ln 2 / 2 and n an integer, for |x| < 150."""
    rounded = x * LOG2_E + ROUNDER
    n = rounded - ROUNDER
    r = x - n * LN2_HIGH
    return i4(float_to_bits(rounded) - ROUNDER_BITS), r - n * LN2_LOW


@register_jitable(**STRICT)
def _expm1_polynomial(r: Any) -> Any:
    """e^r - 1 for |r| <= ln 2 / 2."""
    y = r * f4(1.9875691500e-4) + f4(1.3981999507e-3)
    y = y * r + f4(8.3334519073e-3)
    y = y * r + f4(4.1665795894e-2)
    y = y * r + f4(1.6666665459e-1)
    y = y * r + f4(5.0000001201e-1)
    return y * (r * r) + r


@register_jitable(**STRICT)
def _power_of_two(n: Any) -> Any:
    return bits_to_float(i4((n + i4(127)) << i4(23)))


@register_jitable(**STRICT)
def exp(x: Any) -> Any:
    # Beyond these bounds the result is 0 or infinity. Two factors, because 2^n alone need not be a
    # normal number.
    n, r = _reduce(clamp(x, f4(-104.0), f4(89.0)))
    first = i4(n >> i4(1))
    return (_expm1_polynomial(r) + ONE) * _power_of_two(first) * _power_of_two(i4(n - first))


@register_jitable(**STRICT)
def expm1(x: Any) -> Any:
    n, r = _reduce(clamp(x, f4(-40.0), f4(89.0)))
    half_scale = _power_of_two(n - i4(1))
    value = (_expm1_polynomial(r) * half_scale + (half_scale - HALF)) * TWO
    return x if x == ZERO else value  # keeps the sign of zero


@register_jitable(**STRICT)
def _log_plus(x: Any, lost: Any) -> Any:
    """log(x) + lost for positive x, of which lost is a small part."""
    tiny = x < SMALLEST_NORMAL
    bits = float_to_bits(x * SCALE_23 if tiny else x)
    exponent = i4(i4(bits - SQRT_HALF_BITS) >> i4(23))
    m = bits_to_float(i4(bits - (exponent << i4(23)))) - ONE  # in [sqrt 1/2 - 1, sqrt 2 - 1)
    n = f4(exponent) - (f4(23.0) if tiny else ZERO)
    y = m * f4(7.0376836292e-2) + f4(-1.1514610310e-1)
    y = y * m + f4(1.1676998740e-1)
    y = y * m + f4(-1.2420140846e-1)
    y = y * m + f4(1.4249322787e-1)
    y = y * m + f4(-1.6668057665e-1)
    y = y * m + f4(2.0000714765e-1)
    y = y * m + f4(-2.4999993993e-1)
    y = y * m + f4(3.3333331174e-1)
    square = m * m
    y = y * m * square + (n * LN2_LOW + lost) - HALF * square
    return m + y + n * LN2_HIGH


@register_jitable(**STRICT)
def log(x: Any) -> Any:
    value = _log_plus(x, ZERO)
    value = x if x >= INFINITY else value
    value = -INFINITY if x == ZERO else value
    return value if x >= ZERO else NAN


@register_jitable(**STRICT)
def log1p(x: Any) -> Any:
    u = ONE + x
    value = _log_plus(u, (x - (u - ONE)) / u)  # what the rounding of 1 + x lost, to first order
    value = x if x >= INFINITY or x == ZERO else value  # keeps the sign of zero
    value = -INFINITY if u == ZERO else value
    return value if u >= ZERO else NAN


@register_jitable(**STRICT)
def tanh(x: Any) -> Any:
    u = clamp(x, f4(-9.1), f4(9.1))
    s = u * u
    p = s * f4(-2.76076847742355e-16) + f4(2.00018790482477e-13)
    p = p * s + f4(-8.60467152213735e-11)
    p = p * s + f4(5.12229709037114e-08)
    p = p * s + f4(1.48572235717979e-05)
    p = p * s + f4(6.37261928875436e-04)
    p = p * s + f4(4.89352455891786e-03)
    q = s * f4(1.19825839466702e-06) + f4(1.18534705686654e-04)
    q = q * s + f4(2.26843463243900e-03)
    q = q * s + f4(4.89352518554385e-03)
    # Near zero tanh x = x to rounding, and p would lose the digits of the smallest numbers.
    return _saturate(x, x if s < f4(1e-7) else u * p / q, f4(7.9053111))


@register_jitable(**STRICT)
def erf(x: Any) -> Any:
    u = clamp(x, f4(-4.0), f4(4.0))
    s = u * u
    p = s * f4(-2.72614225801306e-10) + f4(2.77068142495902e-08)
    p = p * s + f4(-2.10102402082508e-06)
    p = p * s + f4(-5.69250639462346e-05)
    p = p * s + f4(-7.34990630326855e-04)
    p = p * s + f4(-2.95459980854025e-03)
    p = p * s + f4(-1.60960333262415e-02)
    q = s * f4(-1.45660718464996e-05) + f4(-2.13374055278905e-04)
    q = q * s + f4(-1.68282697438203e-03)
    q = q * s + f4(-7.37332916720468e-03)
    q = q * s + f4(-1.42647390514189e-02)
    return _saturate(x, x * TWO_OVER_SQRT_PI if s < f4(1e-7) else u * p / q, f4(3.92))


@register_jitable(**STRICT)
def _saturate(x: Any, value: Any, bound: Any) -> Any:
    """Exactly 1 or -1 beyond the bound: gelu relies on 1 + erf(x) = 0 far to the left."""
    return ONE if x > bound else (-ONE if x < -bound else value)
