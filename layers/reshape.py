"""Reshape and Permute: the features of a sample under another shape, or in another order."""

from __future__ import annotations

import math

from ..autograd import Tensor
from ..errors import OptionError, ShapeError
from .module import Module


class Reshape(Module):
    """(n, ...) -> (n, *shape), in the same order; one size of `shape` may be -1, what is left.

    >>> import tercet as tc
    >>> Reshape(1, 28, -1)(tc.zeros(2, 784)).shape
    (2, 1, 28, 28)
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        if any(not isinstance(s, int) or s < -1 for s in shape) or shape.count(-1) > 1:
            raise OptionError(
                f"Reshape takes whole sizes, of which one may be -1: Reshape(1, 28, 28); found "
                f"{shape}"
            )
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        size, known = math.prod(x.shape[1:]), math.prod(s for s in self.shape if s != -1)
        if not x.ndim or (size % known if -1 in self.shape and known else size != known):
            raise ShapeError(f"{self!r} cannot take samples of {size} numbers, found {x.shape}")
        shape = tuple(size // max(known, 1) if s == -1 else s for s in self.shape)
        return x.reshape(x.shape[0], *shape)

    def config(self) -> dict[str, list[int]]:
        return {"shape": list(self.shape)}

    @classmethod
    def from_config(cls, config: dict[str, list[int]]) -> Reshape:
        return cls(*config["shape"])


class Permute(Module):
    """The axes of a sample in another order: 1 is the first after the batch axis, as in Keras.

    >>> import tercet as tc
    >>> Permute(3, 1, 2)(tc.zeros(8, 28, 30, 3)).shape
    (8, 3, 28, 30)
    """

    def __init__(self, *axes: int) -> None:
        super().__init__()
        if sorted(axes) != list(range(1, len(axes) + 1)):
            raise OptionError(f"Permute takes the axes 1 .. n, each once, found {axes}")
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != len(self.axes) + 1:
            raise ShapeError(f"{self!r} takes samples of {len(self.axes)} axes, found {x.shape}")
        return x.transpose(0, *self.axes)

    def config(self) -> dict[str, list[int]]:
        return {"axes": list(self.axes)}

    @classmethod
    def from_config(cls, config: dict[str, list[int]]) -> Permute:
        return cls(*config["axes"])
