"""Launchers of recurrent/cuda.cu: a step is one product by the runtime and one launch.

The host knows the steps beforehand, so that a captured training step holds them all in its graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..activation.cuda import NUMBER
from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..elementwise.cuda import copy, fill
from ..reduction.cuda import reduce
from ..spec import Array, accumulator

SOURCE = source_beside(__file__)


def _begin(runtime: Runtime, state: Array, given: Array | None) -> None:
    name = state.dtype.name
    if given is None:
        fill(runtime, state, shape=state.shape, dtype=name, value=0.0)
    else:
        copy(runtime, state, given, dtype=name)


def _forward(
    runtime: Runtime, last: Array, weight: Array, h0: Array | None, length: int, reverse: bool
) -> Iterator[tuple[Array | None, int]]:
    """Sets `last` to h0 and gives for every step, in turn, the product of the state and W.

    Before the first step without h0 there is none: the state is zero.
    """
    _begin(runtime, last, h0)
    product = runtime.workspace((last.shape[0], weight.shape[1]), accumulator(last.dtype))
    for n in range(length):
        if n or h0 is not None:
            runtime.gemm(product, last, weight)
        yield (product if n or h0 is not None else None), (length - 1 - n if reverse else n)


def rnn_forward(
    runtime: Runtime,
    out: Array,
    last: Array,
    projected: Array,
    weight: Array,
    bias: Array | None,
    h0: Array | None,
    lengths: Array | None,
    *,
    nonlinearity: str,
    reverse: bool,
) -> None:
    length, batch, hidden = out.shape
    for product, step in _forward(runtime, last, weight, h0, length, reverse):
        arrays = (out, last, product, projected, bias, lengths)
        numbers = (step, batch, hidden, NUMBER[nonlinearity])
        _launch(runtime, "rnn_step", last, *arrays, *numbers)


def lstm_forward(
    runtime: Runtime,
    out: Array,
    last: Array,
    cell: Array,
    gates: Array,
    cells: Array,
    projected: Array,
    weight: Array,
    bias: Array | None,
    h0: Array | None,
    c0: Array | None,
    lengths: Array | None,
    *,
    reverse: bool,
) -> None:
    length, batch, hidden = out.shape
    _begin(runtime, cell, c0)
    for product, step in _forward(runtime, last, weight, h0, length, reverse):
        arrays = (out, last, cell, gates, cells, product, projected, bias, lengths)
        _launch(runtime, "lstm_step", last, *arrays, step, batch, hidden)


def gru_forward(
    runtime: Runtime,
    out: Array,
    last: Array,
    gates: Array,
    projected: Array,
    weight: Array,
    bias: Array | None,
    h0: Array | None,
    lengths: Array | None,
    *,
    reverse: bool,
) -> None:
    length, batch, hidden = out.shape
    # Of 16-bit states the rounded one meets W, and this one the update gate.
    state = runtime.workspace(last.shape, accumulator(last.dtype))
    _begin(runtime, state, h0)
    for product, step in _forward(runtime, last, weight, h0, length, reverse):
        arrays = (out, last, gates, state, product, projected, bias, lengths)
        _launch(runtime, "gru_step", last, *arrays, step, batch, hidden)


class _Backward:
    """What the three backward passes have in common.

    dh        the gradient by the state that goes around W, of the steps that are done
    before    the states before every step
    passed    the gradient by the state that passed by W; None before the first product
    """

    def __init__(self, runtime: Runtime, out: Array, weight: Array, dlast: Array) -> None:
        self.runtime, self.weight, self.shape = runtime, weight, out.shape
        wide = accumulator(out.dtype)
        self.dh = runtime.workspace(dlast.shape, wide)
        _begin(runtime, self.dh, dlast)
        self.before = runtime.workspace(out.shape, out.dtype)
        self._product = runtime.workspace(dlast.shape, wide)
        self.passed: Array | None = None

    def steps(self, reverse: bool, da: Array) -> Iterator[tuple[int, ...]]:
        """(step, the one before it, sizes) for every launch, which fills da[step]."""
        length = self.shape[0]
        for n in range(length):
            step = n if reverse else length - 1 - n
            yield (step, step + 1 if reverse else step - 1, *self.shape)
            self.runtime.gemm(self._product, da[step], self.weight.T)
            self.passed = self._product

    def finish(
        self, dweight: Array | None, dbias: Array | None, dh0: Array | None, da: Array
    ) -> None:
        """The gradients that the steps have in common."""
        if dh0 is not None:
            arrays = (dh0, self.dh, self.passed)
            _launch(self.runtime, "state_gradient", dh0, *arrays, dh0.size)
        length, batch, hidden = self.shape
        rows, columns = length * batch, self.weight.shape[1]
        before, da = self.before.reshape(rows, hidden).T, da.reshape(rows, columns)
        gemm = self.runtime.gemm
        if (
            dweight is not None
            and dbias is not None
            and gemm(dweight, before, da, epilogue="bias_gradient", bias=dbias)
        ):
            return
        if dweight is not None:
            gemm(dweight, before, da)
        if dbias is not None:
            reduce(self.runtime, dbias, da, (1, rows, columns), "sum")


def rnn_backward(
    runtime: Runtime,
    dprojected: Array,
    dweight: Array | None,
    dbias: Array | None,
    dh0: Array | None,
    dout: Array,
    dlast: Array,
    weight: Array,
    h0: Array | None,
    lengths: Array | None,
    out: Array,
    *,
    nonlinearity: str,
    reverse: bool,
    needs: tuple[bool, bool, bool, bool],
) -> None:
    own = _Backward(runtime, out, weight, dlast)
    for numbers in own.steps(reverse, dprojected):
        arrays = (dprojected, own.dh, own.before, own.passed, dout, h0, lengths, out)
        _launch(runtime, "rnn_step_backward", dlast, *arrays, *numbers, NUMBER[nonlinearity])
    own.finish(dweight, dbias, dh0, dprojected)


def lstm_backward(
    runtime: Runtime,
    dprojected: Array,
    dweight: Array | None,
    dbias: Array | None,
    dh0: Array | None,
    dc0: Array | None,
    dout: Array,
    dlast: Array,
    dcell: Array,
    weight: Array,
    h0: Array | None,
    c0: Array | None,
    lengths: Array | None,
    out: Array,
    gates: Array,
    cells: Array,
    *,
    reverse: bool,
    needs: tuple[bool, bool, bool, bool, bool],
) -> None:
    own = _Backward(runtime, out, weight, dlast)
    dc = runtime.workspace(dcell.shape, dcell.dtype) if dc0 is None else dc0
    _begin(runtime, dc, dcell)
    for numbers in own.steps(reverse, dprojected):
        written = (dprojected, own.dh, dc, own.before)
        read = (own.passed, dout, h0, c0, lengths, out, gates, cells)
        _launch(runtime, "lstm_step_backward", dlast, *written, *read, *numbers)
    own.finish(dweight, dbias, dh0, dprojected)


def gru_backward(
    runtime: Runtime,
    dprojected: Array,
    dweight: Array | None,
    dbias: Array | None,
    dh0: Array | None,
    dout: Array,
    dlast: Array,
    weight: Array,
    h0: Array | None,
    lengths: Array | None,
    out: Array,
    gates: Array,
    *,
    reverse: bool,
    needs: tuple[bool, bool, bool, bool],
) -> None:
    own = _Backward(runtime, out, weight, dlast)
    da = runtime.workspace(dprojected.shape, dprojected.dtype)
    for numbers in own.steps(reverse, da):
        written = (dprojected, da, own.dh, own.before)
        read = (own.passed, dout, h0, lengths, out, gates)
        _launch(runtime, "gru_step_backward", dlast, *written, *read, *numbers)
    own.finish(dweight, dbias, dh0, da)


def _launch(runtime: Runtime, kernel: str, state: Array, *args: Any) -> None:
    """A thread an element of a state."""
    launch_elements(runtime, SOURCE, kernel, state.dtype, state.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "rnn_forward": rnn_forward,
    "rnn_backward": rnn_backward,
    "lstm_forward": lstm_forward,
    "lstm_backward": lstm_backward,
    "gru_forward": gru_forward,
    "gru_backward": gru_backward,
}
