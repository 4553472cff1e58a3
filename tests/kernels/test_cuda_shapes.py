"""Sizes at which the CUDA launchers choose another geometry; every backend must agree at them.

Long rows (a block each instead of a warp), few rows, long columns (cut into chunks), more tiles
than blocks, and lengths that are no multiple of anything.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tercet.backends import Backend
from tercet.kernels import TABLE
from tercet.kernels.attention.reference import attention_forward
from tercet.kernels.resampling.spec import step
from tercet.kernels.spec import FLOATS, Sample

from .conformance import cast, compare, run

ROWS = ((3, 1500), (1, 300), (2, 1025), (130, 33))


def softmax(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    for shape in ROWS:
        x = rng.normal(size=shape)
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        dout = rng.normal(size=shape)
        yield "softmax_forward", Sample({"x": x})
        yield "log_softmax_forward", Sample({"x": x})
        yield "softmax_backward", Sample({"dout": dout, "out": p})
        yield "log_softmax_backward", Sample({"dout": dout, "out": np.log(p)})


def cross_entropy(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    for n, c in ROWS:
        logits = rng.normal(size=(n, c))
        target = rng.integers(2, c, size=n)
        target[n // 2] = 1 if n > 1 else 0
        weights = {
            "class_weight": rng.uniform(0.5, 2, size=c),
            "sample_weight": rng.uniform(0.5, 2, size=n),
        }
        top = logits.max(axis=1)
        stats = np.stack([top, np.log(np.exp(logits - top[:, None]).sum(axis=1))])
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        saved = {"stats": stats}
        for reduction in ("mean", "none"):
            dout = {"dout": rng.normal(size=(n,) if reduction == "none" else ())}
            hard = {"logits": logits, "target": target} | weights
            soft = {"logits": logits, "target": probabilities} | weights
            attributes: dict[str, Any] = {"label_smoothing": 0.1, "reduction": reduction}
            ignoring = attributes | {"ignore_index": 1}
            norm = {"norm": np.array(3.5)}
            yield "cross_entropy_forward", Sample(hard, ignoring)
            yield "cross_entropy_backward", Sample(dout | hard | saved | norm, ignoring)
            yield "soft_cross_entropy_forward", Sample(soft, attributes)
            yield "soft_cross_entropy_backward", Sample(dout | soft | saved, attributes)


def reductions(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    shapes = (
        (1, 20000, 1), (3, 9000, 1), (200, 33, 1), (1, 9000, 3), (1, 5000, 40), (2, 100, 1100),
        (3, 0, 2),
    )  # fmt: skip
    for shape in shapes:
        x = rng.integers(-300, 300, size=shape) / 8.0
        for kind in ("sum", "mean", "max", "min"):
            if kind != "sum" and shape[1] == 0:
                continue
            out = getattr(x, kind)(axis=1)
            yield "reduce_forward", Sample({"x": x}, {"kind": kind})
            inputs = {"dout": rng.normal(size=out.shape), "x": x, "out": out}
            yield "reduce_backward", Sample(inputs, {"kind": kind})
            if kind in ("max", "min"):
                yield "argreduce", Sample({"x": x}, {"kind": kind})


def dense(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    for n, k, m in ((1500, 3, 5), (40, 2, 1200), (129, 4, 64)):
        x, weight = rng.normal(size=(n, k)), rng.normal(size=(k, m))
        bias = rng.normal(size=m)
        z = x @ weight + bias
        attributes: dict[str, Any] = {"activation": "tanh", "alpha": 0.0}
        arrays = {"x": x, "weight": weight, "bias": bias}
        yield "dense_forward", Sample(arrays, attributes | {"save_pre": True, "save_signs": False})
        inputs = {"dout": rng.normal(size=z.shape), "x": x, "weight": weight, "saved": np.tanh(z)}
        yield "dense_backward", Sample(inputs, attributes | {"needs": (True, True, True)})
        yield "dense_backward", Sample(inputs, attributes | {"needs": (False, False, True)})


def attention(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    """Widths for which a lane has one, two, four or eight columns, and more than one block's."""
    for width, other in ((3, 33), (40, 65), (100, 130), (129, 20), (20, 300)):
        q, k = (rng.normal(size=(1, 2, n, width)) for n in (21, 37))
        v = rng.normal(size=(1, 2, 37, other))
        lengths = np.array([35])
        attributes = {"causal": True, "scale": width**-0.5, "p": 0.0, "stream": 0}
        sight = {"mask": None, "padding": None, "lengths": lengths, "start": np.array(16)}
        arrays = {"q": q, "k": k, "v": v} | sight
        yield "attention_forward", Sample(arrays | {"state": None}, attributes)
        out, stats = np.empty((1, 2, 21, other)), np.empty((1, 2, 21))
        attention_forward(np, out, stats, None, *arrays.values(), None, **attributes)
        inputs = {"dout": rng.normal(size=out.shape)} | arrays
        yield (
            "attention_backward",
            Sample(inputs | {"out": out, "stats": stats, "key": None}, attributes),
        )


def rows_by_index(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    for rows, columns, count in ((300, 5, 77), (3, 100, 1000), (5, 33, 31)):
        index = rng.integers(-1, rows + 1, size=count)
        yield "take_rows", Sample({"x": rng.normal(size=(rows, columns)), "index": index})
        dout = rng.normal(size=(count, columns))
        yield "scatter_add_rows", Sample({"dout": dout, "index": index}, {"rows": rows, "skip": -1})


def layer_norm(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    for shape in (*ROWS, (600, 40), (1000, 1)):
        x = rng.normal(size=shape)
        scale, shift = rng.normal(size=(2, shape[1]))
        options: dict[str, Any] = {"eps": 0.01, "centered": True}
        stats = np.stack([x.mean(axis=1), x.var(axis=1)])
        rows = {"x": x, "residual": rng.normal(size=shape), "scale": scale, "shift": shift}
        yield "layer_norm_forward", Sample(rows, options)
        saved = {"dout": x[::-1], "dsummed": x[::-1], "summed": x, "stats": stats, "scale": scale}
        yield "layer_norm_backward", Sample(saved, options | {"needs": (True, True, True)})


def batch_norm(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    """Many chunks of few channels, and more tiles than blocks; with and without places."""
    for shape in ((3000, 2, 1), (40, 3, 77), (2, 40, 9), (700, 70, 1), (2, 1200, 1)):
        x = rng.normal(size=shape)
        scale, shift = rng.normal(size=(2, shape[1]))
        options: dict[str, Any] = {"eps": 0.01, "training": True, "activation": "relu"}
        stats = np.stack([x.mean(axis=(0, 2)), x.var(axis=(0, 2))])
        none = {"running_mean": None, "running_var": None}
        yield "batch_norm_forward", Sample({"x": x, "scale": scale, "shift": shift} | none, options)
        saved = {"dout": x[::-1], "x": x, "out": rng.normal(size=shape), "stats": stats}
        options = options | {"needs": (True, True, False)}
        yield "batch_norm_backward", Sample(saved | {"scale": scale}, options)


def group_norm(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    for shape, groups in (((2, 6, 700), 2), ((90, 4, 9), 4), ((1, 1, 300), 1)):
        x = rng.normal(size=shape)
        scale, shift = rng.normal(size=(2, shape[1]))
        options: dict[str, Any] = {"groups": groups, "eps": 0.01}
        rows = x.reshape(shape[0] * groups, -1)
        stats = np.stack([rows.mean(axis=1), rows.var(axis=1)])
        yield "group_norm_forward", Sample({"x": x, "scale": scale, "shift": shift}, options)
        saved = {"dout": x[::-1], "x": x, "stats": stats, "scale": scale}
        yield "group_norm_backward", Sample(saved, options | {"needs": (True, True, True)})


def convolution(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    """More than a tile along each side, and sums over pixels that are cut into chunks."""
    x, weight = rng.normal(size=(5, 4, 17, 13)), rng.normal(size=(70, 4, 5, 5)) / 10
    out = np.maximum(rng.normal(size=(5, 70, 9, 7)), 0)
    attributes: dict[str, Any] = {
        "stride": (2, 2), "padding": ((2, 2), (3, 2)), "dilation": (1, 1), "groups": 1,
        "activation": "relu", "alpha": 0.0,
    }  # fmt: skip
    dout = rng.normal(size=out.shape)
    bias = rng.normal(size=70)
    yield "convolution_forward", Sample({"x": x, "weight": weight, "bias": bias}, attributes)
    inputs = {"dout": dout, "x": x, "weight": weight, "out": out}
    yield "convolution_backward", Sample(inputs, attributes | {"needs": (True, True, True)})


def upsample(rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
    """Much larger, and much smaller, so that elements have many neighbours or none."""
    for size, output in (((3, 2), (40, 31)), ((40, 31), (3, 2)), ((2, 9), (2, 1))):
        for mode in ("nearest", "linear"):
            for corners in (False, True)[: 1 if mode == "nearest" else 2]:
                x, dout = (rng.normal(size=(1, 2, *shape)) for shape in (size, output))
                scale = tuple(step(mode, size[a], output[a], corners) for a in range(2))
                options: dict[str, Any] = {"mode": mode, "align_corners": corners}
                options |= {"output": output, "scale": scale}
                yield "upsample_forward", Sample({"x": x}, options)
                yield "upsample_backward", Sample({"dout": dout}, options | {"size": size})


CASES = {
    f.__name__: f
    for f in (
        softmax,
        cross_entropy,
        reductions,
        dense,
        rows_by_index,
        attention,
        layer_norm,
        batch_norm,
        group_norm,
        convolution,
        upsample,
    )
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("cases", CASES)
def test_agrees_at_other_geometries(backend: Backend, cases: str, dtype: str) -> None:
    for name, sample in CASES[cases](np.random.default_rng(3)):
        kernel = TABLE[name]
        inputs = cast(kernel, sample, dtype)
        got = run(backend, kernel, inputs, sample.attributes)
        compare(kernel, inputs, sample.attributes, got, dtype)
