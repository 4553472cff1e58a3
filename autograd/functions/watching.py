"""A node that computes nothing: it shows the gradient that comes back to somebody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...backends import Array
from ...errors import ShapeError
from ..tape import Function, Node, apply
from ..tensor import Tensor


class Watch(Function):
    """out = x; `see(gradient)` may return another gradient."""

    @staticmethod
    def forward(node: Node, x: Array, *, see: Callable[[Tensor], Any]) -> Array:
        node.save(see)
        return x

    @staticmethod
    def backward(node: Node, dout: Array) -> tuple[Array | None, ...]:
        (see,) = node.saved
        other = see(Tensor(dout, node.backend))
        if other is None:
            return (dout,)
        if other.shape != dout.shape:
            raise ShapeError(
                f"a backward hook returned a gradient of shape {other.shape} in place of one of "
                f"shape {dout.shape}"
            )
        return (other.data,)


def watch_gradient(x: Tensor, see: Callable[[Tensor], Any]) -> Tensor:
    """x, whose gradient `see` is called with when it comes back."""
    out: Tensor = apply(Watch, x, see=see)
    return out
