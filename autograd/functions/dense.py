"""The dense layer as one node, and matrix products."""

from __future__ import annotations

from ...backends import Array
from ...kernels.activation.reference import FROM_INPUT
from ..tape import Function, Node
from .elementwise import unbroadcast


class Dense(Function):
    """out = f(x W + b) with x (n, in), W (in, out), b (out,) or None."""

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        weight: Array,
        bias: Array | None,
        *,
        activation: str,
        alpha: float,
    ) -> Array:
        save_pre = activation in FROM_INPUT and any(node.needs)
        out, pre = node.ops.dense_forward(
            x, weight, bias, activation=activation, alpha=alpha, save_pre=save_pre
        )
        node.save(x, weight, out if pre is None else pre, activation, alpha)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, weight, saved, activation, alpha = node.saved
        _, dx, dweight, dbias = node.ops.dense_backward(
            dout,
            x,
            weight,
            saved,
            activation=activation,
            alpha=alpha,
            needs=node.needs,
            out=(None, node.into(0), node.into(1), node.into(2)),
        )
        return dx, dweight, dbias


class MatMul(Function):
    """out = a b with a (..., m, k), b (..., k, n); leading axes broadcast."""

    @staticmethod
    def forward(node: Node, a: Array, b: Array) -> Array:
        node.save(a, b)
        return node.ops.matmul(a, b)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        a, b = node.saved
        da = db = None
        if node.needs[0]:
            da = unbroadcast(node, node.ops.matmul(dout, b.swapaxes(-1, -2)), a.shape)
        if node.needs[1]:
            db = unbroadcast(node, node.ops.matmul(a.swapaxes(-1, -2), dout), b.shape)
        return da, db
