"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor
from ..autograd.functional import dense
from ..autograd.functional.attention import as_mask, attend, attend_fused
from ..errors import DTypeError, OptionError, ShapeError
from .dense import Dense
from .key_value_cache import KeyValueCache
from .module import Module
from .positions import RotaryPositions


class MultiHeadAttention(Module):
    """Attention of several heads over projections of query, key and value, projected back.

        out = concat_h(softmax(q_h k_h^T / sqrt(width) + mask) v_h) W_o + b_o
        q = query W_q + b_q,  k = key W_k + b_k,  v = value W_v + b_v
        width = embed_dim / num_heads

    Shapes: query (batch, length, embed_dim), key (batch, keys, kdim), value (batch, keys, vdim) ->
    (batch, length, embed_dim); key and value are the query if not given. The batch comes first.

    num_kv_heads    grouped queries: as many heads of keys and values, each for several of queries
    kdim, vdim      widths of key and value; if either is given, query, key and value have layers of
                    their own, `q_proj`, `k_proj`, `v_proj`, which suits cross-attention. Else
                    `in_proj` holds all three, W_q, W_k and W_v side by side: one product where the
                    query is key and value, too
    dropout         of the weights, while training
    causal          each query meets the keys up to its own position
    rotary          a RotaryPositions(width) that turns queries and keys

    Masks are as in PyTorch's MultiheadAttention, where a boolean True means *ignore*, the opposite
    of `scaled_dot_product_attention`: `key_padding_mask` (batch, keys), boolean; `attn_mask`
    (length, keys), (batch * num_heads, length, keys) or what broadcasts to (batch, num_heads,
    length, keys), boolean, or floating and added. `is_causal` makes one call causal. A query to
    which no key is left gets zeros from every head. Unlike there, weights are not returned: they
    are never all there at once.

    With a `cache` (see `cache`), for generating, the keys and values of this call are appended to
    it and the queries attend causally to all that it holds; nothing is differentiated.

    Sources: Vaswani et al., "Attention is all you need", NeurIPS 2017; Ainslie et al., "GQA", 2023.

    >>> import tercet as tc
    >>> layer = MultiHeadAttention(16, 4, causal=True)
    >>> layer(tc.ones(2, 5, 16)).shape, layer.num_parameters()
    ((2, 5, 16), 1088)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        causal: bool = False,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__()
        groups = num_heads if num_kv_heads is None else num_kv_heads
        if min(embed_dim, num_heads, groups) < 1 or embed_dim % num_heads:
            raise OptionError(
                "MultiHeadAttention: embed_dim must be a multiple of num_heads, found embed_dim="
                f"{embed_dim}, num_heads={num_heads}"
            )
        if num_heads % groups:
            raise OptionError(
                "MultiHeadAttention: num_heads must be a multiple of num_kv_heads, found "
                f"num_heads={num_heads}, num_kv_heads={groups}"
            )
        if not 0.0 <= dropout < 1.0:
            raise OptionError(f"MultiHeadAttention: dropout must be in [0, 1), found {dropout}")
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, groups
        self.width = embed_dim // num_heads
        if rotary is not None and rotary.width != self.width:
            raise OptionError(
                f"MultiHeadAttention: heads have width {self.width}, embed_dim / num_heads; found "
                f"RotaryPositions({rotary.width})"
            )
        self.dropout, self.causal, self.rotary = dropout, causal, rotary
        self.fused = kdim is None and vdim is None
        if self.fused:
            self.in_proj = Dense(embed_dim, (num_heads + 2 * groups) * self.width, bias=bias)
        else:
            self.q_proj = Dense(embed_dim, embed_dim, bias=bias)
            self.k_proj = Dense(kdim or embed_dim, groups * self.width, bias=bias)
            self.v_proj = Dense(vdim or embed_dim, groups * self.width, bias=bias)
        self.out_proj = Dense(embed_dim, embed_dim, bias=bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Any = None,
        attn_mask: Any = None,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        key = query if key is None else key
        value = key if value is None else value
        self._check(query, key, value)
        (batch, length, _), keys = query.shape, key.shape[1]
        mask = self._mask(attn_mask, query, (batch, self.num_heads, length, keys))
        padding = self._padding(key_padding_mask, query, (batch, keys))
        alone = key is query and value is query
        p = self.dropout if self.training else 0.0
        causal = self.causal or is_causal
        if cache is not None:
            if not (alone and mask is None and padding is None):
                raise OptionError(
                    "MultiHeadAttention with a cache attends causally to its own sequence: it "
                    "takes neither key and value nor masks"
                )
            out = self._cached(query, cache)
        elif self.fused and alone:
            x = self._heads(self.in_proj(query))
            if self.rotary is not None:
                x = self.rotary(x, heads=self.num_heads + self.num_kv_heads)
            out = attend_fused(x, self.num_kv_heads, mask, padding, causal=causal, p=p)
        else:
            q, k, v = (x.swapaxes(1, 2) for x in self._projected(query, key, value, 0))
            out = attend(q, k, v, mask, padding, causal=causal, p=p)
        joined = out.swapaxes(1, 2).reshape(batch, length, self.embed_dim)
        return self.out_proj(joined)

    def cache(self, batch: int, capacity: int) -> KeyValueCache:
        """An empty cache for sequences of up to `capacity` positions."""
        sizes = (batch, self.num_kv_heads, capacity, self.width)
        if self.rotary is not None and capacity > self.rotary.max_length:
            raise OptionError(
                f"MultiHeadAttention: a cache of {capacity} positions is longer than "
                f"RotaryPositions knows, max_length={self.rotary.max_length}"
            )
        return KeyValueCache(*sizes, dtype=self.dtype.name, backend=self.backend)

    def _cached(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        start = cache.position
        q, k, v = (t.swapaxes(1, 2).detach() for t in self._projected(x, x, x, start))
        cache.append(k, v)
        dtype = cache.keys.dtype
        out = attend(q.astype(dtype), cache.keys, cache.values, start=start, causal=True)
        cache.advance(x.shape[1])
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, length, heads, width)"""
        return x.reshape(*x.shape[:2], x.shape[2] // self.width, self.width)

    def _projected(
        self, query: Tensor, key: Tensor, value: Tensor, start: int | Tensor
    ) -> list[Tensor]:
        """q, k, v: (batch, length, heads, width)."""
        if self.fused:
            weight, bias = self.in_proj.weight, self.in_proj.bias
            assert weight is not None
            ends = [self.num_heads, self.num_heads + self.num_kv_heads]
            ends = [end * self.width for end in (0, *ends, ends[-1] + self.num_kv_heads)]
            projected = [
                dense(x, weight[:, low:high], None if bias is None else bias[low:high])
                for x, low, high in zip((query, key, value), ends[:-1], ends[1:], strict=True)
            ]
        else:
            projected = [self.q_proj(query), self.k_proj(key), self.v_proj(value)]
        q, k, v = map(self._heads, projected)
        if self.rotary is not None:
            q, k = self.rotary(q, start), self.rotary(k, start)
        return [q, k, v]

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        fits = query.ndim == key.ndim == value.ndim == 3
        fits = fits and query.shape[0] == key.shape[0] and key.shape[:2] == value.shape[:2]
        if not fits or query.shape[2] != self.embed_dim:
            raise ShapeError(
                f"MultiHeadAttention takes query (batch, length, {self.embed_dim}), key and value "
                f"(batch, keys, width); found query {query.shape}, key {key.shape}, value "
                f"{value.shape}"
            )

    def _mask(self, mask: Any, like: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        if mask is None:
            return None
        batch, heads, *sizes = shape
        mask = mask if isinstance(mask, Tensor) else np.asarray(mask)
        if mask.shape == (batch * heads, *sizes):
            mask = mask.reshape(*shape)
        found = as_mask(mask, like, shape)
        return found == False if found.dtype.kind == "b" else found  # noqa: E712

    def _padding(self, padding: Any, like: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        if padding is None:
            return None
        found = as_mask(padding, like, shape, "key_padding_mask")
        if found.dtype.kind != "b":
            raise DTypeError(
                f"key_padding_mask is boolean, True where a key is ignored; found {found.dtype}"
            )
        if found.shape != shape:
            raise ShapeError(
                f"key_padding_mask: expected (batch, keys), {shape}, found {found.shape}"
            )
        return found == False  # noqa: E712
