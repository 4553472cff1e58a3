"""The regularization family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType
from .reference import penalty_backward, penalty_forward


def _forward_shapes(w: Array, **_: Any) -> tuple[ShapeDType]:
    return (((), w.dtype),)


def _backward_shapes(dout: Array, w: Array, **_: Any) -> tuple[ShapeDType]:
    return ((w.shape, w.dtype),)


def _depth(w: Array, **_: Any) -> int:
    return int(w.size)


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((5, 7), (1,), (0,), (40000,)):
        for l1, l2 in ((0.0, 0.1), (0.3, 0.0), (0.3, 0.1)):
            yield Sample({"w": rng.normal(size=shape)}, {"l1": l1, "l2": l2}, (0.0,))


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _samples(rng):
        yield Sample({"dout": rng.normal(size=()), "w": s.inputs["w"]}, s.attributes)


KERNELS = [
    Kernel(penalty_forward, _forward_shapes, _samples, depth=_depth),
    Kernel(penalty_backward, _backward_shapes, _backward_samples, outputs=("dw",)),
]
