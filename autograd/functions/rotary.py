"""Rotary position embedding as one node."""

from __future__ import annotations

from ...backends import Array
from ..tape import Function, Node


class Rotary(Function):
    """The first `heads` heads of x (batch, length, all heads, width), turned by their position."""

    @staticmethod
    def forward(node: Node, x: Array, table: Array, start: Array | None, *, heads: int) -> Array:
        node.save(table, start, heads)
        return node.ops.rotary_forward(x, table, start, heads=heads)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        table, start, heads = node.saved
        return node.ops.rotary_backward(dout, table, start, heads=heads), None, None
