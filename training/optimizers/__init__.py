"""Optimizers, one small file each, over one flat buffer of parameters."""

from __future__ import annotations

from typing import Any

from ...errors import OptionError, choose
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .clip import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD


def get(optimizer: str | dict[str, Any] | Optimizer) -> Optimizer:
    """An optimizer from its name, its `config()`, or itself."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    options = {"name": optimizer} if isinstance(optimizer, str) else dict(optimizer)
    name = str(options.pop("name")).lower()
    if name not in Optimizer.registry:
        raise OptionError(choose("optimizer", name, Optimizer.registry))
    return Optimizer.registry[name](**options)


__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "get",
]
