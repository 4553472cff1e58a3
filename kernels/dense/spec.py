"""The dense family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..activation.reference import FROM_INPUT, KINDS
from ..activation.spec import ALPHA
from ..spec import Array, Kernel, Sample, ShapeDType, accumulator
from .reference import dense_backward, dense_forward, dense_through, matmul, pack_signs

# What `dense_through` goes through, and how many elements a row of signs is filled up to.
THROUGH = ("relu", "gelu_tanh")
SIGNS_A_ROW = 128
SIZES = ((1, 1, 1), (5, 3, 7), (16, 10, 64), (70, 129, 33), (3, 0, 4))


def _forward_shapes(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str,
    alpha: float,
    save_pre: bool,
    save_signs: bool,
) -> tuple[ShapeDType | None, ...]:
    out = ((x.shape[0], weight.shape[1]), x.dtype)
    signs = signs_shape(*out[0]), np.dtype(np.uint8)
    return out, out if save_pre else None, signs if save_signs else None


def signs_shape(rows: int, columns: int) -> tuple[int, int]:
    """The shape of a matrix's signs: so many bytes a row.

    >>> signs_shape(5, 130)
    (5, 32)
    """
    return rows, -(-columns // SIGNS_A_ROW) * (SIGNS_A_ROW // 8)


def _backward_shapes(
    dout: Array,
    x: Array,
    weight: Array,
    saved: Array,
    *,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> tuple[ShapeDType | None, ...]:
    # Parameters are kept in float32 where the layer computes in 16 bits: so are their gradients.
    kept = accumulator(weight.dtype)
    return (
        None if activation == "identity" else (dout.shape, dout.dtype),
        (x.shape, x.dtype) if needs[0] else None,
        (weight.shape, kept) if needs[1] else None,
        ((weight.shape[1],), kept) if needs[2] else None,
    )


def _through_shapes(
    dz: Array, weight: Array, saved: Array, *, activation: str
) -> tuple[ShapeDType]:
    return (((dz.shape[0], weight.shape[0]), dz.dtype),)


def _matmul_shapes(a: Array, b: Array) -> tuple[ShapeDType]:
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return (((*leading, a.shape[-2], b.shape[-1]), a.dtype),)


def _forward_depth(x: Array, *_: Any, **__: Any) -> int:
    return int(x.shape[-1])


def _backward_depth(dout: Array, x: Array, *_: Any, **__: Any) -> int:
    return int(max(dout.shape))


def _arguments(rng: np.random.Generator) -> Iterator[tuple[dict[str, Any], str]]:
    names = list(KINDS)
    # Every activation at one size, and every size with the two common ones.
    cases = [((9, 6, 11), kind) for kind in names]
    cases += [(size, kind) for size in SIZES for kind in ("identity", "relu")]
    for (n, k, m), kind in cases:
        x, weight = rng.normal(size=(n, k)), rng.normal(size=(k, m)) / max(k, 1) ** 0.5
        yield {"x": x, "weight": weight, "bias": rng.normal(size=m)}, kind


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, kind in _arguments(rng):
        attributes = {"activation": kind, "alpha": ALPHA.get(kind, 0.0)}
        for save_pre in (False, True):
            saves = {"save_pre": save_pre, "save_signs": kind == "relu" and not save_pre}
            yield Sample(arrays, attributes | saves)
    yield Sample(arrays | {"bias": None}, attributes | {"save_pre": False, "save_signs": True})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, kind in _arguments(rng):
        z = arrays["x"] @ arrays["weight"] + arrays["bias"]
        alpha = ALPHA.get(kind, 0.0)
        saved = z if kind in FROM_INPUT else KINDS[kind][0](np, z, alpha)
        inputs = {
            "dout": rng.normal(size=z.shape),
            "x": arrays["x"],
            "weight": arrays["weight"],
            "saved": saved,
        }
        for needs in ((True, True, True), (False, True, True), (True, False, False)):
            yield Sample(inputs, {"activation": kind, "alpha": alpha, "needs": needs})


def _through_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n, k, m in (*SIZES, (6, 16, 8)):
        y = rng.normal(size=(n, k))
        signs = np.zeros(signs_shape(n, k), np.uint8)
        pack_signs(np, signs, y)
        inputs = {"dz": rng.normal(size=(n, m)), "weight": rng.normal(size=(k, m))}
        yield Sample(inputs | {"saved": signs}, {"activation": "relu"})
        yield Sample(inputs | {"saved": y}, {"activation": "gelu_tanh"})


def _matmul_samples(rng: np.random.Generator) -> Iterator[Sample]:
    shapes = (
        ((4, 5), (5, 6)), ((1, 1), (1, 1)), ((3, 65, 40), (3, 40, 17)),
        ((2, 1, 4, 5), (3, 5, 2)), ((300, 64), (64, 200)), ((0, 3), (3, 2)),
    )  # fmt: skip
    for a, b in shapes:
        yield Sample({"a": rng.normal(size=a), "b": rng.normal(size=b)})
    yield Sample({"a": rng.normal(size=(7, 50)).T, "b": rng.normal(size=(9, 7)).T})


KERNELS = [
    Kernel(
        dense_forward,
        _forward_shapes,
        _forward_samples,
        outputs=("out", "pre", "signs"),
        depth=_forward_depth,
    ),
    Kernel(
        dense_backward,
        _backward_shapes,
        _backward_samples,
        outputs=("dz", "dx", "dweight", "dbias"),
        depth=_backward_depth,
    ),
    Kernel(
        dense_through,
        _through_shapes,
        _through_samples,
        outputs=("dx",),
        depth=_forward_depth,
    ),
    Kernel(matmul, _matmul_shapes, _matmul_samples, strided=True, depth=_forward_depth),
]
