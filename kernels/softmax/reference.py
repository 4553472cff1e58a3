"""Softmax and log-softmax over the last axis of a matrix (n, c).

    softmax       out_j = e^(x_j - m) / sum_k e^(x_k - m),  m = max_k x_k
                  dx_j  = out_j (dout_j - sum_k dout_k out_k)
    log_softmax   out_j = (x_j - m) - log sum_k e^(x_k - m)
                  dx_j  = dout_j - e^(out_j) sum_k dout_k

Subtracting the maximum keeps both finite for inputs of any size (Goodfellow et al., Deep Learning,
2016, section 4.1).
"""

from typing import Any

from ..spec import Array


def softmax_forward(xp: Any, out: Array, x: Array) -> None:
    """x, out: (n, c)."""
    xp.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    xp.exp(out, out=out)
    out /= out.sum(axis=-1, keepdims=True)


def softmax_backward(xp: Any, dx: Array, dout: Array, out: Array) -> None:
    """dout, out, dx: (n, c)."""
    inner = (dout * out).sum(axis=-1, keepdims=True)
    xp.multiply(out, dout - inner, out=dx)


def log_softmax_forward(xp: Any, out: Array, x: Array) -> None:
    """x, out: (n, c)."""
    xp.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    out -= xp.log(xp.exp(out).sum(axis=-1, keepdims=True))


def log_softmax_backward(xp: Any, dx: Array, dout: Array, out: Array) -> None:
    """dout, out, dx: (n, c)."""
    total = dout.sum(axis=-1, keepdims=True)
    xp.subtract(dout, xp.exp(out) * total, out=dx)
