"""What the conformance suite does not show of the loops: signatures, threads, bits, layouts."""

import inspect
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import numba
from tercet.kernels import FAMILIES, FAMILY_OF, TABLE, numba_blas, numba_cache, numba_loop
from tercet.kernels.activation.reference import KINDS
from tercet.kernels.spec import Kernel

from .conformance import SPECIAL, cast, compare, oracle, samples


def modules() -> list[Any]:
    return [import_module(f"tercet.kernels.{family}.loops") for family in FAMILIES]


LOOPED = [TABLE[name] for module in modules() for name in module.LOOPS]
# By their references on Numba: what only products on a GPU do on their way out, and the scaling of
# losses, which only 16-bit training on a GPU asks for.
assert {k.name for k in LOOPED} == {*TABLE} - {"dense_through", "unscale", "update_scale"}


def fill(kernel: Kernel, inputs: list[Any], attributes: dict[str, Any]) -> dict[str, Any]:
    """Run the loops as the backend does, on fresh copies; outputs and updated inputs by name."""
    arrays = [None if x is None else np.array(x, order="C") for x in inputs]
    outputs = [None if s is None else np.empty(*s) for s in kernel.shapes(*arrays, **attributes)]
    loops = import_module(f"tercet.kernels.{FAMILY_OF[kernel.name]}.loops").LOOPS
    loops[kernel.name](*outputs, *arrays, **attributes)
    named = dict(zip(kernel.outputs, outputs, strict=True))
    return named | {k: arrays[kernel.inputs.index(k)] for k in kernel.updates}


def check(name: str, inputs: list[Any], **attributes: Any) -> None:
    kernel = TABLE[name]
    dtype = next(x.dtype.name for x in inputs if x is not None and x.dtype.kind == "f")
    compare(kernel, inputs, attributes, fill(kernel, inputs, attributes), dtype)


@pytest.mark.parametrize("kernel", LOOPED, ids=lambda k: k.name)
def test_signatures_are_the_references_without_xp(kernel: Kernel) -> None:
    loops = import_module(f"tercet.kernels.{FAMILY_OF[kernel.name]}.loops").LOOPS
    expected = list(inspect.signature(kernel.reference).parameters.values())[1:]
    found = list(inspect.signature(loops[kernel.name]).parameters.values())
    assert [(p.name, p.kind) for p in found] == [(p.name, p.kind) for p in expected]


SPREAD_KINDS = ("subtract", "maximum", "less")


@pytest.fixture
def no_small_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too small for the loops, nor for threads."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread only")

    def parts_for(work: int, most: int | None = None, serial_below: int = 0) -> int:
        threads = numba.get_num_threads()
        return threads if most is None else max(min(threads, most), 1)

    for module in modules():
        for name, value in (("SERIAL_BELOW", 0), ("parts_for", parts_for)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("kernel", LOOPED, ids=lambda k: k.name)
@pytest.mark.usefixtures("no_small_work")
def test_threads_agree_with_the_reference_at_every_size(kernel: Kernel) -> None:
    for sample in samples(kernel):
        # How operands spread is the same code for all kinds, which the conformance suite tells
        # apart; every kind in every spread would be compiled for minutes.
        if kernel.name.startswith("binary") and sample.attributes["kind"] not in SPREAD_KINDS:
            continue
        inputs = cast(kernel, sample, "float32")
        compare(
            kernel, inputs, sample.attributes, fill(kernel, inputs, sample.attributes), "float32"
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["unary_forward", "binary_forward", "clip_forward"])
@pytest.mark.usefixtures("no_small_work")
def test_special_values_in_the_loops_for_large_arrays(name: str, dtype: str) -> None:
    kernel = TABLE[name]
    seen = set()
    n = len(SPECIAL)
    for sample in samples(kernel):
        attributes = sample.attributes
        if attributes.get("kind") in seen:
            continue
        seen.add(attributes.get("kind"))
        grid = [np.repeat(SPECIAL, n), np.tile(SPECIAL, n)][: len(kernel.inputs)]
        inputs = [x.astype(dtype) for x in grid]
        found = fill(kernel, inputs, attributes)["out"]
        want = oracle(kernel, inputs, attributes)["out"]
        with np.errstate(over="ignore"):
            want = want.astype(found.dtype)
        tiny = np.finfo(dtype).smallest_normal
        np.testing.assert_allclose(
            found,
            want,
            rtol=1e-5 if dtype == "float32" else 1e-12,
            atol=tiny,
            err_msg=str(attributes),
        )


def test_equal_inputs_give_equal_bits(rng: np.random.Generator) -> None:
    x = rng.normal(size=(300, 400)).astype(np.float32)
    index = rng.integers(0, 50, size=300)
    for name, inputs, attributes in (
        ("scatter_add_rows", [x, index], {"rows": 50, "skip": -1}),
        (
            "reduce_forward",
            [
                x[None],
            ],
            {"kind": "sum"},
        ),
        ("sum_of_squares", [x.reshape(-1)], {}),
        ("softmax_forward", [x], {}),
    ):
        first, second = (fill(TABLE[name], inputs, attributes) for _ in range(2))
        for key in first:
            assert first[key].tobytes() == second[key].tobytes(), name


def test_scatter_adds_in_ascending_order(rng: np.random.Generator) -> None:
    # In float32 1e8 + 1 - 1e8 is 0, and 1e8 - 1e8 + 1 is 1.
    column = np.array([1e8, 1.0, -1e8, 1e8, -1e8, 1.0], np.float32)
    for width in (3, 300):
        dout = np.repeat(np.tile(column, 40)[:, None], width, axis=1)
        index = np.tile(np.repeat([0, 1], 3), 40)
        dx = fill(TABLE["scatter_add_rows"], [dout, index], {"rows": 2, "skip": -1})["dx"]
        assert (dx[0] == 0).all()
        assert (dx[1] == 1).all()


@pytest.mark.parametrize("size", [(1, 300, 700), (700, 300, 1), (300, 1, 700), (257, 65, 129)])
@pytest.mark.parametrize("activation", ["identity", "relu", "gelu"])
def test_dense_at_sizes_that_threads_share(
    size: tuple[int, int, int], activation: str, rng: np.random.Generator
) -> None:
    n, k, m = size
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((n, k), (k, m), (m,)))
    common = {"activation": activation, "alpha": 0.0}
    check("dense_forward", [x, w, b], **common, save_pre=activation == "gelu", save_signs=False)
    z = x @ w + b
    saved = z if activation == "gelu" else KINDS[activation][0](np, z, 0.0)
    dout = rng.normal(size=(n, m)).astype(np.float32)
    check("dense_backward", [dout, x, w, saved], **common, needs=(True, True, True))
    check("dense_backward", [dout, x, w, saved], **common, needs=(False, True, False))


def test_matmul_takes_strided_and_broadcast_operands(rng: np.random.Generator) -> None:
    qkv = rng.normal(size=(3, 20, 3, 8)).astype(np.float32)
    q, k = (qkv[:, :, i].copy() for i in (0, 1))
    operands = [
        (qkv[:, :, 0], qkv[:, :, 1].swapaxes(-1, -2)),
        (qkv[:, ::-1, 0], qkv[0, :, 1].T),
        (np.broadcast_to(q[:1, :1], (3, 5, 8)), k.swapaxes(-1, -2)),
        (q[:, :, ::2], np.asfortranarray(rng.normal(size=(4, 6)).astype(np.float32))),
        (q[:, None], k.swapaxes(-1, -2)[None]),
    ]
    loops = import_module("tercet.kernels.dense.loops").LOOPS
    for a, b in operands:
        want = np.matmul(a, b)
        out = np.full(want.shape, np.nan, np.float32)
        loops["matmul"](out, a, b)
        np.testing.assert_allclose(out, want, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not numba_blas.AVAILABLE, reason="no OpenBLAS that a loop can call")
def test_products_leave_openblas_its_threads(rng: np.random.Generator) -> None:
    before = numba_blas.single()
    numba_blas.restore(before)
    x = rng.normal(size=(200, 200)).astype(np.float32)
    check("matmul", [x, x])
    after = numba_blas.single()
    numba_blas.restore(after)
    assert after == before


def test_loops_run_from_another_python_thread(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 400)).astype(np.float32)
    found: list[Any] = []
    worker = threading.Thread(target=lambda: found.append(fill(TABLE["softmax_forward"], [x], {})))
    worker.start()
    worker.join()
    assert (found[0]["out"] == fill(TABLE["softmax_forward"], [x], {})["out"]).all()


def test_a_kind_has_one_loop() -> None:
    def make(kind: int) -> Callable[..., None]:
        def part(t: int, parts: int) -> None:
            pass

        return part

    loops = numba_loop.loops(make)
    assert loops(1) is loops(1)
    assert loops(1) is not loops(2)


def test_without_a_folder_to_write_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_cache(**options: Any) -> Any:
        raise RuntimeError("cannot cache function: no locator available")

    original = numba_cache.njit

    def njit(*arguments: Any, **options: Any) -> Any:
        return no_cache(**options) if options.get("cache") else original(*arguments, **options)

    monkeypatch.setattr(numba_cache, "njit", njit)

    def ones(t: int, parts: int, out: Any) -> None:
        out[:] = 1.0

    loop = numba_loop.Loop(ones)
    out = np.zeros(3)
    loop(1, out)
    assert out.tolist() == [1.0, 1.0, 1.0]


def test_numba_finds_the_parts_source_where_the_entry_stands() -> None:
    """Numba reads it when it fills its cache; since Python 3.13 half a function is an error."""
    from tercet.kernels.optimizer.loops import _adam

    source = inspect.getsource(_adam._entry.py_func)  # type: ignore[attr-defined]
    assert source.startswith("@loop\ndef _adam(")
    assert source.rstrip().endswith("inverse_root + epsilon)")
