"""The CUDA kernels on bfloat16 and float16 elements, on the simulation.

Against the float64 reference of the same rounded inputs: what is computed in float32 may be off by
float32's roundings, and each result by its own rounding to 16 bits.
"""

import sys

import numpy as np
import pytest
from tercet.backends import Backend
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.errors import BackendError, DTypeError
from tercet.kernels import TABLE
from tercet.kernels.spec import FLOAT32, HALVES, Kernel, dtype_named

from .conformance import SPECIAL, cast, compare, finfo, oracle, run, samples
from .test_cuda_shapes import CASES
from .test_cuda_simulation import SEEDS, source_of

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")

KERNELS = [k for k in TABLE.values() if set(HALVES) <= set(k.dtypes)]
BY_NAME = {"argvalues": KERNELS, "ids": [k.name for k in KERNELS]}


@pytest.fixture(scope="module")
def simulated() -> Backend:
    return CupyBackend(runtime=SimulatedRuntime(seed=1))


@pytest.fixture
def backend(simulated: Backend) -> Backend:
    return simulated


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kernel", **BY_NAME)
def test_agrees_with_the_float64_reference(backend: Backend, kernel: Kernel, dtype: str) -> None:
    for sample in samples(kernel):
        inputs = cast(kernel, sample, dtype)
        got = run(backend, kernel, inputs, sample.attributes)
        compare(kernel, inputs, sample.attributes, got, dtype)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("cases", CASES)
def test_agrees_at_other_geometries(backend: Backend, cases: str, dtype: str) -> None:
    for name, sample in CASES[cases](np.random.default_rng(3)):
        kernel = TABLE[name]
        inputs = cast(kernel, sample, dtype)
        got = run(backend, kernel, inputs, sample.attributes)
        compare(kernel, inputs, sample.attributes, got, dtype)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.special], ids=lambda k: k.name)
def test_special_values(backend: Backend, kernel: Kernel, dtype: str) -> None:
    """NaN, infinities, zeros of both signs, denormals and large numbers, in every place."""
    limits = finfo(dtype_named(dtype))
    seen = set()
    for sample in samples(kernel):
        kind = sample.attributes.get("kind")
        if kind in seen:
            continue
        seen.add(kind)
        first, *rest = (
            np.resize(np.roll(SPECIAL, 3 * i), (len(SPECIAL), len(SPECIAL)))
            for i in range(len(kernel.inputs))
        )
        inputs = [np.ascontiguousarray(x).astype(dtype_named(dtype)) for x in (first.T, *rest)]
        value = run(backend, kernel, inputs, sample.attributes)["out"].astype(np.float64)
        want = oracle(kernel, inputs, sample.attributes)["out"]
        with np.errstate(over="ignore"):
            want = want.astype(dtype_named(dtype)).astype(np.float64)
        close = np.isclose(
            value, want, rtol=float(limits.eps), atol=float(limits.smallest_normal), equal_nan=True
        )
        assert close.all(), (sample.attributes, value[~close], want[~close])


def patterns(dtype: str) -> np.ndarray:
    """Every 16-bit number."""
    return np.arange(2**16, dtype=np.uint16).view(dtype_named(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_every_number_is_read_and_written_as_it_is(backend: Backend, dtype: str) -> None:
    x = patterns(dtype)
    out = backend.to_numpy(backend.ops.clip_forward(backend.asarray(x), low=-np.inf, high=np.inf))
    nan = np.isnan(x.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(out.astype(np.float32)), nan)
    np.testing.assert_array_equal(out.view(np.uint16)[~nan], x.view(np.uint16)[~nan])


@pytest.mark.parametrize("dtype", HALVES)
def test_results_are_rounded_to_nearest_ties_to_even(backend: Backend, dtype: str) -> None:
    """As ml_dtypes and NumPy round: all numbers combined at random, and every tie above 1."""
    x = patterns(dtype)
    y = np.random.default_rng(0).permutation(x)
    with np.errstate(all="ignore"):
        want = {
            "multiply": (x.astype(np.float32) * y.astype(np.float32)).astype(x.dtype),
            "add": (x.astype(np.float32) + y.astype(np.float32)).astype(x.dtype),
        }
    for kind, expected in want.items():
        out = backend.ops.binary_forward(backend.asarray(x), backend.asarray(y), kind=kind)
        got, nan = backend.to_numpy(out), np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(got), nan)
        np.testing.assert_array_equal(got.view(np.uint16)[~nan], expected.view(np.uint16)[~nan])
    one, half = np.ones(9, x.dtype), np.float32(finfo(x.dtype).eps) / 2
    steps = (np.arange(9) * half).astype(x.dtype)  # exact; every second one is a tie
    out = backend.ops.binary_forward(backend.asarray(one), backend.asarray(steps), kind="add")
    ties = 1 + 2 * half * np.array([0, 0, 1, 2, 2, 2, 3, 4, 4], np.float32)
    np.testing.assert_array_equal(backend.to_numpy(out).astype(np.float32), ties)


@pytest.mark.parametrize("dtype", HALVES)
def test_sums_are_kept_in_float32(backend: Backend, dtype: str) -> None:
    """Kept in 16 bits, a sum of ones would not grow beyond 256 or 2048."""
    ones = backend.asarray(np.ones((9000, 3), dtype_named(dtype)))
    total = backend.ops.reduce_forward(ones.reshape(1, 9000, 3), kind="sum")
    expected = np.asarray(9000, dtype_named(dtype))
    np.testing.assert_array_equal(backend.to_numpy(total), np.full((1, 3), expected))
    index = backend.asarray(np.zeros(9000, np.int64))
    rows = backend.to_numpy(backend.ops.scatter_add_rows(ones, index, rows=1, skip=-1))
    np.testing.assert_array_equal(rows, np.full((1, 3), expected))


@pytest.mark.parametrize("dtype", HALVES)
def test_gradients_of_parameters_are_float32(backend: Backend, dtype: str) -> None:
    """A thousand samples of 1 + eps: their sums are exact in float32 and in no 16-bit format."""
    half = dtype_named(dtype)
    step = 1 + float(finfo(half).eps)
    x = backend.asarray(np.full((1000, 2), step, half))
    dout = backend.asarray(np.ones((1000, 3), half))
    weight = backend.asarray(np.ones((2, 3), half))
    _, dx, dweight, dbias = backend.ops.dense_backward(
        dout, x, weight, dout, activation="identity", alpha=0.0, needs=(True, True, True)
    )
    assert (dx.dtype, dweight.dtype, dbias.dtype) == (half, FLOAT32, FLOAT32)
    np.testing.assert_array_equal(backend.to_numpy(dbias), np.full(3, 1000.0))
    np.testing.assert_array_equal(backend.to_numpy(dweight), np.full((2, 3), 1000 * step))


@pytest.mark.parametrize("dtype", HALVES)
def test_copies_convert(backend: Backend, dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    narrow = backend.ops.copy(backend.asarray(x), dtype=dtype)
    expected = x.astype(dtype_named(dtype))
    np.testing.assert_array_equal(backend.to_numpy(narrow), expected)
    wide = backend.ops.copy(narrow, dtype="float32")
    np.testing.assert_array_equal(backend.to_numpy(wide), expected.astype(np.float32))


def test_orders_of_threads_agree() -> None:
    """Sums of 16-bit numbers are added in one order whatever the order in which warps run."""
    x = np.random.default_rng(0).normal(size=(3, 9000, 1)).astype(dtype_named("bfloat16"))
    results = set()
    for seed in SEEDS:
        backend = CupyBackend(runtime=SimulatedRuntime(seed))
        total = backend.ops.reduce_forward(backend.asarray(x), kind="sum")
        results.add(backend.to_numpy(total).tobytes())
    assert len(results) == 1


def test_two_16_bit_formats_do_not_meet(backend: Backend) -> None:
    a, b = (backend.asarray(np.ones(2, dtype_named(dtype))) for dtype in HALVES)
    with pytest.raises(DTypeError, match=r"of one dtype, .*found a bfloat16, b float16"):
        backend.ops.binary_forward(a, b, kind="add")


def test_a_missing_ml_dtypes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(BackendError, match="need the package ml_dtypes; run: pip install"):
        dtype_named("bfloat16")


def test_a_wrong_element_type_is_named() -> None:
    runtime = SimulatedRuntime()
    half, wide = (runtime.empty((4,), dtype_named(d)) for d in ("bfloat16", "float32"))
    message = r"argument x .STORED\*. must be an array of bfloat16; found an array of float32"
    with pytest.raises(DTypeError, match=message):
        runtime.launch(
            source_of("activation"), "activation_forward", half.dtype, (1,), (64,),
            (half, wide, 4, 0, 0.0),
        )  # fmt: skip


def test_a_write_beyond_a_16_bit_array_is_caught() -> None:
    runtime = SimulatedRuntime()
    x = runtime.asarray(np.ones(4, dtype_named("bfloat16")))
    with pytest.raises(BackendError, match="clip_forward wrote outside"):
        runtime.launch(
            source_of("elementwise"), "clip_forward", x.dtype, (1,), (64,), (x, x, 5, 1.0, 2.0)
        )
