"""The command for a machine with a GPU, run for real over the simulation of CUDA."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tercet as tc
from tercet import backends
from tercet.backends import usable
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.bench.frameworks import tercet_steps
from tercet.bench.gpu import checks, replay
from tercet.bench.gpu.__main__ import SHARES, SIMULATED, file_name, free_path
from tercet.bench.gpu.page import TITLES, page
from tercet.bench.gpu.processes import Deadline, process
from tercet.bench.gpu.replay import PRECISIONS
from tercet.bench.gpu.scale import MINIATURE
from tercet.bench.gpu.steps import VARIANTS, _compare
from tercet.bench.gpu.verdict import problems
from tercet.bench.job import NotHere
from tercet.errors import BenchmarkError

simulated = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tercet.bench.gpu", *arguments], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    if compiler() is None:
        pytest.skip("the CUDA simulation needs g++")
    folder = tmp_path_factory.mktemp("results")
    ran = command("--simulate", "--minutes", "5", "--folder", str(folder))
    assert ran.returncode == 0, ran.stderr
    path = Path(ran.stdout.strip())
    return path, json.loads(path.read_text())


def found(result: tuple[Path, dict[str, Any]], part: str) -> Any:
    content = result[1]["parts"][part]
    assert content["status"] == "done", content
    return content["found"]


def test_every_part_is_there_and_the_simulation_says_what_it_is(result: Any) -> None:
    path, content = result
    assert path.name.endswith("-simulated.json")
    assert content["simulated"] == SIMULATED
    assert list(content["parts"]) == [name for name, _, _ in SHARES] == list(TITLES)
    text = path.with_suffix(".md").read_text()
    assert text == page(content)
    assert SIMULATED in text
    assert all(f"## {title}" in text for title in TITLES.values())


def test_steps_of_tercet_and_its_peers(result: Any) -> None:
    records = found(result, "steps")
    assert len(records) == len(PRECISIONS) * len(MINIATURE.cases)
    names = {variant.name for variant in VARIANTS}
    for record in records:
        assert record["failed"] == {}
        assert "different" not in record
        assert names == record["figures"].keys() | record["left_out"].keys()
    first = records[0]["figures"]
    for figures in first.values():
        assert len(figures["seconds"]) == MINIATURE.rounds
        assert figures["host"] > 0
        assert figures["first_step"] > 0
    # A graph, and the copy of what it returns.
    assert first["tercet, captured"]["launches"] == 2 < first["tercet"]["launches"]


def test_captured_steps_equal_eager_ones(result: Any) -> None:
    for seen in found(result, "replay").values():
        assert (seen["equal"], seen["replayed"]) == (True, True)
        assert seen["losses"] == seen["eager_losses"]


def test_kernels_and_limits(result: Any) -> None:
    limits = found(result, "limits")
    assert limits["copy"] > 0
    assert all(rates["tercet"] > 0 for rates in limits["products"].values())
    assert all(r["seconds"] > 0 and r["bytes"] > 0 for r in found(result, "kernels"))


def test_tests_run(result: Any) -> None:
    tests = found(result, "tests")
    assert tests["status"] == 0
    assert tests["counts"]["passed"] == 5


def test_the_page_of_a_card(result: Any) -> None:
    content = json.loads(json.dumps(result[1])) | {"simulated": None}
    lines = ["Card 3000, compute capability 9.0", "NVRTC (compiles kernels): missing"]
    content["parts"]["card"] = {
        "status": "done", "found": {"name": "Card 3000", "description": lines},
    }  # fmt: skip
    text = page(content)
    assert text.startswith("# Card 3000\n")
    assert SIMULATED not in text
    assert all(f"- {line}" in text for line in lines)
    assert "Nothing that ran failed." in text


def test_what_is_wrong_is_told(result: Any) -> None:
    content = json.loads(json.dumps(result[1]))
    assert problems(content) == []
    parts = content["parts"]
    parts["limits"] = {"status": "failed", "why": "no copy"}
    parts["tests"]["found"]["counts"] = {"passed": 3, "failed": 2, "error": 1}
    parts["replay"]["found"] = {
        "float32": {"replayed": True, "equal": False, "steps": 3, "first_different_step": 2,
                    "different_parameters": [0]},
        "tf32": {"replayed": False, "equal": True, "steps": 3},
        "bfloat16": {"failed": "it broke"},
    }  # fmt: skip
    parts["steps"]["found"][0]["failed"] = {"torch.compile": "theirs", "tercet": "ours"}
    parts["steps"]["found"][1]["different"] = ["tercet, captured"]
    parts["kernels"]["found"][0]["failed"] = "an illegal address"
    seen = {"status": 86, "counts": {}, "failures": [], "last": "", "complaints": ["a line"]}
    parts["sanitizer"] = {"status": "done", "found": {"memcheck": seen | {"errors": 4}}}
    found = problems(content)
    assert len(found) == 9
    for part in (
        "limits: no copy", "tests: 3 failed", "float32: captured steps differ", "no step was rep",
        "bfloat16: it broke", "tercet: ours", "first one's: tercet, captured", "an illegal address",
        "memcheck counted 4 errors",
    ):  # fmt: skip
        assert sum(part in text for text in found) == 1, part
    text = page(content)
    assert all(f"- {line}" in text for line in found)
    assert "**different**, first at step 2; parameters [0]" in text


@simulated
def test_without_time_every_part_says_so(tmp_path: Path) -> None:
    ran = command("--simulate", "--minutes", "0.01", "--folder", str(tmp_path))
    assert ran.returncode == 1, ran.stderr
    assert "limits: no answer within" in ran.stderr
    parts = json.loads(Path(ran.stdout.strip()).read_text())["parts"]
    assert "no answer within" in parts["limits"]["why"]
    assert parts["tests"]["found"]["status"] is None
    for record in parts["steps"]["found"]:
        assert not record["figures"]
        assert set(record["failed"]) == {v.name for v in VARIANTS if not v.missing}
    assert {r["not_here"] for r in parts["kernels"]["found"]} == {"not run: the time was over"}


@simulated
def test_a_run_that_is_killed_loses_little(tmp_path: Path) -> None:
    arguments = ["--simulate", "--folder", str(tmp_path)]
    running = subprocess.Popen(
        [sys.executable, "-m", "tercet.bench.gpu", *arguments], stderr=subprocess.DEVNULL
    )
    parts: dict[str, Any] = {}
    while running.poll() is None and parts.get("limits", {}).get("status") != "done":
        time.sleep(0.1)
        for path in tmp_path.glob("*.json"):
            parts = json.loads(path.read_text())["parts"]
    running.kill()
    running.wait()
    assert parts["limits"]["status"] == "done"
    [path] = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["parts"]["limits"] == parts["limits"]
    assert parts["sanitizer"]["status"] == "not run"
    assert "Not run: the run ended before." in path.with_suffix(".md").read_text()


@pytest.mark.skipif("cupy" in usable(), reason="this machine has a GPU")
def test_without_a_gpu_it_is_one_line() -> None:
    ran = command()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("python -m tercet.bench.gpu: there is no GPU to measure: ")
    assert ran.stderr.count("\n") == 1


def test_names_of_files(tmp_path: Path) -> None:
    name = file_name("2026-01-02", "Card 3000 / X")
    assert free_path(tmp_path, name).name == "2026-01-02-card-3000-x.json"
    (tmp_path / "2026-01-02-card-3000-x.json").touch()
    assert free_path(tmp_path, name).name == "2026-01-02-card-3000-x-2.json"


@simulated
def test_a_process_answers_fails_or_is_ended() -> None:
    with process("replay", simulate=True) as worker:
        with pytest.raises(BenchmarkError, match=r"TypeError: .*widths"):
            worker.ask(Deadline(60), "compare")
        assert worker.alive
        case = {"widths": [4, 3, 2], "batch": 2}
        with pytest.raises(BenchmarkError, match=r"unknown .+'float8'"):
            worker.ask(Deadline(60), "compare", **case, precision="float8")
        began = time.monotonic()
        with pytest.raises(BenchmarkError, match="no answer within 0 s"):
            worker.ask(Deadline(0), "compare", **case, precision="float32")
        assert not worker.alive
        assert time.monotonic() - began < 10


@simulated
def test_a_backend_that_does_not_capture_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Eager(CupyBackend):
        captures = False

    monkeypatch.setitem(backends._made, "cupy", Eager(runtime=SimulatedRuntime()))
    with tc.use_backend("cupy"):
        with pytest.raises(NotHere, match="not captured yet"):
            replay.compare([4, 3, 2], 2, "float32")
        with pytest.raises(NotHere, match="not captured yet"):
            tercet_steps.build(MINIATURE.cases[0], "captured", 1)


def test_losses_that_differ_are_written_down() -> None:
    figures = {"a": {"losses": [1.0, 2.0]}, "b": {"losses": [1.0, 2.01]}}
    record: dict[str, Any] = {"precision": "bfloat16", "figures": figures}
    _compare(record)
    assert "different" not in record
    _compare(record := record | {"precision": "float32"})
    assert record["different"] == ["b"]


STAND_IN = """#!/bin/sh
# Stands in for compute-sanitizer: runs the command, and finds what it is told to.
tool=$2
while [ "$1" != "--error-exitcode" ]; do shift; done
shift 2
"$@"
echo "========= Invalid __global__ read of size 4 bytes"
if [ "$tool" = memcheck ]; then echo "========= ERROR SUMMARY: 3 errors"; exit 86; fi
echo "========= ERROR SUMMARY: 0 errors"
"""


def test_what_compute_sanitizer_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "compute-sanitizer"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tools = checks.run_sanitizer(("tests/bench/test_cases.py",), Deadline(120))
    assert {tool: seen["errors"] for tool, seen in tools.items()} == {
        "memcheck": 3, "racecheck": 0, "synccheck": 0,
    }  # fmt: skip
    assert tools["memcheck"]["status"] == checks.FOUND
    assert tools["memcheck"]["complaints"] == ["========= Invalid __global__ read of size 4 bytes"]
    assert tools["racecheck"]["complaints"] == []
    assert tools["synccheck"]["counts"]["passed"] > 0


def test_a_failing_test_is_named() -> None:
    text = (
        "tests/a.py::test_one[x y] PASSED  [ 50%]\n"
        "tests/a.py::test_two FAILED  [100%]\n"
        "FAILED tests/a.py::test_two - AssertionError: no\n1 failed, 1 passed in 0.1s"
    )
    counts = checks._counts(text, 1)
    assert counts["counts"] == {"passed": 1, "failed": 1}
    assert counts["failures"] == ["FAILED tests/a.py::test_two - AssertionError: no"]
    # Ended before pytest summed up.
    cut = checks._counts("\n".join(text.splitlines()[:2]), None)
    assert cut["failures"] == ["FAILED tests/a.py::test_two"]
