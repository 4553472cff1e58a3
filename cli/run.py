"""The folder of a run: the model, its history, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..data.categories import Categories
from ..errors import CheckpointError
from ..models import Model, load
from ..training.checkpoint import write_atomically

MODEL, HISTORY, RUN = "model.safetensors", "history.json", "run.json"


@dataclass
class Run:
    """What `train` writes beside the model, so that `evaluate` and `predict` need no options."""

    data: str
    data_path: str | None
    target: str | None
    test_fraction: float
    seed: int
    task: str
    class_names: list[str] | None
    version: str
    backend: str
    options: dict[str, Any]
    feature_names: Sequence[str] | None = None
    categories: Categories | None = None
    log_target: bool = False
    baseline: float | None = None

    def save(self, folder: Path) -> None:
        """Write run.json into the folder, atomically."""
        write_atomically(folder / RUN, json.dumps(asdict(self), indent=1).encode())


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
