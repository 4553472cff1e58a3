"""Elementwise basics, copies and constants.

Binary kernels broadcast as NumPy does. A binary kernel's backward fills the gradient of each
operand in the broadcast shape; whoever holds the operands sums it over the broadcast axes.
"""

from typing import Any

from ..spec import Array

UNARY = (
    "negative", "exp", "log", "log1p", "expm1", "sqrt", "square", "reciprocal", "absolute", "sign",
    "sin", "cos",
)  # fmt: skip
ARITHMETIC = ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")
COMPARISON = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def unary_forward(xp: Any, out: Array, x: Array, *, kind: str) -> None:
    """out = kind(x), elementwise, by the names of NumPy's functions."""
    getattr(xp, kind)(x, out=out)


def unary_backward(xp: Any, dx: Array, dout: Array, x: Array, out: Array, *, kind: str) -> None:
    """dx = dout * kind'(x), from x or from out, whichever is cheaper."""
    if kind == "negative":
        slope = -1.0
    elif kind == "exp":
        slope = out
    elif kind == "log":
        slope = 1.0 / x
    elif kind == "log1p":
        slope = 1.0 / (1.0 + x)
    elif kind == "expm1":
        slope = out + 1.0
    elif kind == "sqrt":
        slope = 0.5 / out
    elif kind == "square":
        slope = 2.0 * x
    elif kind == "reciprocal":
        slope = -out * out
    elif kind == "absolute":
        slope = xp.sign(x)
    elif kind == "sign":
        slope = 0.0
    elif kind == "sin":
        slope = xp.cos(x)
    else:
        slope = -xp.sin(x)
    xp.multiply(dout, slope, out=dx)


def binary_forward(xp: Any, out: Array, a: Array, b: Array, *, kind: str) -> None:
    """out = kind(a, b) with broadcasting; comparisons fill booleans."""
    getattr(xp, kind)(a, b, out=out)


def binary_backward(
    xp: Any,
    da: Array | None,
    db: Array | None,
    dout: Array,
    a: Array,
    b: Array,
    out: Array,
    *,
    kind: str,
    needs: tuple[bool, bool],
) -> None:
    """da, db: gradients in the shape of dout, as `needs` says.

    At a tie, maximum and minimum give half to each operand. The derivative of a^b by b is taken as
    0 where a = 0, as PyTorch takes it.
    """
    slope_a, slope_b = None, None
    if kind == "add":
        slope_a, slope_b = 1.0, 1.0
    elif kind == "subtract":
        slope_a, slope_b = 1.0, -1.0
    elif kind == "multiply":
        slope_a, slope_b = b, a
    elif kind == "divide":
        slope_a = 1.0 / b
        slope_b = -out / b
    elif kind == "power":
        slope_a = xp.where(b == 0, xp.zeros_like(a), b * a ** (b - 1.0)) if needs[0] else None
        if needs[1]:
            slope_b = xp.where(a == 0, xp.zeros_like(out), out * xp.log(xp.where(a == 0, 1.0, a)))
    else:
        first = (a > b) if kind == "maximum" else (a < b)
        slope_a = xp.where(first, 1.0, xp.where(a == b, 0.5, 0.0)).astype(dout.dtype)
        slope_b = 1.0 - slope_a
    if da is not None:
        xp.multiply(dout, slope_a, out=da)
    if db is not None:
        xp.multiply(dout, slope_b, out=db)


def where(xp: Any, out: Array, condition: Array, a: Array, b: Array) -> None:
    """out = a where the boolean condition holds, else b; all three broadcast."""
    out[...] = xp.where(condition, a, b)


def clip_forward(xp: Any, out: Array, x: Array, *, low: float, high: float) -> None:
    """out = min(max(x, low), high)."""
    xp.clip(x, low, high, out=out)


def clip_backward(xp: Any, dx: Array, dout: Array, x: Array, *, low: float, high: float) -> None:
    """dx = dout where low <= x <= high, else 0."""
    dx[...] = xp.where((x >= low) & (x <= high), dout, 0)


def accumulate(xp: Any, acc: Array, x: Array) -> None:
    """acc += x, in place; one shape."""
    xp.add(acc, x, out=acc)


def copy(xp: Any, out: Array, x: Array, *, dtype: str) -> None:
    """out = x in another dtype or layout; x may have any strides."""
    out[...] = x


def fill(xp: Any, out: Array, *, shape: tuple[int, ...], dtype: str, value: float) -> None:
    """Every element of out = value."""
    out[...] = value
