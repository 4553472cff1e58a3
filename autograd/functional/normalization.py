"""Normalization: layer, RMS, batch, group and instance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import OptionError, ShapeError, choose
from ...kernels.spec import accumulator
from ..dtypes import common_dtype, float_dtype, is_float
from ..functions.normalization import BatchNorm, GroupNorm, LayerNorm
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor


def layer_norm(
    x: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, of `normalized_shape`.

    Weight and bias have that shape, or are None. Of 16-bit tensors the statistics are float32, and
    so are weight and bias; the result is 16-bit.

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> layer_norm([[1.0, 3.0], [2.0, 2.0]], 2, eps=0.0625).tolist()[1]
    [0.0, 0.0]
    """
    return _normalize("layer_norm", x, None, normalized_shape, weight, bias, eps, True)[0]


def add_layer_norm(
    x: Operand,
    residual: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """layer_norm(x + residual) and x + residual, as one op.

    >>> [t.tolist() for t in add_layer_norm([[1.0, 1.0]], [[2.0, 2.0]], 2)]
    [[[0.0, 0.0]], [[3.0, 3.0]]]
    """
    args = (x, residual, normalized_shape, weight, bias, eps, True)
    out, summed = _normalize("add_layer_norm", *args)
    return out, summed


def rms_norm(
    x: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes, of `normalized_shape`.

    Without `eps`, the dtype's own: 1.2e-7 for float32.

    Source: Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> [round(v, 3) for v in rms_norm([3.0, 4.0], 2).tolist()]
    [0.849, 1.131]
    """
    return _normalize("rms_norm", x, None, normalized_shape, weight, None, eps, False)[0]


def add_rms_norm(
    x: Operand,
    residual: Operand,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> tuple[Tensor, Tensor]:
    """rms_norm(x + residual) and x + residual, as one op."""
    args = (x, residual, normalized_shape, weight, None, eps, False)
    out, summed = _normalize("add_rms_norm", *args)
    return out, summed


def batch_norm(
    x: Operand,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    *,
    tracked: Tensor | None = None,
    activation: str = "identity",
    channels_last: bool = False,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, channel by channel: x (n, c, ...).

    When training, mean and var are the batch's, over all axes but the channels', and the running
    statistics (c,), if there are any, are updated in place: running = (1 - momentum) running +
    momentum new, with the unbiased variance. `tracked`, an int64 scalar, counts the updates; with
    momentum None the running statistics are the average over them. Otherwise mean and var are the
    running ones. `activation` "relu" is done on the way out.

    Source: Ioffe and Szegedy, "Batch normalization", 2015.

    >>> batch_norm([[1.0], [3.0]], None, None, training=True, eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    x = beside_parameters(x, weight, bias, running_mean)
    sizes = _cube("batch_norm", x, channels_last)
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean}
    _check_channels("batch_norm", sizes[1], vectors | {"running_var": running_var})
    _check_running("batch_norm", running_mean, running_var, momentum)
    if activation not in ("identity", "relu"):
        raise OptionError(choose("activation of batch_norm", activation, ("identity", "relu")))
    if not training and running_mean is None:
        raise OptionError("batch_norm: without running statistics, training must be True")
    if training and sizes[0] * sizes[2] < 2:
        raise ShapeError(
            f"batch_norm: training needs more than one value a channel, found x {x.shape}. Use a "
            "larger batch, or model.eval()"
        )
    if momentum is None and training and running_mean is not None and tracked is None:
        raise OptionError("batch_norm: momentum None needs `tracked`, the number of updates")
    out = apply(
        BatchNorm,
        _shaped(x, *sizes),
        weight,
        bias,
        running_mean,
        running_var,
        tracked,
        training=training,
        momentum=momentum,
        eps=check_eps("batch_norm", eps),
        activation=activation,
    )
    return _shaped(out, *x.shape)


def group_norm(
    x: Operand,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, group by group of channels: x (n, c, ...).

    Mean and var are over a sample's places and the c / num_groups channels of a group; weight and
    bias are (c,), or None.

    Source: Wu and He, "Group normalization", 2018.

    >>> group_norm([[1.0, 3.0, 5.0, 9.0]], 2, eps=0.0).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = beside_parameters(x, weight, bias)
    sizes = _cube("group_norm", x, False)
    check_groups("group_norm", num_groups, sizes[1])
    _check_channels("group_norm", sizes[1], {"weight": weight, "bias": bias})
    if sizes[0] * sizes[1] // num_groups * sizes[2] == 1:
        raise ShapeError(f"group_norm needs more than one value a group, found x {x.shape}")
    return _grouped(x, sizes, num_groups, weight, bias, None, None, 0.0, eps)


def instance_norm(
    x: Operand,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, by sample and channel: x (n, c, ...).

    Mean and var are over a sample's places; running statistics, if there are any, are updated by
    their average over the batch. Without `use_input_stats` the running ones are used.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016.
    """
    x = beside_parameters(x, weight, bias, running_mean)
    sizes = _cube("instance_norm", x, False)
    vectors = {"weight": weight, "bias": bias, "running_mean": running_mean}
    _check_channels("instance_norm", sizes[1], vectors | {"running_var": running_var})
    _check_running("instance_norm", running_mean, running_var, momentum)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    if sizes[2] < 2:
        raise ShapeError(
            f"instance_norm needs more than one place a channel, found x of shape {x.shape}"
        )
    running = running_mean, running_var
    return _grouped(x, sizes, sizes[1], weight, bias, *running, momentum, eps)


def check_eps(name: str, eps: float) -> float:
    """`eps` as a number that can be added to a variance, or an error."""
    if not 0.0 <= eps < math.inf:
        raise OptionError(f"{name}: eps must be a number that is not negative, found {eps}")
    return float(eps)


def check_normalized_shape(name: str, shape: Any) -> tuple[int, ...]:
    """The sizes of the axes to normalize over, or an error."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise OptionError(
            f"{name}: normalized_shape is a positive integer or a sequence of them, found {shape!r}"
        )
    return sizes


def beside_parameters(x: Operand, *parameters: Tensor | None) -> Tensor:
    """x as a floating tensor in whose accumulator the parameters are."""
    given = next((p for p in parameters if p is not None), None)
    if given is None:
        x = as_tensor(x)
        return x if is_float(x.dtype) else x.astype(float_dtype(None))
    x = as_tensor(x, given.backend, given.dtype)
    return x if accumulator(x.dtype) == given.dtype else x.astype(given.dtype)


def check_groups(name: str, groups: int, channels: int) -> None:
    """Raise where channels cannot be split into so many groups."""
    if groups < 1 or channels % groups:
        raise OptionError(
            f"{name}: the number of channels must be a multiple of the number of groups, found "
            f"{channels} channels and {groups} groups"
        )


def _cube(name: str, x: Tensor, channels_last: bool) -> tuple[int, int, int]:
    """The shape (n, c, s) of the kernels."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: expected x of shape (n, c, ...), found {x.shape}")
    if channels_last or x.ndim == 2:
        return math.prod(x.shape[:-1]), x.shape[-1], 1
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])


def _shaped(t: Tensor, *sizes: int) -> Tensor:
    return t if t.shape == sizes else t.reshape(*sizes)


def _check_channels(name: str, channels: int, vectors: dict[str, Tensor | None]) -> None:
    for what, t in vectors.items():
        if t is not None and t.shape != (channels,):
            raise ShapeError(f"{name}: expected {what} ({channels},), found {t.shape}")


def _check_running(
    name: str, mean: Tensor | None, var: Tensor | None, momentum: float | None
) -> None:
    if (mean is None) != (var is None):
        raise OptionError(f"{name}: running_mean and running_var are given together, or neither")
    check_momentum(name, momentum)


def check_momentum(name: str, momentum: float | None) -> None:
    """Raise for what is no weight of a new value in an average."""
    if momentum is not None and not 0.0 <= momentum <= 1.0:
        raise OptionError(f"{name}: momentum must be in [0, 1], or None, found {momentum}")


def _grouped(
    x: Tensor,
    sizes: tuple[int, int, int],
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    out = apply(
        GroupNorm,
        _shaped(x, *sizes),
        weight,
        bias,
        running_mean,
        running_var,
        groups=groups,
        momentum=momentum,
        eps=check_eps("group_norm", eps),
    )
    return _shaped(out, *x.shape)


def _normalize(
    name: str,
    x: Operand,
    residual: Operand | None,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float | None,
    centered: bool,
) -> tuple[Tensor, ...]:
    shape = check_normalized_shape(name, normalized_shape)
    x = beside_parameters(x, weight, bias)
    if x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{name}: expected x of shape (..., {', '.join(map(str, shape))}), found {x.shape}"
        )
    for what, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ShapeError(f"{name}: expected {what} {shape}, found {parameter.shape}")
    if residual is not None:
        residual = as_tensor(residual, x.backend, x.dtype)
        if residual.shape != x.shape:
            raise ShapeError(f"{name}: x {x.shape} and residual {residual.shape} differ in shape")
        both = common_dtype(x.dtype, residual.dtype)
        x, residual = x.astype(both), residual.astype(both)
    if eps is None:
        eps = float(np.finfo(accumulator(x.dtype)).eps)
    columns = math.prod(shape)

    rows = math.prod(x.shape[: x.ndim - len(shape)]), columns
    result = apply(
        LayerNorm,
        _shaped(x, *rows),
        None if residual is None else _shaped(residual, *rows),
        None if weight is None else _shaped(weight, columns),
        None if bias is None else _shaped(bias, columns),
        eps=check_eps(name, eps),
        centered=centered,
    )
    outs = result if isinstance(result, tuple) else (result,)
    return tuple(_shaped(out, *x.shape) for out in outs)
