"""Recurrent layers as functions: one layer and direction over a whole sequence.

    x (length, batch, in), weight_ih (in, gates * hidden), weight_hh (hidden, gates * hidden),
    biases (gates * hidden,) or None, states (batch, hidden) or None for zeros

return the outputs (length, batch, hidden) and the last states. Gates lie as in PyTorch, whose
weights are these transposed: i, f, g, o in a lstm, r, z, n in a gru. `lengths` (batch,) are the
sequences' own lengths: after its end a sequence gives zeros and keeps its state. With `reverse`
each is read from its own end. Equations: kernels/recurrent/reference.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DataError, OptionError, ShapeError, choose
from ...kernels.recurrent.spec import NONLINEARITIES
from ..functions.recurrent import GRU, LSTM, RNN
from ..precision import half_of
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor
from .dense import dense


def rnn(
    x: Operand,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Operand | None = None,
    lengths: Any = None,
    *,
    nonlinearity: str = "tanh",
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """(outputs, last h) of h' = f(x W_ih + b_ih + h W_hh + b_hh), f = tanh or relu.

    >>> import tercet as tc
    >>> one = tc.ones(1, 1)
    >>> out, last = rnn([[[1.0]], [[2.0]]], one, one, nonlinearity="relu")
    >>> out.tolist(), last.tolist()
    ([[[1.0]], [[3.0]]], [[3.0]])
    """
    if nonlinearity not in NONLINEARITIES:
        raise OptionError(choose("rnn nonlinearity", nonlinearity, NONLINEARITIES))
    sequence, (h,), own, half = _prepared(
        "rnn", 1, x, (weight_ih, weight_hh, bias_ih, bias_hh), {"h0": h0}, lengths
    )
    options = {"nonlinearity": nonlinearity, "reverse": reverse}
    out, last = apply(RNN, sequence, weight_hh, bias_hh, h, own, half=half, **options)
    return out, last


def lstm(
    x: Operand,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    state: tuple[Operand | None, Operand | None] | None = None,
    lengths: Any = None,
    *,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """(outputs, (last h, last c)) of a long short-term memory; `state` is (h0, c0).

    >>> import tercet as tc
    >>> out, (h, c) = lstm(tc.ones(5, 2, 3), tc.zeros(3, 16), tc.zeros(4, 16))
    >>> out.shape, h.shape, c.shape
    ((5, 2, 4), (2, 4), (2, 4))
    """
    h0, c0 = (None, None) if state is None else state
    sequence, (h, c), own, half = _prepared(
        "lstm", 4, x, (weight_ih, weight_hh, bias_ih, bias_hh), {"h0": h0, "c0": c0}, lengths
    )
    out, last, cell = apply(
        LSTM, sequence, weight_hh, bias_hh, h, c, own, reverse=reverse, half=half
    )
    return out, (last, cell)


def gru(
    x: Operand,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h0: Operand | None = None,
    lengths: Any = None,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """(outputs, last h) of gated recurrent units.

    >>> import tercet as tc
    >>> out, h = gru(tc.ones(5, 2, 3), tc.zeros(3, 12), tc.zeros(4, 12), h0=tc.ones(2, 4))
    >>> out.shape, h.tolist()[0][0]
    ((5, 2, 4), 0.03125)
    """
    sequence, (h,), own, half = _prepared(
        "gru", 3, x, (weight_ih, weight_hh, bias_ih, bias_hh), {"h0": h0}, lengths
    )
    out, last = apply(GRU, sequence, weight_hh, bias_hh, h, own, reverse=reverse, half=half)
    return out, last


def check_lengths(lengths: Any, x: Tensor) -> Tensor | None:
    """`lengths` as int64 beside x (length, batch, ...), or ShapeError or DataError.

    Values are checked where they come from the host; those of a tensor are not read back: beyond
    `length` they count as `length`.
    """
    if lengths is None:
        return None
    length, batch = x.shape[:2]
    host = None if isinstance(lengths, Tensor) else np.asarray(lengths)
    found: Any = lengths if host is None else host
    if found.shape != (batch,) or (found.dtype.kind not in "iu" and found.size):
        raise ShapeError(
            f"lengths are integers of shape ({batch},), one for each sequence of the batch; found "
            f"{found.dtype} of shape {found.shape}"
        )
    if host is None:
        return found.astype("int64")
    wrong = np.flatnonzero((host < 0) | (host > length))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"lengths: sequence {row} has length {int(host[row])}, expected 0 to {length}, the "
            "steps of the padded batch. Pad to the longest, as data.pad_sequences does"
        )
    return Tensor(x.backend.asarray(host.astype(np.int64)), x.backend)


def _prepared(
    name: str,
    gates: int,
    x: Operand,
    parameters: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    states: dict[str, Operand | None],
    lengths: Any,
) -> tuple[Tensor, list[Tensor | None], Tensor | None, Any]:
    """The projected sequence, states and lengths as tensors, and what dtype products round to."""
    weight_ih, weight_hh, bias_ih, bias_hh = parameters
    x = as_tensor(x, weight_ih.backend, weight_ih.dtype)
    if x.ndim != 3 or weight_ih.ndim != 2 or x.shape[2] != weight_ih.shape[0]:
        raise ShapeError(
            f"{name}: expected x of shape (length, batch, in) and weight_ih (in, {gates} hidden), "
            f"found x {x.shape} and weight_ih {weight_ih.shape}"
        )
    columns = weight_ih.shape[1]
    hidden = columns // gates
    if weight_hh.shape != (hidden, columns) or columns != gates * hidden:
        raise ShapeError(
            f"{name}: beside weight_ih {weight_ih.shape} expected weight_hh (hidden, {gates} "
            f"hidden), found {weight_hh.shape}"
        )
    for key, bias in (("bias_ih", bias_ih), ("bias_hh", bias_hh)):
        if bias is not None and bias.shape != (columns,):
            raise ShapeError(f"{name}: expected {key} ({columns},), found {bias.shape}")
    batch = x.shape[1]
    given = []
    for key, state in states.items():
        if state is not None:
            state = as_tensor(state, x.backend, weight_hh.dtype)
            if state.shape != (batch, hidden):
                raise ShapeError(
                    f"{name}: expected {key} of shape (batch, hidden) = ({batch}, {hidden}), found "
                    f"{state.shape}"
                )
            state = state.astype(weight_hh.dtype)
        given.append(state)
    own = check_lengths(lengths, x)
    projected = dense(x, weight_ih, bias_ih)
    return projected, given, own, half_of(projected, weight_hh, bias_hh, given[0])
