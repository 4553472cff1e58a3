"""Dropout of channels and of samples: who shares a fate, in both layouts, on every backend."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Dropout, SpatialDropout, StochasticDepth

P = 0.4


def fates(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Which groups were kept, where all of a group must agree and be scaled right."""
    low, high = x.min(axes), x.max(axes)
    np.testing.assert_array_equal(low, high)
    np.testing.assert_allclose(high[high != 0], 1 / (1 - P), rtol=1e-6)
    return high != 0


@pytest.mark.parametrize("shape", [(40, 30, 5), (40, 30, 4, 6)])
def test_channels_share_a_fate(backend: Backend, shape: tuple[int, ...]) -> None:
    tc.seed(1)
    kept = fates(SpatialDropout(P)(tc.ones(*shape)).numpy(), tuple(range(2, len(shape))))
    # 1,200 draws: five standard deviations.
    assert abs(kept.mean() - (1 - P)) < 5 * (P * (1 - P) / kept.size) ** 0.5
    tc.seed(1)
    last = SpatialDropout(P, "NHWC")(tc.ones(shape[0], *shape[2:], shape[1]))
    np.testing.assert_array_equal(fates(last.numpy(), tuple(range(1, len(shape) - 1))), kept)


def test_samples_share_a_fate(backend: Backend) -> None:
    x = tc.tensor(np.ones((1000, 3, 2)), requires_grad=True)
    out = StochasticDepth(P)(x)
    kept = fates(out.numpy(), (1, 2))
    assert abs(kept.mean() - (1 - P)) < 5 * (P * (1 - P) / kept.size) ** 0.5
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), out.numpy())


@pytest.mark.parametrize("kind", [Dropout, SpatialDropout, StochasticDepth])
def test_evaluation_and_wrong_arguments(backend: Backend, kind: type[tc.Module]) -> None:
    x = tc.ones(2, 3, 4)
    assert kind(P).eval()(x) is x
    assert kind(0.0)(x) is x
    assert kind(P)(tc.zeros(0, 3, 4)).shape == (0, 3, 4)
    with pytest.raises(OptionError, match=rf"{kind.__name__}: p must be in \[0, 1\), found 1"):
        kind(1.0)


def test_wrong_input(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"takes x \(n, c, \.\.\.\), found shape \(3, 4\)"):
        SpatialDropout(P)(tc.ones(3, 4))
    with pytest.raises(OptionError, match="unknown layout 'HWC'"):
        SpatialDropout(P, "HWC")
