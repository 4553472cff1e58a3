"""Dropout of elements, of channels, of whole samples."""

from __future__ import annotations

import math

from ...errors import OptionError, ShapeError
from ..functions.activation import Dropout
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor


def dropout(x: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p).

    Outside training the input itself. The mask depends on the seed, not on the backend.
    """
    return _dropout("dropout", as_tensor(x), p, training, 0)


def spatial_dropout(
    x: Operand, p: float = 0.5, training: bool = True, channels_last: bool = False
) -> Tensor:
    """The same for whole channels of x (n, c, ...), or of x (n, ..., c) with `channels_last`."""
    x = as_tensor(x)
    if x.ndim < 3:
        raise ShapeError(f"spatial_dropout takes x (n, c, ...), found shape {x.shape}")
    if not channels_last:
        return _dropout("spatial_dropout", x, p, training, 2)
    return _dropout("spatial_dropout", x.moveaxis(-1, 1), p, training, 2).moveaxis(1, -1)


def stochastic_depth(x: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """The same for whole samples of x (n, ...): what a residual branch gives, or nothing."""
    return _dropout("stochastic_depth", as_tensor(x), p, training, 1)


def check_p(name: str, p: float) -> float:
    """The probability, or an error."""
    if not 0.0 <= p < 1.0:
        raise OptionError(f"{name}: p must be in [0, 1), found {p}")
    return float(p)


def _dropout(name: str, x: Tensor, p: float, training: bool, leading: int) -> Tensor:
    """One draw for each index along the `leading` first axes; 0 is one for each element."""
    p = check_p(name, p)
    if not training or not p:
        return x
    span = math.prod(x.shape[leading:]) if leading else 1
    return apply(Dropout, x, p=p, span=max(span, 1))
