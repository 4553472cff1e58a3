"""Group and instance normalization."""

from __future__ import annotations

from typing import Any, ClassVar

from ..autograd import Tensor
from ..autograd.functional.normalization import check_groups, group_norm, instance_norm
from ..backends import Backend
from .channel_norm import ChannelNorm


class GroupNorm(ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, group by group of channels in each sample.

    Shapes: x (n, c, ...), with layout="NHWC" (n, ..., c), -> the same; `weight` (ones) and `bias`
    (zeros) (c,), absent with affine=False. `num_channels` must be a multiple of `num_groups`; None
    takes c from the first input.

    Source: Wu and He, "Group normalization", 2018.

    >>> import tercet as tc
    >>> GroupNorm(2, 6)(tc.rand(5, 6, 4, 4)).shape
    (5, 6, 4, 4)
    """

    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4, 5)
    layouts: ClassVar[tuple[str, str]] = ("NCHW", "NHWC")

    def __init__(
        self,
        num_groups: int,
        num_channels: int | None = None,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        layout: str | None = None,
    ) -> None:
        self.num_groups = num_groups
        super().__init__(num_channels, eps, None, affine, False, layout)

    def _build(self, channels: int, backend: Backend) -> None:
        check_groups("GroupNorm", self.num_groups, channels)
        super()._build(channels, backend)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        out = group_norm(self._in_order(x), self.num_groups, self.weight, self.bias, self.eps)
        return self._in_order(out, back=True)

    def config(self) -> dict[str, Any]:
        given = super().config()
        given["num_channels"] = given.pop("num_features")
        return given


class _InstanceNorm(ChannelNorm):
    """What both have: an input without a batch is one sample."""

    def __init__(
        self,
        num_features: int | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        layout: str | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, layout)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == self.ranks[0] - 1:
            return self.forward(x.reshape(1, *x.shape)).reshape(*x.shape)
        self._check(x)
        out = instance_norm(
            self._in_order(x),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            (self.training and not self.frozen) or self.running_mean is None,
            self.momentum or 0.0,
            self.eps,
        )
        return self._in_order(out, back=True)


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, by sample and channel.

    Shapes: x (n, c, l) or (c, l), with layout="NLC" (n, l, c), -> the same; `weight` and `bias`
    (c,) with affine=True. With track_running_stats=True evaluation uses the average of what was
    seen in training, as BatchNorm1d. Keeps no count: momentum=None leaves the statistics alone.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016.

    >>> import tercet as tc
    >>> InstanceNorm1d(1, eps=0.0)(tc.tensor([[[1.0, 3.0]]])).tolist()
    [[[-1.0, 1.0]]]
    """

    ranks: ClassVar[tuple[int, ...]] = (3,)
    layouts: ClassVar[tuple[str, str]] = ("NCL", "NLC")


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of images: x (n, c, h, w) or (c, h, w), with layout="NHWC" c last.

    All else as InstanceNorm1d.

    >>> import tercet as tc
    >>> InstanceNorm2d(3, affine=True)(tc.rand(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    ranks: ClassVar[tuple[int, ...]] = (4,)
    layouts: ClassVar[tuple[str, str]] = ("NCHW", "NHWC")
