"""The options of language models, for commands that need know no more of them."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import OptionError
from .options import integer, number

TASK = "language"  # of a run
OWN = ("context", "width", "heads", "steps", "minutes")


def add(model: Any, training: Any) -> None:
    """Declare the options that `train` has for language models alone."""
    model.add_argument("--context", type=integer(1), help="tokens that a gpt looks back")
    model.add_argument("--width", type=integer(1), help="width of a gpt")
    model.add_argument("--heads", type=integer(1), help="attention heads of a gpt")
    training.add_argument("--steps", type=integer(1), help="steps of a gpt, in place of --epochs")
    training.add_argument(
        "--minutes",
        type=number(0.0, open_low=True),
        help="most time that a gpt trains; the learning rate's schedule ends with it",
    )


def refuse(options: argparse.Namespace) -> None:
    """An error for options that only language models take."""
    for name in OWN:
        if getattr(options, name) is not None:
            raise OptionError(f"--{name} means nothing to --model {options.model}; it is for: gpt")
