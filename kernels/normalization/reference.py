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


def _normal(xp: Any, x: Array, mean: Array, var: Array, eps: float) -> Array:
    return (x - mean) / xp.sqrt(var + eps)


def _affine(out: Array, normal: Array, scale: Array | None, shift: Array | None) -> None:
    """Scale and shift broadcast against `normal`, or are None."""
    out[...] = normal if scale is None else normal * scale
    if shift is not None:
        out += shift
