"""The pooling family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType
from .reference import (
    Pair,
    avg_pool_backward,
    avg_pool_forward,
    max_pool_backward,
    max_pool_forward,
)

# (x, output, window, stride, padding, dilation)
CASES = (
    ((2, 3, 8, 70), (4, 35), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((2, 1, 5, 7), (2, 3), (2, 2), (2, 2), (0, 0), (1, 1)),  # a row and a column are left
    ((2, 1, 5, 7), (3, 4), (2, 2), (2, 2), (0, 0), (1, 1)),  # half a window is outside
    ((1, 2, 9, 8), (9, 8), (3, 3), (1, 1), (1, 1), (1, 1)),  # windows overlap
    ((2, 2, 9, 11), (3, 3), (3, 2), (3, 2), (1, 1), (2, 5)),
    ((1, 3, 1, 13), (1, 5), (1, 4), (1, 3), (0, 2), (1, 1)),
    ((1, 1, 3, 1), (1, 1), (2, 1), (2, 1), (2, 0), (5, 1)),  # a window without elements
    ((3, 2, 7, 10), (3, 4), (0, 0), (1, 1), (0, 0), (1, 1)),  # adaptive
    ((1, 2, 3, 4), (5, 4), (0, 0), (1, 1), (0, 0), (1, 1)),  # more windows than rows
    ((2, 2, 1, 1), (1, 1), (0, 0), (1, 1), (0, 0), (1, 1)),
    ((0, 2, 4, 4), (2, 2), (2, 2), (2, 2), (0, 0), (1, 1)),
)


def _max_shapes(x: Array, *, output: Pair, **_: Any) -> tuple[ShapeDType, ShapeDType]:
    shape = (*x.shape[:2], *output)
    return (shape, x.dtype), (shape, np.dtype("int32"))


def _avg_shapes(x: Array, *, output: Pair, **_: Any) -> tuple[ShapeDType]:
    return (((*x.shape[:2], *output), x.dtype),)


def _gradient_shapes(dout: Array, *_: Any, size: Pair, **__: Any) -> tuple[ShapeDType]:
    return (((*dout.shape[:2], *size), dout.dtype),)


def _depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.shape[2] * x.shape[3])


def _max_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, output, window, stride, padding, dilation in CASES:
        attributes = {"output": output, "window": window, "stride": stride}
        attributes |= {"padding": padding, "dilation": dilation}
        yield Sample({"x": rng.normal(size=shape)}, attributes)
        # Ties, of which the first wins, and NaN, which is the largest of all.
        x = rng.integers(0, 3, size=shape).astype(float)
        x[rng.uniform(size=shape) < 0.1] = np.nan
        yield Sample({"x": x}, attributes)


def _max_gradient_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _max_samples(rng):
        x = sample.inputs["x"]
        assert x is not None
        (shape, _), (_, kind) = _max_shapes(x, **sample.attributes)
        index = np.empty(shape, kind)
        max_pool_forward(np, np.empty(shape), index, x, **sample.attributes)
        dout = rng.normal(size=shape)
        yield Sample({"dout": dout, "index": index}, sample.attributes | {"size": x.shape[2:]})


def _avg_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, output, window, stride, padding, dilation in CASES:
        if dilation != (1, 1):
            continue
        for include_pad, divisor in ((True, 0), (False, 0), (True, 3)):
            attributes: dict[str, Any] = {"output": output, "window": window, "stride": stride}
            attributes |= {"padding": padding, "include_pad": include_pad, "divisor": divisor}
            yield Sample({"x": rng.normal(size=shape)}, attributes)


def _avg_gradient_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _avg_samples(rng):
        x = sample.inputs["x"]
        assert x is not None
        dout = rng.normal(size=(*x.shape[:2], *sample.attributes["output"]))
        yield Sample({"dout": dout}, sample.attributes | {"size": x.shape[2:]})


KERNELS = [
    Kernel(max_pool_forward, _max_shapes, _max_samples, outputs=("out", "index")),
    Kernel(
        max_pool_backward, _gradient_shapes, _max_gradient_samples, outputs=("dx",), depth=_depth
    ),
    Kernel(avg_pool_forward, _avg_shapes, _avg_samples, depth=_depth),
    Kernel(
        avg_pool_backward, _gradient_shapes, _avg_gradient_samples, outputs=("dx",), depth=_depth
    ),
]
