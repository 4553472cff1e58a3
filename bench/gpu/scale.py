"""How much is measured: on a GPU, and in miniature over the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..cases import CASES, MNIST, TRAIN, Case
from ..networks import NETWORKS
from .clone import clone

# The tests of the kernels first: what the others say depends on them.
_FOLDER = (clone() or Path()) / "tests"
TESTS = ("tests/kernels", *(f"tests/{path.name}" for path in sorted(_FOLDER.glob("[!_]*"))
         if path.name not in ("kernels", "conftest.py")))  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Sizes of everything.

    cases     training steps that are timed, in the order of what matters most
    rounds    turns of every framework; seconds: length of a turn, and of every other measurement
    elements  (rows, columns) of the kernels bound by memory
    products  (n, k, m) of the dense layers
    copied    bytes of the array whose copy tells the bandwidth
    square    size of the square product that tells the rate of products
    tests     pytest's arguments for the tests of the device
    checked   the same for those that compute-sanitizer watches
    """

    cases: tuple[Case, ...]
    rounds: int
    seconds: float
    elements: tuple[int, int]
    products: tuple[tuple[int, int, int], ...]
    copied: int
    square: int
    tests: tuple[str, ...]
    checked: tuple[str, ...]


GPU = Scale(
    cases=(
        *(Case(f"mlp-{n}", TRAIN, MNIST, n) for n in (64, 1024, 16384)),
        CASES["large"],
        *(CASES[name] for name in NETWORKS),
    ),
    rounds=5,
    seconds=0.15,
    # 128 MiB an array: more than any cache holds, and longer than Python takes to launch the next.
    elements=(8192, 4096),
    products=((256, 1024, 4096), (256, 4096, 4096), (16384, 784, 256), (8192, 8192, 8192)),
    copied=1 << 30,
    square=8192,
    tests=("-m", "gpu", *TESTS),
    # A family for each way in which threads work together.
    checked=(
        "-m", "gpu", "tests/kernels/test_conformance.py", "-k",
        "test_agrees and float32 and (softmax_forward or cross_entropy_forward or reduce_forward "
        "or dense_backward or scatter_add_rows or adam_update or dropout_forward)",
    ),
)  # fmt: skip

MINIATURE = Scale(
    cases=(Case("mlp", TRAIN, (6, 5, 4, 3), 8), Case("large", TRAIN, (6, 8, 8, 6), 4, "gelu")),
    rounds=2,
    seconds=0.01,
    elements=(20, 6),
    products=((4, 6, 8),),
    copied=1 << 12,
    square=16,
    tests=("tests/kernels/test_cuda_replay.py", "-k", "refuses"),
    checked=("tests/kernels/test_cuda_replay.py", "-k", "refuses"),
)
