"""Launchers of padding/cuda.cu."""

from __future__ import annotations

from math import prod

import numpy as np

from ...errors import ShapeError
from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..spec import Array
from .reference import MODES, Widths

SOURCE = source_beside(__file__)
RANK = 6  # as in cuda.cu
PADDING = np.dtype([(name, np.int64, RANK) for name in ("size", "before", "after")])
NUMBER = {mode: number for number, mode in enumerate(MODES)}


def _padding(shape: tuple[int, ...], widths: Widths) -> np.ndarray:
    """The axes from the first padded one on; those before it as one."""
    first = next((i for i, pair in enumerate(widths) if pair != (0, 0)), len(shape))
    sizes = (prod(shape[:first]), *shape[first:])
    pairs = ((0, 0), *widths[first:])
    if len(sizes) > RANK:
        raise ShapeError(
            f"pad on the GPU takes {RANK - 1} axes from the first padded one on; found {shape} "
            f"with widths {widths}"
        )
    rest = RANK - len(sizes)
    result = np.zeros((), PADDING)
    result["size"] = [1] * rest + list(sizes)
    for i, name in enumerate(("before", "after")):
        result[name] = [0] * rest + [pair[i] for pair in pairs]
    return result


def pad_forward(
    runtime: Runtime, out: Array, x: Array, *, widths: Widths, mode: str, value: float
) -> None:
    args = (out, x, out.size, _padding(x.shape, widths), NUMBER[mode], value)
    launch_elements(runtime, SOURCE, "pad_forward", x.dtype, out.size, *args)


def pad_backward(runtime: Runtime, dx: Array, dout: Array, *, widths: Widths, mode: str) -> None:
    args = (dx, dout, dx.size, _padding(dx.shape, widths), NUMBER[mode])
    launch_elements(runtime, SOURCE, "pad_backward", dx.dtype, dx.size, *args)


LAUNCHERS: dict[str, Launcher] = {"pad_forward": pad_forward, "pad_backward": pad_backward}
