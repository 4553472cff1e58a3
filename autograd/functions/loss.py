"""Losses as single nodes, and the L1/L2 penalty."""

from __future__ import annotations

from ...backends import Array
from ..tape import Function, Node

# In these, swapping prediction and target changes only the sign of the gradient.
SYMMETRIC = ("mse", "mae", "huber")


class PointwiseLoss(Function):
    """A loss of x (n, m) against a target (n, m), with weights (n,) or None."""

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        target: Array,
        sample_weight: Array | None,
        *,
        kind: str,
        delta: float,
        reduction: str,
    ) -> Array:
        node.save(x, target, sample_weight, kind, delta, reduction)
        return node.ops.pointwise_loss_forward(
            x, target, sample_weight, kind=kind, delta=delta, reduction=reduction
        )

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, target, sample_weight, kind, delta, reduction = node.saved
        dx = node.ops.pointwise_loss_backward(
            dout, x, target, sample_weight, kind=kind, delta=delta, reduction=reduction
        )
        dtarget = node.ops.unary_forward(dx, kind="negative") if node.needs[1] else None
        return dx, dtarget, None


class CrossEntropy(Function):
    """Cross-entropy of logits (n, c) against class indices (n,)."""

    @staticmethod
    def forward(
        node: Node,
        logits: Array,
        target: Array,
        class_weight: Array | None,
        sample_weight: Array | None,
        *,
        label_smoothing: float,
        ignore_index: int,
        reduction: str,
    ) -> Array:
        attributes = {
            "label_smoothing": label_smoothing,
            "ignore_index": ignore_index,
            "reduction": reduction,
        }
        out, stats, norm = node.ops.cross_entropy_forward(
            logits, target, class_weight, sample_weight, **attributes
        )
        node.save((logits, target, class_weight, sample_weight, stats, norm), attributes)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        arrays, attributes = node.saved
        return node.ops.cross_entropy_backward(dout, *arrays, **attributes), None, None, None


class SoftCrossEntropy(Function):
    """Cross-entropy of logits (n, c) against probabilities (n, c)."""

    @staticmethod
    def forward(
        node: Node,
        logits: Array,
        target: Array,
        class_weight: Array | None,
        sample_weight: Array | None,
        *,
        label_smoothing: float,
        reduction: str,
    ) -> Array:
        attributes = {"label_smoothing": label_smoothing, "reduction": reduction}
        out, stats = node.ops.soft_cross_entropy_forward(
            logits, target, class_weight, sample_weight, **attributes
        )
        node.save((logits, target, class_weight, sample_weight, stats), attributes)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        arrays, attributes = node.saved
        return node.ops.soft_cross_entropy_backward(dout, *arrays, **attributes), None, None, None


class Penalty(Function):
    """l1 sum |w| + l2 sum w^2."""

    @staticmethod
    def forward(node: Node, w: Array, *, l1: float, l2: float) -> Array:
        node.save(w, l1, l2)
        return node.ops.penalty_forward(w, l1=l1, l2=l2)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        w, l1, l2 = node.saved
        return (node.ops.penalty_backward(dout, w, l1=l1, l2=l2),)
