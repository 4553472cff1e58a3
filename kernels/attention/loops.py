"""Attention block by block: the scores of ROWS queries and KEYS keys at a time, in scratch.

forward    A thread has some of all queries. For each block of keys it lays the keys out once,
           transposed, and goes through its queries of that head: scores by numba_tile's product,
           their exponentials, and the sum of values, by another product. `out` holds the sums so
           far, `stats` the maxima.
backward   A thread has whole heads of keys, with all queries of them, so that it alone adds up
           their gradients, in one order: the scores again, dout v^T, then dv, dk and dq.

Blocks of keys that no query sees, beyond the diagonal or a length, are skipped. Arrays come by the
address of their first number and by steps, so that one compiled loop takes views of any kind, such
as the parts of a fused product for queries, keys and values.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable

from ..dropout.reference import threshold
from ..numba_cache import cached_njit, of_these_sources
from ..numba_gemm import WIDTH, copy_block, pitch_of, transpose_panel
from ..numba_intrinsics import maximum, row_at
from ..numba_loop import loop, parts_for, share
from ..numba_math import exp, log
from ..numba_philox import philox_words
from ..numba_rows import INSIDE
from ..numba_tile import DOTS, VECTOR, dots, panel, size_of
from ..observing import host, workspace
from ..spec import Array
from .layout import mask_steps
from .reference import WORDS

ROWS = 32
KEYS = 128
FEW = 4  # queries that meet keys where these lie: laying them out would cost more
# Multiply-adds below which all runs serially, as for products (dense/loops.py).
SERIAL_PRODUCT = 1 << 18
NO_MASK, BOOLEAN, ADDED = 0, 1, 2
ARRAYS = 15  # where the steps of the arrays begin in a geometry


@cached_njit
@of_these_sources
def _multiply(
    zero: Any,
    c: int,
    c_row: int,
    rows: int,
    a: int,
    a_row: int,
    a_step: int,
    b: int,
    b_row: int,
    b_panel: int,
    depth: int,
    columns: int,
    fresh: bool,
) -> None:
    """c += a b, or c = a b, for b in whole panels, b_panel bytes apart; steps in bytes."""
    item = size_of(zero)
    wide = WIDTH // item
    for j in range(0, columns, wide):
        width = min(wide, columns - j)
        c_now, b_now = c + j * item, b + j // wide * b_panel
        panel(zero, (c_now, c_row, rows, a, a_row, a_step, b_now, b_row, depth, width, fresh))


@cached_njit
@of_these_sources
def _transpose(zero: Any, to: int, b_panel: int, x: int, x_row: int, rows: int, width: int) -> None:
    """Rows of x as columns, in panels."""
    wide = WIDTH // size_of(zero)
    for j in range(0, rows, wide):
        now = to + j // wide * b_panel
        transpose_panel(zero, now, x + j * x_row, x_row, width, min(wide, rows - j))


@cached_njit
@of_these_sources
def _copy(zero: Any, to: int, pitch: int, x: int, x_row: int, rows: int, length: int) -> None:
    copy_block(zero, to, pitch, x, x_row, rows, length)


@cached_njit
@of_these_sources
def _dots(
    zero: Any, c: int, c_row: int, rows: int, a: int, a_row: int, b: int, b_row: int, k: int, n: int
) -> None:
    """c = a b^T for few rows of a, and n of b where they lie; both have k numbers a row."""
    item = size_of(zero)
    count = min(DOTS, VECTOR // item)
    for j in range(0, n, count):
        b_now, width = b + j * b_row, min(count, n - j)
        for i in range(rows):
            dots(zero, (c + i * c_row + j * item, a + i * a_row, b_now, b_row, k, width))


@register_jitable
def _steps(geometry: Any, i: Any) -> Any:
    """Bytes to the next batch, head and row of array i."""
    at = ARRAYS + 3 * i
    return geometry[at], geometry[at + 1], geometry[at + 2]


@register_jitable(**INSIDE)
def _seen_scores(
    s: Any,
    seen_by_order: Any,
    scale: Any,
    added: Any,
    added_at: Any,
    seen: Any,
    seen_at: Any,
    step: Any,
    padding_at: Any,
) -> None:
    """s = scale s + mask, -inf where the key is not seen; of masks, addresses or 0."""
    none = s.dtype.type(-np.inf)
    for j in range(s.size):
        s[j] *= scale
    reach = (s.size - 1) * step + 1
    if added_at:
        m = row_at(added[0], added_at, reach)
        for j in range(s.size):
            s[j] += m[j * step]
    if seen_at:
        b = row_at(seen[0], seen_at, reach)
        for j in range(s.size):
            s[j] = s[j] if b[j * step] else none
    if padding_at:
        c = row_at(seen[0], padding_at, s.size)
        for j in range(s.size):
            s[j] = s[j] if c[j] else none
    for j in range(seen_by_order, s.size):
        s[j] = none


@register_jitable(**INSIDE)
def _exponentials(s: Any, largest: Any) -> Any:
    """s = e^(s - largest); their sum."""
    total = s.dtype.type(0)
    for j in range(s.size):
        s[j] = exp(s[j] - largest)
        total += s[j]
    return total


@register_jitable(**INSIDE)
def _drop(s: Any, words: Any, least: Any, kept: Any) -> None:
    """s = s kept where the random word is `least` or more, else 0."""
    zero = s.dtype.type(0)
    for j in range(s.size):
        s[j] = s[j] * kept if words[j] >= least else zero


@register_jitable(**INSIDE)
def _times(x: Any, factor: Any) -> None:
    for j in range(x.size):
        x[j] *= factor


@register_jitable(**INSIDE)
def _set(x: Any, value: Any) -> None:
    for j in range(x.size):
        x[j] = value


@loop
def _attention_forward(
    t: int,
    parts: int,
    out: Array,
    stats: Array,
    kept: Array,
    q: Array,
    k: Array,
    v: Array,
    added: Array,
    seen: Array,
    padding: Array,
    lengths: Array,
    start: Array,
    key: Array,
    totals: Array,
    scratch: Array,
    drawn: Array,
    geometry: Array,
    scale: float,
    stream: int,
    least: int,
    keeping: float,
) -> None:
    zero, one, none = q.dtype.type(0), q.dtype.type(1), q.dtype.type(-np.inf)
    factor, kept_scale = q.dtype.type(scale), q.dtype.type(keeping)
    item = q.itemsize
    batch, heads, groups, queries, keys, width, other = geometry[:7]
    mask_kind, padded, causal = geometry[7], geometry[8], geometry[9]
    mask_batch, mask_head, mask_row, mask_step, padding_row = geometry[10:15]
    q_batch, q_head, q_row = _steps(geometry, 0)
    k_batch, k_head, k_row = _steps(geometry, 1)
    v_batch, v_head, v_row = _steps(geometry, 2)
    o_batch, o_head, o_row = _steps(geometry, 3)
    if least and t == 0:
        for i in range(key.size):
            kept[i] = key[i]
    words = drawn[t]
    blocks = (keys + WORDS - 1) // WORDS
    wide, lanes = WIDTH // item, VECTOR // item
    pitch, value_pitch, score_pitch = (
        pitch_of(width * item),
        pitch_of(other * item),
        pitch_of(KEYS * item),
    )
    key_panel = (width + lanes - 1) // lanes * lanes * WIDTH
    scores = scratch[t, : ROWS * score_pitch // item]
    scores_at = scratch.ctypes.data + t * scratch.strides[0]
    query_at = scores_at + ROWS * score_pitch
    key_at = query_at + ROWS * pitch
    value_at = key_at + KEYS // wide * key_panel
    few = queries <= FEW
    in_place = few and other % lanes == 0

    low, high = share(batch * heads * queries, parts, t)
    row = low
    while row < high:
        head = row // queries
        first = row - head * queries
        end = min(queries, first + high - row)
        b, h = head // heads, head % heads
        group = h * groups // heads
        head_at = head * queries
        q_at = q.ctypes.data + b * q_batch + h * q_head
        k_at = k.ctypes.data + b * k_batch + group * k_head
        v_at = v.ctypes.data + b * v_batch + group * v_head
        o_at = out.ctypes.data + b * o_batch + h * o_head
        added_at = added.ctypes.data + b * mask_batch + h * mask_head if mask_kind == ADDED else 0
        seen_at = seen.ctypes.data + b * mask_batch + h * mask_head if mask_kind == BOOLEAN else 0
        padding_at = padding.ctypes.data + b * padding_row if padded else 0
        for i in range(first, end):
            stats[head_at + i], totals[head_at + i] = none, zero
            _set(row_at(zero, o_at + i * o_row, other), zero)
        # Query i sees keys below i + ahead.
        ahead = start[0] + 1 if causal else keys
        most = min(keys, lengths[b], end - 1 + ahead)
        for j in range(0, most, KEYS):
            count = min(KEYS, most - j)
            k_now, v_now, v_step = k_at + j * k_row, v_at + j * v_row, v_row
            if not few:
                _transpose(zero, key_at, key_panel, k_now, k_row, count, width)
            if not in_place:
                _copy(zero, value_at, value_pitch, v_now, v_row, count, other * item)
                v_now, v_step = value_at, value_pitch
            for i in range(max(first, j + 1 - ahead), end, ROWS):
                rows = min(ROWS, end - i)
                n = min(count, i + rows - 1 + ahead - j)
                q_now = q_at + i * q_row
                if few:
                    _dots(zero, scores_at, score_pitch, rows, q_now, q_row, k_now, k_row, width, n)
                else:
                    _copy(zero, query_at, pitch, q_now, q_row, rows, width * item)
                    _multiply(zero, scores_at, score_pitch, rows, query_at, pitch, item,
                              key_at, WIDTH, key_panel, width, n, True)  # fmt: skip
                for r in range(rows):
                    at, place = r * score_pitch // item, head_at + i + r
                    s = scores[at : at + n]
                    _seen_scores(
                        s,
                        min(n, i + r + ahead - j),
                        factor,
                        added,
                        added_at + (i + r) * mask_row + j * mask_step * item if added_at else 0,
                        seen,
                        seen_at + (i + r) * mask_row + j * mask_step if seen_at else 0,
                        mask_step,
                        padding_at + j if padding_at else 0,
                    )
                    largest = stats[place]
                    for m in range(s.size):
                        largest = maximum(largest, s[m])
                    base = zero if largest == none else largest
                    total = _exponentials(s, base)
                    before = exp(stats[place] - base)
                    if before != one:
                        _times(row_at(zero, o_at + (i + r) * o_row, other), before)
                    stats[place], totals[place] = largest, totals[place] * before + total
                    if least:
                        some = words[: (n + WORDS - 1) // WORDS * WORDS]
                        philox_words(some, place * blocks + j // WORDS, stream, key)
                        _drop(s, words, least, kept_scale)
                _multiply(zero, o_at + i * o_row, o_row, rows, scores_at, score_pitch, item,
                          v_now, v_step, WIDTH, n, other, False)  # fmt: skip
        for i in range(first, end):
            total = totals[head_at + i]
            if stats[head_at + i] != none:
                _times(row_at(zero, o_at + i * o_row, other), one / total)
                stats[head_at + i] += log(total)
        row += end - first


@loop
def _attention_backward(
    t: int,
    parts: int,
    dq: Array,
    dk: Array,
    dv: Array,
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    added: Array,
    seen: Array,
    padding: Array,
    lengths: Array,
    start: Array,
    out: Array,
    stats: Array,
    key: Array,
    deltas: Array,
    scratch: Array,
    drawn: Array,
    geometry: Array,
    scale: float,
    stream: int,
    least: int,
    keeping: float,
) -> None:
    zero, none = q.dtype.type(0), q.dtype.type(-np.inf)
    factor, kept_scale = q.dtype.type(scale), q.dtype.type(keeping)
    item = q.itemsize
    batch, heads, groups, queries, keys, width, other = geometry[:7]
    mask_kind, padded, causal = geometry[7], geometry[8], geometry[9]
    mask_batch, mask_head, mask_row, mask_step, padding_row = geometry[10:15]
    q_batch, q_head, q_row = _steps(geometry, 0)
    k_batch, k_head, k_row = _steps(geometry, 1)
    v_batch, v_head, v_row = _steps(geometry, 2)
    o_batch, o_head, o_row = _steps(geometry, 3)
    do_batch, do_head, do_row = _steps(geometry, 4)
    dq_batch, dq_head, dq_row = _steps(geometry, 5)
    dk_batch, dk_head, dk_row = _steps(geometry, 6)
    dv_batch, dv_head, dv_row = _steps(geometry, 7)
    words = drawn[t]
    blocks = (keys + WORDS - 1) // WORDS
    wide, lanes = WIDTH // item, VECTOR // item
    pitch, value_pitch, score_pitch = (
        pitch_of(width * item),
        pitch_of(other * item),
        pitch_of(KEYS * item),
    )
    key_panel = (width + lanes - 1) // lanes * lanes * WIDTH
    value_panel = (other + lanes - 1) // lanes * lanes * WIDTH
    size = ROWS * score_pitch // item
    scores, slopes = scratch[t, :size], scratch[t, size : 2 * size]
    scores_at = scratch.ctypes.data + t * scratch.strides[0]
    slopes_at = scores_at + ROWS * score_pitch
    query_at = slopes_at + ROWS * score_pitch
    dout_at = query_at + ROWS * pitch
    rows_at = dout_at + ROWS * value_pitch  # the keys as they are
    key_at = rows_at + KEYS * pitch
    value_at = key_at + KEYS // wide * key_panel
    share_of = heads // max(groups, 1)

    low, high = share(batch * groups, parts, t)
    for unit in range(low, high):
        b, group = unit // groups, unit % groups
        k_at = k.ctypes.data + b * k_batch + group * k_head
        v_at = v.ctypes.data + b * v_batch + group * v_head
        dk_at = dk.ctypes.data + b * dk_batch + group * dk_head
        dv_at = dv.ctypes.data + b * dv_batch + group * dv_head
        padding_at = padding.ctypes.data + b * padding_row if padded else 0
        for j in range(keys):
            _set(row_at(zero, dk_at + j * dk_row, width), zero)
            _set(row_at(zero, dv_at + j * dv_row, other), zero)
        for h in range(group * share_of, (group + 1) * share_of):
            for i in range(queries):
                dq_at = dq.ctypes.data + b * dq_batch + h * dq_head
                _set(row_at(zero, dq_at + i * dq_row, width), zero)
                o = row_at(zero, out.ctypes.data + b * o_batch + h * o_head + i * o_row, other)
                g = row_at(zero, dout.ctypes.data + b * do_batch + h * do_head + i * do_row, other)
                delta = zero
                for j in range(other):
                    delta += g[j] * o[j]
                deltas[(b * heads + h) * queries + i] = delta
        ahead = start[0] + 1 if causal else keys
        most = min(keys, lengths[b], queries - 1 + ahead)
        for j in range(0, most, KEYS):
            count = min(KEYS, most - j)
            k_now, v_now = k_at + j * k_row, v_at + j * v_row
            _transpose(zero, key_at, key_panel, k_now, k_row, count, width)
            _transpose(zero, value_at, value_panel, v_now, v_row, count, other)
            _copy(zero, rows_at, pitch, k_now, k_row, count, width * item)
            for h in range(group * share_of, (group + 1) * share_of):
                head_at = (b * heads + h) * queries
                q_at = q.ctypes.data + b * q_batch + h * q_head
                do_at = dout.ctypes.data + b * do_batch + h * do_head
                dq_at = dq.ctypes.data + b * dq_batch + h * dq_head
                mask_at = b * mask_batch + h * mask_head
                added_at = added.ctypes.data + mask_at if mask_kind == ADDED else 0
                seen_at = seen.ctypes.data + mask_at if mask_kind == BOOLEAN else 0
                for i in range(max(0, j + 1 - ahead), queries, ROWS):
                    rows = min(ROWS, queries - i)
                    n = min(count, i + rows - 1 + ahead - j)
                    _copy(zero, query_at, pitch, q_at + i * q_row, q_row, rows, width * item)
                    _copy(
                        zero, dout_at, value_pitch, do_at + i * do_row, do_row, rows, other * item
                    )
                    _multiply(zero, scores_at, score_pitch, rows, query_at, pitch, item,
                              key_at, WIDTH, key_panel, width, n, True)  # fmt: skip
                    _multiply(zero, slopes_at, score_pitch, rows, dout_at, value_pitch, item,
                              value_at, WIDTH, value_panel, other, n, True)  # fmt: skip
                    for r in range(rows):
                        at, place = r * score_pitch // item, head_at + i + r
                        s, d = scores[at : at + n], slopes[at : at + n]
                        _seen_scores(
                            s,
                            min(n, i + r + ahead - j),
                            factor,
                            added,
                            added_at + (i + r) * mask_row + j * mask_step * item if added_at else 0,
                            seen,
                            seen_at + (i + r) * mask_row + j * mask_step if seen_at else 0,
                            mask_step,
                            padding_at + j if padding_at else 0,
                        )
                        log_total, delta = stats[place], deltas[place]
                        if log_total == none:
                            log_total = zero
                        if least:
                            some = words[: (n + WORDS - 1) // WORDS * WORDS]
                            philox_words(some, place * blocks + j // WORDS, stream, key)
                            _drop(d, words, least, kept_scale)
                        for m in range(s.size):
                            weight = exp(s[m] - log_total)
                            d[m] = weight * (d[m] - delta) * factor
                            s[m] = weight
                        if least:
                            _drop(s, words, least, kept_scale)
                    _multiply(zero, dv_at + j * dv_row, dv_row, n, scores_at, item, score_pitch,
                              dout_at, value_pitch, WIDTH, rows, other, False)  # fmt: skip
                    _multiply(zero, dk_at + j * dk_row, dk_row, n, slopes_at, item, score_pitch,
                              query_at, pitch, WIDTH, rows, width, False)  # fmt: skip
                    _multiply(zero, dq_at + i * dq_row, dq_row, rows, slopes_at, score_pitch, item,
                              rows_at, pitch, WIDTH, n, width, False)  # fmt: skip


def attention_forward(
    out: Array,
    stats: Array,
    key: Array | None,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
    state: Array | None,
    *,
    causal: bool,
    scale: float,
    p: float,
    stream: int,
) -> None:
    if out.size == 0 or k.shape[2] == 0:
        host(np.copyto, out, 0)
        host(np.copyto, stats, -np.inf)
        if key is not None:
            host(np.copyto, key, state)
        return
    q, k, v = map(_with_rows, (q, k, v))
    options = _masks(q, k, mask, padding, lengths, start)
    geometry = _geometry((q, k, v, out), mask, padding, causal)
    batch, heads, queries, width = q.shape
    rows, other, item = batch * heads * queries, v.shape[3], q.itemsize
    parts = parts_for(rows * k.shape[2] * (width + other), rows, SERIAL_PRODUCT)
    scratch = ROWS * (_pitch(KEYS, item) + _pitch(width, item))
    scratch += KEYS * (_whole(width, item) + _pitch(other, item))
    _attention_forward(
        parts,
        _first(out),
        stats.reshape(-1),
        _nothing("uint32") if key is None else key,
        *map(_first, (q, k, v)),
        *options,
        _nothing("uint32") if state is None else _contiguous(state),
        workspace((rows,), q.dtype),
        workspace((parts, scratch), q.dtype),
        workspace((parts, KEYS if key is not None else 0), np.uint32),
        geometry,
        scale,
        *_dropout(key, p, stream),
    )


def attention_backward(
    dq: Array,
    dk: Array,
    dv: Array,
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
    out: Array,
    stats: Array,
    key: Array | None,
    *,
    causal: bool,
    scale: float,
    p: float,
    stream: int,
) -> None:
    if q.size == 0 or k.size == 0 or v.size == 0:
        for gradient in (dq, dk, dv):
            host(np.copyto, gradient, 0)
        return
    q, k, v, out, dout = map(_with_rows, (q, k, v, out, dout))
    options = _masks(q, k, mask, padding, lengths, start)
    geometry = _geometry((q, k, v, out, dout, dq, dk, dv), mask, padding, causal)
    batch, heads, queries, width = q.shape
    rows, other, item = batch * heads * queries, v.shape[3], q.itemsize
    parts = parts_for(rows * k.shape[2] * (width + other), batch * k.shape[1], SERIAL_PRODUCT)
    scratch = ROWS * (2 * _pitch(KEYS, item) + _pitch(width, item) + _pitch(other, item))
    scratch += KEYS * (_pitch(width, item) + _whole(width, item) + _whole(other, item))
    _attention_backward(
        parts,
        *map(_first, (dq, dk, dv, dout, q, k, v)),
        *options,
        _first(out),
        _contiguous(stats).reshape(-1),
        _nothing("uint32") if key is None else _contiguous(key),
        workspace((rows,), q.dtype),
        workspace((parts, scratch), q.dtype),
        workspace((parts, KEYS if key is not None else 0), np.uint32),
        geometry,
        scale,
        *_dropout(key, p, stream),
    )


@loop
def _append_rows(t: int, parts: int, cache: Array, x: Array, start: Array, geometry: Array) -> None:
    """cache: (batch heads, capacity, width); geometry: heads, length, steps of x."""
    heads, length, batch_step, head_step, row_step = geometry
    width, zero, first = cache.shape[2], cache.dtype.type(0), start[0]
    low, high = share(cache.shape[0], parts, t)
    for i in range(low, high):
        head_at = x.ctypes.data + i // heads * batch_step + i % heads * head_step
        for l in range(min(length, cache.shape[1] - first)):
            o, u = cache[i, first + l], row_at(zero, head_at + l * row_step, width)
            for j in range(width):
                o[j] = u[j]


def append_rows(cache: Array, x: Array, start: Array) -> None:
    if x.size == 0:
        return
    x = _with_rows(x)
    rows = cache.reshape(-1, *cache.shape[2:])
    geometry = _integers((x.shape[1], x.shape[2], *x.strides[:3]))
    _append_rows(parts_for(x.size, rows.shape[0]), rows, _first(x), start.reshape(1), geometry)


def _dropout(key: Array | None, p: float, stream: int) -> tuple[int, int, float]:
    """The stream, the least word that keeps (0: no dropout), and the factor of what is kept."""
    if key is None:
        return 0, 0, 1.0
    return stream, threshold(p), 1.0 / (1.0 - p)


def _pitch(numbers: int, item: int) -> int:
    """Numbers of a row of scratch: numba_gemm.pitch_of."""
    return int(pitch_of(numbers * item)) // item


def _whole(numbers: int, item: int) -> int:
    """The next multiple of a vector's numbers."""
    return -(-numbers * item // VECTOR) * VECTOR // item


def _first(x: Array) -> Array:
    """A view of one dimension that tells an array's address and dtype."""
    return x[(0,) * (x.ndim - 1)][:1]


def _contiguous(x: Array) -> Array:
    if x.flags.c_contiguous:
        return x
    copy = workspace(x.shape, x.dtype)
    host(np.copyto, copy, x)
    return copy


def _with_rows(x: Array) -> Array:
    """x, or a copy, whose rows are adjacent numbers."""
    return x if x.strides[-1] == x.itemsize or x.shape[-1] == 1 else _contiguous(x)


@lru_cache(maxsize=64)
def _full(size: int, value: int) -> Array:
    return np.full(size, value, np.int64)


@lru_cache(maxsize=8)
def _nothing(dtype: str) -> Array:
    return np.zeros(1, dtype)


def _masks(
    q: Array,
    k: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
) -> tuple[Array, ...]:
    """What the loops take: added, seen, padding, lengths, start.

    What is absent becomes a fixed array: lengths of all keys, or one number that is never read.
    """
    boolean = mask is not None and mask.dtype.kind == "b"
    return (
        _nothing(q.dtype.name) if mask is None or boolean else _first(mask),
        _first(mask) if mask is not None and boolean else _nothing("bool"),
        _nothing("bool") if padding is None else _contiguous(padding).reshape(-1),
        _full(q.shape[0], k.shape[2]) if lengths is None else _contiguous(lengths),
        _full(1, 0) if start is None else start.reshape(1),
    )


def _geometry(
    arrays: tuple[Array, ...], mask: Array | None, padding: Array | None, causal: bool
) -> Array:
    """Sizes and steps of the arrays, q, k and v first, as the loops unpack them."""
    q, k, v, *_ = arrays
    batch, heads, queries, width = q.shape
    kind, (*steps, step) = NO_MASK, mask_steps(mask)
    if mask is not None:
        kind, step = BOOLEAN if mask.dtype.kind == "b" else ADDED, step // mask.itemsize
    sizes = batch, heads, k.shape[1], queries, k.shape[2], width, v.shape[3]
    masks = kind, padding is not None, causal, *steps, step, k.shape[2]
    return _integers((*sizes, *masks, *(step for x in arrays for step in x.strides[:3])))


@lru_cache(maxsize=256)
def _integers(values: tuple[int, ...]) -> Array:
    return np.array(values, np.int64)


LOOPS = {
    "attention_forward": attention_forward,
    "attention_backward": attention_backward,
    "append_rows": append_rows,
}
