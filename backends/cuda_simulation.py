"""CUDA kernels on the CPU: the sources of kernels/*/cuda.cu compiled by g++ and run as fibers.

For tests and for the curious; see cuda_host.h for what it shows and what it cannot. Arrays are
NumPy's, filled with NaN or ones when made and fenced by guard bytes that every launch checks.

In a process that runs under AddressSanitizer (LD_PRELOAD=libasan.so) kernels are compiled for it,
and the guards are poisoned: reading them is then an error, too, which names the line.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ..errors import BackendError
from ..kernels.activation.reference import KINDS
from ..kernels.dense.reference import pack_signs
from ..kernels.dense.spec import signs_shape
from ..kernels.spec import Array, accumulator
from .backend import DType
from .cublaslt import demand
from .cuda_gemm import GemmPlan, MatmulPlan, Product, Unserved, describe
from .cuda_runtime import Runtime, Signature, Stream, expand, signatures
from .pool import Lease
from .recording import Place, view

HEADER = Path(__file__).with_name("cuda_host.h")
FLAGS = (
    "-std=c++17", "-O1", "-shared", "-fPIC",
    "-fno-strict-aliasing",  # a pack and its elements share memory
    "-U_FORTIFY_SOURCE",  # a jump to another fiber's stack is no overflow
    # Each library keeps to its own symbols: the C library has an `advance` too.
    "-fno-gnu-unique", "-Wl,-Bsymbolic",
)  # fmt: skip
MEMORY = 1 << 30  # bytes of the imaginary device
SANITIZER_FLAGS = ("-fsanitize=address", "-g1", "-fno-omit-frame-pointer")
GUARD_BYTES = 64
ALIGNMENT = 256  # of every allocation, as on a GPU
SLACK = 1024  # room for that; and arrays above it are not recycled by NumPy, poison and all
GUARD = 0xA5
UNWRITTEN = 0xFF  # NaN in every floating dtype

# One launch at a time, whichever thread it comes from: their fibers are one program's.
_device = threading.Lock()
# What AddressSanitizer offers the process that it watches.
_poison = getattr(ctypes.CDLL(None), "__asan_poison_memory_region", None)


class _Launch(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_ulonglong),
        ("seed", ctypes.c_uint),
    )


class SimulatedRuntime(Runtime):
    """A small imaginary device. `seed` sets the order in which warps and lanes run.

    `edit`, for tests, changes a source's text before it is compiled.
    """

    xp = np
    array_type = np.ndarray
    # Two warps, so that both orders of two warps occur, and few threads to run.
    block = 64
    multiprocessors = 2

    def __init__(self, seed: int = 0, edit: Callable[[str], str] | None = None) -> None:
        super().__init__()
        self.seed = seed
        self._edit = edit
        self._libraries: dict[tuple[Path, tuple[str, str]], ctypes.CDLL] = {}
        self._guarded: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()
        self._captured: list[Callable[[], None]] | None = None

    def load(
        self, source: Path, kernel: str, signature: Signature, types: tuple[str, str]
    ) -> Callable[..., None]:
        library = self._libraries.get((source, types))
        if library is None:
            text = expand(source) if self._edit is None else self._edit(expand(source))
            library = ctypes.CDLL(str(_compile(text, signatures(source), types)))
            self._libraries[source, types] = library
        entry = getattr(library, f"simulate_{kernel}")
        entry.restype = ctypes.c_char_p

        def start(
            grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any], shared: int
        ) -> None:
            ones = (1, 1)
            launch = _Launch((*grid, *ones)[:3], (*block, *ones)[:3], shared, self.seed)
            # A scalar is passed by its address, an array by the address of its address.
            values = [
                np.asarray(x.ctypes.data if p.pointer and isinstance(x, np.ndarray) else x)
                for p, x in zip(signature, arguments, strict=True)
            ]

            def run() -> None:
                pointers = (ctypes.c_void_p * len(values))(*[v.ctypes.data for v in values])
                with _device:
                    message = entry(ctypes.byref(launch), pointers)
                if message is not None:
                    raise BackendError(f"{kernel}: {message.decode()}")
                self._check_guards(kernel, arguments)

            self._submit(run)

        return start

    def _submit(self, work: Callable[[], None]) -> None:
        """Do it now, or while a graph is captured leave it to the graph."""
        if self._captured is None:
            work()
        else:
            self._captured.append(work)

    def _refuse_capture(self, what: str) -> None:
        """What CUDA does not let a stream do while it is captured."""
        if self._captured is not None:
            raise BackendError(f"{what} while a graph is captured")

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        self._refuse_capture("memory is allocated")
        size = prod(shape) * dtype.itemsize
        memory = np.full(size + 2 * GUARD_BYTES + SLACK, GUARD, np.uint8)
        self._guarded[id(memory)] = memory
        fenced = _fenced(memory)
        inside = fenced[GUARD_BYTES:-GUARD_BYTES]
        if _poison is not None:
            for guard in (fenced[:GUARD_BYTES], fenced[-GUARD_BYTES:]):
                _poison(ctypes.c_void_p(guard.ctypes.data), ctypes.c_size_t(GUARD_BYTES))
        inside[...] = UNWRITTEN
        return inside.view(dtype).reshape(shape)

    def _check_guards(self, kernel: str, arguments: Sequence[Any]) -> None:
        for place, x in enumerate(arguments):
            memory = self._guarded.get(id(_base(x)))
            if memory is None:
                continue
            block = _fenced(memory)
            if (block[:GUARD_BYTES] != GUARD).any() or (block[-GUARD_BYTES:] != GUARD).any():
                raise BackendError(f"{kernel} wrote outside the array of its argument {place}")

    def asarray(self, host: np.ndarray) -> Array:
        out = self.empty(host.shape, host.dtype)
        out[...] = host
        return out

    def to_numpy(self, x: Array) -> np.ndarray:
        self._refuse_capture("an array is read back")
        return np.array(x)

    def plan(self, product: Product) -> GemmPlan | None:
        try:
            demand(product)
        except Unserved as why:
            return MatmulPlan(np.matmul, product, str(why)) if product.epilogue == "none" else None
        return SimulatedPlan(self, product)

    def address(self, x: Array) -> int:
        address: int = x.ctypes.data
        return address

    def owner(self, x: Array) -> Any:
        while isinstance(x, np.ndarray) and x.base is not None:
            x = x.base
        return x

    def leased(self, lease: Lease) -> Array:
        return np.asarray(lease).view(lease.dtype)

    def view(self, holder: Array, offset: int, place: Place) -> Array:
        return view(holder, offset, place)

    def graph(self, calls: Sequence[Callable[[], None]]) -> Callable[[], None]:
        nodes: list[Callable[[], None]] = []
        self._captured = nodes
        try:
            for call in calls:
                before = len(nodes)
                call()
                if len(nodes) == before:
                    raise BackendError(f"{call} started nothing that a graph could hold")
        finally:
            self._captured = None

        def run() -> None:
            for node in nodes:
                node()

        return run

    def pinned(self, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        return np.empty(shape, dtype)

    def streams(self) -> tuple[Stream, Stream]:
        return SimulatedStream(late=False), SimulatedStream(late=True)

    def synchronize(self) -> None:
        """Launches are over when they return."""
        self._refuse_capture("the host waits for the device")

    def free_bytes(self) -> int:
        return MEMORY - sum(block.nbytes for block in self._guarded.values())

    def release_memory(self) -> None:
        """Nothing is held for reuse."""

    def description(self) -> list[str]:
        return ["a simulation of CUDA on the CPU, by g++"]

    def memory_summary(self) -> str:
        held = sum(block.nbytes for block in self._guarded.values())
        return f"simulated device: {held / 2**20:.1f} MiB of arrays in use"


class SimulatedPlan:
    """A product by NumPy, with what cuBLASLt demands of its arrays."""

    capturable = True

    def __init__(self, runtime: SimulatedRuntime, product: Product) -> None:
        self._runtime, self._product = runtime, product

    def __call__(
        self, out: Array, a: Array, b: Array, bias: Array | None, aux: Array | None
    ) -> None:
        made_for = self._product
        found = describe(
            self._runtime.address, out, a, b, bias, aux, made_for.epilogue, made_for.tf32
        )
        if replace(found, aligned=made_for.aligned) != made_for:
            raise BackendError(f"{self}: the plan is given the arrays of another, {found!r}")
        if any(now < then for now, then in zip(found.aligned, made_for.aligned, strict=True)):
            raise BackendError(f"{self}: an array is not aligned as it was for the plan")
        bits = "relu" in made_for.epilogue
        beside = (signs_shape(*out.shape[-2:]), np.dtype(np.uint8)) if bits else (
            out.shape, out.dtype
        )  # fmt: skip
        for x, (shape, dtype) in ((bias, (out.shape[-1:], out.dtype)), (aux, beside)):
            if x is not None and (x.shape != shape or x.dtype != dtype or not x.flags.c_contiguous):
                raise BackendError(f"{self}: expected {shape}, {dtype}, found {x.shape}, {x.dtype}")
        self._runtime._submit(partial(self._compute, out, a, b, bias, aux))

    def _compute(
        self, out: Array, a: Array, b: Array, bias: Array | None, aux: Array | None
    ) -> None:
        epilogue, wide = self._product.epilogue, accumulator(a.dtype)
        a, b = a.astype(wide, copy=False), b.astype(wide, copy=False)
        with np.errstate(all="ignore"):
            self._finish(np.matmul(a, b), epilogue, out, b, bias, aux)

    @staticmethod
    def _finish(
        result: Array, epilogue: str, out: Array, b: Array, bias: Array | None, aux: Array | None
    ) -> None:
        if epilogue == "bias_gradient":
            assert bias is not None
            bias[...] = b.sum(axis=0)
        elif bias is not None:
            result = result + bias
        if epilogue == "relu_gradient":
            assert aux is not None
            bits = np.unpackbits(aux, axis=1, bitorder="little")[:, : result.shape[1]]
            result = np.where(bits, result, 0)
        elif epilogue == "gelu_tanh_gradient":
            result = result * KINDS["gelu_tanh"][1](np, aux, 0.0)
        elif epilogue.startswith("relu"):
            result = np.maximum(result, 0)
            if aux is not None:
                pack_signs(np, aux, result)
        elif epilogue.startswith("gelu_tanh"):
            if aux is not None:
                aux[...] = result
            result = KINDS["gelu_tanh"][0](np, result, 0.0)
        out[...] = result

    def __str__(self) -> str:
        return str(self._product)


class SimulatedEvent:
    """An event of a simulated stream."""

    def __init__(self) -> None:
        self.stream: SimulatedStream | None = None
        self.place = 0

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.reach(self.place)


class SimulatedStream:
    """A stream that works at once, or `late`: not before somebody waits for it.

    So work of another stream that ought to wait and does not finds nothing done.
    """

    def __init__(self, late: bool) -> None:
        self._late = late
        self._waiting: list[Callable[[], None]] = []
        self._done = 0

    def reach(self, place: int) -> None:
        """Do what the stream was given up to a place."""
        while self._done < place:
            self._waiting.pop(0)()
            self._done += 1

    def _give(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        if not self._late:
            self.reach(self._done + len(self._waiting))

    def event(self) -> SimulatedEvent:
        return SimulatedEvent()

    def record(self, event: Any) -> None:
        event.stream, event.place = self, self._done + len(self._waiting)

    def wait(self, event: Any) -> None:
        self._give(event.synchronize)

    def copy(self, out: Array, x: Array) -> None:
        if out.shape != x.shape or out.dtype != x.dtype:
            raise BackendError(f"a copy from {x.shape}, {x.dtype} to {out.shape}, {out.dtype}")
        self._give(partial(np.copyto, out, x))


def _fenced(memory: np.ndarray) -> np.ndarray:
    """An array's bytes between its guards: the array begins where CUDA might have it begin."""
    first = -(memory.ctypes.data + GUARD_BYTES) % ALIGNMENT
    return memory[first : first + memory.size - SLACK]


def _base(x: Any) -> Any:
    """What the memory of an array belongs to, through leases."""
    while True:
        if isinstance(x, Lease):
            x = x.block
        elif isinstance(x, np.ndarray) and x.base is not None:
            x = x.base
        else:
            return x


def compiler() -> str | None:
    """The C++ compiler that the simulation needs, or None."""
    return shutil.which("g++")


def _compile(text: str, kernels: dict[str, Signature], types: tuple[str, str]) -> Path:
    """The shared object of a source, compiled unless a copy of the same text and flags is kept."""
    program = "\n".join(
        (
            HEADER.read_text(encoding="utf-8"),
            text,
            *(_entry(name, signature) for name, signature in kernels.items()),
        )
    )
    flags = (*FLAGS, *types, *(SANITIZER_FLAGS if _poison is not None else ()))
    key = hashlib.sha256(repr((program, flags)).encode()).hexdigest()[:32]
    folder = Path(tempfile.gettempdir()) / f"tercet-simulation-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise BackendError(f"{folder} belongs to another user; set TMPDIR to a folder of your own")
    library = folder / f"{key}.so"
    if not library.exists():
        gxx = compiler()
        if gxx is None:
            raise BackendError("the CUDA simulation needs g++, which was not found; install it")
        # Another process may be compiling the same: each writes its own file, and one name wins.
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            source, built = Path(scratch) / "kernels.cpp", Path(scratch) / "kernels.so"
            source.write_text(program, encoding="utf-8")
            command = [gxx, *flags, "-o", str(built), str(source)]
            # A sanitizer's library is for this process, not for the compiler.
            environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
            result = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment
            )
            if result.returncode:
                raise BackendError(f"g++ does not compile a CUDA source:\n{result.stderr[:4000]}")
            built.replace(library)
    return library


def _entry(kernel: str, signature: Signature) -> str:
    """A C function that unpacks the arguments of `kernel` and runs it over a whole grid."""
    arguments = ", ".join(
        f"*static_cast<{parameter}*>(arguments[{i}])" for i, parameter in enumerate(signature)
    )
    return (
        f'extern "C" const char* simulate_{kernel}(const simulation::Launch* launch, '
        f"void** arguments) {{\n"
        f"    return simulation::run(*launch, [=] {{ {kernel}({arguments}); }});\n}}\n"
    )
