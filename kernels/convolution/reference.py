"""Convolution over images, as networks mean it: a cross-correlation; and its transpose.

    z[n, k, i, j] = bias[k] + sum over c, r, s of
                    weight[k, c, r, s] x[n, c', i stride + r dilation - padding, ...]
    out = f(z)

with x = 0 outside of the image. With g groups, output channels of group h see only the c / g input
channels of group h: c' = h c / g + c. Padding is given for each axis as (before, after).

The sum is linear in x and in weight, so its gradients are two more sums over the same triples:

    dz = dout * f'(z)
    dx = the sum by input       every dz goes to the elements of x that it was made of
    dweight = the sum by weight every dz meets the elements of x that it was made of
    dbias = sum over n, i, j of dz

The transposed convolution is the sum by input, taken as a layer: from x, the size of a
convolution's z, it makes an array of the size of that convolution's x, plus `output_padding`
elements after its end. Its own gradients are the other two sums.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
"""

from typing import Any, TypeAlias

from ..activation.reference import FROM_OUTPUT
from ..spec import Array

Pair: TypeAlias = tuple[int, int]
ACTIVATIONS = tuple(FROM_OUTPUT)


def convolution_forward(
    xp: Any,
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    """x (n, c, h, w), weight (k, c / groups, r, s), bias (k,), out (n, k, i, j)."""
    _sum(xp, out, x, weight, stride, padding, dilation, groups)
    _finish(xp, out, bias, activation, alpha)


def convolution_backward(
    xp: Any,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    """Gradients by x, weight and bias as `needs` says."""
    dz = dout * FROM_OUTPUT[activation][1](xp, out, alpha)
    if dx is not None:
        _sum_by_input(xp, dx, dz, weight, stride, padding, dilation, groups)
    if dweight is not None:
        _sum_by_weight(xp, dweight, dz, x, stride, padding, dilation, groups)
    if dbias is not None:
        dz.sum(axis=(0, 2, 3), out=dbias)


def conv_transpose_forward(
    xp: Any,
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    """x (n, k, i, j), weight (k, c / groups, r, s), bias (c,), out (n, c, h, w)."""
    _sum_by_input(xp, out, x, weight, stride, padding, dilation, groups)
    _finish(xp, out, bias, activation, alpha)


def conv_transpose_backward(
    xp: Any,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    """Gradients by x, weight and bias as `needs` says."""
    dz = dout * FROM_OUTPUT[activation][1](xp, out, alpha)
    if dx is not None:
        _sum(xp, dx, dz, weight, stride, padding, dilation, groups)
    if dweight is not None:
        _sum_by_weight(xp, dweight, x, dz, stride, padding, dilation, groups)
    if dbias is not None:
        dz.sum(axis=(0, 2, 3), out=dbias)


def _finish(xp: Any, out: Array, bias: Array | None, activation: str, alpha: float) -> None:
    if bias is not None:
        out += bias[:, None, None]
    if activation != "identity":
        out[...] = FROM_OUTPUT[activation][0](xp, out, alpha)


def _windows(
    xp: Any,
    x: Array,
    size: Pair,
    window: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
) -> Array:
    """What each of `size` windows sees of x, as a view (n, c, i, j, r, s) of a padded copy."""
    padded = xp.pad(x, ((0, 0), (0, 0), *padding))
    reach = tuple(d * (w - 1) + 1 for d, w in zip(dilation, window, strict=True))
    view = xp.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return view[:, :, : size[0], : size[1]]


def _groups(channels: int, groups: int) -> list[slice]:
    each = channels // groups
    return [slice(g * each, (g + 1) * each) for g in range(groups)]


def _sum(
    xp: Any,
    z: Array,
    x: Array,
    weight: Array,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> None:
    view = _windows(xp, x, z.shape[2:], weight.shape[2:], stride, padding, dilation)
    for to, of in zip(_groups(z.shape[1], groups), _groups(x.shape[1], groups), strict=True):
        product = xp.tensordot(view[:, of], weight[to], axes=((1, 4, 5), (1, 2, 3)))
        z[:, to] = product.transpose(0, 3, 1, 2)


def _sum_by_input(
    xp: Any,
    dx: Array,
    dz: Array,
    weight: Array,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> None:
    (top, bottom), (left, right) = padding
    batch, channels, height, width = dx.shape
    padded = xp.zeros((batch, channels, top + height + bottom, left + width + right), dx.dtype)
    for to, of in zip(_groups(channels, groups), _groups(dz.shape[1], groups), strict=True):
        for r in range(weight.shape[2]):
            for s in range(weight.shape[3]):
                product = xp.tensordot(dz[:, of], weight[of, :, r, s], axes=((1,), (0,)))
                first, second = (
                    slice(d * k, d * k + step * (n - 1) + 1, step)
                    for k, n, d, step in zip((r, s), dz.shape[2:], dilation, stride, strict=True)
                )
                padded[:, to, first, second] += product.transpose(0, 3, 1, 2)
    dx[...] = padded[:, :, top : top + height, left : left + width]


def _sum_by_weight(
    xp: Any,
    dweight: Array,
    dz: Array,
    x: Array,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> None:
    view = _windows(xp, x, dz.shape[2:], dweight.shape[2:], stride, padding, dilation)
    for to, of in zip(_groups(dz.shape[1], groups), _groups(x.shape[1], groups), strict=True):
        dweight[to] = xp.tensordot(dz[:, to], view[:, of], axes=((0, 2, 3), (0, 2, 3)))
