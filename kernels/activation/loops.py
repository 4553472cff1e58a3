"""Activations as one pass over memory each: a scalar rule in a flat loop.

`activate` and `slope` are what other families fuse into their own loops. Rules are built for the
loop's float class, because a Python constant would turn float32 arithmetic into float64.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ..numba_loop import chosen_by_kind, flat, loops, parts_for, share
from ..numba_math import SERIAL_BELOW, erf, exp, expm1, log1p, sigmoid, tanh
from ..spec import Array
from .reference import (
    GELU_CUBIC,
    INV_SQRT_2PI,
    KINDS,
    SELU_ALPHA,
    SELU_SCALE,
    SQRT_2_OVER_PI,
    SQRT_HALF,
)

# Without exponentials: as cheap as a copy.
PLAIN = ("identity", "relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_swish")
KIND_NUMBER = {name: number for number, name in enumerate(KINDS)}
# e^20 + 1 = e^20 in both dtypes as far as mish can tell, and its square does not overflow.
MISH_LINEAR = 20.0

Rule = Callable[[Any, Any], Any]


def _pairs(f: Any) -> dict[str, tuple[Rule, Rule]]:
    """(f(x), f'(saved)) by kind, in the float class `f`; NaN takes the last branch of each."""
    zero, half, one, two, three, six = f(0), f(0.5), f(1), f(2), f(3), f(6)
    third, sixth = f(1 / 3), f(1 / 6)
    scale, scaled_alpha = f(SELU_SCALE), f(SELU_SCALE * SELU_ALPHA)
    sqrt_half, inv_sqrt_2pi = f(SQRT_HALF), f(INV_SQRT_2PI)
    root, cubic, cubic_3 = f(SQRT_2_OVER_PI), f(GELU_CUBIC), f(3 * GELU_CUBIC)
    mish_linear = f(MISH_LINEAR)

    def identity(x: Any, alpha: Any) -> Any:
        return x

    def identity_slope(y: Any, alpha: Any) -> Any:
        return one

    def relu(x: Any, alpha: Any) -> Any:
        return zero if x <= zero else x

    def relu_slope(y: Any, alpha: Any) -> Any:
        return one if y > zero else zero

    def relu6(x: Any, alpha: Any) -> Any:
        return zero if x <= zero else (six if x > six else x)

    def relu6_slope(y: Any, alpha: Any) -> Any:
        return one if y > zero and y < six else zero

    def leaky_relu(x: Any, alpha: Any) -> Any:
        return x if x > zero else alpha * x

    def leaky_relu_slope(y: Any, alpha: Any) -> Any:
        return one if y > zero else alpha

    def elu(x: Any, alpha: Any) -> Any:
        return x if x > zero else alpha * expm1(x)

    def elu_slope(y: Any, alpha: Any) -> Any:
        return one if y > zero else y + alpha

    def selu(x: Any, alpha: Any) -> Any:
        return scale * x if x > zero else scaled_alpha * expm1(x)

    def selu_slope(y: Any, alpha: Any) -> Any:
        return scale if y > zero else y + scaled_alpha

    def softplus(x: Any, alpha: Any) -> Any:
        return (zero if x <= zero else x) + log1p(exp(-abs(x)))

    def softplus_slope(y: Any, alpha: Any) -> Any:
        return -expm1(-y)

    def logistic(x: Any, alpha: Any) -> Any:
        return sigmoid(x)

    def logistic_slope(y: Any, alpha: Any) -> Any:
        return y * (one - y)

    def hyperbolic(x: Any, alpha: Any) -> Any:
        return tanh(x)

    def hyperbolic_slope(y: Any, alpha: Any) -> Any:
        return one - y * y

    def hard_sigmoid(x: Any, alpha: Any) -> Any:
        u = x + three
        return (zero if u < zero else (six if u > six else u)) / six

    def hard_sigmoid_slope(y: Any, alpha: Any) -> Any:
        return sixth if y > zero and y < one else zero

    def gelu(x: Any, alpha: Any) -> Any:
        return half * x * (one + erf(x * sqrt_half))

    def gelu_slope(x: Any, alpha: Any) -> Any:
        return half * (one + erf(x * sqrt_half)) + x * exp(-half * x * x) * inv_sqrt_2pi

    def gelu_tanh(x: Any, alpha: Any) -> Any:
        return half * x * (one + tanh(root * (x + cubic * x * x * x)))

    def gelu_tanh_slope(x: Any, alpha: Any) -> Any:
        # (1 + tanh u) / 2 = sigmoid(2 u), whose small tail is exact where 1 + tanh u cancels.
        s = sigmoid(two * root * (x + cubic * x * x * x))
        inner = root * (one + cubic_3 * x * x)
        return s + two * x * s * (one - s) * inner

    def silu(x: Any, alpha: Any) -> Any:
        return x * sigmoid(x)

    def silu_slope(x: Any, alpha: Any) -> Any:
        s = sigmoid(x)
        return s * (one + x * (one - s))

    def hard_swish(x: Any, alpha: Any) -> Any:
        u = x + three
        return x * (zero if u < zero else (six if u > six else u)) / six

    def hard_swish_slope(x: Any, alpha: Any) -> Any:
        return zero if x <= -three else (x * third + half if x < three else one)

    # tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2), one exponential instead of three.
    def mish(x: Any, alpha: Any) -> Any:
        e = exp(mish_linear if x > mish_linear else x)
        n = e * (e + two)
        return x * (n / (n + two))

    def mish_slope(x: Any, alpha: Any) -> Any:
        e = exp(mish_linear if x > mish_linear else x)
        n = e * (e + two)
        t = n / (n + two)
        return t + x * sigmoid(x) * (one - t * t)

    return {
        "identity": (identity, identity_slope),
        "relu": (relu, relu_slope),
        "leaky_relu": (leaky_relu, leaky_relu_slope),
        "elu": (elu, elu_slope),
        "selu": (selu, selu_slope),
        "softplus": (softplus, softplus_slope),
        "sigmoid": (logistic, logistic_slope),
        "tanh": (hyperbolic, hyperbolic_slope),
        "hard_sigmoid": (hard_sigmoid, hard_sigmoid_slope),
        "relu6": (relu6, relu6_slope),
        "gelu": (gelu, gelu_slope),
        "gelu_tanh": (gelu_tanh, gelu_tanh_slope),
        "silu": (silu, silu_slope),
        "hard_swish": (hard_swish, hard_swish_slope),
        "mish": (mish, mish_slope),
    }


@chosen_by_kind
def activate(f: Any) -> Sequence[Rule]:
    """activate(kind, x, alpha)"""
    return [_pairs(f)[name][0] for name in KIND_NUMBER]


@chosen_by_kind
def slope(f: Any) -> Sequence[Rule]:
    """slope(kind, saved, alpha)"""
    return [_pairs(f)[name][1] for name in KIND_NUMBER]


@loops
def _forward(kind: int) -> Callable[..., None]:
    def activation_forward(t: int, parts: int, out: Array, x: Array, alpha: float) -> None:
        a = x.dtype.type(alpha)
        low, high = share(x.size, parts, t)
        o, u = out[low:high], x[low:high]
        for i in range(o.size):
            o[i] = activate(kind, u[i], a)

    return activation_forward


@loops
def _backward(kind: int) -> Callable[..., None]:
    def activation_backward(
        t: int, parts: int, dx: Array, dout: Array, saved: Array, alpha: float
    ) -> None:
        a = saved.dtype.type(alpha)
        low, high = share(saved.size, parts, t)
        d, g, s = dx[low:high], dout[low:high], saved[low:high]
        for i in range(d.size):
            d[i] = g[i] * slope(kind, s[i], a)

    return activation_backward


def _parts(size: int, kind: str) -> int:
    return parts_for(size) if kind in PLAIN else parts_for(size, serial_below=SERIAL_BELOW)


def activation_forward(out: Array, x: Array, *, kind: str, alpha: float) -> None:
    _forward(KIND_NUMBER[kind])(_parts(x.size, kind), flat(out), flat(x), float(alpha))


def activation_backward(dx: Array, dout: Array, saved: Array, *, kind: str, alpha: float) -> None:
    loop = _backward(KIND_NUMBER[kind])
    loop(_parts(dx.size, kind), flat(dx), flat(dout), flat(saved), float(alpha))


LOOPS = {"activation_forward": activation_forward, "activation_backward": activation_backward}
