"""Functions that move elements and compute nothing: reshape, transpose, expand, index, join."""

from __future__ import annotations

from typing import Any

from ...backends import Array
from ..tape import Function, Node
from .elementwise import unbroadcast


class Reshape(Function):
    """The same elements in the same order under another shape."""

    @staticmethod
    def forward(node: Node, x: Array, *, shape: tuple[int, ...]) -> Array:
        node.save(x.shape)
        return node.backend.contiguous(x).reshape(shape)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        (shape,) = node.saved
        return (node.backend.contiguous(dout).reshape(shape),)


class Transpose(Function):
    """A view with its axes in another order."""

    @staticmethod
    def forward(node: Node, x: Array, *, axes: tuple[int, ...]) -> Array:
        node.save(axes)
        return x.transpose(axes)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        (axes,) = node.saved
        inverse = sorted(range(len(axes)), key=axes.__getitem__)
        return (dout.transpose(inverse),)


class Expand(Function):
    """A view that repeats axes of size 1, as broadcasting does."""

    @staticmethod
    def forward(node: Node, x: Array, *, shape: tuple[int, ...]) -> Array:
        node.save(x.shape)
        return node.backend.xp.broadcast_to(x, shape)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        (shape,) = node.saved
        return (unbroadcast(node, dout, shape),)


class Slice(Function):
    """A view by integers, slices, None and Ellipsis."""

    @staticmethod
    def forward(node: Node, x: Array, *, key: Any) -> Array:
        node.save(x.shape, key)
        return x[key]

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        shape, key = node.saved
        dx = node.backend.full(shape, 0.0, dout.dtype)
        view = dx[key]
        node.ops.copy(dout, dtype=dout.dtype.name, out=(view,))
        return (dx,)


class TakeRows(Function):
    """out[i] = x[index[i]] for a matrix x (rows, m) and int64 index (k,); row `skip` is fixed."""

    @staticmethod
    def forward(node: Node, x: Array, index: Array, *, skip: int = -1) -> Array:
        node.save(index, x.shape[0], skip)
        return node.ops.take_rows(x, index)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        index, rows, skip = node.saved
        dx = node.ops.scatter_add_rows(dout, index, rows=rows, skip=skip, out=(node.into(0),))
        return dx, None


class Concatenate(Function):
    """Arrays of equal shape but for one axis, one after the other along it."""

    @staticmethod
    def forward(node: Node, *xs: Array, axis: int) -> Array:
        sizes = [x.shape[axis] for x in xs]
        shape = (*xs[0].shape[:axis], sum(sizes), *xs[0].shape[axis + 1 :])
        out = node.backend.empty(shape, xs[0].dtype)
        for part, x in zip(_parts(out, sizes, axis), xs, strict=True):
            node.ops.copy(x, dtype=x.dtype.name, out=(part,))
        node.save(sizes, axis)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        sizes, axis = node.saved
        return tuple(_parts(dout, sizes, axis))


def _parts(x: Array, sizes: list[int], axis: int) -> list[Array]:
    parts, start = [], 0
    for size in sizes:
        parts.append(x[(slice(None),) * axis + (slice(start, start + size),)])
        start += size
    return parts
