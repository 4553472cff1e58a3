"""What Keras' files hold: layers with their weights by role, and the description of the model.

Three formats: `.keras` (a zip with config.json and model.weights.h5), `.weights.h5` (Keras 3:
arrays numbered in each layer, layers numbered by class), and legacy `.h5` of weights or of whole
models (named arrays, in the order of training, so that the model's own order is in its config).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError

# The kinds of layers by what Keras 3 calls their classes in files, and the roles of their arrays.
KINDS = {
    "dense": "dense",
    "conv1d": "convolution",
    "conv2d": "convolution",
    "depthwise_conv1d": "depthwise",
    "depthwise_conv2d": "depthwise",
    "conv1d_transpose": "transposed",
    "conv2d_transpose": "transposed",
    "batch_normalization": "batch_norm",
    "layer_normalization": "layer_norm",
    "embedding": "embedding",
}
NORM = ("gamma", "beta")
ROLES = {
    "batch_norm": (*NORM, "moving_mean", "moving_variance"),
    "layer_norm": NORM,
    "embedding": ("embeddings",),
    "recurrent": ("kernel", "recurrent_kernel", "bias"),
}
RECURRENT = {1: "rnn", 3: "gru", 4: "lstm"}  # by gates
OTHER = ("optimizer", "optimizer_weights", "seed_generator", "top_level_model_weights")


@dataclass
class Stored:
    """A layer of a file: where it stands, what it is called, its kind, its arrays by role."""

    path: str
    name: str
    kind: str
    weights: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class KerasFile:
    """Layers in the order of the model, as far as the file tells, and the model's description."""

    layers: list[Stored]
    config: dict[str, Any] | None


def read(path: str | Path) -> KerasFile:
    """The layers and description in a file of Keras'."""
    import zipfile

    try:
        import h5py
    except ImportError as error:
        raise CheckpointError(
            "Keras' files are read with h5py, which is not installed: pip install 'tercet[interop]'"
        ) from error
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}")
    config, content = None, file.read_bytes()
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                config = json.loads(archive.read("config.json"))
                content = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(content), "r") as h5:
            if "model_config" in h5.attrs:
                config = json.loads(h5.attrs["model_config"])
            root = h5.get("model_weights", h5)
            known = _classes(config)
            legacy = "layer_names" in root.attrs
            return KerasFile(list((_legacy if legacy else _numbered)(root, known)), config)
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{file} is no readable .keras, .weights.h5 or .h5 file of Keras' ({error})"
        ) from error


def _classes(config: Any) -> dict[str, dict[str, Any]]:
    """Every layer of a description, at any depth, by its name and in order."""
    found: dict[str, dict[str, Any]] = {}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            inner = node.get("config")
            if "class_name" in node and isinstance(inner, dict) and "name" in inner:
                found.setdefault(str(inner["name"]), node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(config)
    return found


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _legacy(root: Any, known: dict[str, dict[str, Any]]) -> Iterator[Stored]:
    layers: dict[str, Stored] = {}
    for group in map(_text, root.attrs["layer_names"]):
        for weight in map(_text, root[group].attrs["weight_names"]):
            parent, _, role = weight.removesuffix(":0").rpartition("/")
            path = f"{group}/{parent}"
            name = next((p for p in reversed(path.split("/")) if p in known), group)
            layer = layers.setdefault(path, Stored(path, name, ""))
            layer.weights[role.removeprefix("depthwise_")] = root[group][weight][()]
            if role == "depthwise_kernel":
                layer.kind = "depthwise"
    order = {name: i for i, name in enumerate(known)}
    for layer in sorted(layers.values(), key=lambda found: order.get(found.name, 0)):
        layer.kind = layer.kind or _kind(layer, known)
        yield layer


def _kind(layer: Stored, known: dict[str, dict[str, Any]]) -> str:
    """The kind of a layer whose arrays have names."""
    weights = layer.weights
    if "recurrent_kernel" in weights:
        return _cell(weights["recurrent_kernel"])
    described = _snake(known[layer.name]["class_name"]) if layer.name in known else ""
    if described in KINDS:
        return KINDS[described]
    for role, kind in (("moving_mean", "batch_norm"), ("embeddings", "embedding")):
        if role in weights:
            return kind
    if "kernel" in weights:
        return "dense" if weights["kernel"].ndim == 2 else "convolution"
    return "layer_norm" if weights.keys() <= set(NORM) else described


def _numbered(root: Any, known: dict[str, dict[str, Any]]) -> Iterator[Stored]:
    found: list[tuple[list[Any], Stored]] = []

    def visit(path: str, node: Any) -> None:
        parts = path.split("/")
        if parts[-1] != "vars" or parts[0] in OTHER or parts[-2:-1] == ["seed_generator"]:
            return
        arrays = [node[key][()] for key in sorted(node, key=int)]
        if arrays:
            place = "/".join(parts[:-1])
            name = _text(node.attrs.get("name", parts[-2] if len(parts) > 1 else ""))
            found.append((_order(parts), _numbered_layer(place, name, arrays, known)))

    root.visititems(visit)
    yield from (layer for _, layer in sorted(found, key=lambda pair: pair[0]))


def _order(parts: list[str]) -> list[Any]:
    """A key by which dense_2 comes before dense_10, and a forward layer before its backward one."""
    keys = []
    for part in parts:
        stem, number = _stem(part)
        keys.append((stem.replace("forward", "_forward"), number))
    return keys


def _stem(part: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)_(\d+)", part)
    return (match[1], int(match[2])) if match else (part, 0)


def _numbered_layer(
    path: str, name: str, arrays: list[np.ndarray], known: dict[str, dict[str, Any]]
) -> Stored:
    stem = _stem(path.rpartition("/")[2])[0]
    if stem == "cell" and len(arrays) > 1:
        roles: tuple[str, ...] = ROLES["recurrent"]
        return Stored(path, name, _cell(arrays[1]), dict(zip(roles, arrays, strict=False)))
    kind = KINDS.get(stem, stem)
    roles = ROLES.get(kind, ("kernel", "bias"))
    config = known[name]["config"] if name in known else {}
    if roles[:2] == NORM and len(arrays) < len(roles):
        absent = {"gamma": not config.get("scale", True), "beta": not config.get("center", True)}
        if len(arrays) == len(roles) - 2:
            absent = dict.fromkeys(NORM, True)
        roles = tuple(role for role in roles if not absent.get(role, False))
    if len(arrays) > len(roles) or (roles[0] != "kernel" and len(arrays) != len(roles)):
        # Which array is which cannot be known: they are reported, under their numbers.
        return Stored(path, name, stem, {str(i): a for i, a in enumerate(arrays)})
    return Stored(path, name, kind, dict(zip(roles, arrays, strict=False)))


def _cell(recurrent: np.ndarray) -> str:
    return RECURRENT.get(recurrent.shape[-1] // max(recurrent.shape[0], 1), "recurrent")


def _snake(name: str) -> str:
    """The name of a class as Keras 3 writes it in files: Conv2D as conv2d."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
