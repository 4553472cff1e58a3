"""Convolutions: PyTorch's on random cases, and what cuDNN is told of one."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import get_backend
from tercet.backends.cuda_gemm import Unserved
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cudnn_plans import Convolution, Cudnn, CudnnPlan, build, strides, unwanted
from tercet.backends.cupy_backend import CupyBackend
from tercet.errors import BackendError, ShapeError
from tercet.kernels.convolution.reference import convolution_forward
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
        pairs = {**options, "padding": tuple((n, n) for n in options["padding"])}
        out = backend.ops.convolution_forward(*given, activation="relu", alpha=0.0, **pairs)
        out = backend.to_numpy(out)
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_a_window_larger_than_the_padded_input_is_an_error() -> None:
    with pytest.raises(ShapeError, match=r"a window of 3 with dilation 2 reaches over 5 elements"):
        output_size(3, 3, 1, (0, 0), 2)


CASE = Convolution(
    x=(2, 4, 9, 8),
    weight=(6, 2, 3, 3),
    out=(2, 6, 5, 4),
    dtype="float32",
    bias=True,
    stride=(2, 1),
    padding=((2, 0), (0, 0)),
    dilation=(1, 2),
    groups=2,
    activation="relu",
    tf32=False,
    aligned=True,
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
        refusal = {"refuses": NotSupportedError, "rejects": RuntimeError}
        if self.options["handle"] in refusal:
            raise refusal[self.options["handle"]]("no engine has it")

    def deselect_numeric_notes(self, notes: list[str]) -> None:
        self.calls.append(("deselect_numeric_notes", {"notes": notes}))

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
        numerical_note=SimpleNamespace(
            NONDETERMINISTIC="nondeterministic",
            REDUCED_PRECISION_REDUCTION="reduced",
            TENSOR_CORE="tensor core",
            DOWN_CONVERT_INPUTS="down",
        ),
        backend_version=lambda: 92800,
        backend_version_string=lambda: "9.28.0",
        create_handle=lambda: "handle",
        __version__="1.28.0",
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
    assert (convolution["pre_padding"], convolution["post_padding"]) == ([2, 0], [0, 0])
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


@pytest.mark.parametrize("handle", ["refuses", "rejects"])
def test_what_cudnn_has_no_plan_for_is_unserved(handle: str) -> None:
    with pytest.raises(Unserved, match="no engine has it"):
        CudnnPlan(fake(), handle, CUPY, CASE)


def test_an_array_that_is_not_aligned_is_unserved() -> None:
    with pytest.raises(Unserved, match="multiple of 16 bytes"):
        CudnnPlan(fake(), "handle", CUPY, replace(CASE, aligned=False))


@pytest.mark.parametrize(
    ("dtype", "tf32", "more"),
    [
        ("float32", False, ["reduced", "tensor core", "down"]),
        ("float32", True, []),
        ("float64", False, []),
        ("float16", False, ["reduced"]),
    ],
)
def test_plans_round_no_more_than_was_asked(dtype: str, tf32: bool, more: list[str]) -> None:
    case = replace(CASE, dtype=dtype, tf32=tf32)
    assert unwanted(fake(), case) == ["nondeterministic", *more]
    calls = CudnnPlan(fake(), "handle", CUPY, case)._graph.calls
    names = [name for name, _ in calls]
    # Earlier there would be no plans to take it from.
    assert names.index("create_execution_plans") < names.index("deselect_numeric_notes")
    assert dict(calls)["deselect_numeric_notes"] == {"notes": unwanted(fake(), case)}


def failing(*_: Any) -> Any:
    raise RuntimeError("no symbol")


def test_the_library_says_why_it_cannot_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cudnn", None)
    with pytest.raises(BackendError, match=r'pip install "tercet\[cudnn\]"'):
        Cudnn(CUPY)
    package = fake()
    monkeypatch.setitem(sys.modules, "cudnn", package)
    library = Cudnn(CUPY)
    assert library.version == "9.28.0, frontend 1.28.0"
    assert str(library.plan(CASE)) == "convolution of (2, 4, 9, 8) by (6, 2, 3, 3)"
    package.create_handle = failing
    with pytest.raises(BackendError, match="does not work on this device: no symbol"):
        Cudnn(CUPY).plan(CASE)
    package.backend_version = failing
    with pytest.raises(BackendError, match=r"no symbol.*pip install nvidia-cudnn-cu12"):
        Cudnn(CUPY)


class Planned(SimulatedRuntime):
    """A device whose library has convolutions of arrays that are aligned."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Convolution] = []
        self.computed = 0

    def convolution_plan(self, description: Convolution) -> Any:
        self.made.append(description)
        if not description.aligned:
            return None
        names = ("stride", "padding", "dilation", "groups", "activation")
        options = {name: getattr(description, name) for name in names}

        def compute(*arrays: Any) -> None:
            self.computed += 1
            convolution_forward(np, *arrays, alpha=0.0, **options)

        return lambda *arrays: self._submit(partial(compute, *arrays))


OPTIONS: dict[str, Any] = {
    "stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1,
    "activation": "relu", "alpha": 0.0,
}  # fmt: skip


@pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")
def test_a_plan_is_made_once_and_our_kernel_takes_the_rest(rng: np.random.Generator) -> None:
    runtime = Planned()
    backend = CupyBackend(runtime=runtime)
    memory = backend.asarray(rng.normal(size=(3, 3, 5, 5)).astype("f4"))
    weight = backend.asarray(rng.normal(size=(4, 3, 3, 3)).astype("f4"))
    bias = backend.asarray(rng.normal(size=4).astype("f4"))
    whole = [backend.to_numpy(backend.ops.convolution_forward(memory, weight, bias, **OPTIONS))]
    whole += [backend.to_numpy(backend.ops.convolution_forward(memory, weight, bias, **OPTIONS))]
    assert (len(runtime.made), runtime.computed) == (1, 2)
    np.testing.assert_array_equal(*whole)
    # 75 elements of 4 bytes further, which is no multiple of 16.
    part = backend.to_numpy(backend.ops.convolution_forward(memory[1:], weight, bias, **OPTIONS))
    assert [c.aligned for c in runtime.made] == [True, False]
    assert runtime.computed == 2
    depth = 3 * 3 * 3
    bound = 2 * np.finfo("f4").eps * depth * np.abs(memory).max() * np.abs(weight).max() * depth
    np.testing.assert_allclose(part, whole[0][1:], rtol=0, atol=bound)


@pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")
@pytest.mark.parametrize("served", [True, False], ids=["a plan", "our kernel"])
def test_a_recorded_step_replays_a_convolution(served: bool, rng: np.random.Generator) -> None:
    runtime = Planned() if served else SimulatedRuntime()
    backend = CupyBackend(runtime=runtime)
    weight = backend.asarray(rng.normal(size=(4, 3, 3, 3)).astype("f4"))

    def convolve(x: Any) -> Any:
        return tc.Tensor(backend.ops.convolution_forward(x.data, weight, None, **OPTIONS), backend)

    step = tc.capture(convolve, backend)
    for _ in range(6):
        x = rng.normal(size=(2, 3, 5, 5)).astype("f4")
        eager = backend.to_numpy(
            backend.ops.convolution_forward(backend.asarray(x), weight, None, **OPTIONS)
        )
        np.testing.assert_array_equal(step(x).numpy(), eager)
    if isinstance(runtime, Planned):
        assert len(runtime.made) == 1


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
    assert len(unwanted(cudnn, CASE)) == 4


def test_the_library_takes_the_graph() -> None:
    """To validate one takes libcudnn, where it is installed, but no GPU."""
    cudnn = pytest.importorskip("cudnn", exc_type=ImportError)
    try:
        cudnn.backend_version()
    except RuntimeError as error:
        pytest.skip(str(error))
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        for bias, activation in ((True, "relu"), (False, "identity")):
            case = replace(CASE, dtype=dtype, bias=bias, activation=activation)
            graph, tensors = build(cudnn, None, case)
            graph.validate()
            assert list(tensors["out"].dim) == [2, 6, 5, 4]
