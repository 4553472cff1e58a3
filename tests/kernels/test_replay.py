"""Every kernel, recorded and replayed on other values, gives the bits that calling it gives."""

from typing import Any

import numpy as np
import pytest
from tercet.backends import Backend
from tercet.backends.recording import Recording
from tercet.kernels import TABLE
from tercet.kernels.spec import FLOATS, Array, Kernel

from .conformance import cast, samples

KERNELS = list(TABLE.values())


def results_of(kernel: Kernel, result: Any) -> list[Array | None]:
    if len(kernel.outputs) == 1:
        return [result]
    return list(result or ())


def record(
    backend: Backend, kernel: Kernel, arrays: list[Array | None], attributes: dict[str, Any]
) -> Recording:
    """The kernel's call as a recording whose inputs are `arrays`."""
    inputs = [x for x in arrays if x is not None]
    backend.recorder = backend.record(backend.private_pool(), inputs)
    try:
        result = getattr(backend.ops, kernel.name)(*arrays, **attributes)
        outputs = [x for x in results_of(kernel, result) if x is not None]
        return backend.recorder.finish(outputs)
    finally:
        backend.recorder = None


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kernel", KERNELS, ids=[k.name for k in KERNELS])
def test_replays_bit_for_bit(backend: Backend, kernel: Kernel, dtype: str) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    for sample in samples(kernel):
        inputs = cast(kernel, sample, dtype)
        arrays = [None if x is None else backend.asarray(x) for x in inputs]
        recording = record(backend, kernel, arrays, sample.attributes)
        assert [s.name for s in recording.steps][-1] == kernel.name
        # Other values of the same kind: the same ones in other places.
        moved = [None if x is None else np.roll(x, 1) for x in inputs]
        fresh = [None if x is None else backend.asarray(x) for x in moved]
        result = getattr(backend.ops, kernel.name)(*fresh, **sample.attributes)
        expected = [x for x in results_of(kernel, result) if x is not None]
        expected += [fresh[kernel.inputs.index(name)] for name in kernel.updates]
        for x, value in zip(arrays, moved, strict=True):
            if x is not None:
                backend.ops.copy(backend.asarray(value), dtype=x.dtype.name, out=(x,))
        for x in recording.outputs:
            value = np.nan if x.dtype.kind == "f" else 0
            backend.ops.fill(shape=x.shape, dtype=x.dtype.name, value=value, out=(x,))
        recording()
        found = recording.outputs + [arrays[kernel.inputs.index(name)] for name in kernel.updates]
        for want, got in zip(expected, found, strict=True):
            if want is not None:
                same = backend.to_numpy(got).tobytes() == backend.to_numpy(want).tobytes()
                assert same, f"{kernel.name} {sample.attributes}"
