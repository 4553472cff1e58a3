"""Padding layers: something around signals and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..autograd import Tensor
from ..autograd.functional import pad
from ..errors import OptionError, ShapeError
from .module import Module


class Padded(Module):
    """What the layers share: a mode, the number of axes, widths for them."""

    axes: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        widths = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        if len(widths) != 2 * self.axes or not all(isinstance(n, int) and n >= 0 for n in widths):
            order = "left, right" if self.axes == 1 else "left, right, top, bottom"
            raise OptionError(
                f"{type(self).__name__}: padding is one number for all sides or ({order}), not "
                f"negative; found {padding!r}"
            )
        self.widths = widths

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self.axes + 2:
            where = "length" if self.axes == 1 else "height, width"
            raise ShapeError(
                f"{type(self).__name__} takes inputs (n, channels, {where}), found shape {x.shape}"
            )
        return pad(x, self.widths, self.mode)


class ZeroPad1d(Padded):
    """Zeros before and after signals: x (n, c, l) -> (n, c, left + l + right).

    >>> import tercet as tc
    >>> ZeroPad1d((1, 2))(tc.ones(1, 1, 2)).tolist()
    [[[0.0, 1.0, 1.0, 0.0, 0.0]]]
    """

    axes, mode = 1, "zeros"


class ZeroPad2d(Padded):
    """Zeros around images: x (n, c, h, w) -> (n, c, top + h + bottom, left + w + right).

    >>> import tercet as tc
    >>> ZeroPad2d(1)(tc.ones(2, 3, 4, 5)).shape
    (2, 3, 6, 7)
    """

    axes, mode = 2, "zeros"


class ReflectionPad1d(Padded):
    """A mirror image before and after signals, without the border itself.

    >>> import tercet as tc
    >>> ReflectionPad1d(1)(tc.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[2.0, 1.0, 2.0, 3.0, 2.0]]]
    """

    axes, mode = 1, "reflect"


class ReflectionPad2d(Padded):
    """A mirror image around images, without the border itself.

    >>> import tercet as tc
    >>> ReflectionPad2d((1, 1, 0, 0))(tc.zeros(2, 3, 4, 5)).shape
    (2, 3, 4, 7)
    """

    axes, mode = 2, "reflect"


class ReplicationPad1d(Padded):
    """The border again, before and after signals.

    >>> import tercet as tc
    >>> ReplicationPad1d((2, 0))(tc.tensor([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 1.0, 2.0]]]
    """

    axes, mode = 1, "replicate"


class ReplicationPad2d(Padded):
    """The border again, around images.

    >>> import tercet as tc
    >>> ReplicationPad2d(2)(tc.zeros(2, 3, 4, 5)).shape
    (2, 3, 8, 9)
    """

    axes, mode = 2, "replicate"


class CircularPad1d(Padded):
    """The other end, before and after signals.

    >>> import tercet as tc
    >>> CircularPad1d(1)(tc.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[3.0, 1.0, 2.0, 3.0, 1.0]]]
    """

    axes, mode = 1, "circular"


class CircularPad2d(Padded):
    """The other side, around images, as on a torus.

    >>> import tercet as tc
    >>> CircularPad2d(1)(tc.zeros(2, 3, 4, 5)).shape
    (2, 3, 6, 7)
    """

    axes, mode = 2, "circular"
