"""BERT: an encoder of text, and sentences as unit vectors."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor, as_tensor
from ..autograd.functional import tanh
from ..autograd.functional.attention import attend
from ..errors import OptionError, ShapeError
from ..layers import Dense, Dropout, Embedding, LayerNorm, Module, ModuleList
from ..layers.initializers import Normal
from .model import Model

# What BERT's matrices are drawn with.
SPREAD = 0.02


class BertLayer(Module):
    """Self-attention and a feed-forward network, each followed by a residual and a norm."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, eps: float) -> None:
        super().__init__()
        self.heads, self.p = heads, dropout
        self.query, self.key, self.value = (_dense(width, width) for _ in range(3))
        self.attended = _dense(width, width)
        self.norm1 = LayerNorm(width, eps)
        self.linear1 = Dense(width, hidden, activation="gelu", weight_init=Normal(0.0, SPREAD))
        self.linear2 = _dense(hidden, width)
        self.norm2 = LayerNorm(width, eps)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """x (batch, length, width), kept (batch, length) boolean -> as x."""
        q, k, v = (self._by_head(layer(x)) for layer in (self.query, self.key, self.value))
        out = attend(q, k, v, None, kept, p=self.p if self.training else 0.0)
        out = out.swapaxes(1, 2).reshape(*x.shape)
        x, _ = self.norm1(self.dropout(self.attended(out)), x)
        normed, _ = self.norm2(self.dropout(self.linear2(self.linear1(x))), x)
        return normed

    def _by_head(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.reshape(batch, length, self.heads, width // self.heads).swapaxes(1, 2)


class BERT(Model):
    """Bidirectional encoder: each token's vector from all tokens of its text.

        x = norm(word[token] + position[i] + type[segment])
        x = norm1(x + attention(x)),  x = norm2(x + W2 gelu(W1 x)),  in each layer

    Shapes: tokens (batch, length) of numbers below `vocabulary`, `mask` (batch, length) with True
    or 1 for tokens and False or 0 for padding, `types` (batch, length) the segment of each token,
    0 if not given -> (batch, length, width).

    `sentences` gives unit vectors, `pooled` tanh of a dense layer on the first token's vector, for
    classifiers. Sizes are by default those of BERT-base. Parameters map one to one to Hugging
    Face's: interop.load_pytorch(model, path, interop.maps.BERT). `pooler=False` leaves that layer
    out.

    Source: Devlin et al., "BERT: pre-training of deep bidirectional transformers for language
    understanding", NAACL 2019.

    >>> import tercet as tc
    >>> model = BERT(vocabulary=100, width=16, layers=2, heads=4, hidden=32, max_length=8).eval()
    >>> model([[1, 5, 2], [1, 2, 0]], mask=[[1, 1, 1], [1, 1, 0]]).shape
    (2, 3, 16)
    >>> model.sentences([[1, 5, 2], [1, 2, 0]], mask=[[1, 1, 1], [1, 1, 0]]).shape
    (2, 16)
    """

    input_dtype = "int64"

    def __init__(
        self,
        vocabulary: int = 30522,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        max_length: int = 512,
        types: int = 2,
        dropout: float = 0.1,
        eps: float = 1e-12,
        pooler: bool = True,
    ) -> None:
        super().__init__()
        if min(width, heads, layers) < 1 or width % heads:
            raise OptionError(
                f"BERT: width must be a multiple of heads, found width={width}, heads={heads}"
            )
        self.max_length, self.width = max_length, width
        self.word_embeddings = _embedding(vocabulary, width)
        self.position_embeddings = _embedding(max_length, width)
        self.token_type_embeddings = _embedding(types, width)
        self.norm = LayerNorm(width, eps)
        self.dropout = Dropout(dropout)
        self.layers = ModuleList(
            BertLayer(width, heads, hidden, dropout, eps) for _ in range(layers)
        )
        self.pooler = _dense(width, width) if pooler else None

    def forward(self, tokens: Tensor, mask: Any = None, types: Any = None) -> Tensor:
        if tokens.ndim != 2 or not 0 < tokens.shape[1] <= self.max_length:
            raise ShapeError(
                f"BERT takes tokens (batch, length) of length 1 to {self.max_length}, found shape "
                f"{tokens.shape}"
            )
        kept = None if mask is None else self._kept(mask, tokens)
        x = self.word_embeddings(tokens) + self.position_embeddings.weight[: tokens.shape[1]]
        if types is None:
            x = x + self.token_type_embeddings.weight[0]
        else:
            x = x + self.token_type_embeddings(as_tensor(types, tokens.backend))
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, kept)
        return x

    def _kept(self, mask: Any, tokens: Tensor) -> Tensor:
        given = as_tensor(mask, tokens.backend)
        if given.shape != tokens.shape:
            raise ShapeError(f"BERT: expected a mask of shape {tokens.shape}, found {given.shape}")
        return given if given.dtype.kind == "b" else given != 0

    def pooled(self, tokens: Any, mask: Any = None, types: Any = None) -> Tensor:
        """tanh(W x_0 + b) of the first token's vector: (batch, width)."""
        if self.pooler is None:
            raise OptionError("this BERT was made with pooler=False")
        return tanh(self.pooler(self(tokens, mask, types)[:, 0]))

    def sentences(self, tokens: Any, mask: Any = None, types: Any = None) -> Tensor:
        """The mean of the tokens' vectors, without padding, scaled to length 1: (batch, width).

        Scalar products of two are cosines: how alike two sentences are.

        Source: Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, section 3.
        """
        x = self(tokens, mask, types)
        if mask is None:
            mean = x.mean(axis=1)
        else:
            weight = as_tensor(mask, x.backend).astype(x.dtype).expand_dims(2)
            mean = (x * weight).sum(axis=1) / weight.sum(axis=1)
        return mean / (mean * mean).sum(axis=1, keepdims=True).sqrt()


def _dense(width_in: int, width_out: int) -> Dense:
    return Dense(width_in, width_out, weight_init=Normal(0.0, SPREAD))


def _embedding(count: int, width: int) -> Embedding:
    return Embedding(count, width, weight_init=Normal(0.0, SPREAD))
