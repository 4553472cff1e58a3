"""What a figure depends on besides the code: the machine, the versions, the threads, the day."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .turns import processors

PACKAGES = (
    "tercet", "numpy", "numba", "llvmlite", "cupy-cuda12x", "cupy-cuda13x",
    "torch", "jax", "scikit-learn", "thinc", "onnxruntime",
)  # fmt: skip
CPUINFO = Path("/proc/cpuinfo")


def environment(threads: int) -> dict[str, Any]:
    """As JSON keeps it."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpu": cpu(CPUINFO.read_text() if CPUINFO.exists() else ""),
        "cores": len(processors()),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def cpu(text: str) -> str:
    """The processor's name and its widest vectors, from the text of /proc/cpuinfo.

    >>> cpu("model name\\t: Quick 3000\\nflags\\t\\t: sse2 avx avx2")
    'Quick 3000, avx2'
    """
    lines = dict(
        [part.strip() for part in line.split(":", 1)] for line in text.splitlines() if ":" in line
    )
    flags = lines.get("flags", "").split()
    widest = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), None)
    name = lines.get("model name") or platform.processor() or platform.machine()
    return name if widest is None else f"{name}, {widest}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
