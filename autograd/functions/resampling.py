"""Resampling as a node."""

from __future__ import annotations

from typing import Any

from ...backends import Array
from ..tape import Function, Node


class Upsample(Function):
    """Images x (n, c, h, w) at another size."""

    @staticmethod
    def forward(node: Node, x: Array, **options: Any) -> Array:
        node.save(x.shape[2:], options)
        return node.ops.upsample_forward(x, **options)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        size, options = node.saved
        return (node.ops.upsample_backward(dout, size=size, **options),)
