"""Every .cu file compiles for the GPUs that tercet supports, without one, does not spill, and
leaves room for enough threads.

With CuPy's NVRTC where it can be loaded (pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12), which is
what users' machines compile with; else with nvcc where it is on the PATH.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tercet import kernels
from tercet.backends.cuda_runtime import (
    CUPY_OPTIONS,
    OPTIONS,
    REAL_TYPES,
    CupyRuntime,
    expand,
    signatures,
)
from tercet.kernels.spec import FLOATS, NUMBERS

pytestmark = pytest.mark.slow

ARCHITECTURES = (80, 90)
# Families whose kernels also run on integers, and on which.
ELEMENTS = {
    "indexing/cuda": NUMBERS,
    "elementwise/numbers": NUMBERS,
    "reduction/cuda": (*FLOATS, "int32", "int64"),
}
# Double precision in float code: sin and cos of large numbers; the optimizer's learning rate and
# step, and its sums of squares; the sums of an epoch.
DOUBLE_ALLOWED = ("elementwise", "metric", "optimizer")

# A multiprocessor has so many registers, and what its threads have in flight has to hide memory's
# latency. With 16-byte loads, 4 blocks of 256 threads have 16 KiB in flight for every array that
# they read; by Little's law an A100 needs some 9 KB (1.9 TB/s over 108 multiprocessors, half a
# microsecond), an H100 some 13 KB (3.35 TB/s over 132).
REGISTERS = 65536
RESIDENT_BLOCKS = 4

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
    for dtype in ELEMENTS.get(name, FLOATS):
        options = (f"-arch=sm_{architecture}", *OPTIONS, f"-DREAL={REAL_TYPES[dtype]}")
        report = compile_cuda(expand(source_of(name)), options, tmp_path, False)
        spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", report)
        assert len(spills) >= len(signatures(source_of(name)))
        assert set(spills) == {("0", "0")}, report


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", SOURCES)
def test_enough_blocks_fit_a_multiprocessor(
    name: str, architecture: int, compile_cuda: Compile, tmp_path: Path
) -> None:
    """In float32: float64 is for checking, not for speed."""
    options = (f"-arch=sm_{architecture}", *OPTIONS, "-DREAL=float")
    report = compile_cuda(expand(source_of(name)), options, tmp_path, False)
    used = re.findall(r"entry function '(\w+)'.*?Used (\d+) registers", report, re.DOTALL)
    assert {kernel for kernel, _ in used} == set(signatures(source_of(name)))
    most = REGISTERS // (CupyRuntime.block * RESIDENT_BLOCKS)
    assert {kernel: int(n) for kernel, n in used if int(n) > most} == {}


@pytest.mark.parametrize("name", [n for n in SOURCES if n.split("/")[0] not in DOUBLE_ALLOWED])
def test_float_code_has_no_double_arithmetic(
    name: str, compile_cuda: Compile, tmp_path: Path
) -> None:
    options = ("-arch=compute_80", *OPTIONS, "-DREAL=float")
    assembly = compile_cuda(expand(source_of(name)), options, tmp_path, True)
    assert re.findall(r"^\s+(?:@\S+ )?[a-z]\S*\.f64\b.*", assembly, re.MULTILINE) == []
