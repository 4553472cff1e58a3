"""Every .cu file compiles for the GPUs that tercet supports, without one, and does not spill.

With CuPy's NVRTC where it can be loaded (pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12), which is
what users' machines compile with; else with nvcc where it is on the PATH.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tercet import kernels
from tercet.backends.cuda_runtime import CUPY_OPTIONS, OPTIONS, defines, expand, signatures
from tercet.kernels.spec import FLOATS, HALVES, NUMBERS

pytestmark = pytest.mark.slow

ARCHITECTURES = (80, 90)
# Sources whose kernels also run on integers, and on which; and those that need no 16-bit numbers.
ELEMENTS = {
    "indexing/cuda": NUMBERS,
    "elementwise/numbers": NUMBERS,
    "reduction/cuda": (*FLOATS, *HALVES, "int32", "int64"),
    "metric/cuda": FLOATS,
    "optimizer/cuda": FLOATS,
    "random/cuda": FLOATS,
}
# Double precision in float code: sin and cos of large numbers; the optimizer's learning rate and
# step, and its sums of squares; the sums of an epoch.
DOUBLE_ALLOWED = ("elementwise", "metric", "optimizer")

# Registers of a thread, by bytes of an element. A multiprocessor has 65,536 for up to 2048 threads;
# half of these can be there at once, a quarter of those on eight bytes, to hide loads' latency.
MOST_REGISTERS = {1: 64, 2: 64, 4: 64, 8: 128}
# Kernels that keep a tile of sums in registers use each load many times, and need fewer threads.
MOST_REGISTERS_OF_TILES = 128
TILES = ("attention/cuda", "convolution/cuda")

# (text, options, folder, assembly) -> PTX if `assembly`, else what the assembler reports
Compile = Callable[[str, tuple[str, ...], Path, bool], str]


def nvrtc_compile(text: str, options: tuple[str, ...], folder: Path, assembly: bool) -> str:
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(text, "cuda.cu", [], [])
    try:
        nvrtc.compileProgram(program, [*options, *CUPY_OPTIONS, "--ptxas-options=-v"])
    except nvrtc.NVRTCError:
        raise AssertionError(nvrtc.getProgramLog(program)) from None
    log = nvrtc.getProgramLog(program)
    assert "warning" not in log, log
    if not assembly:
        return str(log)
    ptx = nvrtc.getPTX(program)
    return ptx.decode() if isinstance(ptx, bytes) else ptx


def nvcc_compile(text: str, options: tuple[str, ...], folder: Path, assembly: bool) -> str:
    source, built = folder / "cuda.cu", folder / "built"
    source.write_text(text)
    kind = "-ptx" if assembly else "-cubin"
    command = ["nvcc", *options, "-ftz=true", kind, "-Xptxas", "-v", "-o", built, source]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr, result.stderr
    return built.read_text() if assembly else result.stderr


@pytest.fixture(scope="session")
def compile_cuda() -> Compile:
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        why = str(error).strip()
    else:
        return nvrtc_compile
    if shutil.which("nvcc"):
        return nvcc_compile
    pytest.skip(f"no CUDA compiler: nvcc is not on the PATH, and NVRTC does not load ({why})")


FOLDER = Path(kernels.__file__).parent
SOURCES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*.cu"))


def source_of(name: str) -> Path:
    return (FOLDER / name).with_suffix(".cu")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", SOURCES)
def test_compiles_without_spilling(
    name: str, architecture: int, compile_cuda: Compile, tmp_path: Path
) -> None:
    for dtype in ELEMENTS.get(name, (*FLOATS, *HALVES)):
        options = (f"-arch=sm_{architecture}", *OPTIONS, *defines(dtype))
        report = compile_cuda(expand(source_of(name)), options, tmp_path, False)
        spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", report)
        assert len(spills) >= len(signatures(source_of(name)))
        assert set(spills) == {("0", "0")}, report
        used = [int(count) for count in re.findall(r"Used (\d+) registers", report)]
        assert len(used) == len(signatures(source_of(name)))
        size = 2 if dtype in HALVES else np.dtype(dtype).itemsize
        most = MOST_REGISTERS_OF_TILES if name in TILES else MOST_REGISTERS[size]
        assert max(used) <= most, report


@pytest.mark.parametrize("name", [n for n in SOURCES if n.split("/")[0] not in DOUBLE_ALLOWED])
def test_float_code_has_no_double_arithmetic(
    name: str, compile_cuda: Compile, tmp_path: Path
) -> None:
    for dtype in set(ELEMENTS.get(name, HALVES)) & set(HALVES) | {"float32"}:
        options = ("-arch=compute_80", *OPTIONS, *defines(dtype))
        assembly = compile_cuda(expand(source_of(name)), options, tmp_path, True)
        assert re.findall(r"^\s+(?:@\S+ )?[a-z]\S*\.f64\b.*", assembly, re.MULTILINE) == []
