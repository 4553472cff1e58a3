"""Layer and RMS normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..autograd.functional import add_layer_norm, add_rms_norm, layer_norm, rms_norm
from ..autograd.functional.normalization import check_eps, check_normalized_shape
from ..backends import Backend, get_backend
from ..errors import ShapeError
from .module import Module, Parameter


class _RowNorm(Module):
    """What both have: a shape, taken from the first input's last axis if None, and a weight."""

    def __init__(
        self, normalized_shape: int | Sequence[int] | None, elementwise_affine: bool, bias: bool
    ) -> None:
        super().__init__()
        self.elementwise_affine, self.use_bias = elementwise_affine, elementwise_affine and bias
        self.normalized_shape: tuple[int, ...] | None = None
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        if normalized_shape is not None:
            name = type(self).__name__
            self._build(check_normalized_shape(name, normalized_shape), get_backend())

    def _build(self, shape: tuple[int, ...], backend: Backend) -> None:
        self.normalized_shape = shape
        if self.elementwise_affine:
            self.weight = Parameter(np.ones(shape), backend, self._place[1])
        if self.use_bias:
            self.bias = Parameter(np.zeros(shape), backend, self._place[1])

    def _is_built(self) -> bool:
        return self.normalized_shape is not None

    def _shape(self, x: Tensor) -> tuple[int, ...]:
        """`normalized_shape`; with it the parameters, if these are yet to be made."""
        if self.normalized_shape is None:
            if not x.ndim or not x.shape[-1]:
                raise ShapeError(
                    f"{type(self).__name__} takes inputs (..., features), found shape {x.shape}"
                )
            self._build(x.shape[-1:], x.backend)
        assert self.normalized_shape is not None
        if x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            sizes = ", ".join(map(str, self.normalized_shape))
            raise ShapeError(f"{self!r} takes inputs (..., {sizes}), found shape {x.shape}")
        return self.normalized_shape

    def config(self) -> dict[str, Any]:
        return super().config() | {"normalized_shape": self.normalized_shape}


class LayerNorm(_RowNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last axes of each sample.

    Shapes: x (..., *normalized_shape) -> the same; `weight` (ones) and `bias` (zeros) of
    `normalized_shape`, absent with elementwise_affine=False; bias=False leaves the bias out. With
    normalized_shape=None it is the size of the last axis of the first input.

    Called as layer(x, residual), it normalizes x + residual and returns (normalized, x + residual),
    as one op: what a transformer block needs.

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> import tercet as tc
    >>> layer = LayerNorm(4)
    >>> layer(tc.ones(2, 3, 4)).shape, layer.num_parameters()
    ((2, 3, 4), 8)
    >>> normalized, summed = layer(tc.ones(2, 4), tc.ones(2, 4))
    >>> summed.tolist()[0]
    [2.0, 2.0, 2.0, 2.0]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int] | None = None,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(normalized_shape, elementwise_affine, bias)
        self.eps = check_eps("LayerNorm", eps)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        shape, weight, bias = self._shape(x), self.weight, self.bias
        if residual is None:
            return layer_norm(x, shape, weight, bias, self.eps)
        return add_layer_norm(x, residual, shape, weight, bias, self.eps)


class RMSNorm(_RowNorm):
    """x / sqrt(mean(x^2) + eps) * weight, over the last axes of each sample.

    Shapes and arguments as LayerNorm's; there is no bias. Without `eps` it is the dtype's own.

    Source: Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> import tercet as tc
    >>> RMSNorm(2, eps=0.0)(tc.tensor([[3.0, 3.0]])).tolist()
    [[1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int] | None = None,
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__(normalized_shape, elementwise_affine, False)
        self.eps = None if eps is None else check_eps("RMSNorm", eps)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Any:
        shape = self._shape(x)
        if residual is None:
            return rms_norm(x, shape, self.weight, self.eps)
        return add_rms_norm(x, residual, shape, self.weight, self.eps)
