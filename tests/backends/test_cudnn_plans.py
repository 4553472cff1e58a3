"""Convolutions: PyTorch's on random cases, and what cuDNN is told of one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tercet.backends import get_backend
from tercet.backends.cuda_gemm import Unserved
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cudnn_plans import Convolution, CudnnPlan, build, strides
from tercet.backends.cupy_backend import CupyBackend
from tercet.errors import ShapeError
from tercet.kernels.convolution.spec import output_size


def draw(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and options of a convolution that PyTorch takes."""
    groups = int(rng.integers(1, 4))
    inside, outside = (int(n) for n in rng.integers(1, 5, 2))
    window, stride, padding, dilation = (
        tuple(int(n) for n in rng.integers(low, high, 2))
        for low, high in ((1, 4), (1, 4), (0, 3), (1, 4))
    )
    reach = [d * (w - 1) + 1 for d, w in zip(dilation, window, strict=True)]
    size = [max(int(rng.integers(1, 13)), r - 2 * p) for r, p in zip(reach, padding, strict=True)]
    arrays = {
        "x": rng.normal(size=(int(rng.integers(1, 4)), groups * inside, *size)),
        "weight": rng.normal(size=(groups * outside, inside, *window)),
        "bias": rng.normal(size=groups * outside),
    }
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return arrays, options


@pytest.mark.parametrize("seed", range(40))
def test_agrees_with_pytorch(seed: int) -> None:
    torch = pytest.importorskip("torch")
    arrays, options = draw(np.random.default_rng(seed))
    x, weight, bias = (torch.tensor(a) for a in arrays.values())
    expected = torch.relu(torch.nn.functional.conv2d(x, weight, bias, **options)).numpy()
    backends = [get_backend("numpy")]
    if compiler() is not None:
        backends.append(CupyBackend(runtime=SimulatedRuntime(seed)))
    for backend in backends:
        given = [backend.asarray(a) for a in arrays.values()]
        out = backend.to_numpy(backend.ops.convolution(*given, activation="relu", **options))
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_a_window_larger_than_the_padded_input_is_an_error() -> None:
    with pytest.raises(ShapeError, match=r"a window of 3 with dilation 2 reaches over 5 elements"):
        output_size(3, 3, 1, 0, 2)


CASE = Convolution(
    x=(2, 4, 9, 8),
    weight=(6, 2, 3, 3),
    out=(2, 6, 5, 4),
    dtype="float32",
    bias=True,
    stride=(2, 1),
    padding=(1, 0),
    dilation=(1, 2),
    groups=2,
    activation="relu",
)


class Graph:
    """A stand-in for cudnn.pygraph that writes down what it is given."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.executed: Any = None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((name, options))
            return Node(options.get("name", name))

        return call

    def check_support(self) -> None:
        if self.options["handle"] == "refuses":
            raise NotSupportedError

    def get_workspace_size(self) -> int:
        return 512

    def execute(self, pointers: Any, workspace: int, handle: Any) -> None:
        self.executed = {node.name: pointer for node, pointer in pointers.items()}, workspace


class Node:
    def __init__(self, name: str) -> None:
        self.name, self.told = name, {}

    def __getattr__(self, name: str) -> Any:
        def setter(value: Any) -> Node:
            self.told[name.removeprefix("set_")] = value
            return self

        return setter


class NotSupportedError(Exception):
    pass


def fake() -> SimpleNamespace:
    return SimpleNamespace(
        pygraph=Graph,
        data_type=SimpleNamespace(FLOAT="f4", DOUBLE="f8", HALF="f2", BFLOAT16="b2"),
        heur_mode=SimpleNamespace(A="a", FALLBACK="fallback"),
        cudnnGraphNotSupportedError=NotSupportedError,
        set_stream=lambda handle, stream: None,
    )


CUPY = SimpleNamespace(
    empty=lambda size, dtype: SimpleNamespace(data=SimpleNamespace(ptr=9000)),
    cuda=SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=7)),
)


def test_what_cudnn_is_told() -> None:
    graph, tensors = build(fake(), "handle", CASE)
    assert [name for name, _ in graph.calls] == [
        "tensor", "tensor", "conv_fprop", "tensor", "bias", "relu",
    ]  # fmt: skip
    convolution = dict(graph.calls)["conv_fprop"]
    assert convolution["pre_padding"] == convolution["post_padding"] == [1, 0]
    assert (convolution["stride"], convolution["dilation"]) == ([2, 1], [1, 2])
    assert tensors["out"].told == {
        "output": True, "data_type": "f4", "dim": [2, 6, 5, 4], "stride": [120, 20, 4, 1],
    }  # fmt: skip
    assert graph.options["compute_data_type"] == "f4"


@pytest.mark.parametrize(
    ("dtype", "stored", "wide"),
    [("float64", "f8", "f8"), ("float16", "f2", "f4"), ("bfloat16", "b2", "f4")],
)
def test_precision(dtype: str, stored: str, wide: str) -> None:
    graph, _ = build(fake(), "handle", replace(CASE, dtype=dtype, bias=False))
    assert (graph.options["io_data_type"], graph.options["compute_data_type"]) == (stored, wide)
    assert "bias" not in dict(graph.calls)


def test_a_plan_runs_with_addresses_and_its_own_workspace() -> None:
    plan = CudnnPlan(fake(), "handle", CUPY, CASE)
    arrays = [SimpleNamespace(data=SimpleNamespace(ptr=p)) for p in (1, 2, 3, 4)]
    plan(*arrays)  # type: ignore[arg-type]
    pointers, workspace = plan._graph.executed
    assert pointers == {"relu": 1, "x": 2, "weight": 3, "bias": 4}
    assert workspace == 9000


def test_what_cudnn_has_no_plan_for_is_left_to_our_kernel() -> None:
    with pytest.raises(Unserved):
        CudnnPlan(fake(), "refuses", CUPY, CASE)


def test_strides_are_those_of_contiguous_arrays() -> None:
    assert strides((2, 6, 5, 4)) == [120, 20, 4, 1]


def test_the_frontend_itself_takes_the_graph() -> None:
    """The package's own graph, where it is installed; making one needs neither cuDNN nor a GPU."""
    cudnn = pytest.importorskip("cudnn", exc_type=ImportError)
    graph, tensors = build(cudnn, None, CASE)
    assert [n.node_type.name for n in graph.nodes] == ["CONV_FPROP", "POINTWISE", "POINTWISE"]
    # It works out for itself what a convolution gives.
    inferred = graph.nodes[0].outputs["Y"]
    assert inferred.dim == tensors["out"].dim == [2, 6, 5, 4]
