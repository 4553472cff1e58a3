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


class BatchNorm(Function):
    """Channels of x (n, c, s) normalized by the batch's statistics, or by running ones.

    The running statistics and `tracked`, if they are given, are updated when training.
    """

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        scale: Array | None,
        shift: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        tracked: Array | None,
        *,
        training: bool,
        momentum: float | None,
        eps: float,
        activation: str,
    ) -> Array:
        options = {"eps": eps, "training": training, "activation": activation}
        out, stats = node.ops.batch_norm_forward(
            x, scale, shift, running_mean, running_var, **options
        )
        if training and running_mean is not None:
            count = x.shape[0] * x.shape[2]
            node.ops.track_statistics(
                running_mean, running_var, tracked, stats, momentum=momentum, count=count
            )
        node.save(x, None if activation == "identity" else out, stats, scale, options)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        *arrays, options = node.saved
        needs, out = node.needs[:3], (None, node.into(1), node.into(2))
        gradients = node.ops.batch_norm_backward(dout, *arrays, **options, needs=needs, out=out)
        return *gradients, None, None, None


class GroupNorm(Function):
    """Groups of channels of x (n, c, s) normalized in each sample.

    With one channel a group, running statistics, if they are given, are updated.
    """

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        scale: Array | None,
        shift: Array | None,
        running_mean: Array | None,
        running_var: Array | None,
        *,
        groups: int,
        momentum: float,
        eps: float,
    ) -> Array:
        out, stats = node.ops.group_norm_forward(x, scale, shift, groups=groups, eps=eps)
        if running_mean is not None:
            node.ops.track_statistics(
                running_mean, running_var, None, stats, momentum=momentum, count=x.shape[2]
            )
        node.save(x, stats, scale, groups, eps)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        *arrays, groups, eps = node.saved
        needs, out = node.needs[:3], (None, node.into(1), node.into(2))
        gradients = node.ops.group_norm_backward(
            dout, *arrays, groups=groups, eps=eps, needs=needs, out=out
        )
        return *gradients, None, None
