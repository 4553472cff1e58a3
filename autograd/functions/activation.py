"""Stand-alone activations, softmax, log-softmax, dropout."""

from __future__ import annotations

from ...backends import Array
from ...kernels.activation.reference import FROM_INPUT
from ..tape import Function, Node


class Activation(Function):
    """out = f(x), elementwise."""

    @staticmethod
    def forward(node: Node, x: Array, *, kind: str, alpha: float) -> Array:
        out = node.ops.activation_forward(x, kind=kind, alpha=alpha)
        node.save(x if kind in FROM_INPUT else out, kind, alpha)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        saved, kind, alpha = node.saved
        return (node.ops.activation_backward(dout, saved, kind=kind, alpha=alpha),)


class Softmax(Function):
    """Softmax over the last axis."""

    @staticmethod
    def forward(node: Node, x: Array) -> Array:
        out = node.ops.softmax_forward(x)
        node.save(out)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        return (node.ops.softmax_backward(dout, *node.saved),)


class LogSoftmax(Function):
    """Log-softmax over the last axis."""

    @staticmethod
    def forward(node: Node, x: Array) -> Array:
        out = node.ops.log_softmax_forward(x)
        node.save(out)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        return (node.ops.log_softmax_backward(dout, *node.saved),)


class Dropout(Function):
    """out = x * keep / (1 - p); the mask is drawn again in the backward pass, never stored."""

    @staticmethod
    def forward(node: Node, x: Array, *, p: float, span: int) -> Array:
        random = node.backend.random
        stream = random.stream()
        out, key = node.ops.dropout_forward(x, random.state, p=p, span=span, stream=stream)
        node.save(key, p, span, stream)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        key, p, span, stream = node.saved
        return (node.ops.dropout_backward(dout, key, p=p, span=span, stream=stream),)
