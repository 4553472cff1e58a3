"""A whole model in one file: weights, architecture and compile options.

The architecture is the tree of classes and constructor arguments, as JSON. Loading builds it from
classes that are already known (tercet's own, and every Module subclass that the program has
defined): a file names classes, it never imports or runs anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError, TercetError, choose
from ..layers import Module, Regularizer, initializers
from ..training import losses, metrics, optimizers
from ..training.checkpoint import load_arrays, save_arrays
from ..training.trainer import Trainer
from .model import Model


def save(model: Model, path: str | Path) -> None:
    """Write the model to `path`; what was there before stays whole if that fails."""
    description = {
        "architecture": describe(model),
        "input_shape": model.input_shape,
        "dtype": model.dtype.name,
        "frozen": [name for name, module in model.named_modules() if module.frozen],
        "compile": _compile_options(model.trainer),
    }
    save_arrays(path, model.state_dict(), description)


def load(path: str | Path, backend: str | None = None) -> Model:
    """The model that `Model.save` wrote, on the current backend or the one given.

    >>> import os, tempfile
    >>> import tercet as tc
    >>> file = os.path.join(tempfile.mkdtemp(), "m.safetensors")
    >>> tc.models.Sequential([tc.layers.Dense(3, 2)]).save(file)
    >>> tc.load(file)[0].out_features
    2
    """
    arrays, description = load_arrays(path)
    if description is None or "architecture" not in description:
        raise CheckpointError(
            f"{path} holds weights without a tercet architecture ({len(arrays)} arrays). Build the "
            "model yourself and call model.load_state_dict(tc.load_weights(path))"
        )
    try:
        model = build(description["architecture"])
    except TercetError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the architecture in {path} cannot be built: {error}") from error
    if not isinstance(model, Model):
        raise CheckpointError(f"{path} holds a {type(model).__name__}, which is no Model")
    model.to(backend, description["dtype"])
    shape = description["input_shape"]
    if shape is not None:
        model.build(shape)
    model.load_state_dict(arrays)
    frozen = set(description.get("frozen", ()))
    for name, module in model.named_modules():
        if name in frozen:
            module._freeze_alone(True)
    options = description.get("compile")
    if options is not None:
        model.compile(options["optimizer"], options["loss"], options["metrics"])
    return model.eval()


def save_weights(path: str | Path, state: dict[str, np.ndarray]) -> None:
    """Write a state dict to one safetensors file, atomically."""
    save_arrays(path, state, {})


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of any safetensors file, by name, for `load_state_dict`."""
    return load_arrays(path)[0]


def describe(value: Any) -> Any:
    """A constructor argument as JSON: modules as {"class", "config"}, in any depth."""
    if isinstance(value, Module):
        config = {name: describe(v) for name, v in value.config().items()}
        described = {"class": type(value).saved_name(), "config": config}
        children = value._modules
        replaced = {n: describe(children[n]) for n in value._replaced if n in children}
        return described | ({"replaced": replaced} if replaced else {})
    if isinstance(value, Regularizer):
        return {"regularizer": [value.l1, value.l2]}
    if isinstance(value, initializers.Initializer):
        return {"initializer": value.to_config()}
    if isinstance(value, dict):
        return {"dict": {str(k): describe(v) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise CheckpointError(
        f"a constructor argument of type {type(value).__name__} cannot be saved with the model: "
        "use numbers, strings, lists and modules, or override config() and from_config()"
    )


def build(description: Any) -> Any:
    """What `describe` described."""
    if isinstance(description, list):
        return [build(v) for v in description]
    if not isinstance(description, dict):
        return description
    if "regularizer" in description:
        return Regularizer(*description["regularizer"])
    if "initializer" in description:
        return initializers.get(description["initializer"])
    if "dict" in description:
        return {k: build(v) for k, v in description["dict"].items()}
    name = description["class"]
    # It may be defined elsewhere now.
    found = Module.registry.get(name) or Module.registry.get(name.rpartition(".")[2])
    if found is None:
        known = [k for k in Module.registry if "." not in k]
        raise CheckpointError(
            f"{choose('class', name, known)} Import the module that defines it first"
        )
    module = found.from_config({k: build(v) for k, v in description["config"].items()})
    for child, replacement in description.get("replaced", {}).items():
        setattr(module, child, build(replacement))
    return module


def _compile_options(trainer: Trainer | None) -> dict[str, Any] | None:
    """Optimizer, loss and metrics by name; None where one of them is a function of the user's."""
    if trainer is None or not isinstance(trainer.loss, losses.Loss):
        return None
    known = [m.name for m in trainer.metrics]
    for name in known:
        try:
            metrics.get(name)
        except TercetError:
            return None
    return {
        "optimizer": optimizers.get(trainer.optimizer).config(),
        "loss": trainer.loss.config(),
        "metrics": known,
    }
