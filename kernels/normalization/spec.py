"""The normalization family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import FLOATS, Array, Kernel, Sample, ShapeDType, accumulator, nothing
from .reference import (
    batch_norm_backward,
    batch_norm_forward,
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    track_statistics,
)

# So large that a row of one element, whose variance is 0, does not multiply roundings by much.
EPS = 1e-2
ROWS = ((6, 10), (3, 1), (1, 300), (70, 33), (0, 4), (2, 5000))
# (n, c, s), with s on both sides of what a loop takes as long.
CUBES = ((6, 3, 1), (5, 70, 1), (4, 3, 5), (3, 5, 70), (2, 2, 5000), (700, 3, 1))
# (n, c, s) and groups
GROUPED = (((3, 6, 5), 2), ((2, 4, 30), 4), ((2, 6, 1), 2), ((1, 4, 5000), 1), ((0, 4, 2), 2))
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


def _batch_shapes(x: Array, *_: Any, **__: Any) -> tuple[ShapeDType, ...]:
    return (x.shape, x.dtype), ((2, x.shape[1]), accumulator(x.dtype))


def _group_shapes(x: Array, *_: Any, groups: int, **__: Any) -> tuple[ShapeDType, ...]:
    return (x.shape, x.dtype), ((2, x.shape[0] * groups), accumulator(x.dtype))


def _channel_gradient_shapes(
    dout: Array, *_: Any, needs: tuple[bool, bool, bool], **__: Any
) -> tuple[ShapeDType | None, ...]:
    kept = ((dout.shape[1],), accumulator(dout.dtype))
    return (
        (dout.shape, dout.dtype) if needs[0] else None,
        kept if needs[1] else None,
        kept if needs[2] else None,
    )


def _batch_depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.shape[0] * x.shape[2])


def _whole_depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.size)


def _batch_arguments(rng: np.random.Generator) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for shape in CUBES:
        for scaled, shifted, training in AFFINE:
            # Of thousands of elements one would be at ReLU's kink.
            activations = ("identity", "relu")[: 2 if max(shape) < 5000 else 1]
            for activation in activations:
                c = shape[1]
                yield (
                    {
                        "x": _around(rng, shape, 1),
                        "scale": rng.normal(size=c) if scaled else None,
                        "shift": rng.normal(size=c) if shifted else None,
                        "running_mean": rng.normal(size=c),
                        "running_var": rng.uniform(0.5, 2, size=c),
                    },
                    {"eps": EPS, "training": training, "activation": activation},
                )


def _batch_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _batch_arguments(rng):
        yield Sample(arrays, attributes)
        if attributes["training"]:
            yield Sample(arrays | {"running_mean": None, "running_var": None}, attributes)


def _batch_gradient_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for number, (arrays, attributes) in enumerate(_batch_arguments(rng)):
        x, scale = arrays["x"], arrays["scale"]
        stats = np.array([arrays["running_mean"], arrays["running_var"]])
        if attributes["training"]:
            stats = np.array([x.mean(axis=(0, 2)), x.var(axis=(0, 2))])
        relu = attributes["activation"] == "relu"
        affine = scale is not None, arrays["shift"] is not None
        yield Sample(
            {
                "dout": rng.normal(size=x.shape),
                "x": x,
                "out": rng.normal(size=x.shape) if relu else None,
                "stats": stats,
                "scale": scale,
            },
            attributes | {"needs": (bool(number % 3) or not any(affine), *affine)},
        )


def _track_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for b, c in ((1, 5), (3, 4), (1, 300)):
        for momentum in (0.1, None):
            for tracked in (True, False)[: 1 if momentum is None else 2]:
                yield Sample(
                    {
                        "running_mean": rng.normal(size=c),
                        "running_var": rng.uniform(0.5, 2, size=c),
                        "tracked": np.array(6) if tracked else None,
                        "stats": rng.uniform(0.5, 2, size=(2, b * c)),
                    },
                    {"momentum": momentum, "count": 7},
                )


def _group_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, groups in GROUPED:
        for scaled, shifted, _ in AFFINE:
            yield Sample(
                {
                    "x": _around(rng, shape, 0),
                    "scale": rng.normal(size=shape[1]) if scaled else None,
                    "shift": rng.normal(size=shape[1]) if shifted else None,
                },
                {"groups": groups, "eps": EPS},
            )


def _group_gradient_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _group_samples(rng):
        x, scale, shift = (sample.inputs[name] for name in ("x", "scale", "shift"))
        assert x is not None
        groups = sample.attributes["groups"]
        rows = x.reshape(x.shape[0] * groups, x.shape[1] // groups * x.shape[2])
        stats = np.array([rows.mean(axis=1), rows.var(axis=1)])
        for needs_x in (True, False):
            if needs_x or scale is not None:
                yield Sample(
                    {"dout": rng.normal(size=x.shape), "x": x, "stats": stats, "scale": scale},
                    sample.attributes | {"needs": (needs_x, scale is not None, shift is not None)},
                )


GRADIENTS = ("dx", "dscale", "dshift")
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
        outputs=GRADIENTS,
        depth=_layer_gradient_depth,
    ),
    Kernel(
        batch_norm_forward,
        _batch_shapes,
        _batch_samples,
        outputs=("out", "stats"),
        depth=_batch_depth,
    ),
    Kernel(
        batch_norm_backward,
        _channel_gradient_shapes,
        _batch_gradient_samples,
        outputs=GRADIENTS,
        depth=_batch_depth,
    ),
    Kernel(
        track_statistics,
        nothing,
        _track_samples,
        outputs=(),
        updates=("running_mean", "running_var", "tracked"),
        dtypes=FLOATS,
    ),
    Kernel(
        group_norm_forward,
        _group_shapes,
        _group_samples,
        outputs=("out", "stats"),
        depth=_whole_depth,
    ),
    Kernel(
        group_norm_backward,
        _channel_gradient_shapes,
        _group_gradient_samples,
        outputs=GRADIENTS,
        depth=_whole_depth,
    ),
]
