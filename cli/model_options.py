"""The options that each kind of network takes, and their values where none is given."""

from __future__ import annotations

import argparse
from typing import Any

from ..data.text import HELD_OUT
from ..errors import OptionError

_DATA: dict[str, Any] = {
    "target": None,
    "task": None,
    "data_path": None,
    "categorical": [],
    "log_target": False,
    "test_fraction": 0.2,
}
_NETWORK = _DATA | {
    "epochs": 20,
    "batch_size": 32,
    "lr": 2e-3,
    "weight_decay": 1e-2,
    "clip_norm": None,
}
_RECURRENT = _NETWORK | {
    "hidden": [64],
    "layers": 1,
    "bidirectional": False,
    "dropout": 0.2,
    "epochs": 60,
    "lr": 5e-3,
    "clip_norm": 1.0,
}
MODELS: dict[str, dict[str, Any]] = {
    "mlp": _NETWORK | {"hidden": [256, 128], "activation": "relu", "dropout": 0.1},
    "cnn": _NETWORK
    | {
        "channels": [32, 64],
        "hidden": [96],
        "dropout": 0.3,
        "augment": "none",
        "epochs": 8,
        "batch_size": 64,
        "lr": 1.5e-3,
    },
    "resnet": _NETWORK
    | {
        "channels": [32, 64, 128],
        "blocks": 1,
        "augment": "none",
        "epochs": 8,
        "batch_size": 64,
        "lr": 3e-3,
        "weight_decay": 5e-2,
    },
    "lstm": _RECURRENT,
    "gru": _RECURRENT,
    "rnn": _RECURRENT,
    "gpt": {
        "context": 128,
        "width": 128,
        "layers": 4,
        "heads": 4,
        "dropout": 0.0,
        "batch_size": 16,
        "epochs": 10,
        "steps": None,
        "minutes": None,
        "lr": 3e-3,
        "weight_decay": 0.1,
        "clip_norm": 1.0,
        "test_fraction": HELD_OUT,
    },
}


def settle(options: argparse.Namespace) -> None:
    """Give options that were left out the model's values; an error for those it does not take."""
    own = MODELS[options.model]
    for name in sorted(set().union(*MODELS.values()) - set(own)):
        if getattr(options, name) is not None:
            takers = ", ".join(model for model, taken in MODELS.items() if name in taken)
            raise OptionError(
                f"--{name.replace('_', '-')} means nothing to --model {options.model}; it is for: "
                f"{takers}"
            )
        setattr(options, name, None)
    for name, value in own.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
