"""Pooling of images x (n, c, h, w): the largest element, or the mean, of each window.

    max   out = max of the window;     dx = sum of dout over the windows whose `index` it is
    avg   out = sum of the window / count;     dx = sum of dout / count over the windows it is in

Along an axis window i begins at i stride - padding and has `window` elements, `dilation` apart;
those outside of the image do not exist. With window 0 windows are adaptive: window i goes from
floor(i size / output) to ceil((i + 1) size / output). `count` is how many elements there are, with
`include_pad` those of the padding, too, or `divisor` unless that is 0.
"""

from collections.abc import Iterator
from typing import Any

from ..spec import Array

Pair = tuple[int, int]


def max_pool_forward(
    xp: Any,
    out: Array,
    index: Array,
    x: Array,
    *,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    """x (n, c, h, w), out (n, c, *output); index, int32: where in h w the first largest stands.

    Of a window without elements out is -inf and the index -1."""
    width = x.shape[3]
    for i, j, rows, columns in _windows(x, output, window, stride, padding, dilation):
        patch = x[:, :, rows, columns]
        if not patch.size:
            out[:, :, i, j], index[:, :, i, j] = -xp.inf, -1
            continue
        best = patch.reshape(*x.shape[:2], -1).argmax(axis=2)
        row, column = best // patch.shape[3], best % patch.shape[3]
        out[:, :, i, j] = patch.max(axis=(2, 3))
        index[:, :, i, j] = (rows.start + row * rows.step) * width + (
            columns.start + column * columns.step
        )


def max_pool_backward(
    xp: Any,
    dx: Array,
    dout: Array,
    index: Array,
    *,
    size: Pair,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    """dx (n, c, *size), dout and index (n, c, *output)."""
    planes = dx.reshape(-1, size[0] * size[1])
    planes[...] = 0
    plane = xp.broadcast_to(xp.arange(len(planes))[:, None], (len(planes), output[0] * output[1]))
    at, grad = index.reshape(plane.shape), dout.reshape(plane.shape)
    xp.add.at(planes, (plane[at >= 0], at[at >= 0]), grad[at >= 0])


def avg_pool_forward(
    xp: Any,
    out: Array,
    x: Array,
    *,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    """x (n, c, h, w), out (n, c, *output)."""
    for i, j, rows, columns in _windows(x, output, window, stride, padding, (1, 1)):
        patch = x[:, :, rows, columns]
        count = divisor or _count(x.shape[2:], (i, j), window, stride, padding, include_pad)
        count = count or patch.shape[2] * patch.shape[3]
        out[:, :, i, j] = patch.sum(axis=(2, 3)) / count


def avg_pool_backward(
    xp: Any,
    dx: Array,
    dout: Array,
    *,
    size: Pair,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    """dx (n, c, *size), dout (n, c, *output)."""
    dx[...] = 0
    for i, j, rows, columns in _windows(dx, output, window, stride, padding, (1, 1)):
        patch = dx[:, :, rows, columns]
        count = divisor or _count(size, (i, j), window, stride, padding, include_pad)
        count = count or patch.shape[2] * patch.shape[3]
        patch += dout[:, :, i, j, None, None] / count


def _windows(
    x: Array, output: Pair, window: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Iterator[tuple[int, int, slice, slice]]:
    """Of every window its place in the output, and which rows and columns it has."""
    axes = [
        [_span(i, x.shape[2 + a], output[a], window[a], stride[a], padding[a], dilation[a])
         for i in range(output[a])]
        for a in range(2)
    ]  # fmt: skip
    for i, rows in enumerate(axes[0]):
        for j, columns in enumerate(axes[1]):
            yield i, j, rows, columns


def _span(
    i: int, size: int, output: int, window: int, stride: int, padding: int, dilation: int
) -> slice:
    if window == 0:
        return slice(i * size // output, -(-(i + 1) * size // output), 1)
    start = i * stride - padding
    end = min(start + dilation * (window - 1) + 1, size)
    if start < 0:
        start += -(start // dilation) * dilation
    return slice(start, max(start, end), dilation)


def _count(
    size: Pair, place: Pair, window: Pair, stride: Pair, padding: Pair, include_pad: bool
) -> int:
    """How many elements a window has with those of the padding; 0 where these do not count."""
    if not include_pad or window == (0, 0):
        return 0
    count = 1
    for a in range(2):
        start = place[a] * stride[a] - padding[a]
        count *= min(start + window[a], size[a] + padding[a]) - start
    return count
