"""The functions of numba_math over the whole range, held to the bounds that it names."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit
from tercet.kernels import numba_math

Function = Callable[[np.ndarray], np.ndarray]
# The next wider type of each dtype, in which the exact results are computed.
WIDER = {"float32": np.float64, "float64": np.longdouble}
# Where there is no wider type than float64, its own results may be off by one unit.
SLACK = {"float32": 0.0, "float64": float(np.finfo(np.longdouble).eps == np.finfo(float).eps)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def erf(x: np.ndarray) -> np.ndarray:
    """2 / sqrt(pi) e^(-x^2) sum_k 2^k x^(2k+1) / (1 3 5 ... (2k+1)): no term cancels another."""
    y = np.minimum(np.abs(x), 6.2)
    total, term = y.copy(), y
    for k in range(1, 150):
        term = term * (2 * y * y) / (2 * k + 1)
        total += term
    pi = x.dtype.type("3.14159265358979323846")
    return np.copysign(2 / np.sqrt(pi) * np.exp(-y * y) * total, x)


# The exact function and the largest error in units of the last place, for float32 and float64.
BOUNDS: dict[str, tuple[Function, dict[str, float]]] = {
    "exp": (np.exp, {"float32": 1, "float64": 1.1}),
    "expm1": (np.expm1, {"float32": 2, "float64": 2}),
    "log": (np.log, {"float32": 1, "float64": 1}),
    "log1p": (np.log1p, {"float32": 2, "float64": 1}),
    "tanh": (np.tanh, {"float32": 5, "float64": 3}),
    "erf": (erf, {"float32": 6, "float64": 4}),
    "sigmoid": (sigmoid, {"float32": 3, "float64": 3}),
}


@cache
def arguments(dtype: str) -> np.ndarray:
    """Bit patterns of all kinds, and many numbers where the functions change."""
    if dtype == "float32":
        bits = np.arange(0, 2**32, 9973, dtype=np.uint64).astype(np.uint32)
    else:
        bits = np.arange(400_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    near = [np.linspace(-b, b, 100_001) for b in (1.0, 10.0, 110.0, 750.0)]
    small = np.exp(np.linspace(-60.0, 0.0, 100_000))
    edges = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 5e-324, 1e-310, -1.0, 88.73, 709.79]
    numbers = np.concatenate([*near, small, -small, edges])
    return np.concatenate([bits.view(dtype), numbers.astype(dtype)])


@cache
def exact(name: str, dtype: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return BOUNDS[name][0](arguments(dtype).astype(WIDER[dtype]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    "fastmath", [False, {"contract", "nsz", "reassoc"}], ids=["strict", "fast"]
)
def test_error_bounds(name: str, fastmath: bool | set[str], dtype: str) -> None:
    function = getattr(numba_math, name)

    @njit(fastmath=fastmath, error_model="numpy")
    def apply(out: Any, x: Any) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    x = arguments(dtype)
    out = np.empty_like(x)
    apply(out, x)
    want = exact(name, dtype)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        np.testing.assert_array_equal(np.isnan(out), np.isnan(rounded))
        infinite = np.isinf(rounded) | np.isinf(out)
        np.testing.assert_array_equal(out[infinite], rounded[infinite])
        finite = np.isfinite(rounded)
        error = np.abs(out - want)[finite]
        unit = np.spacing(np.abs(rounded[finite]))
    bound = BOUNDS[name][1][dtype] + SLACK[dtype]
    worst = int((error / unit).argmax())
    assert error[worst] <= bound * unit[worst], f"{name}({x[finite][worst]}) = {out[finite][worst]}"
    if not fastmath and name in ("expm1", "log1p", "tanh", "erf"):
        assert math.copysign(1.0, out[(x == 0) & np.signbit(x)][0]) == -1.0
