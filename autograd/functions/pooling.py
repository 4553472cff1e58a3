"""Pooling as single nodes."""

from __future__ import annotations

from typing import Any

from ...backends import Array
from ..tape import Function, Node


class MaxPool(Function):
    """The largest element of each window of x (n, c, h, w)."""

    @staticmethod
    def forward(node: Node, x: Array, **windows: Any) -> Array:
        out, index = node.ops.max_pool_forward(x, **windows)
        node.save(index, x.shape[2:], windows)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        index, size, windows = node.saved
        return (node.ops.max_pool_backward(dout, index, size=size, **windows),)


class AvgPool(Function):
    """The mean of each window of x (n, c, h, w)."""

    @staticmethod
    def forward(node: Node, x: Array, **windows: Any) -> Array:
        node.save(x.shape[2:], windows)
        return node.ops.avg_pool_forward(x, **windows)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        size, windows = node.saved
        return (node.ops.avg_pool_backward(dout, size=size, **windows),)
