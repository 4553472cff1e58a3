"""Launchers of dense/cuda.cu, around the runtime's matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..activation.cuda import NUMBER, activation_backward
from ..cuda import (
    Launcher,
    Runtime,
    ceil_div,
    column_block,
    launch_elements,
    most_blocks,
    source_beside,
)
from ..elementwise.cuda import copy
from ..reduction.cuda import reduce_parts
from ..spec import Array
from .layout import layout

SOURCE = source_beside(__file__)
# Rows that a thread adds up before it is worth cutting a column into another chunk.
ROWS_A_THREAD = 16


def dense_forward(
    runtime: Runtime,
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
    epilogue = _epilogue(activation, bias is not None, pre is not None)
    aux = signs if activation == "relu" else pre
    if epilogue and runtime.gemm(out, x, weight, epilogue=epilogue, bias=bias, aux=aux):
        return
    z = out if pre is None else pre
    runtime.gemm(z, x, weight)
    rows, columns = out.shape
    if activation != "identity" or bias is not None or pre is not None:
        args = (out, pre, z, bias, rows, columns, NUMBER[activation], alpha)
        launch_elements(runtime, SOURCE, "bias_activation", out.dtype, out.size, *args)
    if signs is not None:
        sizes = (rows, columns, signs.shape[1])
        launch_elements(runtime, SOURCE, "pack_signs", out.dtype, signs.size, signs, out, *sizes)


def _epilogue(activation: str, bias: bool, pre: bool) -> str | None:
    """What a product may do of a layer on its way out, if anything."""
    if activation == "gelu_tanh" or (activation == "relu" and not pre):
        return f"{activation}_bias" if bias else activation
    return "bias" if activation == "identity" and bias and not pre else None


def dense_backward(
    runtime: Runtime,
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
    if (
        dbias is not None
        and dz is None
        and dweight is not None
        # Nothing to do but sums, which the product for the weights takes along.
        and runtime.gemm(dweight, x.T, dout, epilogue="bias_gradient", bias=dbias)
    ):
        dweight = dbias = None
    if dbias is not None:
        _activation_and_bias(runtime, dz, dbias, dout, saved, activation, alpha)
    elif dz is not None:
        activation_backward(runtime, dz, dout, saved, kind=activation, alpha=alpha)
    if dz is None:
        dz = dout
    if dx is not None:
        runtime.gemm(dx, dz, weight.T)
    if dweight is not None:
        runtime.gemm(dweight, x.T, dz)


def dense_through(
    runtime: Runtime, dx: Array, dz: Array, weight: Array, saved: Array, *, activation: str
) -> None:
    if runtime.gemm(dx, dz, weight.T, epilogue=f"{activation}_gradient", aux=saved):
        return
    runtime.gemm(dx, dz, weight.T)
    if activation == "relu":
        args = (dx, saved, *dx.shape, saved.shape[1])
        launch_elements(runtime, SOURCE, "where_signs", dx.dtype, dx.size, *args)
    else:
        activation_backward(runtime, dx, dx, saved, kind=activation, alpha=0.0)


def _activation_and_bias(
    runtime: Runtime,
    dz: Array | None,
    dbias: Array,
    dout: Array,
    saved: Array,
    activation: str,
    alpha: float,
) -> None:
    rows, columns = dout.shape
    if columns == 0:
        return
    block = column_block(runtime, columns)
    tiles = ceil_div(columns, block[0])
    chunks = min(ceil_div(rows, block[1] * ROWS_A_THREAD), ceil_div(most_blocks(runtime), tiles))
    chunks = max(1, chunks)
    partials = dbias if chunks == 1 else runtime.workspace((chunks, columns), dbias.dtype)
    runtime.launch(
        SOURCE,
        "activation_backward_columns",
        dout.dtype,
        (tiles, chunks),
        block,
        (dz, partials, dout, saved, rows, columns, NUMBER[activation], alpha),
        shared=runtime.block * dbias.dtype.itemsize,
    )
    if chunks > 1:
        reduce_parts(runtime, dbias, partials, (1, chunks, columns), "sum")


def matmul(runtime: Runtime, out: Array, a: Array, b: Array) -> None:
    stack = out.shape[:-2]
    a, b = (_laid_out(runtime, x, stack, out.dtype) for x in (a, b))
    runtime.gemm(out, a, b)


def _laid_out(runtime: Runtime, x: Array, stack: tuple[int, ...], wanted: np.dtype[Any]) -> Array:
    """x, or a copy in the order and dtype that products take, where its own are others."""
    # Whole numbers beside floats become floats, never the other way round.
    dtype = wanted if np.can_cast(x.dtype, wanted, "same_kind") else x.dtype
    if x.dtype == dtype and layout(x, stack) is not None:
        return x
    shape = x.shape if x.ndim == 2 else (*stack, *x.shape[-2:])
    copied = runtime.workspace(shape, dtype)
    copy(runtime, copied, x, dtype=dtype.name)
    return copied


LAUNCHERS: dict[str, Launcher] = {
    "dense_forward": dense_forward,
    "dense_backward": dense_backward,
    "dense_through": dense_through,
    "matmul": matmul,
}
