"""Tests of test_attention.py whose kernels come in an order of their own, on the simulation."""

from collections.abc import Iterator

import pytest
import tercet as tc
from tercet import backends
from tercet.backends import Backend
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend

from .test_attention import (  # noqa: F401 - collected here, for this module's backend
    test_a_cache_gives_what_the_whole_sequence_gives,
    test_a_captured_training_step_is_the_eager_one,
    test_positions_that_are_added,
)

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    made = CupyBackend(runtime=SimulatedRuntime(seed=1))
    monkeypatch.setitem(backends._made, "cupy", made)
    with tc.use_backend("cupy"):
        tc.seed(0)
        yield made
