"""Launchers of loss/cuda.cu."""

from typing import Any

import numpy as np

from ..cuda import Launcher, Runtime, blocks_for, launch_elements, row_blocks, source_beside
from ..elementwise.cuda import copy
from ..reduction.cuda import reduce_parts
from ..spec import Array, accumulator
from .spec import POINTWISE

SOURCE = source_beside(__file__)
NUMBER = {kind: number for number, kind in enumerate(POINTWISE)}


def pointwise_loss_forward(
    runtime: Runtime,
    out: Array,
    x: Array,
    target: Array,
    sample_weight: Array | None,
    *,
    kind: str,
    delta: float,
    reduction: str,
) -> None:
    n, m = x.shape
    rest = (x, target, sample_weight, n, m, NUMBER[kind], delta)
    if reduction == "none":
        args = (out, None, *rest)
        launch_elements(runtime, SOURCE, "pointwise_loss_forward", x.dtype, x.size, *args)
        return
    blocks = blocks_for(runtime, x.size)
    partials = runtime.workspace((blocks,), accumulator(x.dtype))
    _launch(runtime, "pointwise_loss_forward", blocks, (None, partials, *rest), x)
    divisor = x.size if reduction == "mean" else 1
    reduce_parts(runtime, out, partials, (1, blocks, 1), "sum", divisor)


def pointwise_loss_backward(
    runtime: Runtime,
    dx: Array,
    dout: Array,
    x: Array,
    target: Array,
    sample_weight: Array | None,
    *,
    kind: str,
    delta: float,
    reduction: str,
) -> None:
    n, m = x.shape
    divisor = x.size if reduction == "mean" else 1
    args = (dx, dout, x, target, sample_weight, n, m, NUMBER[kind], delta, divisor)
    single = reduction != "none"
    launch_elements(runtime, SOURCE, "pointwise_loss_backward", x.dtype, x.size, *args, single)


def cross_entropy_forward(
    runtime: Runtime,
    out: Array,
    stats: Array,
    norm: Array,
    logits: Array,
    target: Array,
    class_weight: Array | None,
    sample_weight: Array | None,
    *,
    label_smoothing: float,
    ignore_index: int,
    reduction: str,
) -> None:
    rows, columns = logits.shape
    blocks, wide = row_blocks(runtime, rows, columns)
    whole, partials = _targets_of_sum(runtime, out, blocks, reduction)
    arrays = (logits, _indices(runtime, target), class_weight, sample_weight)
    sizes = (rows, columns, label_smoothing, ignore_index, wide)
    args = (whole, stats, norm, partials, *arrays, *sizes)
    _launch(runtime, "cross_entropy_forward", blocks, args, logits)
    _finish(runtime, out, norm, partials, blocks, reduction == "mean")


def cross_entropy_backward(
    runtime: Runtime,
    dlogits: Array,
    dout: Array,
    logits: Array,
    target: Array,
    class_weight: Array | None,
    sample_weight: Array | None,
    stats: Array,
    norm: Array,
    *,
    label_smoothing: float,
    ignore_index: int,
    reduction: str,
) -> None:
    rows, columns = logits.shape
    if rows == 0:
        return
    blocks, wide = row_blocks(runtime, rows, columns)
    arrays = (logits, _indices(runtime, target), class_weight, sample_weight, stats, norm)
    args = (dlogits, dout, *arrays, rows, columns, label_smoothing, ignore_index)
    _launch(runtime, "cross_entropy_backward", blocks, (*args, reduction != "none", wide), logits)


def soft_cross_entropy_forward(
    runtime: Runtime,
    out: Array,
    stats: Array,
    logits: Array,
    target: Array,
    class_weight: Array | None,
    sample_weight: Array | None,
    *,
    label_smoothing: float,
    reduction: str,
) -> None:
    rows, columns = logits.shape
    blocks, wide = row_blocks(runtime, rows, columns)
    whole, partials = _targets_of_sum(runtime, out, blocks, reduction)
    arrays = (logits, target, class_weight, sample_weight)
    args = (whole, stats, partials, *arrays, rows, columns, label_smoothing, wide)
    _launch(runtime, "soft_cross_entropy_forward", blocks, args, logits)
    # Every row counts once, whatever its weight.
    _finish(runtime, out, None, partials, blocks, reduction == "mean")


def soft_cross_entropy_backward(
    runtime: Runtime,
    dlogits: Array,
    dout: Array,
    logits: Array,
    target: Array,
    class_weight: Array | None,
    sample_weight: Array | None,
    stats: Array,
    *,
    label_smoothing: float,
    reduction: str,
) -> None:
    rows, columns = logits.shape
    if rows == 0:
        return
    blocks, wide = row_blocks(runtime, rows, columns)
    divisor = rows if reduction == "mean" else 1
    arrays = (logits, target, class_weight, sample_weight, stats)
    args = (dlogits, dout, *arrays, divisor, rows, columns, label_smoothing)
    single = reduction != "none"
    _launch(runtime, "soft_cross_entropy_backward", blocks, (*args, single, wide), logits)


def _targets_of_sum(
    runtime: Runtime, out: Array, blocks: int, reduction: str
) -> tuple[Array | None, Array | None]:
    """Where the first launch writes: every row's loss, or partial sums of losses and weights."""
    if reduction == "none":
        return out, None
    return None, runtime.workspace((2, blocks), accumulator(out.dtype))


def _finish(
    runtime: Runtime,
    out: Array,
    norm: Array | None,
    partials: Array | None,
    blocks: int,
    mean: bool,
) -> None:
    if partials is not None:
        _launch(runtime, "finish_cross_entropy", 1, (out, norm, partials, blocks, mean), out)


def _indices(runtime: Runtime, target: Array) -> Array:
    """The class indices as the kernels take them; no copy where they already are."""
    if target.dtype.name == "int64":
        return target
    indices = runtime.workspace(target.shape, np.dtype("int64"))
    copy(runtime, indices, target, dtype="int64")
    return indices


def _launch(runtime: Runtime, kernel: str, blocks: int, args: tuple[Any, ...], like: Array) -> None:
    runtime.launch(SOURCE, kernel, like.dtype, (blocks,), (runtime.block,), args)


LAUNCHERS: dict[str, Launcher] = {
    "pointwise_loss_forward": pointwise_loss_forward,
    "pointwise_loss_backward": pointwise_loss_backward,
    "cross_entropy_forward": cross_entropy_forward,
    "cross_entropy_backward": cross_entropy_backward,
    "soft_cross_entropy_forward": soft_cross_entropy_forward,
    "soft_cross_entropy_backward": soft_cross_entropy_backward,
}
