"""The resampling family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType
from .reference import MODES, Pair, upsample_backward, upsample_forward

# (x, output)
CASES = (
    ((2, 3, 4, 5), (8, 10)),
    ((1, 2, 7, 6), (3, 20)),
    ((2, 1, 1, 70), (1, 90)),
    ((1, 1, 3, 1), (1, 4)),
    ((2, 2, 5, 5), (5, 5)),
    ((0, 2, 4, 4), (8, 8)),
)


def step(
    mode: str, size: int, output: int, align_corners: bool, factor: float | None = None
) -> float:
    """The step in x from one element of out to the next.

    `factor` is by what x is enlarged. As for PyTorch's images it does not count where the size
    stays, or where that of the nearest elements doubles.

    >>> step("linear", 3, 6, False), step("linear", 3, 5, True), step("linear", 3, 1, True)
    (0.5, 0.5, 0.0)
    >>> step("linear", 3, 7, False, 2.5), step("nearest", 3, 6, False, 2.1)
    (0.4, 0.5)
    """
    if align_corners:
        return (size - 1) / (output - 1) if output > 1 else 0.0
    plain = output == size or (mode == "nearest" and output == 2 * size)
    return size / output if factor is None or plain else 1.0 / factor


def _shapes(x: Array, *, output: Pair, **_: Any) -> tuple[ShapeDType]:
    return (((*x.shape[:2], *output), x.dtype),)


def _gradient_shapes(dout: Array, *, size: Pair, **_: Any) -> tuple[ShapeDType]:
    return (((*dout.shape[:2], *size), dout.dtype),)


def _depth(x: Array, **_: Any) -> int:
    return int(x.shape[2] * x.shape[3])


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, output in CASES:
        for mode in MODES:
            for align_corners in (False, True)[: 1 if mode == "nearest" else 2]:
                # As if the factor had not been a whole one, too.
                for factor in (None, 1.3):
                    scale = tuple(
                        step(mode, shape[2 + a], output[a], align_corners, factor) for a in range(2)
                    )
                    options = {"mode": mode, "align_corners": align_corners}
                    options |= {"output": output, "scale": scale}
                    yield Sample({"x": rng.normal(size=shape)}, options)


def _gradient_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _samples(rng):
        x = sample.inputs["x"]
        assert x is not None
        dout = rng.normal(size=(*x.shape[:2], *sample.attributes["output"]))
        yield Sample({"dout": dout}, sample.attributes | {"size": x.shape[2:]})


KERNELS = [
    Kernel(upsample_forward, _shapes, _samples, depth=_depth),
    Kernel(upsample_backward, _gradient_shapes, _gradient_samples, outputs=("dx",), depth=_depth),
]
