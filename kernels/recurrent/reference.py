"""Recurrent layers over whole sequences: one call for one layer and direction.

    rnn   h' = f(x + h W + b),  f = tanh or relu
    lstm  (i, f, g, o) = (s, s, tanh, s)(x + h W + b),  c' = f c + i g,  h' = o tanh c'
    gru   (r, z) = s((x + h W + b)_rz),  n = tanh(x_n + r (h W + b)_n),  h' = (1 - z) n + z h

s is the logistic function, and (x, h W + b)_k are the columns of gate k. `projected` holds x of all
steps, the input's product with its own weight, which is one large product and a dense op's.

Shapes, of `length` steps, `batch` sequences and `hidden` units, with 1, 4 or 3 gates:

    projected (length, batch, gates * hidden)   weight (hidden, gates * hidden)
    out (length, batch, hidden)                 bias (gates * hidden,)
    h0, c0, last, cell (batch, hidden); None stands for zeros

Sequence b has lengths[b] steps, an int64 from 0 to length, or all of them where lengths is None.
After its end its output is zero and its state stays. With `reverse` it is read from its own end to
its beginning. `last` and `cell` are the states after its last step.

What backward needs is saved by step: `gates` after their functions (gru: r, z, n and (h W + b)_n),
and `cells`, the c' of a lstm; zeros after a sequence's end. Cells are sums over steps: float32
where the others are 16-bit.

Backward, from the last step to the first, da is the gradient by what the functions are applied to:

    dh_t = dout_t + da_{t+1} W^T (gru: + z dh_{t+1}),  dprojected = da,  dW = sum_t h_{t-1}^T da_t

In a gru h W + b meets r, so that W, b and h get r da_n where projected gets da_n.

Sources: Elman, "Finding structure in time", 1990; Hochreiter & Schmidhuber, "Long short-term
memory", 1997; Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, in the
form that cuDNN and PyTorch compute.
"""

from collections.abc import Iterator
from typing import Any

from ..spec import Array


def _steps(length: int, reverse: bool) -> Iterator[int]:
    return iter(range(length - 1, -1, -1) if reverse else range(length))


def _running(lengths: Array | None, t: int) -> Any:
    """Which sequences have a step t, as a column."""
    return True if lengths is None else (lengths > t)[:, None]


def _begin(state: Array, given: Array | None) -> None:
    state[...] = 0 if given is None else given


def _sigmoid(xp: Any, x: Array) -> Array:
    e = xp.exp(-abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def _recurrent(last: Array, weight: Array, bias: Array | None) -> Array:
    product = last @ weight
    return product if bias is None else product + bias


def rnn_forward(
    xp: Any,
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
    """`nonlinearity` is tanh or relu."""
    _begin(last, h0)
    for t in _steps(len(out), reverse):
        a = projected[t] + _recurrent(last, weight, bias)
        h = xp.tanh(a) if nonlinearity == "tanh" else xp.maximum(a, 0)
        running = _running(lengths, t)
        out[t] = xp.where(running, h, 0)
        last[...] = xp.where(running, h, last)


def lstm_forward(
    xp: Any,
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
    """gates (length, batch, 4 hidden): i, f, g, o; cells (length, batch, hidden)."""
    hidden = last.shape[1]
    _begin(last, h0)
    _begin(cell, c0)
    for t in _steps(len(out), reverse):
        a, g = projected[t] + _recurrent(last, weight, bias), gates[t]
        g[...] = _sigmoid(xp, a)
        i, f, new, o = (g[:, k * hidden : (k + 1) * hidden] for k in range(4))
        new[...] = xp.tanh(a[:, 2 * hidden : 3 * hidden])
        running = _running(lengths, t)
        g[...] = xp.where(running, g, 0)
        cells[t] = xp.where(running, f * cell + i * new, 0)
        out[t] = o * xp.tanh(cells[t])
        last[...] = xp.where(running, out[t], last)
        cell[...] = xp.where(running, cells[t], cell)


def gru_forward(
    xp: Any,
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
    """gates (length, batch, 4 hidden): r, z, n and h W + b of the columns of n."""
    hidden = last.shape[1]
    _begin(last, h0)
    for t in _steps(len(out), reverse):
        x, s = projected[t], _recurrent(last, weight, bias)
        r, z, n, q = (gates[t, :, k * hidden : (k + 1) * hidden] for k in range(4))
        gates[t, :, : 2 * hidden] = _sigmoid(xp, (x + s)[:, : 2 * hidden])
        q[...] = s[:, 2 * hidden :]
        n[...] = xp.tanh(x[:, 2 * hidden :] + r * q)
        h = (1 - z) * n + z * last
        running = _running(lengths, t)
        gates[t] = xp.where(running, gates[t], 0)
        out[t] = xp.where(running, h, 0)
        last[...] = xp.where(running, h, last)


def _previous(
    xp: Any, states: Array, first: Array | None, lengths: Array | None, reverse: bool
) -> Array:
    """The state before every step, from the states after it and the one before all."""
    start = xp.zeros_like(states[:1]) if first is None else first[None]
    if not reverse:
        return xp.concatenate((start, states))[:-1]
    before = xp.concatenate((states, start))[1:]
    if lengths is not None:
        for t in range(len(before)):
            before[t] = xp.where((lengths == t + 1)[:, None], start[0], before[t])
    return before


def _parameters(
    xp: Any, dweight: Array | None, dbias: Array | None, before: Array, da: Array
) -> None:
    """The sums over all steps and sequences."""
    rows = before.reshape(-1, before.shape[2]), da.reshape(-1, da.shape[2])
    if dweight is not None:
        dweight[...] = rows[0].T @ rows[1]
    if dbias is not None:
        dbias[...] = rows[1].sum(axis=0)


def rnn_backward(
    xp: Any,
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
    """`needs` tells which gradients are wanted; that by projected is always there."""
    dh = dlast
    for t in _steps(len(out), not reverse):
        running = _running(lengths, t)
        total = dh + dout[t]
        slope = 1 - out[t] ** 2 if nonlinearity == "tanh" else out[t] > 0
        dprojected[t] = xp.where(running, total * slope, 0)
        dh = xp.where(running, dprojected[t] @ weight.T, dh)
    if dh0 is not None:
        dh0[...] = dh
    before = _previous(xp, out, h0, lengths, reverse)
    _parameters(xp, dweight, dbias, before, dprojected)


def lstm_backward(
    xp: Any,
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
    """`needs` tells which gradients are wanted; that by projected is always there."""
    hidden = out.shape[2]
    before = _previous(xp, cells, c0, lengths, reverse)
    dh, dc = dlast, dcell
    for t in _steps(len(out), not reverse):
        running = _running(lengths, t)
        i, f, g, o = (gates[t, :, k * hidden : (k + 1) * hidden] for k in range(4))
        total, squashed = dh + dout[t], xp.tanh(cells[t])
        inner = dc + total * o * (1 - squashed**2)
        da = xp.concatenate(
            (
                inner * g * i * (1 - i),
                inner * before[t] * f * (1 - f),
                inner * i * (1 - g**2),
                total * squashed * o * (1 - o),
            ),
            axis=1,
        )
        dprojected[t] = xp.where(running, da, 0)
        dh = xp.where(running, dprojected[t] @ weight.T, dh)
        dc = xp.where(running, inner * f, dc)
    if dh0 is not None:
        dh0[...] = dh
    if dc0 is not None:
        dc0[...] = dc
    before = _previous(xp, out, h0, lengths, reverse)
    _parameters(xp, dweight, dbias, before, dprojected)


def gru_backward(
    xp: Any,
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
    """`needs` tells which gradients are wanted; that by projected is always there."""
    hidden = out.shape[2]
    before = _previous(xp, out, h0, lengths, reverse)
    da = xp.empty_like(dprojected)  # by h W + b
    dh = dlast
    for t in _steps(len(out), not reverse):
        running = _running(lengths, t)
        r, z, n, q = (gates[t, :, k * hidden : (k + 1) * hidden] for k in range(4))
        total = dh + dout[t]
        dn = total * (1 - z) * (1 - n**2)
        dr, dz = dn * q * r * (1 - r), total * (before[t] - n) * z * (1 - z)
        dprojected[t] = xp.where(running, xp.concatenate((dr, dz, dn), axis=1), 0)
        da[t] = xp.where(running, xp.concatenate((dr, dz, dn * r), axis=1), 0)
        dh = xp.where(running, total * z + da[t] @ weight.T, dh)
    if dh0 is not None:
        dh0[...] = dh
    _parameters(xp, dweight, dbias, before, da)
