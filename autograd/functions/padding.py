"""Padding as a node."""

from __future__ import annotations

from ...backends import Array
from ...kernels.padding.reference import Widths
from ..tape import Function, Node


class Pad(Function):
    """x with `widths` (a pair for every axis) around it."""

    @staticmethod
    def forward(node: Node, x: Array, *, widths: Widths, mode: str, value: float) -> Array:
        node.save(widths, mode)
        return node.ops.pad_forward(x, widths=widths, mode=mode, value=value)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        widths, mode = node.saved
        into = node.into(0, dout.dtype)
        return (node.ops.pad_backward(dout, widths=widths, mode=mode, out=(into,)),)
