"""What cuBLASLt is told of a product, carried out by a small model of it on raw memory.

The model counts columns first, as the library does, and knows nothing of tercet's arrays.
"""

from __future__ import annotations

import ctypes
import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from tercet.backends import cublaslt
from tercet.backends.cublaslt import CublasLt, LtPlan, Operation
from tercet.backends.cuda_gemm import EPILOGUES, MatmulPlan, Product, Unserved, describe
from tercet.backends.cuda_runtime import CupyRuntime
from tercet.backends.cuda_simulation import SimulatedRuntime
from tercet.backends.cupy_backend import CupyBackend
from tercet.errors import BackendError, DTypeError, ShapeError
from tercet.kernels.activation.reference import KINDS
from tercet.kernels.dense.layout import layout
from tercet.kernels.dense.reference import pack_signs
from tercet.kernels.dense.spec import signs_shape

ELEMENTS = {0: np.dtype("float32"), 1: np.dtype("float64")}


class Model:
    """cuBLASLt's functions as CublasLt offers them."""

    handle = "handle"

    def __init__(self, serves: bool = True) -> None:
        self.serves = serves
        self.preference: dict[int, int] = {}
        self.live = 0

    def make(self, name: str, *arguments: Any) -> dict[Any, Any]:
        self.live += 1
        return {"name": name, "arguments": arguments}

    def set(self, name: str, descriptor: dict[Any, Any], attribute: int, value: Any) -> None:
        assert descriptor["name"] == name
        descriptor[attribute] = value.value

    def call(self, name: str, *arguments: Any) -> None:
        if name.endswith("Destroy"):
            self.live -= 1
        elif name == "MatmulAlgoGetHeuristic":
            self.preference = arguments[6]
            arguments[9]._obj.value = int(self.serves)
        else:
            assert name == "Matmul"
            self.matmul(*arguments)

    def matmul(self, handle: Any, operation: Any, alpha: Any, *rest: Any) -> None:
        a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout = rest[:9]
        assert (alpha._obj.value, beta._obj.value) == (1.0, 0.0)
        assert (c, c_layout) == (d, d_layout)
        assert rest[-1] == 77  # the current stream
        out = matrices(d, d_layout)
        left, right = matrices(a, a_layout), matrices(b, b_layout)
        if operation.get(cublaslt.TRANSA):
            left = left.swapaxes(-1, -2)
        if operation.get(cublaslt.TRANSB):
            right = right.swapaxes(-1, -2)
        result = left @ right
        epilogue = operation[cublaslt.EPILOGUE]
        rows = result.shape[-2]
        if epilogue & cublaslt.BIAS:
            bias = vector(operation[cublaslt.BIAS_POINTER], rows, out.dtype)
            result = result + bias[:, None]
        if epilogue & cublaslt.BGRADA:
            gradient = vector(operation[cublaslt.BIAS_POINTER], rows, out.dtype)
            gradient[...] = left[0].sum(axis=1)
        aux = None
        if epilogue & cublaslt.AUX or epilogue & cublaslt.DRELU or epilogue & cublaslt.DGELU:
            leading = operation[cublaslt.AUX_LEADING]
            pointer, columns = operation[cublaslt.AUX_POINTER], result.shape[-1]
            if epilogue & (cublaslt.RELU | cublaslt.DRELU):  # bits, of which a column has 128 n
                assert leading >= rows
                assert leading % 128 == 0
                aux = vector(pointer, leading // 8 * columns, np.dtype("u1"))
                aux = aux.reshape(columns, leading // 8).T
            else:
                aux = vector(pointer, leading * columns, out.dtype).reshape(columns, leading).T
        if epilogue & cublaslt.DRELU:
            result = result * np.unpackbits(aux, axis=0, bitorder="little")[:rows]
        elif epilogue & cublaslt.DGELU:
            result = result * KINDS["gelu_tanh"][1](np, aux, 0.0)
        elif epilogue & cublaslt.RELU:
            result = np.maximum(result, 0)
            if aux is not None:
                aux[...] = 0
                aux[: -(-rows // 8)] = np.packbits(result[0] > 0, axis=0, bitorder="little")
        elif epilogue & cublaslt.GELU:
            if aux is not None:
                aux[...] = result[0]
            result = KINDS["gelu_tanh"][0](np, result, 0.0)
        out[...] = result


def vector(address: int, size: int, dtype: np.dtype[Any]) -> np.ndarray:
    buffer = (ctypes.c_char * (size * dtype.itemsize)).from_address(address)
    return np.frombuffer(buffer, dtype)


def matrices(address: int, described: dict[Any, Any]) -> np.ndarray:
    number, rows, columns, leading = described["arguments"]
    assert leading >= rows
    count, step = described.get(cublaslt.BATCH_COUNT, 1), described.get(cublaslt.BATCH_STEP, 0)
    dtype = ELEMENTS[number]
    size = (count - 1) * step + (columns - 1) * leading + rows
    strides = (step * dtype.itemsize, dtype.itemsize, leading * dtype.itemsize)
    return as_strided(vector(address, size, dtype), (count, rows, columns), strides)


def on_device(x: np.ndarray | None) -> Any:
    return None if x is None else SimpleNamespace(data=SimpleNamespace(ptr=x.ctypes.data))


def address(x: np.ndarray) -> int:
    return x.ctypes.data


CUPY = SimpleNamespace(
    cuda=SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=77)),
)


def multiply(
    model: Model, out: Any, a: Any, b: Any, epilogue: str, bias: Any = None, aux: Any = None
) -> None:
    product = describe(address, out, a, b, bias, aux, epilogue, tf32=False)
    workspace = SimpleNamespace(data=SimpleNamespace(ptr=4096))
    plan = LtPlan(model, product, workspace, CUPY)  # type: ignore[arg-type]
    plan(*map(on_device, (out, a, b, bias, aux)))


SHAPES = [(1, 1, 1), (3, 5, 8), (16, 1, 24), (1, 7, 8), (9, 4, 16)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["plain", "a", "b", "both", "inside"])
def test_every_order_of_the_operands(
    dtype: str, shape: tuple[int, int, int], order: str, rng: np.random.Generator
) -> None:
    m, k, n = shape
    a = rng.normal(size=(k, m) if order in ("a", "both") else (m, k)).astype(dtype)
    b = rng.normal(size=(n, k) if order in ("b", "both") else (k, n)).astype(dtype)
    if order == "inside":  # parts of larger matrices
        a = np.pad(a, ((0, 0), (2, 3)))[:, 2:-3]
        b = np.pad(b, ((0, 0), (1, 4)))[:, 1:-4]
    a = a.T if order in ("a", "both") else a
    b = b.T if order in ("b", "both") else b
    out = np.zeros((m, n), dtype)
    multiply(Model(), out, a, b, "none")
    np.testing.assert_allclose(out, a @ b, rtol=8 * k * np.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_every_epilogue_equals_that_of_the_simulation(
    epilogue: str, rng: np.random.Generator
) -> None:
    a, b = rng.normal(size=(5, 6)).astype("f4"), rng.normal(size=(6, 8)).astype("f4")
    takes_bias, gradient = "bias" in epilogue, epilogue.endswith("_gradient")
    before = rng.normal(size=(5, 8)).astype("f4")
    signs = np.zeros(signs_shape(5, 8), np.uint8)
    pack_signs(np, signs, before)
    results = []
    for served in (multiply, simulate):
        out = np.zeros((5, 8), np.float32)
        bias = np.linspace(-1, 1, 8).astype("f4") if takes_bias else None
        aux = aligned(signs if "relu" in epilogue else before)
        if not gradient:
            aux[...] = 0
        if "elu" not in epilogue:
            aux = None
        served(Model(), out, a, b, epilogue, bias, aux)
        results.append([x for x in (out, bias, aux) if x is not None])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def aligned(x: np.ndarray) -> np.ndarray:
    """A copy at an address that is a multiple of 16."""
    memory = np.zeros(x.nbytes + 16, np.uint8)
    start = -memory.ctypes.data % 16
    copied = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    copied[...] = x
    return copied


def simulate(
    _: Model, out: Any, a: Any, b: Any, epilogue: str, bias: Any = None, aux: Any = None
) -> None:
    assert SimulatedRuntime().gemm(out, a, b, epilogue=epilogue, bias=bias, aux=aux)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4, 5), (3, 5, 6)), ((4, 5), (3, 5, 6)), ((2, 3, 4, 5), (1, 5, 6)), ((1, 4, 5), (5, 6))],
)
def test_stacks(left: tuple[int, ...], right: tuple[int, ...], rng: np.random.Generator) -> None:
    a, b = rng.normal(size=left), rng.normal(size=right)
    out = np.zeros(np.matmul(a, b).shape)
    multiply(Model(), out, a, b, "none")
    np.testing.assert_allclose(out, a @ b, rtol=1e-13, atol=1e-13)


def test_a_stack_without_one_step_has_no_layout() -> None:
    x = np.zeros((4, 3, 5, 6))
    assert layout(x, (4, 3)) is not None
    assert layout(x[::2], (2, 3)) is None
    assert layout(x[:, :2], (4, 2)) is None
    assert layout(x[0], (4, 3)) is None  # must be repeated
    assert layout(x[0, ::-1], (3,)) is None
    assert layout(np.broadcast_to(np.zeros((1, 6)), (5, 6)), ()) is None
    with pytest.raises(ShapeError, match="gemm takes matrices whose rows or columns"):
        SimulatedRuntime().gemm(np.zeros((2, 2)), np.zeros((4, 4))[::2, ::2], np.zeros((2, 2)))


def test_the_heuristic_is_told_how_addresses_are_aligned() -> None:
    memory = np.zeros(4096, np.float32)
    start = -memory.ctypes.data % 256 // 4
    a, b, out = (memory[start + at :][:16].reshape(4, 4) for at in (64, 129, 194))
    model = Model()
    multiply(model, out, a, b, "none")
    told = [model.preference[i] for i in (5, 6, 7, 8)]
    assert told == [4, 256, 8, 8]  # of its A, our b; of its B, our a; of out twice


def test_precision_and_types() -> None:
    x = np.zeros((8, 8), np.float32)
    computes = []
    for tf32, y in ((False, x), (True, x), (True, x.astype(float))):
        product = describe(address, y, y, y, None, None, "none", tf32)
        operation = Operation(Model(), product)  # type: ignore[arg-type]
        computes.append(operation.descriptor["arguments"])  # type: ignore[index]
    assert computes == [(68, 0), (77, 0), (70, 1)]


def test_what_is_not_served() -> None:
    a = np.zeros((4, 4), np.float32)
    with pytest.raises(Unserved, match="no algorithm"):
        multiply(Model(serves=False), a, a, a, "none")
    with pytest.raises(Unserved, match="no products of int32"):
        multiply(Model(), *[a.astype("i4")] * 3, "none")
    narrow = np.zeros((4, 6), np.float32)
    with pytest.raises(Unserved, match="rows of a multiple of 8"):
        multiply(Model(), narrow, a, np.zeros((4, 6), np.float32), "gelu_tanh", None, narrow)
    wide = np.zeros((4, 8), np.float32)
    kept = np.zeros(64, np.float32)
    kept = kept[(4 - kept.ctypes.data // 4) % 4 + 1 :][:32].reshape(4, 8)  # 4 bytes beyond 16
    with pytest.raises(Unserved, match="an address that is one of 16"):
        multiply(Model(), wide, a, wide, "gelu_tanh", None, kept)


def test_two_dtypes_are_refused_unless_one_is_of_whole_numbers() -> None:
    x = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    with pytest.raises(DTypeError, match="one dtype, found float32 and float64"):
        SimulatedRuntime().gemm(x.copy(), x, x.astype(float))
    ops = CupyBackend(runtime=SimulatedRuntime()).ops
    whole = np.arange(16).reshape(4, 4)
    for a, b in ((x, whole), (x, whole.T), (whole, whole)):
        got = ops.matmul(a, b)
        assert got.dtype == a.dtype
        np.testing.assert_array_equal(got, a @ b)  # sums below 2**24 are exact
    with pytest.raises(DTypeError, match="one dtype, found int64 and float32"):
        ops.matmul(whole, x)


def test_descriptors_are_given_back() -> None:
    model, a = Model(), np.zeros((4, 4), np.float32)
    multiply(model, a, a, a, "relu")
    assert model.live == 0


def test_a_plan_is_made_once_for_equal_arrays() -> None:
    runtime = SimulatedRuntime()
    made: list[Product] = []
    plan = runtime.plan
    runtime.plan = lambda product: made.append(product) or plan(product)  # type: ignore
    x = [runtime.empty((4, 4), np.dtype("float32")) for _ in range(3)]
    for _ in range(3):
        runtime.gemm(*x)
    runtime.gemm(x[0], x[1], x[2].T)
    assert len(made) == 2
    assert str(made[0]) == "product (4, 4) (4, 4) of float32"


def test_the_simulation_demands_what_cublaslt_does() -> None:
    runtime, x = SimulatedRuntime(), np.ones((4, 4), np.float32)
    with pytest.raises(BackendError, match=r"expected \(4,\), float32, found \(3,\), float32"):
        runtime.gemm(x.copy(), x, x, epilogue="bias", bias=np.ones(3, np.float32))
    with pytest.raises(BackendError, match=r"expected \(4,\), float32, found \(4,\), float64"):
        runtime.gemm(x.copy(), x, x, epilogue="bias", bias=np.ones(4))


def test_the_simulation_holds_a_plan_to_its_arrays() -> None:
    runtime = SimulatedRuntime()
    x, y, out = (runtime.empty((4, 4), np.dtype("float32")) for _ in range(3))
    plan = runtime.plan(describe(address, out, x, y, None, None, "none", False))
    assert plan is not None
    plan(out, x, y, None, None)
    with pytest.raises(BackendError, match=r"the arrays of another, .*transposed=True"):
        plan(out, x, y.T, None, None)
    with pytest.raises(BackendError, match="not aligned as it was for the plan"):
        plan(out, x, runtime.empty((20,), x.dtype)[1:17].reshape(4, 4), None, None)


def test_matmul_serves_where_nothing_better_is() -> None:
    a = np.arange(6.0).reshape(2, 3)
    out = np.zeros((2, 2))
    product = describe(address, out, a, a.T, None, None, "none", False)
    plan = MatmulPlan(np.matmul, product, "the reason")
    plan(out, a, a.T, None, None)
    np.testing.assert_array_equal(out, a @ a.T)
    assert not plan.capturable
    assert str(plan) == "product (2, 3) (3, 2) of float64, by CuPy's matmul (the reason),"


@pytest.mark.parametrize(
    ("lt", "why"), [(Model(serves=False), "no algorithm"), (None, r"libcublasLt\.so\.99 was not")]
)
def test_what_cublaslt_does_not_serve_goes_to_matmul(
    lt: Model | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = SimpleNamespace(attributes={"MultiProcessorCount": 1})
    cuda = SimpleNamespace(
        Device=lambda: device, runtime=SimpleNamespace(runtimeGetVersion=lambda: 99000)
    )
    cupy = SimpleNamespace(ndarray=np.ndarray, empty=np.empty, matmul=np.matmul, cuda=cuda)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    runtime = CupyRuntime()
    assert runtime.products().startswith("CuPy's matmul, which cannot be captured: libcublasLt")
    runtime._lt = lt  # type: ignore[assignment]
    monkeypatch.setattr(runtime, "address", address)
    a, out, bias = np.eye(4), np.zeros((4, 4)), np.ones(4)
    assert runtime.gemm(out, a, 2 * a)
    np.testing.assert_array_equal(out, 2 * a)
    assert not runtime.gemm(out, a, a, epilogue="bias", bias=bias)
    np.testing.assert_array_equal(out, 2 * a)  # nothing was done
    product = describe(address, out, a, a, None, None, "none", False)
    assert re.search(why, str(runtime.plan(product)))


def test_a_missing_library_is_named_with_its_wheel() -> None:
    with pytest.raises(BackendError, match=r"libcublasLt\.so\.99 was not found.*nvidia-cublas"):
        CublasLt(99)


@pytest.mark.parametrize("major", [12, 13])
def test_the_library_itself_takes_the_descriptors(major: int) -> None:
    """The real functions, where they are installed: descriptors need no GPU."""
    try:
        lt = CublasLt(major)
    except BackendError as error:
        pytest.skip(str(error))
    x = np.zeros((3, 8, 8), np.float32)
    for epilogue in EPILOGUES:
        product = describe(address, x, x, x, x[0, 0], x[0], epilogue, True)
        operation = Operation(lt, product)
        operation.set(cublaslt.BIAS_POINTER, ctypes.c_void_p(4096))
        operation.set(cublaslt.AUX_POINTER, ctypes.c_void_p(4096))
    assert lt.version.startswith(f"{major}.")
    with pytest.raises(BackendError, match=r"SetAttribute failed .* CUBLAS_STATUS_INVALID_VALUE"):
        operation.set(999, ctypes.c_int32(1))
