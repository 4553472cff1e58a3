"""Sequences and images at another size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import OptionError, ShapeError, choose
from ...kernels.resampling.spec import step
from ..dtypes import float_dtype, is_float
from ..functions.resampling import Upsample
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor

# Modes, with the number of axes that they resample; None for any.
MODES = {"nearest": None, "linear": 1, "bilinear": 2}


def interpolate(
    x: Operand,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """x (n, c, l) or (n, c, h, w) at another size.

    The new size is `size`, or floor(old size * scale_factor): a number for all axes or one for
    each. `mode` is "nearest", "linear" for (n, c, l) or "bilinear" for (n, c, h, w). Of the linear
    ones, `align_corners` puts the first and the last elements of both on top of each other; else
    their edges are. With a scale_factor, steps are its inverse exactly, unless
    `recompute_scale_factor` takes them from the sizes.

    >>> interpolate([[[1.0, 2.0]]], scale_factor=2).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    >>> interpolate([[[1.0, 2.0]]], 3, mode="linear", align_corners=True).tolist()
    [[[1.0, 1.5, 2.0]]]
    """
    x = as_tensor(x)
    axes = check_interpolation("interpolate", size, scale_factor, mode, align_corners)
    if x.ndim not in (3, 4) or axes not in (None, x.ndim - 2):
        places = {None: "(n, c, l) or (n, c, h, w)", 1: "(n, c, l)", 2: "(n, c, h, w)"}[axes]
        raise ShapeError(f"interpolate: mode {mode!r} takes x {places}, found shape {x.shape}")
    old = x.shape[2:]
    factors: list[float | None] = [None] * len(old)
    if scale_factor is not None:
        given = _of_axes("scale_factor", scale_factor, len(old))
        new = tuple(math.floor(n * f) for n, f in zip(old, given, strict=True))
        if not recompute_scale_factor:
            factors = [float(f) for f in given]
    else:
        new = tuple(_of_axes("size", size, len(old)))
    if not all(isinstance(n, int) and n > 0 for n in (*old, *new)):
        raise ShapeError(f"interpolate: sizes must be positive integers, found {old} and {new}")
    kind, corners = "nearest" if mode == "nearest" else "linear", bool(align_corners)
    steps = [step(kind, n, m, corners, f) for n, m, f in zip(old, new, factors, strict=True)]
    if len(old) == 1:  # an image of one row
        old, new, steps = (1, *old), (1, *new), [1.0, *steps]
    x = x if is_float(x.dtype) else x.astype(float_dtype(None))
    images = x if x.ndim == 4 else x.reshape(*x.shape[:2], *old)
    out = apply(
        Upsample,
        images,
        mode=kind,
        align_corners=corners,
        output=new,
        scale=tuple(steps),
    )
    return out if x.ndim == 4 else out.reshape(*x.shape[:2], new[1])


def check_interpolation(
    name: str, size: Any, scale_factor: Any, mode: str, align_corners: bool | None
) -> int | None:
    """How many axes the mode resamples, None for any; an error for what cannot be."""
    if mode not in MODES:
        raise OptionError(choose(f"mode of {name}", mode, MODES))
    if (size is None) == (scale_factor is None):
        raise OptionError(
            f"{name}: give either size or scale_factor; found size={size!r}, "
            f"scale_factor={scale_factor!r}"
        )
    if mode == "nearest" and align_corners is not None:
        raise OptionError(f"{name}: align_corners is for linear modes, not for nearest")
    return MODES[mode]


def _of_axes(what: str, value: Any, axes: int) -> tuple[Any, ...]:
    """`value` for each axis."""
    values = (value,) * axes if isinstance(value, (int, float)) else tuple(value)
    if len(values) != axes:
        raise OptionError(f"interpolate: {what} is a number or {axes} of them, found {value!r}")
    return values
