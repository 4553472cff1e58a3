"""Functions of tensors: activations, softmax, losses, dropout, joining, constants.

Each takes tensors, or anything that `tensor` takes, and returns a tensor that is recorded for
differentiation. Targets and weights may be NumPy arrays or lists; they join the first argument on
its backend and in its dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..backends import Backend, DType, get_backend
from ..errors import DataError, OptionError, ShapeError, choose
from ..kernels.activation.reference import KINDS
from .dtypes import common_dtype, dtype_on, float_dtype, is_float
from .functions.activation import Activation, Dropout, LogSoftmax, Softmax
from .functions.dense import Dense
from .functions.elementwise import Where
from .functions.loss import SYMMETRIC, CrossEntropy, Penalty, PointwiseLoss, SoftCrossEntropy
from .functions.shape import Concatenate
from .precision import half_of, wide
from .tape import apply
from .tensor import Operand, Tensor, as_tensor, tensor

REDUCTIONS = ("mean", "sum", "none")
ALPHA = {"leaky_relu": 0.01, "elu": 1.0}


def activation(x: Operand, kind: str, alpha: float | None = None) -> Tensor:
    """The activation called `kind`, elementwise; kernels/activation/reference.py has the equations.

    `alpha` is the slope of leaky_relu (0.01) and the scale of elu (1), and must not be negative.

    >>> activation([-1.0, 0.0, 2.0], "relu").tolist()
    [0.0, 0.0, 2.0]
    """
    kind, alpha = check_activation(kind, alpha)
    return apply(Activation, as_tensor(x), kind=kind, alpha=alpha)


def check_activation(kind: str, alpha: float | None) -> tuple[str, float]:
    """The activation's name and its alpha, or an error."""
    if kind not in KINDS:
        raise OptionError(choose("activation", kind, KINDS))
    value = ALPHA.get(kind, 0.0) if alpha is None else float(alpha)
    if not value >= 0.0:
        raise OptionError(f"{kind}: alpha must not be negative, found {value}")
    return kind, value


def relu(x: Operand) -> Tensor:
    """max(x, 0)."""
    return activation(x, "relu")


def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return activation(x, "leaky_relu", negative_slope)


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (e^x - 1)."""
    return activation(x, "elu", alpha)


def selu(x: Operand) -> Tensor:
    """The self-normalizing elu: scale * elu(x, alpha) with fixed scale and alpha."""
    return activation(x, "selu")


def gelu(x: Operand, approximate: str = "none") -> Tensor:
    """x Phi(x): exact with approximate="none", by tanh with approximate="tanh"."""
    if approximate not in ("none", "tanh"):
        raise OptionError(choose("approximation of gelu", approximate, ("none", "tanh")))
    return activation(x, "gelu" if approximate == "none" else "gelu_tanh")


def silu(x: Operand) -> Tensor:
    """x sigmoid(x), also called swish."""
    return activation(x, "silu")


def softplus(x: Operand) -> Tensor:
    """log(1 + e^x)."""
    return activation(x, "softplus")


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + e^-x).

    >>> [round(v, 4) for v in sigmoid([-5.0, 0.0, 1.0]).tolist()]
    [0.0067, 0.5, 0.7311]
    """
    return activation(x, "sigmoid")


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent."""
    return activation(x, "tanh")


def hard_sigmoid(x: Operand) -> Tensor:
    """clip(x + 3, 0, 6) / 6."""
    return activation(x, "hard_sigmoid")


def hard_swish(x: Operand) -> Tensor:
    """x clip(x + 3, 0, 6) / 6."""
    return activation(x, "hard_swish")


def mish(x: Operand) -> Tensor:
    """x tanh(softplus(x))."""
    return activation(x, "mish")


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """e^(x_j - max x) / sum_k e^(x_k - max x) along `axis`.

    >>> [round(v, 3) for v in softmax([2.0, 1.0, 0.1]).tolist()]
    [0.659, 0.242, 0.099]
    """
    return _along(Softmax, "softmax", as_tensor(x), axis)


def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """log softmax(x) along `axis`, without overflow or cancellation."""
    return _along(LogSoftmax, "log_softmax", as_tensor(x), axis)


def _along(function: Any, name: str, x: Tensor, axis: int) -> Tensor:
    """A function of the last axis of a matrix, along any axis of any tensor."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"{name}: axis {axis} does not fit shape {x.shape}")
    if x.shape[axis] == 0:
        raise ShapeError(f"{name} along an empty axis of shape {x.shape} has no value")
    x = wide(x if is_float(x.dtype) else x.astype(float_dtype(None)))
    last = axis in (-1, x.ndim - 1)
    moved = x if last else x.swapaxes(axis, -1)
    rows = moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1])
    out = apply(function, rows).reshape(moved.shape)
    return out if last else out.swapaxes(axis, -1)


def dense(
    x: Operand,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "identity",
    alpha: float | None = None,
) -> Tensor:
    """f(x W + b) as one op: x (..., in), weight (in, out), bias (out,) or None.

    >>> dense([[1.0, 2.0]], tensor([[1.0], [1.0]]), tensor([0.5])).tolist()
    [[3.5]]
    """
    kind, value = check_activation(activation, alpha)
    x = as_tensor(x, weight.backend, weight.dtype)
    shape, sizes = x.shape, weight.shape
    if len(sizes) != 2 or not shape or shape[-1] != sizes[0]:
        raise ShapeError(
            f"dense: expected x of shape (..., in) and weight (in, out), found x {shape} and "
            f"weight {sizes}"
        )
    if bias is not None and bias.shape != sizes[1:]:
        raise ShapeError(f"dense: expected bias {sizes[1:]}, found {bias.shape}")
    half = half_of(x, weight, bias)
    if len(shape) == 2:
        return apply(Dense, x, weight, bias, activation=kind, alpha=value, half=half)
    rows = x.reshape(math.prod(shape[:-1]), shape[-1])
    out = apply(Dense, rows, weight, bias, activation=kind, alpha=value, half=half)
    return out.reshape(*shape[:-1], sizes[1])


linear = dense


def dropout(x: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p).

    Outside training the input itself. The mask depends on the seed, not on the backend.
    """
    x = as_tensor(x)
    if not 0.0 <= p < 1.0:
        raise OptionError(f"dropout: p must be in [0, 1), found {p}")
    return apply(Dropout, x, p=float(p)) if training and p else x


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """a where the condition holds, else b; all three broadcast.

    >>> where(tensor([True, False]), 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    first = next((t for t in (a, b, condition) if isinstance(t, Tensor)), None)
    backend = None if first is None else first.backend
    test = as_tensor(condition, backend).astype("bool")
    left = a if isinstance(a, Tensor) else None
    right = b if isinstance(b, Tensor) else None
    if left is None:
        left = right._operand(a) if right is not None else as_tensor(a, backend)
    if right is None:
        right = left._operand(b)
    if is_float(left.dtype) and is_float(right.dtype):
        dtype = common_dtype(left.dtype, right.dtype)
        left, right = left.astype(dtype), right.astype(dtype)
    return apply(Where, test, left, right)


def concatenate(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """The tensors one after the other along an axis that they have.

    >>> concatenate([tensor([1.0]), tensor([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    parts = [as_tensor(t) for t in tensors]
    if not parts:
        raise ShapeError("concatenate needs at least one tensor")
    first = parts[0]
    if not -first.ndim <= axis < first.ndim:
        raise ShapeError(f"concatenate: axis {axis} does not fit shape {first.shape}")
    at = axis % first.ndim
    for t in parts:
        rest = (t.shape[:at], t.shape[at + 1 :])
        if t.ndim != first.ndim or rest != (first.shape[:at], first.shape[at + 1 :]):
            raise ShapeError(
                f"concatenate along axis {axis}: shapes must agree on the other axes, found "
                f"{[p.shape for p in parts]}"
            )
    if all(is_float(t.dtype) for t in parts):
        dtype = reduce(common_dtype, [t.dtype for t in parts])
        parts = [t.astype(dtype) for t in parts]
    return apply(Concatenate, *parts, axis=at)


cat = concatenate


def stack(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    return concatenate([as_tensor(t).expand_dims(axis) for t in tensors], axis)


def split(x: Tensor, size: int, axis: int = 0) -> list[Tensor]:
    """Pieces of `size` along an axis; the last one may be smaller."""
    at = axis % x.ndim
    before = (slice(None),) * at
    return [x[(*before, slice(i, i + size))] for i in range(0, x.shape[at], size)]


def zeros(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0.0, dtype, backend)


def ones(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """A tensor of ones."""
    return full(shape, 1.0, dtype, backend)


def full(
    shape: tuple[int, ...],
    value: float,
    dtype: str | DType | None = None,
    backend: str | Backend | None = None,
) -> Tensor:
    """A tensor filled with one value."""
    target = get_backend(backend)
    found = dtype_on(target, float_dtype(None) if dtype is None else dtype)
    return Tensor(target.full(tuple(shape), value, found), target)


def arange(*bounds: int, backend: str | Backend | None = None) -> Tensor:
    """int64 0 .. stop-1, or start .. stop-1, with an optional step."""
    return tensor(np.arange(*bounds), backend=backend)


def rand(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """Uniform on [0, 1), from the backend's counter-based generator: equal on every backend."""
    target = get_backend(backend)
    random = target.random
    out = target.ops.random_uniform(
        random.state,
        shape=shape,
        dtype=float_dtype(dtype).name,
        stream=random.stream(),
        low=0.0,
        high=1.0,
    )
    return Tensor(out, target)


def randn(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """Standard normal, drawn on the host from the global seed: equal on every backend."""
    from ..backends import generator

    return tensor(generator().normal(shape), float_dtype(dtype), backend)


# Losses


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
