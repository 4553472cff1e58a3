"""The random family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType, nothing
from .reference import STATE_WORDS, next_step, random_bits, random_uniform, skip_streams


def _bits_shapes(state: Array, *, shape: tuple[int, ...], stream: int) -> tuple[ShapeDType]:
    return ((shape, np.dtype("uint32")),)


def _uniform_shapes(
    state: Array, *, shape: tuple[int, ...], dtype: str, **_: Any
) -> tuple[ShapeDType]:
    return ((shape, np.dtype(dtype)),)


def random_state(rng: np.random.Generator) -> np.ndarray:
    """A state to try: any seed, any step."""
    return rng.integers(0, 2**32, size=STATE_WORDS, dtype=np.uint32)


def _bits_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((1,), (7,), (33, 5), (0,), (4096,), ()):
        yield Sample({"state": random_state(rng)}, {"shape": shape, "stream": 3})


def _uniform_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _bits_samples(rng):
        for dtype in ("float32", "float64"):
            yield Sample(
                sample.inputs, sample.attributes | {"dtype": dtype, "low": 0.0, "high": 1.0}
            )
            yield Sample(
                sample.inputs, sample.attributes | {"dtype": dtype, "low": -2.0, "high": 0.5}
            )


def _step_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample({"state": random_state(rng)})
    # The last step is followed by the first.
    yield Sample({"state": np.array([1, 2, 2**32 - 1, 2**32 - 2], np.uint32)})


def _skip_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _step_samples(rng):
        yield Sample(sample.inputs, {"count": 3})


KERNELS = [
    Kernel(next_step, nothing, _step_samples, outputs=(), updates=("state",)),
    Kernel(skip_streams, nothing, _skip_samples, outputs=(), updates=("state",)),
    Kernel(random_bits, _bits_shapes, _bits_samples),
    Kernel(random_uniform, _uniform_shapes, _uniform_samples),
]
