"""MobileNetV2: a network for images that costs little.

Modules are named as in torchvision, so that its weights fit: features.0.0, features.1.conv.0.0, ...
"""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..errors import OptionError, ShapeError, choose
from ..layers import (
    BatchNorm2d,
    Conv2d,
    Dense,
    Dropout,
    GlobalAvgPool2d,
    Module,
    ModuleList,
    ReLU6,
)
from .model import Model
from .sequential import Sequential

# Table 2 of the paper: expansion, channels, blocks, stride of the first of them.
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
# What Keras' and torchvision's do differently: norms, and zeros around images at strides of 2.
CONVENTIONS: dict[str, dict[str, Any]] = {
    "pytorch": {"norm": {"eps": 1e-5, "momentum": 0.1}, "padding": 1},
    "keras": {"norm": {"eps": 1e-3, "momentum": 0.001}, "padding": ((0, 1), (0, 1))},
}


def _activated(
    channels: int, out: int, window: int, stride: int, groups: int, convention: str
) -> Sequential:
    """A convolution without bias, a norm and ReLU6."""
    chosen = CONVENTIONS[convention]
    padding = chosen["padding"] if stride == 2 else window // 2
    convolution = Conv2d(
        channels, out, window, stride, padding, groups=groups, bias=False, weight_init="he_normal"
    )
    return Sequential(convolution, BatchNorm2d(out, **chosen["norm"]), ReLU6())


class InvertedResidual(Module):
    """1x1 to more channels, 3x3 in each channel, 1x1 to few, added to the input if shapes agree."""

    def __init__(
        self, channels: int, out: int, stride: int, expansion: int, convention: str
    ) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[Module] = []
        if expansion != 1:
            layers.append(_activated(channels, wide, 1, 1, 1, convention))
        layers.append(_activated(wide, out=wide, window=3, stride=stride, groups=wide,
                                 convention=convention))  # fmt: skip
        layers.append(Conv2d(wide, out, kernel_size=1, bias=False))
        layers.append(BatchNorm2d(out, **CONVENTIONS[convention]["norm"]))
        self.conv = Sequential(layers)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        return x + out if self.adds else out


class MobileNetV2(Model):
    """Inverted residuals of depthwise convolutions; then the mean over pixels and a dense layer.

    Inputs are images (n, in_channels, h, w), outputs (n, out_features) logits. `width` multiplies
    the channels. `convention` is whose weights are to fit, "pytorch" (torchvision's) or "keras":
    they pad images and normalize differently. Keras' takes sizes that are multiples of 32.

    The last layer is `classifier[1]`: model.classifier[1] = Dense(5) puts another one there.

    Source: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

    >>> import tercet as tc
    >>> model = MobileNetV2(10, width=0.35).eval()
    >>> model(tc.zeros(1, 3, 32, 32)).shape, MobileNetV2().num_parameters()
    ((1, 10), 3504872)
    """

    def __init__(
        self,
        out_features: int = 1000,
        width: float = 1.0,
        dropout: float = 0.2,
        in_channels: int = 3,
        convention: str = "pytorch",
    ) -> None:
        super().__init__()
        if convention not in CONVENTIONS:
            raise OptionError(choose("convention of MobileNetV2", convention, CONVENTIONS))
        if not width > 0:
            raise OptionError(f"MobileNetV2: width must be positive, found {width}")
        self.convention = convention
        channels = _eighths(32 * width)
        last = _eighths(1280 * max(width, 1.0))
        blocks: list[Module] = [_activated(in_channels, channels, 3, 2, 1, convention)]
        for expansion, base, count, stride in STAGES:
            out = _eighths(base * width)
            for i in range(count):
                step = 1 if i else stride
                blocks.append(InvertedResidual(channels, out, step, expansion, convention))
                channels = out
        blocks.append(_activated(channels, last, 1, 1, 1, convention))
        self.features = ModuleList(blocks)
        self.pool = GlobalAvgPool2d()
        self.classifier = Sequential(Dropout(dropout), Dense(last, out_features))

    def forward(self, x: Tensor) -> Tensor:
        if self.convention == "keras" and (x.ndim != 4 or x.shape[2] % 32 or x.shape[3] % 32):
            raise ShapeError(
                "MobileNetV2 with convention='keras' takes images (n, c, h, w) with h and w "
                f"multiples of 32, found shape {x.shape}"
            )
        for block in self.features:
            x = block(x)
        return self.classifier(self.pool(x))


def _eighths(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and not a tenth below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
