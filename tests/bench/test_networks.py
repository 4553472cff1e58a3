"""CNN, LSTM and GPT compute the same in every framework, and their counts are right."""

import numpy as np
import pytest
import tercet as tc
from tercet.bench import counts, networks
from tercet.bench.cases import CASES, INFER, Case
from tercet.bench.frameworks import tercet_steps

STEPS = 3


@pytest.fixture(scope="module")
def losses() -> dict[str, list[float]]:
    """Ours, on the reference backend."""
    with tc.use_backend("numpy"):
        return {name: _first(tercet_steps, name) for name in networks.NETWORKS}


def _first(module: object, name: str) -> list[float]:
    job = module.build(CASES[name], "eager", 2)  # type: ignore[attr-defined]
    return [float(job.value(job.run())) for _ in range(STEPS)]


@pytest.mark.parametrize("peer", ["torch", "jax"])
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_other_frameworks_compute_the_same(
    losses: dict[str, list[float]], name: str, peer: str
) -> None:
    pytest.importorskip(peer)
    from importlib import import_module

    module = import_module(f"tercet.bench.frameworks.{peer}_steps")
    # Frameworks round differently, and Adam's first steps enlarge it: as bench/measure.py allows.
    np.testing.assert_allclose(_first(module, name), losses[name], rtol=1e-3)


def test_a_step_learns(losses: dict[str, list[float]]) -> None:
    for name, found in losses.items():
        assert found[-1] < found[0], name


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_counts(name: str) -> None:
    case = CASES[name]
    trained = sum(int(np.prod(s)) for s in networks.shapes(name).values())
    assert counts.parameters(case) == trained
    forward = counts.flops(Case("i", INFER, (), case.batch, network=name))
    # Twice as much backward, but for what the first layer takes.
    assert 2 * forward < counts.flops(case) <= 3 * forward
    assert counts.bytes_moved(case) == 40 * trained
    assert case.title == f"training {name}, batch {case.batch}"
