"""Batch normalization."""

from __future__ import annotations

from typing import ClassVar

from ..autograd import Tensor
from ..autograd.functional.normalization import batch_norm
from ..errors import OptionError, choose
from .channel_norm import ChannelNorm


class _BatchNorm(ChannelNorm):
    """What both have."""

    def __init__(
        self,
        num_features: int | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        layout: str | None = None,
        activation: str | None = None,
    ) -> None:
        if activation not in (None, "identity", "relu"):
            raise OptionError(
                choose(f"activation of {type(self).__name__}", activation, ("identity", "relu"))
            )
        self.activation = activation or "identity"
        super().__init__(num_features, eps, momentum, affine, track_running_stats, layout)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            (self.training and not self.frozen) or self.running_mean is None,
            self.momentum,
            self.eps,
            tracked=self.num_batches_tracked,
            activation=self.activation,
            channels_last=self.channels_last,
        )


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    Shapes: x (n, c) or (n, c, l), with layout="NLC" (n, l, c) -> the same; `weight` (ones) and
    `bias` (zeros) (c,), absent with affine=False. With num_features=None, c is that of the first
    input.

    In training mode mean and var are the batch's, and `running_mean`, `running_var` follow them:
    running = (1 - momentum) running + momentum new, with the unbiased variance; momentum=None
    averages over all batches, which `num_batches_tracked` counts. In evaluation mode the running
    ones are used, or with track_running_stats=False, which keeps none, the batch's.
    activation="relu" is done in the same pass.

    Source: Ioffe and Szegedy, "Batch normalization", 2015.

    >>> import tercet as tc
    >>> layer = BatchNorm1d(2)
    >>> layer(tc.tensor([[0.0, 1.0], [2.0, 5.0]])).numpy().round(2).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    >>> [round(v, 2) for v in layer.running_mean.tolist()]
    [0.1, 0.3]
    """

    ranks: ClassVar[tuple[int, ...]] = (2, 3)
    layouts: ClassVar[tuple[str, str]] = ("NCL", "NLC")


class BatchNorm2d(_BatchNorm):
    """Batch normalization of images: x (n, c, h, w), with layout="NHWC" (n, h, w, c) -> the same.

    All else as BatchNorm1d.

    >>> import tercet as tc
    >>> BatchNorm2d(3, activation="relu")(tc.rand(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    ranks: ClassVar[tuple[int, ...]] = (4,)
    layouts: ClassVar[tuple[str, str]] = ("NCHW", "NHWC")
