"""Padding as a function."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import OptionError, ShapeError, choose
from ...kernels.padding.reference import MODES
from ..functions.padding import Pad
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor

ALIASES = {"constant": "zeros"}


def pad(x: Operand, widths: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """x with elements around it along its last axes, of any number.

    `widths` are (before, after) of the last axis, then of the one before it, and so on, as in
    PyTorch: (left, right, top, bottom) for images. `mode` says what is there: "constant" (also
    called "zeros") `value`; "reflect" a mirror image, without the border itself, so that a width
    must be smaller than the axis; "replicate" the border; "circular" the other end, up to the
    whole axis.

    >>> pad([1.0, 2.0, 3.0], (2, 1), mode="reflect").tolist()
    [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
    >>> pad([[1.0]], (1, 0, 0, 1), value=7.0).tolist()
    [[7.0, 1.0], [7.0, 7.0]]
    """
    kind = ALIASES.get(mode, mode)
    if kind not in MODES:
        raise OptionError(choose("padding mode", mode, (*MODES, *ALIASES)))
    x = as_tensor(x)
    flat = tuple(widths)
    if not all(isinstance(n, int) and n >= 0 for n in flat) or len(flat) % 2:
        raise OptionError(
            "pad: widths are (before, after) for each axis from the last one on, not negative; "
            f"found {flat}"
        )
    if len(flat) > 2 * x.ndim:
        raise ShapeError(f"pad: widths {flat} are for {len(flat) // 2} axes, x has shape {x.shape}")
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)][::-1]
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    for axis, (n, pair) in enumerate(zip(x.shape, pairs, strict=True)):
        most = {"reflect": n - 1, "circular": n}.get(kind, max(pair) if n else 0)
        if kind != "zeros" and max(pair) > max(most, 0):
            raise ShapeError(
                f"pad: {mode} gives axis {axis} of {n} elements {max(most, 0)} more at each end at "
                f"most, found {pair} for x {x.shape}"
            )
    if flat == (0,) * len(flat):
        return x
    constant = float(value) if kind == "zeros" else 0.0
    return apply(Pad, x, widths=tuple(pairs), mode=kind, value=constant)
