"""Normalization as single nodes."""

from __future__ import annotations

from typing import ClassVar

from ...backends import Array
from ..tape import Function, Node


class LayerNorm(Function):
    """Rows of x (n, c), or of x + residual, normalized; with a residual also returns the sum."""

    takes_missing: ClassVar[bool] = True

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        residual: Array | None,
        scale: Array | None,
        shift: Array | None,
        *,
        eps: float,
        centered: bool,
    ) -> Array | tuple[Array, Array]:
        out, summed, stats = node.ops.layer_norm_forward(
            x, residual, scale, shift, eps=eps, centered=centered
        )
        node.save(x if summed is None else summed, stats, scale, eps, centered)
        return out if summed is None else (out, summed)

    @staticmethod
    def backward(
        node: Node, dout: Array | None, dsummed: Array | None = None
    ) -> tuple[Array | None, ...]:
        if dout is None:
            return dsummed, dsummed, None, None
        summed, stats, scale, eps, centered = node.saved
        dx, dscale, dshift = node.ops.layer_norm_backward(
            dout,
            dsummed,
            summed,
            stats,
            scale,
            eps=eps,
            centered=centered,
            needs=(node.needs[0] or node.needs[1], *node.needs[2:]),
            out=(None, node.into(2), node.into(3)),
        )
        return dx, dx, dscale, dshift
