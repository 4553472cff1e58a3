"""The float32 functions of numba_math over the whole range, held to the bounds that it names."""

import math
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit
from tercet.kernels import numba_math
from tercet.kernels.erf import erf


def sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


BOUNDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "exp": (np.exp, 1),
    "expm1": (np.expm1, 2),
    "log": (np.log, 1),
    "log1p": (np.log1p, 2),
    "tanh": (np.tanh, 5),
    "erf": (lambda x: erf(np, x), 6),
    "sigmoid": (sigmoid, 3),
}


def arguments() -> np.ndarray:
    """Every 9973rd float32 there is, and many where the functions change."""
    everywhere = np.arange(0, 2**32, 9973, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = [np.linspace(-b, b, 200_001, dtype=np.float32) for b in (1.0, 10.0, 110.0)]
    edges = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, -1.0, 88.73], np.float32)
    return np.concatenate([everywhere, *near, edges])


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    "fastmath", [False, {"contract", "nsz", "reassoc"}], ids=["strict", "fast"]
)
def test_error_bounds(name: str, fastmath: bool | set[str]) -> None:
    function, (exact, bound) = getattr(numba_math, name), BOUNDS[name]

    @njit(fastmath=fastmath, error_model="numpy")
    def apply(out, x):  # type: ignore[no-untyped-def]
        for i in range(x.size):
            out[i] = function(x[i])

    x = arguments()
    out = np.empty_like(x)
    apply(out, x)
    with np.errstate(all="ignore"):
        want = exact(x.astype(np.float64))
        rounded = want.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(out), np.isnan(rounded))
        infinite = np.isinf(rounded) | np.isinf(out)
        np.testing.assert_array_equal(out[infinite], rounded[infinite])
        finite = np.isfinite(rounded)
        error = np.abs(out - want)[finite]
        unit = np.spacing(np.maximum(np.abs(rounded[finite]), np.float32(2.0**-126)))
    worst = int((error / unit).argmax())
    assert error[worst] <= bound * unit[worst], f"{name}({x[finite][worst]}) = {out[finite][worst]}"
    if not fastmath and name in ("expm1", "log1p", "tanh", "erf"):
        assert math.copysign(1.0, out[x.view(np.uint32) == 2**31][0]) == -1.0
