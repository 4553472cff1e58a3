"""A generative transformer (GPT)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Captured, Tensor, no_grad, tensor
from ..autograd.functional import dense
from ..backends.generator import Generator
from ..errors import DataError, OptionError, ShapeError
from ..layers import (
    Dropout,
    Embedding,
    LayerNorm,
    LearnedPositions,
    ModuleList,
    RotaryPositions,
    TransformerEncoderLayer,
)
from ..layers.initializers import Normal
from ..layers.key_value_cache import KeyValueCache
from .model import Model


class GPT(Model):
    """Says at each place of a sequence of tokens which one follows.

        x = wte[tokens] + wpe[place];  x = block(x) for each block in h
        logits = ln_f(x) wte^T

    A block is a causal TransformerEncoderLayer with norms first and a feed-forward part of four
    times the width. The head is the table of the embeddings itself. Shapes: tokens (n, length),
    whole numbers in [0, vocabulary), length at most `context` -> logits (n, length, vocabulary); to
    be trained by the loss "cross_entropy" with targets (n, length).

    `rotary` turns queries and keys in place of adding learned positions. `activation` is
    "gelu_tanh", GPT-2's, or another of Dense's. Weights are drawn as GPT-2's: normal with standard
    deviation 0.02 for both tables, and the layers that add to x smaller by sqrt(2 layers); the
    others as Dense draws them. Parameters are named and laid out as GPT-2's, with self_attn.in_proj
    and self_attn.out_proj for attn.c_attn and attn.c_proj, linear1 and linear2 for mlp.c_fc and
    mlp.c_proj, norm1 and norm2 for ln_1 and ln_2.

    Sources: Radford et al., "Language models are unsupervised multitask learners", 2019; Press and
    Wolf, "Using the output embedding to improve language models", EACL 2017.

    >>> import tercet as tc
    >>> model = GPT(vocabulary=65, context=32, width=16, layers=2, heads=2)
    >>> model([[1, 2, 3]]).shape, model.num_parameters()
    ((1, 3, 65), 8144)
    >>> model.generate([1, 2, 3], 40).shape
    (40,)
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 128,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        rotary: bool = False,
        activation: str = "gelu_tanh",
    ) -> None:
        super().__init__()
        sizes = {"vocabulary": vocabulary, "context": context, "width": width, "layers": layers}
        for name, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise OptionError(f"GPT: {name} must be a positive integer, found {size!r}")
        self.vocabulary, self.context = vocabulary, context
        self.wte = Embedding(vocabulary, width, weight_init=Normal(std=0.02))
        self.wpe = None if rotary else LearnedPositions(context, width)
        self.drop = Dropout(dropout)
        blocks = [
            TransformerEncoderLayer(
                width,
                heads,
                4 * width,
                dropout,
                activation,
                norm_first=True,
                causal=True,
                rotary=RotaryPositions(width // heads, context) if rotary else None,
            )
            for _ in range(layers)
        ]
        self.h = ModuleList(blocks)
        self.ln_f = LayerNorm(width)
        for block in blocks:
            for layer in (block.self_attn.out_proj, block.linear2):
                assert layer.weight is not None
                layer.weight.replace(layer.weight.numpy() / math.sqrt(2 * layers))

    def forward(self, tokens: Tensor, caches: list[KeyValueCache] | None = None) -> Tensor:
        if tokens.ndim != 2 or not 0 < tokens.shape[1] <= self.context:
            raise ShapeError(
                f"GPT takes tokens (n, length), with a length of 1 to {self.context}, its context; "
                f"found shape {tokens.shape}"
            )
        x = self.wte(tokens)
        if self.wpe is not None:
            x = self.wpe(x, 0 if caches is None else caches[0].position)
        x = self.drop(x)
        for i, block in enumerate(self.h):
            x = block(x, cache=None if caches is None else caches[i])
        return dense(self.ln_f(x), self.wte.weight.T)

    def caches(self, batch: int) -> list[KeyValueCache]:
        """Empty caches for `batch` sequences of up to `context` tokens, one for each block."""
        blocks: Any = self.h
        return [block.self_attn.cache(batch, self.context) for block in blocks]

    @no_grad()
    def generate(
        self,
        prompt: Any,
        count: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """The `count` tokens that follow `prompt`, int64 (count,), drawn one by one.

        prompt       one or more tokens, at most `context`
        temperature  divides the logits; 0 takes the likeliest token each time
        top_k        draws among the k likeliest tokens
        top_p        draws among the likeliest tokens that together reach the probability p
                     (Holtzman et al., "The curious case of neural text degeneration", ICLR 2020)

        Keys and values of what was read are kept, so that a token costs one place. Once `context`
        tokens are read, the last half of them is read anew, as the beginning of a sequence.
        The same seed gives the same tokens, up to the rounding of the backends.

        Raises DataError for tokens outside of the vocabulary, ShapeError for a prompt that is empty
        or too long, OptionError for options out of range.
        """
        tokens = self._prompt(prompt)
        _check_sampling(count, temperature, top_k, top_p)
        random = Generator(seed)
        training = self.training
        self.eval()
        try:
            reader = _Reader(self)
            for draw in random.uniform((count,)):
                logits = reader.read(tokens)
                tokens.append(choose_token(logits, float(draw), temperature, top_k, top_p))
        finally:
            self.train(training)
        return np.array(tokens[len(tokens) - count :], np.int64)

    def _prompt(self, prompt: Any) -> list[int]:
        given = np.asarray(prompt.numpy() if isinstance(prompt, Tensor) else prompt)
        if given.ndim != 1 or not 0 < len(given) <= self.context:
            raise ShapeError(
                f"generate: the prompt is a list of 1 to {self.context} tokens, its context at "
                f"most; found shape {given.shape}"
            )
        if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= self.vocabulary:
            wrong = given.tolist() if given.dtype.kind not in "iu" else [
                t for t in given.tolist() if not 0 <= t < self.vocabulary
            ]  # fmt: skip
            raise DataError(
                f"generate: tokens are integers in [0, {self.vocabulary}), found {wrong[0]!r}"
            )
        found: list[int] = given.tolist()
        return found

    def nats(self, tokens: np.ndarray, batch_size: int = 32) -> float:
        """The mean cross-entropy a token of a sequence, in nats, of all its tokens but the first.

        Each is predicted from at least half a context of those before it, or from all there are.
        """
        count = len(tokens) - 1
        if count < 1:
            raise DataError(f"nats: at least two tokens are needed, found {len(tokens)}")
        length = min(self.context, count)
        step = max(length // 2, 1)
        starts = np.append(np.arange(0, count - length, step), count - length)
        total, done = 0.0, 0
        for i in range(0, len(starts), batch_size):
            places = starts[i : i + batch_size, None] + np.arange(length)
            logits = self.predict(tokens[places], batch_size=batch_size).astype(np.float64)
            for rows, targets in zip(logits, places + 1, strict=True):
                new = targets > done
                rows, done = rows[new], int(targets[-1])
                rows = rows - rows.max(axis=1, keepdims=True)
                there = rows[np.arange(len(rows)), tokens[targets[new]]]
                total += float((np.log(np.exp(rows).sum(axis=1)) - there).sum())
        return total / count


class _Reader:
    """Reads a growing sequence and gives the logits of what follows it."""

    def __init__(self, model: GPT) -> None:
        self.model, self.caches = model, model.caches(1)
        self.first = self.end = 0  # the tokens in the caches
        self.step: Any = Captured(self._run, strict=False) if model.backend.captures else self._run

    def _run(self, tokens: Tensor) -> Tensor:
        return self.model(tokens, caches=self.caches)[:, -1]

    def read(self, tokens: list[int]) -> np.ndarray:
        """Logits (vocabulary,) after the tokens, of which those read before are not read again."""
        if len(tokens) - self.first > self.model.context:
            for cache in self.caches:
                cache.reset()
            self.first = self.end = len(tokens) - max(self.model.context // 2, 1)
        fresh = tensor([tokens[self.end :]], "int64", self.model.backend)
        run = self.step if len(tokens) - self.end == 1 else self._run
        self.end = len(tokens)
        logits: np.ndarray = run(fresh).numpy()[0]
        return logits.astype(np.float64)


def _check_sampling(count: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    if count < 0:
        raise OptionError(f"generate: count is at least 0, found {count}")
    if not 0.0 <= temperature < math.inf:
        raise OptionError(f"generate: temperature is a number of at least 0, found {temperature}")
    if top_k is not None and top_k < 1:
        raise OptionError(f"generate: top_k is at least 1, found {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise OptionError(f"generate: top_p is in (0, 1], found {top_p}")


def choose_token(
    logits: np.ndarray,
    draw: float,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """The token at the uniform number `draw` in [0, 1) of the distribution; see `GPT.generate`.

    >>> choose_token(np.log([0.5, 0.2, 0.3]), 0.75), choose_token(np.zeros(3), 0.5, temperature=0.0)
    (2, 0)
    """
    if temperature == 0.0:
        return int(logits.argmax())
    order = np.argsort(-logits, kind="stable")[:top_k]
    with np.errstate(over="ignore"):  # exp(-inf) is what is meant
        p = np.exp((logits[order] - logits[order[0]]) / temperature)
    p /= p.sum()
    if top_p is not None:
        kept = int(np.searchsorted(p.cumsum(), top_p)) + 1
        p = p[:kept]
    ends = p.cumsum()
    place = int(np.searchsorted(ends, draw * ends[-1], side="right"))
    return int(order[min(place, len(ends) - 1)])
