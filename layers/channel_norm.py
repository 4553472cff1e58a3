"""What normalizations by channel share: sizes, parameters, running statistics, layouts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..autograd import Tensor, tensor
from ..autograd.functional.normalization import check_eps, check_momentum
from ..backends import Backend, get_backend
from ..errors import OptionError, ShapeError
from .layout import is_channels_last
from .module import Module, Parameter


class ChannelNorm(Module):
    """A weight and a bias a channel, and running statistics, all made once there is a size.

    `ranks` are the numbers of axes that inputs may have, `layouts` names for their order, the one
    with channels second first.
    """

    ranks: ClassVar[tuple[int, ...]]
    layouts: ClassVar[tuple[str, str]]

    def __init__(
        self,
        num_features: int | None,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        layout: str | None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.channels_last = is_channels_last(f"layout of {name}", layout, self.layouts)
        if num_features is not None and (not isinstance(num_features, int) or num_features < 1):
            raise OptionError(f"{name}: the number of channels is positive, found {num_features!r}")
        check_momentum(name, momentum)
        self.eps, self.momentum = check_eps(name, eps), momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.num_features: int | None = None
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        self.running_mean: Tensor | None = None
        self.running_var: Tensor | None = None
        self.num_batches_tracked: Tensor | None = None
        if num_features is not None:
            self._build(num_features, get_backend())

    def _build(self, channels: int, backend: Backend) -> None:
        self.num_features, dtype = channels, self._place[1]
        if self.affine:
            self.weight = Parameter(np.ones(channels), backend, dtype)
            self.bias = Parameter(np.zeros(channels), backend, dtype)
        if self.track_running_stats:
            self.register_buffer("running_mean", tensor(np.zeros(channels), dtype, backend))
            self.register_buffer("running_var", tensor(np.ones(channels), dtype, backend))
            self.register_buffer("num_batches_tracked", tensor(np.array(0), "int64", backend))

    def _is_built(self) -> bool:
        return self.num_features is not None

    def _check(self, x: Tensor) -> None:
        """Build, if that is yet to be done; raise where the input's shape does not fit."""
        axis = -1 if self.channels_last else 1
        if x.ndim in self.ranks and self.num_features is None:
            self._build(x.shape[axis], x.backend)
        if x.ndim not in self.ranks or x.shape[axis] != self.num_features:
            places = self.layouts[self.channels_last].replace("C", f"C={self.num_features or '?'} ")
            raise ShapeError(
                f"{self!r} takes inputs {places.strip()} of {' or '.join(map(str, self.ranks))} "
                f"axes, found shape {x.shape}"
            )

    def _in_order(self, x: Tensor, back: bool = False) -> Tensor:
        """x with channels second, where they are last; or back again."""
        if not self.channels_last or x.ndim < 3:
            return x
        return x.moveaxis(1, -1) if back else x.moveaxis(-1, 1)

    def config(self) -> dict[str, Any]:
        return super().config() | {"num_features": self.num_features}
