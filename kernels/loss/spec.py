"""The loss family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType, accumulator
from .reference import (
    cross_entropy_backward,
    cross_entropy_forward,
    pointwise_loss_backward,
    pointwise_loss_forward,
    soft_cross_entropy_backward,
    soft_cross_entropy_forward,
)

POINTWISE = ("mse", "mae", "huber", "bce_logits", "bce")
REDUCTIONS = ("mean", "sum", "none")
NO_INDEX = -100


def _pointwise_shapes(
    x: Array, *_: Any, kind: str, delta: float, reduction: str
) -> tuple[ShapeDType]:
    return ((x.shape if reduction == "none" else (), x.dtype),)


def _cross_entropy_shapes(
    logits: Array, *_: Any, reduction: str, **__: Any
) -> tuple[ShapeDType, ShapeDType, ShapeDType]:
    n, sums = logits.shape[0], accumulator(logits.dtype)
    return ((n,) if reduction == "none" else (), logits.dtype), ((2, n), sums), ((), sums)


def _soft_shapes(logits: Array, *_: Any, **attributes: Any) -> tuple[ShapeDType, ShapeDType]:
    return _cross_entropy_shapes(logits, **attributes)[:2]


def _gradient_shapes(dout: Array, x: Array, *_: Any, **__: Any) -> tuple[ShapeDType]:
    return ((x.shape, x.dtype),)


def _forward_depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.size)


def _backward_depth(dout: Array, x: Array, *_: Any, **__: Any) -> int:
    return int(x.size)


def _dout(rng: np.random.Generator, shape: tuple[int, ...], reduction: str) -> np.ndarray:
    return rng.normal(size=shape if reduction == "none" else ())


def _pointwise_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind in POINTWISE:
        for reduction in REDUCTIONS:
            for n, m in ((6, 5), (1, 1), (200, 3)):
                x, target = rng.normal(size=(n, m)) * 2, rng.normal(size=(n, m))
                if kind.startswith("bce"):
                    target = rng.uniform(size=(n, m))
                if kind == "bce":
                    x = rng.uniform(0.02, 0.98, size=(n, m))
                attributes = {"kind": kind, "delta": 0.7, "reduction": reduction}
                for weight in (None, rng.uniform(0.5, 2, size=n)):
                    inputs = {"x": x, "target": target, "sample_weight": weight}
                    yield Sample(inputs, attributes)
    huge = np.array([[-1e4, 1e4, 1e4, -1e4, 0.0]])
    target = np.array([[0.0, 0.0, 1.0, 1.0, 0.5]])
    yield Sample(
        {"x": huge, "target": target, "sample_weight": None},
        {"kind": "bce_logits", "delta": 1.0, "reduction": "none"},
    )


def _pointwise_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _pointwise_samples(rng):
        x = s.inputs["x"]
        assert x is not None
        dout = _dout(rng, x.shape, s.attributes["reduction"])
        yield Sample({"dout": dout, **s.inputs}, s.attributes)


def _cross_entropy_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for reduction in REDUCTIONS:
        for n, c in ((6, 5), (1, 2), (150, 10), (4, 1)):
            logits, target = rng.normal(size=(n, c)) * 2, rng.integers(0, c, size=n)
            if n > 4:
                target[2] = NO_INDEX
            for smoothing in (0.0, 0.1):
                attributes = {
                    "label_smoothing": smoothing,
                    "ignore_index": NO_INDEX,
                    "reduction": reduction,
                }
                for weighted in (False, True):
                    yield Sample(
                        {
                            "logits": logits,
                            "target": target,
                            "class_weight": rng.uniform(0.5, 2, size=c) if weighted else None,
                            "sample_weight": rng.uniform(0.5, 2, size=n) if weighted else None,
                        },
                        attributes,
                    )
    plain = {"label_smoothing": 0.0, "ignore_index": NO_INDEX, "reduction": "none"}
    huge = rng.choice([-1e4, 0.0, 1e4], size=(8, 5))
    yield Sample(
        {
            "logits": huge,
            "target": rng.integers(0, 5, size=8),
            "class_weight": None,
            "sample_weight": None,
        },
        plain,
    )
    yield Sample(
        {
            "logits": rng.normal(size=(3, 4)),
            "target": np.array([1, 4, -1]),
            "class_weight": None,
            "sample_weight": None,
        },
        plain,
    )


def _soft_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _cross_entropy_samples(rng):
        logits = s.inputs["logits"]
        assert logits is not None
        attributes = {k: v for k, v in s.attributes.items() if k != "ignore_index"}
        target = rng.uniform(0.1, 1, size=logits.shape)
        target /= target.sum(axis=1, keepdims=True)
        yield Sample({**s.inputs, "target": target}, attributes)


def _backward(forward: Any, samples: Any, extra: tuple[str, ...]) -> Any:
    """Samples for a backward kernel: a forward's arguments with what that forward saves."""

    def draw(rng: np.random.Generator) -> Iterator[Sample]:
        for s in samples(rng):
            logits = s.inputs["logits"]
            shapes = _cross_entropy_shapes(logits, reduction=s.attributes["reduction"])
            outputs = dict(
                zip(("out", "stats", "norm"), (np.empty(*shape) for shape in shapes), strict=True)
            )
            names = ("out", *extra)
            forward(np, *(outputs[k] for k in names), *s.inputs.values(), **s.attributes)
            dout = _dout(rng, outputs["out"].shape, s.attributes["reduction"])
            yield Sample({"dout": dout, **s.inputs, **{k: outputs[k] for k in extra}}, s.attributes)

    return draw


KERNELS = [
    Kernel(pointwise_loss_forward, _pointwise_shapes, _pointwise_samples, depth=_forward_depth),
    Kernel(
        pointwise_loss_backward,
        _gradient_shapes,
        _pointwise_backward_samples,
        outputs=("dx",),
    ),
    Kernel(
        cross_entropy_forward,
        _cross_entropy_shapes,
        _cross_entropy_samples,
        outputs=("out", "stats", "norm"),
        depth=_forward_depth,
    ),
    Kernel(
        cross_entropy_backward,
        _gradient_shapes,
        _backward(cross_entropy_forward, _cross_entropy_samples, ("stats", "norm")),
        outputs=("dlogits",),
        depth=_backward_depth,
    ),
    Kernel(
        soft_cross_entropy_forward,
        _soft_shapes,
        _soft_samples,
        outputs=("out", "stats"),
        depth=_forward_depth,
    ),
    Kernel(
        soft_cross_entropy_backward,
        _gradient_shapes,
        _backward(soft_cross_entropy_forward, _soft_samples, ("stats",)),
        outputs=("dlogits",),
        depth=_backward_depth,
    ),
]
