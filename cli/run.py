"""The folder of a run: the model, its history, and how it was made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..data.categories import Categories
from ..errors import CheckpointError
from ..models import Model, load
from ..training.checkpoint import write_atomically
from ..training.history import History

MODEL, HISTORY, RUN = "model.safetensors", "history.json", "run.json"
LANGUAGE = "language"  # the task of language models


@dataclass
class Run:
    """What `train` writes beside the model, so that `evaluate` and `predict` need no options."""

    data: str
    data_path: str | None
    test_fraction: float
    seed: int
    version: str
    backend: str
    options: dict[str, Any]
    task: str
    class_names: list[str] | None = None
    target: str | None = None
    feature_names: Sequence[str] | None = None
    categories: Categories | None = None
    log_target: bool = False
    baseline: float | None = None


def save_run(options: argparse.Namespace, model: Model, history: History, **of_data: Any) -> Path:
    """Write what `train` made into the folder that its options name, which is returned."""
    from .. import __version__

    folder = Path(options.out or f"runs/{Path(options.data).stem}-{options.model}")
    run = Run(
        data=options.data,
        data_path=options.data_path,
        test_fraction=options.test_fraction,
        seed=options.seed,
        version=__version__,
        backend=model.backend.name,
        options={k: v for k, v in vars(options).items() if k not in ("run", "command")},
        **of_data,
    )
    model.save(folder / MODEL)
    history.save(folder / HISTORY)
    write_atomically(folder / RUN, json.dumps(asdict(run), indent=1).encode())
    return folder


def open_run(folder: str, backend: str | None) -> tuple[Run, Model]:
    """The run in `folder` and its model."""
    path = Path(folder)
    if not (path / RUN).is_file():
        raise CheckpointError(
            f"{folder} is no run: there is no {RUN} in it. Give the folder that tercet train "
            "wrote (its --out)"
        )
    try:
        run = Run(**json.loads((path / RUN).read_text()))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path / RUN} is damaged: {error}; train again") from error
    return run, load(path / MODEL, backend)
