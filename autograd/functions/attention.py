"""Attention as one node, from three arrays or from a fused product."""

from __future__ import annotations

from typing import Any

from ...backends import Array
from ..tape import Function, Node


class Attention(Function):
    """Attention of q (batch, heads, queries, width) over k and v (batch, groups, keys, width).

    The result's numbers lie as (batch, queries, heads, width): heads are joined without a copy.
    """

    @staticmethod
    def forward(
        node: Node,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        padding: Array | None,
        lengths: Array | None,
        start: Array | None,
        *,
        causal: bool,
        scale: float,
        p: float,
    ) -> Array:
        sight = (mask, padding, lengths, start)
        out, saved, attributes = _forward(node, q, k, v, sight, causal, scale, p)
        node.save(q, k, v, sight, saved, attributes)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        q, k, v, sight, saved, attributes = node.saved
        gradients = node.ops.attention_backward(dout, q, k, v, *sight, *saved, **attributes)
        return (*gradients, None, None, None, None)


class FusedAttention(Function):
    """The same of x (batch, length, heads + 2 groups, width): all of q's heads, k's, v's."""

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        mask: Array | None,
        padding: Array | None,
        *,
        groups: int,
        causal: bool,
        scale: float,
        p: float,
    ) -> Array:
        sight = (mask, padding, None, None)
        out, saved, attributes = _forward(node, *_parts(x, groups), sight, causal, scale, p)
        node.save(x, groups, sight, saved, attributes)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, groups, sight, saved, attributes = node.saved
        dx = node.backend.empty(x.shape, x.dtype)
        node.ops.attention_backward(
            dout, *_parts(x, groups), *sight, *saved, **attributes, out=_parts(dx, groups)
        )
        return dx, None, None


def _parts(x: Array, groups: int) -> tuple[Array, Array, Array]:
    """Views of q, k and v in a fused product."""
    heads = x.shape[2] - 2 * groups
    q, k, v = x[:, :, :heads], x[:, :, heads : heads + groups], x[:, :, heads + groups :]
    return q.swapaxes(1, 2), k.swapaxes(1, 2), v.swapaxes(1, 2)


def _forward(
    node: Node,
    q: Array,
    k: Array,
    v: Array,
    sight: tuple[Array | None, ...],
    causal: bool,
    scale: float,
    p: float,
) -> tuple[Array, tuple[Array | None, ...], dict[str, Any]]:
    """out; (out, stats, key), which the backward pass needs; the kernels' attributes."""
    batch, heads, queries, _ = q.shape
    out = node.backend.empty((batch, queries, heads, v.shape[3]), q.dtype).swapaxes(1, 2)
    random = node.backend.random
    state, stream = (random.state, random.stream()) if p else (None, 0)
    attributes = {"causal": causal, "scale": scale, "p": p, "stream": stream}
    saved = node.ops.attention_forward(q, k, v, *sight, state, **attributes, out=(out, None, None))
    return out, saved, attributes
