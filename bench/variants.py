"""The frameworks and the ways to use each: a worker process runs one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from ..backends import usable
from ..errors import OptionError, choose


@dataclass(frozen=True)
class Variant:
    """A framework and a way to use it.

    module   the file in bench/frameworks that knows how
    mode     tells it which way
    backend  tercet's
    imports  what a process imports before its memory is looked at for the first time
    """

    name: str
    module: str
    mode: str = "eager"
    backend: str | None = None
    imports: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The packages among `imports` that are not installed."""
        packages = (name.split(".")[0] for name in self.imports)
        return [name for name in packages if find_spec(name) is None]


PLAIN = Variant("hand-written NumPy", "numpy_steps")
MODES = {
    "numpy": ("eager", "captured"),
    "numba": ("eager", "captured", "compiled"),
    "cupy": ("eager", "captured"),
}
PEERS = {
    "torch": (
        Variant("torch", "torch_steps", "eager", imports=("torch",)),
        Variant("torch, fused Adam", "torch_steps", "fused", imports=("torch",)),
        Variant("torch.compile", "torch_steps", "compiled", imports=("torch",)),
    ),
    "jax": (
        Variant("jax.jit", "jax_steps", imports=("jax",)),
        Variant("jax.jit of 10 steps", "jax_steps", "scan", imports=("jax",)),
    ),
    "sklearn": (Variant("scikit-learn", "sklearn_steps", imports=("sklearn.neural_network",)),),
    "thinc": (Variant("Thinc", "thinc_steps", imports=("thinc.api",)),),
    "onnxruntime": (Variant("onnxruntime", "onnx_steps", imports=("onnxruntime", "onnx")),),
}
ALL = "all"
HOST = (None, "numpy", "numba")  # backends, or none, that the processor's limits are those of


def of_backend(backend: str) -> list[Variant]:
    """tercet on one backend, in every mode that it has."""
    return [
        Variant(
            f"tercet {backend}" if mode == "eager" else f"tercet {backend}, {mode}",
            "tercet_steps",
            mode,
            backend,
        )
        for mode in MODES[backend]
    ]


def choose_backends(names: Sequence[str]) -> list[str]:
    """Those named, or all that are usable here."""
    here = usable()
    for name in names:
        if name not in here:
            raise OptionError(f"{choose('backend', name, here)} tercet info says what works here")
    return list(names) or here


def choose_variants(backends: Sequence[str], peers: Sequence[str]) -> list[Variant]:
    """tercet on these backends, NumPy by hand, and the peers that are named.

    ALL as the only name means those that are installed.
    """
    found = [variant for backend in backends for variant in of_backend(backend)] + [PLAIN]
    if list(peers) == [ALL]:
        return found + [v for variants in PEERS.values() for v in variants if not v.missing]
    for name in peers:
        if name not in PEERS:
            raise OptionError(choose("peer", name, [*PEERS, ALL]))
        for variant in PEERS[name]:
            if variant.missing:
                raise OptionError(
                    f"the peer {name} cannot run: not installed: {', '.join(variant.missing)}"
                )
        found += PEERS[name]
    return found
