"""The networks that `tercet train` makes: what each is made from, and what it takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import DataSource
from ..data.categories import Categories
from ..errors import OptionError
from ..layers import Module, Permute, RandomFlip, RandomShift, Reshape, Standardize
from ..models import CNN, MLP, Model, ResNet, SequenceClassifier, TabularMLP

SHIFT = 2  # pixels
COLOURS = (1, 3, 4)


@dataclass(frozen=True)
class Network:
    """One kind of network.

    make   (outputs, layers before and after, options) -> the model
    takes  what its inputs are, as an error says it
    suits  whether inputs of a shape are such
    """

    make: Callable[..., Model]
    takes: str = "numbers"
    suits: Callable[[tuple[int, ...]], bool] = lambda shape: True


def _mlp(
    outputs: int, before: list[Module], after: list[Module], options: argparse.Namespace
) -> Model:
    return MLP(outputs, options.hidden, options.activation, options.dropout, before, after)


def _tabular(categories: Categories) -> Callable[..., Model]:
    """_mlp for a table with categories."""

    def make(
        outputs: int, before: list[Module], after: list[Module], options: argparse.Namespace
    ) -> Model:
        sizes = [0 if known is None else len(known) + 1 for known in categories]
        of_layers = (options.hidden, options.activation, options.dropout)
        return TabularMLP(outputs, sizes, *of_layers, before, after)

    return make


def _cnn(
    outputs: int, before: list[Module], after: list[Module], options: argparse.Namespace
) -> Model:
    hidden = options.hidden[0] if options.hidden else 96
    return CNN(outputs, options.channels, hidden, options.dropout, before)


def _resnet(
    outputs: int, before: list[Module], after: list[Module], options: argparse.Namespace
) -> Model:
    blocks = [options.blocks] * len(options.channels)
    in_channels = options.in_channels
    return ResNet(outputs, blocks, options.channels, in_channels=in_channels, before=before)


def _recurrent(
    outputs: int, before: list[Module], after: list[Module], options: argparse.Namespace
) -> Model:
    return SequenceClassifier(
        outputs,
        options.model,
        options.hidden[0] if options.hidden else 64,
        options.layers,
        options.bidirectional,
        options.dropout,
        before,
    )


def _images(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and (shape[0] in COLOURS or shape[2] in COLOURS))


_IMAGES: dict[str, Any] = {
    "takes": "images (n, h, w), (n, c, h, w) or (n, h, w, c)",
    "suits": _images,
}
_RECURRENT = Network(_recurrent, "sequences (n, length, features)", lambda shape: len(shape) == 2)
NETWORKS = {
    "mlp": Network(_mlp),
    "cnn": Network(_cnn, **_IMAGES),
    "resnet": Network(_resnet, **_IMAGES),
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "rnn": _RECURRENT,
}


def make_network(source: DataSource, options: argparse.Namespace) -> Model:
    """The network that fits the data.

    Tables and sequences are standardized inside the model, from the training part, so that the
    saved model takes raw values; images come scaled to [0, 1] already.
    """
    network, shape = NETWORKS[options.model], source.x_train.shape[1:]
    if not network.suits(shape):
        sizes = ", ".join(map(str, ("n", *shape)))
        raise OptionError(
            f"--model {options.model} takes {network.takes}; {source.name} has inputs ({sizes})"
        )
    before: list[Module] = []
    after: list[Module] = []
    make = network.make if source.categories is None else _tabular(source.categories)
    if network.suits is _images:
        before += _as_images(shape, options)
    elif source.categories is not None:
        numeric = [i for i, known in enumerate(source.categories) if known is None]
        if numeric:
            before.append(_standardize(source.x_train[:, numeric]))
    elif options.model == "mlp" and len(shape) == 1:
        before.append(_standardize(source.x_train))
    elif options.model != "mlp":
        steps = source.x_train.reshape(-1, shape[-1])
        before.append(_standardize(steps[(steps != 0).any(axis=1)]))
    if source.task == "classification":
        return make(int(source.num_classes), before, after, options)
    if options.model != "mlp":
        raise OptionError(
            f"--model {options.model} learns classes; {source.name} has values to predict. Use "
            "--model mlp"
        )
    y = np.asarray(source.y_train, np.float64).reshape(len(source.y_train), -1)
    after.append(Standardize(y.mean(axis=0), np.maximum(y.std(axis=0), 1e-12), inverse=True))
    return make(y.shape[1], before, after, options)


def _as_images(shape: tuple[int, ...], options: argparse.Namespace) -> list[Module]:
    """What makes images (n, c, h, w) of the data, changed at random where that is asked for."""
    layers: list[Module] = []
    layout = "NHWC" if len(shape) == 3 and shape[0] not in COLOURS else "NCHW"
    if "flip" in options.augment:
        layers.append(RandomFlip(layout=layout))
    if "shift" in options.augment:
        layers.append(RandomShift(SHIFT, layout=layout))
    if len(shape) == 2:
        layers.append(Reshape(1, *shape))
    elif layout == "NHWC":
        layers.append(Permute(3, 1, 2))
    options.in_channels = 1 if len(shape) == 2 else shape[0] if layout == "NCHW" else shape[2]
    return layers


def _standardize(rows: np.ndarray) -> Standardize:
    from ..data import Standardizer

    fitted = Standardizer().fit(rows)
    return Standardize(fitted.mean, fitted.scale)
