"""The elementwise family's table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..spec import NUMBERS, Array, Kernel, Sample, ShapeDType, like_first, nothing
from .reference import (
    ARITHMETIC,
    COMPARISON,
    UNARY,
    accumulate,
    binary_backward,
    binary_forward,
    clip_backward,
    clip_forward,
    copy,
    fill,
    unary_backward,
    unary_forward,
    where,
)

POSITIVE = ("log", "sqrt", "log1p", "reciprocal", "power")
# Same shapes, a row, a column, a scalar, both expanded, empty, one element.
PAIRS = (
    ((5, 7), (5, 7)), ((5, 7), (7,)), ((5, 7), (5, 1)), ((5, 7), ()), ((), (3, 2)),
    ((4, 1, 3), (1, 6, 1)), ((2, 3, 4, 2, 2), (3, 1, 2, 1)), ((0, 3), (3,)), ((1,), (1,)),
    ((100, 300), (100, 300)),
)  # fmt: skip


def _binary_shapes(a: Array, b: Array, *, kind: str) -> tuple[ShapeDType]:
    shape = a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape)
    return ((shape, np.dtype("bool") if kind in COMPARISON else a.dtype),)


def _binary_backward_shapes(
    dout: Array, a: Array, b: Array, out: Array, *, kind: str, needs: tuple[bool, bool]
) -> tuple[ShapeDType | None, ...]:
    return tuple((dout.shape, dout.dtype) if need else None for need in needs)


def _where_shapes(condition: Array, a: Array, b: Array) -> tuple[ShapeDType]:
    return ((np.broadcast_shapes(condition.shape, a.shape, b.shape), a.dtype),)


def _copy_shapes(x: Array, *, dtype: str) -> tuple[ShapeDType]:
    return ((x.shape, np.dtype(dtype)),)


def _fill_shapes(*, shape: tuple[int, ...], dtype: str, value: float) -> tuple[ShapeDType]:
    return ((shape, np.dtype(dtype)),)


def _unary_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind in UNARY:
        for shape in ((5, 7), (0,), (), (70000,)):
            x = rng.normal(size=shape)
            if kind in POSITIVE:
                x = np.abs(x) + 0.1
            yield Sample({"x": x}, {"kind": kind}, (0.0,) if kind in ("absolute", "sign") else ())


def _unary_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _unary_samples(rng):
        x, kind = s.inputs["x"], s.attributes["kind"]
        assert x is not None
        inputs = {"dout": rng.normal(size=x.shape), "x": x, "out": np.asarray(getattr(np, kind)(x))}
        yield Sample(inputs, {"kind": kind})


def _binary_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind in ARITHMETIC + COMPARISON:
        for a, b in PAIRS:
            first, second = rng.normal(size=a), rng.normal(size=b)
            if kind in POSITIVE:
                first = np.abs(first) + 0.1
            if kind == "divide":
                second = np.sign(second) * (np.abs(second) + 0.1)
            yield Sample({"a": first, "b": second}, {"kind": kind})


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from _binary_samples(rng)
    for dtype in ("int64", "uint8"):
        a, b = (rng.integers(0, 5, size).astype(dtype) for size in ((4, 1, 3), (5, 3)))
        for kind in COMPARISON + ARITHMETIC:
            if kind != "divide":
                yield Sample({"a": a, "b": b}, {"kind": kind})
    # Whole numbers beside others.
    for kind in COMPARISON:
        yield Sample({"a": a, "b": rng.normal(size=3)}, {"kind": kind})


def _binary_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _binary_samples(rng):
        kind = s.attributes["kind"]
        if kind in COMPARISON:
            continue
        out = np.asarray(getattr(np, kind)(*s.inputs.values()))
        for needs in ((True, True), (False, True), (True, False)):
            yield Sample(
                {"dout": rng.normal(size=out.shape), **s.inputs, "out": out},
                {"kind": kind, "needs": needs},
            )


def _where_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in PAIRS:
        shape = np.broadcast_shapes(a, b)
        condition = rng.uniform(size=shape) < 0.5
        yield Sample({"condition": condition, "a": rng.normal(size=a), "b": rng.normal(size=b)})


def _clip_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((5, 7), (0,), ()):
        for low, high in ((-0.5, 0.7), (-np.inf, 0.2), (0.0, np.inf)):
            kinks = tuple(v for v in (low, high) if np.isfinite(v))
            yield Sample({"x": rng.normal(size=shape)}, {"low": low, "high": high}, kinks)


def _clip_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _clip_samples(rng):
        x = s.inputs["x"]
        assert x is not None
        yield Sample({"dout": rng.normal(size=x.shape), "x": x}, s.attributes)


def _accumulate_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((5, 7), (0,), (), (70000,)):
        yield Sample({"acc": rng.normal(size=shape), "x": rng.normal(size=shape)})


def _copy_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = rng.normal(size=(6, 5, 4)) * 9
    for view in (x, x.transpose(2, 0, 1), x[::2, 1:, ::-1], x[:0], x[0, 0, 0]):
        for dtype in ("float32", "float64"):
            yield Sample({"x": view}, {"dtype": dtype})
    for source, dtype in (
        ("int64", "float32"), ("float64", "int64"), ("bool", "float32"), ("uint8", "float32"),
        ("int64", "int32"),
    ):  # fmt: skip
        yield Sample({"x": np.abs(x).astype(source)}, {"dtype": dtype})


def _fill_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 4), (), (0,)):
        for dtype in ("float32", "float64", "int64"):
            yield Sample({}, {"shape": shape, "dtype": dtype, "value": 3.0})


KERNELS = [
    Kernel(unary_forward, like_first, _unary_samples, special=True),
    Kernel(unary_backward, like_first, _unary_backward_samples, outputs=("dx",)),
    Kernel(
        binary_forward, _binary_shapes, _forward_samples, dtypes=NUMBERS, strided=True, special=True
    ),
    Kernel(
        binary_backward,
        _binary_backward_shapes,
        _binary_backward_samples,
        outputs=("da", "db"),
        strided=True,
    ),
    Kernel(where, _where_shapes, _where_samples, dtypes=NUMBERS, strided=True),
    Kernel(clip_forward, like_first, _clip_samples, special=True),
    Kernel(clip_backward, like_first, _clip_backward_samples, outputs=("dx",)),
    Kernel(accumulate, nothing, _accumulate_samples, outputs=(), updates=("acc",)),
    Kernel(copy, _copy_shapes, _copy_samples, dtypes=NUMBERS, strided=True),
    Kernel(fill, _fill_shapes, _fill_samples, dtypes=NUMBERS),
]
