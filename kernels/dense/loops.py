"""The dense layer in one parallel region forward and two backward; matrix products.

forward    Each thread owns a block of z, rows or columns, whichever there are more of. It computes
           the product for its block and then, while the block is still in its cache, adds the bias
           and applies the activation.
backward   Rows are split: dz = dout * f'(z), and each thread sums its rows for db; the sums are
           added in the order of the threads. Then dW and dx, which need the whole dz, are split
           into blocks like z.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..activation.loops import KIND_NUMBER, activate, slope
from ..numba_blas import PLAIN, TRANSPOSED, restore, single
from ..numba_gemm import gemm
from ..numba_loop import Loop, loop, loops, parts_for, region, share
from ..observing import host, workspace
from ..spec import Array
from .reference import pack_signs

# Multiply-adds below which a product runs serially: some 5 us on one thread, of which a second one
# saves no more than it takes to start.
SERIAL_PRODUCT = 1 << 18


@loops
def _forward(kind: int) -> Callable[..., None]:
    def dense_forward(
        t: int,
        parts: int,
        out: Array,
        pre: Array,
        x: Array,
        weight: Array,
        bias: Array,
        alpha: float,
    ) -> None:
        a = x.dtype.type(alpha)
        z = out if pre is None else pre
        top, bottom, left, right = region(parts, t, out.shape[0], out.shape[1])
        gemm(z, x, weight, PLAIN, PLAIN, top, bottom, left, right)
        if kind == 0 and bias is None and pre is None:
            return
        for r in range(top, bottom):
            o, s = out[r, left:right], z[r, left:right]
            if bias is None:
                for j in range(o.size):
                    o[j] = activate(kind, s[j], a)
            else:
                b = bias[left:right]
                for j in range(o.size):
                    value = s[j] + b[j]
                    if pre is not None:
                        s[j] = value
                    o[j] = activate(kind, value, a)

    return dense_forward


@loops
def _backward(kind: int) -> Callable[..., None]:
    def dense_backward(
        t: int, parts: int, dz: Array, sums: Array, dout: Array, saved: Array, alpha: float
    ) -> None:
        """dz = dout * f'(saved) unless f is the identity; sums[t] = the sum of dz over t's rows."""
        a = dout.dtype.type(alpha)
        low, high = share(dout.shape[0], parts, t)
        total = sums[t]
        for j in range(total.size):
            total[j] = 0
        for r in range(low, high):
            d, g, s = dz[r], dout[r], saved[r]
            if kind:
                for j in range(d.size):
                    d[j] = g[j] * slope(kind, s[j], a)
            for j in range(total.size):
                total[j] += d[j]

    return dense_backward


@loop
def add_rows(t: int, parts: int, out: Array, x: Array) -> None:
    """out = the sum of x's rows, from the first to the last."""
    for j in range(out.size):
        out[j] = 0
    for r in range(x.shape[0]):
        for j in range(out.size):
            out[j] += x[r, j]


@loop
def _products_backward(
    t: int, parts: int, dx: Array, dweight: Array, dz: Array, x: Array, weight: Array
) -> None:
    """dx = dz W^T and dW = x^T dz, each unless its array is empty."""
    top, bottom, left, right = region(parts, t, dweight.shape[0], dweight.shape[1])
    gemm(dweight, x, dz, TRANSPOSED, PLAIN, top, bottom, left, right)
    top, bottom, left, right = region(parts, t, dx.shape[0], dx.shape[1])
    gemm(dx, dz, weight, PLAIN, TRANSPOSED, top, bottom, left, right)


@loop
def _matmul(
    t: int,
    parts: int,
    out: Array,
    a: Array,
    b: Array,
    a_index: Array,
    b_index: Array,
    a_order: int,
    b_order: int,
) -> None:
    """out[i] = op(a[a_index[i]]) op(b[b_index[i]]); few products are split, many are shared out."""
    count, rows, columns = out.shape
    if count >= parts:
        first, last = share(count, parts, t)
        top, bottom, left, right = 0, rows, 0, columns
    else:
        first, last = 0, count
        top, bottom, left, right = region(parts, t, rows, columns)
    for i in range(first, last):
        p, q = a[a_index[i]], b[b_index[i]]
        gemm(out[i], p, q, a_order, b_order, top, bottom, left, right)


def _run_products(loop: Loop, products: int, *arguments: Any) -> None:
    """Run a loop that calls gemm, over threads if it makes many products of two numbers."""
    parts = parts_for(products, serial_below=SERIAL_PRODUCT)
    before = single()
    try:
        loop(parts, *arguments)
    finally:
        restore(before)


def dense_forward(
    out: Array,
    pre: Array | None,
    signs: Array | None,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str,
    alpha: float,
    save_pre: bool,
    save_signs: bool,
) -> None:
    kind, products = KIND_NUMBER[activation], out.size * x.shape[1]
    _run_products(_forward(kind), products, out, pre, x, weight, bias, float(alpha))
    if signs is not None:
        host(pack_signs, np, signs, out)


def dense_backward(
    dz: Array | None,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    saved: Array,
    *,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    gradient = dout if dz is None else dz
    if dz is not None or dbias is not None:
        # Without a bias the sums go nowhere: rows of no elements.
        parts = parts_for(dout.size)
        sums = workspace((parts, 0 if dbias is None else dbias.size), dout.dtype)
        _backward(KIND_NUMBER[activation])(parts, gradient, sums, dout, saved, float(alpha))
        if dbias is not None:
            add_rows(1, dbias, sums)
    absent = workspace((0, 0), dout.dtype)
    _run_products(
        _products_backward,
        dout.size * x.shape[1],
        absent if dx is None else dx,
        absent if dweight is None else dweight,
        gradient,
        x,
        weight,
    )


def matmul(out: Array, a: Array, b: Array) -> None:
    if b.ndim == 2 and a.ndim > 2 and a.size and a.flags.c_contiguous:  # one tall product
        a, out = a.reshape(-1, a.shape[-1]), out.reshape(-1, out.shape[-1])
    a_index, b_index = _pairs(a.shape[:-2], b.shape[:-2])
    k = a.shape[-1]
    (a, a_order), (b, b_order) = _as_rows(a), _as_rows(b)
    out = out.reshape(a_index.size, *out.shape[-2:])
    arguments = (out, a, b, a_index, b_index, a_order, b_order)
    _run_products(_matmul, out.size * k, *arguments)


@lru_cache(maxsize=256)
def _pairs(a_leading: tuple[int, ...], b_leading: tuple[int, ...]) -> tuple[Array, Array]:
    """Which matrices of a and of b belong together when their leading axes broadcast."""
    leading = np.broadcast_shapes(a_leading, b_leading)
    a_index, b_index = (
        np.ascontiguousarray(
            np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), leading).reshape(-1)
        )
        for shape in (a_leading, b_leading)
    )
    return a_index, b_index


def _as_rows(x: Array) -> tuple[Array, int]:
    """x as (count, rows, columns) with adjacent columns; TRANSPOSED if its axes were swapped."""
    order = PLAIN
    if not (x.flags.c_contiguous or _has_rows(x)):
        if _has_rows(x.swapaxes(-1, -2)):
            x, order = x.swapaxes(-1, -2), TRANSPOSED
        else:
            copy = workspace(x.shape, x.dtype)
            host(np.copyto, copy, x)
            x = copy
    return x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:]), order


def _has_rows(x: Array) -> bool:
    step, item = x.strides[-2:]
    return bool(item == x.itemsize and step % item == 0 and step >= item * x.shape[-1])


LOOPS = {"dense_forward": dense_forward, "dense_backward": dense_backward, "matmul": matmul}
