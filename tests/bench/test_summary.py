"""Statistics of the benchmark suite, against NumPy and against brute force."""

import numpy as np
import pytest
from tercet.bench.summary import fastest_changes, lasting, paired_ratio, spread


@pytest.mark.parametrize("count", [4, 5, 8, 31])
def test_spread_is_numpys_quartiles(rng: np.random.Generator, count: int) -> None:
    figures = rng.uniform(size=count)
    found = spread(list(figures))
    expected = np.quantile(figures, [0.25, 0.5, 0.75])
    assert [found.low, found.median, found.high] == pytest.approx(expected, rel=1e-12)


def test_spread_of_few_is_their_range() -> None:
    assert spread([5.0]).median == spread([5.0]).low == spread([5.0]).high == 5.0
    assert (spread([2.0, 4.0]).low, spread([2.0, 4.0]).high) == (2.0, 4.0)


def test_a_slow_round_does_not_change_a_paired_ratio(rng: np.random.Generator) -> None:
    speed = rng.uniform(1, 30, size=9)
    found = paired_ratio(list(3 * speed), list(speed))
    assert found.median == pytest.approx(3)
    assert found.high - found.low < 1e-12


def test_ratios_need_the_same_rounds() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        paired_ratio([1.0, 2.0], [1.0])


def test_changes_of_the_fastest_are_those_of_the_curves(rng: np.random.Generator) -> None:
    xs = [1.0, 8.0, 64.0, 512.0]
    for _ in range(50):
        curves = {name: list(rng.uniform(1, 10, size=4)) for name in "abcd"}
        dense = np.exp(np.linspace(0, np.log(512), 20001))
        at = {n: np.interp(np.log(dense), np.log(xs), np.log(ys)) for n, ys in curves.items()}
        names = list(at)
        best = np.argmin([at[n] for n in names], axis=0)
        expected = [(names[best[i]], names[best[i + 1]], dense[i])
                    for i in np.flatnonzero(np.diff(best))]  # fmt: skip
        found = fastest_changes(xs, curves)
        step = dense[1] / dense[0]
        assert [(c.before, c.after) for c in found] == [(a, b) for a, b, _ in expected]
        for c, (_, _, x) in zip(found, expected, strict=True):
            assert x / step <= c.x <= x * step**2
            for name in (c.before, c.after):
                height = np.interp(np.log(c.x), np.log(xs), np.log(curves[name]))
                assert np.log(c.y) == pytest.approx(height, abs=1e-9)


def test_curves_that_never_meet_do_not_change() -> None:
    assert fastest_changes([1, 2, 4], {"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0]}) == []


def test_a_meeting_at_a_point_is_one_change() -> None:
    [c] = fastest_changes([1, 2, 4], {"a": [1.0, 2.0, 4.0], "b": [3.0, 2.0, 1.0]})
    assert (c.before, c.after) == ("a", "b")
    assert c.x == pytest.approx(2)


def test_noise_is_no_change() -> None:
    xs = [1, 2, 4, 8]
    curves = {"a": [1.0, 1.02, 1.0, 1.0], "b": [1.01, 1.0, 1.02, 1.01], "c": [9.0, 9.0, 9.0, 0.5]}
    changes = fastest_changes(xs, curves)
    assert [c.after for c in changes] == ["b", "a", "c"]
    [change] = lasting(changes, xs, curves)
    assert (change.before, change.after) == ("a", "c")
    assert change.x == changes[-1].x
