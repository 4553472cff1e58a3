"""Flatten: images and other blocks as rows."""

from __future__ import annotations

from ..autograd import Tensor
from ..errors import ShapeError
from .module import Module


class Flatten(Module):
    """(n, a, b, ...) -> (n, a * b * ...).

    >>> import tercet as tc
    >>> Flatten()(tc.zeros(2, 3, 4)).shape
    (2, 12)
    """

    def forward(self, x: Tensor) -> Tensor:
        if not x.ndim:
            raise ShapeError("Flatten takes inputs (n, ...), found shape ()")
        return x.reshape(x.shape[0], -1) if x.shape[0] else x.flatten(1)
