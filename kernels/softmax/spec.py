"""The softmax family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, like_first
from .reference import (
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
)

SHAPES = ((5, 10), (3, 1), (1, 300), (64, 7))


def _columns(x: Array, *_: Any) -> int:
    return int(x.shape[-1])


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in SHAPES:
        yield Sample({"x": rng.normal(size=shape) * 3})
    yield Sample({"x": rng.choice([-1e4, 0.0, 1e4], size=(6, 9))})


def _softmax_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in SHAPES:
        x = rng.normal(size=shape)
        out = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        yield Sample({"dout": rng.normal(size=shape), "out": out})


def _log_softmax_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _softmax_samples(rng):
        out = sample.inputs["out"]
        assert out is not None
        yield Sample({"dout": sample.inputs["dout"], "out": np.log(out)})


KERNELS = [
    Kernel(softmax_forward, like_first, _forward_samples, depth=_columns),
    Kernel(softmax_backward, like_first, _softmax_samples, outputs=("dx",), depth=_columns),
    Kernel(log_softmax_forward, like_first, _forward_samples, depth=_columns),
    Kernel(log_softmax_backward, like_first, _log_softmax_samples, outputs=("dx",), depth=_columns),
]
