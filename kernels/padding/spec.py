"""The padding family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType
from .reference import MODES, Widths, pad_backward, pad_forward


def _forward_shapes(x: Array, *, widths: Widths, **_: Any) -> tuple[ShapeDType]:
    return ((tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)), x.dtype),)


def _backward_shapes(dout: Array, *, widths: Widths, mode: str) -> tuple[ShapeDType]:
    return ((tuple(n - a - b for n, (a, b) in zip(dout.shape, widths, strict=True)), dout.dtype),)


def _depth(dout: Array, *, widths: Widths, mode: str) -> int:
    return int(np.prod([1 + a + b for a, b in widths]))


CASES: tuple[tuple[tuple[int, ...], Widths], ...] = (
    ((7,), ((2, 3),)),
    ((2, 3, 5, 6), ((0, 0), (0, 0), (1, 2), (3, 0))),
    ((3, 4, 2, 40), ((0, 0), (2, 1), (0, 1), (17, 20))),
    ((2, 3, 4), ((0, 0), (0, 0), (0, 0))),
    ((1, 1), ((0, 0), (0, 0))),
    ((0, 3, 4), ((0, 0), (0, 0), (1, 1))),
)


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, widths in CASES:
        for mode in MODES:
            value = 1.5 if mode == "zeros" else 0.0
            attributes = {"widths": widths, "mode": mode, "value": value}
            yield Sample({"x": rng.normal(size=shape)}, attributes)
    yield Sample(
        {"x": rng.normal(size=(2, 0))},
        {"widths": ((0, 1), (2, 1)), "mode": "zeros", "value": -1.0},
    )
    # The whole axis comes once more.
    attributes = {"widths": ((0, 0), (3, 3)), "mode": "circular", "value": 0.0}
    yield Sample({"x": rng.normal(size=(2, 3))}, attributes)


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _forward_samples(rng):
        x = sample.inputs["x"]
        assert x is not None
        ((shape, _),) = _forward_shapes(x, **sample.attributes)
        attributes = {k: v for k, v in sample.attributes.items() if k != "value"}
        yield Sample({"dout": rng.normal(size=shape)}, attributes)


KERNELS = [
    Kernel(pad_forward, _forward_shapes, _forward_samples),
    Kernel(pad_backward, _backward_shapes, _backward_samples, outputs=("dx",), depth=_depth),
]
