"""Normalization of rows, of channels over a batch, and of groups of channels.

With x' = (x - mean) / sqrt(var + eps), where mean and var are over what is normalized together,

    out = scale x' + shift
    dx  = scale / sqrt(var + eps) (dout - mean(dout) - x' mean(dout x'))      for one scale of all
    dscale = sum dout x',   dshift = sum dout

`stats` holds mean and var, the biased one. Scale, shift and all statistics are in the accumulator
of x's dtype.

    layer   over a row (c,): Ba, Kiros and Hinton, "Layer normalization", 2016. Without centering,
            mean = 0 and var = mean(x^2): Zhang and Sennrich, "Root mean square layer
            normalization", 2019.
    batch   over batch and places, a channel: Ioffe and Szegedy, "Batch normalization", 2015.
            When not training, mean and var are given, and dx = scale / sqrt(var + eps) dout.
    group   over places and the channels of a group, a sample: Wu and He, "Group normalization",
            2018. With one channel a group it is instance normalization: Ulyanov, Vedaldi and
            Lempitsky, 2016.
"""

from typing import Any

from ..spec import Array


def layer_norm_forward(
    xp: Any,
    out: Array,
    summed: Array | None,
    stats: Array,
    x: Array,
    residual: Array | None,
    scale: Array | None,
    shift: Array | None,
    *,
    eps: float,
    centered: bool,
) -> None:
    """x, residual, out: (n, c); summed: x + residual if there is one; scale, shift: (c,);
    stats: (2, n)."""
    if summed is not None:
        xp.add(x, residual, out=summed)
        x = summed
    stats[0] = x.mean(axis=1) if centered else 0
    stats[1] = ((x - stats[0][:, None]) ** 2).mean(axis=1)
    normal = _normal(xp, x, stats[0][:, None], stats[1][:, None], eps)
    _affine(out, normal, scale, shift)


def layer_norm_backward(
    xp: Any,
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    dsummed: Array | None,
    summed: Array,
    stats: Array,
    scale: Array | None,
    *,
    eps: float,
    centered: bool,
    needs: tuple[bool, bool, bool],
) -> None:
    """summed: what was normalized, x or x + residual, whose gradient is dx; dsummed is added to it.

    needs: whether dx, dscale and dshift are wanted."""
    mean, var = stats[:, :, None]
    normal = _normal(xp, summed, mean, var, eps)
    if dscale is not None:
        dscale[...] = (dout * normal).sum(axis=0)
    if dshift is not None:
        dshift[...] = dout.sum(axis=0)
    if dx is not None:
        slope = dout if scale is None else dout * scale
        dx[...] = slope - normal * (slope * normal).mean(axis=1, keepdims=True)
        if centered:
            dx -= slope.mean(axis=1, keepdims=True)
        dx /= xp.sqrt(var + eps)
        if dsummed is not None:
            dx += dsummed


def batch_norm_forward(
    xp: Any,
    out: Array,
    stats: Array,
    x: Array,
    scale: Array | None,
    shift: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    eps: float,
    training: bool,
    activation: str,
) -> None:
    """x, out: (n, c, s); the others (c,), stats: (2, c). The running statistics are read when not
    training; activation: "identity" or "relu"."""
    stats[0] = x.mean(axis=(0, 2)) if training else running_mean
    stats[1] = ((x - stats[0][:, None]) ** 2).mean(axis=(0, 2)) if training else running_var
    normal = _normal(xp, x, stats[0][:, None], stats[1][:, None], eps)
    _affine(out, normal, _channels(scale), _channels(shift))
    if activation == "relu":
        xp.maximum(out, 0, out=out)


def batch_norm_backward(
    xp: Any,
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    x: Array,
    out: Array | None,
    stats: Array,
    scale: Array | None,
    *,
    eps: float,
    training: bool,
    activation: str,
    needs: tuple[bool, bool, bool],
) -> None:
    """out is read where there is an activation."""
    mean, var = stats[:, :, None]
    normal = _normal(xp, x, mean, var, eps)
    if activation == "relu":
        dout = xp.where(out > 0, dout, 0)
    if dscale is not None:
        dscale[...] = (dout * normal).sum(axis=(0, 2))
    if dshift is not None:
        dshift[...] = dout.sum(axis=(0, 2))
    if dx is not None:
        dx[...] = dout
        if training:
            dx -= dout.mean(axis=(0, 2), keepdims=True)
            dx -= normal * (dout * normal).mean(axis=(0, 2), keepdims=True)
        dx *= 1 / xp.sqrt(var + eps) if scale is None else scale[:, None] / xp.sqrt(var + eps)


def track_statistics(
    xp: Any,
    running_mean: Array,
    running_var: Array,
    tracked: Array | None,
    stats: Array,
    *,
    momentum: float | None,
    count: int,
) -> None:
    """running = (1 - f) running + f statistics, with f = momentum, or 1 / tracked for None.

    running: (c,); stats: (2, b c), of which those of a channel are averaged; the variance becomes
    the unbiased one of `count` > 1 elements; tracked (): how many updates there were."""
    if tracked is not None:
        tracked += 1
    factor = 1 / tracked if momentum is None else momentum
    mean, var = stats.reshape(2, -1, running_mean.size).mean(axis=1)
    running_mean += factor * (mean - running_mean)
    running_var += factor * (var * (count / (count - 1)) - running_var)


def group_norm_forward(
    xp: Any,
    out: Array,
    stats: Array,
    x: Array,
    scale: Array | None,
    shift: Array | None,
    *,
    groups: int,
    eps: float,
) -> None:
    """x, out: (n, c, s); scale, shift: (c,); stats: (2, n groups)."""
    rows = x.reshape(stats.shape[1], x.shape[1] // groups * x.shape[2])
    stats[0] = rows.mean(axis=1)
    stats[1] = ((rows - stats[0][:, None]) ** 2).mean(axis=1)
    normal = _normal(xp, rows, stats[0][:, None], stats[1][:, None], eps)
    _affine(out, normal.reshape(x.shape), _channels(scale), _channels(shift))


def group_norm_backward(
    xp: Any,
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    x: Array,
    stats: Array,
    scale: Array | None,
    *,
    groups: int,
    eps: float,
    needs: tuple[bool, bool, bool],
) -> None:
    """Shapes as above."""
    rows = x.reshape(stats.shape[1], x.shape[1] // groups * x.shape[2])
    mean, var = stats[:, :, None]
    normal = _normal(xp, rows, mean, var, eps)
    if dscale is not None:
        dscale[...] = (dout * normal.reshape(x.shape)).sum(axis=(0, 2))
    if dshift is not None:
        dshift[...] = dout.sum(axis=(0, 2))
    if dx is not None:
        slope = (dout if scale is None else dout * scale[:, None]).reshape(rows.shape)
        whole = slope - normal * (slope * normal).mean(axis=1, keepdims=True)
        whole -= slope.mean(axis=1, keepdims=True)
        dx[...] = (whole / xp.sqrt(var + eps)).reshape(x.shape)


def _channels(parameter: Array | None) -> Array | None:
    """(c,) as (c, 1), which broadcasts against (n, c, s)."""
    return None if parameter is None else parameter[:, None]


def _normal(xp: Any, x: Array, mean: Array, var: Array, eps: float) -> Array:
    return (x - mean) / xp.sqrt(var + eps)


def _affine(out: Array, normal: Array, scale: Array | None, shift: Array | None) -> None:
    """Scale and shift broadcast against `normal`, or are None."""
    out[...] = normal if scale is None else normal * scale
    if shift is not None:
        out += shift
