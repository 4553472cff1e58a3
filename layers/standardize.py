"""Standardization as a part of the model, so that a saved model takes raw data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor, tensor
from ..errors import ShapeError
from .module import Module


class Standardize(Module):
    """(x - mean) / scale, or with `inverse` x * scale + mean, over the last axes.

    Shapes: x (..., *features) -> the same; `mean` and `scale` have the shape `features` and are
    buffers: saved with the model, not trained. Fit them on the training part only.

    >>> import tercet as tc
    >>> Standardize([1.0, 2.0], [2.0, 4.0])(tc.tensor([[3.0, 6.0]])).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, mean: Any, scale: Any, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        values = [np.asarray(v, dtype=self.dtype) for v in (mean, scale)]
        if values[0].shape != values[1].shape:
            raise ShapeError(
                f"Standardize: mean {values[0].shape} and scale {values[1].shape} differ in shape"
            )
        self.register_buffer("mean", tensor(values[0], self.dtype))
        self.register_buffer("scale", tensor(values[1], self.dtype))

    mean: Tensor
    scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim <= self.mean.ndim or x.shape[x.ndim - self.mean.ndim :] != self.mean.shape:
            raise ShapeError(
                f"Standardize takes inputs (n, {', '.join(map(str, self.mean.shape))}), "
                f"found shape {x.shape}"
            )
        return x * self.scale + self.mean if self.inverse else (x - self.mean) / self.scale

    def config(self) -> dict[str, Any]:
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "inverse": self.inverse,
        }
