"""Keras' weights in tercet's layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError, OptionError, choose
from ..layers import GRU, LSTM, RNN, BatchNorm1d, BatchNorm2d, Dense, Embedding, LayerNorm, Module
from ..layers.convolution import Convolutional
from . import keras_files
from .keras_files import KerasFile, Stored
from .pytorch import OPTIONAL
from .report import Difference, Report, fill

Arrays = dict[str, np.ndarray]


class Place(NamedTuple):
    """A layer of the model that Keras' layers may fill: its name, kind and how arrays turn."""

    name: str
    kind: str
    convert: Callable[[Arrays], Arrays]


def load_keras(
    model: Module, path: str | Path, names: Mapping[str, str] | None = None, strict: bool = True
) -> Report:
    """Give `model` the weights of a file of Keras', and say what became of each.

    path    a `.keras` file, `.weights.h5`, or legacy `.h5`; needs the extra `interop`
    names   layers of the file to modules of the model, {"block_1": "features.0"}: those go first.
            The others are matched in order, each kind by itself: the third Dense layer of the file
            to the model's third. Layers inside other layers come in the order of the file
    strict  as for load_pytorch

    Known are Dense, Conv, DepthwiseConv and ConvTranspose of one and two axes, BatchNormalization,
    LayerNormalization, Embedding, SimpleRNN, LSTM, GRU (reset_after=True) and Bidirectional.
    Convolutions are turned to (out, in, h, w), depthwise ones to groups, gates to PyTorch's order.

    What is no weight has to be made alike in the model: BatchNormalization has eps=1e-3 and
    momentum 0.99, which is momentum=0.01 here, LayerNormalization eps=1e-3; "same" padding of a
    stride of 2 is (0, 1) at even sizes; and where pixels are flattened into a Dense layer, layers
    have to be of layout="NHWC". `keras_model` does all that for simple models.
    """
    return _load(model, keras_files.read(path), str(path), names or {}, strict)


def _load(
    model: Module, file: KerasFile, source: str, names: Mapping[str, str], strict: bool
) -> Report:
    report = Report()
    found: dict[str, tuple[str, np.ndarray]] = {}
    for place, layer in _matched(list(_places(model)), file.layers, names, report):
        try:
            converted = place.convert(layer.weights)
        except (KeyError, ValueError) as error:
            problem = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            report.differing.append(Difference(place.name, layer.path, problem))
            continue
        found |= {f"{place.name}.{k}".lstrip("."): (layer.path, a) for k, a in converted.items()}
    return fill(model, found, report, strict, source, OPTIONAL)


def _matched(
    places: list[Place], layers: list[Stored], names: Mapping[str, str], report: Report
) -> Iterator[tuple[Place, Stored]]:
    """Pairs of equal kind: by name first, then in order."""
    by_name: dict[str, list[Place]] = {}
    for place in places:
        by_name.setdefault(place.name, []).append(place)
    wrong = [n for n in names.values() if n not in by_name]
    if wrong:
        raise OptionError(choose("module", wrong[0], by_name))
    unknown = [n for n in names if n not in {layer.name for layer in layers}]
    if unknown:
        raise OptionError(choose("layer of the file", unknown[0], {x.name for x in layers}))
    rest: list[Stored] = []
    for layer in layers:
        waiting = by_name[names[layer.name]] if layer.name in names else []
        if waiting:
            place = waiting.pop(0)
            places.remove(place)
            yield place, layer
        else:
            rest.append(layer)
    for layer in rest:
        place_or_none = next((p for p in places if p.kind == layer.kind), None)
        if place_or_none is None:
            arrays = layer.weights.items()
            report.leftover += [(f"{layer.path}/{role}", a.shape) for role, a in arrays]
        else:
            places.remove(place_or_none)
            yield place_or_none, layer


def _places(model: Module) -> Iterator[Place]:
    """The layers of the model that have weights of known kinds, in order."""
    for name, module in model.named_modules():
        if isinstance(module, Dense):
            yield Place(name, "dense", _kernel(module, lambda kernel: kernel))
        elif isinstance(module, Convolutional):
            yield Place(name, *_convolution(module))
        elif isinstance(module, (BatchNorm1d, BatchNorm2d)):
            yield Place(name, "batch_norm", _norm(module))
        elif isinstance(module, LayerNorm):
            yield Place(name, "layer_norm", _norm(module))
        elif isinstance(module, Embedding):
            yield Place(name, "embedding", lambda weights: {"weight": weights["embeddings"]})
        elif isinstance(module, (RNN, LSTM, GRU)):
            kind = {RNN: "rnn", LSTM: "lstm", GRU: "gru"}[type(module)]
            for layer in range(module.num_layers):
                for direction in module._directions:
                    yield Place(name, kind, _recurrent(module, f"_l{layer}{direction}"))


def _kernel(module: Any, turn: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    def convert(weights: Arrays) -> Arrays:
        found = {"weight": turn(weights["kernel"])}
        if "bias" in weights:
            found["bias"] = weights["bias"]
        elif module.use_bias:
            found["bias"] = np.zeros(module.bias.shape, module.bias.dtype)
        return found

    return convert


def _convolution(module: Convolutional) -> tuple[str, Callable[[Arrays], Arrays]]:
    """Keras has the window first: (h, w, in, out), transposed (h, w, out, in)."""
    if module.transposed:
        return "transposed", _kernel(module, _windows_last)
    if module.groups > 1 and module.groups == module.in_channels:
        return "depthwise", _kernel(module, _by_channel)
    return "convolution", _kernel(module, _windows_last)


def _windows_last(kernel: np.ndarray) -> np.ndarray:
    axes = kernel.ndim - 2
    return kernel.transpose(axes + 1, axes, *range(axes))


def _by_channel(kernel: np.ndarray) -> np.ndarray:
    """(h, w, channels, multiplier) -> (channels * multiplier, 1, h, w)"""
    axes = kernel.ndim - 2
    turned = kernel.transpose(axes, axes + 1, *range(axes))
    return turned.reshape(-1, 1, *kernel.shape[:axes])


def _norm(module: Any) -> Callable[[Arrays], Arrays]:
    """Keras may leave the scale or the shift out, which is a scale of 1, a shift of 0."""
    own = {"gamma": "weight", "beta": "bias"}
    buffers = {"moving_mean": "running_mean", "moving_variance": "running_var"}

    def convert(weights: Arrays) -> Arrays:
        found = {name: weights[role] for role, name in (own | buffers).items() if role in weights}
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            p = getattr(module, name)
            if p is not None and name not in found:
                found[name] = np.full(p.shape, value, p.dtype)
        return found

    return convert


def _recurrent(module: Any, suffix: str) -> Callable[[Arrays], Arrays]:
    """Gates i, f, c, o are those here; a GRU's z, r, h are r, z, n, with z and r changed round."""
    gates, hidden = module.gates, module.hidden_size
    order = [1, 0, 2] if gates == 3 else list(range(gates))

    def turn(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, gates, axis=-1)[i] for i in order], axis=-1)

    def convert(weights: Arrays) -> Arrays:
        kernels = {"weight_ih": weights["kernel"], "weight_hh": weights["recurrent_kernel"]}
        found = {name: turn(kernel) for name, kernel in kernels.items()}
        if gates == 3 and "bias" in weights and weights["bias"].ndim != 2:
            raise ValueError(
                "a GRU with reset_after=False computes something else: r meets h before the product"
            )
        if module.bias:
            bias = weights.get("bias", np.zeros(gates * hidden, np.float32))
            pair = (bias, np.zeros_like(bias)) if bias.ndim == 1 else bias
            found |= {"bias_ih": turn(pair[0]), "bias_hh": turn(pair[1])}
        return {name + suffix: array for name, array in found.items()}

    return convert


def keras_model(path: str | Path) -> Module:
    """A Sequential model with its weights, as a `.keras` or whole-model `.h5` file describes it.

    Layers are those of `load_keras`, and Activation, ReLU, LeakyReLU, ELU, Softmax, Flatten,
    Reshape, Dropout, pools and InputLayer. Images keep their channels last. A file that holds
    another kind of model, or another layer, is an error: make the model and call `load_keras`.
    """
    from .keras_config import sequential

    file = keras_files.read(path)
    if file.config is None:
        raise CheckpointError(
            f"{path} holds weights without a description of their model. Make the model and call "
            "load_keras(model, path)"
        )
    model = sequential(file.config)
    _load(model, file, str(path), {}, strict=True)
    return model.eval()
