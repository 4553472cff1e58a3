"""A small convolutional network, ready made."""

from __future__ import annotations

from collections.abc import Sequence

from ..layers import Conv2d, Dense, Dropout, Flatten, MaxPool2d, Module
from .sequential import Sequential


class CNN(Sequential):
    """Convolutions of 3x3 with ReLU, each before a pool of 2x2; then two dense layers.

    Inputs are images (n, c, h, w), outputs (n, out_features) logits. `channels` are those of the
    convolutions, `hidden` the width of the dense layer, `dropout` its probability. `before` are
    layers put in front, such as Reshape.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.

    >>> import tercet as tc
    >>> CNN(10).build((1, 28, 28)).num_parameters()
    320938
    """

    def __init__(
        self,
        out_features: int,
        channels: Sequence[int] = (32, 64),
        hidden: int = 96,
        dropout: float = 0.0,
        before: Sequence[Module] = (),
    ) -> None:
        layers: list[Module] = [*before]
        for count in channels:
            layers += [Conv2d(None, count, 3, padding=1, activation="relu"), MaxPool2d(2)]
        layers.append(Flatten())
        if dropout:
            layers.append(Dropout(dropout))
        layers.append(Dense(hidden, activation="relu"))
        if dropout:
            layers.append(Dropout(dropout))
        super().__init__(layers, [Dense(out_features)])
