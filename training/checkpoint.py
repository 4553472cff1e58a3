"""Files: arrays and a description in one safetensors file, written whole or not at all.

The format holds numbers and text only, so that loading a file cannot run code.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError

FORMAT = "tercet"
VERSION = 1


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file beside `path`, then move it there: `path` is the old file or the new one."""
    target = Path(path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise CheckpointError(
            f"cannot save {target}: {error.strerror or error}. What was there before is unchanged; "
            "free some space or choose another path"
        ) from error


def _umask() -> int:
    """The process's umask, which mkstemp does not heed; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_arrays(
    path: str | Path, arrays: Mapping[str, np.ndarray], description: Mapping[str, Any]
) -> None:
    """One safetensors file with the arrays, and `description` (JSON) in its metadata."""
    from safetensors.numpy import save

    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "description": json.dumps(description),
    }
    contiguous = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    write_atomically(path, save(contiguous, metadata))


def load_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """The arrays of a safetensors file, and the description if tercet wrote it, else None."""
    from safetensors import SafetensorError, safe_open

    target = Path(path)
    if not target.is_file():
        raise CheckpointError(f"there is no file {target}")
    try:
        with safe_open(target, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{target} is no readable safetensors file ({error}). It is truncated or of another "
            "kind: save it again, or give the path of a file that model.save wrote"
        ) from error
    if metadata.get("format") != FORMAT:
        return arrays, None
    try:
        if int(metadata["version"]) > VERSION:
            raise CheckpointError(
                f"{target} was written in version {metadata['version']} of the format, this tercet "
                f"reads up to {VERSION}; upgrade tercet"
            )
        return arrays, json.loads(metadata["description"])
    except (KeyError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the description in {target} is damaged: {error}") from error
