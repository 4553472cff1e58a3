"""Scaled dot-product attention as a function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import DTypeError, GradientError, OptionError, ShapeError
from ..dtypes import is_float
from ..functions.attention import Attention, FusedAttention
from ..precision import half_of
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor

Shape = tuple[int, ...]


def scaled_dot_product_attention(
    query: Operand,
    key: Operand,
    value: Operand,
    attn_mask: Operand | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale q k^T + mask) v, without an array (queries, keys); PyTorch's semantics.

    query (..., heads, queries, width), key (..., groups, keys, width), value (..., groups, keys,
    other width) -> (..., heads, queries, other width).

    attn_mask     broadcasts to (..., heads, queries, keys); boolean: True takes part; floating: is
                  added to the scores. It gets no gradient
    dropout_p     probability with which a weight is zeroed; the others are scaled by 1 / (1 - p).
                  Pass 0 outside training
    is_causal     query i meets keys 0 to i, both counted from their first (the mask's top left
                  corner), also where their numbers differ; excludes attn_mask
    scale         1 / sqrt(width) if None
    enable_gqa    allows fewer groups than heads: each key and value head serves heads / groups
                  query heads in a row

    A query to which no key is left has zeros. Inside `autocast`, query, key and value are rounded
    to 16 bits; scores, softmax and sums are float32.

    Sources: Vaswani et al., "Attention is all you need", NeurIPS 2017; Dao et al.,
    "FlashAttention", NeurIPS 2022.

    >>> import tercet as tc
    >>> x = tc.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)[0, 0].tolist()
    [1.0, 0.0]
    """
    q = as_tensor(query)
    k, v = (as_tensor(t, q.backend, q.dtype) for t in (key, value))
    _check(q, k, v, enable_gqa)
    if is_causal and attn_mask is not None:
        raise OptionError(
            "scaled_dot_product_attention: is_causal is a mask of its own and excludes attn_mask. "
            "Put both into attn_mask, or leave one out"
        )
    shape, other = q.shape, v.shape[-1]
    mask = None if attn_mask is None else as_mask(attn_mask, q, (*shape[:-1], k.shape[-2]))
    if mask is not None and mask.ndim > 4:
        mask = mask.broadcast_to(*shape[:-3], *mask.shape[-3:])
        mask = mask.reshape(math.prod(shape[:-3]), *mask.shape[-3:])
    q, k, v = map(_four, (q, k, v))
    out = attend(q, k, v, mask, causal=is_causal, scale=scale, p=dropout_p)
    return out.reshape(*shape[:-1], other)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    padding: Tensor | None = None,
    lengths: Tensor | None = None,
    start: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    p: float = 0.0,
) -> Tensor:
    """Attention over four axes with all that kernels/attention/reference.py knows of masks."""
    half = half_of(q, k, v)
    if half is not None:
        q, k, v = q.astype(half), k.astype(half), v.astype(half)
        mask = mask if mask is None or not is_float(mask.dtype) else mask.astype(half)
    options = {"causal": bool(causal), "scale": _scale(q, scale), "p": _probability(p)}
    out: Tensor = apply(Attention, q, k, v, mask, padding, lengths, start, **options)
    return out


def attend_fused(
    x: Tensor,
    groups: int,
    mask: Tensor | None = None,
    padding: Tensor | None = None,
    *,
    causal: bool = False,
    p: float = 0.0,
) -> Tensor:
    """Attention among the rows of one product x (batch, length, heads + 2 groups, width).

    Along its third axis stand the heads of the queries, of the keys, and of the values.
    """
    half = half_of(x)
    if half is not None:
        x = x.astype(half)
        mask = mask if mask is None or not is_float(mask.dtype) else mask.astype(half)
    options = {"causal": bool(causal), "scale": _scale(x, None), "p": _probability(p)}
    out: Tensor = apply(FusedAttention, x, mask, padding, groups=groups, **options)
    return out


def as_mask(mask: Operand, like: Tensor, shape: Shape, name: str = "attn_mask") -> Tensor:
    """A mask that broadcasts to `shape`, boolean or in the dtype of `like`, or an error."""
    given = mask if isinstance(mask, Tensor) else np.asarray(mask)
    if given.dtype.kind != "b" and not is_float(given.dtype):
        raise DTypeError(
            f"{name} is boolean, or floating and added to the scores; found {given.dtype}. "
            "Convert it: mask.astype('bool')"
        )
    found = as_tensor(given, like.backend, None if given.dtype.kind == "b" else like.dtype)
    if found.requires_grad:
        raise GradientError(
            f"{name} gets no gradient from attention, but requires one. Pass {name}.detach(), or "
            "compute the attention from matmul and softmax"
        )
    try:
        fits = np.broadcast_shapes(found.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{name} of shape {found.shape} does not broadcast to {shape}, one number for each "
            "query and key"
        )
    found = found if found.dtype.kind == "b" else found.astype(like.dtype)
    return found if found.ndim >= 2 else found.reshape(1, found.size)


def _check(q: Tensor, k: Tensor, v: Tensor, grouped: bool) -> None:
    """The shapes and dtypes of query, key and value, or an error."""
    shapes = f"query {q.shape}, key {k.shape}, value {v.shape}"
    name = "scaled_dot_product_attention"
    if not (q.ndim == k.ndim == v.ndim >= 2):
        raise ShapeError(
            f"{name}: expected as many axes of each, two or more: (..., heads, rows, width); "
            f"found {shapes}"
        )
    if not is_float(q.dtype) or not (q.dtype == k.dtype == v.dtype):
        raise DTypeError(
            f"{name}: expected one floating dtype, found query {q.dtype}, key {k.dtype}, value "
            f"{v.dtype}. Convert with .astype(...)"
        )
    if (
        q.shape[-1] != k.shape[-1]
        or k.shape[-2] != v.shape[-2]
        or q.shape[:-3] != k.shape[:-3]
        or k.shape[:-2] != v.shape[:-2]
    ):
        raise ShapeError(
            f"{name}: expected equal widths of query and key, equal lengths of key and value, and "
            f"equal leading axes; found {shapes}"
        )
    heads, groups = (t.shape[-3] if t.ndim > 2 else 1 for t in (q, k))
    if heads == groups:
        return
    if not grouped:
        raise ShapeError(
            f"{name}: {heads} query heads and {groups} key heads; found {shapes}. Pass "
            "enable_gqa=True where several query heads share a key head"
        )
    if not groups or heads % groups:
        raise ShapeError(
            f"{name}: the number of query heads, {heads}, must be a multiple of that of key heads, "
            f"{groups}"
        )


def _four(x: Tensor) -> Tensor:
    """x over (batch, heads, rows, width)."""
    if x.ndim == 4:
        return x
    *leading, heads, rows, width = (1, 1, *x.shape)[-max(x.ndim, 3) :]
    return x.reshape(math.prod(leading), heads, rows, width)


def _scale(q: Tensor, scale: float | None) -> float:
    return 1.0 / math.sqrt(max(q.shape[-1], 1)) if scale is None else float(scale)


def _probability(p: Any) -> float:
    if not 0.0 <= p < 1.0:
        raise OptionError(f"attention: dropout must be in [0, 1), found {p}")
    return float(p)
