"""Activations, softmax and log-softmax."""

from __future__ import annotations

import math
from typing import Any

from ...errors import OptionError, ShapeError, choose
from ...kernels.activation.reference import KINDS
from ..dtypes import float_dtype, is_float
from ..functions.activation import Activation, LogSoftmax, Softmax
from ..precision import wide
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor

ALPHA = {"leaky_relu": 0.01, "elu": 1.0}


def activation(x: Operand, kind: str, alpha: float | None = None) -> Tensor:
    """The activation called `kind`, elementwise; kernels/activation/reference.py has the equations.

    `alpha` is the slope of leaky_relu (0.01) and the scale of elu (1), and must not be negative.

    >>> activation([-1.0, 0.0, 2.0], "relu").tolist()
    [0.0, 0.0, 2.0]
    """
    kind, alpha = check_activation(kind, alpha)
    return apply(Activation, as_tensor(x), kind=kind, alpha=alpha)


def check_activation(kind: str, alpha: float | None) -> tuple[str, float]:
    """The activation's name and its alpha, or an error."""
    if kind not in KINDS:
        raise OptionError(choose("activation", kind, KINDS))
    value = ALPHA.get(kind, 0.0) if alpha is None else float(alpha)
    if not value >= 0.0:
        raise OptionError(f"{kind}: alpha must not be negative, found {value}")
    return kind, value


def relu(x: Operand) -> Tensor:
    """max(x, 0)."""
    return activation(x, "relu")


def relu6(x: Operand) -> Tensor:
    """min(max(x, 0), 6)."""
    return activation(x, "relu6")


def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return activation(x, "leaky_relu", negative_slope)


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (e^x - 1)."""
    return activation(x, "elu", alpha)


def selu(x: Operand) -> Tensor:
    """The self-normalizing elu: scale * elu(x, alpha) with fixed scale and alpha."""
    return activation(x, "selu")


def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x Phi(x): exact with approximate="none", by tanh with approximate="tanh"."""
    if approximate not in ("none", "tanh"):
        raise OptionError(choose("approximation of gelu", approximate, ("none", "tanh")))
    return activation(x, "gelu" if approximate == "none" else "gelu_tanh")


def silu(x: Operand) -> Tensor:
    """x sigmoid(x), also called swish."""
    return activation(x, "silu")


def softplus(x: Operand) -> Tensor:
    """log(1 + e^x)."""
    return activation(x, "softplus")


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e^-x).

    >>> [round(v, 4) for v in sigmoid([-5.0, 0.0, 1.0]).tolist()]
    [0.0067, 0.5, 0.7311]
    """
    return activation(x, "sigmoid")


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent."""
    return activation(x, "tanh")


def hard_sigmoid(x: Operand) -> Tensor:
    """clip(x + 3, 0, 6) / 6."""
    return activation(x, "hard_sigmoid")


def hard_swish(x: Operand) -> Tensor:
    """x clip(x + 3, 0, 6) / 6."""
    return activation(x, "hard_swish")


def mish(x: Operand) -> Tensor:
    """x tanh(softplus(x))."""
    return activation(x, "mish")


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """e^(x_j - max x) / sum_k e^(x_k - max x) along `axis`.

    >>> [round(v, 3) for v in softmax([2.0, 1.0, 0.1]).tolist()]
    [0.659, 0.242, 0.099]
    """
    return _along(Softmax, "softmax", as_tensor(x), axis)


def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """log softmax(x) along `axis`, without overflow or cancellation."""
    return _along(LogSoftmax, "log_softmax", as_tensor(x), axis)


def _along(function: Any, name: str, x: Tensor, axis: int) -> Tensor:
    """A function of the last axis of a matrix, along any axis of any tensor."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"{name}: axis {axis} does not fit shape {x.shape}")
    if x.shape[axis] == 0:
        raise ShapeError(f"{name} along an empty axis of shape {x.shape} has no value")
    x = wide(x if is_float(x.dtype) else x.astype(float_dtype(None)))
    last = axis in (-1, x.ndim - 1)
    moved = x if last else x.swapaxes(axis, -1)
    rows = moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1])
    out = apply(function, rows).reshape(moved.shape)
    return out if last else out.swapaxes(axis, -1)
