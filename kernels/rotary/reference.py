"""Rotary position embedding: a turn of pairs of numbers by angles that grow with the position.

    out_c        = x_c cos - x_(c + half) sin
    out_(c+half) = x_(c + half) cos + x_c sin         cos, sin of table[:, start + l, c], c < half

    dx the same of dout with -sin

x, out: (batch, length, heads, width); table: (2, positions, half), cosines and sines, in which the
angle of column c is position / base^(c / half). Of each head the first 2 half columns are turned,
column c with column c + half as in GPT-NeoX and LLaMA's published weights (the paper pairs 2c with
2c + 1), and only of the first `heads` heads; the rest is copied. start: () int64, 0 if absent. The
last position of the table serves all beyond.

Source: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.
"""

from typing import Any

from ..spec import Array


def rotary_forward(
    xp: Any, out: Array, x: Array, table: Array, start: Array | None, *, heads: int
) -> None:
    """x, out: (batch, length, heads or more, width)."""
    _turn(xp, out, x, table, start, heads, 1.0)


def rotary_backward(
    xp: Any, dx: Array, dout: Array, table: Array, start: Array | None, *, heads: int
) -> None:
    """dout, dx: as out and x."""
    _turn(xp, dx, dout, table, start, heads, -1.0)


def _turn(
    xp: Any, out: Array, x: Array, table: Array, start: Array | None, heads: int, direction: float
) -> None:
    half = table.shape[2]
    rows = xp.arange(x.shape[1]) + (0 if start is None else start)
    cos, sin = table[:, xp.minimum(rows, table.shape[1] - 1), None]
    a, b = x[:, :, :heads, :half], x[:, :, :heads, half : 2 * half]
    out[...] = x
    out[:, :, :heads, :half] = a * cos - b * (direction * sin)
    out[:, :, :heads, half : 2 * half] = b * cos + a * (direction * sin)
