"""Matrix products on a device: what is to be computed, apart from who computes it.

A `Product` describes one, with what is done to its result on the way out. A runtime makes a plan of
it, once, and calls that plan with arrays from then on.

    none                out = a b
    bias                out = a b + bias
    relu, relu_bias     out = max(a b [+ bias], 0); aux, if given, = the bits of that > 0
    gelu_tanh[_bias]    out = gelu(a b [+ bias]) in its tanh form; aux, if given, = a b [+ bias]
    bias_gradient       out = a b, and bias = the sum of b's rows
    relu_gradient       out = a b where the bit of aux is set, else 0
    gelu_tanh_gradient  out = a b * gelu'(aux)

a (..., m, k), b (..., k, n), out (..., m, n), bias (n,), aux (m, n), or bits as
`signs_shape` in kernels/dense/spec.py lays them out. All but `none` take matrices, not stacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, Protocol

from ..errors import DTypeError, ShapeError
from ..kernels.dense.layout import Layout, layout
from ..kernels.spec import Array

EPILOGUES = (
    "none", "bias", "relu", "relu_bias", "gelu_tanh", "gelu_tanh_bias", "bias_gradient",
    "relu_gradient", "gelu_tanh_gradient",
)  # fmt: skip
# Bytes: what plans are told of how addresses are aligned goes up to this.
MOST_ALIGNED = 256


class Unserved(Exception):
    """A library cannot compute what it was asked for a plan of."""


@dataclass(frozen=True)
class Product:
    """One product: everything but the addresses. `aligned` is to how many bytes these are, each."""

    count: int
    m: int
    n: int
    k: int
    a: Layout
    b: Layout
    out: Layout
    dtype: str
    out_dtype: str
    epilogue: str
    tf32: bool
    bias: bool
    aux: bool
    aligned: tuple[int, ...]

    def __str__(self) -> str:
        stack = f"{self.count} x " if self.count > 1 else ""
        after = "" if self.epilogue == "none" else f", {self.epilogue}"
        return f"product {stack}({self.m}, {self.k}) ({self.k}, {self.n}) of {self.dtype}{after}"


class Operand(NamedTuple):
    """What a description takes from an array."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any
    aligned: int

    @property
    def itemsize(self) -> int:
        size: int = self.dtype.itemsize
        return size


class GemmPlan(Protocol):
    """plan(out, a, b, bias, aux) starts a product of arrays that fit its description.

    `capturable` says whether a CUDA graph can hold it.
    """

    capturable: bool

    def __call__(
        self, out: Array, a: Array, b: Array, bias: Array | None, aux: Array | None
    ) -> None: ...


def describe(
    address: Callable[[Array], int],
    out: Array,
    a: Array,
    b: Array,
    bias: Array | None,
    aux: Array | None,
    epilogue: str,
    tf32: bool,
) -> Product:
    """The product of these arrays; `address` tells where an array begins."""
    operands = [
        None if x is None else Operand(x.shape, x.strides, x.dtype, _aligned(address(x)))
        for x in (out, a, b, bias, aux)
    ]
    return _describe(epilogue, tf32, *operands)


# Eager steps ask for the same again and again; to look it up takes half as long.
@lru_cache(maxsize=4096)
def _describe(epilogue: str, tf32: bool, *operands: Any) -> Product:
    out, a, b, bias, aux = operands
    if a.dtype != b.dtype:
        raise DTypeError(
            f"gemm takes two matrices of one dtype, found {a.dtype} and {b.dtype}; convert one "
            "with .astype(...) first"
        )
    stack = out.shape[:-2]
    of_a, of_b, of_out = (layout(x, stack) for x in (a, b, out))
    if of_a is None or of_b is None or of_out is None or of_out.transposed:
        raise ShapeError(
            f"gemm takes matrices whose rows or columns are contiguous, in stacks of one step; "
            f"found strides {a.strides} and {b.strides} for {out.strides}"
        )
    m, n = out.shape[-2:]
    return Product(
        count=prod(stack),
        m=m,
        n=n,
        k=a.shape[-1],
        a=of_a,
        b=of_b,
        out=of_out,
        dtype=a.dtype.name,
        out_dtype=out.dtype.name,
        epilogue=epilogue,
        tf32=tf32 and a.dtype.name == "float32",
        bias=bias is not None,
        aux=aux is not None,
        aligned=tuple(0 if x is None else x.aligned for x in operands),
    )


def _aligned(address: int) -> int:
    """The largest power of two that divides an address, up to MOST_ALIGNED."""
    return min(address & -address, MOST_ALIGNED) if address else MOST_ALIGNED


class MatmulPlan:
    """A product by the array module's own matmul: for where there is nothing better, and why."""

    capturable = False

    def __init__(self, matmul: Callable[..., Any], product: Product, why: str) -> None:
        self._matmul, self._product, self._why = matmul, product, why

    def __call__(
        self, out: Array, a: Array, b: Array, bias: Array | None, aux: Array | None
    ) -> None:
        self._matmul(a, b, out=out)

    def __str__(self) -> str:
        return f"{self._product}, by CuPy's matmul ({self._why}),"
