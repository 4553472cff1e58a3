"""A pause for compiling is named, and nothing else is said."""

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tercet.backends import problem

pytestmark = pytest.mark.skipif(problem("numba") is not None, reason="needs Numba")

# A loop of its own, so that no cache has it.
COMPILE = """
import numpy as np
import tercet as tc
tc.get_backend("numba")
from tercet.kernels import numba_cache, numba_loop
numba_loop.cached_njit = numba_cache.njit

def _thirds(t, parts, out):
    out[:] = 1 / 3

numba_loop.Loop(_thirds)(1, np.zeros(3, np.float32))
"""


def stderr(**environment: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if k != "TERCET_VERBOSE"}
    process = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, env=inherited | environment
    )
    assert process.returncode == 0, process.stderr
    return process.stderr


def test_nothing_is_said_where_nobody_waits() -> None:
    assert stderr() == ""


def test_every_loop_is_named_on_demand() -> None:
    found = stderr(TERCET_VERBOSE="1")
    assert found == "tercet: compiling thirds for float32 (once; kept in the disk cache)\n"


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Callable[[str, float], None]]:
    """What was said, and a function that compiles a loop for some seconds of a clock."""
    from tercet.backends import compiling

    now = 0.0
    monkeypatch.setattr(compiling, "time", SimpleNamespace(perf_counter=lambda: now))
    said: list[str] = []
    announcer = compiling.Announcer(said.append, patience=1.0)

    def compile_(name: str, seconds: float, is_loop: bool = True) -> None:
        nonlocal now
        function = SimpleNamespace(__name__=name, is_loop=is_loop)
        data: dict[str, Any] = {"dispatcher": SimpleNamespace(py_func=function), "args": ()}
        announcer.on_start(SimpleNamespace(data=data))
        now += seconds
        announcer.on_end(SimpleNamespace(data=data))

    return said, compile_


def test_many_small_loops_are_one_pause(
    loops: tuple[list[str], Callable[[str, float], None]],
) -> None:
    said, compile_ = loops
    for i in range(12):
        compile_(f"loop_{i}", 0.25)
    assert said == ["loop_4", "loop_8"]


def test_a_short_pause_is_not_worth_a_word(
    loops: tuple[list[str], Callable[[str, float], None]],
) -> None:
    said, compile_ = loops
    compile_("a", 0.4)
    compile_("b", 0.4)
    assert said == []
