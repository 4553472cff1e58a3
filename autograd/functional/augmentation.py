"""Random changes of images that leave what they show the same."""

from __future__ import annotations

from ...errors import OptionError, ShapeError, choose
from ..dtypes import float_dtype, is_float
from ..functions.augmentation import Augment
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor

LAYOUTS = ("NCHW", "NHWC")


def augment(
    images: Operand,
    shift: tuple[int, int] = (0, 0),
    flip: tuple[bool, bool] = (False, False),
    layout: str = "NCHW",
) -> Tensor:
    """Each image shifted by up to `shift` pixels down and right, and turned round with chance 1/2.

    Images are (n, h, w), (n, c, h, w), or (n, h, w, c) with layout "NHWC"; what is shifted in is 0.
    `flip` says whether rows, whether columns may be turned round. How an image is changed follows
    from the seed, the step and its place in the batch, and is the same on every backend.
    """
    x = as_tensor(images)
    if not is_float(x.dtype):
        x = x.astype(float_dtype(None))
    check_layout(layout)
    if any(not isinstance(s, int) or s < 0 for s in shift):
        raise OptionError(f"augment: shift is whole numbers of pixels from 0 on, found {shift}")
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"augment takes images (n, h, w) or (n, c, h, w), found shape {x.shape}. Reshape rows "
            "of pixels first: x.reshape(-1, 1, height, width)"
        )
    shape = x.shape
    if x.ndim == 3:
        sizes = (shape[0], 1, *shape[1:], 1)
    elif layout == "NCHW":
        sizes = (*shape, 1)
    else:
        sizes = (shape[0], 1, *shape[1:])
    out = apply(Augment, x.reshape(*sizes), shift=tuple(shift), flip=tuple(flip))
    return out.reshape(*shape)


def check_layout(layout: str) -> str:
    """The layout of images, or an error."""
    if layout not in LAYOUTS:
        raise OptionError(choose("layout", layout, LAYOUTS))
    return layout
