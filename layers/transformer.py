"""The transformer's layers and stacks of them."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..errors import OptionError
from .attention import MultiHeadAttention
from .dense import Dense
from .dropout import Dropout
from .key_value_cache import KeyValueCache
from .layer_norm import LayerNorm
from .module import Module
from .positions import RotaryPositions


class _Layer(Module):
    """The feed-forward part, and how a part joins what goes around it."""

    def __init__(
        self, d_model: int, dim_feedforward: int, dropout: float, activation: str, norm_first: bool,
        bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm_first = norm_first
        self.linear1 = Dense(d_model, dim_feedforward, activation=activation, bias=bias)
        self.linear2 = Dense(dim_feedforward, d_model, bias=bias)
        self.dropout = Dropout(dropout)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.linear1(x)))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network, each with dropout, a residual and a norm.

        norm_first=False    x = norm1(x + attention(x));  x = norm2(x + feed_forward(x))
        norm_first=True     x = x + attention(norm1(x));  x = x + feed_forward(norm2(x))
        feed_forward(x) = linear2(dropout(activation(linear1(x))))

    Shapes: src (batch, length, d_model) -> the same. Arguments and masks are those of PyTorch's
    TransformerEncoderLayer, the batch always first; `activation` is one of Dense's. `causal`,
    `num_kv_heads`, `rotary` and `cache` are those of MultiHeadAttention: a causal layer is what a
    generative model (GPT) is made of.

    Sources: Vaswani et al., NeurIPS 2017; Xiong et al., "On layer normalization in the transformer
    architecture", ICML 2020, for norm_first.

    >>> import tercet as tc
    >>> layer = TransformerEncoderLayer(16, 4, 32, norm_first=True, causal=True)
    >>> layer(tc.ones(2, 5, 16)).shape
    (2, 5, 16)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        *,
        num_kv_heads: int | None = None,
        causal: bool = False,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__(d_model, dim_feedforward, dropout, activation, norm_first, bias)
        self.self_attn = MultiHeadAttention(
            d_model, nhead, num_kv_heads, dropout=dropout, bias=bias, causal=causal, rotary=rotary
        )
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)

    def forward(
        self,
        src: Tensor,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        def attention(x: Tensor) -> Tensor:
            out = self.self_attn(
                x,
                key_padding_mask=src_key_padding_mask,
                attn_mask=src_mask,
                is_causal=is_causal,
                cache=cache,
            )
            return self.dropout(out)

        if self.norm_first:
            attended = attention(self.norm1(src))
            normed, src = self.norm2(attended, src)
            return src + self.dropout(self.feed_forward(normed))
        x, _ = self.norm1(attention(src), src)
        return self.norm2(self.dropout(self.feed_forward(x)), x)[0]


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output, and a feed-forward network.

    As TransformerEncoderLayer, with attention to `memory` and norm2 between the two parts. Shapes:
    tgt (batch, length, d_model), memory (batch, keys, d_model) -> as tgt. Arguments and masks are
    those of PyTorch's TransformerDecoderLayer, the batch always first; a decoder that may not look
    ahead is made with causal=True, or called with tgt_is_causal=True.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017.

    >>> import tercet as tc
    >>> layer = TransformerDecoderLayer(16, 4, 32, causal=True)
    >>> layer(tc.ones(2, 5, 16), tc.ones(2, 7, 16)).shape
    (2, 5, 16)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        *,
        num_kv_heads: int | None = None,
        causal: bool = False,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__(d_model, dim_feedforward, dropout, activation, norm_first, bias)
        options: dict[str, Any] = {"dropout": dropout, "bias": bias}
        self.self_attn = MultiHeadAttention(
            d_model, nhead, num_kv_heads, causal=causal, rotary=rotary, **options
        )
        self.multihead_attn = MultiHeadAttention(
            d_model, nhead, num_kv_heads, kdim=d_model, vdim=d_model, **options
        )
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        def attention(x: Tensor) -> Tensor:
            out = self.self_attn(
                x,
                key_padding_mask=tgt_key_padding_mask,
                attn_mask=tgt_mask,
                is_causal=tgt_is_causal,
                cache=cache,
            )
            return self.dropout(out)

        def look(x: Tensor) -> Tensor:
            out = self.multihead_attn(
                x,
                memory,
                key_padding_mask=memory_key_padding_mask,
                attn_mask=memory_mask,
                is_causal=memory_is_causal,
            )
            return self.dropout(out)

        if self.norm_first:
            normed, tgt = self.norm2(attention(self.norm1(tgt)), tgt)
            normed, tgt = self.norm3(look(normed), tgt)
            return tgt + self.dropout(self.feed_forward(normed))
        x, _ = self.norm1(attention(tgt), tgt)
        x, _ = self.norm2(look(x), x)
        return self.norm3(self.dropout(self.feed_forward(x)), x)[0]


class _Stack(Module):
    """`num_layers` layers as the one given, each with parameters of its own."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        if not isinstance(num_layers, int) or num_layers < 1:
            raise OptionError(
                f"{type(self).__name__}: num_layers must be a positive integer, found {num_layers}"
            )
        for i in range(num_layers):
            setattr(self, str(i), type(layer).from_config(layer.config()))
        self.num_layers, self.norm = num_layers, norm

    def caches(self, batch: int, capacity: int) -> list[KeyValueCache]:
        """A cache for each layer, for generating (see MultiHeadAttention)."""
        return [layer.self_attn.cache(batch, capacity) for layer in self._layers()]

    def _layers(self) -> list[Any]:
        return [self._modules[str(i)] for i in range(self.num_layers)]

    def _run(
        self, x: Tensor, caches: list[KeyValueCache] | None, *inputs: Any, **masks: Any
    ) -> Tensor:
        layers = self._layers()
        if caches is not None and len(caches) != len(layers):
            raise OptionError(
                f"{type(self).__name__}: expected a cache for each of {len(layers)} layers, found "
                f"{len(caches)}; make them with .caches(batch, capacity)"
            )
        for i, layer in enumerate(layers):
            x = layer(x, *inputs, **masks, cache=None if caches is None else caches[i])
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """Encoder layers one after the other, then `norm` if one is given.

    The layers are made as `encoder_layer` was, each with parameters drawn anew; PyTorch's begin as
    copies of one. They are named "0", "1" and so on.

    >>> import tercet as tc
    >>> layer = TransformerEncoderLayer(16, 4, 32, norm_first=True, causal=True)
    >>> model = TransformerEncoder(layer, 2, tc.layers.LayerNorm(16))
    >>> model(tc.ones(2, 5, 16)).shape
    (2, 5, 16)
    """

    def __init__(
        self, encoder_layer: TransformerEncoderLayer, num_layers: int, norm: Module | None = None
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
        caches: list[KeyValueCache] | None = None,
    ) -> Tensor:
        masks = {"src_mask": mask, "src_key_padding_mask": src_key_padding_mask}
        return self._run(src, caches, **masks, is_causal=is_causal)


class TransformerDecoder(_Stack):
    """Decoder layers one after the other, then `norm` if one is given; see TransformerEncoder.

    >>> import tercet as tc
    >>> model = TransformerDecoder(TransformerDecoderLayer(16, 4, 32, causal=True), 2)
    >>> model(tc.ones(2, 5, 16), tc.ones(2, 7, 16)).shape
    (2, 5, 16)
    """

    def __init__(
        self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None
    ) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        caches: list[KeyValueCache] | None = None,
    ) -> Tensor:
        masks = {
            "tgt_mask": tgt_mask,
            "memory_mask": memory_mask,
            "tgt_key_padding_mask": tgt_key_padding_mask,
            "memory_key_padding_mask": memory_key_padding_mask,
            "tgt_is_causal": tgt_is_causal,
            "memory_is_causal": memory_is_causal,
        }
        return self._run(tgt, caches, memory, **masks)
