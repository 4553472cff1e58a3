"""Flops and bytes of a case, against what a real step hands to its kernels."""

from itertools import pairwise
from typing import Any

import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.bench import counts
from tercet.bench.cases import CASES, INFER, TRAIN, Case
from tercet.bench.frameworks import tercet_steps


def flops_of_kernels(backend: Backend, case: Case, monkeypatch: pytest.MonkeyPatch) -> int:
    """Those of the products that a step really makes."""
    job = tercet_steps.build(case, "eager", 1)
    job.run()
    found = 0
    forward, backward = backend.ops.dense_forward, backend.ops.dense_backward

    def count_forward(x: Any, weight: Any, *rest: Any, **options: Any) -> Any:
        nonlocal found
        found += 2 * x.shape[0] * weight.size
        return forward(x, weight, *rest, **options)

    def count_backward(dout: Any, x: Any, weight: Any, *rest: Any, **options: Any) -> Any:
        nonlocal found
        found += 2 * x.shape[0] * weight.size * sum(options["needs"][:2])
        return backward(dout, x, weight, *rest, **options)

    monkeypatch.setattr(backend.ops, "dense_forward", count_forward)
    monkeypatch.setattr(backend.ops, "dense_backward", count_backward)
    job.run()
    return found


@pytest.mark.parametrize("kind", [TRAIN, INFER])
def test_flops_are_those_of_a_real_step(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("a", kind, (7, 5, 6, 3), 4)
    with tc.use_backend("numpy") as backend:
        assert flops_of_kernels(backend, case, monkeypatch) == counts.flops(case)


def test_bytes_of_one_layer() -> None:
    n, a, b = 8, 5, 3
    parameter = a * b + b
    inference = n * a + parameter + n * b
    assert counts.bytes_moved(Case("a", INFER, (a, b), n)) == 4 * inference
    backward = n * b + n * b + n * a + parameter  # dout, out, x; dW and db
    adam = 4 * parameter + 3 * parameter  # w, m, v, gradient; w, m, v
    assert counts.bytes_moved(Case("a", TRAIN, (a, b), n)) == 4 * (inference + backward + adam)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_parameters_and_working_set(case: Case) -> None:
    if case.network == "mlp":
        assert counts.parameters(case) == sum(a * b + b for a, b in pairwise(case.widths))
    assert counts.working_set(case) > 4 * counts.parameters(case)
    assert counts.bytes_moved(case) > 4 * counts.parameters(case)
