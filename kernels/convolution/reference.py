"""Convolution over images, as networks mean it: a cross-correlation.

out[n, k, i, j] = f(bias[k] + sum over c, r, s of
                    weight[k, c, r, s] x[n, c', i stride + r dilation - padding, ...])

with x = 0 outside of the image. With g groups, output channels of group h see only the c / g input
channels of group h: c' = h c / g + c. Dumoulin and Visin, "A guide to convolution arithmetic for
deep learning", 2016, sections 2 and 5.
"""

from typing import Any

from ..spec import Array

ACTIVATIONS = ("identity", "relu")


def convolution(
    xp: Any,
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    activation: str,
) -> None:
    """x (n, c, h, w), weight (k, c / groups, r, s), bias (k,), out (n, k, i, j)."""
    (height, width), (down, right) = weight.shape[2:], padding
    padded = xp.pad(x, ((0, 0), (0, 0), (down, down), (right, right)))
    window = (dilation[0] * (height - 1) + 1, dilation[1] * (width - 1) + 1)
    view = xp.lib.stride_tricks.sliding_window_view(padded, window, axis=(2, 3))
    # (n, c, i, j, r, s)
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    inside, outside = x.shape[1] // groups, weight.shape[0] // groups
    for g in range(groups):
        ours, theirs = slice(g * outside, (g + 1) * outside), slice(g * inside, (g + 1) * inside)
        product = xp.tensordot(view[:, theirs], weight[ours], axes=((1, 4, 5), (1, 2, 3)))
        out[:, ours] = product.transpose(0, 3, 1, 2)
    if bias is not None:
        out += bias[:, None, None]
    if activation == "relu":
        xp.maximum(out, 0, out=out)
