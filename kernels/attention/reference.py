"""Scaled dot-product attention.

    s_ij  = scale q_i . k_j + mask_ij,   -inf where query i must not see key j
    P_ij  = e^(s_ij - stats_i),          stats_i = log sum_j e^(s_ij)
    out_i = sum_j D_ij v_j               D = P, or P under dropout: P keep / (1 - p)

    delta_i = dout_i . out_i
    dS_ij   = P_ij ((dout_i . v_j) keep_ij / (1 - p) - delta_i)
    dv_j    = sum_i D_ij dout_i,   dq_i = scale sum_j dS_ij k_j,   dk_j = scale sum_i dS_ij q_i

q: (batch, heads, queries, width); k: (batch, groups, keys, width); v: (batch, groups, keys, other
width), each key and value head for heads / groups query heads in a row (Ainslie et al., "GQA",
2023). What a query sees is told by any of these together, each of which may be absent:

    mask     broadcasts to (batch, heads, queries, keys); boolean: True is seen; floating: added
    padding  (batch, keys), boolean: True is seen
    lengths  (batch,), int64: keys from lengths[b] on are not seen
    causal   query i sees the keys up to start + i: the first query is the start-th of the sequence,
             start () int64, 0 if absent, as beside a cache of keys

A query that sees nothing has out 0, stats -inf and no gradient. Element (i, j) of a head is kept by
dropout when its random word is at least p 2^32: word j % 4 of block r ceil(keys / 4) + j // 4 with
r = (b heads + h) queries + i (see random/philox.py), so that the mask is never stored.

The reference makes arrays (batch, heads, queries, keys). The loops and CUDA kernels never do: they
go through keys in blocks, each of which corrects the sums for the maximum seen so far, and keep a
number a query for the backward pass, which computes the scores of each block again.

Sources: Vaswani et al., "Attention is all you need", NeurIPS 2017; Dao et al., "FlashAttention",
NeurIPS 2022.
"""

from typing import Any

from ..dropout.reference import threshold
from ..random.reference import words
from ..spec import Array

WORDS = 4  # of a block of random words


def attention_forward(
    xp: Any,
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
    """out: (batch, heads, queries, width of v); stats: (batch, heads, queries); key: state or None.

    `state` is the random state (4,), absent without dropout.
    """
    scores = _scores(xp, q, k, mask, padding, lengths, start, causal, scale)
    top = scores.max(axis=-1, keepdims=True, initial=-xp.inf)
    weights = xp.exp(scores - xp.where(xp.isfinite(top), top, 0))
    total = weights.sum(axis=-1, keepdims=True)
    stats[...] = (xp.log(total) + top)[..., 0]
    weights /= xp.where(total > 0, total, 1)
    if key is not None and state is not None:
        key[...] = state
        weights = _dropped(xp, weights, state, p, stream)
    grouped = _grouped(weights, k.shape[1])
    out[...] = xp.matmul(grouped, v[:, :, None]).reshape(out.shape)


def attention_backward(
    xp: Any,
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
    """dq, dk, dv: as q, k, v."""
    groups = k.shape[1]
    scores = _scores(xp, q, k, mask, padding, lengths, start, causal, scale)
    weights = xp.exp(scores - xp.where(xp.isfinite(stats), stats, 0)[..., None])
    ddropped = xp.matmul(_grouped(dout, groups), v.swapaxes(-1, -2)[:, :, None])
    ddropped = ddropped.reshape(weights.shape)
    dropped = weights
    if key is not None:
        dropped = _dropped(xp, weights, key, p, stream)
        ddropped = _dropped(xp, ddropped, key, p, stream)
    delta = (dout * out).sum(axis=-1, keepdims=True)
    dscores = _grouped(weights * (ddropped - delta) * scale, groups)
    dq[...] = xp.matmul(dscores, k[:, :, None]).reshape(dq.shape)
    dk[...] = xp.matmul(dscores.swapaxes(-1, -2), _grouped(q, groups)).sum(axis=2)
    dropped = _grouped(dropped, groups).swapaxes(-1, -2)
    dv[...] = xp.matmul(dropped, _grouped(dout, groups)).sum(axis=2)


def append_rows(xp: Any, cache: Array, x: Array, start: Array) -> None:
    """cache[:, :, start + l] = x[:, :, l]; rows beyond the cache's end are left out.

    cache: (batch, heads, capacity, width); x: (batch, heads, length, width); start: () int64.
    """
    first = int(start)
    room = cache[:, :, first : first + x.shape[2]]
    room[...] = x[:, :, : room.shape[2]]


def _grouped(x: Array, groups: int) -> Array:
    """(batch, heads, ...) as (batch, groups, heads of a group, ...)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // max(groups, 1), *x.shape[2:])


def _scores(
    xp: Any,
    q: Array,
    k: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
    causal: bool,
    scale: float,
) -> Array:
    """s: (batch, heads, queries, keys), -inf where a query does not see a key."""
    batch, heads, queries, _ = q.shape
    keys = k.shape[2]
    scores = xp.matmul(_grouped(q, k.shape[1]), k.swapaxes(-1, -2)[:, :, None])
    scores = scores.reshape(batch, heads, queries, keys) * scale
    seen = xp.ones((1, 1, queries, keys), bool)
    if mask is not None:
        if mask.dtype.kind == "b":
            seen = seen & mask
        else:
            scores = scores + mask
    if padding is not None:
        seen = seen & padding[:, None, None]
    if lengths is not None:
        seen = seen & (xp.arange(keys) < lengths[:, None])[:, None, None]
    if causal:
        first = 0 if start is None else start
        seen = seen & (xp.arange(keys) <= xp.arange(queries)[:, None] + first)
    return xp.where(seen, scores, -xp.inf)


def _dropped(xp: Any, weights: Array, key: Array, p: float, stream: int) -> Array:
    """weights keep / (1 - p)."""
    *leading, keys = weights.shape
    padded = -(-keys // WORDS) * WORDS
    count = padded
    for size in leading:
        count *= size
    drawn = words(xp, count, key, stream).reshape(*leading, padded)[..., :keys]
    return xp.where(drawn >= threshold(p), weights * (1.0 / (1.0 - p)), 0)
