"""Recurrent layers in one parallel region a pass, since sequences meet in the weights' gradient.

Each thread takes its own sequences through all steps: a product with the recurrent weight by the
tile (numba_gemm), then the gates, row by row while the row is in the first-level cache. A row's
gates are several short loops: over eight arrays at once LLVM would give up vectorizing.

Backward also gathers the states before every step, so that the weight's gradient is one product
over all of them, and each thread sums its rows for the bias.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from ..activation.loops import KIND_NUMBER, activate, slope
from ..dense.loops import SERIAL_PRODUCT, add_rows, matmul
from ..elementwise.loops import fill
from ..numba_blas import PLAIN
from ..numba_gemm import product
from ..numba_loop import loop, loops, parts_for, share
from ..numba_math import sigmoid, tanh
from ..observing import workspace
from ..spec import Array

SQUARE = 16  # numbers along a side of what is transposed at once


@register_jitable
def _clear(x: Array) -> None:
    for j in range(x.size):
        x[j] = 0


@register_jitable
def _assign(x: Array, y: Array) -> None:
    for j in range(x.size):
        x[j] = y[j]


@register_jitable
def _add(x: Array, y: Array) -> None:
    for j in range(x.size):
        x[j] += y[j]


@register_jitable
def _assign_rows(x: Array, y: Array, low: int, high: int) -> None:
    for b in range(low, high):
        _assign(x[b], y[b])


@register_jitable
def _running(lengths: Array, s: int, low: int, high: int) -> Any:
    """The rows from the first to the last of low:high that have a step s."""
    while low < high and s >= lengths[low]:
        low += 1
    while low < high and s >= lengths[high - 1]:
        high -= 1
    return low, high


@register_jitable
def _before(states: Array, first: Array, lengths: Array, b: int, s: int) -> Any:
    """The state of sequence b before the step that follows step s, which it may not have."""
    if 0 <= s < states.shape[0] and s < lengths[b]:
        return states[s, b]
    return first[b]


@loop
def _transpose(t: int, parts: int, out: Array, x: Array) -> None:
    """out = x^T, by squares that the first-level cache holds."""
    low, high = share(out.shape[0], parts, t)
    for top in range(low, high, SQUARE):
        for left in range(0, out.shape[1], SQUARE):
            right = min(left + SQUARE, out.shape[1])
            for i in range(top, min(top + SQUARE, high)):
                o, u = out[i, left:right], x[left:right, i]
                for j in range(o.size):
                    o[j] = u[j]


@loops
def _rnn_forward(kind: int) -> Any:
    def rnn_forward(
        t: int,
        parts: int,
        out: Array,
        last: Array,
        projected: Array,
        weight: Array,
        bias: Array,
        h0: Array,
        lengths: Array,
        reverse: bool,
    ) -> None:
        low, high = share(last.shape[0], parts, t)
        length, zero = out.shape[0], out.dtype.type(0)
        _assign_rows(last, h0, low, high)
        for n in range(length):
            s = length - 1 - n if reverse else n
            top, bottom = _running(lengths, s, low, high)
            product(out[s], last, weight, PLAIN, PLAIN, top, bottom, 0, last.shape[1])
            for b in range(low, high):
                o = out[s, b]
                if s >= lengths[b]:
                    _clear(o)
                    continue
                _add(o, projected[s, b])
                _add(o, bias)
                for j in range(o.size):
                    o[j] = activate(kind, o[j], zero)
                _assign(last[b], o)

    return rnn_forward


@loops
def _rnn_backward(kind: int) -> Any:
    def rnn_backward(
        t: int,
        parts: int,
        dprojected: Array,
        dh: Array,
        sums: Array,
        before: Array,
        passed: Array,
        dout: Array,
        dlast: Array,
        back: Array,
        h0: Array,
        lengths: Array,
        out: Array,
        reverse: bool,
    ) -> None:
        """dh = the gradient by h0; sums[t] = that by the bias from t's rows; back = W^T."""
        low, high = share(dh.shape[0], parts, t)
        length, zero = out.shape[0], out.dtype.type(0)
        total = sums[t]
        _clear(total)
        _assign_rows(dh, dlast, low, high)
        for n in range(length):
            s = n if reverse else length - 1 - n
            for b in range(low, high):
                d, h = dprojected[s, b], before[s, b]
                if s >= lengths[b]:
                    _clear(d)
                    _clear(h)
                    continue
                g, e, o = dh[b], dout[s, b], out[s, b]
                for j in range(d.size):
                    d[j] = (g[j] + e[j]) * slope(kind, o[j], zero)
                for j in range(total.size):
                    total[j] += d[j]
                _assign(h, _before(out, h0, lengths, b, s + 1 if reverse else s - 1))
            top, bottom = _running(lengths, s, low, high)
            product(passed, dprojected[s], back, PLAIN, PLAIN, top, bottom, 0, dh.shape[1])
            for b in range(top, bottom):
                if s < lengths[b]:
                    _assign(dh[b], passed[b])

    return rnn_backward


@loop
def _lstm_forward(
    t: int,
    parts: int,
    out: Array,
    last: Array,
    cell: Array,
    gates: Array,
    cells: Array,
    projected: Array,
    weight: Array,
    bias: Array,
    h0: Array,
    c0: Array,
    lengths: Array,
    reverse: bool,
) -> None:
    low, high = share(last.shape[0], parts, t)
    length, hidden = out.shape[0], out.shape[2]
    _assign_rows(last, h0, low, high)
    _assign_rows(cell, c0, low, high)
    for n in range(length):
        s = length - 1 - n if reverse else n
        top, bottom = _running(lengths, s, low, high)
        product(gates[s], last, weight, PLAIN, PLAIN, top, bottom, 0, 4 * hidden)
        for b in range(low, high):
            y, a, k = out[s, b], gates[s, b], cells[s, b]
            if s >= lengths[b]:
                _clear(y)
                _clear(a)
                _clear(k)
                continue
            _add(a, projected[s, b])
            _add(a, bias)
            i_f, g, o = a[: 2 * hidden], a[2 * hidden : 3 * hidden], a[3 * hidden :]
            for j in range(i_f.size):
                i_f[j] = sigmoid(i_f[j])
            for j in range(g.size):
                g[j] = tanh(g[j])
            for j in range(o.size):
                o[j] = sigmoid(o[j])
            i, f, c = a[:hidden], a[hidden : 2 * hidden], cell[b]
            for j in range(k.size):
                k[j] = f[j] * c[j] + i[j] * g[j]
            _assign(c, k)
            for j in range(y.size):
                y[j] = o[j] * tanh(k[j])
            _assign(last[b], y)


@loop
def _lstm_backward(
    t: int,
    parts: int,
    dprojected: Array,
    dh: Array,
    dc: Array,
    sums: Array,
    before: Array,
    passed: Array,
    dout: Array,
    dlast: Array,
    dcell: Array,
    back: Array,
    h0: Array,
    c0: Array,
    lengths: Array,
    out: Array,
    gates: Array,
    cells: Array,
    reverse: bool,
) -> None:
    """As rnn_backward, with dc = the gradient by c0."""
    low, high = share(dh.shape[0], parts, t)
    length, hidden = out.shape[0], out.shape[2]
    one = out.dtype.type(1)
    total = sums[t]
    _clear(total)
    _assign_rows(dh, dlast, low, high)
    _assign_rows(dc, dcell, low, high)
    for n in range(length):
        s = n if reverse else length - 1 - n
        earlier = s + 1 if reverse else s - 1
        for b in range(low, high):
            d, h = dprojected[s, b], before[s, b]
            if s >= lengths[b]:
                _clear(d)
                _clear(h)
                continue
            a, k, u, v = gates[s, b], cells[s, b], dh[b], dc[b]
            _add(u, dout[s, b])
            o, do = a[3 * hidden :], d[3 * hidden :]
            for j in range(do.size):
                squashed = tanh(k[j])
                do[j] = u[j] * squashed * o[j] * (one - o[j])
                v[j] += u[j] * o[j] * (one - squashed * squashed)
            i, di = a[:hidden], d[:hidden]
            g, dg = a[2 * hidden : 3 * hidden], d[2 * hidden : 3 * hidden]
            for j in range(di.size):
                di[j] = v[j] * g[j] * i[j] * (one - i[j])
            for j in range(dg.size):
                dg[j] = v[j] * i[j] * (one - g[j] * g[j])
            f, df = a[hidden : 2 * hidden], d[hidden : 2 * hidden]
            c = _before(cells, c0, lengths, b, earlier)
            for j in range(df.size):
                df[j] = v[j] * c[j] * f[j] * (one - f[j])
                v[j] *= f[j]
            for j in range(total.size):
                total[j] += d[j]
            _assign(h, _before(out, h0, lengths, b, earlier))
        top, bottom = _running(lengths, s, low, high)
        product(passed, dprojected[s], back, PLAIN, PLAIN, top, bottom, 0, hidden)
        for b in range(top, bottom):
            if s < lengths[b]:
                _assign(dh[b], passed[b])


@loop
def _gru_forward(
    t: int,
    parts: int,
    out: Array,
    last: Array,
    gates: Array,
    product_of: Array,
    projected: Array,
    weight: Array,
    bias: Array,
    h0: Array,
    lengths: Array,
    reverse: bool,
) -> None:
    low, high = share(last.shape[0], parts, t)
    length, hidden = out.shape[0], out.shape[2]
    one = out.dtype.type(1)
    _assign_rows(last, h0, low, high)
    for n in range(length):
        s = length - 1 - n if reverse else n
        top, bottom = _running(lengths, s, low, high)
        product(product_of, last, weight, PLAIN, PLAIN, top, bottom, 0, 3 * hidden)
        for b in range(low, high):
            y, a = out[s, b], gates[s, b]
            if s >= lengths[b]:
                _clear(y)
                _clear(a)
                continue
            p, x = product_of[b], projected[s, b]
            _add(p, bias)
            r_z = a[: 2 * hidden]
            for j in range(r_z.size):
                r_z[j] = sigmoid(p[j] + x[j])
            r, z = a[:hidden], a[hidden : 2 * hidden]
            new, q = a[2 * hidden : 3 * hidden], a[3 * hidden :]
            _assign(q, p[2 * hidden :])
            x_new = x[2 * hidden :]
            for j in range(new.size):
                new[j] = tanh(x_new[j] + r[j] * q[j])
            h = last[b]
            for j in range(y.size):
                y[j] = (one - z[j]) * new[j] + z[j] * h[j]
            _assign(h, y)


@loop
def _gru_backward(
    t: int,
    parts: int,
    dprojected: Array,
    da: Array,
    dh: Array,
    sums: Array,
    before: Array,
    passed: Array,
    dout: Array,
    dlast: Array,
    back: Array,
    h0: Array,
    lengths: Array,
    out: Array,
    gates: Array,
    reverse: bool,
) -> None:
    """As rnn_backward, with da = the gradients by h W + b."""
    low, high = share(dh.shape[0], parts, t)
    length, hidden = out.shape[0], out.shape[2]
    one = out.dtype.type(1)
    total = sums[t]
    _clear(total)
    _assign_rows(dh, dlast, low, high)
    for n in range(length):
        s = n if reverse else length - 1 - n
        for b in range(low, high):
            d, e, h = dprojected[s, b], da[s, b], before[s, b]
            if s >= lengths[b]:
                _clear(d)
                _clear(e)
                _clear(h)
                continue
            a, u = gates[s, b], dh[b]
            r, z = a[:hidden], a[hidden : 2 * hidden]
            new, q = a[2 * hidden : 3 * hidden], a[3 * hidden :]
            _assign(h, _before(out, h0, lengths, b, s + 1 if reverse else s - 1))
            _add(u, dout[s, b])
            dr, dz, dn = d[:hidden], d[hidden : 2 * hidden], d[2 * hidden :]
            for j in range(dz.size):
                dz[j] = u[j] * (h[j] - new[j]) * z[j] * (one - z[j])
            for j in range(dn.size):
                dn[j] = u[j] * (one - z[j]) * (one - new[j] * new[j])
            for j in range(dr.size):
                dr[j] = dn[j] * q[j] * r[j] * (one - r[j])
            for j in range(u.size):
                u[j] *= z[j]
            _assign(e[: 2 * hidden], d[: 2 * hidden])
            e_new = e[2 * hidden :]
            for j in range(e_new.size):
                e_new[j] = dn[j] * r[j]
            for j in range(total.size):
                total[j] += e[j]
        top, bottom = _running(lengths, s, low, high)
        product(passed, da[s], back, PLAIN, PLAIN, top, bottom, 0, hidden)
        for b in range(top, bottom):
            if s < lengths[b]:
                _add(dh[b], passed[b])


# Loops take no absent arrays, because they would be compiled anew for every choice of these.


def _filled(x: Array | None, shape: tuple[int, ...], dtype: Any, value: float = 0.0) -> Array:
    """x, or an array filled with `value` in its place."""
    if x is None:
        x = workspace(shape, dtype)
        fill(x, shape=shape, dtype=x.dtype.name, value=value)
    return x


def _state(x: Array | None, out: Array) -> Array:
    return _filled(x, out.shape[1:], out.dtype)


def _bias(x: Array | None, weight: Array) -> Array:
    return _filled(x, weight.shape[1:], weight.dtype)


def _lengths(x: Array | None, out: Array) -> Array:
    return _filled(x, out.shape[1:2], np.dtype(np.int64), out.shape[0])


def _parts(out: Array, weight: Array) -> int:
    return parts_for(out.size * weight.shape[1], out.shape[1], SERIAL_PRODUCT)


def rnn_forward(
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
    rest = (_bias(bias, weight), _state(h0, out), _lengths(lengths, out))
    arrays = (out, last, projected, weight, *rest)
    _rnn_forward(KIND_NUMBER[nonlinearity])(_parts(out, weight), *arrays, reverse)


def lstm_forward(
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
    rest = (_bias(bias, weight), _state(h0, out), _state(c0, out), _lengths(lengths, out))
    arrays = (out, last, cell, gates, cells, projected, weight, *rest)
    _lstm_forward(_parts(out, weight), *arrays, reverse)


def gru_forward(
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
    products = workspace((last.shape[0], weight.shape[1]), out.dtype)
    rest = (_bias(bias, weight), _state(h0, out), _lengths(lengths, out))
    arrays = (out, last, gates, products, projected, weight, *rest)
    _gru_forward(_parts(out, weight), *arrays, reverse)


class _Backward:
    """What the three backward passes have in common: their workspace, and what follows the loop."""

    def __init__(self, out: Array, weight: Array, dbias: Array | None) -> None:
        self.parts = _parts(out, weight)
        self.state = out.shape[1:]
        self.dtype = out.dtype
        # Without a bias the sums go nowhere: rows of no elements.
        columns = 0 if dbias is None else weight.shape[1]
        self.sums = workspace((self.parts, columns), out.dtype)
        self.before = workspace(out.shape, out.dtype)
        self.passed = workspace(self.state, out.dtype)
        self.back = workspace(weight.shape[::-1], weight.dtype)
        _transpose(parts_for(weight.size), self.back, weight)

    def by_state(self, given: Array | None) -> Array:
        return workspace(self.state, self.dtype) if given is None else given

    def parameters(self, dweight: Array | None, dbias: Array | None, da: Array) -> None:
        if dbias is not None:
            add_rows(1, dbias, self.sums)
        if dweight is not None:
            rows = da.shape[0] * da.shape[1]
            before = self.before.reshape(rows, self.state[1])
            matmul(dweight, before.T, da.reshape(rows, da.shape[2]))


def rnn_backward(
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
    own = _Backward(out, weight, dbias)
    written = (dprojected, own.by_state(dh0), own.sums, own.before, own.passed)
    read = (dout, dlast, own.back, _state(h0, out), _lengths(lengths, out), out)
    _rnn_backward(KIND_NUMBER[nonlinearity])(own.parts, *written, *read, reverse)
    own.parameters(dweight, dbias, dprojected)


def lstm_backward(
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
    own = _Backward(out, weight, dbias)
    states = (own.by_state(dh0), own.by_state(dc0))
    written = (dprojected, *states, own.sums, own.before, own.passed)
    first = (_state(h0, out), _state(c0, out), _lengths(lengths, out))
    read = (dout, dlast, dcell, own.back, *first, out, gates, cells)
    _lstm_backward(own.parts, *written, *read, reverse)
    own.parameters(dweight, dbias, dprojected)


def gru_backward(
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
    own = _Backward(out, weight, dbias)
    da = workspace(dprojected.shape, dprojected.dtype)
    written = (dprojected, da, own.by_state(dh0), own.sums, own.before, own.passed)
    read = (dout, dlast, own.back, _state(h0, out), _lengths(lengths, out), out, gates)
    _gru_backward(own.parts, *written, *read, reverse)
    own.parameters(dweight, dbias, da)


LOOPS = {
    "rnn_forward": rnn_forward,
    "rnn_backward": rnn_backward,
    "lstm_forward": lstm_forward,
    "lstm_backward": lstm_backward,
    "gru_forward": gru_forward,
    "gru_backward": gru_backward,
}
