"""The attention family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..random.spec import random_state
from ..spec import Array, Kernel, Sample, ShapeDType, accumulator, nothing
from .reference import append_rows, attention_backward, attention_forward


def _forward_shapes(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
    state: Array | None,
    **_: Any,
) -> tuple[ShapeDType | None, ...]:
    return (
        ((*q.shape[:-1], v.shape[-1]), q.dtype),
        (q.shape[:-1], accumulator(q.dtype)),
        None if state is None else (state.shape, state.dtype),
    )


def _backward_shapes(
    dout: Array, q: Array, k: Array, v: Array, *_: Any, **__: Any
) -> tuple[ShapeDType, ...]:
    return (q.shape, q.dtype), (k.shape, k.dtype), (v.shape, v.dtype)


def _forward_depth(q: Array, k: Array, *_: Any, **__: Any) -> int:
    return int(q.shape[-1] + k.shape[-2])


def _backward_depth(dout: Array, q: Array, k: Array, v: Array, *_: Any, **__: Any) -> int:
    longest = max(k.shape[2], q.shape[2] * q.shape[1] // max(k.shape[1], 1))
    return int(q.shape[-1] + 2 * v.shape[-1] + longest)


# (batch, heads, groups, queries, keys, width, width of v), and what is present.
CASES: tuple[tuple[tuple[int, ...], str], ...] = (
    ((2, 2, 2, 5, 5, 8, 8), "causal"),
    ((1, 4, 2, 3, 7, 5, 3), "mask"),
    ((2, 2, 1, 6, 9, 4, 4), "bias padding"),
    ((3, 1, 1, 4, 6, 16, 16), "lengths"),
    ((2, 2, 2, 7, 12, 8, 8), "causal start dropout"),
    ((1, 2, 1, 9, 6, 33, 17), "dropout lengths padding causal bias"),
    ((2, 1, 1, 1, 1, 1, 1), ""),
    ((1, 2, 2, 1, 40, 16, 16), "causal start"),
    ((1, 1, 1, 70, 140, 20, 40), "causal"),
    ((1, 2, 1, 40, 135, 8, 8), "mask lengths"),
    ((2, 1, 1, 3, 0, 4, 4), "lengths"),
    ((0, 2, 2, 3, 3, 4, 4), "causal"),
    ((1, 2, 2, 0, 3, 4, 4), "mask"),
)


def _arguments(rng: np.random.Generator) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for (batch, heads, groups, queries, keys, width, other), present in CASES:
        start = max(keys - queries, 0) if "start" in present else None
        mask: Any = None
        if "mask" in present:
            mask = rng.random((batch, 1, queries, keys)) < 0.6
            mask[:, :, :1] = False  # a query that sees nothing
        elif "bias" in present:
            mask = rng.normal(size=(heads, queries, keys))
            mask[:, -1:, : keys // 2] = -np.inf
        arrays = {
            "q": rng.normal(size=(batch, heads, queries, width)),
            "k": rng.normal(size=(batch, groups, keys, width)),
            "v": rng.normal(size=(batch, groups, keys, other)),
            "mask": mask,
            "padding": rng.random((batch, keys)) < 0.7 if "padding" in present else None,
            "lengths": None,
            "start": None if start is None else np.asarray(start),
            "state": random_state(rng) if "dropout" in present else None,
        }
        if "lengths" in present:
            arrays["lengths"] = np.linspace(max(keys - 1, 0), 0, batch).astype(np.int64)
        yield (
            arrays,
            {
                "causal": "causal" in present,
                "scale": 1.0 / width**0.5,
                "p": 0.3 if "dropout" in present else 0.0,
                "stream": 3,
            },
        )


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _arguments(rng):
        yield Sample(arrays, attributes)


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _arguments(rng):
        q, v, state = arrays["q"], arrays["v"], arrays.pop("state")
        out, stats = np.empty((*q.shape[:-1], v.shape[-1])), np.empty(q.shape[:-1])
        key = None if state is None else state.copy()
        with np.errstate(divide="ignore"):
            arguments = [*arrays.values(), state]
            attention_forward(np, out, stats, key, *arguments, **attributes)
        saved = {"out": out, "stats": stats, "key": key}
        yield Sample({"dout": rng.normal(size=out.shape)} | arrays | saved, attributes)


def _append_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for start, length in ((0, 3), (4, 1), (5, 4), (7, 2), (1, 0)):
        yield Sample(
            {
                "cache": rng.normal(size=(2, 3, 7, 5)),
                "x": rng.normal(size=(2, 3, length, 5)),
                "start": np.asarray(start),
            }
        )


KERNELS = [
    Kernel(
        attention_forward,
        _forward_shapes,
        _forward_samples,
        outputs=("out", "stats", "key"),
        strided=True,
        depth=_forward_depth,
    ),
    Kernel(
        attention_backward,
        _backward_shapes,
        _backward_samples,
        outputs=("dq", "dk", "dv"),
        strided=True,
        depth=_backward_depth,
    ),
    Kernel(append_rows, nothing, _append_samples, outputs=(), updates=("cache",), strided=True),
]
