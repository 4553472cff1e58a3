"""Elementwise functions with broadcasting, casts and copies."""

from __future__ import annotations

import math

from ...backends import Array
from ..tape import Function, Node


def unbroadcast(node: Node, grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which its operand was broadcast."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    for axis in range(grad.ndim):
        if axis < extra or shape[axis - extra] != grad.shape[axis]:
            grad = sum_axis(node, grad, axis)
    return grad.reshape(shape)


def sum_axis(node: Node, x: Array, axis: int) -> Array:
    """x summed over one axis, which stays with size 1."""
    outer = math.prod(x.shape[:axis])
    inner = math.prod(x.shape[axis + 1 :])
    total = node.ops.reduce_forward(x.reshape(outer, x.shape[axis], inner), kind="sum")
    return total.reshape(*x.shape[:axis], 1, *x.shape[axis + 1 :])


class Unary(Function):
    """out = kind(x)."""

    @staticmethod
    def forward(node: Node, x: Array, *, kind: str) -> Array:
        out = node.ops.unary_forward(x, kind=kind)
        node.save(x, out, kind)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, out, kind = node.saved
        return (node.ops.unary_backward(dout, x, out, kind=kind),)


class Binary(Function):
    """out = kind(a, b), broadcast."""

    @staticmethod
    def forward(node: Node, a: Array, b: Array, *, kind: str) -> Array:
        out = node.ops.binary_forward(a, b, kind=kind)
        node.save(a, b, out, kind)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        a, b, out, kind = node.saved
        da, db = node.ops.binary_backward(dout, a, b, out, kind=kind, needs=node.needs)
        return (
            None if da is None else unbroadcast(node, da, a.shape),
            None if db is None else unbroadcast(node, db, b.shape),
        )


class Where(Function):
    """out = a where condition else b, broadcast."""

    @staticmethod
    def forward(node: Node, condition: Array, a: Array, b: Array) -> Array:
        node.save(condition, a.shape, b.shape)
        return node.ops.where(condition, a, b)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        condition, a, b = node.saved
        zero = node.backend.full((), 0.0, dout.dtype)
        da = node.ops.where(condition, dout, zero) if node.needs[1] else None
        db = node.ops.where(condition, zero, dout) if node.needs[2] else None
        return (
            None,
            None if da is None else unbroadcast(node, da, a),
            None if db is None else unbroadcast(node, db, b),
        )


class Clip(Function):
    """out = min(max(x, low), high)."""

    @staticmethod
    def forward(node: Node, x: Array, *, low: float, high: float) -> Array:
        node.save(x, low, high)
        return node.ops.clip_forward(x, low=low, high=high)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, low, high = node.saved
        return (node.ops.clip_backward(dout, x, low=low, high=high),)


class Cast(Function):
    """out = x in another dtype, or a copy in the same."""

    @staticmethod
    def forward(node: Node, x: Array, *, dtype: str) -> Array:
        node.save(x.dtype.name)
        return node.ops.copy(x, dtype=dtype)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        (dtype,) = node.saved
        return (node.ops.copy(dout, dtype=dtype),)
