"""Real processes: they compute the same, take turns, keep to their threads, say what went wrong."""

import os
import sys
from typing import Any

import pytest
from tercet.backends import usable
from tercet.bench import cases, limits
from tercet.bench.cases import INFER, TRAIN, Case
from tercet.bench.environment import environment
from tercet.bench.measure import Plan, check, measure, record_of
from tercet.bench.memory import resident
from tercet.bench.turns import THREAD_VARIABLES, Worker, processors, take_turns
from tercet.bench.variants import PEERS, PLAIN, Variant, of_backend
from tercet.errors import BenchmarkError

PLAN = Plan(rounds=2, seconds=1e-3, threads=1)
CASES = [
    Case("train", TRAIN, (7, 6, 5, 3), 8),
    Case("gelu", TRAIN, (7, 6, 5, 3), 8, "gelu"),
    Case("infer", INFER, (7, 6, 5, 3), 8),
]
ECHO = "import sys\nfor line in sys.stdin:\n  print(line, end='', flush=True)"


def silent(text: str) -> None:
    pass


def compare(*variants: Variant) -> list[dict[str, Any]]:
    return measure(CASES, [PLAIN, *variants], PLAN, silent)


@pytest.mark.parametrize("name", usable())
def test_tercet_computes_what_numpy_by_hand_does(name: str) -> None:
    variants = of_backend(name)
    for record in compare(*variants):
        assert record["left_out"] == {}
        assert set(record["figures"]) == {PLAIN.name, *(v.name for v in variants)}
        for figures in record["figures"].values():
            assert len(figures["seconds"]) == PLAN.rounds
            assert all(0 < s < 1 for s in figures["seconds"])
            memory = figures["memory"]
            if memory["after"]:
                assert memory["after"]["peak"] >= memory["imported"]["now"] > 0


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_computes_the_same(peer: str) -> None:
    variants = [v for v in PEERS[peer] if v.mode != "compiled"]  # half a minute of compiling
    if any(v.missing for v in variants):
        pytest.skip(f"{peer} is not installed")
    records = compare(*variants)
    assert any(variants[0].name in record["figures"] for record in records)
    for record in records:
        for why in record["left_out"].values():
            assert not why.startswith("failed")


def test_a_difference_is_found() -> None:
    record = record_of(CASES[0])
    record["figures"] = {"a": {"results": [1.0, 2.0]}, "b": {"results": [1.0, 2.00001]}}
    check(record)
    record["figures"]["b"]["results"][1] = 2.01
    with pytest.raises(BenchmarkError, match=r"a and b do not compute the same|b and a do not"):
        check(record)


def test_only_the_framework_that_is_known_to_differ_may() -> None:
    record = record_of(cases.CASES["cnn"])
    same, off = {"results": [2.31, 2.226]}, {"results": [2.31, 2.221]}
    record["figures"] = {"torch": same, "torch.compile": off, "jax.jit": same}
    check(record)
    record["figures"]["jax.jit"] = off
    with pytest.raises(BenchmarkError, match="do not compute the same"):
        check(record)


def test_a_process_that_ends_is_left_out_with_its_last_words() -> None:
    [record] = measure(CASES[:1], [PLAIN, Variant("none", "no_such_file")], PLAN, silent)
    assert list(record["figures"]) == [PLAIN.name]
    assert "No module named 'tercet.bench.frameworks.no_such_file'" in record["left_out"]["none"]


def test_turns_rotate() -> None:
    workers = {name: Worker([sys.executable, "-c", ECHO], 1) for name in "ab"}
    try:
        found = list(take_turns(workers, {"a": 1, "b": [2]}, 2))
    finally:
        for worker in workers.values():
            worker.close()
    assert found == [("a", 1), ("b", [2]), ("b", [2]), ("a", 1)]


def test_a_process_sees_its_threads_only() -> None:
    code = (
        "import json, os, sys\nfor line in sys.stdin:\n"
        " print(json.dumps([len(os.sched_getaffinity(0)),"
        " *(os.environ[name] for name in json.loads(line))]), flush=True)"
    )
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinities")
    worker = Worker([sys.executable, "-c", code], 1)
    try:
        assert worker.ask(THREAD_VARIABLES) == [1, *("1" for _ in THREAD_VARIABLES)]
    finally:
        worker.close()


def test_limits_are_measured_by_size() -> None:
    workers = [limits._worker(1) for _ in processors()[:2]]
    try:
        small = max(limits._together(workers, "add", 1 << 19) for _ in range(2))
        one = limits._together(workers[:1], "copy", 1 << 19)
    finally:
        for worker in workers:
            worker.close()
    # Between a slow disk and the fastest caches: a wrong unit would be outside.
    assert 1e8 < one < 1e13
    assert 1e8 < small < 1e13


def test_the_better_of_two_limits() -> None:
    a = {"sgemm": {"1": 3.0}, "traffic": [{"bytes": 8, "copy": 1.0, "add": 5.0}]}
    b = {"sgemm": {"1": 4.0}, "traffic": [{"bytes": 8, "copy": 2.0, "add": 4.0}]}
    assert limits.best_of(a, b) == {
        "sgemm": {"1": 4.0},
        "traffic": [{"bytes": 8, "copy": 2.0, "add": 5.0}],
    }


def test_memory_grows_with_what_is_held() -> None:
    before = resident()
    if not before:
        pytest.skip("this system does not tell")
    held = bytearray(b"x") * (64 << 20)
    after = resident()
    assert after["now"] - before["now"] > len(held) // 2
    assert after["peak"] >= after["now"]


def test_the_environment_names_versions_and_threads() -> None:
    found = environment(3)
    assert found["threads"] == 3
    assert found["versions"]["numpy"]
    assert found["cpu"]
