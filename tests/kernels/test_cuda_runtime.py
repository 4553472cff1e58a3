"""The CuPy runtime's own decisions, against a stand-in for CuPy: no GPU is needed."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tercet import backends
from tercet.backends import cuda_device, cuda_runtime
from tercet.backends.cuda_runtime import CupyRuntime
from tercet.backends.cuda_simulation import SimulatedRuntime
from tercet.backends.cupy_backend import CupyBackend
from tercet.backends.pool import Lease, Pool
from tercet.backends.recording import Place
from tercet.cli.main import main
from tercet.errors import BackendError
from tercet.kernels.activation.cuda import SOURCE
from tercet.kernels.spec import HALVES, dtype_named

from .conformance import finfo

FLOAT = np.dtype("float32")


class OutOfMemoryError(MemoryError):
    pass


def refuse(*_: Any, **__: Any) -> Any:
    raise OutOfMemoryError


class FakeModule:
    """Keeps what it is compiled from and launched with; fails to compile if told how."""

    failure: Exception | None = None
    made: list["FakeModule"] = []  # noqa: RUF012 - the fixture gives each test a fresh one

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        self.code, self.options, self.launches = code, options, []
        FakeModule.made.append(self)

    def compile(self) -> None:
        if FakeModule.failure is not None:
            raise FakeModule.failure

    def get_function(self, name: str) -> Any:
        def function(*args: Any, **kwargs: Any) -> None:
            self.launches.append((name, args, kwargs))

        return function


def no_library(major: int) -> Any:
    raise BackendError(f"libcublasLt.so.{major} was not found")


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    pool = SimpleNamespace(
        used_bytes=lambda: 1 << 20, total_bytes=lambda: 3 << 20, free_bytes=lambda: 2 << 20
    )
    device = SimpleNamespace(id=0, attributes={"MultiProcessorCount": 132}, compute_capability="90")
    fake = SimpleNamespace(
        ndarray=np.ndarray,
        empty=np.empty,
        asnumpy=np.array,
        matmul=np.matmul,
        RawModule=FakeModule,
        get_default_memory_pool=lambda: pool,
        cuda=SimpleNamespace(
            Device=lambda: device,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=SimpleNamespace(
                memGetInfo=lambda: (5 << 20, 80 << 20),
                getDeviceProperties=lambda number: {"name": b"Card 3000"},
                driverGetVersion=lambda: 13010,
                runtimeGetVersion=lambda: 12090,
            ),
        ),
        __version__="14.2.0",
    )
    monkeypatch.setitem(sys.modules, "cupy", fake)
    # Nor are there libraries that might be on this machine.
    monkeypatch.setattr(cuda_runtime, "CublasLt", no_library)
    monkeypatch.setitem(sys.modules, "cudnn", None)
    monkeypatch.setattr(FakeModule, "made", [])
    monkeypatch.setattr(FakeModule, "failure", None)
    return fake


def launch(runtime: CupyRuntime, dtype: np.dtype[Any]) -> None:
    x = np.zeros(4, dtype)
    runtime.launch(SOURCE, "activation_forward", dtype, (1,), (256,), (x, None, 4, 1, 0.5))


def test_a_module_is_compiled_once_for_each_element_type(cupy: SimpleNamespace) -> None:
    runtime = CupyRuntime()
    assert runtime.multiprocessors == 132
    for dtype in ("float32", "float32", "float64"):
        launch(runtime, np.dtype(dtype))
    assert [m.options for m in FakeModule.made] == [
        ("--std=c++17", "-DREAL=float", "-DSTORED=float"),
        ("--std=c++17", "-DREAL=double", "-DSTORED=double"),
    ]
    assert "#include" not in FakeModule.made[0].code
    assert len(FakeModule.made[0].launches) == 2


def test_scalars_arrive_in_the_declared_c_types(cupy: SimpleNamespace) -> None:
    launch(CupyRuntime(), FLOAT)
    ((name, (grid, block, args), options),) = FakeModule.made[0].launches
    assert (name, grid, block, options) == ("activation_forward", (1,), (256,), {"shared_mem": 0})
    # A null pointer must be a number of a pointer's size: CuPy has none for None.
    assert [type(a) for a in args] == [np.ndarray, np.uintp, np.int64, np.int32, np.float32]


@pytest.mark.parametrize(
    ("said", "wheel"),
    [
        ('Failure finding "libnvrtc.so.13 or libnvrtc.so.12"', "nvidia-cuda-nvrtc-cu12"),
        ("CuPy failed to find CUDA headers", "nvidia-cuda-runtime-cu12"),
    ],
)
def test_a_missing_part_of_cuda_is_named(cupy: SimpleNamespace, said: str, wheel: str) -> None:
    FakeModule.failure = RuntimeError(said)
    message = f"kernels/activation/cuda.cu cannot be compiled: .*pip install {wheel}.*{said[:9]}"
    with pytest.raises(BackendError, match=message):
        launch(CupyRuntime(), FLOAT)


def test_a_missing_cublas_is_named(cupy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def matmul(*_: Any, **__: Any) -> None:
        raise ImportError("libcublas.so.12: cannot open shared object file")

    monkeypatch.setattr(cupy, "matmul", matmul)
    monkeypatch.setattr(CupyRuntime, "address", lambda runtime, x: x.ctypes.data)
    x = np.ones((2, 2))
    with pytest.raises(BackendError, match=r"matrix product.*pip install nvidia-cublas-cu12"):
        CupyRuntime().gemm(x, x, x)


@pytest.mark.parametrize("dtype", HALVES)
def test_16_bit_products_without_cublaslt(
    cupy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """Added in float32, and left in it where the result is."""
    monkeypatch.setattr(CupyRuntime, "address", lambda runtime, x: x.ctypes.data)
    half = dtype_named(dtype)
    x, out = np.ones((1, 5000), half), np.empty((1, 1), np.float32)
    step = np.full((5000, 1), 1 + float(finfo(half).eps), half)
    assert CupyRuntime().gemm(out, x, step)
    assert out.item() == pytest.approx(5000 * step[0].item(), rel=1e-6)
    rounded = np.empty((1, 1), half)
    assert CupyRuntime().gemm(rounded, x, step)
    assert rounded.item() == out.astype(half).item()


def test_out_of_memory_says_what_was_asked_for_and_what_is_free(
    cupy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy, "empty", refuse)
    wanted = r"shape \(1024, 1024\), float32, needs 4\.0 MiB; 5\.0 of 80\.0 MiB are free.* 2\.0 MiB"
    with pytest.raises(BackendError, match=wanted):
        CupyRuntime().empty((1024, 1024), FLOAT)


def test_memory_summary(cupy: SimpleNamespace) -> None:
    runtime = CupyRuntime()
    assert runtime.memory_summary().startswith(
        "cupy: 1.0 MiB of pooled arrays in use, 3.0 MiB held"
    )


@pytest.fixture
def pathfinder(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVRTC is there, the other libraries are not."""

    def load(name: str) -> Any:
        if name != "nvrtc":
            raise RuntimeError(f"Failure finding lib{name}.so.12:\n no such file")
        return SimpleNamespace(abs_path="/lib/libnvrtc.so.12")

    fake = SimpleNamespace(load_nvidia_dynamic_lib=load)
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(pathfinder=fake))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", fake)


DESCRIPTION = """\
Card 3000, compute capability 9.0, 132 multiprocessors, 0.0 of 0.1 GiB free; driver for CUDA 13.1, \
runtime CUDA 12.9, CuPy 14.2.0
NVRTC (compiles kernels): /lib/libnvrtc.so.12
cuBLAS (matrix products): missing, pip install nvidia-cublas-cu12. Failure finding \
libcublas.so.12: no such file
cuBLASLt (matrix products in graphs): missing, pip install nvidia-cublas-cu12. Failure finding \
libcublasLt.so.12: no such file
cudnn-frontend (optional: convolution, attention): not there, pip install nvidia-cudnn-frontend
products by CuPy's matmul, which cannot be captured: libcublasLt.so.12 was not found
convolutions by tercet's own kernel: nvidia-cudnn-frontend does not load (import of cudnn halted; \
None in sys.modules); run: pip install "tercet[cudnn]\""""


@pytest.mark.usefixtures("pathfinder")
def test_the_card_and_its_libraries(cupy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_device, "find_spec", lambda name: None)
    assert "\n".join(CupyRuntime().description()) == DESCRIPTION
    assert cuda_device.libraries("13.0")[1].wheel == "nvidia-cublas"


@pytest.mark.usefixtures("pathfinder")
def test_info_shows_them(
    cupy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The card of the stand-in; the kernels need one that works.
    class Described(SimulatedRuntime):
        description = CupyRuntime.description

        def products(self) -> str:
            return "NumPy"

        convolutions = products

    monkeypatch.setitem(backends._made, "cupy", CupyBackend(runtime=Described()))
    monkeypatch.setitem(backends._PROBLEMS, "cupy", lambda: None)
    monkeypatch.setattr(backends, "_best_name", None)  # found anew, and put back
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "cupy   usable\n       Card 3000, compute capability 9.0" in out
    assert "cuBLAS (matrix products): missing, pip install nvidia-cublas-cu12" in out


def test_the_backend_takes_every_kernel_from_cuda(cupy: SimpleNamespace) -> None:
    own = CupyBackend.implementations(SimpleNamespace(runtime=CupyRuntime()))  # type: ignore
    from tercet.kernels import TABLE

    assert set(TABLE) == set(own)


class FakeStream:
    """Writes down what is asked of it, in `log`."""

    ptr = 77
    log: list[Any] = []  # noqa: RUF012 - the fixture gives each test a fresh one

    def __init__(self, **options: Any) -> None:
        self.log.append(("stream", options))

    def __enter__(self) -> None:
        self.log.append("enter")

    def __exit__(self, *_: Any) -> None:
        self.log.append("leave")

    def begin_capture(self) -> None:
        self.log.append("begin")

    def end_capture(self) -> Any:
        self.log.append("end")
        return SimpleNamespace(launch=lambda: self.log.append("launch"))

    def wait_event(self, event: Any) -> None:
        self.log.append(("wait", event))


class FakeMemory:
    def __init__(self, ptr: int, size: int, owner: Any) -> None:
        self.ptr, self.size, self.owner = ptr, size, owner


@pytest.fixture
def streams(cupy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr(FakeStream, "log", [])
    now = FakeStream()
    cupy.cuda.Stream = FakeStream
    cupy.cuda.get_current_stream = lambda: now
    cupy.cuda.Event = lambda **_: SimpleNamespace(record=lambda stream: FakeStream.log.append("r"))
    cupy.cuda.UnownedMemory = FakeMemory
    cupy.cuda.MemoryPointer = lambda memory, offset: SimpleNamespace(
        mem=memory, ptr=memory.ptr + offset
    )
    cupy.cuda.runtime.memcpyDefault = 4
    cupy.cuda.runtime.memcpyAsync = lambda *args: FakeStream.log.append(args)
    cupy.ndarray = lambda shape, dtype, data, strides=None: SimpleNamespace(
        shape=shape, dtype=dtype, data=data, strides=strides, nbytes=data.mem.size
    )
    FakeStream.log.clear()
    return cupy


def test_a_graph_is_captured_on_a_stream_of_its_own(streams: SimpleNamespace) -> None:
    launch = CupyRuntime().graph([lambda: FakeStream.log.append("work")])
    assert FakeStream.log == [
        ("stream", {"non_blocking": True}), "enter", "begin", "work", "end", "leave",
    ]  # fmt: skip
    launch()
    assert FakeStream.log[-1] == "launch"


def test_a_capture_that_fails_is_ended(streams: SimpleNamespace) -> None:
    def work() -> None:
        raise BackendError("no")

    with pytest.raises(BackendError, match="no"):
        CupyRuntime().graph([work])
    assert FakeStream.log[-2:] == ["end", "leave"]


def test_copies_name_both_sides_by_their_addresses(streams: SimpleNamespace) -> None:
    runtime = CupyRuntime()
    work, copies = runtime.streams()
    assert runtime.streams()[1] is copies
    holder = runtime._at(1000, None, (8,), None, "float32")
    inside = runtime.view(holder, 8, Place("input", 0, 8, (2, 3), (12, 4), "float32"))
    assert (inside.data.ptr, inside.nbytes, inside.data.mem.owner) == (1008, 24, holder)
    pinned = np.zeros((2, 3), np.float32)
    copies.copy(inside, pinned)
    assert FakeStream.log[-1] == (1008, pinned.ctypes.data, 24, 4, 77)
    work.copy(inside, inside)
    assert FakeStream.log[-1] == (1008, 1008, 24, 4, 77)
    event = work.event()
    copies.wait(event)
    assert FakeStream.log[-1] == ("wait", event)


def test_an_array_of_a_recording_leads_back_to_its_lease(streams: SimpleNamespace) -> None:
    runtime = CupyRuntime()
    lease = Lease(Pool(), 64, "block", 4096, (2, 2), FLOAT)
    array = runtime.leased(lease)
    assert runtime.address(array) == 4096
    assert runtime.owner(array) is lease
    inside = runtime.view(array, 4, Place("block", 0, 4, (1,), (4,), "float32"))
    assert runtime.owner(inside) is None
