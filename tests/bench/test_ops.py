"""The kernels that `tercet bench --ops` times."""

import numpy as np
from tercet.backends import Backend
from tercet.bench.ops import OPS, bytes_of
from tercet.kernels import TABLE


def test_every_kernel_runs(backend: Backend) -> None:
    for case in OPS.values():
        if "1e6" in case.name:
            continue
        inputs = [
            None if x is None else backend.asarray(x) for x in case.make(np.random.default_rng(0))
        ]
        result = getattr(backend.ops, case.kernel)(*inputs, **case.attributes)
        outputs = result if isinstance(result, tuple) else (result,)
        assert bytes_of(case, inputs, outputs) > 0


def test_bytes_are_read_written_and_updated() -> None:
    n = 1000
    adam = OPS["Adam 1e5"]
    inputs = [np.ones(n, np.float32)] * 4 + [np.ones(2)]
    assert bytes_of(adam, inputs, ()) == 4 * n * (4 + 3) + 16
    out = np.ones(n, np.float32)
    assert bytes_of(OPS["relu 1e5"], [out], [out]) == 8 * n
    assert bytes_of(OPS["cross-entropy 1e5"], [out, out, None, None], [out, None]) == 12 * n


def test_flops_are_those_of_products() -> None:
    for case in OPS.values():
        assert (case.flops > 0) == case.kernel.startswith("dense")
        assert case.kernel in TABLE
    assert OPS["dense relu 32x784x256"].flops == 2 * 32 * 784 * 256
