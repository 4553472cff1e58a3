"""Reductions of x (outer, n, inner) over its middle axis, to out (outer, inner).

Whoever reduces over other axes brings them into this form by reshaping.

    sum   out = sum_j x_j          dx_j = dout
    mean  out = sum_j x_j / n      dx_j = dout / n
    max   out = max_j x_j          dx_j = dout / (number of maxima) where x_j = out, else 0
    min   likewise
"""

from typing import Any

from ..spec import Array

KINDS = ("sum", "mean", "max", "min")


def reduce_forward(xp: Any, out: Array, x: Array, *, kind: str) -> None:
    """x: (outer, n, inner), with n > 0 for max and min; out: (outer, inner)."""
    getattr(x, kind)(axis=1, out=out)


def reduce_backward(xp: Any, dx: Array, dout: Array, x: Array, out: Array, *, kind: str) -> None:
    """dout, out: (outer, inner); x, dx: (outer, n, inner)."""
    if kind == "sum":
        dx[...] = dout[:, None]
    elif kind == "mean":
        dx[...] = dout[:, None] / max(x.shape[1], 1)
    else:
        hit = x == out[:, None]
        dx[...] = xp.where(hit, dout[:, None] / xp.maximum(hit.sum(axis=1), 1)[:, None], 0)


def argreduce(xp: Any, out: Array, x: Array, *, kind: str) -> None:
    """out (outer, inner) int64: where along the middle axis the first "max" or "min" stands."""
    out[...] = (x.argmax if kind == "max" else x.argmin)(axis=1)
