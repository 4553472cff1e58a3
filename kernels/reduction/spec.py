"""The reduction family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import FLOATS, HALVES, Array, Kernel, Sample, ShapeDType
from .reference import KINDS, argreduce, reduce_backward, reduce_forward

SIZES = ((1, 40, 1), (6, 9, 1), (1, 9, 6), (3, 5, 4), (2, 1, 3), (0, 3, 2), (1, 70000, 1))


def _shapes(x: Array, *, kind: str) -> tuple[ShapeDType]:
    return (((x.shape[0], x.shape[2]), x.dtype),)


def _index_shapes(x: Array, *, kind: str) -> tuple[ShapeDType]:
    return (((x.shape[0], x.shape[2]), np.dtype("int64")),)


def _gradient_shapes(dout: Array, x: Array, out: Array, *, kind: str) -> tuple[ShapeDType]:
    return ((x.shape, x.dtype),)


def _depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.shape[1])


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind in KINDS:
        for size in SIZES:
            yield Sample({"x": rng.normal(size=size)}, {"kind": kind})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _samples(rng):
        x, kind = s.inputs["x"], s.attributes["kind"]
        assert x is not None
        out = getattr(x, kind)(axis=1)
        yield Sample({"dout": rng.normal(size=out.shape), "x": x, "out": out}, s.attributes)
    tied = np.array([[[1.0], [3.0], [3.0]]])
    yield Sample({"dout": np.ones((1, 1)), "x": tied, "out": tied.max(axis=1)}, {"kind": "max"})


def _arg_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind in ("max", "min"):
        for size in SIZES:
            # Small integers: ties are common, and the first one must win.
            yield Sample({"x": rng.integers(0, 4, size=size).astype(np.float64)}, {"kind": kind})


KERNELS = [
    Kernel(reduce_forward, _shapes, _samples, depth=_depth),
    Kernel(reduce_backward, _gradient_shapes, _backward_samples, outputs=("dx",)),
    Kernel(argreduce, _index_shapes, _arg_samples, dtypes=(*FLOATS, *HALVES, "int64", "int32")),
]
