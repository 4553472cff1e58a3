"""Dropout."""

from __future__ import annotations

from ..autograd import Tensor
from ..autograd.functional import dropout
from ..errors import OptionError
from .module import Module


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
        if not 0.0 <= p < 1.0:
            raise OptionError(f"Dropout: p must be in [0, 1), found {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)
