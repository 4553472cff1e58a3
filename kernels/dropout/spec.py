"""The dropout family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..random.spec import random_state
from ..spec import Array, Kernel, Sample, ShapeDType, like_first
from .reference import dropout_backward, dropout_forward


def _forward_shapes(x: Array, state: Array, **_: Any) -> tuple[ShapeDType, ShapeDType]:
    return (x.shape, x.dtype), (state.shape, state.dtype)


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1,), (7, 33), (0, 3), (5000,)):
        for p in (0.0, 0.3, 0.9):
            inputs = {"x": rng.normal(size=shape), "state": random_state(rng)}
            yield Sample(inputs, {"p": p, "span": 1, "stream": 5})
    for size, span in (((6, 5, 7), 7), ((9, 2, 300), 600), ((0, 4, 1), 4), ((50, 3, 1), 1)):
        inputs = {"x": rng.normal(size=size), "state": random_state(rng)}
        yield Sample(inputs, {"p": 0.4, "span": span, "stream": 5})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _forward_samples(rng):
        yield Sample({"dout": s.inputs["x"], "key": s.inputs["state"]}, s.attributes)


KERNELS = [
    Kernel(dropout_forward, _forward_shapes, _forward_samples, outputs=("out", "key")),
    Kernel(dropout_backward, like_first, _backward_samples, outputs=("dx",)),
]
