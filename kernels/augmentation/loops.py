"""Flips and shifts image by image: where an image goes is drawn once, and then rows are copied."""

import numpy as np

from ..numba_loop import loop, parts_for, share
from ..numba_philox import philox_words
from ..observing import workspace
from ..spec import Array
from .reference import WORDS_AN_IMAGE


@loop
def _move(
    t: int,
    parts: int,
    out: Array,
    kept: Array,
    x: Array,
    key: Array,
    scratch: Array,
    down: int,
    right: int,
    flip_rows: bool,
    flip_columns: bool,
    stream: int,
    back: bool,
) -> None:
    """out = x moved, or moved back; kept = key; scratch[t]: an image's words."""
    if kept is not None and t == 0:
        for i in range(key.size):
            kept[i] = key[i]
    words = scratch[t]
    _, planes, height, width, channels = x.shape
    zero = x.dtype.type(0)
    low, high = share(x.shape[0], parts, t)
    for i in range(low, high):
        philox_words(words, i, stream, key)
        row_shift = (np.int64(words[0]) * (2 * down + 1) >> 32) - down
        column_shift = (np.int64(words[1]) * (2 * right + 1) >> 32) - right
        turn_rows = flip_rows and words[2] >> 31 == 1
        turn_columns = flip_columns and words[3] >> 31 == 1
        for p in range(planes):
            for r in range(height):
                if back:
                    row = r - row_shift
                    if turn_rows:
                        row = height - 1 - row
                else:
                    row = (height - 1 - r if turn_rows else r) + row_shift
                o = out[i, p, r]
                if row < 0 or row >= height:
                    o[...] = zero
                    continue
                u = x[i, p, row]
                for c in range(width):
                    if back:
                        column = c - column_shift
                        if turn_columns:
                            column = width - 1 - column
                    else:
                        column = (width - 1 - c if turn_columns else c) + column_shift
                    there = 0 <= column < width
                    for k in range(channels):
                        o[c, k] = u[column, k] if there else zero


def augment_forward(
    out: Array,
    key: Array,
    x: Array,
    state: Array,
    *,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    _run(out, key, x, state, *shift, *flip, stream, False)


def augment_backward(
    dx: Array,
    dout: Array,
    key: Array,
    *,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    _run(dx, None, dout, key, *shift, *flip, stream, True)


def _run(out: Array, kept: Array | None, x: Array, key: Array, *numbers: int) -> None:
    parts = parts_for(x.size, x.shape[0])
    _move(parts, out, kept, x, key, workspace((parts, WORDS_AN_IMAGE), np.uint32), *numbers)


LOOPS = {"augment_forward": augment_forward, "augment_backward": augment_backward}
