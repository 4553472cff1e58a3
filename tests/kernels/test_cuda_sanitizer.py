"""Reads outside of arrays, which change nothing and so escape the guards."""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

READS = """
import numpy as np
from tercet.backends.cuda_simulation import SimulatedRuntime
from tercet.backends.cupy_backend import CupyBackend

def edit(text):
    # One number too far, of which nothing is kept.
    right = "out[i] = STORED(x[i]);"
    return text.replace(right, "out[i] = x[i + 1] > 0 ? STORED(x[i]) : STORED(x[i] + 0);")

backend = CupyBackend(runtime=SimulatedRuntime(edit=EDIT))
x = backend.asarray(np.ones(5, np.float32))
print(backend.to_numpy(backend.ops.copy(x, dtype="float32")))
"""


def run(edit: str) -> subprocess.CompletedProcess[str]:
    """The program in a process that AddressSanitizer watches."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("the CUDA simulation needs g++")
    name = [compiler, "-print-file-name=libasan.so"]
    library = subprocess.run(name, capture_output=True, text=True, check=True).stdout.strip()
    watched = os.environ | {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}
    program = READS.replace("EDIT", edit)
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=watched, capture_output=True, text=True, check=False)


def test_a_read_that_no_guard_sees_is_named_by_its_line() -> None:
    result = run("edit")
    assert result.returncode != 0
    assert "use-after-poison" in result.stderr
    assert "elementwise/numbers.cu:" in result.stderr


def test_the_kernel_itself_reads_nothing_else() -> None:
    result = run("None")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["[1.", "1.", "1.", "1.", "1.]"]
