"""Random flips and shifts of images."""

from __future__ import annotations

from ...backends import Array
from ..tape import Function, Node


class Augment(Function):
    """x (n, channels, h, w, channels), flipped and shifted; the backward pass draws again."""

    @staticmethod
    def forward(node: Node, x: Array, *, shift: tuple[int, int], flip: tuple[bool, bool]) -> Array:
        random = node.backend.random
        stream = random.stream()
        out, key = node.ops.augment_forward(x, random.state, shift=shift, flip=flip, stream=stream)
        node.save(key, shift, flip, stream)
        return out

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        key, shift, flip, stream = node.saved
        return (node.ops.augment_backward(dout, key, shift=shift, flip=flip, stream=stream),)
