"""The rotary family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Kernel, Sample, like_first
from .reference import rotary_backward, rotary_forward

# (batch, length, heads, width), heads that turn, half of the columns that turn, start
CASES: tuple[tuple[tuple[int, ...], int, int, int | None], ...] = (
    ((2, 5, 3, 8), 3, 4, None),
    ((1, 4, 6, 64), 4, 32, 3),
    ((2, 1, 2, 10), 1, 3, 6),
    ((1, 9, 1, 2), 1, 1, 4),
    ((0, 3, 2, 4), 2, 2, None),
)


def _arguments(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, dict[str, Any], int]]:
    for shape, heads, half, start in CASES:
        angles = rng.normal(size=(10, half))
        table = np.stack([np.cos(angles), np.sin(angles)])
        first = None if start is None else np.asarray(start)
        yield rng.normal(size=shape), {"table": table, "start": first}, heads


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, others, heads in _arguments(rng):
        yield Sample({"x": x} | others, {"heads": heads})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, others, heads in _arguments(rng):
        yield Sample({"dout": x} | others, {"heads": heads})


KERNELS = [
    Kernel(rotary_forward, like_first, _forward_samples),
    Kernel(rotary_backward, like_first, _backward_samples, outputs=("dx",)),
]
