"""The metric family's table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..spec import FLOATS, Array, Kernel, Sample, nothing
from .reference import add_loss, count_hits


def _loss_samples(rng: np.random.Generator) -> Iterator[Sample]:
    total = np.array([12.5, 40.0])
    yield Sample({"total": total, "value": rng.normal(size=())}, {"count": 7})


def _hits_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n, c in ((1, 2), (33, 10), (5000, 3), (64, 1), (0, 4)):
        target = rng.integers(0, max(c, 2), size=n)
        outputs = rng.normal(size=(n, c))
        outputs[rng.uniform(size=(n, c)) < 0.1] = np.nan
        for weight in (None, rng.uniform(size=n)):
            inputs = {"total": np.array([3.0, 5.0]), "outputs": outputs, "target": target}
            yield Sample(inputs | {"weight": weight}, {"threshold": 0.25})


def _depth(total: Array, outputs: Array, *_: Array, threshold: float) -> int:
    return int(outputs.shape[0])


KERNELS = [
    Kernel(add_loss, nothing, _loss_samples, outputs=(), updates=("total",), dtypes=FLOATS),
    Kernel(
        count_hits,
        nothing,
        _hits_samples,
        outputs=(),
        updates=("total",),
        dtypes=FLOATS,
        depth=_depth,
    ),
]
