"""The dense layer as one node, and matrix products."""

from __future__ import annotations

from math import prod

import numpy as np

from ...backends import Array, DType
from ...kernels.activation.reference import FROM_INPUT
from ...kernels.spec import accumulator
from ..precision import rounded
from ..tape import Function, Node
from .elementwise import unbroadcast


class Dense(Function):
    """out = f(x W + b) with x (..., in), W (in, out), b (out,) or None; rounded to `half`.

    Where x is another such layer's output and nothing else's input, the gradient that goes back is
    the one by that layer's sum x W + b, if the backend's products can take its derivative along.
    """

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        weight: Array,
        bias: Array | None,
        *,
        activation: str,
        alpha: float,
        half: DType | None,
    ) -> Array:
        if half is not None:
            x, weight, bias = (rounded(t, half) for t in node.parents)
        tracked = any(node.needs)
        rows = _rows(node, x)
        out, pre, signs = node.ops.dense_forward(
            rows,
            weight,
            bias,
            activation=activation,
            alpha=alpha,
            save_pre=tracked and activation in FROM_INPUT,
            save_signs=tracked and activation == "relu" and "relu" in node.backend.through,
        )
        node.save(rows, weight, out if pre is None else pre, signs, activation, alpha)
        return out if x.ndim == 2 else out.reshape(*x.shape[:-1], out.shape[1])

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, weight, saved, _, activation, alpha = node.saved
        leading, dout = dout.shape[:-1], _rows(node, dout)
        before = _before(node)
        needs = node.needs if before is None else (False, *node.needs[1:])
        kept = accumulator(weight.dtype)  # that of the gradients by weight and bias
        place = destination(node, 0, x.shape, x.dtype) if needs[0] else None
        dz, dx, dweight, dbias = node.ops.dense_backward(
            dout,
            x,
            weight,
            saved,
            activation="identity" if node.differentiated else activation,
            alpha=alpha,
            needs=needs,
            out=(None, place, node.into(1, kept), node.into(2, kept)),
        )
        node.differentiated = False
        if before is not None:
            _, _, pre, signs, kind, _ = before.saved
            dx = node.ops.dense_through(
                dout if dz is None else dz, weight, pre if signs is None else signs, activation=kind
            )
            before.differentiated = True
        dx = as_input(node, 0, dx)
        if dx is not None and len(leading) != 1:
            dx = dx.reshape(*leading, dx.shape[1])
        return dx, as_input(node, 1, dweight), as_input(node, 2, dbias)


def _before(node: Node) -> Node | None:
    """The dense layer before this one, if the product for dx may be multiplied by its slope."""
    parent = node.parents[0]
    before = None if parent is None or not node.needs[0] else parent.node
    if (
        before is None
        or before.function is not Dense
        or before.freed
        or before.consumers != 1
        or before.saved[4] not in node.backend.through
        or before.saved[0].dtype != node.saved[0].dtype
    ):
        return None
    return before


def _rows(node: Node, x: Array) -> Array:
    """x (..., k) as a matrix."""
    if x.ndim == 2:
        return x
    return node.backend.contiguous(x).reshape(prod(x.shape[:-1]), x.shape[-1])


class MatMul(Function):
    """out = a b with a (..., m, k), b (..., k, n); leading axes broadcast; rounded to `half`."""

    @staticmethod
    def forward(node: Node, a: Array, b: Array, *, half: DType | None) -> Array:
        if half is not None:
            a, b = (rounded(t, half) for t in node.parents)
        node.save(a, b)
        return node.ops.matmul(a, b)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        a, b = node.saved
        da = db = None
        if node.needs[0]:
            da = _product(node, 0, dout, b.swapaxes(-1, -2), a.shape)
        if node.needs[1]:
            db = _product(node, 1, a.swapaxes(-1, -2), dout, b.shape)
        return da, db


def _product(node: Node, i: int, a: Array, b: Array, shape: tuple[int, ...]) -> Array:
    """The gradient a b of input i, summed to its shape."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    whole = (*leading, a.shape[-2], b.shape[-1])
    out = node.ops.matmul(a, b, out=(destination(node, i, whole, a.dtype),))
    return as_input(node, i, unbroadcast(node, out, shape))


# A product of 16-bit operands is added in float32, and rounded only if the gradient is 16-bit.


def destination(node: Node, i: int, shape: tuple[int, ...], dtype: DType) -> Array | None:
    """Where a product of `dtype` operands writes the gradient of input i; None for a new array."""
    parent = node.parents[i]
    if parent is None or not node.needs[i]:
        return None
    wanted = parent.data.dtype
    if wanted not in (dtype, accumulator(dtype)):
        return None  # one 16-bit format from the other
    place = node.into(i) if shape == parent.shape else None
    if place is None and wanted != dtype:
        place = node.backend.empty(shape, wanted)
    return place


def as_input(node: Node, i: int, grad: Array | None) -> Array | None:
    """A gradient in the dtype of input i, which may be 16-bit itself."""
    parent = node.parents[i]
    if grad is None or parent is None or parent.data.dtype == grad.dtype:
        return grad
    return node.ops.copy(grad, dtype=parent.data.dtype.name)
