"""Convolutions by cuDNN, through the package nvidia-cudnn-frontend (the extra `cudnn`).

A convolution is described once, a graph of cuDNN's operations made of it (convolution, bias, ReLU),
and cuDNN compiles that to a plan: the kernels that it prefers, fused where it can. The plan keeps
its workspace, so that a CUDA graph can hold it.

An attention joins in the same way: a description, `Runtime.attend` beside `Runtime.convolve`, a
plan here from the frontend's `sdpa`, and a kernel of our own where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..kernels.spec import Array
from .cuda_gemm import Unserved

DATA_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF", "bfloat16": "BFLOAT16"}


@dataclass(frozen=True)
class Convolution:
    """What is to be computed: everything but the addresses. Arrays are contiguous, (n, c, h, w)."""

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    out: tuple[int, int, int, int]
    dtype: str
    bias: bool
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    activation: str


class CudnnPlan:
    """plan(out, x, weight, bias) starts a convolution. Raises Unserved where cuDNN has none."""

    capturable = True

    def __init__(self, cudnn: Any, handle: Any, cupy: Any, convolution: Convolution) -> None:
        self._cudnn, self._handle, self._cupy = cudnn, handle, cupy
        self._convolution = convolution
        self._graph, self._tensors = build(cudnn, handle, convolution)
        try:
            self._graph.validate()
            self._graph.build_operation_graph()
            self._graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
            self._graph.check_support()
            self._graph.build_plans()
        except cudnn.cudnnGraphNotSupportedError:
            raise Unserved from None
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
        pre_padding=list(c.padding),
        post_padding=list(c.padding),
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
