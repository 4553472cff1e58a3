"""Positions in a sequence: fixed or learned vectors that are added, and rotary embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor, get_default_dtype, tensor
from ..autograd.functional import arange
from ..autograd.functions.rotary import Rotary
from ..autograd.functions.shape import TakeRows
from ..autograd.tape import apply
from ..backends import generator, get_backend
from ..errors import OptionError, ShapeError
from ..kernels.spec import accumulator
from . import initializers
from .module import Module, Parameter


def _check_sizes(name: str, **sizes: int) -> None:
    for option, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise OptionError(f"{name}: {option} must be a positive integer, found {size!r}")


def _check_length(name: str, start: int | Tensor, length: int, most: int) -> None:
    """Of a `start` on the device nothing can be checked but the length."""
    first = start if isinstance(start, int) else 0
    if first < 0 or first + length > most:
        found = f"{first} to {first + length - 1}" if first else f"{length} of them"
        raise ShapeError(
            f"{name} has {most} positions (max_length), found {found}. Shorten the sequence, or "
            "make the layer with a larger max_length"
        )


class _Added(Module):
    """x + table[start : start + length]."""

    def __init__(self, max_length: int, width: int) -> None:
        super().__init__()
        _check_sizes(type(self).__name__, max_length=max_length, width=width)
        self.max_length, self.width = max_length, width

    def _table(self) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, start: int | Tensor = 0) -> Tensor:
        name = type(self).__name__
        if x.ndim < 2 or x.shape[-1] != self.width:
            raise ShapeError(
                f"{name} takes inputs (..., length, {self.width}), found shape {x.shape}"
            )
        length, table = x.shape[-2], self._table()
        _check_length(name, start, length, self.max_length)
        if isinstance(start, int):
            return x + table[start : start + length].astype(x.dtype)
        places = arange(length, backend=x.backend) + start
        return x + apply(TakeRows, table, places).astype(x.dtype)


class LearnedPositions(_Added):
    """Adds a trained vector for each position.

    Shapes: x (..., length, width) -> the same; `weight` (max_length, width), drawn by `weight_init`
    (normal, standard deviation 0.02). `start` is the position of the first row: an integer, or an
    int64 tensor that lives on the device, as a `KeyValueCache` has.

    Source: Gehring et al., "Convolutional sequence to sequence learning", ICML 2017; Radford et
    al., "Improving language understanding by generative pre-training", 2018.

    >>> import tercet as tc
    >>> LearnedPositions(10, 4)(tc.zeros(2, 3, 4)).shape
    (2, 3, 4)
    """

    def __init__(self, max_length: int, width: int, *, weight_init: Any = None) -> None:
        super().__init__(max_length, width)
        draw = initializers.get(weight_init or initializers.Normal(std=0.02))
        shape = (max_length, width)
        self.weight = Parameter(
            draw(generator(), shape, *shape), get_backend(), get_default_dtype()
        )

    def _table(self) -> Tensor:
        return self.weight


class SinusoidalPositions(_Added):
    """Adds sin(t / 10000^(2i / width)) to column 2i, and the cosine of that to column 2i + 1.

    Shapes: x (..., length, width) -> the same; t counts from `start`, an integer or an int64 tensor
    on the device. Nothing is trained.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.

    >>> import tercet as tc
    >>> SinusoidalPositions(10, 4)(tc.zeros(1, 2, 4))[0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, max_length: int, width: int) -> None:
        super().__init__(max_length, width)
        angles = np.arange(max_length)[:, None] / 10000.0 ** (np.arange(width) // 2 * 2 / width)
        table = np.where(np.arange(width) % 2, np.cos(angles), np.sin(angles))
        self.register_buffer("table", tensor(table, get_default_dtype()))

    table: Tensor

    def _table(self) -> Tensor:
        return self.table


class RotaryPositions(Module):
    """Turns pairs of columns of queries and keys by angles that grow with the position.

        out_c = x_c cos a - x_(c + h) sin a,  out_(c + h) = x_(c + h) cos a + x_c sin a
        a = t / base^(c / h),  c < h = columns / 2

    so that the product of a query and a key depends on their distance alone. Column c goes with
    column c + h, as in GPT-NeoX and in LLaMA's published weights; the paper pairs neighbours.

    Shapes: x (batch, length, heads, width) -> the same; t counts from `start`, an integer or an
    int64 tensor () on the device. Only the first `columns` of each head are turned, all of them if
    None, and only the first `heads` heads, if that is given. max_length is the longest sequence.

    Source: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.

    >>> import tercet as tc
    >>> RotaryPositions(4)(tc.ones(1, 3, 2, 4)).shape
    (1, 3, 2, 4)
    """

    def __init__(
        self,
        width: int,
        max_length: int = 2048,
        base: float = 10000.0,
        columns: int | None = None,
    ) -> None:
        super().__init__()
        _check_sizes("RotaryPositions", width=width, max_length=max_length)
        turned = width if columns is None else columns
        if turned % 2 or not 0 < turned <= width:
            raise OptionError(
                f"RotaryPositions turns pairs of columns: expected an even number up to {width}, "
                f"found {turned}"
            )
        self.width, self.max_length = width, max_length
        half = turned // 2
        angles = np.arange(max_length)[:, None] / base ** (np.arange(half) / half)
        table = np.stack([np.cos(angles), np.sin(angles)])
        self.register_buffer("table", tensor(table, get_default_dtype()))

    table: Tensor

    def forward(self, x: Tensor, start: int | Tensor = 0, heads: int | None = None) -> Tensor:
        if x.ndim != 4 or x.shape[-1] != self.width:
            raise ShapeError(
                f"RotaryPositions takes inputs (batch, length, heads, {self.width}), found shape "
                f"{x.shape}"
            )
        _check_length("RotaryPositions", start, x.shape[1], self.max_length)
        if isinstance(start, int):
            first = None if start == 0 else tensor(start, "int64", x.backend)
        else:
            first = start
        table = self.table.astype(accumulator(x.dtype))
        turned = x.shape[2] if heads is None else heads
        out: Tensor = apply(Rotary, x, table, first, heads=turned)
        return out
