"""Which backend is used, by which rule, and why another one is not."""

import pytest
import tercet as tc
from tercet import backends
from tercet.errors import BackendError, OptionError


def test_the_rules_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERCET_BACKEND", raising=False)
    assert backends.choice() == (backends.usable()[0], "the best that works here")
    monkeypatch.setenv("TERCET_BACKEND", "numpy")
    assert backends.choice()[0] == "numpy"
    assert tc.zeros(1).backend.name == "numpy"
    monkeypatch.setenv("TERCET_BACKEND", "")
    with tc.use_backend("numpy"):
        assert tc.zeros(1).backend.name == "numpy"
        with tc.use_backend("numba"):
            assert tc.zeros(1).backend.name == "numba"
            assert tc.zeros(1, backend="numpy").backend.name == "numpy"
        assert tc.zeros(1).backend.name == "numpy"


def test_a_block_that_fails_restores_the_choice() -> None:
    before = backends.choice()
    with pytest.raises(ZeroDivisionError), tc.use_backend("numpy"):
        raise ZeroDivisionError
    assert backends.choice() == before


def test_unknown_and_unusable_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="unknown backend 'torch'; expected one of"):
        tc.get_backend("torch")
    monkeypatch.setenv("TERCET_BACKEND", "nunpy")
    with pytest.raises(BackendError, match=r"TERCET_BACKEND: unknown backend 'nunpy'.*'numpy'"):
        backends.choice()
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    monkeypatch.delitem(backends._made, "numba", raising=False)
    with pytest.raises(BackendError, match=r"NUMBA_DISABLE_JIT turns .* off.*Usable: .*numpy"):
        tc.get_backend("numba")


def test_a_model_lives_where_it_was_made() -> None:
    with tc.use_backend("numpy"):
        model = tc.models.Sequential(tc.layers.Dense(2))
    assert model([[1.0, 2.0]]).backend.name == "numpy"


def test_seeds_are_64_bits() -> None:
    for wrong in (-1, 2**64):
        with pytest.raises(OptionError, match=r"seed must be an integer in \[0, 2\*\*64\)"):
            tc.seed(wrong)
    tc.seed(2**64 - 1)
    with tc.use_backend("numpy"):
        first = tc.rand(4).tolist()
        tc.seed(2**64 - 1)
        assert tc.rand(4).tolist() == first
    tc.seed(0)
