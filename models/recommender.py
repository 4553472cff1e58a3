"""A recommender, ready made: which rating a user would give an item."""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd import Tensor
from ..autograd.functional import concatenate
from ..errors import DTypeError, ShapeError
from ..layers import Embedding, Module
from ..layers.initializers import Normal, Zeros
from .mlp import MLP
from .model import Model
from .sequential import Sequential

# Ratings begin as those of an average user and item.
SMALL = Normal(std=0.1)


class Recommender(Model):
    """Neural collaborative filtering: rating(u, i) = b_u + b_i + MLP([p_u, q_i]).

    p_u and q_i are vectors of width `dim` for a user and an item, b_u and b_i their biases, which
    say who rates high and what is rated high; all are learned from ratings alone.

    Shapes: x (n, 2) of whole numbers, user in [0, users) and item in [0, items) -> (n, 1): ratings,
    or with a loss of logits how likely the user is to take the item. `after` are layers behind the
    sum, such as Standardize(mean, scale, inverse=True) of the training ratings.

    Source: He et al., "Neural collaborative filtering", WWW 2017, section 3.3; the biases: Koren,
    Bell & Volinsky, "Matrix factorization techniques for recommender systems", Computer 42, 2009.

    >>> model = Recommender(users=100, items=50, dim=4, hidden=(8,)).build((2,))
    >>> model([[3, 7], [99, 0]]).shape, model.num_parameters()
    ((2, 1), 831)
    """

    input_dtype = "int64"

    def __init__(
        self,
        users: int,
        items: int,
        dim: int = 16,
        hidden: Sequence[int] = (64, 32),
        activation: str = "relu",
        dropout: float = 0.0,
        after: Sequence[Module] = (),
    ) -> None:
        super().__init__()
        self.users = Embedding(users, dim, weight_init=SMALL)
        self.items = Embedding(items, dim, weight_init=SMALL)
        self.user_bias = Embedding(users, 1, weight_init=Zeros())
        self.item_bias = Embedding(items, 1, weight_init=Zeros())
        self.network = MLP(1, hidden, activation, dropout)
        self.after = Sequential(after)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != 2:
            raise ShapeError(
                f"Recommender takes pairs (n, 2) of user and item, found shape {x.shape}"
            )
        if x.dtype.kind not in "iu":
            raise DTypeError(
                f"Recommender takes whole numbers that say which user and item, found {x.dtype}. "
                "Convert them with .astype('int64')"
            )
        user, item = x[:, 0], x[:, 1]
        match = self.network(concatenate([self.users(user), self.items(item)], axis=1))
        return self.after(match + self.user_bias(user) + self.item_bias(item))
