"""AddressSanitizer over the simulation: what a kernel reads outside an array is seen.

Started in a process of its own, because its library has to be there before all others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tercet import kernels
from tercet.backends.cuda_simulation import compiler

WITHOUT_LEAKS = "detect_leaks=0:detect_odr_violation=0"  # Python's; every library has the header's
SCRIPT = """
import sys
import numpy as np
from tercet.backends.cuda_simulation import SimulatedRuntime
from tercet.backends.cupy_backend import CupyBackend

def edit(text):
    return text.replace(sys.argv[1], sys.argv[2])

backend = CupyBackend(runtime=SimulatedRuntime(edit=edit))
backend.ops.softmax_forward(backend.asarray(np.ones((3, 5), np.float32)))
print("the launches are over")
"""
RIGHT = "return in[j]; }"


def library() -> str | None:
    """AddressSanitizer's, where the compiler has one."""
    gxx = compiler()
    if gxx is None:
        return None
    command = [gxx, "-print-file-name=libasan.so"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return found if Path(found).is_absolute() else None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(library() is None, reason="g++ has no AddressSanitizer here"),
]


def simulated(wrong: str, sanitized: bool) -> subprocess.CompletedProcess[str]:
    """A softmax with its reading of an element replaced."""
    environment = os.environ | {"TERCET_BACKEND": "numpy"}
    if sanitized:
        environment |= {"LD_PRELOAD": str(library()), "ASAN_OPTIONS": WITHOUT_LEAKS}
    command = [sys.executable, "-c", SCRIPT, RIGHT, wrong]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_right_kernel_passes() -> None:
    ran = simulated(RIGHT, sanitized=True)
    assert ran.stdout == "the launches are over\n", ran.stderr
    assert ran.stderr == ""


@pytest.mark.parametrize(
    "wrong", ["return in[j + 1]; }", "return in[j - 1]; }"], ids=["behind", "before"]
)
def test_a_read_outside_an_array_is_seen_and_named(wrong: str) -> None:
    """One element too far: no guard changes."""
    assert simulated(wrong, sanitized=False).stdout == "the launches are over\n"
    ran = simulated(wrong, sanitized=True)
    assert ran.returncode != 0
    assert ran.stdout == ""
    line = source_line()
    assert "AddressSanitizer: use-after-poison" in ran.stderr
    assert f"softmax/cuda.cu:{line}" in ran.stderr


def source_line() -> int:
    """Where softmax reads an element for its maximum."""
    text = (Path(kernels.__file__).parent / "softmax" / "cuda.cu").read_text()
    return text[: text.index(RIGHT)].count("\n") + 1
