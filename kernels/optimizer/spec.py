"""The optimizer family's table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

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
    unscale,
    update_scale,
)

Samples: TypeAlias = Callable[[np.random.Generator], Iterator[Sample]]
SIZES = (1, 33, 70000, 0)


def _scalar_float64(x: Array) -> tuple[ShapeDType]:
    return (((), np.dtype("float64")),)


def _depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.size)


def _hyper(lr: float = 0.01, t: int = 3, skipped: bool = False) -> np.ndarray:
    return np.array([lr, t, skipped], dtype=np.float64)


def _skipped_too(samples: Samples) -> Samples:
    """The samples, and the last that has elements as one of a skipped step."""

    def draw(rng: np.random.Generator) -> Iterator[Sample]:
        last = None
        for sample in samples(rng):
            yield sample
            if all(x is None or x.size for x in sample.inputs.values()):
                last = sample
        assert last is not None
        yield Sample(dict(last.inputs) | {"hyper": _hyper(skipped=True)}, last.attributes)

    return draw


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
        total = np.array((grad * grad).sum())
        for max_norm in (0.5, 1e6):
            yield Sample({"grad": grad, "total": total}, {"max_norm": max_norm})
        yield Sample({"grad": grad, "total": np.array(np.nan)}, {"max_norm": 0.5})


def _clip_value_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        yield Sample({"grad": rng.normal(size=n)}, {"limit": 0.6})


def _unscale_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in SIZES:
        for bad in (False, True):
            yield Sample({"grad": rng.normal(size=n), "scaling": np.array([1024.0, 3.0, bad])})
        for wrong in (np.nan, np.inf, -np.inf)[: n and 3]:
            grad = rng.normal(size=n)
            grad[rng.integers(n)] = wrong
            yield Sample({"grad": grad, "scaling": np.array([0.5, 3.0, 0.0])})


def _scale_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for good, bad in ((0, 0), (3, 0), (4, 0), (3, 1), (4, 1)):
        options = {"growth": 2.0, "backoff": 0.25, "interval": 5}
        yield Sample({"scaling": np.array([65536.0, good, bad])}, options)


def _update(reference: Any, samples: Any, *updates: str) -> Kernel:
    return Kernel(reference, nothing, samples, outputs=(), updates=updates, dtypes=FLOATS)


KERNELS = [
    _update(advance, _skipped_too(_advance_samples), "hyper"),
    _update(sgd_update, _skipped_too(_sgd_samples), "param", "velocity"),
    _update(adam_update, _skipped_too(_adam_samples), "param", "m", "v"),
    _update(
        rmsprop_update, _skipped_too(_rmsprop_samples), "param", "square", "velocity", "average"
    ),
    _update(adagrad_update, _skipped_too(_adagrad_samples), "param", "square"),
    Kernel(sum_of_squares, _scalar_float64, _norm_samples, dtypes=FLOATS, depth=_depth),
    _update(clip_by_norm, _clip_norm_samples, "grad"),
    _update(clip_by_value, _clip_value_samples, "grad"),
    _update(unscale, _unscale_samples, "grad", "scaling"),
    _update(update_scale, _scale_samples, "scaling"),
]
