"""Convolution and transposed convolution as one node."""

from __future__ import annotations

from typing import Any

from ...backends import Array, DType
from ...kernels.spec import accumulator
from ..precision import rounded
from ..tape import Function, Node
from .dense import as_input, destination


class Convolution(Function):
    """out = f(x convolved with weight + bias), rounded to `half`; see kernels/convolution.

    Signals (n, c, l) with a weight (k, c / groups, s) are images of one row. `transposed` is the
    transposed convolution; `options` are its kernel's attributes.
    """

    @staticmethod
    def forward(
        node: Node,
        x: Array,
        weight: Array,
        bias: Array | None,
        *,
        transposed: bool,
        half: DType | None,
        options: dict[str, Any],
    ) -> Array:
        if half is not None:
            x, weight, bias = (rounded(t, half) for t in node.parents)
        x, weight = _image(x), _image(weight)
        run = node.ops.conv_transpose_forward if transposed else node.ops.convolution_forward
        out = run(x, weight, bias, **options)
        node.save(x, weight, out, transposed, options)
        return _like(out, node)

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        x, weight, out, transposed, options = node.saved
        run = node.ops.conv_transpose_backward if transposed else node.ops.convolution_backward
        kept = accumulator(weight.dtype)  # that of the gradients by weight and bias
        source = node.parents[0]
        assert source is not None
        places = (
            destination(node, 0, source.shape, x.dtype),
            node.into(1, kept),
            node.into(2, kept),
        )
        grads = run(
            _image(dout),
            x,
            weight,
            out,
            needs=node.needs,
            out=tuple(None if place is None else _image(place) for place in places),
            **options,
        )
        found = []
        for i, (place, grad) in enumerate(zip(places, grads, strict=True)):
            # The place itself, and not a view of it, tells that the gradient is there already.
            if place is not None:
                grad = place
            elif grad is not None and grad.ndim == 4 and source.ndim == 3:
                grad = grad[:, :, 0]
            found.append(as_input(node, i, grad))
        return tuple(found)


def _image(x: Array) -> Array:
    """Signals (n, c, l) as images (n, c, 1, l)."""
    return x[:, :, None] if x.ndim == 3 else x


def _like(out: Array, node: Node) -> Array:
    """Images of one row as signals, if that is what the node was given."""
    x = node.parents[0]
    assert x is not None
    return out[:, :, 0] if x.ndim == 3 else out
