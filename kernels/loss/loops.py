"""Losses, each direction in one pass over its inputs.

Pointwise losses with a reduction leave one partial sum a part, added in order. Cross-entropy goes
row by row: the maximum, the sum of exponentials and the loss are found while the row is in cache,
and no smoothed or one-hot target is ever built. Its backward pass needs one exponential an element
and no reduction, thanks to the saved `stats`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..numba_loop import chosen_by_kind, flat, loop, loops, parts_for, share
from ..numba_math import SERIAL_BELOW, exp, log, log1p, sigmoid
from ..numba_rows import exponentials, probabilities, rows_of_stretch
from ..observing import workspace
from ..spec import Array
from .reference import BCE_EPSILON, LOG_FLOOR

KIND_NUMBER = {name: i for i, name in enumerate(("mse", "mae", "huber", "bce_logits", "bce"))}


@chosen_by_kind
def _loss(f: Any) -> Sequence[Callable[..., Any]]:
    """_loss(kind, x, target, delta), in the order of KIND_NUMBER"""
    zero, half, one, floor = f(0), f(0.5), f(1), f(LOG_FLOOR)

    def mse(x: Any, target: Any, delta: Any) -> Any:
        return (x - target) * (x - target)

    def mae(x: Any, target: Any, delta: Any) -> Any:
        return abs(x - target)

    def huber(x: Any, target: Any, delta: Any) -> Any:
        error = abs(x - target)
        near = delta if error > delta else error
        return near * (error - half * near)

    def bce_logits(x: Any, target: Any, delta: Any) -> Any:
        return (zero if x <= zero else x) - x * target + log1p(exp(-abs(x)))

    def bce(x: Any, target: Any, delta: Any) -> Any:
        log_x, log_rest = log(x), log1p(-x)
        log_x = floor if log_x < floor else log_x
        log_rest = floor if log_rest < floor else log_rest
        return -(target * log_x + (one - target) * log_rest)

    return [mse, mae, huber, bce_logits, bce]


@chosen_by_kind
def _slope(f: Any) -> Sequence[Callable[..., Any]]:
    """_slope(kind, x, target, delta), in the order of KIND_NUMBER"""
    zero, one, two, epsilon = f(0), f(1), f(2), f(BCE_EPSILON)

    def mse(x: Any, target: Any, delta: Any) -> Any:
        return two * (x - target)

    def mae(x: Any, target: Any, delta: Any) -> Any:
        error = x - target
        return one if error > zero else (-one if error < zero else error)

    def huber(x: Any, target: Any, delta: Any) -> Any:
        error = x - target
        return delta if error > delta else (-delta if error < -delta else error)

    def bce_logits(x: Any, target: Any, delta: Any) -> Any:
        return sigmoid(x) - target

    def bce(x: Any, target: Any, delta: Any) -> Any:
        variance = x * (one - x)
        return (x - target) / (epsilon if variance < epsilon else variance)

    return [mse, mae, huber, bce_logits, bce]


# In both loops a weighted loss goes row by row, and an unweighted part is one long row.
@loops
def _pointwise_forward(kind: int) -> Callable[..., None]:
    def pointwise_loss_forward(
        t: int,
        parts: int,
        out: Array,
        sums: Array,
        x: Array,
        target: Array,
        weight: Array,
        width: int,
        delta: float,
    ) -> None:
        """Fills `out`, the losses, if it is given, else sums[t]; x, target and out are flat."""
        f = x.dtype.type
        limit, total = f(delta), f(0)
        low, high = share(x.size // max(width, 1), parts, t)
        step = width if weight is not None else (high - low) * width
        for first in range(low * width, high * width, max(step, 1)):
            a, b = x[first : first + step], target[first : first + step]
            scale = f(1) if weight is None else weight[first // width]
            if out is None:
                row = f(0)
                for i in range(a.size):
                    row += _loss(kind, a[i], b[i], limit)
                total += scale * row
            else:
                o = out[first : first + step]
                for i in range(a.size):
                    o[i] = scale * _loss(kind, a[i], b[i], limit)
        sums[t] = total

    return pointwise_loss_forward


@loops
def _pointwise_backward(kind: int) -> Callable[..., None]:
    def pointwise_loss_backward(
        t: int,
        parts: int,
        dx: Array,
        dout: Array,
        x: Array,
        target: Array,
        weight: Array,
        width: int,
        delta: float,
        norm: float,
        each: bool,
    ) -> None:
        """`each`: dout has an element for each of x's; all are flat."""
        f = x.dtype.type
        limit = f(delta)
        low, high = share(x.size // max(width, 1), parts, t)
        step = width if weight is not None else (high - low) * width
        for first in range(low * width, high * width, max(step, 1)):
            last = first + step
            d, a, b = dx[first:last], x[first:last], target[first:last]
            scale = f(1) if weight is None else weight[first // width]
            scale /= f(norm)
            if each:
                g = dout[first:last]
                for i in range(d.size):
                    d[i] = g[i] * scale * _slope(kind, a[i], b[i], limit)
            else:
                scale *= dout[0]
                for i in range(d.size):
                    d[i] = scale * _slope(kind, a[i], b[i], limit)

    return pointwise_loss_backward


@loop
def _cross_entropy_forward(
    t: int,
    parts: int,
    losses: Array,
    norms: Array,
    stats: Array,
    logits: Array,
    target: Array,
    class_weight: Array,
    sample_weight: Array,
    scratch: Array,
    label_smoothing: float,
    ignore_index: int,
) -> None:
    """losses[i]: the weighted loss of row i; norms[t]: the class weights of part t's rows.

    scratch[t]: a stretch of rows.
    """
    f = logits.dtype.type
    classes = logits.shape[1]
    zero, one = f(0), f(1)
    hard, soft = f(1.0 - label_smoothing), f(label_smoothing / classes)
    norm = zero
    first, end = share(logits.shape[0], parts, t)
    step = rows_of_stretch(classes)
    for low in range(first, end, step):
        high = min(low + step, end)
        tops, logs = stats[0, low:high], stats[1, low:high]
        exponentials(scratch[t, : classes * (high - low)], tops, logs, logits[low:high])
        for i in range(logs.size):
            logs[i] = log(logs[i])
        for r in range(low, high):
            z, y, top, log_total = logits[r], target[r], stats[0, r], stats[1, r]
            if y == ignore_index:
                losses[r] = zero
                continue
            label = min(max(y, 0), classes - 1)
            weight = one if class_weight is None else class_weight[label]
            norm += weight
            if label != y:
                losses[r] = f(np.nan)
                continue
            loss = hard * weight * (log_total - (z[label] - top))
            if soft > zero:
                spread = zero
                for j in range(classes):
                    surprise = log_total - (z[j] - top)
                    spread += surprise if class_weight is None else class_weight[j] * surprise
                loss += soft * spread
            losses[r] = loss if sample_weight is None else loss * sample_weight[r]
    norms[t] = norm


@loop
def _cross_entropy_backward(
    t: int,
    parts: int,
    dlogits: Array,
    dout: Array,
    logits: Array,
    target: Array,
    class_weight: Array,
    sample_weight: Array,
    stats: Array,
    norm: Array,
    label_smoothing: float,
    ignore_index: int,
) -> None:
    """dout: one element, or one for each row."""
    f = logits.dtype.type
    classes = logits.shape[1]
    zero = f(0)
    hard, soft = f(1.0 - label_smoothing), f(label_smoothing / classes)
    whole = zero  # the sum of a target row's smoothed part
    for j in range(classes):
        whole += soft if class_weight is None else soft * class_weight[j]
    flat_d = dlogits.reshape(-1)
    first, end = share(logits.shape[0], parts, t)
    step = rows_of_stretch(classes)
    for low in range(first, end, step):
        high = min(low + step, end)
        stretch = flat_d[classes * low : classes * high]
        probabilities(stretch, logits[low:high], stats[0, low:high], stats[1, low:high])
        for r in range(low, high):
            d, y = dlogits[r], target[r]
            if y == ignore_index:
                for j in range(classes):
                    d[j] = zero
                continue
            if not 0 <= y < classes:
                for j in range(classes):
                    d[j] = f(np.nan)
                continue
            factor = (dout[0] if dout.size == 1 else dout[r]) / norm[0]
            if sample_weight is not None:
                factor *= sample_weight[r]
            hit = hard if class_weight is None else hard * class_weight[y]
            mass = factor * (whole + hit)
            for j in range(classes):
                d[j] *= mass
            d[y] -= factor * hit
            if soft > zero:
                for j in range(classes):
                    d[j] -= factor * (soft if class_weight is None else soft * class_weight[j])


@loop
def _soft_forward(
    t: int,
    parts: int,
    losses: Array,
    stats: Array,
    logits: Array,
    target: Array,
    class_weight: Array,
    sample_weight: Array,
    scratch: Array,
    label_smoothing: float,
) -> None:
    """scratch[t]: a stretch of rows."""
    f = logits.dtype.type
    classes = logits.shape[1]
    hard, soft = f(1.0 - label_smoothing), f(label_smoothing / classes)
    first, end = share(logits.shape[0], parts, t)
    step = rows_of_stretch(classes)
    for low in range(first, end, step):
        high = min(low + step, end)
        tops, logs = stats[0, low:high], stats[1, low:high]
        exponentials(scratch[t, : classes * (high - low)], tops, logs, logits[low:high])
        for i in range(logs.size):
            logs[i] = log(logs[i])
        for r in range(low, high):
            z, y, top, log_total = logits[r], target[r], stats[0, r], stats[1, r]
            loss = f(0)
            for j in range(classes):
                weight = hard * y[j] + soft
                if class_weight is not None:
                    weight *= class_weight[j]
                loss += weight * (log_total - (z[j] - top))
            losses[r] = loss if sample_weight is None else loss * sample_weight[r]


@loop
def _soft_backward(
    t: int,
    parts: int,
    dlogits: Array,
    dout: Array,
    logits: Array,
    target: Array,
    class_weight: Array,
    sample_weight: Array,
    stats: Array,
    norm: float,
    label_smoothing: float,
) -> None:
    """dout: one element, or one for each row."""
    f = logits.dtype.type
    classes = logits.shape[1]
    hard, soft = f(1.0 - label_smoothing), f(label_smoothing / classes)
    low, high = share(logits.shape[0], parts, t)
    for r in range(low, high):
        d, z, y = dlogits[r], logits[r], target[r]
        whole = f(0)
        for j in range(classes):
            weight = hard * y[j] + soft
            if class_weight is not None:
                weight *= class_weight[j]
            d[j] = weight
            whole += weight
        factor = (dout[0] if dout.size == 1 else dout[r]) / f(norm)
        if sample_weight is not None:
            factor *= sample_weight[r]
        top, log_total = stats[0, r], stats[1, r]
        for j in range(classes):
            shifted = z[j] - top
            d[j] = factor * (exp(shifted - log_total) * whole - d[j])


@loop
def _total(t: int, parts: int, out: Array, losses: Array, divisor: float) -> None:
    total = 0.0
    for i in range(losses.size):
        total += np.float64(losses[i])
    out[0] = total / divisor


@loop
def _weighted_total(
    t: int, parts: int, out: Array, norm: Array, losses: Array, norms: Array, mean: bool
) -> None:
    """norm = the sum of norms, or 1 if there is no mean; out = the sum of losses / norm."""
    weights = 0.0 if mean else 1.0
    if mean:
        for i in range(norms.size):
            weights += np.float64(norms[i])
    norm[0] = weights
    if out is not None:
        total = 0.0
        for i in range(losses.size):
            total += np.float64(losses[i])
        out[0] = total / weights


def pointwise_loss_forward(
    out: Array,
    x: Array,
    target: Array,
    sample_weight: Array | None,
    *,
    kind: str,
    delta: float,
    reduction: str,
) -> None:
    parts = parts_for(x.size)
    sums = workspace((parts,), x.dtype)
    losses = flat(out) if reduction == "none" else None
    arguments = (flat(x), flat(target), sample_weight, _width(x, sample_weight), float(delta))
    _pointwise_forward(KIND_NUMBER[kind])(parts, losses, sums, *arguments)
    if losses is None:
        _total(1, flat(out), sums, float(x.size) if reduction == "mean" else 1.0)


def pointwise_loss_backward(
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
    _pointwise_backward(KIND_NUMBER[kind])(
        parts_for(x.size),
        flat(dx),
        flat(dout),
        flat(x),
        flat(target),
        sample_weight,
        _width(x, sample_weight),
        float(delta),
        float(max(x.size, 1)) if reduction == "mean" else 1.0,
        reduction == "none",
    )


def cross_entropy_forward(
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
    rows = logits.shape[0]
    parts = parts_for(logits.size, rows, SERIAL_BELOW)
    losses = out if reduction == "none" else workspace((rows,), logits.dtype)
    norms = workspace((parts,), logits.dtype)
    arrays = (losses, norms, stats, logits, target, class_weight, sample_weight)
    scratch = workspace((parts, _stretch(logits)), logits.dtype)
    _cross_entropy_forward(parts, *arrays, scratch, float(label_smoothing), ignore_index)
    target_of_sum = None if losses is out else flat(out)
    _weighted_total(1, target_of_sum, flat(norm), losses, norms, reduction == "mean")


def cross_entropy_backward(
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
    _cross_entropy_backward(
        parts_for(logits.size, logits.shape[0], SERIAL_BELOW),
        dlogits,
        flat(dout),
        logits,
        target,
        class_weight,
        sample_weight,
        stats,
        flat(norm),
        float(label_smoothing),
        ignore_index,
    )


def soft_cross_entropy_forward(
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
    rows = logits.shape[0]
    losses = out if reduction == "none" else workspace((rows,), logits.dtype)
    parts = parts_for(logits.size, rows, SERIAL_BELOW)
    arrays = (losses, stats, logits, target, class_weight, sample_weight)
    scratch = workspace((parts, _stretch(logits)), logits.dtype)
    _soft_forward(parts, *arrays, scratch, float(label_smoothing))
    if losses is not out:
        _total(1, flat(out), losses, float(rows) if reduction == "mean" else 1.0)


def soft_cross_entropy_backward(
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
    _soft_backward(
        parts_for(logits.size, logits.shape[0], SERIAL_BELOW),
        dlogits,
        flat(dout),
        logits,
        target,
        class_weight,
        sample_weight,
        stats,
        float(logits.shape[0]) if reduction == "mean" else 1.0,
        float(label_smoothing),
    )


def _stretch(logits: Array) -> int:
    """Elements in a stretch of rows."""
    classes = logits.shape[1]
    return int(rows_of_stretch(classes)) * classes


def _width(x: Array, sample_weight: Array | None) -> int:
    """Elements that share a weight."""
    return 1 if sample_weight is None else math.prod(x.shape[1:])


LOOPS = {
    "pointwise_loss_forward": pointwise_loss_forward,
    "pointwise_loss_backward": pointwise_loss_backward,
    "cross_entropy_forward": cross_entropy_forward,
    "cross_entropy_backward": cross_entropy_backward,
    "soft_cross_entropy_forward": soft_cross_entropy_forward,
    "soft_cross_entropy_backward": soft_cross_entropy_backward,
}
