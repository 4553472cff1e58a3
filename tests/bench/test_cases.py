"""Which cases are meant, and that their data is the same everywhere."""

import json

import numpy as np
import pytest
from tercet.bench.cases import CASES, LARGE, SWEEPS, Case, batch, choose_steps, weights
from tercet.bench.variants import ALL, PEERS, choose_variants
from tercet.errors import OptionError


def test_the_large_ones_come_when_asked_for() -> None:
    cases, sweeps = choose_steps(None, large=False)
    assert {c.name for c in cases} == set(CASES) - set(LARGE)
    assert {s.name for s in sweeps} == set(SWEEPS)
    assert {c.name for c in choose_steps(None, large=True)[0]} == set(CASES)
    assert [c.name for c in choose_steps(["tiny"], large=True)[0]] == ["tiny", *LARGE]
    assert [c.name for c in choose_steps(["large"], large=True)[0]] == ["large"]


def test_an_unknown_step() -> None:
    with pytest.raises(OptionError, match=r"unknown step 'tinny'.*Did you mean 'tiny'"):
        choose_steps(["tinny"], large=False)


def test_an_unknown_peer() -> None:
    with pytest.raises(OptionError, match=r"unknown peer 'pytorch'.*torch"):
        choose_variants(["numpy"], ["pytorch"])


def test_all_peers_are_those_installed() -> None:
    names = {v.name for v in choose_variants(["numba"], [ALL])}
    for variants in PEERS.values():
        for variant in variants:
            assert (variant.name in names) == (not variant.missing)


def test_a_case_survives_json() -> None:
    for case in CASES.values():
        assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case


def test_data_is_drawn_from_fixed_seeds() -> None:
    case = CASES["tiny"]
    for a, b in ((batch(case), batch(case)), (weights(case)[0], weights(case)[0])):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    x, y = batch(case)
    assert x.shape == (16, 10)
    assert x.dtype == np.float32
    assert set(y) == {0, 1}
    assert [w.shape for w, _ in weights(case)] == case.layers
    assert [b.shape for _, b in weights(case)] == [(64,), (32,), (2,)]
