"""L1 and L2 penalties on a parameter (the elastic net of Zou & Hastie, 2005, section 2).

out = l1 sum |w| + l2 sum w^2,      dw = dout (l1 sign(w) + 2 l2 w)
"""

from typing import Any

from ..spec import Array


def penalty_forward(xp: Any, out: Array, w: Array, *, l1: float, l2: float) -> None:
    """w: any shape; out: ()."""
    out[...] = l1 * xp.abs(w).sum() + l2 * (w * w).sum()


def penalty_backward(xp: Any, dw: Array, dout: Array, w: Array, *, l1: float, l2: float) -> None:
    """dout: (); dw: the shape of w."""
    xp.multiply(l1 * xp.sign(w) + 2.0 * l2 * w, dout, out=dw)
