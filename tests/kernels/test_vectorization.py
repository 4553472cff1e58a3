"""Loops become vector code: read from the assembly of every loop, as compiled on this machine.

LLVM gives up vectorizing silently, and a loop is then three to ten times slower. So every innermost
loop that a kernel is written with has to be found in the assembly with vector registers that
compute, not only move. How wide these are is LLVM's choice for the processor, taken from the
simplest loop: 512 bits where the processor has them, unless they slow its clock.
"""

import platform
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import numba
from tercet.kernels import FAMILY_OF, TABLE, numba_loop
from tercet.kernels.activation.loops import KIND_NUMBER as ACTIVATION
from tercet.kernels.elementwise.loops import UNARY_NUMBER
from tercet.kernels.numba_blas import PLAIN
from tercet.kernels.numba_gemm import product
from tercet.kernels.numba_loop import Loop
from tercet.kernels.spec import Kernel, Sample

from .conformance import cast, samples

# Compiles every loop anew, since code from the disk cache gives no assembly.
pytestmark = pytest.mark.slow

DTYPES = ("float32", "float64")
KINDS = {
    "binary": ("divide", "less"),
    "dense": ("relu", "gelu"),
}
# Innermost loops that compute, where a loop has more than one.
LOOPS_INSIDE = {
    "_mask": 2,
    "_uniform": 2,
    "dense_backward": 2,
    "_layer_norm_forward": 4,
    "convolution_forward_direct": 2,
    "convolution_backward_direct": 3,
    "_attention_forward": 20,
    "_attention_backward": 20,
    "_turn": 2,
    "_softmax_forward": 6,
    "_softmax_backward": 2,
    "_log_softmax_forward": 6,
    "_log_softmax_backward": 2,
    "pointwise_loss_backward": 2,
    "_cross_entropy_forward": 6,
    "_cross_entropy_backward": 5,
    "_soft_forward": 6,
    "_soft_backward": 2,
    "_to_extremes_rows": 2,
    "_to_extremes_columns": 3,
}
# The same of loops that call numba_gemm's product, which has some of its own.
LOOPS_BESIDE_PRODUCT = {
    "rnn_forward": 3,
    "rnn_backward": 2,
    "_lstm_forward": 7,
    "_lstm_backward": 6,
    "_gru_forward": 4,
    "_gru_backward": 8,
}
NO_VECTORS: dict[str, set[Any]] = {
    # Copies of memory.
    "activation_forward": {ACTIVATION["identity"]},
    "activation_backward": {ACTIVATION["identity"]},
    "_spread_rows": {None},
    "_take_rows": {None},
    "_nearest_forward": {None},
    "_copy": {None},
    "_copy_view": {None},
    "_transpose": {None},
    "_pad": {None},
    "_append_rows": {None},
    "_fill": {None},
    # One number, or a few.
    "_advance": {None},
    "_next_step": {None},
    "_skip_streams": {None},
    "_add_loss": {None},
    # The first of a row's largest, found in order: rows are a batch's, columns its classes.
    "_count_hits": {None},
    "_weigh": {None},
    # A chain of additions a channel; gradients that go where an index says.
    "_join_columns": {None},
    "_max_backward": {None},
    # Calls of the C library.
    "unary_forward": {UNARY_NUMBER["sin"], UNARY_NUMBER["cos"]},
    "unary_backward": {UNARY_NUMBER["sin"], UNARY_NUMBER["cos"]},
    # Calls of OpenBLAS.
    "_products_backward": {None},
    "_matmul": {None},
}

REGISTERS: tuple[str, ...]
if platform.machine() in ("arm64", "aarch64"):
    JUMP = re.compile(r"\s+(?:b\.\w+|cbn?z|tbn?z)\s.*?(\.?L\w+)$")
    REGISTERS = (r"\bv\d+\.(?:4s|2d|16b)",)
    MOVES = re.compile(r"\s+(?:mov|ld|st|dup|ext|zip|uzp)")
else:
    JUMP = re.compile(r"\s+j\w+\s+(\.?L\w+)$")
    REGISTERS = (r"%zmm\d", r"%ymm\d", r"%xmm\d")
    # A masked move chooses between values.
    MOVES = re.compile(r"\s+v?p?(?:mov|broadcast|extract|insert|perm|shuf|unpck)(?!.*\{%k)")
LABEL = re.compile(r"(\.?L\w+):")


def innermost_loops(assembly: str) -> Iterator[list[str]]:
    """The lines from a label to the last jump back to it, where no other loop is inside."""
    lines = assembly.splitlines()
    labels: dict[str, int] = {}
    ends: dict[int, int] = {}
    for i, line in enumerate(lines):
        if label := LABEL.match(line):
            labels[label[1]] = i
        elif (jump := JUMP.match(line)) and jump[1] in labels:
            ends[labels[jump[1]]] = i
    for first, last in ends.items():
        if not any(first < start and end < last for start, end in ends.items()):
            yield lines[first:last]


def loops_that_compute(assembly: str, register: str) -> int:
    """How many innermost loops compute in registers of this pattern."""
    return sum(
        any(re.search(register, line) and not MOVES.match(line) for line in loop)
        for loop in innermost_loops(assembly)
    )


def allocates(assembly: str) -> bool:
    """Whether it asks for memory: Python's, for which a thread would wait if it is traced."""
    return "NRT_MemInfo_alloc" in assembly


def assembly_of(loop: Loop, types: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> str:
    """Compiled anew: what comes from the disk cache can no longer be read."""
    monkeypatch.setattr(numba_loop, "cached_njit", numba.njit)
    entry: Any = Loop(loop._source, loop.kind)._entry
    entry.compile(types)
    assembly: str = entry.inspect_asm(types)
    return assembly


def assembly_of_part(part: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    array = numba.float32[::1]
    return assembly_of(Loop(part), (numba.int64, numba.int64, array, array), monkeypatch)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> str:
    """The pattern of the registers in which LLVM computes the simplest loop."""

    def scale(t: int, parts: int, out: Any, x: Any) -> None:
        for i in range(out.size):
            out[i] = x[i] * x[i] + x[i]

    assembly = assembly_of_part(scale, monkeypatch)
    return next(r for r in REGISTERS if loops_that_compute(assembly, r))


def wanted(kernel: Kernel, sample: Sample) -> bool:
    """Every kind is compiled but for families whose kinds share everything else."""
    kinds = KINDS.get(kernel.name.split("_")[0])
    attributes = sample.attributes
    return kinds is None or attributes.get("kind", attributes.get("activation")) in kinds


def loops_of_product(dtype: str, register: str, monkeypatch: pytest.MonkeyPatch) -> int:
    def part(t: int, parts: int, c: Any, a: Any, b: Any) -> None:
        product(c, a, b, PLAIN, PLAIN, 0, c.shape[0], 0, c.shape[1])

    matrix = numba.from_dtype(np.dtype(dtype))[:, ::1]
    types = (numba.int64, numba.int64, matrix, matrix, matrix)
    return loops_that_compute(assembly_of(Loop(part), types, monkeypatch), register)


@cache
def loops_of(name: str, dtype: str) -> dict[tuple[Loop, tuple[Any, ...]], tuple[Any, ...]]:
    """The loops that a kernel runs for its samples, with the types of their arguments.

    Of calls that differ in which arguments are absent, every one; of layouts, the first.
    """
    kernel = TABLE[name]
    module = import_module(f"tercet.kernels.{FAMILY_OF[name]}.loops")
    found: dict[tuple[Loop, tuple[Any, ...]], tuple[Any, ...]] = {}

    def note(loop: Loop, parts: int, *arguments: Any) -> None:
        absent = tuple(a is None for a in arguments)
        record = 0
        found.setdefault((loop, absent), tuple(map(numba.typeof, (parts, record, *arguments))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "__call__", note)
        if hasattr(module, "SERIAL_BELOW"):
            patch.setattr(module, "SERIAL_BELOW", 0)
        for sample in samples(kernel):
            if wanted(kernel, sample):
                inputs = cast(kernel, sample, dtype)
                arrays = [None if x is None else np.array(x, order="C") for x in inputs]
                shapes = kernel.shapes(*arrays, **sample.attributes)
                outputs = [None if s is None else np.zeros(*s) for s in shapes]
                with np.errstate(all="ignore"):
                    module.LOOPS[name](*outputs, *arrays, **sample.attributes)
    return found


def with_loops() -> list[str]:
    families = sorted(set(FAMILY_OF.values()))
    modules = [import_module(f"tercet.kernels.{family}.loops") for family in families]
    return [name for module in modules for name in module.LOOPS]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", with_loops())
def test_loops_are_vector_code(
    name: str, dtype: str, register: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for (loop, absent), types in loops_of(name, dtype).items():
        source = loop._source.__name__
        exempt = NO_VECTORS.get(source, set())
        if (loop.kind[0] if loop.kind else None) in exempt:
            continue
        assembly = assembly_of(loop, types, monkeypatch)
        assert not allocates(assembly), f"{name}: {source} allocates; take a workspace"
        found = loops_that_compute(assembly, register)
        if beside := LOOPS_BESIDE_PRODUCT.get(source):
            needed = beside + loops_of_product(dtype, register, monkeypatch)
        else:
            needed = LOOPS_INSIDE.get(source, 1)
        assert found >= needed, (
            f"{name}, {dtype}: {source}{loop.kind}, absent arguments {absent}: {found} vector loops"
        )


def test_a_loop_that_must_go_in_order_is_not_taken_for_vector_code(
    register: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chain(t: int, parts: int, out: Any, x: Any) -> None:
        for i in range(1, out.size):
            out[i] = out[i - 1] * x[i] + x[i]

    def move(t: int, parts: int, out: Any, x: Any) -> None:
        for i in range(1, out.size):
            out[i] = x[i]

    for part in (chain, move):
        assert loops_that_compute(assembly_of_part(part, monkeypatch), register) == 0


def test_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def reversed_twice(t: int, parts: int, out: Any, x: Any) -> None:
        own = np.empty(x.size, x.dtype)
        for i in range(x.size):
            own[x.size - 1 - i] = x[i]
        for i in range(x.size):
            out[i] = own[x.size - 1 - i]

    assert allocates(assembly_of_part(reversed_twice, monkeypatch))
