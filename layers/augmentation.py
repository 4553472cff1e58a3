"""Layers that change images at random while training, where the model is: also on a GPU."""

from __future__ import annotations

from typing import ClassVar

from ..autograd import Tensor
from ..autograd.functional import augment
from ..autograd.functional.augmentation import check_layout
from ..errors import OptionError, choose
from .module import Module


class RandomFlip(Module):
    """Turns each image round with chance 1/2 while training; in evaluation mode the identity.

    Shapes: x (n, c, h, w), or (n, h, w, c) with layout "NHWC", or (n, h, w) -> the same shape.
    `mode` is "horizontal" (left and right change places), "vertical" or "horizontal_and_vertical",
    which draws twice.

    Source: Krizhevsky et al., NIPS 2012, section 4.1.

    >>> import tercet as tc
    >>> RandomFlip().eval()(tc.ones(1, 2, 2)).shape
    (1, 2, 2)
    """

    MODES: ClassVar[dict[str, tuple[bool, bool]]] = {
        "horizontal": (False, True),
        "vertical": (True, False),
        "horizontal_and_vertical": (True, True),
    }

    def __init__(self, mode: str = "horizontal", layout: str = "NCHW") -> None:
        super().__init__()
        if mode not in self.MODES:
            raise OptionError(choose("mode of RandomFlip", mode, tuple(self.MODES)))
        self.mode, self.layout = mode, check_layout(layout)

    def forward(self, x: Tensor) -> Tensor:
        return augment(x, (0, 0), self.MODES[self.mode], self.layout) if self.training else x


class RandomShift(Module):
    """Shifts each image by up to so many pixels while training; in evaluation mode the identity.

    Shapes as RandomFlip's. `pixels` is one number, or one down and one right; what is shifted in is
    zero. It is what elsewhere is a random crop of the image padded by `pixels`.

    Source: He et al., "Deep residual learning", CVPR 2016, section 4.2.

    >>> import tercet as tc
    >>> float(RandomShift(1)(tc.ones(4, 8, 8)).numpy().min()) in (0.0, 1.0)
    True
    """

    def __init__(self, pixels: int | tuple[int, int], layout: str = "NCHW") -> None:
        super().__init__()
        both = (pixels,) * 2 if isinstance(pixels, int) else tuple(pixels)
        if len(both) != 2 or any(not isinstance(p, int) or p < 0 for p in both):
            raise OptionError(
                f"RandomShift: pixels is one whole number from 0 on, or two, found {pixels!r}"
            )
        self.shift, self.layout = (both[0], both[1]), check_layout(layout)

    def forward(self, x: Tensor) -> Tensor:
        return augment(x, self.shift, (False, False), self.layout) if self.training else x
