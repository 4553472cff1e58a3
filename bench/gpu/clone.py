"""Where the repository is: an installed package has neither its tests nor a place for results."""

from __future__ import annotations

from pathlib import Path


def clone() -> Path | None:
    """The clone that the command is run in, or else the one that the package lies in."""
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / "tests" / "kernels").is_dir() and (folder / "bench" / "gpu").is_dir():
            return folder
    return None
