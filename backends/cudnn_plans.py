"""Convolutions by cuDNN, through the package nvidia-cudnn-frontend (the extra `cudnn`).

A convolution is described once, a graph of cuDNN's operations made of it (convolution, bias, ReLU),
and cuDNN compiles that to a plan: the kernels that it prefers, fused where it can. The plan keeps
its workspace, so that a CUDA graph can hold it.

The descriptions are held to the frontend's own checks; no plan has run on a GPU yet.

An attention joins in the same way: a description, `Runtime.attend` beside `Runtime.convolve`, a
plan here from the frontend's `sdpa`, and a kernel of our own where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import BackendError
from ..kernels.spec import Array
from .cuda_gemm import Unserved

DATA_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF", "bfloat16": "BFLOAT16"}
# Bytes: the frontend declares every array to begin at a multiple of this.
ALIGNED = 16


@dataclass(frozen=True)
class Convolution:
    """What is to be computed: everything but the addresses. Arrays are contiguous, (n, c, h, w).

    tf32      whether float32 may be rounded to TensorFloat-32
    aligned   whether every array begins at a multiple of ALIGNED bytes
    """

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    out: tuple[int, int, int, int]
    dtype: str
    bias: bool
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int
    activation: str
    tf32: bool
    aligned: bool


class Cudnn:
    """The package, with the handle of one device. Raises BackendError where it cannot serve."""

    def __init__(self, cupy: Any) -> None:
        try:
            module: Any = import_module("cudnn")
        except ImportError as error:
            raise BackendError(
                f'nvidia-cudnn-frontend does not load ({error}); run: pip install "tercet[cudnn]"'
            ) from error
        try:
            module.backend_version()
        except RuntimeError as error:
            raise BackendError(
                f"cuDNN does not load ({error}); run: pip install nvidia-cudnn-cu12 (CUDA 13: "
                "nvidia-cudnn-cu13)"
            ) from error
        self._module, self._cupy, self._handle = module, cupy, None

    @property
    def version(self) -> str:
        return f"{self._module.backend_version_string()}, frontend {self._module.__version__}"

    def plan(self, convolution: Convolution) -> CudnnPlan:
        """Raises Unserved where cuDNN has none, BackendError where it does not work at all."""
        if self._handle is None:
            try:
                self._handle = self._module.create_handle()
            except RuntimeError as error:
                raise BackendError(f"cuDNN does not work on this device: {error}") from error
        return CudnnPlan(self._module, self._handle, self._cupy, convolution)


class CudnnPlan:
    """plan(out, x, weight, bias) starts a convolution. Raises Unserved where cuDNN has none."""

    capturable = True

    def __init__(self, cudnn: Any, handle: Any, cupy: Any, convolution: Convolution) -> None:
        self._cudnn, self._handle, self._cupy = cudnn, handle, cupy
        self._convolution = convolution
        if not convolution.aligned:
            raise Unserved(f"an array does not begin at a multiple of {ALIGNED} bytes")
        self._graph, self._tensors = build(cudnn, handle, convolution)
        try:
            self._graph.validate()
            self._graph.build_operation_graph()
            self._graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
            # Not before there are plans: the filter marks those that it finds.
            self._graph.deselect_numeric_notes(unwanted(cudnn, convolution))
            self._graph.check_support()
            self._graph.build_plans()
        # A rejected description and an empty list of plans arrive as RuntimeError. So does a
        # failing device, of which our own kernel's launch will tell.
        except (cudnn.cudnnGraphNotSupportedError, RuntimeError) as refusal:
            raise Unserved(str(refusal)) from None
        size = max(int(self._graph.get_workspace_size()), 1)
        self._workspace = cupy.empty(size, "uint8")

    def __call__(self, out: Array, x: Array, weight: Array, bias: Array | None) -> None:
        stream = self._cupy.cuda.get_current_stream()
        self._cudnn.set_stream(handle=self._handle, stream=stream.ptr)
        arrays = {"out": out, "x": x, "weight": weight, "bias": bias}
        pointers = {tensor: arrays[name].data.ptr for name, tensor in self._tensors.items()}
        self._graph.execute(pointers, self._workspace.data.ptr, handle=self._handle)

    def __str__(self) -> str:
        c = self._convolution
        return f"convolution of {c.x} by {c.weight}"


def unwanted(cudnn: Any, convolution: Convolution) -> list[Any]:
    """What a plan must not do to numbers: differ from run to run, or round more than was asked.

    cuDNN's own default is to round float32 to TensorFloat-32 where the device can.
    """
    note = cudnn.numerical_note
    if convolution.dtype == "float64" or convolution.tf32:
        return [note.NONDETERMINISTIC]
    found = [note.NONDETERMINISTIC, note.REDUCED_PRECISION_REDUCTION]
    if convolution.dtype == "float32":
        found += [note.TENSOR_CORE, note.DOWN_CONVERT_INPUTS]
    return found


def build(cudnn: Any, handle: Any, convolution: Convolution) -> tuple[Any, dict[str, Any]]:
    """The graph of a convolution, and its tensors that stand for arrays, by name."""
    c = convolution
    dtype = getattr(cudnn.data_type, DATA_TYPES[c.dtype])
    # 16-bit products are added in float32.
    wide = cudnn.data_type.DOUBLE if c.dtype == "float64" else cudnn.data_type.FLOAT
    graph = cudnn.pygraph(
        io_data_type=dtype, intermediate_data_type=wide, compute_data_type=wide, handle=handle
    )

    def tensor(name: str, shape: tuple[int, ...]) -> Any:
        return graph.tensor(name=name, dim=list(shape), stride=strides(shape), data_type=dtype)

    tensors = {"x": tensor("x", c.x), "weight": tensor("weight", c.weight)}
    result = graph.conv_fprop(
        image=tensors["x"],
        weight=tensors["weight"],
        pre_padding=[before for before, _ in c.padding],
        post_padding=[after for _, after in c.padding],
        stride=list(c.stride),
        dilation=list(c.dilation),
        compute_data_type=wide,
    )
    if c.bias:
        tensors["bias"] = tensor("bias", (1, c.weight[0], 1, 1))
        result = graph.bias(input=result, bias=tensors["bias"])
    if c.activation == "relu":
        result = graph.relu(input=result)
    result.set_output(True).set_data_type(dtype).set_dim(list(c.out)).set_stride(strides(c.out))
    tensors["out"] = result
    return graph, tensors


def strides(shape: tuple[int, ...]) -> list[int]:
    """Of a contiguous array, in elements."""
    found = [1]
    for n in reversed(shape[1:]):
        found.insert(0, found[0] * n)
    return found
