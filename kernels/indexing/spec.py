"""The indexing family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import NUMBERS, Array, Kernel, Sample, ShapeDType
from .reference import scatter_add_rows, take_rows


def _take_shapes(x: Array, index: Array) -> tuple[ShapeDType]:
    return (((index.shape[0], x.shape[1]), x.dtype),)


def _scatter_shapes(dout: Array, index: Array, *, rows: int, skip: int) -> tuple[ShapeDType]:
    return (((rows, dout.shape[1]), dout.dtype),)


def _depth(dout: Array, *_: Any, **__: Any) -> int:
    return int(dout.shape[0])


def _take_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for rows, m, k in ((5, 3, 9), (1, 1, 1), (100, 64, 300), (4, 2, 0)):
        yield Sample({"x": rng.normal(size=(rows, m)), "index": rng.integers(0, rows, size=k)})
    yield Sample({"x": rng.normal(size=(3, 2)), "index": np.array([0, 3, -1, 2])})


def _scatter_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _take_samples(rng):
        x, index = s.inputs["x"], s.inputs["index"]
        assert x is not None
        assert index is not None
        dout = rng.normal(size=(index.shape[0], x.shape[1]))
        yield Sample({"dout": dout, "index": index}, {"rows": x.shape[0], "skip": -1})
        yield Sample({"dout": dout, "index": index}, {"rows": x.shape[0], "skip": 0})


KERNELS = [
    Kernel(take_rows, _take_shapes, _take_samples, dtypes=NUMBERS),
    Kernel(scatter_add_rows, _scatter_shapes, _scatter_samples, outputs=("dx",), depth=_depth),
]
