"""The convolution family's table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..spec import Array, Kernel, Sample, ShapeDType
from .reference import ACTIVATIONS, convolution


def output_size(size: int, window: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows fit along an axis.

    >>> output_size(28, 3, 1, 1, 1), output_size(7, 3, 2, 0, 2)
    (28, 2)
    """
    reach = dilation * (window - 1) + 1
    if size + 2 * padding < reach:
        raise ShapeError(
            f"a window of {window} with dilation {dilation} reaches over {reach} elements; the "
            f"input has {size}, padded by {padding} on both sides. Use more padding"
        )
    return (size + 2 * padding - reach) // stride + 1


def _shapes(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    activation: str,
) -> tuple[ShapeDType]:
    sizes = (
        output_size(x.shape[2 + i], weight.shape[2 + i], stride[i], padding[i], dilation[i])
        for i in range(2)
    )
    return (((x.shape[0], weight.shape[0], *sizes), x.dtype),)


def _depth(x: Array, weight: Array, *_: Any, **__: Any) -> int:
    return int(np.prod(weight.shape[1:]))


# (x, weight, stride, padding, dilation, groups)
CASES = (
    ((2, 3, 8, 9), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 4, 7, 6), (6, 2, 3, 2), (2, 1), (0, 2), (1, 1), 2),
    ((2, 6, 9, 9), (6, 1, 3, 3), (1, 2), (2, 1), (2, 3), 6),
    ((3, 8, 5, 5), (40, 8, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((0, 2, 4, 4), (3, 2, 3, 3), (1, 1), (1, 1), (1, 1), 1),
)


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case, activation in product(CASES, ACTIVATIONS):
        x, weight, stride, padding, dilation, groups = case
        yield Sample(
            {
                "x": rng.normal(size=x),
                "weight": rng.normal(size=weight) / np.prod(weight[1:]) ** 0.5,
                "bias": rng.normal(size=weight[0]) if activation == "relu" else None,
            },
            {
                "stride": stride,
                "padding": padding,
                "dilation": dilation,
                "groups": groups,
                "activation": activation,
            },
        )


KERNELS = [Kernel(convolution, _shapes, _samples, depth=_depth)]
