"""The conformance suite over the CUDA kernels, which run on the CPU here; see cuda_host.h.

And a test of that test: kernels that are broken on purpose are seen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tercet import kernels
from tercet.backends import Backend
from tercet.backends.cuda_gemm import GemmPlan, Product
from tercet.backends.cuda_runtime import expand
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.errors import BackendError, DTypeError, ShapeError
from tercet.kernels import FAMILIES, TABLE
from tercet.kernels.spec import FLOAT_KINDS, NUMBERS, dtype_named

from .conformance import cast, compare, run, samples
from .test_conformance import (  # noqa: F401 - collected here, for this module's backend
    test_agrees_with_the_float64_reference,
    test_backward_is_the_derivative_of_forward,
    test_mixed_dtypes_are_refused,
    test_nan_reaches_through_a_dense_layer,
    test_special_values,
    test_takes_non_contiguous_inputs,
    test_undeclared_dtypes_are_refused,
)
from .test_cuda_shapes import CASES, test_agrees_at_other_geometries  # noqa: F401

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")

SEEDS = (2, 3, 4, 5)


@pytest.fixture(scope="module")
def simulated() -> Backend:
    return CupyBackend(runtime=SimulatedRuntime(seed=1))


@pytest.fixture
def backend(simulated: Backend) -> Backend:
    return simulated


# Kernels whose threads wait for each other; what they must agree on in every order.
COOPERATING = (
    "softmax_forward", "softmax_backward", "cross_entropy_forward", "cross_entropy_backward",
    "soft_cross_entropy_forward", "soft_cross_entropy_backward", "pointwise_loss_forward",
    "reduce_forward", "reduce_backward", "argreduce", "dense_backward", "scatter_add_rows",
    "adam_update", "sum_of_squares", "penalty_forward", "convolution_forward",
    "convolution_backward", "conv_transpose_forward",
    "layer_norm_forward", "layer_norm_backward", "batch_norm_forward", "batch_norm_backward",
    "track_statistics", "group_norm_forward", "group_norm_backward",
    "attention_forward", "attention_backward",
)  # fmt: skip


def check_everything(backend: Backend, names: tuple[str, ...] = COOPERATING) -> None:
    """The kernels' own samples and those of other geometries, in float32."""
    rng = np.random.default_rng(3)
    cases = [(name, sample) for name in names for sample in samples(TABLE[name])]
    cases += [case for draw in CASES.values() for case in draw(rng) if case[0] in names]
    for name, sample in cases:
        kernel = TABLE[name]
        inputs = cast(kernel, sample, "float32")
        got = run(backend, kernel, inputs, sample.attributes)
        compare(kernel, inputs, sample.attributes, got, "float32")


@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_in_every_order_of_threads(seed: int) -> None:
    check_everything(CupyBackend(runtime=SimulatedRuntime(seed)))


class Plain(SimulatedRuntime):
    """A device whose products do nothing to their results, as without cuBLASLt."""

    def plan(self, product: Product) -> GemmPlan | None:
        return super().plan(product) if product.epilogue == "none" else None


def test_dense_layers_need_no_epilogues() -> None:
    check_everything(CupyBackend(runtime=Plain()), ("dense_forward", "dense_backward"))


# --- Broken on purpose ---------------------------------------------------------------------------

SYNCHRONIZE = "__syncthreads();"
# Every barrier: its place in the source of a family (headers come first), and kernels that need it.
BARRIERS = (
    ("loss", 0, ("cross_entropy_forward",)),
    ("softmax", 1, ("softmax_forward",)),
    ("reduction", 2, ("reduce_forward",)),
    ("reduction", 3, ("reduce_forward",)),
    ("optimizer", 4, ("adam_update",)),
    ("convolution", 4, ("convolution_forward",)),
    ("convolution", 5, ("convolution_forward",)),
    ("normalization", 4, ("batch_norm_forward",)),
    ("normalization", 5, ("batch_norm_forward",)),
    ("normalization", 6, ("track_statistics",)),
    ("attention", 4, ("attention_forward",)),
    ("attention", 5, ("attention_forward",)),
    ("attention", 6, ("attention_forward",)),
    ("attention", 7, ("attention_backward",)),
    ("attention", 8, ("attention_backward",)),
)


def caught(edit: Callable[[str], str], names: tuple[str, ...]) -> bool:
    """Whether kernels of edited sources are seen to be wrong with one of the seeds."""
    for seed in SEEDS:
        try:
            check_everything(CupyBackend(runtime=SimulatedRuntime(seed, edit)), names)
        except (AssertionError, BackendError):
            return True
    return False


def source_of(family: str) -> Path:
    return Path(kernels.__file__).parent / family / "cuda.cu"


@pytest.mark.parametrize(("family", "number", "names"), BARRIERS)
def test_a_missing_barrier_is_caught(family: str, number: int, names: tuple[str, ...]) -> None:
    def edit(text: str) -> str:
        parts = text.split(SYNCHRONIZE)
        if number + 1 >= len(parts):
            return text  # another family's source, without that barrier
        left, right = parts[: number + 1], parts[number + 1 :]
        return SYNCHRONIZE.join(left) + ";" + SYNCHRONIZE.join(right)

    assert expand(source_of(family)).count(SYNCHRONIZE) > number
    assert caught(edit, names)


def test_every_barrier_is_listed() -> None:
    most = max(expand(source_of(family)).count(SYNCHRONIZE) for family in FAMILIES)
    assert {number for _, number, _ in BARRIERS} == set(range(most))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("i < (n);", "i < (n) - 1;"), ("i < (n);", "i <= (n);")],
    ids=["one element short", "one element long"],
)
def test_a_loop_that_is_off_by_one_is_caught(right: str, wrong: str) -> None:
    assert caught(lambda text: text.replace(right, wrong), ("pointwise_loss_forward",))


class OneBlockShort(SimulatedRuntime):
    """A runtime that starts one block too few of every kernel that has several."""

    def launch(self, source, kernel, dtype, grid, block, args, shared=0):  # type: ignore
        grid = (max(1, grid[0] - 1), *grid[1:])
        super().launch(source, kernel, dtype, grid, block, args, shared)


def test_a_grid_that_is_off_by_one_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"output d\w+ is off"):
        check_everything(CupyBackend(runtime=OneBlockShort(1)), ("dense_backward",))


class WrongArguments(SimulatedRuntime):
    """A runtime whose launcher of softmax gives arguments of another type."""

    def __init__(self, wrong: Callable[[Any], Any]) -> None:
        super().__init__(1)
        self.wrong = wrong

    def launch(self, source, kernel, dtype, grid, block, args, shared=0):  # type: ignore
        if kernel == "softmax_forward":
            args = tuple(map(self.wrong, args))
        super().launch(source, kernel, dtype, grid, block, args, shared)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda x: float(x) if type(x) is int else x,
            "rows .i64. must be a scalar of int64; found float",
        ),
        (
            lambda x: x.view(np.int32) if isinstance(x, np.ndarray) else x,
            r"out .STORED\*. must be an array of float32; found an array of int32",
        ),
    ],
    ids=["number", "array"],
)
def test_an_argument_of_a_wrong_type_is_caught(wrong: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(DTypeError, match=f"softmax_forward: argument {message}"):
        check_everything(CupyBackend(runtime=WrongArguments(wrong)), ("softmax_forward",))


def test_threads_that_miss_a_barrier_are_caught() -> None:
    barrier = f"{SYNCHRONIZE}\n    const Scales"

    def edit(text: str) -> str:
        return text.replace(barrier, f"if (threadIdx.x > 3) return; {barrier}")

    backend = CupyBackend(runtime=SimulatedRuntime(1, edit))
    x = backend.asarray(np.ones(9, np.float32))
    hyper = backend.asarray(np.array([1.0, 1.0, 0.0]))
    with pytest.raises(BackendError, match="adam_update: 60 threads left before __syncthreads"):
        backend.ops.adam_update(
            x, x, x, x, hyper, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False
        )


ARGUMENTS = [
    ((0, 1), "takes 5 arguments .STORED. out, .* alpha.; found 2"),
    (
        ("out", "wide", 4, 0, 0.0),
        r"argument x .STORED\*. must be an array of float32; found an array",
    ),
    (("out", 3, 4, 0, 0.0), r"argument x .STORED\*. must be an array of float32; found int 3"),
    (("out", "x", 4.0, 0, 0.0), "argument n .i64. must be a scalar of int64; found float 4.0"),
    (("out", "x", None, 0, 0.0), "argument n .i64. must be a scalar of int64; found NoneType"),
    (("out", "x", 4, 2**40, 0.0), "argument kind .int. must be a scalar of int32; found int"),
    (
        ("out", "x", 4, 0, "out"),
        "argument alpha .REAL. must be a scalar of float32; found an array",
    ),
]


@pytest.mark.parametrize(("args", "message"), ARGUMENTS)
def test_a_wrong_argument_is_named(args: tuple[object, ...], message: str) -> None:
    runtime = SimulatedRuntime()
    arrays = {
        "out": runtime.empty((4,), np.dtype("float32")),
        "x": runtime.empty((4,), np.dtype("float32")),
        "wide": runtime.empty((4,), np.dtype("float64")),
    }
    given = tuple(arrays.get(a, a) if isinstance(a, str) else a for a in args)
    source = source_of("activation")
    with pytest.raises(DTypeError, match=f"activation_forward.*{message}"):
        runtime.launch(source, "activation_forward", np.dtype("float32"), (1,), (64,), given)


def test_an_unknown_kernel_or_element_type_is_named() -> None:
    runtime, source = SimulatedRuntime(), source_of("activation")
    with pytest.raises(DTypeError, match=r"activation/cuda\.cu has no kernel 'gelu'"):
        runtime.launch(source, "gelu", np.dtype("float32"), (1,), (64,), ())
    with pytest.raises(DTypeError, match=r"activation_forward .* complex64 elements"):
        runtime.launch(source, "activation_forward", np.dtype("complex64"), (1,), (64,), ())


# --- What the conformance suite does not reach ---------------------------------------------------


@pytest.mark.parametrize("dtype", NUMBERS)
def test_rows_of_every_number_type(backend: Backend, dtype: str) -> None:
    x = np.arange(12).reshape(4, 3).astype(dtype_named(dtype))
    index = np.array([3, 0, 9, -1])
    got = backend.to_numpy(backend.ops.take_rows(backend.asarray(x), backend.asarray(index)))
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got[:2], x[[3, 0]])
    assert np.isnan(got[2:]).all() if got.dtype.kind in FLOAT_KINDS else not got[2:].any()


def test_integers_meet_in_binary_kernels(backend: Backend) -> None:
    a, b = np.array([[1, 5], [3, 3]]), np.array([3, 5])
    got = backend.ops.binary_forward(backend.asarray(a), backend.asarray(b), kind="equal")
    np.testing.assert_array_equal(backend.to_numpy(got), a == b)
    condition = backend.asarray(a > 2)
    got = backend.ops.where(condition, backend.asarray(a), backend.asarray(b))
    np.testing.assert_array_equal(backend.to_numpy(got), np.where(a > 2, a, b))


def test_seven_axes_that_cannot_be_merged_are_refused(backend: Backend) -> None:
    a = backend.asarray(np.ones((2, 1) * 3 + (2,), np.float32))
    b = backend.asarray(np.ones((1, 2) * 3 + (1,), np.float32))
    with pytest.raises(ShapeError, match=r"7 axes that cannot be merged.*at most 6"):
        backend.ops.binary_forward(a, b, kind="add")


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_class_indices_of_any_integer_type(backend: Backend, dtype: str) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3))
    target = np.array([0, 2, 1, 1])
    options = {"label_smoothing": 0.0, "ignore_index": -100, "reduction": "mean"}
    wanted, given = (
        backend.ops.cross_entropy_forward(
            backend.asarray(logits), backend.asarray(t), None, None, **options
        )[0]
        for t in (target, target.astype(dtype))
    )
    assert backend.to_numpy(wanted) == backend.to_numpy(given)


def test_the_first_extremum_wins_and_nan_beats_all(backend: Backend) -> None:
    for shape in ((1, 8, 1), (1, 8, 2)):
        x = np.zeros(shape)
        x[0, 5:7] = np.nan
        got = backend.ops.argreduce(backend.asarray(x), kind="max")
        np.testing.assert_array_equal(backend.to_numpy(got), x.argmax(axis=1))
    total = backend.ops.reduce_forward(backend.asarray(x), kind="max")
    assert np.isnan(backend.to_numpy(total)).all()


def test_equal_calls_give_equal_bits() -> None:
    """Sums are added in one order whatever the order in which warps run."""
    rng = np.random.default_rng(0)
    x, index = rng.normal(size=(5000,)).astype(np.float32), rng.integers(0, 7, size=500)
    results = []
    for seed in SEEDS:
        backend = CupyBackend(runtime=SimulatedRuntime(seed))
        dx = backend.ops.scatter_add_rows(
            backend.asarray(x.reshape(500, 10)), backend.asarray(index), rows=7, skip=-1
        )
        total = backend.ops.reduce_forward(backend.asarray(x.reshape(1, -1, 1)), kind="sum")
        results.append(backend.to_numpy(dx).tobytes() + backend.to_numpy(total).tobytes())
    assert len(set(results)) == 1


def test_an_edit_outside_an_array_is_caught() -> None:
    runtime = SimulatedRuntime()
    x = runtime.asarray(np.ones(4, np.float32))
    with pytest.raises(BackendError, match="clip_by_value wrote outside"):
        runtime.launch(source_of("optimizer"), "clip_by_value", x.dtype, (1,), (64,), (x, 5, 1e-20))
