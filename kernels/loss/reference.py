"""Losses: pointwise ones, and cross-entropy from logits.

Every loss takes an optional weight for each sample, s (n,), and a reduction:

    none  the weighted losses      sum  their sum      mean  their sum over the number of elements

Gradients come from `dout`, of the shape of `out`.

Pointwise losses of x against t, both (n, m), elementwise l(x, t):

    mse         (x - t)^2
    mae         |x - t|
    huber       (x - t)^2 / 2 if |x - t| <= delta else delta (|x - t| - delta / 2)   Huber, 1964
    bce_logits  max(x, 0) - x t + log(1 + e^-|x|)     t in [0, 1], x any real number
    bce         -(t log x + (1 - t) log(1 - x))       x in [0, 1], logarithms clamped at -100

Cross-entropy of logits z (n, c) against a class index y (n,), with class weights w (c,) and label
smoothing e (Szegedy et al., "Rethinking the Inception architecture", 2016, section 7), where
log p = z - logsumexp(z):

    l_i = -(1 - e) w_y log p_y - (e / c) sum_k w_k log p_k,    mean: sum_i s_i l_i / sum_i w_(y_i)

Rows whose index equals `ignore_index` count nowhere; any other index outside [0, c) gives NaN.

Cross-entropy against probabilities t (n, c), smoothed to t (1 - e) + e / c:

    l_i = -sum_k w_k t_k log p_k,                              mean: sum_i s_i l_i / n

For the backward pass the forward keeps `stats` (2, n): the maximum of each row, and the logarithm
of the sum of e^(z - maximum). Kept apart, they lose nothing at logits of any size.
"""

from typing import Any

from ..activation.reference import sigmoid
from ..spec import Array

LOG_FLOOR = -100.0
BCE_EPSILON = 1e-12


def pointwise_loss_forward(
    xp: Any,
    out: Array,
    x: Array,
    target: Array,
    sample_weight: Array | None,
    *,
    kind: str,
    delta: float,
    reduction: str,
) -> None:
    """x, target: (n, m); sample_weight: (n,); out: (n, m) for "none", else ()."""
    if kind == "mse":
        loss = (x - target) ** 2
    elif kind == "mae":
        loss = xp.abs(x - target)
    elif kind == "huber":
        error = xp.abs(x - target)
        near = xp.minimum(error, delta)
        loss = near * (error - 0.5 * near)
    elif kind == "bce_logits":
        loss = xp.maximum(x, 0) - x * target + xp.log1p(xp.exp(-xp.abs(x)))
    else:
        log_x = xp.maximum(xp.log(x), LOG_FLOOR)
        log_rest = xp.maximum(xp.log1p(-x), LOG_FLOOR)
        loss = -(target * log_x + (1.0 - target) * log_rest)
    _reduce(xp, out, loss, sample_weight, reduction, x.size)


def pointwise_loss_backward(
    xp: Any,
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
    """dx: (n, m); dout: the shape of the forward's out."""
    if kind == "mse":
        slope = 2.0 * (x - target)
    elif kind == "mae":
        slope = xp.sign(x - target)
    elif kind == "huber":
        slope = xp.clip(x - target, -delta, delta)
    elif kind == "bce_logits":
        slope = sigmoid(xp, x) - target
    else:
        slope = (x - target) / xp.maximum(x * (1.0 - x), BCE_EPSILON)
    if sample_weight is not None:
        slope = slope * sample_weight[:, None]
    if reduction == "mean":
        slope = slope / max(x.size, 1)
    xp.multiply(slope, dout, out=dx)


def cross_entropy_forward(
    xp: Any,
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
    """logits: (n, c); target: (n,) integers; out: (n,) or (); stats: (2, n); norm: ().

    `norm` is what the sum is divided by: sum_i w_(y_i) for "mean", else 1.
    """
    log_p = _log_probabilities(xp, logits, stats)
    rows, label, valid, weight = _rows(xp, logits, target, class_weight, ignore_index)
    loss = log_p[rows, label] * weight * (label_smoothing - 1.0)
    if label_smoothing:
        spread = log_p if class_weight is None else log_p * class_weight
        loss -= spread.sum(axis=1) * (label_smoothing / logits.shape[1])
    loss = xp.where(valid, xp.where(label == target, loss, xp.nan), 0)
    norm[...] = weight.sum(where=valid) if reduction == "mean" else 1
    if sample_weight is not None:
        loss = loss * sample_weight
    out[...] = loss if reduction == "none" else loss.sum() / norm


def cross_entropy_backward(
    xp: Any,
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
    """dlogits: (n, c), with p_k sum_j t_j - t_k for the weighted and smoothed target row t."""
    rows, label, valid, weight = _rows(xp, logits, target, class_weight, ignore_index)
    hard = weight * (1.0 - label_smoothing)
    slope = xp.exp(logits - stats[0][:, None] - stats[1][:, None])
    if label_smoothing:
        soft = label_smoothing / logits.shape[1]
        spread = soft * logits.shape[1] if class_weight is None else soft * class_weight.sum()
        slope *= (hard + spread)[:, None]
        slope -= soft if class_weight is None else soft * class_weight
    else:
        slope *= hard[:, None]
    slope[rows, label] -= hard
    factor = dout / norm * xp.where(label == target, 1, xp.nan)
    if sample_weight is not None:
        factor = factor * sample_weight
    dlogits[...] = xp.where(valid[:, None], slope * factor[:, None], 0)


def soft_cross_entropy_forward(
    xp: Any,
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
    """logits, target: (n, c); out: (n,) or (); stats: (2, n)."""
    log_p = _log_probabilities(xp, logits, stats)
    loss = -(_soft_rows(target, class_weight, label_smoothing) * log_p).sum(axis=1)
    _reduce(xp, out, loss, sample_weight, reduction, logits.shape[0])


def soft_cross_entropy_backward(
    xp: Any,
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
    """dlogits: (n, c)."""
    dense = _soft_rows(target, class_weight, label_smoothing)
    p = xp.exp(logits - stats[0][:, None] - stats[1][:, None])
    slope = p * dense.sum(axis=1, keepdims=True) - dense
    factor = dout / logits.shape[0] if reduction == "mean" else dout
    if sample_weight is not None:
        factor = factor * sample_weight
    xp.multiply(slope, factor[:, None] if factor.ndim else factor, out=dlogits)


def _reduce(
    xp: Any, out: Array, loss: Array, weight: Array | None, reduction: str, count: int
) -> None:
    if weight is not None:
        loss = loss * (weight[:, None] if loss.ndim == 2 else weight)
    if reduction == "none":
        out[...] = loss
    elif reduction == "sum":
        loss.sum(out=out)
    else:
        out[...] = loss.sum() / xp.asarray(count, loss.dtype)


def _log_probabilities(xp: Any, logits: Array, stats: Array) -> Array:
    logits.max(axis=1, out=stats[0])
    shifted = logits - stats[0][:, None]
    stats[1] = xp.log(xp.exp(shifted).sum(axis=1))
    return shifted - stats[1][:, None]


def _rows(
    xp: Any, logits: Array, target: Array, class_weight: Array | None, ignore_index: int
) -> tuple[Array, Array, Array, Array]:
    """For each row: its number, its target as a class that there is, whether it counts, w_y."""
    n, classes = logits.shape
    label = xp.minimum(xp.maximum(target, 0), classes - 1)
    weight = xp.ones(n, logits.dtype) if class_weight is None else class_weight[label]
    return xp.arange(n), label, target != ignore_index, weight


def _soft_rows(target: Array, class_weight: Array | None, label_smoothing: float) -> Array:
    dense = target * (1.0 - label_smoothing) + label_smoothing / target.shape[1]
    return dense if class_weight is None else dense * class_weight
