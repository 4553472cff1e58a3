"""The augmentation family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..random.spec import random_state
from ..spec import Array, Kernel, Sample, ShapeDType, like_first
from .reference import augment_backward, augment_forward

# (shape, shift, flip)
CASES = (
    ((6, 3, 5, 7, 1), (2, 1), (False, True)),
    ((5, 1, 4, 4, 3), (0, 4), (True, True)),
    ((3, 2, 6, 5, 1), (9, 9), (False, False)),
    ((4, 1, 1, 1, 1), (1, 1), (True, False)),
    ((0, 3, 4, 4, 1), (1, 1), (True, True)),
    ((2, 3, 0, 4, 1), (1, 1), (True, True)),
    ((40, 1, 28, 28, 1), (2, 2), (False, True)),
)


def _forward_shapes(x: Array, state: Array, **_: Any) -> tuple[ShapeDType, ShapeDType]:
    return (x.shape, x.dtype), (state.shape, state.dtype)


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, shift, flip in CASES:
        inputs = {"x": rng.normal(size=shape), "state": random_state(rng)}
        yield Sample(inputs, {"shift": shift, "flip": flip, "stream": 3})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _forward_samples(rng):
        yield Sample({"dout": s.inputs["x"], "key": s.inputs["state"]}, s.attributes)


KERNELS = [
    Kernel(augment_forward, _forward_shapes, _forward_samples, outputs=("out", "key")),
    Kernel(augment_backward, like_first, _backward_samples, outputs=("dx",)),
]
