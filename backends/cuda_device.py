"""What the GPU is, and which parts of CUDA are there for it: for `tercet info` and benchmarks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True)
class Card:
    """A GPU and the CUDA that drives it.

    capability        "9.0"
    memory, free      bytes
    driver, runtime   the newest CUDA that the driver knows, and the one that CuPy uses
    """

    name: str
    capability: str
    multiprocessors: int
    memory: int
    free: int
    driver: str
    runtime: str
    cupy: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        gib = 2.0**30
        return (
            f"{self.name}, compute capability {self.capability}, {self.multiprocessors} "
            f"multiprocessors, {self.free / gib:.1f} of {self.memory / gib:.1f} GiB free; driver "
            f"for CUDA {self.driver}, runtime CUDA {self.runtime}, CuPy {self.cupy}"
        )


def card() -> Card:
    """The current GPU, asked through CuPy."""
    import cupy

    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    name = runtime.getDeviceProperties(device.id)["name"]
    free, total = runtime.memGetInfo()
    digits = device.compute_capability
    return Card(
        name.decode() if isinstance(name, bytes) else name,
        f"{digits[:-1]}.{digits[-1]}",
        int(device.attributes["MultiProcessorCount"]),
        total,
        free,
        cuda_version(runtime.driverGetVersion()),
        cuda_version(runtime.runtimeGetVersion()),
        cupy.__version__,
    )


def cuda_version(number: int) -> str:
    """CUDA's own way to number its versions, read.

    >>> cuda_version(12080)
    '12.8'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


@dataclass(frozen=True)
class Library:
    """A part of CUDA: the file that was found, or why none was, and the wheel that provides it.

    A problem is that of a part that is needed.
    """

    name: str
    purpose: str
    wheel: str
    path: str | None
    problem: str = ""

    def __str__(self) -> str:
        what = f"{self.name} ({self.purpose})"
        if self.path is not None:
            return f"{what}: {self.path}"
        if not self.problem:
            return f"{what}: not there, pip install {self.wheel}"
        return f"{what}: missing, pip install {self.wheel}. {self.problem}"


# Names by which cuda.pathfinder, which comes with CuPy, looks libraries up; what each is for; the
# wheel that holds it, to whose name CUDA 12 adds "-cu12".
LIBRARIES = {
    "nvrtc": ("NVRTC", "compiles kernels", "nvidia-cuda-nvrtc"),
    "cublas": ("cuBLAS", "matrix products", "nvidia-cublas"),
    "cublasLt": ("cuBLASLt", "matrix products in graphs", "nvidia-cublas"),
}
OPTIONAL = "cudnn-frontend"


def libraries(runtime: str) -> list[Library]:
    """The parts of CUDA that tercet uses, for CUDA `runtime`: found or missing."""
    suffix = "-cu12" if runtime.startswith("12") else ""
    found = []
    for name, (title, purpose, wheel) in LIBRARIES.items():
        path, problem = _locate(name)
        found.append(Library(title, purpose, wheel + suffix, path, problem))
    spec = find_spec("cudnn")
    where = None if spec is None else str(spec.origin)
    found.append(
        Library(OPTIONAL, "optional: convolution, attention", "nvidia-cudnn-frontend", where)
    )
    return found


def _locate(name: str) -> tuple[str | None, str]:
    """The file of a library, loaded to prove that it can be; or why there is none, in one line."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return str(load_nvidia_dynamic_lib(name).abs_path), ""
    except Exception as error:  # not found, or found and broken: both are what is asked here
        return None, " ".join(str(error).split())[:200]
