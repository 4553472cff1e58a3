"""cuBLASLt, through ctypes: matrix products whose every choice is made before they run.

CuPy's own matmul cannot be part of a CUDA graph, and does nothing to its result on the way out. A
`LtPlan` holds the operation's descriptor, the matrices' layouts, the algorithm that the library's
heuristic prefers for them, and its share of a workspace that belongs to the library object, so that
a graph finds all of that in place whenever it runs.

cuBLASLt counts columns first, and so computes out^T = b^T a^T: its A is our b, its B our a, and its
rows are our columns. Names and numbers are those of cublasLt.h of CUDA 12 and 13.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from ctypes import POINTER, byref, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BackendError
from ..kernels.dense.layout import Layout
from ..kernels.dense.spec import signs_shape
from ..kernels.spec import Array
from .cuda_gemm import Product, Unserved

# cudaDataType_t, and the cublasComputeType_t and type of factors for inputs of each dtype.
DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70
# cublasLtMatmulDescAttributes_t
TRANSA, TRANSB, EPILOGUE, BIAS_POINTER, AUX_POINTER, AUX_LEADING = 3, 4, 7, 8, 11, 12
# cublasLtMatrixLayoutAttribute_t
BATCH_COUNT, BATCH_STEP = 5, 6
# cublasLtMatmulPreferenceAttributes_t
MOST_WORKSPACE = 1
LEAST_ALIGNED_A, LEAST_ALIGNED_B, LEAST_ALIGNED_C, LEAST_ALIGNED_D = 5, 6, 7, 8
# cublasLtEpilogue_t. Our b is its A: the gradient of the bias is BGRADA.
DEFAULT, RELU, BIAS, DRELU, GELU, DGELU, AUX, BGRADA = 1, 2, 4, 8, 32, 64, 128, 256
EPILOGUE_NUMBER = {
    "none": DEFAULT,
    "bias": BIAS,
    "relu": RELU,
    "relu_bias": RELU | BIAS,
    "gelu_tanh": GELU,
    "gelu_tanh_bias": GELU | BIAS,
    "bias_gradient": BGRADA,
    "relu_gradient": DRELU,
    "gelu_tanh_gradient": DGELU,
}
# What the matrix before GELU demands of the length of a row, and of its address.
AUX_COLUMNS, AUX_ALIGNED = 8, 16
WORKSPACE_BYTES = 32 << 20


class Algorithm(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algorithm", c_uint64 * 8),
        ("workspace", c_size_t),
        ("state", c_int),
        ("waves", ctypes.c_float),
        ("reserved", c_int * 4),
    )


# The arguments of every function that is called; all return a status.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cublasLtCreate": (POINTER(c_void_p),),
    "cublasLtMatmulDescCreate": (POINTER(c_void_p), c_int, c_int),
    "cublasLtMatmulDescSetAttribute": (c_void_p, c_int, c_void_p, c_size_t),
    "cublasLtMatmulDescDestroy": (c_void_p,),
    "cublasLtMatrixLayoutCreate": (POINTER(c_void_p), c_int, c_uint64, c_uint64, c_int64),
    "cublasLtMatrixLayoutSetAttribute": (c_void_p, c_int, c_void_p, c_size_t),
    "cublasLtMatrixLayoutDestroy": (c_void_p,),
    "cublasLtMatmulPreferenceCreate": (POINTER(c_void_p),),
    "cublasLtMatmulPreferenceSetAttribute": (c_void_p, c_int, c_void_p, c_size_t),
    "cublasLtMatmulPreferenceDestroy": (c_void_p,),
    "cublasLtMatmulAlgoGetHeuristic": (
        *[c_void_p] * 7, c_int, POINTER(Algorithm), POINTER(c_int),
    ),
    "cublasLtMatmul": (
        c_void_p, c_void_p, c_void_p,  # handle, operation, alpha
        *[c_void_p] * 4,  # A and B with their layouts
        c_void_p,  # beta
        *[c_void_p] * 4,  # C and D with their layouts
        c_void_p, c_void_p, c_size_t, c_void_p,  # algorithm, workspace, its size, stream
    ),
}  # fmt: skip


def demand(product: Product) -> None:
    """Raise Unserved for what is known of cuBLASLt without asking it."""
    if product.dtype not in DATA_TYPES or product.out_dtype not in DATA_TYPES:
        raise Unserved(f"cuBLASLt has no products of {product.dtype}")
    if product.aux and (
        product.aligned[4] < AUX_ALIGNED or ("gelu" in product.epilogue and product.n % AUX_COLUMNS)
    ):
        raise Unserved(
            f"cuBLASLt keeps the matrix before GELU in rows of a multiple of {AUX_COLUMNS}, and "
            f"it or a ReLU's signs from an address that is one of {AUX_ALIGNED}"
        )


def candidates(major: int) -> Iterator[str]:
    """Where the library of a CUDA version may be: wheels, CUDA_PATH, wherever the loader looks."""
    name = f"libcublasLt.so.{major}"
    package = find_spec("nvidia")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for inside in ("cublas", f"cu{major}"):
            yield str(Path(folder) / inside / "lib" / name)
    if home := os.environ.get("CUDA_PATH"):
        yield str(Path(home) / "lib64" / name)
    yield name


class CublasLt:
    """The library, with the handle and the workspace of one device."""

    def __init__(self, major: int) -> None:
        self.path, self._library = _load(major)
        for name, arguments in FUNCTIONS.items():
            getattr(self._library, name).argtypes = arguments
        self._library.cublasLtGetStatusName.restype = ctypes.c_char_p
        self._handle: c_void_p | None = None

    @property
    def version(self) -> str:
        number = int(self._library.cublasLtGetVersion())
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    @property
    def handle(self) -> c_void_p:
        """Made at the first product: it needs a device."""
        if self._handle is None:
            handle = c_void_p()
            self.call("Create", byref(handle))
            self._handle = handle
        return self._handle

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, f"cublasLt{name}")(*arguments)
        if status:
            said = self._library.cublasLtGetStatusName(status).decode()
            raise BackendError(f"cublasLt{name} failed with status {said}")

    def make(self, name: str, *arguments: Any) -> c_void_p:
        """A new descriptor of a kind."""
        made = c_void_p()
        self.call(f"{name}Create", byref(made), *arguments)
        return made

    def set(self, name: str, descriptor: c_void_p, attribute: int, value: Any) -> None:
        """Set an attribute to a ctypes value."""
        size = ctypes.sizeof(value)
        self.call(f"{name}SetAttribute", descriptor, attribute, byref(value), size)


def _load(major: int) -> tuple[str, ctypes.CDLL]:
    tried = list(candidates(major))
    for path in tried:
        try:
            return path, ctypes.CDLL(path)
        except OSError:
            continue
    wheel = "nvidia-cublas-cu12" if major == 12 else "nvidia-cublas"
    raise BackendError(
        f"libcublasLt.so.{major} was not found; run: pip install {wheel}. Looked for: "
        f"{', '.join(tried)}"
    )


class Operation:
    """The descriptors of a product, which need no device."""

    def __init__(self, lt: CublasLt, product: Product) -> None:
        self._lt = lt
        double = product.dtype == "float64"
        compute = COMPUTE_64F if double else COMPUTE_32F
        if product.tf32:
            compute = COMPUTE_32F_FAST_TF32
        factor = "float64" if double else "float32"
        self.factors = [(ctypes.c_double if double else ctypes.c_float)(v) for v in (1.0, 0.0)]
        self.descriptor = lt.make("MatmulDesc", compute, DATA_TYPES[factor])
        number = EPILOGUE_NUMBER[product.epilogue] | (AUX if product.aux else 0)
        self.set(TRANSA, c_int32(product.b.transposed))
        self.set(TRANSB, c_int32(product.a.transposed))
        self.set(EPILOGUE, c_uint32(number))
        if product.aux:
            self.set(AUX_LEADING, c_int64(_aux_leading(product)))
        count = product.count
        self.a = self._layout(product.dtype, product.n, product.k, product.b, count)
        self.b = self._layout(product.dtype, product.k, product.m, product.a, count)
        self.out = self._layout(product.out_dtype, product.n, product.m, product.out, count)

    def set(self, attribute: int, value: Any) -> None:
        self._lt.set("MatmulDesc", self.descriptor, attribute, value)

    def _layout(self, dtype: str, rows: int, columns: int, layout: Layout, count: int) -> c_void_p:
        """Of a matrix with so many rows and columns, in cuBLASLt's sense, when it is multiplied."""
        shape = (columns, rows) if layout.transposed else (rows, columns)
        made = self._lt.make("MatrixLayout", DATA_TYPES[dtype], *shape, layout.leading)
        if count > 1:
            self._lt.set("MatrixLayout", made, BATCH_COUNT, c_int32(count))
            self._lt.set("MatrixLayout", made, BATCH_STEP, c_int64(layout.step))
        return made

    def __del__(self) -> None:
        for name in ("a", "b", "out"):
            if hasattr(self, name):
                self._lt.call("MatrixLayoutDestroy", getattr(self, name))
        if hasattr(self, "descriptor"):
            self._lt.call("MatmulDescDestroy", self.descriptor)


def _aux_leading(product: Product) -> int:
    """Elements, which are bits of a ReLU's signs, from one row of aux to the next."""
    return 8 * signs_shape(1, product.n)[1] if "relu" in product.epilogue else product.n


class LtPlan:
    """A product with its algorithm. Raises Unserved where cuBLASLt has none."""

    capturable = True

    def __init__(self, lt: CublasLt, product: Product, workspace: Any, cupy: Any) -> None:
        demand(product)
        self._lt, self._product, self._workspace, self._cupy = lt, product, workspace, cupy
        self._operation = Operation(lt, product)
        self._algorithm = self._choose()

    def _choose(self) -> Algorithm:
        lt, operation, handle = self._lt, self._operation, self._lt.handle
        out, a, b, bias, aux = self._product.aligned
        # Only its alignment is looked at.
        if bias:
            operation.set(BIAS_POINTER, c_void_p(bias))
        if aux:
            operation.set(AUX_POINTER, c_void_p(aux))
        preference = lt.make("MatmulPreference")
        try:
            lt.set("MatmulPreference", preference, MOST_WORKSPACE, c_uint64(WORKSPACE_BYTES))
            for attribute, aligned in (
                (LEAST_ALIGNED_A, b),
                (LEAST_ALIGNED_B, a),
                (LEAST_ALIGNED_C, out),
                (LEAST_ALIGNED_D, out),
            ):
                lt.set("MatmulPreference", preference, attribute, c_uint32(aligned))
            best, found = Algorithm(), c_int()
            layouts = (operation.a, operation.b, operation.out, operation.out)
            try:
                lt.call(
                    "MatmulAlgoGetHeuristic", handle, operation.descriptor, *layouts,
                    preference, 1, byref(best), byref(found),
                )  # fmt: skip
            except BackendError as error:
                raise Unserved(str(error)) from None
        finally:
            lt.call("MatmulPreferenceDestroy", preference)
        if not found.value or best.state:
            raise Unserved("cuBLASLt has no algorithm for it")
        return best

    def __call__(
        self, out: Array, a: Array, b: Array, bias: Array | None, aux: Array | None
    ) -> None:
        operation = self._operation
        if bias is not None:
            operation.set(BIAS_POINTER, c_void_p(bias.data.ptr))
        if aux is not None:
            operation.set(AUX_POINTER, c_void_p(aux.data.ptr))
        alpha, beta = operation.factors
        self._lt.call(
            "Matmul",
            self._lt.handle,
            operation.descriptor,
            byref(alpha),
            b.data.ptr,
            operation.a,
            a.data.ptr,
            operation.b,
            byref(beta),
            out.data.ptr,
            operation.out,
            out.data.ptr,
            operation.out,
            byref(self._algorithm),
            self._workspace.data.ptr,
            WORKSPACE_BYTES,
            self._cupy.cuda.get_current_stream().ptr,
        )

    def __str__(self) -> str:
        return str(self._product)
