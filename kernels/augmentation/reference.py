"""Random flips and shifts of images: what makes of each image a new one every epoch.

    out[i, r, c] = x[i, r', c'],  c' = shift + (width - 1 - c if flipped else c), r' likewise

and 0 where x has no such pixel. Image i takes the four words of block i (random/philox.py): the
first two are its shifts, which are equally likely from -s to s, the highest bits of the others say
whether its rows and its columns are turned round. The forward pass leaves its `key`, a copy of the
random state, from which the backward pass draws them again.

Images are (n, channels, height, width, channels), with one channel on one of the two sides, so that
both layouts are taken as they lie.

Source: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", NIPS
2012, section 4.1; He et al., "Deep residual learning", CVPR 2016, section 4.2.
"""

from typing import Any

from ..random.reference import words
from ..spec import Array

WORDS_AN_IMAGE = 4


def augment_forward(
    xp: Any,
    out: Array,
    key: Array,
    x: Array,
    state: Array,
    *,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    """x, out (n, a, h, w, b); state, key (4,) uint32; `shift` and `flip` along h and w."""
    key[...] = state
    _move(xp, out, x, key, shift, flip, stream, back=False)


def augment_backward(
    xp: Any,
    dx: Array,
    dout: Array,
    key: Array,
    *,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    """Each pixel's gradient goes back to where it was taken from."""
    _move(xp, dx, dout, key, shift, flip, stream, back=True)


def _move(
    xp: Any,
    out: Array,
    x: Array,
    key: Array,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
    back: bool,
) -> None:
    n = x.shape[0]
    drawn = words(xp, WORDS_AN_IMAGE * n, key, stream).reshape(n, WORDS_AN_IMAGE).astype("int64")
    from_, inside = [], []
    for axis in range(2):
        size, most = x.shape[2 + axis], shift[axis]
        moved = (drawn[:, axis : axis + 1] * (2 * most + 1) >> 32) - most
        turned = (drawn[:, 2 + axis : 3 + axis] >> 31 == 1) & flip[axis]
        at = xp.arange(size)[None]
        if back:
            at = at - moved
            at = xp.where(turned, size - 1 - at, at)
        else:
            at = xp.where(turned, size - 1 - at, at) + moved
        from_.append(xp.clip(at, 0, max(size - 1, 0)))
        inside.append((at >= 0) & (at < size))
    rows, columns = from_[0][:, :, None], from_[1][:, None, :]
    image = xp.arange(n)[:, None, None]
    there = inside[0][:, :, None] & inside[1][:, None, :]
    # Indices before and after a slice: their axes come first.
    taken = x[image, :, rows, columns]  # (n, h, w, a, b)
    taken = xp.where(there[..., None, None], taken, 0)
    out[...] = taken.transpose(0, 3, 1, 2, 4)
