"""The convolution family's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..activation.reference import FROM_OUTPUT
from ..activation.spec import ALPHA
from ..spec import Array, Kernel, Sample, ShapeDType, accumulator
from .reference import (
    ACTIVATIONS,
    Pair,
    conv_transpose_backward,
    conv_transpose_forward,
    convolution_backward,
    convolution_forward,
)


def output_size(size: int, window: int, stride: int, padding: Pair, dilation: int) -> int:
    """How many windows fit along an axis.

    >>> output_size(28, 3, 1, (1, 1), 1), output_size(7, 3, 2, (0, 0), 2)
    (28, 2)
    """
    reach = dilation * (window - 1) + 1
    if size + sum(padding) < reach:
        raise ShapeError(
            f"a window of {window} with dilation {dilation} reaches over {reach} elements; the "
            f"input has {size}, padded by {padding[0]} before and {padding[1]} after. Use more "
            "padding"
        )
    return (size + sum(padding) - reach) // stride + 1


def transposed_size(
    size: int, window: int, stride: int, padding: Pair, dilation: int, output_padding: int
) -> int:
    """The size along an axis of what a transposed convolution makes.

    >>> transposed_size(4, 3, 2, (1, 1), 1, 1)
    8
    """
    found = stride * (size - 1) - sum(padding) + dilation * (window - 1) + output_padding + 1
    if size < 1 or found < 1:
        raise ShapeError(
            f"a transposed convolution of {size} elements (window {window}, stride {stride}, "
            f"padding {padding}, dilation {dilation}) would give {found}. Use less padding"
        )
    return found


def _forward_shapes(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    **_: Any,
) -> tuple[ShapeDType]:
    axes = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    return (((x.shape[0], weight.shape[0], *(output_size(*axis) for axis in axes)), x.dtype),)


def _transposed_shapes(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    **_: Any,
) -> tuple[ShapeDType]:
    axes = zip(
        x.shape[2:], weight.shape[2:], stride, padding, dilation, output_padding, strict=True
    )
    sizes = (transposed_size(*axis) for axis in axes)
    return (((x.shape[0], weight.shape[1] * groups, *sizes), x.dtype),)


def _backward_shapes(
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    needs: tuple[bool, bool, bool],
    **_: Any,
) -> tuple[ShapeDType | None, ...]:
    # Parameters are kept in float32 where the layer computes in 16 bits: so are their gradients.
    kept = accumulator(weight.dtype)
    return (
        (x.shape, x.dtype) if needs[0] else None,
        (weight.shape, kept) if needs[1] else None,
        ((dout.shape[1],), kept) if needs[2] else None,
    )


def _forward_depth(x: Array, weight: Array, *_: Any, **__: Any) -> int:
    # By either sum: a window's elements of one image.
    return int(np.prod(weight.shape[1:])) + int(weight.shape[0] * np.prod(weight.shape[2:]))


def _backward_depth(dout: Array, x: Array, weight: Array, *_: Any, **__: Any) -> int:
    pixels = max(np.prod((a.shape[0], *a.shape[2:])) for a in (dout, x))
    return int(pixels) + _forward_depth(x, weight)


# (x, weight, stride, padding, dilation, groups) of a convolution
CASES = (
    ((2, 3, 8, 9), (5, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((1, 4, 7, 6), (6, 2, 3, 2), (2, 1), ((0, 0), (2, 1)), (1, 1), 2),
    ((2, 6, 9, 9), (6, 1, 3, 3), (1, 2), ((2, 1), (0, 1)), (2, 3), 6),
    ((3, 8, 5, 5), (40, 8, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((3, 6, 5, 4), (15, 2, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 3),
    ((2, 5, 4, 70), (18, 5, 2, 3), (3, 1), ((1, 0), (1, 1)), (1, 1), 1),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((0, 2, 4, 4), (3, 2, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((3, 8, 11, 9), (10, 8, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 9, 12, 13), (8, 9, 3, 3), (1, 1), ((2, 1), (0, 2)), (1, 1), 1),
    ((2, 3, 5, 37), (9, 3, 3, 3), (2, 2), ((1, 1), (1, 0)), (1, 1), 1),
    ((2, 6, 13, 10), (14, 3, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
)
# The same, (n, k, i, j) first, and output_padding.
TRANSPOSED_CASES = (
    ((2, 3, 5, 6), (3, 5, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, (0, 0)),
    ((1, 6, 4, 3), (6, 2, 3, 2), (2, 1), ((0, 0), (1, 0)), (1, 2), 2, (1, 1)),
    ((2, 4, 4, 5), (4, 1, 3, 3), (3, 2), ((2, 1), (0, 1)), (1, 1), 4, (2, 1)),
    ((3, 10, 3, 4), (10, 2, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 2, (0, 0)),
    ((2, 12, 5, 5), (12, 9, 4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 1, (0, 0)),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, (0, 0)),
    ((0, 2, 4, 4), (2, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, (0, 0)),
)


def _arguments(
    rng: np.random.Generator, transposed: bool
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    cases: tuple[Any, ...] = TRANSPOSED_CASES if transposed else CASES
    # Every activation in one case, and every case with one of the two common ones.
    chosen = [(cases[1], kind) for kind in ACTIVATIONS]
    chosen += [(case, ("identity", "relu")[i % 2]) for i, case in enumerate(cases)]
    for (x, weight, stride, padding, dilation, groups, *more), activation in chosen:
        outputs = weight[1] * groups if transposed else weight[0]
        # Products are sixteenths and the bias lies between them: no sum is near a kink of relu.
        bias = np.round(16 * rng.normal(size=outputs)) / 16 + 1 / 32
        arrays = {
            "x": np.round(4 * rng.normal(size=x)) / 4,
            "weight": np.round(2 * rng.normal(size=weight)) / 4,
            "bias": bias if activation != "identity" else None,
        }
        attributes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        if transposed:
            attributes["output_padding"] = more[0]
        yield arrays, attributes | {"activation": activation, "alpha": ALPHA.get(activation, 0.0)}


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _arguments(rng, transposed=False):
        yield Sample(arrays, attributes)


def _transposed_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _arguments(rng, transposed=True):
        yield Sample(arrays, attributes)


def _backward_of(
    rng: np.random.Generator, arrays: dict[str, Any], attributes: dict[str, Any], shape: Any
) -> Iterator[Sample]:
    kind = attributes["activation"]
    out = FROM_OUTPUT[kind][0](np, rng.normal(size=shape), attributes["alpha"])
    inputs = {"dout": rng.normal(size=shape), "x": arrays["x"], "weight": arrays["weight"]}
    wanted = [(True, True, True)]
    if kind == "relu":
        wanted += [(True, False, False), (False, True, True), (False, False, True)]
    for needs in wanted:
        yield Sample(inputs | {"out": out}, attributes | {"needs": needs})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _arguments(rng, transposed=False):
        ((shape, _),) = _forward_shapes(*arrays.values(), **attributes)
        yield from _backward_of(rng, arrays, attributes, shape)


def _transposed_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for arrays, attributes in _arguments(rng, transposed=True):
        ((shape, _),) = _transposed_shapes(*arrays.values(), **attributes)
        yield from _backward_of(rng, arrays, attributes, shape)


GRADIENTS = ("dx", "dweight", "dbias")
KERNELS = [
    Kernel(convolution_forward, _forward_shapes, _forward_samples, depth=_forward_depth),
    Kernel(
        convolution_backward,
        _backward_shapes,
        _backward_samples,
        outputs=GRADIENTS,
        depth=_backward_depth,
    ),
    Kernel(conv_transpose_forward, _transposed_shapes, _transposed_samples, depth=_forward_depth),
    Kernel(
        conv_transpose_backward,
        _backward_shapes,
        _transposed_backward_samples,
        outputs=GRADIENTS,
        depth=_backward_depth,
    ),
]
