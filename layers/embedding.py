"""Embedding: a vector for each number."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..autograd.functional import embedding
from ..autograd.functional.embedding import check_padding
from ..backends import DType, generator
from ..errors import OptionError
from . import initializers
from .module import Module, Parameter, Regularizer


class Embedding(Module):
    """The rows of a trained table that numbers ask for.

    Shapes: index (...) of whole numbers in [0, num_embeddings) -> (..., embedding_dim); `weight`
    (num_embeddings, embedding_dim), drawn from the standard normal distribution unless
    `weight_init` says otherwise. The row `padding_idx` begins as zeros and is not trained.

    Source: Bengio et al., "A neural probabilistic language model", JMLR 3, 2003, section 2.

    >>> import tercet as tc
    >>> layer = Embedding(10, 4, padding_idx=0)
    >>> layer([[1, 2, 0]]).shape, layer([0]).tolist()
    ((1, 3, 4), [[0.0, 0.0, 0.0, 0.0]])
    """

    input_dtype = "int64"

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        weight_init: Any = None,
        weight_regularizer: Regularizer | None = None,
        dtype: str | DType | None = None,
    ) -> None:
        super().__init__()
        for size in (num_embeddings, embedding_dim):
            if not isinstance(size, int) or size < 1:
                raise OptionError(
                    f"Embedding sizes are positive integers, found {num_embeddings!r} and "
                    f"{embedding_dim!r}"
                )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        skip = check_padding(padding_idx, num_embeddings)
        if dtype is not None:
            self.to(dtype=dtype)
        random, shape = generator(), (num_embeddings, embedding_dim)
        weight = (
            random.normal(shape)
            if weight_init is None
            else initializers.get(weight_init)(random, shape, *shape)
        )
        if skip >= 0:
            weight[skip] = 0.0
        self.weight = Parameter(weight, self.backend, self._place[1], weight_regularizer)

    def forward(self, index: Tensor) -> Tensor:
        return embedding(index, self.weight, self.padding_idx)
