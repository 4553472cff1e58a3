"""onnxruntime: inference of the exported model, input and output bound once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cases import TRAIN, Case, batch, weights
from ..job import Job, NotHere


def build(case: Case, mode: str, threads: int) -> Job:
    if case.kind == TRAIN:
        raise NotHere("onnxruntime's package does not train")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        _model(case).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x, _ = batch(case)
    out = np.empty((len(x), case.widths[-1]), np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    result = onnxruntime.OrtValue.ortvalue_from_numpy(out)
    binding.bind_ortvalue_output("out", result)

    def infer() -> Any:
        session.run_with_iobinding(binding)
        return result

    return Job(infer, lambda result: result.numpy())


def _model(case: Case) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, x = [], [], "x"
    last = len(case.layers) - 1
    for i, (w, b) in enumerate(weights(case)):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        z = "out" if i == last else f"z{i}"
        nodes.append(helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], [z]))
        if i < last:
            x = f"h{i}"
            nodes.append(
                helper.make_node({"relu": "Relu", "gelu": "Gelu"}[case.activation], [z], [x])
            )
    inputs, outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [case.batch, width])
        for name, width in (("x", case.widths[0]), ("out", case.widths[-1]))
    )
    graph = helper.make_graph(nodes, "mlp", [inputs], [outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
