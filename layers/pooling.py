"""Pooling: windows of images and sequences become their largest element or their mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..autograd import Tensor
from ..autograd.functional import pooling
from ..errors import ShapeError
from .layout import is_channels_last
from .module import Module


class _Pool(Module):
    """A function of images, channels second or, by `layout`, last."""

    layouts: ClassVar[tuple[str, str]] = ("NCHW", "NHWC")

    def __init__(self, layout: str | None) -> None:
        super().__init__()
        what = f"layout of {type(self).__name__}"
        self.channels_last = is_channels_last(what, layout, self.layouts)

    def pool(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if not self.channels_last:
            return self.pool(x)
        # Channels from last to where pooling has them, and back.
        places = len(self.layouts[0]) - 2
        if x.ndim <= places:
            raise ShapeError(f"{self!r} takes inputs {self.layouts[1]}, found shape {x.shape}")
        first = x.ndim - 1 - places
        return self.pool(x.moveaxis(-1, first)).moveaxis(first, -1)


class MaxPool2d(_Pool):
    """The largest element of each window.

    Shapes: x (n, c, h, w) or (c, h, w), with layout="NHWC" c last -> the same with
    floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1 windows along an axis;
    with `ceil_mode` rounded up. Sizes are an integer for both axes, or two; `stride` is that of the
    kernel unless given. What is beyond the edges never counts; NaN is the largest of all.

    >>> import tercet as tc
    >>> MaxPool2d(2)(tc.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    function: ClassVar[Callable[..., Tensor]] = staticmethod(pooling.max_pool2d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        *,
        layout: str | None = None,
    ) -> None:
        super().__init__(layout)
        self.windows = (kernel_size, stride, padding, dilation, ceil_mode)

    def pool(self, x: Tensor) -> Tensor:
        return self.function(x, *self.windows)


class MaxPool1d(MaxPool2d):
    """The largest element of each window: x (n, c, l) or (c, l), with layout="NLC" c last.

    All else as MaxPool2d.

    >>> import tercet as tc
    >>> MaxPool1d(2)(tc.arange(4.0).reshape(1, 1, 4)).tolist()
    [[[1.0, 3.0]]]
    """

    layouts: ClassVar[tuple[str, str]] = ("NCL", "NLC")
    function: ClassVar[Callable[..., Tensor]] = staticmethod(pooling.max_pool1d)


class AvgPool2d(_Pool):
    """The mean of each window; shapes and windows as MaxPool2d's, without dilation.

    Padding is zeros, counted with `count_include_pad`; `divisor_override` is what the sum is
    divided by instead.

    >>> import tercet as tc
    >>> AvgPool2d(2)(tc.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        layout: str | None = None,
    ) -> None:
        super().__init__(layout)
        self.windows = (kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def pool(self, x: Tensor) -> Tensor:
        return pooling.avg_pool2d(x, *self.windows, self.divisor_override)


class AvgPool1d(_Pool):
    """The mean of each window: x (n, c, l) or (c, l), with layout="NLC" c last; see AvgPool2d.

    >>> import tercet as tc
    >>> AvgPool1d(2)(tc.arange(4.0).reshape(1, 1, 4)).tolist()
    [[[0.5, 2.5]]]
    """

    layouts: ClassVar[tuple[str, str]] = ("NCL", "NLC")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        *,
        layout: str | None = None,
    ) -> None:
        super().__init__(layout)
        self.windows = (kernel_size, stride, padding, ceil_mode, count_include_pad)

    def pool(self, x: Tensor) -> Tensor:
        return pooling.avg_pool1d(x, *self.windows)


class AdaptiveMaxPool2d(_Pool):
    """The largest elements of as many windows as wanted, whatever the size of the image.

    Shapes: x (n, c, h, w) or (c, h, w), with layout="NHWC" c last -> the same with `output_size`
    for (h, w): two integers or one for both; None leaves an axis as it is. Window i along an axis
    goes from floor(i size / output) to ceil((i + 1) size / output).

    >>> import tercet as tc
    >>> AdaptiveMaxPool2d((1, 2))(tc.arange(12.0).reshape(1, 3, 4)).tolist()
    [[[9.0, 11.0]]]
    """

    function: ClassVar[Callable[..., Tensor]] = staticmethod(pooling.adaptive_max_pool2d)

    def __init__(self, output_size: Any, *, layout: str | None = None) -> None:
        super().__init__(layout)
        self.output_size = output_size

    def pool(self, x: Tensor) -> Tensor:
        return self.function(x, self.output_size)


class AdaptiveMaxPool1d(AdaptiveMaxPool2d):
    """The same of sequences: x (n, c, l) or (c, l), with layout="NLC" c last."""

    layouts: ClassVar[tuple[str, str]] = ("NCL", "NLC")
    function: ClassVar[Callable[..., Tensor]] = staticmethod(pooling.adaptive_max_pool1d)


class AdaptiveAvgPool2d(AdaptiveMaxPool2d):
    """The means of as many windows as wanted; shapes and windows as AdaptiveMaxPool2d's.

    >>> import tercet as tc
    >>> AdaptiveAvgPool2d(1)(tc.arange(12.0).reshape(1, 3, 4)).tolist()
    [[[5.5]]]
    """

    function: ClassVar[Callable[..., Tensor]] = staticmethod(pooling.adaptive_avg_pool2d)


class AdaptiveAvgPool1d(AdaptiveMaxPool1d):
    """The same of sequences: x (n, c, l) or (c, l), with layout="NLC" c last."""

    function: ClassVar[Callable[..., Tensor]] = staticmethod(pooling.adaptive_avg_pool1d)


class GlobalAvgPool2d(_Pool):
    """The mean of each channel: x (n, c, h, w), with layout="NHWC" (n, h, w, c) -> (n, c).

    With `keepdims` the axes stay, with size 1.

    Source: Lin, Chen and Yan, "Network in network", 2014.

    >>> import tercet as tc
    >>> GlobalAvgPool2d()(tc.ones(2, 3, 4, 4)).shape
    (2, 3)
    """

    reduction: ClassVar[str] = "mean"

    def __init__(self, keepdims: bool = False, *, layout: str | None = None) -> None:
        super().__init__(layout)
        self.keepdims = keepdims

    def forward(self, x: Tensor) -> Tensor:
        layout = self.layouts[self.channels_last]
        if x.ndim != len(layout):
            raise ShapeError(f"{self!r} takes inputs {layout}, found shape {x.shape}")
        axes = tuple(i for i, name in enumerate(layout) if name not in "NC")
        out: Tensor = getattr(x, self.reduction)(axes, self.keepdims)
        return out


class GlobalAvgPool1d(GlobalAvgPool2d):
    """The mean of each channel: x (n, c, l), with layout="NLC" (n, l, c) -> (n, c)."""

    layouts: ClassVar[tuple[str, str]] = ("NCL", "NLC")


class GlobalMaxPool2d(GlobalAvgPool2d):
    """The largest element of each channel: x (n, c, h, w) -> (n, c); equal ones share a gradient.

    >>> import tercet as tc
    >>> GlobalMaxPool2d(keepdims=True)(tc.ones(2, 3, 4, 4)).shape
    (2, 3, 1, 1)
    """

    reduction: ClassVar[str] = "max"


class GlobalMaxPool1d(GlobalAvgPool1d):
    """The largest element of each channel: x (n, c, l), with layout="NLC" (n, l, c) -> (n, c)."""

    reduction: ClassVar[str] = "max"
