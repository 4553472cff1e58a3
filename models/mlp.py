"""The multilayer perceptron, ready made."""

from __future__ import annotations

from collections.abc import Sequence

from ..layers import Dense, Dropout, Flatten, Module
from .sequential import Sequential


class MLP(Sequential):
    """Hidden dense layers with an activation and, if asked for, dropout; then a dense output.

    Inputs (n, ...) are flattened; outputs (n, out_features) are logits or values. `before` and
    `after` are layers put at the ends, such as Standardize.

    >>> import tercet as tc
    >>> MLP(10, hidden=(32,)).build((8, 8)).num_parameters()
    2410
    """

    def __init__(
        self,
        out_features: int,
        hidden: Sequence[int] = (256, 128),
        activation: str = "relu",
        dropout: float = 0.0,
        before: Sequence[Module] = (),
        after: Sequence[Module] = (),
    ) -> None:
        layers: list[Module] = [*before, Flatten()]
        for width in hidden:
            layers.append(Dense(width, activation=activation))
            if dropout:
                layers.append(Dropout(dropout))
        super().__init__(layers, [Dense(out_features)], after)
