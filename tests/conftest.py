"""Fixtures: the backends that work on this machine, each test's own randomness."""

from collections.abc import Iterator

import numpy as np
import pytest
import tercet as tc
from tercet.backends import PREFERENCE, Backend, get_backend, usable


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=PREFERENCE,
        help="run the tests of this backend only; may be repeated (default: all that work here)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `backend` runs on every usable backend.

    A module with a fixture `backend` of its own (the CUDA simulation's) is left to that.
    """
    if "backend" in metafunc.fixturenames and not hasattr(metafunc.module, "backend"):
        names = metafunc.config.getoption("--backend") or usable()
        parameters = [
            pytest.param(name, marks=pytest.mark.gpu if name == "cupy" else ()) for name in names
        ]
        metafunc.parametrize("backend", parameters, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The backend under test, current inside the test and freshly seeded."""
    with tc.use_backend(request.param):
        tc.seed(0)
        yield get_backend(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
