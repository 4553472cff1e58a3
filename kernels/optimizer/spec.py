"""The optimizer family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import FLOATS, Array, Kernel, Sample, ShapeDType, nothing
from .reference import (
    adagrad_update,
    adam_update,
    advance,
    clip_by_norm,
    clip_by_value,
    rmsprop_update,
    sgd_update,
    sum_of_squares,
)

SIZES = (1, 33, 70000, 0)


def _scalar_float64(x: Array) -> tuple[ShapeDType]:
    return (((), np.dtype("float64")),)


def _depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.size)


def _hyper(lr: float = 0.01, t: int = 3) -> np.ndarray:
    return np.array([lr, t], dtype=np.float64)


def _advance_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample({"hyper": _hyper()})


def _sgd_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
            for decay in (0.0, 0.1):
                yield Sample(
                    {
                        "param": rng.normal(size=n),
                        "velocity": rng.normal(size=n) if momentum else None,
                        "grad": rng.normal(size=n),
                        "hyper": _hyper(),
                    },
                    {"momentum": momentum, "weight_decay": decay, "nesterov": nesterov},
                )


def _adam_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        for decay, decoupled in ((0.0, False), (0.1, False), (0.1, True)):
            yield Sample(
                {
                    "param": rng.normal(size=n),
                    "m": rng.normal(size=n),
                    "v": rng.uniform(0.1, 1, size=n),
                    "grad": rng.normal(size=n),
                    "hyper": _hyper(),
                },
                {
                    "beta1": 0.9,
                    "beta2": 0.999,
                    "eps": 1e-8,
                    "weight_decay": decay,
                    "decoupled": decoupled,
                },
            )


def _rmsprop_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        for momentum, centered in ((0.0, False), (0.9, False), (0.9, True), (0.0, True)):
            yield Sample(
                {
                    "param": rng.normal(size=n),
                    "square": rng.uniform(1.0, 2.0, size=n),
                    "velocity": rng.normal(size=n) if momentum else None,
                    "average": rng.uniform(-0.5, 0.5, size=n) if centered else None,
                    "grad": rng.normal(size=n),
                    "hyper": _hyper(),
                },
                {
                    "alpha": 0.99,
                    "eps": 1e-8,
                    "weight_decay": 0.1 * centered,
                    "momentum": momentum,
                    "centered": centered,
                },
            )


def _adagrad_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        for decay in (0.0, 0.1):
            yield Sample(
                {
                    "param": rng.normal(size=n),
                    "square": rng.uniform(0.1, 1, size=n),
                    "grad": rng.normal(size=n),
                    "hyper": _hyper(),
                },
                {"eps": 1e-10, "weight_decay": decay, "lr_decay": decay},
            )


def _norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        yield Sample({"x": rng.normal(size=n)})


def _clip_norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        grad = rng.normal(size=n)
        for max_norm in (0.5, 1e6):
            total = np.array((grad * grad).sum())
            yield Sample({"grad": grad, "total": total}, {"max_norm": max_norm})


def _clip_value_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        yield Sample({"grad": rng.normal(size=n)}, {"limit": 0.6})


def _update(reference: Any, samples: Any, *updates: str) -> Kernel:
    return Kernel(reference, nothing, samples, outputs=(), updates=updates, dtypes=FLOATS)


KERNELS = [
    _update(advance, _advance_samples, "hyper"),
    _update(sgd_update, _sgd_samples, "param", "velocity"),
    _update(adam_update, _adam_samples, "param", "m", "v"),
    _update(rmsprop_update, _rmsprop_samples, "param", "square", "velocity", "average"),
    _update(adagrad_update, _adagrad_samples, "param", "square"),
    Kernel(sum_of_squares, _scalar_float64, _norm_samples, dtypes=FLOATS, depth=_depth),
    _update(clip_by_norm, _clip_norm_samples, "grad"),
    _update(clip_by_value, _clip_value_samples, "grad"),
]
