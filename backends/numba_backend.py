"""The Numba backend: fused, threaded loops, compiled when first used and cached on disk."""

from __future__ import annotations

from importlib import import_module

from ..kernels import FAMILIES, threads
from .backend import Implementation
from .numpy_backend import HostBackend


class NumbaBackend(HostBackend):
    """Every kernel by the loops of its family."""

    name = "numba"
    flavour = "numba"
    compiles = True

    def implementations(self) -> dict[str, Implementation]:
        threads.prepare_pool()
        from .compiling import announce

        announce()
        found: dict[str, Implementation] = {}
        for family in FAMILIES:
            found |= import_module(f"..kernels.{family}.loops", __package__).LOOPS
        return found
