"""Activations, elementwise: out = f(x), and dx = dout * f'(x).

The derivative is computed from one saved array: from the output for the kinds in FROM_OUTPUT (so
that a layer need not keep its input), from the input for those in FROM_INPUT.

    relu         max(x, 0)                               Nair & Hinton, 2010
    relu6        min(max(x, 0), 6)                       Krizhevsky, 2010
    leaky_relu   x if x > 0 else alpha x                 Maas et al., 2013
    elu          x if x > 0 else alpha (e^x - 1)         Clevert et al., 2016
    selu         scale * elu(x) with fixed alpha         Klambauer et al., 2017
    gelu         x Phi(x), exact by erf                  Hendrycks & Gimpel, 2016
    gelu_tanh    its tanh approximation                  ibid., section 2
    silu         x sigmoid(x)                            Elfwing et al., 2018
    softplus     log(1 + e^x)                            Dugas et al., 2001
    sigmoid      1 / (1 + e^-x)
    tanh         tanh(x)
    hard_sigmoid clip(x + 3, 0, 6) / 6                   Howard et al., 2019, section 5.2
    hard_swish   x clip(x + 3, 0, 6) / 6                 ibid.
    mish         x tanh(softplus(x))                     Misra, 2019
    identity     x
"""

import math
from collections.abc import Callable
from typing import Any

from ..erf import erf
from ..spec import Array

SELU_SCALE = 1.0507009873554804934
SELU_ALPHA = 1.6732632423543772848
SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
GELU_CUBIC = 0.044715


def sigmoid(xp: Any, x: Array) -> Array:
    # e^-|x| never overflows, and the small tail keeps its relative accuracy.
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1.0 + e)


def softplus(xp: Any, x: Array) -> Array:
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def relu(xp: Any, x: Array, alpha: float) -> Array:
    return xp.maximum(x, 0)


def relu_grad(xp: Any, y: Array, alpha: float) -> Array:
    return y > 0


def relu6(xp: Any, x: Array, alpha: float) -> Array:
    return xp.clip(x, 0.0, 6.0)


def relu6_grad(xp: Any, y: Array, alpha: float) -> Array:
    return (y > 0) & (y < 6)


def leaky_relu(xp: Any, x: Array, alpha: float) -> Array:
    return xp.where(x > 0, x, alpha * x)


def leaky_relu_grad(xp: Any, y: Array, alpha: float) -> Array:
    return xp.where(y > 0, 1.0, alpha).astype(y.dtype)


def elu(xp: Any, x: Array, alpha: float) -> Array:
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


def elu_grad(xp: Any, y: Array, alpha: float) -> Array:
    return xp.where(y > 0, 1.0, y + alpha)


def selu(xp: Any, x: Array, alpha: float) -> Array:
    return SELU_SCALE * elu(xp, x, SELU_ALPHA)


def selu_grad(xp: Any, y: Array, alpha: float) -> Array:
    return xp.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)


def gelu(xp: Any, x: Array, alpha: float) -> Array:
    return 0.5 * x * (1.0 + erf(xp, x * SQRT_HALF))


def gelu_grad(xp: Any, x: Array, alpha: float) -> Array:
    density = xp.exp(-0.5 * x * x) * INV_SQRT_2PI
    return 0.5 * (1.0 + erf(xp, x * SQRT_HALF)) + x * density


def gelu_tanh(xp: Any, x: Array, alpha: float) -> Array:
    return 0.5 * x * (1.0 + xp.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x)))


def gelu_tanh_grad(xp: Any, x: Array, alpha: float) -> Array:
    t = xp.tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x))
    inner = SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * x * x)
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner


def silu(xp: Any, x: Array, alpha: float) -> Array:
    return x * sigmoid(xp, x)


def silu_grad(xp: Any, x: Array, alpha: float) -> Array:
    s = sigmoid(xp, x)
    return s * (1.0 + x * (1.0 - s))


def softplus_forward(xp: Any, x: Array, alpha: float) -> Array:
    return softplus(xp, x)


def softplus_grad(xp: Any, y: Array, alpha: float) -> Array:
    return -xp.expm1(-y)


def sigmoid_forward(xp: Any, x: Array, alpha: float) -> Array:
    return sigmoid(xp, x)


def sigmoid_grad(xp: Any, y: Array, alpha: float) -> Array:
    return y * (1.0 - y)


def tanh(xp: Any, x: Array, alpha: float) -> Array:
    return xp.tanh(x)


def tanh_grad(xp: Any, y: Array, alpha: float) -> Array:
    return 1.0 - y * y


def hard_sigmoid(xp: Any, x: Array, alpha: float) -> Array:
    return xp.clip(x + 3.0, 0.0, 6.0) / 6.0


def hard_sigmoid_grad(xp: Any, y: Array, alpha: float) -> Array:
    return xp.where((y > 0) & (y < 1), 1.0 / 6.0, 0.0).astype(y.dtype)


def hard_swish(xp: Any, x: Array, alpha: float) -> Array:
    return x * xp.clip(x + 3.0, 0.0, 6.0) / 6.0


def hard_swish_grad(xp: Any, x: Array, alpha: float) -> Array:
    return xp.where(x <= -3.0, 0.0, xp.where(x < 3.0, x / 3.0 + 0.5, 1.0)).astype(x.dtype)


def mish(xp: Any, x: Array, alpha: float) -> Array:
    return x * xp.tanh(softplus(xp, x))


def mish_grad(xp: Any, x: Array, alpha: float) -> Array:
    t = xp.tanh(softplus(xp, x))
    return t + x * sigmoid(xp, x) * (1.0 - t * t)


def identity(xp: Any, x: Array, alpha: float) -> Array:
    return x


def identity_grad(xp: Any, y: Array, alpha: float) -> Array:
    return xp.ones_like(y)


Rule = Callable[[Any, Array, float], Array]
FROM_OUTPUT: dict[str, tuple[Rule, Rule]] = {
    "identity": (identity, identity_grad),
    "relu": (relu, relu_grad),
    "leaky_relu": (leaky_relu, leaky_relu_grad),
    "elu": (elu, elu_grad),
    "selu": (selu, selu_grad),
    "softplus": (softplus_forward, softplus_grad),
    "sigmoid": (sigmoid_forward, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_grad),
    "relu6": (relu6, relu6_grad),
}
FROM_INPUT: dict[str, tuple[Rule, Rule]] = {
    "gelu": (gelu, gelu_grad),
    "gelu_tanh": (gelu_tanh, gelu_tanh_grad),
    "silu": (silu, silu_grad),
    "hard_swish": (hard_swish, hard_swish_grad),
    "mish": (mish, mish_grad),
}
KINDS = FROM_OUTPUT | FROM_INPUT


def activation_forward(xp: Any, out: Array, x: Array, *, kind: str, alpha: float) -> None:
    """out = f(x); x and out have one shape. `alpha` is the slope or scale of leaky_relu and elu."""
    out[...] = KINDS[kind][0](xp, x, alpha)


def activation_backward(
    xp: Any, dx: Array, dout: Array, saved: Array, *, kind: str, alpha: float
) -> None:
    """dx = dout * f'(x), with `saved` the output of f for FROM_OUTPUT, its input for FROM_INPUT."""
    xp.multiply(dout, KINDS[kind][1](xp, saved, alpha), out=dx)
