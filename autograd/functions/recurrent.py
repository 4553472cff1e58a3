"""Recurrent layers: one node for one layer and direction over a whole sequence.

Inputs are the projected sequence, weight, bias, the first states and the lengths. In mixed
precision they are rounded to `half`, but for the cell, which is a sum and stays float32.
"""

from __future__ import annotations

from typing import Any

from ...backends import Array, DType
from ...kernels.spec import accumulator
from ..precision import rounded
from ..tape import Function, Node
from .dense import as_input


def _operands(node: Node, half: DType | None) -> list[Array | None]:
    """projected, weight, bias and h0, rounded to `half` if there is one."""
    parents = node.parents[:4]
    if half is not None:
        return [rounded(t, half) for t in parents]
    return [None if t is None else t.data for t in parents]


def _save(node: Node, states: tuple[Array, ...], arrays: tuple[Any, ...], **options: Any) -> None:
    node.save([(s.shape, s.dtype) for s in states], arrays, options)


def _gradients(node: Node, backward: Any, douts: tuple[Array, ...]) -> tuple[Array | None, ...]:
    """The kernel's gradients in the dtypes of the inputs; the lengths have none."""
    _, (weight, *rest), options = node.saved
    kept = accumulator(weight.dtype)  # that of the gradients by weight and bias
    needs = node.needs[:-1]
    places = (None, node.into(1, kept), node.into(2, kept), *[None] * (len(needs) - 3))
    grads = backward(*douts, weight, *rest, needs=needs, out=places, **options)
    return *(as_input(node, i, grad) for i, grad in enumerate(grads)), None


class RNN(Function):
    """(out, last) = h' = f(x + h W + b) over all steps."""

    @staticmethod
    def forward(
        node: Node, *_: Array | None, nonlinearity: str, reverse: bool, half: DType | None
    ) -> tuple[Array, ...]:
        projected, weight, bias, h0 = _operands(node, half)
        lengths = _data(node, 4)
        options = {"nonlinearity": nonlinearity, "reverse": reverse}
        out, last = node.ops.rnn_forward(projected, weight, bias, h0, lengths, **options)
        _save(node, (out, last), (weight, h0, lengths, out), **options)
        return out, last

    @staticmethod
    def backward(node: Node, *douts: Array) -> tuple[Array | None, ...]:
        return _gradients(node, node.ops.rnn_backward, douts)


class LSTM(Function):
    """(out, last, cell) of a long short-term memory over all steps."""

    @staticmethod
    def forward(
        node: Node, *_: Array | None, reverse: bool, half: DType | None
    ) -> tuple[Array, ...]:
        projected, weight, bias, h0 = _operands(node, half)
        c0, lengths = _data(node, 4), _data(node, 5)
        out, last, cell, gates, cells = node.ops.lstm_forward(
            projected, weight, bias, h0, c0, lengths, reverse=reverse
        )
        saved = (weight, h0, c0, lengths, out, gates, cells)
        _save(node, (out, last, cell), saved, reverse=reverse)
        return out, last, cell

    @staticmethod
    def backward(node: Node, *douts: Array) -> tuple[Array | None, ...]:
        return _gradients(node, node.ops.lstm_backward, douts)


class GRU(Function):
    """(out, last) of gated recurrent units over all steps."""

    @staticmethod
    def forward(
        node: Node, *_: Array | None, reverse: bool, half: DType | None
    ) -> tuple[Array, ...]:
        projected, weight, bias, h0 = _operands(node, half)
        lengths = _data(node, 4)
        out, last, gates = node.ops.gru_forward(
            projected, weight, bias, h0, lengths, reverse=reverse
        )
        _save(node, (out, last), (weight, h0, lengths, out, gates), reverse=reverse)
        return out, last

    @staticmethod
    def backward(node: Node, *douts: Array) -> tuple[Array | None, ...]:
        return _gradients(node, node.ops.gru_backward, douts)


def _data(node: Node, i: int) -> Array | None:
    parent = node.parents[i]
    return None if parent is None else parent.data
