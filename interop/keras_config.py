"""Sequential models from Keras' descriptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers as own
from ..autograd import Tensor, no_grad, tensor
from ..errors import CheckpointError
from ..layers import Module
from ..models import Sequential

# Of an axis whose size the description leaves open.
SOME = 8
ACTIVATIONS = {"linear": "identity", "swish": "silu"}
SAME = (
    "identity", "relu", "relu6", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh", "mish",
    "softmax", "log_softmax",
)  # fmt: skip


@no_grad()
def sequential(description: dict[str, Any]) -> Sequential:
    """The model with its parameters; each layer is tried on zeros, for the next one's input."""
    kind, config = description["class_name"], description["config"]
    if kind != "Sequential":
        raise CheckpointError(
            f"the file describes a {kind} model; only Sequential ones are made from their "
            "description. Make the model and call load_keras(model, path)"
        )
    listed = config["layers"] if isinstance(config, dict) else config
    shape = _input_shape(listed)
    numbers = listed[0]["class_name"] == "Embedding" or (
        listed[0]["class_name"] == "InputLayer" and listed[1]["class_name"] == "Embedding"
    )
    made: list[Module] = []
    x = tensor(np.zeros((1, *shape), "int64" if numbers else "float32"))
    for layer in listed:
        for module in _layer(layer["class_name"], layer["config"], x):
            made.append(module)
            x = module.eval()(x)
    model = Sequential(made)
    model(tensor(np.zeros((1, *shape), "int64" if numbers else "float32")))
    return model.train()


def _input_shape(listed: list[dict[str, Any]]) -> tuple[int, ...]:
    first = listed[0]
    for holder in (first["config"], first.get("build_config") or {}):
        for key in ("batch_shape", "batch_input_shape", "input_shape"):
            if holder.get(key):
                return tuple(SOME if size is None else size for size in holder[key][1:])
    raise CheckpointError(
        "the description does not tell the shape of the input; make the model and call load_keras"
    )


def _layer(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    """The layer that takes x, with its activation behind it where it cannot have it inside."""
    if kind == "InputLayer":
        return []
    if kind not in MAKERS:
        raise CheckpointError(
            f"the layer {config.get('name', '')!r} is a {kind}, which has no counterpart here; "
            f"known are {', '.join(sorted(MAKERS))}. Make the model and use load_keras(model, path)"
        )
    if config.get("data_format", "channels_last") != "channels_last":
        raise _unsupported(kind, config, "data_format")
    return MAKERS[kind](kind, config, x)


def _unsupported(kind: str, config: dict[str, Any], option: str) -> CheckpointError:
    return CheckpointError(
        f"the layer {config.get('name', '')!r}, a {kind}, has {option}={config[option]!r}, which "
        "has no counterpart here. Make the model and call load_keras(model, path)"
    )


def _only(kind: str, config: dict[str, Any], **allowed: Any) -> None:
    """An error where an option is given and is none of what is allowed."""
    for option, values in allowed.items():
        if option in config and config[option] not in values:
            raise _unsupported(kind, config, option)


def _activation(kind: str, config: dict[str, Any]) -> str | None:
    name = config.get("activation") or "linear"
    name = ACTIVATIONS.get(name, name) if isinstance(name, str) else None
    if name not in SAME:
        raise _unsupported(kind, config, "activation")
    return None if name == "identity" else name


def _dense(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    options: Any = {"activation": _activation(kind, config), "bias": config["use_bias"]}
    return [own.Dense(x.shape[-1], config["units"], **options)]


def _convolution(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    axes, channels = x.ndim - 2, x.shape[-1]
    depthwise = kind.startswith("Depthwise")
    window, stride, dilation = (
        _pair(config[k], axes) for k in ("kernel_size", "strides", "dilation_rate")
    )
    _only(kind, config, padding=("valid", "same"))
    padding: Any = 0
    if config["padding"] == "same":
        padding = [
            _around(size, (k - 1) * d + 1, s)
            for size, k, s, d in zip(x.shape[1:-1], window, stride, dilation, strict=True)
        ]
    layer = own.Conv2d if axes == 2 else own.Conv1d
    activation = _activation(kind, config)
    whole = activation in ("softmax", "log_softmax")
    convolution = layer(
        channels,
        channels * config["depth_multiplier"] if depthwise else config["filters"],
        window,
        stride,
        padding,
        dilation,
        channels if depthwise else config.get("groups", 1),
        config["use_bias"],
        activation=None if whole else activation,
        layout="NHWC" if axes == 2 else "NLC",
    )
    return [convolution, own.Softmax()] if whole else [convolution]


def _around(size: int, window: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same": as many outputs as size / stride, an odd zero at the end."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _pair(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _batch_norm(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    axis = config["axis"]
    if (axis[0] if isinstance(axis, list) else axis) not in (-1, x.ndim - 1):
        raise _unsupported(kind, config, "axis")
    options: Any = {"eps": config["epsilon"], "momentum": 1.0 - config["momentum"]}
    if x.ndim == 4:
        return [own.BatchNorm2d(x.shape[-1], **options, layout="NHWC")]
    return [own.BatchNorm1d(x.shape[-1], **options, layout="NLC" if x.ndim == 3 else None)]


def _layer_norm(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    axis = config["axis"]
    if (axis[0] if isinstance(axis, list) else axis) not in (-1, x.ndim - 1):
        raise _unsupported(kind, config, "axis")
    return [own.LayerNorm(x.shape[-1], config["epsilon"])]


def _embedding(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    _only(kind, config, mask_zero=(False,))
    return [own.Embedding(config["input_dim"], config["output_dim"])]


def _recurrent(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    twice = kind == "Bidirectional"
    if twice:
        _only(kind, config, merge_mode=("concat",))
        kind, config = config["layer"]["class_name"], config["layer"]["config"]
        if kind not in RECURRENT:
            raise CheckpointError(f"Bidirectional holds a {kind}, which has no counterpart here")
    _only(kind, config, go_backwards=(False,), stateful=(False,), reset_after=(True,),
          recurrent_activation=("sigmoid",))  # fmt: skip
    options: Any = {"bias": config["use_bias"], "bidirectional": twice, "batch_first": True,
                    "return_sequences": config["return_sequences"]}  # fmt: skip
    if kind == "SimpleRNN":
        _only(kind, config, activation=("tanh", "relu"))
        options["nonlinearity"] = config["activation"]
    else:
        _only(kind, config, activation=("tanh",))
    return [RECURRENT[kind](x.shape[-1], config["units"], **options)]


RECURRENT: dict[str, Any] = {"SimpleRNN": own.RNN, "LSTM": own.LSTM, "GRU": own.GRU}


def _pool(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    axes = x.ndim - 2
    pools: Any = {"MaxPooling1D": own.MaxPool1d, "MaxPooling2D": own.MaxPool2d,
                  "AveragePooling1D": own.AvgPool1d, "AveragePooling2D": own.AvgPool2d}  # fmt: skip
    window = _pair(config["pool_size"], axes)
    stride = window if config["strides"] is None else _pair(config["strides"], axes)
    sizes = zip(x.shape[1:-1], window, stride, strict=True)
    if config["padding"] != "valid" and any(map(any, (_around(*size) for size in sizes))):
        raise _unsupported(kind, config, "padding")
    return [pools[kind](window, stride, layout="NHWC" if axes == 2 else "NLC")]


def _global_pool(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    pools: Any = {"GlobalAveragePooling1D": own.GlobalAvgPool1d,
                  "GlobalAveragePooling2D": own.GlobalAvgPool2d,
                  "GlobalMaxPooling1D": own.GlobalMaxPool1d,
                  "GlobalMaxPooling2D": own.GlobalMaxPool2d}  # fmt: skip
    layout = "NHWC" if x.ndim == 4 else "NLC"
    return [pools[kind](bool(config.get("keepdims")), layout=layout)]


def _relu(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    _only(kind, config, max_value=(None, 6, 6.0), negative_slope=(0, 0.0), threshold=(0, 0.0))
    return [own.ReLU() if config.get("max_value") is None else own.ReLU6()]


def _activated(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    name = _activation(kind, config) or "identity"
    rowwise: dict[str, type[Module]] = {"softmax": own.Softmax, "log_softmax": own.LogSoftmax}
    return [rowwise[name]() if name in rowwise else own.Activation(name)]


def _leaky(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    return [own.LeakyReLU(float(config.get("negative_slope", config.get("alpha", 0.3))))]


def _softmax(kind: str, config: dict[str, Any], x: Tensor) -> list[Module]:
    return [own.Softmax(config.get("axis", -1))]


Maker = Callable[[str, dict[str, Any], Tensor], list[Module]]
MAKERS: dict[str, Maker] = {
    "Activation": _activated,
    "AveragePooling1D": _pool,
    "AveragePooling2D": _pool,
    "BatchNormalization": _batch_norm,
    "Bidirectional": _recurrent,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": lambda kind, config, x: [own.Dropout(config["rate"])],
    "ELU": lambda kind, config, x: [own.ELU(config["alpha"])],
    "Embedding": _embedding,
    "Flatten": lambda kind, config, x: [own.Flatten()],
    "GRU": _recurrent,
    "GlobalAveragePooling1D": _global_pool,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling1D": _global_pool,
    "GlobalMaxPooling2D": _global_pool,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_norm,
    "LeakyReLU": _leaky,
    "MaxPooling1D": _pool,
    "MaxPooling2D": _pool,
    "ReLU": _relu,
    "Reshape": lambda kind, config, x: [own.Reshape(*config["target_shape"])],
    "SimpleRNN": _recurrent,
    "Softmax": _softmax,
}
