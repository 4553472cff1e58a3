"""`tercet evaluate`: a saved run on its held-out data, or on another file."""

from __future__ import annotations

import argparse
from typing import Any

from .options import add_backend


def add_parser(commands: Any) -> None:
    """Declare the command."""
    p = commands.add_parser(
        "evaluate",
        help="evaluate a saved run on held-out data",
        description="Evaluate the model of a run on the held-out part of the data it was made for.",
    )
    p.set_defaults(run=run)
    p.add_argument("folder", help="the run: what train wrote to --out")
    p.add_argument(
        "--data-path", help="folder that holds the data set's files, or another text for a gpt"
    )
    add_backend(p)


def run(options: argparse.Namespace) -> None:
    """Load the run and its data, print loss and metric."""
    from ..data import load
    from .run import LANGUAGE, open_run
    from .train import beside, held_out

    saved, model = open_run(options.folder, options.backend)
    if saved.task == LANGUAGE:
        from . import language

        return language.evaluate(saved, model, options.data_path)
    source = load(
        saved.data,
        target=saved.target,
        path=options.data_path or saved.data_path,
        test_fraction=saved.test_fraction,
        seed=saved.seed,
        task=saved.task,
        categories=saved.categories,
        log_target=saved.log_target,
    )
    result = model.evaluate(source.x_test, source.y_test)
    print(
        f"{held_out(result, len(source.x_test))}{beside(saved.task, saved.baseline)}; backend "
        f"{model.backend.name}"
    )
