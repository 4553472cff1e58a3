"""Reductions over any axes, brought into the kernels' form (outer, n, inner)."""

from __future__ import annotations

import math

from ...backends import Array
from ..tape import Function, Node


class Reduce(Function):
    """out = kind of x over `axes` (sorted, non-negative); reduced axes are dropped."""

    @staticmethod
    def forward(node: Node, x: Array, *, kind: str, axes: tuple[int, ...]) -> Array:
        kept = tuple(i for i in range(x.ndim) if i not in axes)
        out_shape = tuple(x.shape[i] for i in kept)
        neighbours = not axes or axes[-1] - axes[0] == len(axes) - 1
        order = None if neighbours else kept + axes
        moved = node.backend.contiguous(x if order is None else x.transpose(order))
        first = (axes[0] if axes else 0) if order is None else len(kept)
        cube = moved.reshape(
            math.prod(moved.shape[:first]),
            math.prod(moved.shape[first : first + len(axes)]),
            math.prod(moved.shape[first + len(axes) :]),
        )
        out = node.ops.reduce_forward(cube, kind=kind)
        node.save(cube, out, moved.shape, order, kind)
        return out.reshape(out_shape)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        cube, out, moved_shape, order, kind = node.saved
        dout = node.backend.contiguous(dout).reshape(out.shape)
        dx = node.ops.reduce_backward(dout, cube, out, kind=kind)
        dx = dx.reshape(moved_shape)
        if order is not None:
            dx = dx.transpose(sorted(range(len(order)), key=order.__getitem__))
        return (dx,)
