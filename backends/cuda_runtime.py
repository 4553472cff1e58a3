"""Where CUDA kernels run: the runtime that launchers (kernels/*/cuda.py) are handed.

`CupyRuntime` runs them on an NVIDIA GPU. `SimulatedRuntime` (cuda_simulation.py) compiles the same
sources for the CPU and runs them there, for tests. Everything above this interface, and the check
of every launch's arguments against the kernel's C signature, is the same for both.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from ..errors import BackendError, DTypeError, OutOfMemoryError
from ..kernels import observing
from ..kernels.elementwise.cuda import fill
from ..kernels.spec import Array, accumulator
from .backend import DType
from .cublaslt import WORKSPACE_BYTES, CublasLt, LtPlan
from .cuda_device import card, libraries
from .cuda_gemm import GemmPlan, MatmulPlan, Product, Unserved, describe
from .cudnn_plans import ALIGNED, Convolution, Cudnn
from .pool import Lease
from .recording import Place

# What REAL is in the source for elements of each dtype that is computed in, and the C types of
# kernel parameters.
REAL_TYPES = {
    "float32": "float",
    "float64": "double",
    "int32": "int",
    "int64": "i64",
    "uint8": "u8",
    "uint32": "u32",
    "bool": "bool",
}
C_TYPES = {c_type: np.dtype(dtype) for dtype, c_type in REAL_TYPES.items()}
# The dtypes that are only stored: what STORED is in the source. REAL is float there.
HALF_TYPES = {"bfloat16": "bf16", "float16": "f16"}
# The options that CuPy itself adds when it compiles a module; the compilation tests use them too.
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")
OPTIONS = ("--std=c++17",)

_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)
_KERNEL = re.compile(r'extern "C" __global__ void\s+(\w+)\(([^)]*)\)')
_PARAMETER = re.compile(r"(?:const )?(\w+)(\*?) (\w+)")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: `c_type* name` or `c_type name`."""

    name: str
    c_type: str
    pointer: bool

    def __str__(self) -> str:
        return f"{self.c_type}{'*' if self.pointer else ''}"


Signature = tuple[Parameter, ...]
Converter = Callable[[Any], Any]


def defines(dtype: str) -> tuple[str, str]:
    """The compiler's options that say what REAL and STORED are for elements of `dtype`."""
    half = HALF_TYPES.get(dtype)
    real = REAL_TYPES["float32" if half else dtype]
    return f"-DREAL={real}", f"-DSTORED={half or real}"


@cache
def expand(source: Path) -> str:
    """A source with its headers in it: what is compiled, and what compilers' caches must key.

    Line directives make the compilers' messages name the files and lines that people edit.
    """
    seen: set[Path] = set()

    def text(path: Path) -> str:
        if path in seen:
            return ""
        seen.add(path)
        name = f"{path.parent.name}/{path.name}"

        def included(match: re.Match[str]) -> str:
            after = match.string.count("\n", 0, match.start()) + 2
            return f'{text((path.parent / match[1]).resolve())}\n#line {after} "{name}"'

        return f'#line 1 "{name}"\n' + _INCLUDE.sub(included, path.read_text(encoding="utf-8"))

    return text(source.resolve())


@cache
def signatures(source: Path) -> dict[str, Signature]:
    """The kernels of a source, with their parameters."""
    return {
        match[1]: tuple(_parameter(source, match[1], p) for p in match[2].split(","))
        for match in _KERNEL.finditer(expand(source))
    }


def _parameter(source: Path, kernel: str, text: str) -> Parameter:
    match = _PARAMETER.fullmatch(" ".join(text.split()))
    if match is None:
        raise DTypeError(
            f"{source.parent.name}/{source.name}: cannot read the parameter {text.strip()!r} of "
            f"{kernel}; expected 'type name' or 'const type* name'"
        )
    return Parameter(match[3], match[1], bool(match[2]))


class Program:
    """One kernel compiled for elements of one dtype: its arguments' types and how to start it."""

    def __init__(self, runtime: Runtime, source: Path, kernel: str, dtype: DType) -> None:
        known_types = REAL_TYPES | HALF_TYPES
        if dtype.name not in known_types:
            raise DTypeError(
                f"{kernel} cannot be compiled for {dtype} elements; expected one of: "
                f"{', '.join(known_types)}"
            )
        known = signatures(source)
        if kernel not in known:
            raise DTypeError(
                f"{source.parent.name}/{source.name} has no kernel {kernel!r}; it has: "
                f"{', '.join(known)}"
            )
        self.kernel, self.signature = kernel, known[kernel]
        self.converters = [_converter(runtime, kernel, p, dtype) for p in self.signature]
        self.start = runtime.load(source, kernel, self.signature, defines(dtype.name))

    def arguments(self, args: Sequence[Any]) -> list[Any]:
        """`args` as the C types that the kernel declares."""
        if len(args) != len(self.converters):
            names = ", ".join(f"{p} {p.name}" for p in self.signature)
            raise DTypeError(
                f"{self.kernel} takes {len(self.converters)} arguments ({names}); found {len(args)}"
            )
        return [convert(x) for convert, x in zip(self.converters, args, strict=True)]


def _converter(runtime: Runtime, kernel: str, parameter: Parameter, dtype: DType) -> Converter:
    """What turns a launcher's argument into one of the parameter's type, or says why it cannot."""
    array_type, null, anything = runtime.array_type, np.uintp(0), parameter.c_type == "void"
    types = C_TYPES | {"STORED": dtype, "REAL": accumulator(dtype)}
    wanted = types.get(parameter.c_type)

    def wrong(found: Any) -> DTypeError:
        kind = f"an array of {wanted}" if parameter.pointer else f"a scalar of {wanted}"
        if anything:
            kind = "an array"
        elif wanted is None:
            kind = "a structured scalar (a zero-dimensional NumPy array)"
        if isinstance(found, array_type) and found.dtype.names is None:
            what = f"an array of {found.dtype}, shape {found.shape}"
        else:
            what = f"{type(found).__name__} {found!r}"
        return DTypeError(
            f"{kernel}: argument {parameter.name} ({parameter}) must be {kind}; found {what}"
        )

    def pointer(x: Any) -> Any:
        if x is None:
            return null
        if not isinstance(x, array_type) or (not anything and x.dtype != wanted):
            raise wrong(x)
        return x

    def structure(x: Any) -> Any:
        if not isinstance(x, np.ndarray) or x.ndim or x.dtype.names is None:
            raise wrong(x)
        return x

    if parameter.pointer:
        return pointer
    if wanted is None:
        return structure
    accepted: tuple[type, ...] = {
        "f": (int, float, np.integer, np.floating),
        "b": (bool, np.bool_),
    }.get(wanted.kind, (int, np.integer))
    make = wanted.type

    def scalar(x: Any) -> Any:
        if not isinstance(x, accepted):
            raise wrong(x)
        try:
            return make(x)
        except OverflowError:
            raise wrong(x) from None

    return scalar


@dataclass(frozen=True)
class Launch:
    """A program with its geometry: launch(*arguments) starts it."""

    program: Program
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int

    def __call__(self, *arguments: Any) -> None:
        self.program.start(self.grid, self.block, arguments, self.shared)

    def __str__(self) -> str:
        return self.program.kernel


class Runtime(ABC):
    """Memory, launches and matrix products on one device (kernels.cuda.Runtime is what of it
    launchers use).

    xp               the array module of its arrays
    array_type       their class
    block            threads of a block where a launcher has no reason for another number
    multiprocessors  how many the device has
    tf32             whether products of float32 matrices may round them to TensorFloat-32
    has_epilogues    whether its products can do more than multiply
    """

    xp: Any
    array_type: Any
    block: int
    multiprocessors: int
    tf32 = False
    has_epilogues = True

    def __init__(self) -> None:
        self._programs: dict[tuple[Path, str, DType], Program] = {}
        self._plans: dict[Product | Convolution, Callable[..., None] | None] = {}

    def launch(
        self,
        source: Path,
        kernel: str,
        dtype: DType,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        shared: int = 0,
    ) -> None:
        """Start `kernel` of `source`, compiled for elements of `dtype` when first wanted.

        grid, block: up to three sizes each; args: the kernel's arguments, of the types that its C
        signature declares, None for a null pointer; shared: bytes of dynamic shared memory.
        """
        program = self._programs.get((source, kernel, dtype))
        if program is None:
            program = Program(self, source, kernel, dtype)
            self._programs[source, kernel, dtype] = program
        self.issue(Launch(program, grid, block, shared), *program.arguments(args))

    def issue(self, function: Callable[..., None], *arguments: Any) -> None:
        """function(*arguments), which starts work on the device; a recorder is told of it."""
        if observing.observer is not None:
            observing.observer.device(function, arguments)
        function(*arguments)

    @abstractmethod
    def load(
        self, source: Path, kernel: str, signature: Signature, types: tuple[str, str]
    ) -> Callable[..., None]:
        """start(grid, block, arguments, shared) for a kernel compiled with the options `types`."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """An uninitialized C-contiguous array."""

    def workspace(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """The same for a launcher's own use; a recording keeps it for as long as itself."""
        if observing.observer is None:
            return self.empty(shape, dtype)
        return observing.observer.workspace(shape, dtype)

    @abstractmethod
    def asarray(self, host: np.ndarray) -> Array:
        """A copy of a NumPy array on the device."""

    @abstractmethod
    def to_numpy(self, x: Array) -> np.ndarray:
        """A copy of a device array in host memory."""

    def gemm(
        self,
        out: Array,
        a: Array,
        b: Array,
        *,
        epilogue: str = "none",
        bias: Array | None = None,
        aux: Array | None = None,
    ) -> bool:
        """out = a b, of matrices or stacks of them, with an epilogue of cuda_gemm.py.

        a and b may be transposed views. Products of 16-bit a and b are added in float32; out, bias
        and aux are of their dtype, or float32. Returns whether the runtime has that epilogue for
        these arrays; if not, nothing was done.
        """
        if out.size == 0 or a.shape[-1] == 0:
            if epilogue == "none":
                fill(self, out, shape=out.shape, dtype=out.dtype.name, value=0.0)
            return epilogue == "none"
        product = describe(self.address, out, a, b, bias, aux, epilogue, self.tf32)
        return self._serve(self.plan, product, out, a, b, bias, aux)

    def _serve(
        self, make: Callable[[Any], Callable[..., None] | None], what: Any, *arrays: Array | None
    ) -> bool:
        """Issue the plan of `what`, made when first asked for; whether there is one."""
        if what not in self._plans:
            self._plans[what] = make(what)
        plan = self._plans[what]
        if plan is not None:
            self.issue(plan, *arrays)
        return plan is not None

    @abstractmethod
    def plan(self, product: Product) -> GemmPlan | None:
        """What computes a product; None if this runtime has not its epilogue."""

    def convolve(
        self,
        out: Array,
        x: Array,
        weight: Array,
        bias: Array | None,
        **options: Any,
    ) -> bool:
        """out = the convolution (kernels/convolution/reference.py), by a plan of the runtime's own.

        Returns whether it has one; if not, nothing was done, and our own kernel serves.
        """
        convolution = Convolution(
            x.shape,
            weight.shape,
            out.shape,
            out.dtype.name,
            bias is not None,
            tf32=self.tf32 and out.dtype.name == "float32",
            aligned=not any(
                self.address(a) % ALIGNED for a in (out, x, weight, bias) if a is not None
            ),
            **options,
        )
        return self._serve(self.convolution_plan, convolution, out, x, weight, bias)

    def convolution_plan(self, convolution: Convolution) -> Callable[..., None] | None:
        """plan(out, x, weight, bias), comparable and fixed in memory; None without one."""
        return None

    # Recorded steps (cuda_recording.py)

    @abstractmethod
    def address(self, x: Array) -> int:
        """Where an array begins in device memory."""

    @abstractmethod
    def owner(self, x: Array) -> Any:
        """The lease on whose memory an array lies, if there is one."""

    @abstractmethod
    def leased(self, lease: Lease) -> Array:
        """The array for which a block is leased: it keeps the lease."""

    @abstractmethod
    def view(self, holder: Array, offset: int, place: Place) -> Array:
        """The array of a place, `offset` bytes from the beginning of another that holds it."""

    @abstractmethod
    def graph(self, calls: Sequence[Callable[[], None]]) -> Callable[[], None]:
        """The work that the calls start, as one graph: calling it starts all of that again.

        The calls start work by `issue` alone: they allocate nothing and read nothing back.
        """

    @abstractmethod
    def pinned(self, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        """Host memory that the device can copy from while the host goes on."""

    @abstractmethod
    def streams(self) -> tuple[Stream, Stream]:
        """The stream of all work, and one for copies from the host."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything launched has run."""

    @abstractmethod
    def memory_summary(self) -> str:
        """One line on the memory that is held."""

    @abstractmethod
    def description(self) -> list[str]:
        """The device and the libraries that it needs, a line each."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Bytes that can still be allocated."""

    @abstractmethod
    def release_memory(self) -> None:
        """Give memory that is held for reuse back to the device."""


class Event(Protocol):
    """A point in a stream's work."""

    def synchronize(self) -> None:
        """Have the host wait for it; at once if it was never recorded."""


class Stream(Protocol):
    """Work in order, beside that of other streams."""

    def event(self) -> Event:
        """A new event, not recorded yet."""
        ...

    def record(self, event: Event) -> None:
        """Let `event` stand for all that the stream was given so far."""

    def wait(self, event: Event) -> None:
        """What the stream is given from now on waits for `event`, if it was recorded."""

    def copy(self, out: Array, x: Array) -> None:
        """Start out = x, of one shape and dtype, contiguous; x may be pinned host memory."""


class Upload:
    """The way of an input's values from the host to where a graph reads them.

    upload(x) fills one of two pinned buffers, has a second stream copy it to one of two buffers on
    the device, and lets the graph's stream copy that to the input: so while one step runs, the
    values of the next are on their way.
    """

    def __init__(self, runtime: Runtime, static: Array) -> None:
        self._static = static
        self._work, self._copies = runtime.streams()
        self._slots = [
            (
                runtime.pinned(static.shape, static.dtype),
                runtime.empty(static.shape, static.dtype),
                self._copies.event(),
                self._work.event(),
            )
            for _ in range(2)
        ]

    def __call__(self, x: np.ndarray) -> None:
        pinned, staging, arrived, used = slot = self._slots.pop(0)
        self._slots.append(slot)
        arrived.synchronize()
        pinned[...] = x
        self._copies.wait(used)
        self._copies.copy(staging, pinned)
        self._copies.record(arrived)
        self._work.wait(arrived)
        self._work.copy(self._static, staging)
        self._work.record(used)


class CupyStream:
    """A CUDA stream."""

    def __init__(self, cupy: Any, stream: Any = None) -> None:
        self._cupy, self._stream = cupy, stream

    @property
    def _now(self) -> Any:
        """The stream; None stands for the one that is current."""
        return self._cupy.cuda.get_current_stream() if self._stream is None else self._stream

    def event(self) -> Any:
        return self._cupy.cuda.Event(disable_timing=True)

    def record(self, event: Any) -> None:
        event.record(self._now)

    def wait(self, event: Any) -> None:
        self._now.wait_event(event)

    def copy(self, out: Array, x: Array) -> None:
        runtime = self._cupy.cuda.runtime
        source = x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr
        runtime.memcpyAsync(out.data.ptr, source, out.nbytes, runtime.memcpyDefault, self._now.ptr)


class CupyRuntime(Runtime):
    """An NVIDIA GPU through CuPy: pooled memory, modules compiled by NVRTC, cuBLAS products."""

    block = 256

    def __init__(self) -> None:
        import cupy

        super().__init__()
        self.xp = cupy
        self.array_type = cupy.ndarray
        device = cupy.cuda.Device()
        self.multiprocessors = int(device.attributes["MultiProcessorCount"])
        self._modules: dict[tuple[Path, tuple[str, str]], Any] = {}
        self._copies: Stream | None = None
        self._lt: CublasLt | None = None
        try:
            self._lt = CublasLt(cupy.cuda.runtime.runtimeGetVersion() // 1000)
        except BackendError as error:
            self._lt_problem, self.has_epilogues = str(error), False
        self._cudnn: Cudnn | None = None
        try:
            self._cudnn = Cudnn(cupy)
        except BackendError as error:
            self._cudnn_problem = str(error)
        self._leases: WeakValueDictionary[int, Lease] = WeakValueDictionary()

    def load(
        self, source: Path, kernel: str, signature: Signature, types: tuple[str, str]
    ) -> Callable[..., None]:
        module = self._modules.get((source, types))
        if module is None:
            module = self.xp.RawModule(code=expand(source), options=(*OPTIONS, *types))
            try:
                module.compile()
            except Exception as error:  # NVRTC missing or too old, headers missing, a bad source
                raise BackendError(_compile_message(source, error)) from error
            self._modules[source, types] = module
        function = module.get_function(kernel)

        def start(
            grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any], shared: int
        ) -> None:
            function(grid, block, tuple(arguments), shared_mem=shared)

        return start

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        try:
            return self.xp.empty(shape, dtype)
        except self.xp.cuda.memory.OutOfMemoryError:
            raise OutOfMemoryError(self._memory_message(shape, dtype)) from None

    def asarray(self, host: np.ndarray) -> Array:
        out = self.empty(host.shape, host.dtype)
        out.set(host)
        return out

    def to_numpy(self, x: Array) -> np.ndarray:
        host: np.ndarray = self.xp.asnumpy(x)
        return host

    def plan(self, product: Product) -> GemmPlan | None:
        if self._lt is None:
            why = self._lt_problem
        else:
            try:
                return LtPlan(self._lt, product, self._workspace, self.xp)
            except Unserved as refusal:
                why = str(refusal)
        return MatmulPlan(self._matmul, product, why) if product.epilogue == "none" else None

    @cached_property
    def _workspace(self) -> Array:
        """What products may use for themselves: one for all, since they run one after another."""
        return self.empty((WORKSPACE_BYTES,), np.dtype(np.uint8))

    def _matmul(self, a: Array, b: Array, out: Array) -> None:
        wide = accumulator(a.dtype)
        try:
            if a.dtype == wide:
                self.xp.matmul(a, b, out=out)
            else:  # CuPy multiplies no bfloat16, and rounds what it adds in float16
                out[...] = self.xp.matmul(a.astype(wide), b.astype(wide))
        except (ImportError, RuntimeError) as error:
            missing = _missing_library(error)
            if missing is None:
                raise
            raise BackendError(f"a matrix product cannot be computed: {missing}") from error

    def convolution_plan(self, convolution: Convolution) -> Callable[..., None] | None:
        if self._cudnn is None:
            return None
        try:
            return self._cudnn.plan(convolution)
        except Unserved:
            return None
        except BackendError as error:
            self._cudnn, self._cudnn_problem = None, str(error)
            return None

    def convolutions(self) -> str:
        """Who computes convolutions, and why."""
        if self._cudnn is not None:
            return f"cuDNN {self._cudnn.version}"
        return f"tercet's own kernel: {self._cudnn_problem}"

    def products(self) -> str:
        """Who computes matrix products, and why."""
        if self._lt is not None:
            return f"cuBLASLt {self._lt.version} ({self._lt.path})"
        return f"CuPy's matmul, which cannot be captured: {self._lt_problem}"

    def address(self, x: Array) -> int:
        address: int = x.data.ptr
        return address

    def owner(self, x: Array) -> Any:
        return self._leases.get(x.data.mem.ptr)

    def leased(self, lease: Lease) -> Array:
        self._leases[lease.address] = lease
        interface: Any = lease.__array_interface__
        return self._at(lease.address, lease, interface["shape"], None, lease.dtype)

    def view(self, holder: Array, offset: int, place: Place) -> Array:
        address = holder.data.ptr + offset
        return self._at(address, holder, place.shape, place.strides, place.dtype)

    def _at(
        self, address: int, owner: Any, shape: tuple[int, ...], strides: Any, dtype: Any
    ) -> Array:
        size = prod(shape) * np.dtype(dtype).itemsize
        memory = self.xp.cuda.UnownedMemory(address, size, owner)
        pointer = self.xp.cuda.MemoryPointer(memory, 0)
        return self.xp.ndarray(shape, dtype, pointer, strides)

    def graph(self, calls: Sequence[Callable[[], None]]) -> Callable[[], None]:
        # The null stream cannot capture, so another one does; nothing runs on it.
        stream = self.xp.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            try:
                for call in calls:
                    call()
            finally:
                graph = stream.end_capture()
        launch: Callable[[], None] = graph.launch
        return launch

    def pinned(self, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        memory = self.xp.cuda.alloc_pinned_memory(max(prod(shape) * dtype.itemsize, 1))
        return np.frombuffer(memory, dtype, prod(shape)).reshape(shape)

    def streams(self) -> tuple[Stream, Stream]:
        if self._copies is None:
            self._copies = CupyStream(self.xp, self.xp.cuda.Stream(non_blocking=True))
        return CupyStream(self.xp), self._copies

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()

    def memory_summary(self) -> str:
        pool = self.xp.get_default_memory_pool()
        free, total = self.xp.cuda.runtime.memGetInfo()
        return (
            f"cupy: {pool.used_bytes() / 2**20:.1f} MiB of pooled arrays in use, "
            f"{pool.total_bytes() / 2**20:.1f} MiB held; {free / 2**20:.1f} of "
            f"{total / 2**20:.1f} MiB free on the device"
        )

    def description(self) -> list[str]:
        found = card()
        served = [f"products by {self.products()}", f"convolutions by {self.convolutions()}"]
        return [str(found), *map(str, libraries(found.runtime)), *served]

    def free_bytes(self) -> int:
        free: int = self.xp.cuda.runtime.memGetInfo()[0]
        return free + int(self.xp.get_default_memory_pool().free_bytes())

    def release_memory(self) -> None:
        self.xp.get_default_memory_pool().free_all_blocks()

    def _memory_message(self, shape: tuple[int, ...], dtype: DType) -> str:
        free, total = self.xp.cuda.runtime.memGetInfo()
        pool = self.xp.get_default_memory_pool()
        return (
            f"out of GPU memory: an array of shape {shape}, {dtype}, needs "
            f"{prod(shape) * dtype.itemsize / 2**20:.1f} MiB; {free / 2**20:.1f} of "
            f"{total / 2**20:.1f} MiB are free on the device and {pool.free_bytes() / 2**20:.1f} "
            "MiB in CuPy's pool. Use a smaller batch or model, or free the device of other programs"
        )


# What CuPy's message names when a part of CUDA is not there: the part, and the wheel that has it.
_LIBRARIES = {
    "libnvrtc": ("NVRTC, CUDA's run-time compiler,", "nvidia-cuda-nvrtc"),
    "headers": ("a CUDA header", "nvidia-cuda-runtime"),
    "cannot open source file": ("a CUDA header", "nvidia-cuda-runtime"),
    "libcublas": ("cuBLAS, CUDA's matrix products,", "nvidia-cublas"),
}


def _missing_library(error: Exception) -> str | None:
    """Which part of CUDA an error of CuPy's says is missing, and what to install; None if none."""
    text = str(error)
    for sign, (what, wheel) in _LIBRARIES.items():
        if sign in text:
            return (
                f"{what} was not found; run: pip install {wheel}-cu12 (CUDA 13: {wheel}), or, for "
                'all of CUDA that CuPy needs, pip install "cupy-cuda12x[ctk]" (or '
                f"cupy-cuda13x[ctk]). CuPy said: {text.strip()}"
            )
    return None


def _compile_message(source: Path, error: Exception) -> str:
    why = _missing_library(error) or str(error)
    return f"kernels/{source.parent.name}/{source.name} cannot be compiled: {why}"
