"""Dropout of elements, of channels and of whole samples."""

from __future__ import annotations

from ..autograd import Tensor
from ..autograd.functional import dropout, spatial_dropout, stochastic_depth
from ..autograd.functional.dropout import check_p
from ..errors import OptionError, choose
from .module import Module

LAYOUTS = ("NCHW", "NHWC", "NCL", "NLC")


class Dropout(Module):
    """Zeroes each element with probability p while training, and scales the others by 1 / (1 - p).

    Shapes: x of any shape -> the same shape. In evaluation mode it is the identity. The mask
    follows from the seed alone and is the same on every backend.

    Source: Srivastava et al., JMLR 15, 2014.

    >>> import tercet as tc
    >>> Dropout(0.5).eval()(tc.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_p(type(self).__name__, p)

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)


class SpatialDropout(Module):
    """Zeroes whole channels with probability p while training, and scales the others.

    Shapes: x (n, c, ...), or (n, ..., c) with layout "NHWC" or "NLC" -> the same shape. Pixels
    beside each other in a channel say nearly the same, so that to drop some of them hides nothing.

    Source: Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015,
    section 3.2. PyTorch's Dropout1d and Dropout2d.

    >>> import tercet as tc
    >>> out = SpatialDropout(0.5)(tc.ones(4, 8, 3, 3)).numpy()
    >>> sorted(set(out.sum((2, 3)).ravel().tolist()))
    [0.0, 18.0]
    """

    def __init__(self, p: float = 0.5, layout: str = "NCHW") -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise OptionError(choose("layout", layout, LAYOUTS))
        self.p, self.layout = check_p(type(self).__name__, p), layout

    def forward(self, x: Tensor) -> Tensor:
        return spatial_dropout(x, self.p, self.training, self.layout.endswith("C"))


Dropout1d = Dropout2d = SpatialDropout


class StochasticDepth(Module):
    """Zeroes all of a sample with probability p while training, and scales the others.

    Shapes: x (n, ...) -> the same shape. At the end of a residual branch it leaves out the branch:
    x + StochasticDepth(p)(block(x)). Also called drop path.

    Source: Huang et al., "Deep networks with stochastic depth", ECCV 2016, section 3.

    >>> import tercet as tc
    >>> out = StochasticDepth(0.5)(tc.ones(8, 2)).numpy()
    >>> bool((out[:, 0] == out[:, 1]).all())
    True
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_p(type(self).__name__, p)

    def forward(self, x: Tensor) -> Tensor:
        return stochastic_depth(x, self.p, self.training)
