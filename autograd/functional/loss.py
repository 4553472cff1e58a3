"""Losses. Targets and weights join the prediction on its backend and in its dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import DataError, OptionError, ShapeError, choose
from ..dtypes import is_float
from ..functions.loss import SYMMETRIC, CrossEntropy, Penalty, PointwiseLoss, SoftCrossEntropy
from ..precision import wide
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor

REDUCTIONS = ("mean", "sum", "none")


def _check_reduction(name: str, reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise OptionError(choose(f"reduction of {name}", reduction, REDUCTIONS))


def _beside(x: Tensor, other: Any) -> Tensor | None:
    """`other` on the backend and in the dtype of x."""
    if other is None:
        return None
    return as_tensor(other, x.backend, x.dtype).astype(x.dtype)


def _weights(name: str, x: Tensor, weight: Any, argument: str, length: int) -> Tensor | None:
    weights = _beside(x, weight)
    if weights is not None and weights.shape != (length,):
        raise ShapeError(f"{name}: expected {argument} of shape ({length},), found {weights.shape}")
    return weights


def _pointwise(
    kind: str,
    name: str,
    x: Operand,
    target: Any,
    reduction: str,
    sample_weight: Any,
    delta: float = 1.0,
) -> Tensor:
    x = wide(as_tensor(x))
    _check_reduction(name, reduction)
    wanted = _beside(x, target)
    assert wanted is not None
    if wanted.shape != x.shape:
        hint = ""
        if wanted.size == x.size:
            hint = f". Give the target the prediction's shape: target.reshape{x.shape}"
        raise ShapeError(f"{name}: prediction {x.shape} and target {wanted.shape} differ{hint}")
    if wanted.requires_grad and kind not in SYMMETRIC:
        raise OptionError(f"{name} has no gradient by its target; .detach() the target")
    rows = x.shape[0] if x.ndim else 1
    columns = x.size // rows if rows else math.prod(x.shape[1:])
    weights = _weights(name, x, sample_weight, "sample_weight", rows)
    out = apply(
        PointwiseLoss,
        x.reshape(rows, columns),
        wanted.reshape(rows, columns),
        weights,
        kind=kind,
        delta=float(delta),
        reduction=reduction,
    )
    return out.reshape(x.shape) if reduction == "none" else out


def mse_loss(x: Operand, target: Any, reduction: str = "mean", sample_weight: Any = None) -> Tensor:
    """Mean squared error (x - target)^2; x and target of one shape, sample_weight (n,).

    >>> mse_loss([1.0, 2.0], [0.0, 0.0]).item()
    2.5
    """
    return _pointwise("mse", "mse_loss", x, target, reduction, sample_weight)


def mae_loss(x: Operand, target: Any, reduction: str = "mean", sample_weight: Any = None) -> Tensor:
    """Mean absolute error |x - target|."""
    return _pointwise("mae", "mae_loss", x, target, reduction, sample_weight)


l1_loss = mae_loss


def huber_loss(
    x: Operand,
    target: Any,
    delta: float = 1.0,
    reduction: str = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """(x - target)^2 / 2 up to |x - target| = delta, linear beyond."""
    if not delta > 0:
        raise OptionError(f"huber_loss: delta must be positive, found {delta}")
    return _pointwise("huber", "huber_loss", x, target, reduction, sample_weight, delta)


def binary_cross_entropy_with_logits(
    x: Operand, target: Any, reduction: str = "mean", sample_weight: Any = None
) -> Tensor:
    """-(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), stable for logits of any size."""
    name = "binary_cross_entropy_with_logits"
    check_probabilities(name, "target", target)
    return _pointwise("bce_logits", name, x, target, reduction, sample_weight)


def binary_cross_entropy(
    x: Operand, target: Any, reduction: str = "mean", sample_weight: Any = None
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) of probabilities x, logarithms clamped at -100."""
    name = "binary_cross_entropy"
    check_probabilities(name, "x", x)
    check_probabilities(name, "target", target)
    return _pointwise("bce", name, x, target, reduction, sample_weight)


def cross_entropy(
    logits: Operand,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Tensor:
    """Cross-entropy of logits (n, c) against class indices (n,) or probabilities (n, c).

    `weight` (c,) weighs classes, `sample_weight` (n,) samples; with class indices the mean divides
    by the sum of the class weights of the targets, as PyTorch does, else by n. Rows whose index is
    `ignore_index` count nowhere. Equations: kernels/loss/reference.py.

    Raises ShapeError for shapes that do not fit, DataError for labels outside [0, c).

    >>> round(cross_entropy([[2.0, 1.0, 0.1]], [0]).item(), 4)
    0.417
    """
    name = "cross_entropy"
    _check_reduction(name, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise OptionError(f"{name}: label_smoothing must be in [0, 1], found {label_smoothing}")
    z = wide(as_tensor(logits))
    if z.ndim != 2:
        raise ShapeError(
            f"{name}: expected logits (n, classes), found {z.shape}. Reshape to "
            "(-1, classes), and the target to (-1,)"
        )
    n, classes = z.shape
    class_weight = _weights(name, z, weight, "weight", classes)
    weights = _weights(name, z, sample_weight, "sample_weight", n)
    host = None if isinstance(target, Tensor) else np.asarray(target)
    dtype = target.dtype if isinstance(target, Tensor) else host.dtype  # type: ignore[union-attr]
    shape = target.shape if isinstance(target, Tensor) else host.shape  # type: ignore[union-attr]
    if is_float(dtype) and shape == z.shape:
        soft = _beside(z, target)
        return apply(
            SoftCrossEntropy,
            z,
            soft,
            class_weight,
            weights,
            label_smoothing=float(label_smoothing),
            reduction=reduction,
        )
    if shape != (n,) or dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: for logits {z.shape} expected integer class indices of shape ({n},) or "
            f"floating probabilities of shape {z.shape}, found {dtype} of shape {shape}"
        )
    if host is not None:
        check_labels(host, classes, ignore_index)
        index = Tensor(z.backend.asarray(host.astype(np.int64, copy=False)), z.backend)
    else:
        index = target.astype("int64")
    return apply(
        CrossEntropy,
        z,
        index,
        class_weight,
        weights,
        label_smoothing=float(label_smoothing),
        ignore_index=int(ignore_index),
        reduction=reduction,
    )


def check_labels(labels: np.ndarray, classes: int, ignore_index: int = -100) -> None:
    """An error that names the first label outside [0, classes)."""
    if not labels.size or (labels.min() >= 0 and labels.max() < classes):
        return
    wrong = np.flatnonzero(((labels < 0) | (labels >= classes)) & (labels != ignore_index))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"cross_entropy: label {int(labels[row])} at row {row} is outside [0, {classes}): the "
            f"model has {classes} outputs. Number the classes from 0, or give it more outputs"
        )


def check_probabilities(name: str, argument: str, values: Any) -> None:
    """Host values must lie in [0, 1]; what lives on a backend is not read back to be checked."""
    if isinstance(values, Tensor):
        return
    host = np.asarray(values)
    if host.size and not (host.min() >= 0 and host.max() <= 1):
        raise DataError(
            f"{name}: {argument} must lie in [0, 1], found values from {host.min()} to {host.max()}"
        )


def penalty(w: Tensor, l1: float = 0.0, l2: float = 0.0) -> Tensor:
    """l1 sum |w| + l2 sum w^2, to be added to a loss."""
    return apply(Penalty, w, l1=float(l1), l2=float(l2))
