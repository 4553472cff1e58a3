"""Pooling of sequences (n, c, l) and images (n, c, h, w), with or without the batch's axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import OptionError, ShapeError
from ..dtypes import float_dtype, is_float
from ..functions.pooling import AvgPool, MaxPool
from ..tape import Function, apply
from ..tensor import Operand, Tensor, as_tensor

Size = int | Sequence[int]
OutputSize = int | None | Sequence[int | None]


def max_pool1d(
    x: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window: x (n, c, l) -> (n, c, windows); see `max_pool2d`."""
    return _max_pool(1, x, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    x: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest element of each window: x (n, c, h, w) -> (n, c, windows down, windows across).

    Windows begin `stride` apart (their own size, if it is None) and have elements `dilation` apart;
    what is beyond the edges, of which `padding` on both sides is taken, never counts. With
    `ceil_mode` a window may reach over the end. The gradient goes to the first largest element.

    >>> max_pool2d([[[1.0, 2.0], [4.0, 3.0]]], 2).tolist()
    [[[4.0]]]
    """
    return _max_pool(2, x, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    x: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: x (n, c, l) -> (n, c, windows); see `avg_pool2d`."""
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    x: Operand,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window: x (n, c, h, w) -> (n, c, windows down, windows across).

    Windows as in `max_pool2d`; padding is zeros, which are counted with `count_include_pad`.
    `divisor_override` divides the sum instead of the count.

    >>> avg_pool2d([[[1.0, 2.0], [4.0, 3.0]]], 2).tolist()
    [[[2.5]]]
    """
    return _avg_pool(
        2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def adaptive_max_pool1d(x: Operand, output_size: OutputSize) -> Tensor:
    """The largest elements of `output_size` windows: x (n, c, l) -> (n, c, output_size)."""
    return _adaptive(MaxPool, 1, x, output_size, {"dilation": (1, 1)})


def adaptive_max_pool2d(x: Operand, output_size: OutputSize) -> Tensor:
    """The largest elements of windows: x (n, c, h, w) -> (n, c, *output_size).

    Along an axis window i goes from floor(i size / output) to ceil((i + 1) size / output); None
    leaves an axis as it is.
    """
    return _adaptive(MaxPool, 2, x, output_size, {"dilation": (1, 1)})


def adaptive_avg_pool1d(x: Operand, output_size: OutputSize) -> Tensor:
    """The means of `output_size` windows: x (n, c, l) -> (n, c, output_size)."""
    return _adaptive(AvgPool, 1, x, output_size, {"include_pad": False, "divisor": 0})


def adaptive_avg_pool2d(x: Operand, output_size: OutputSize) -> Tensor:
    """The means of windows: x (n, c, h, w) -> (n, c, *output_size); see `adaptive_max_pool2d`.

    >>> adaptive_avg_pool2d([[[1.0, 2.0], [4.0, 3.0]]], 1).tolist()
    [[[2.5]]]
    """
    return _adaptive(AvgPool, 2, x, output_size, {"include_pad": False, "divisor": 0})


def windowed_size(
    name: str, size: int, window: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows there are along an axis, or an error.

    >>> windowed_size("", 5, 2, 2, 0, 1, False), windowed_size("", 5, 2, 2, 0, 1, True)
    (2, 3)
    """
    reach = dilation * (window - 1) + 1
    if 2 * padding > reach:
        raise OptionError(
            f"{name}: padding must be at most half of what a window reaches over, {reach}; found "
            f"{padding}"
        )
    left = size + 2 * padding - reach
    count = (left + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1  # the last one would begin beyond the image
    if size < 1 or count < 1:
        raise ShapeError(
            f"{name}: a window reaches over {reach} elements; the input has {size}, padded by "
            f"{padding} on both sides. Use a smaller window"
        )
    return count


def sizes_of(name: str, what: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """An integer for each axis, or an error."""
    sizes = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(sizes) == 1:
        sizes *= axes
    if len(sizes) != axes or not all(isinstance(n, int) and n >= least for n in sizes):
        raise OptionError(
            f"{name}: {what} is an integer from {least} on, or {axes} of them; found {value!r}"
        )
    return sizes


def _pair(sizes: tuple[int, ...], other: int) -> tuple[int, int]:
    """Sizes along rows and columns: a sequence is an image of one row."""
    return (other, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _images(name: str, x: Operand, axes: int) -> Tensor:
    """x as (n, c, h, w)."""
    x = as_tensor(x)
    if x.ndim not in (axes + 1, axes + 2):
        places = "l" if axes == 1 else "h, w"
        raise ShapeError(f"{name}: expected x (n, c, {places}) or (c, {places}), found {x.shape}")
    x = x if is_float(x.dtype) else x.astype(float_dtype(None))
    batch = x.shape[: x.ndim - axes]
    shape = (*((1,) if len(batch) == 1 else ()), *batch, *_pair(x.shape[x.ndim - axes :], 1))
    return x if x.shape == shape else x.reshape(*shape)


def _back(out: Tensor, x: Tensor, axes: int) -> Tensor:
    """(n, c, h, w) with as many axes as x has."""
    shape = (*x.shape[: x.ndim - axes], *out.shape[4 - axes :])
    return out if out.shape == shape else out.reshape(*shape)


def _pool(
    function: type[Function],
    name: str,
    axes: int,
    x: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    options: dict[str, Any],
) -> Tensor:
    x = as_tensor(x)
    images = _images(name, x, axes)
    window = _pair(sizes_of(name, "kernel_size", kernel_size, axes), 1)
    given = kernel_size if stride is None or stride == () else stride
    steps = _pair(sizes_of(name, "stride", given, axes), 1)
    pad = _pair(sizes_of(name, "padding", padding, axes, 0), 0)
    apart = _pair(sizes_of(name, "dilation", dilation, axes), 1)
    output = tuple(
        windowed_size(name, *numbers, ceil_mode)
        for numbers in zip(images.shape[2:], window, steps, pad, apart, strict=True)
    )
    windows = {"output": output, "window": window, "stride": steps, "padding": pad}
    if function is MaxPool:
        windows["dilation"] = apart
    return _back(apply(function, images, **windows, **options), x, axes)


def _max_pool(
    axes: int,
    x: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> Tensor:
    windows = (kernel_size, stride, padding, dilation, ceil_mode)
    return _pool(MaxPool, f"max_pool{axes}d", axes, x, *windows, {})


def _avg_pool(
    axes: int,
    x: Operand,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    include_pad: bool,
    divisor: int | None,
) -> Tensor:
    name = f"avg_pool{axes}d"
    if divisor is not None and divisor == 0:
        raise OptionError(f"{name}: divisor_override must not be 0")
    options = {"include_pad": include_pad, "divisor": divisor or 0}
    return _pool(AvgPool, name, axes, x, kernel_size, stride, padding, 1, ceil_mode, options)


def _adaptive(
    function: type[Function],
    axes: int,
    x: Operand,
    output_size: OutputSize,
    options: dict[str, Any],
) -> Tensor:
    name = f"adaptive {function.__name__}{axes}d"
    x = as_tensor(x)
    images = _images(name, x, axes)
    whole = images.shape[4 - axes :]
    if output_size is None or isinstance(output_size, int):
        output_size = (output_size,) * axes
    wanted = [n if m is None else m for n, m in zip(whole, output_size, strict=False)]
    output = _pair(sizes_of(name, "output_size", wanted, axes), 1)
    if 0 in images.shape[2:]:
        raise ShapeError(f"{name}: nothing can be taken from an image of shape {x.shape}")
    one = (1, 1)
    windows = {"output": output, "window": (0, 0), "stride": one, "padding": (0, 0)}
    return _back(apply(function, images, **windows, **options), x, axes)
