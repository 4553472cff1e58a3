"""Normalization of rows: layer and RMS normalization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import OptionError, ShapeError
from ...kernels.spec import accumulator
from ..dtypes import common_dtype, float_dtype, is_float
from ..functions.normalization import LayerNorm
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor


def layer_norm(
    x: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, of `normalized_shape`.

    Weight and bias have that shape, or are None. Of 16-bit tensors the statistics are float32, and
    so are weight and bias; the result is 16-bit.

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> layer_norm([[1.0, 3.0], [2.0, 2.0]], 2, eps=0.0625).tolist()[1]
    [0.0, 0.0]
    """
    return _normalize("layer_norm", x, None, normalized_shape, weight, bias, eps, True)[0]


def add_layer_norm(
    x: Operand,
    residual: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """layer_norm(x + residual) and x + residual, as one op.

    >>> [t.tolist() for t in add_layer_norm([[1.0, 1.0]], [[2.0, 2.0]], 2)]
    [[[0.0, 0.0]], [[3.0, 3.0]]]
    """
    args = (x, residual, normalized_shape, weight, bias, eps, True)
    out, summed = _normalize("add_layer_norm", *args)
    return out, summed


def rms_norm(
    x: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes, of `normalized_shape`.

    Without `eps`, the dtype's own: 1.2e-7 for float32.

    Source: Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> [round(v, 3) for v in rms_norm([3.0, 4.0], 2).tolist()]
    [0.849, 1.131]
    """
    return _normalize("rms_norm", x, None, normalized_shape, weight, None, eps, False)[0]


def add_rms_norm(
    x: Operand,
    residual: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> tuple[Tensor, Tensor]:
    """rms_norm(x + residual) and x + residual, as one op."""
    args = (x, residual, normalized_shape, weight, None, eps, False)
    out, summed = _normalize("add_rms_norm", *args)
    return out, summed


def check_eps(name: str, eps: float) -> float:
    """`eps` as a number that can be added to a variance, or an error."""
    if not 0.0 <= eps < math.inf:
        raise OptionError(f"{name}: eps must be a number that is not negative, found {eps}")
    return float(eps)


def check_normalized_shape(name: str, shape: Any) -> tuple[int, ...]:
    """The sizes of the axes to normalize over, or an error."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise OptionError(
            f"{name}: normalized_shape is a positive integer or a sequence of them, found {shape!r}"
        )
    return sizes


def beside_parameters(x: Operand, *parameters: Tensor | None) -> Tensor:
    """x as a floating tensor in whose accumulator the parameters are."""
    given = next((p for p in parameters if p is not None), None)
    if given is None:
        x = as_tensor(x)
        return x if is_float(x.dtype) else x.astype(float_dtype(None))
    x = as_tensor(x, given.backend, given.dtype)
    return x if accumulator(x.dtype) == given.dtype else x.astype(given.dtype)


def _normalize(
    name: str,
    x: Operand,
    residual: Operand | None,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float | None,
    centered: bool,
) -> tuple[Tensor, ...]:
    shape = check_normalized_shape(name, normalized_shape)
    x = beside_parameters(x, weight, bias)
    if x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{name}: expected x of shape (..., {', '.join(map(str, shape))}), found {x.shape}"
        )
    for what, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ShapeError(f"{name}: expected {what} {shape}, found {parameter.shape}")
    if residual is not None:
        residual = as_tensor(residual, x.backend, x.dtype)
        if residual.shape != x.shape:
            raise ShapeError(f"{name}: x {x.shape} and residual {residual.shape} differ in shape")
        both = common_dtype(x.dtype, residual.dtype)
        x, residual = x.astype(both), residual.astype(both)
    if eps is None:
        eps = float(np.finfo(accumulator(x.dtype)).eps)
    columns = math.prod(shape)

    def flat(t: Tensor | None, *sizes: int) -> Tensor | None:
        return t if t is None or t.shape == sizes else t.reshape(*sizes)

    rows = math.prod(x.shape[: x.ndim - len(shape)]), columns
    result = apply(
        LayerNorm,
        flat(x, *rows),
        flat(residual, *rows),
        flat(weight, columns),
        flat(bias, columns),
        eps=check_eps(name, eps),
        centered=centered,
    )
    outs = result if isinstance(result, tuple) else (result,)
    return tuple(out if out.shape == x.shape else out.reshape(*x.shape) for out in outs)
