"""The normalization family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType, accumulator
from .reference import layer_norm_backward, layer_norm_forward

# So large that a row of one element, whose variance is 0, does not multiply roundings by much.
EPS = 1e-2
ROWS = ((6, 10), (3, 1), (1, 300), (70, 33), (0, 4), (2, 5000))
# Whether there are scale and shift, and whether rows are centered.
AFFINE = ((True, True, True), (True, False, False), (False, False, True), (True, False, True))


def _layer_shapes(
    x: Array, residual: Array | None, *_: Any, **__: Any
) -> tuple[ShapeDType | None, ...]:
    same = (x.shape, x.dtype)
    stats = ((2, x.shape[0]), accumulator(x.dtype))
    return same, None if residual is None else same, stats


def _layer_gradient_shapes(
    dout: Array,
    dsummed: Array | None,
    summed: Array,
    *_: Any,
    needs: tuple[bool, bool, bool],
    **__: Any,
) -> tuple[ShapeDType | None, ...]:
    kept = ((dout.shape[1],), accumulator(dout.dtype))
    return (
        (dout.shape, dout.dtype) if needs[0] else None,
        kept if needs[1] else None,
        kept if needs[2] else None,
    )


def _layer_depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.shape[1])


def _layer_gradient_depth(dout: Array, *_: Any, **__: Any) -> int:
    return int(max(dout.shape))


def _around(rng: np.random.Generator, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Numbers whose mean is far from zero, elsewhere along each place of an axis."""
    places = [1] * len(shape)
    places[axis] = shape[axis]
    return rng.normal(size=shape) + 3 * rng.normal(size=places)


def _layer_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ROWS:
        for scaled, shifted, centered in AFFINE:
            for residual in (False, True):
                yield Sample(
                    {
                        "x": _around(rng, shape, 0),
                        "residual": rng.normal(size=shape) if residual else None,
                        "scale": rng.normal(size=shape[1]) if scaled else None,
                        "shift": rng.normal(size=shape[1]) if shifted else None,
                    },
                    {"eps": EPS, "centered": centered},
                )


def _layer_gradient_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ROWS:
        for scaled, shifted, centered in AFFINE:
            for all_needed in (False, True):
                summed = _around(rng, shape, 0)
                mean = summed.mean(axis=1) if centered else np.zeros(shape[0])
                stats = np.array([mean, ((summed - mean[:, None]) ** 2).mean(axis=1)])
                yield Sample(
                    {
                        "dout": rng.normal(size=shape),
                        "dsummed": rng.normal(size=shape) if all_needed else None,
                        "summed": summed,
                        "stats": stats,
                        "scale": rng.normal(size=shape[1]) if scaled else None,
                    },
                    {
                        "eps": EPS,
                        "centered": centered,
                        "needs": (all_needed or not scaled, scaled, shifted),
                    },
                )


KERNELS = [
    Kernel(
        layer_norm_forward,
        _layer_shapes,
        _layer_samples,
        outputs=("out", "summed", "stats"),
        depth=_layer_depth,
    ),
    Kernel(
        layer_norm_backward,
        _layer_gradient_shapes,
        _layer_gradient_samples,
        outputs=("dx", "dscale", "dshift"),
        depth=_layer_gradient_depth,
    ),
]
