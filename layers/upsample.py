"""Sequences and images at another size, as a layer."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..autograd.functional.resampling import check_interpolation, interpolate
from .module import Module


class Upsample(Module):
    """x at another size: larger, or smaller.

    Shapes: x (n, c, l) or (n, c, h, w) -> the same with `size` for l or (h, w), or with
    floor(old size * scale_factor). `mode` is "nearest", "linear" for (n, c, l) or "bilinear" for
    (n, c, h, w); see tercet.interpolate for `align_corners` and `recompute_scale_factor`.

    >>> import tercet as tc
    >>> Upsample(scale_factor=2)(tc.zeros(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        check_interpolation("Upsample", size, scale_factor, mode, align_corners)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, x: Tensor) -> Tensor:
        options = (self.mode, self.align_corners, self.recompute_scale_factor)
        return interpolate(x, self.size, self.scale_factor, *options)
