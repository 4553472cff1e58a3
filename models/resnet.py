"""Residual networks of convolutions.

Modules are named as in torchvision, so that its weights fit: conv1, bn1, layer1.0.conv1, ..., fc.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd import Tensor
from ..autograd.functional import relu
from ..errors import OptionError, choose
from ..layers import BatchNorm2d, Conv2d, Dense, GlobalAvgPool2d, MaxPool2d, Module, ModuleList
from .model import Model

STEMS = ("small", "imagenet")


class _Block(Module):
    """relu(shortcut(x) + f(x)); the shortcut is a convolution of 1x1 where shapes change."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * self.expansion
        self.downsample: ModuleList | None = None
        if stride != 1 or channels != out:
            self.downsample = ModuleList(
                [
                    Conv2d(channels, out, kernel_size=1, stride=stride, bias=False),
                    BatchNorm2d(out),
                ]
            )

    def shortcut(self, x: Tensor) -> Tensor:
        for layer in self.downsample or ():
            x = layer(x)
        return x


class BasicBlock(_Block):
    """Two convolutions of 3x3: the block of ResNet-18 and ResNet-34."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__(channels, width, stride)
        self.conv1 = Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(width, activation="relu")
        self.conv2 = Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        return relu(out + self.shortcut(x))


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1, the last four times as wide: the block of ResNet-50 and deeper."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__(channels, width, stride)
        self.conv1 = Conv2d(channels, width, kernel_size=1, bias=False)
        self.bn1 = BatchNorm2d(width, activation="relu")
        self.conv2 = Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(width, activation="relu")
        self.conv3 = Conv2d(width, 4 * width, kernel_size=1, bias=False)
        self.bn3 = BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        return relu(self.bn3(self.conv3(out)) + self.shortcut(x))


BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNet(Model):
    """Stages of residual blocks, each stage after the first of half the size; then the mean over
    pixels and a dense layer `fc`.

    Inputs are images (n, in_channels, h, w), outputs (n, out_features) logits. `blocks` and
    `widths` give the blocks of each stage and their channels, `block` is "basic" or "bottleneck".
    The stem is a convolution of 3x3 ("small"), or one of 7x7 with stride 2 and a pool ("imagenet").
    `before` are layers put in front, such as Reshape.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, sections 3.3, 4.2.

    >>> import tercet as tc
    >>> ResNet(10, blocks=(1, 1), widths=(8, 16), in_channels=1)(tc.zeros(2, 1, 12, 12)).shape
    (2, 10)
    """

    def __init__(
        self,
        out_features: int,
        blocks: Sequence[int] = (1, 1, 1),
        widths: Sequence[int] = (32, 64, 128),
        block: str = "basic",
        stem: str = "small",
        in_channels: int = 3,
        before: Sequence[Module] = (),
    ) -> None:
        super().__init__()
        if block not in BLOCKS:
            raise OptionError(choose("block of ResNet", block, BLOCKS))
        if stem not in STEMS:
            raise OptionError(choose("stem of ResNet", stem, STEMS))
        if len(blocks) != len(widths) or not blocks:
            raise OptionError(
                f"ResNet: blocks and widths give a number for each stage, found {list(blocks)} and "
                f"{list(widths)}"
            )
        self.before = ModuleList(before)
        first = widths[0]
        if stem == "small":
            self.conv1 = Conv2d(in_channels, first, kernel_size=3, padding=1, bias=False)
        else:
            self.conv1 = Conv2d(in_channels, first, kernel_size=7, stride=2, padding=3, bias=False)
            self.maxpool = MaxPool2d(3, stride=2, padding=1)
        self.bn1 = BatchNorm2d(first, activation="relu")
        self.stages: list[ModuleList] = []
        channels = first
        for i, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            stage = ModuleList()
            for k in range(count):
                stride = 2 if i and not k else 1
                stage.append(BLOCKS[block](channels, width, stride))
                channels = width * BLOCKS[block].expansion
            setattr(self, f"layer{i + 1}", stage)
            self.stages.append(stage)
        self.stem = stem
        self.pool = GlobalAvgPool2d()
        self.fc = Dense(channels, out_features)

    def features(self, x: Tensor) -> Tensor:
        """What the dense layer is given: (n, channels)."""
        for layer in self.before:
            x = layer(x)
        x = self.bn1(self.conv1(x))
        if self.stem == "imagenet":
            x = self.maxpool(x)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return self.pool(x).reshape(x.shape[0], x.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))


def resnet18(out_features: int = 1000) -> ResNet:
    """ResNet-18 for images (n, 3, 224, 224)."""
    return ResNet(out_features, (2, 2, 2, 2), (64, 128, 256, 512), stem="imagenet")


def resnet34(out_features: int = 1000) -> ResNet:
    """ResNet-34 for images (n, 3, 224, 224)."""
    return ResNet(out_features, (3, 4, 6, 3), (64, 128, 256, 512), stem="imagenet")


def resnet50(out_features: int = 1000) -> ResNet:
    """ResNet-50 for images (n, 3, 224, 224)."""
    return ResNet(out_features, (3, 4, 6, 3), (64, 128, 256, 512), "bottleneck", "imagenet")
