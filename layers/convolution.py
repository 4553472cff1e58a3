"""Convolutions over signals and images, and their transposes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..autograd import Tensor, is_float
from ..autograd.functional import (
    check_activation,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    pad,
)
from ..autograd.functional.convolution import (
    Padding,
    Sizes,
    check_groups,
    padding_pairs,
    sizes,
)
from ..backends import Backend, DType, generator, get_backend
from ..errors import OptionError, ShapeError, choose
from ..kernels.padding.reference import MODES
from . import initializers
from .layout import is_channels_last
from .module import Module, Parameter, Regularizer

FUNCTIONS: dict[str, Any] = {
    "Conv1d": conv1d,
    "Conv2d": conv2d,
    "ConvTranspose1d": conv_transpose1d,
    "ConvTranspose2d": conv_transpose2d,
}
# Where channels are: after the batch, or last.
LAYOUTS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC")}


class Convolutional(Module):
    """What the four layers share: options, parameters, the order of axes."""

    axes: ClassVar[int]
    transposed: ClassVar[bool] = False

    def _set(
        self,
        in_channels: int | None,
        out_channels: int | None,
        kernel_size: Sizes | None,
        stride: Sizes,
        padding: Padding,
        dilation: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        activation: str | None,
        alpha: float | None,
        layout: str | None,
        weight_init: Any,
        bias_init: Any,
        weight_regularizer: Regularizer | None,
        bias_regularizer: Regularizer | None,
        dtype: str | DType | None,
        output_padding: Sizes = 0,
    ) -> None:
        name, axes = type(self).__name__, self.axes
        for what, size in (("in_channels", in_channels), ("out_channels", out_channels)):
            lazy = size is None and what == "in_channels"
            if not lazy and (not isinstance(size, int) or size < 1):
                raise OptionError(
                    f"{name}: {what} is a positive integer, found {size!r}; {name}(in_channels, "
                    "out_channels, kernel_size), with None for in_channels that the first input "
                    "tells"
                )
        if activation is not None and not isinstance(activation, str):
            raise OptionError(f"{name}: activation is given by name, found {activation!r}")
        self.last = is_channels_last(f"{name} layout", layout, LAYOUTS[axes])
        if padding_mode not in MODES:
            raise OptionError(choose(f"{name} padding_mode", padding_mode, MODES))
        assert out_channels is not None
        check_groups(name, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.window = sizes(name, "kernel_size", kernel_size, axes, 1)
        self.stride = sizes(name, "stride", stride, axes, 1)
        self.dilation = sizes(name, "dilation", dilation, axes, 1)
        self.padding = padding_pairs(name, padding, self.window, self.stride, self.dilation)
        self.output_padding = sizes(name, "output_padding", output_padding, axes, 0)
        self.padding_mode = padding_mode
        self.activation, self.alpha = check_activation(activation or "identity", alpha)
        for what, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            self._check_divisible(what, count)
        self.use_bias = bias
        self.weight_init = (
            initializers.for_activation(activation, alpha)
            if weight_init is None
            else initializers.get(weight_init)
        )
        self.bias_init = initializers.get(bias_init)
        self.weight_regularizer, self.bias_regularizer = weight_regularizer, bias_regularizer
        if dtype is not None:
            self.to(dtype=dtype)
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        if in_channels is not None:
            self._build(in_channels, get_backend())

    def _check_divisible(self, what: str, count: int | None) -> None:
        if count is not None and count % self.groups:
            raise OptionError(
                f"{type(self).__name__}: {what}={count} cannot be divided into groups={self.groups}"
            )

    def _build(self, in_channels: int, backend: Backend) -> None:
        """Draw the parameters: on the host, so that every backend gets the same bits."""
        self._check_divisible("in_channels", in_channels)
        self.in_channels = in_channels
        first, second = in_channels, self.out_channels
        if not self.transposed:
            first, second = second, first
        shape = (first, second // self.groups, *self.window)
        window = math.prod(self.window)
        fan_in = in_channels // self.groups * window
        fan_out = self.out_channels // self.groups * window
        if self.transposed:  # a window's elements are shared out among `stride` outputs
            fan_in = max(fan_in // math.prod(self.stride), 1)
        random, dtype = generator(), self._place[1]
        weight = self.weight_init(random, shape, fan_in, fan_out)
        self.weight = Parameter(weight, backend, dtype, self.weight_regularizer)
        if self.use_bias:
            bias = self.bias_init(random, (self.out_channels,), fan_in, fan_out)
            self.bias = Parameter(bias, backend, dtype, self.bias_regularizer)

    def _is_built(self) -> bool:
        return self.weight is not None

    def forward(self, x: Tensor) -> Tensor:
        layout = LAYOUTS[self.axes][self.last]
        wrong = x.ndim != self.axes + 2
        if not wrong and self.weight is None:
            self._build(x.shape[-1 if self.last else 1], x.backend)
        if wrong or x.shape[-1 if self.last else 1] != self.in_channels:
            of = "" if self.in_channels is None else f" of {self.in_channels} channels (C)"
            raise ShapeError(f"{self!r} takes inputs {layout}{of}, found shape {x.shape}")
        assert self.weight is not None
        if not is_float(x.dtype):
            x = x.astype(self.weight.dtype)
        if self.last:
            x = x.moveaxis(-1, 1)
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            # From the last axis to the first, as pad takes them.
            x = pad(x, [n for pair in reversed(self.padding) for n in pair], self.padding_mode)
            padding = 0
        more = {"output_padding": self.output_padding} if self.transposed else {}
        out = FUNCTIONS[f"Conv{'Transpose' * self.transposed}{self.axes}d"](
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
            activation=self.activation,
            alpha=self.alpha,
            **more,
        )
        return out.moveaxis(1, -1) if self.last else out


class Conv2d(Convolutional):
    """f(x convolved with weight + bias), as one op: every output sees a window of the input.

    Shapes: x (n, in_channels, h, w) -> (n, out_channels, h', w') with
    h' = floor((h + 2 padding - dilation (kernel - 1) - 1) / stride) + 1; `weight`
    (out_channels, in_channels / groups, kernel, kernel), `bias` (out_channels,).

    Sizes are a number for both axes or one for each. `in_channels` may be None: the first input
    tells. `padding` may also be "valid" (none), "same" (h' = h, at stride 1) or a pair
    (before, after) for each axis; `padding_mode` is "zeros", "reflect", "replicate" or "circular".
    With `groups`, output channels see their own group of input channels only; groups=in_channels is
    the depthwise convolution. `activation` is a name from tercet.kernels.activation; weights are
    drawn as `Dense` draws them, with fan_in = in_channels / groups * kernel * kernel.

    `layout` is "NCHW" or "NHWC", the order of the axes of input and output. NCHW is what the
    kernels take, so NHWC costs a copy of the input; weights are the same in both.

    Source: LeCun et al., "Backpropagation applied to handwritten zip code recognition", 1989.

    >>> import tercet as tc
    >>> layer = Conv2d(3, 8, 3, padding="same", activation="relu")
    >>> layer(tc.zeros(2, 3, 28, 28)).shape, layer.num_parameters()
    ((2, 8, 28, 28), 224)
    """

    axes = 2

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: Sizes | None = None,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        alpha: float | None = None,
        layout: str | None = None,
        weight_init: Any = None,
        bias_init: Any = "zeros",
        weight_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        dtype: str | DType | None = None,
    ) -> None:
        super().__init__()
        self._set(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, activation, alpha, layout, weight_init, bias_init, weight_regularizer,
            bias_regularizer, dtype,
        )  # fmt: skip


class Conv1d(Conv2d):
    """As Conv2d, over signals: x (n, in_channels, l) -> (n, out_channels, l').

    `layout` is "NCL" or "NLC".

    >>> import tercet as tc
    >>> Conv1d(None, 8, 5, stride=2, layout="NLC")(tc.zeros(2, 101, 3)).shape
    (2, 49, 8)
    """

    axes = 1


class ConvTranspose2d(Convolutional):
    """f(the transposed convolution of x + bias), as one op: inputs add to windows of outputs.

    Shapes: x (n, in_channels, h, w) -> (n, out_channels, h', w') with
    h' = (h - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1; `weight`
    (in_channels, out_channels / groups, kernel, kernel), `bias` (out_channels,).

    Options are those of Conv2d, with padding by numbers and of zeros. `output_padding`, smaller
    than stride or dilation, chooses among the sizes that a Conv2d would take to h.

    Source: Zeiler et al., "Deconvolutional networks", 2010.

    >>> import tercet as tc
    >>> ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=1)(tc.zeros(2, 8, 7, 7)).shape
    (2, 3, 14, 14)
    """

    axes = 2
    transposed = True

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: Sizes | None = None,
        stride: Sizes = 1,
        padding: Padding = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        alpha: float | None = None,
        layout: str | None = None,
        weight_init: Any = None,
        bias_init: Any = "zeros",
        weight_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        dtype: str | DType | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if padding_mode != "zeros":
            raise OptionError(f"{name}: padding_mode is 'zeros', found {padding_mode!r}")
        if isinstance(padding, str):
            raise OptionError(f"{name}: padding is given by numbers, found {padding!r}")
        self._set(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, activation, alpha, layout, weight_init, bias_init, weight_regularizer,
            bias_regularizer, dtype, output_padding,
        )  # fmt: skip


class ConvTranspose1d(ConvTranspose2d):
    """As ConvTranspose2d, over signals: x (n, in_channels, l) -> (n, out_channels, l').

    >>> import tercet as tc
    >>> ConvTranspose1d(8, 3, 4, stride=2, padding=1)(tc.zeros(2, 8, 10)).shape
    (2, 3, 20)
    """

    axes = 1
