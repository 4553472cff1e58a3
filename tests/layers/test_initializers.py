"""Initializers against PyTorch's formulas, SciPy's quantiles and the moments they promise."""

import json
import math

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Generator
from tercet.errors import OptionError, ShapeError
from tercet.layers import initializers
from tercet.layers.initializers import (
    ALIASES,
    HALF,
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    LecunUniform,
    Normal,
    Ones,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Zeros,
    for_activation,
    get,
    normal_quantile,
)

FANS = [(300, 200), (64, 512)]
# Five standard deviations of an estimate: a wrong formula is off by far more, chance by less.
SIGMAS = 5


def draw(initializer: Initializer, fan_in: int, fan_out: int, seed: int = 0) -> np.ndarray:
    return initializer(Generator(seed), (fan_in, fan_out), fan_in, fan_out)


def check_uniform(x: np.ndarray, low: float, high: float) -> None:
    """Within its bounds, close to both, with the mean and variance of a uniform number."""
    n, width = x.size, high - low
    assert low <= x.min()
    assert x.max() <= high
    # No draw of n within a share of 20 / n of a bound has the chance exp(-20).
    assert x.min() - low < 20 / n * width
    assert high - x.max() < 20 / n * width
    assert abs(x.mean() - (low + high) / 2) < SIGMAS * width / math.sqrt(12 * n)
    # The variance's estimate has the standard deviation width^2 sqrt((1/80 - 1/144) / n).
    spread = width**2 * math.sqrt((1 / 80 - 1 / 144) / n)
    assert abs(x.var() - width**2 / 12) < SIGMAS * spread


def check_normal(x: np.ndarray, mean: float, std: float) -> None:
    n = x.size
    assert abs(x.mean() - mean) < SIGMAS * std / math.sqrt(n)
    assert abs(x.var() - std**2) < SIGMAS * std**2 * math.sqrt(2 / n)
    z = (x - mean) / std
    # E z^4 = 3, and the variance of z^4 is 105 - 9.
    assert abs((z**4).mean() - 3) < SIGMAS * math.sqrt(96 / n)
    assert abs((z < 1).mean() - 0.8413447) < SIGMAS * math.sqrt(0.1335 / n)


@pytest.mark.parametrize("fans", FANS)
@pytest.mark.parametrize(
    ("cls", "function", "options"),
    [
        (GlorotUniform, "xavier_uniform_", {}),
        (GlorotNormal, "xavier_normal_", {}),
        (HeUniform, "kaiming_uniform_", {"nonlinearity": "relu"}),
        (HeNormal, "kaiming_normal_", {"nonlinearity": "relu"}),
        (LecunUniform, "kaiming_uniform_", {"nonlinearity": "linear"}),
        (LecunNormal, "kaiming_normal_", {"nonlinearity": "linear"}),
    ],
)
def test_has_the_bound_or_deviation_of_pytorch(
    monkeypatch: pytest.MonkeyPatch, cls, function: str, options: dict, fans: tuple
) -> None:
    """What torch.nn.init hands to its random numbers is compared with what ours draws."""
    torch = pytest.importorskip("torch")
    asked = []
    for method in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, method, lambda w, a, b, **_: asked.append((a, b)))
    getattr(torch.nn.init, function)(torch.zeros(fans[1], fans[0]), **options)
    ((a, b),) = asked
    drawn = []

    class Recorder(Generator):
        def uniform(self, shape, low=0.0, high=1.0):
            drawn.append((low, high))
            return super().uniform(shape, low, high)

        def normal(self, shape, mean=0.0, std=1.0):
            drawn.clear()
            x = super().normal(shape, mean, std)
            drawn[:] = [(mean, std)]
            return x

    x = cls()(Recorder(0), fans, *fans)
    # The same formula in another order of operations.
    np.testing.assert_allclose(drawn, [(a, b)], rtol=1e-14)
    (check_normal if "normal" in cls.name else check_uniform)(x, a, b)


@pytest.mark.parametrize("gain", [0.5, 5 / 3])
@pytest.mark.parametrize("cls", [GlorotUniform, HeUniform, LecunUniform])
def test_gain_of_the_uniform_ones(cls, gain: float) -> None:
    fan = 250.0 if cls is GlorotUniform else 300.0
    bound = gain * math.sqrt(3 / fan)
    check_uniform(draw(cls(gain=gain), 300, 200), -bound, bound)


@pytest.mark.parametrize("gain", [0.5, 5 / 3])
@pytest.mark.parametrize("cls", [GlorotNormal, HeNormal, LecunNormal])
def test_gain_of_the_normal_ones(cls, gain: float) -> None:
    fan = 250.0 if cls is GlorotNormal else 300.0
    check_normal(draw(cls(gain=gain), 300, 200), 0.0, gain / math.sqrt(fan))


def test_plain_distributions() -> None:
    check_uniform(draw(Uniform(), 300, 200), -0.05, 0.05)
    check_uniform(draw(Uniform(2.0, 5.0), 300, 200), 2.0, 5.0)
    check_normal(draw(Normal(), 300, 200), 0.0, 0.05)
    check_normal(draw(Normal(-3.0, 2.0), 300, 200), -3.0, 2.0)
    assert (draw(Zeros(), 3, 2) == 0.0).all()
    assert (draw(Ones(), 3, 2) == 1.0).all()
    assert (draw(Constant(2.5), 3, 2) == 2.5).all()


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.05), (3.0, 2.0)])
def test_truncated_at_two_deviations(mean: float, std: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    z = (draw(TruncatedNormal(mean, std), 300, 200) - mean) / std
    n, exact = z.size, stats.truncnorm(-2, 2)
    # Rounding of the quantile, and of mean + std z, at the very edge.
    assert np.abs(z).max() <= 2 + 1e-14
    # The density at the edge is 0.0566: the nearest of n draws lies within 20 / (0.0566 n).
    assert 2 - np.abs(z).max() < 20 / (0.0566 * n)
    variance, fourth = exact.var(), exact.moment(4)
    assert abs(z.mean()) < SIGMAS * math.sqrt(variance / n)
    assert abs(z.var() - variance) < SIGMAS * math.sqrt((fourth - variance**2) / n)
    # Kolmogorov's distance exceeds 2.5 / sqrt(n) with the chance 2 exp(-12.5).
    assert stats.kstest(z.ravel(), exact.cdf).statistic < 2.5 / math.sqrt(n)


def test_normal_quantile() -> None:
    stats = pytest.importorskip("scipy.stats")
    p = np.concatenate([np.linspace(0.02, 0.98, 20001), [0.075, 0.925, 0.0227501319481792]])
    # 1e-16 by the routine's source, times the roundings of two polynomials of degree 7; SciPy's
    # own error is of that size. Near p = 1/2 p - 0.5 is exact, so the error stays relative.
    np.testing.assert_allclose(normal_quantile(p), stats.norm.ppf(p), rtol=4e-15, atol=1e-17)
    np.testing.assert_array_equal(normal_quantile(np.array([0.5])), [0.0])
    q = np.array([0.03125, 0.25, 0.4375])
    np.testing.assert_array_equal(normal_quantile(1 - q), -normal_quantile(q))


@pytest.mark.parametrize("shape", [(40, 40), (70, 30), (30, 70), (1, 9), (12, 3, 4), (3, 5, 7)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(shape: tuple, gain: float) -> None:
    w = Orthogonal(gain)(Generator(1), shape, shape[0], math.prod(shape[1:]))
    assert w.shape == shape
    flat = w.reshape(shape[0], -1) / gain
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    # Householder's Q is orthogonal to a small multiple of eps times the size.
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-14 * math.sqrt(flat.size))


def test_orthogonal_is_uniform() -> None:
    """Signs are fixed by R: elements of many small Q have mean 0 and variance 1 / n."""
    generator = Generator(0)
    q = np.stack([Orthogonal()(generator, (3, 3), 3, 3) for _ in range(3000)])
    # Var q_ij = 1/3; E q^4 = 3 / (n (n + 2)) = 1/5.
    assert np.abs(q.mean(axis=0)).max() < SIGMAS * math.sqrt(1 / 3 / 3000)
    assert np.abs(q.var(axis=0) - 1 / 3).max() < SIGMAS * math.sqrt((1 / 5 - 1 / 9) / 3000)
    # Both orientations occur equally often.
    positive = (np.linalg.det(q) > 0).mean()
    assert abs(positive - 0.5) < SIGMAS * 0.5 / math.sqrt(3000)
    with pytest.raises(ShapeError, match=r"orthogonal needs a shape of two axes or more"):
        Orthogonal()(Generator(0), (4,), 4, 4)


@pytest.mark.parametrize("name", sorted(Initializer.registry))
def test_equal_bits_from_equal_seeds(name: str) -> None:
    init = get(name)
    first, second, other = (draw(init, 20, 10, seed) for seed in (5, 5, 6))
    assert first.tobytes() == second.tobytes()
    assert first.dtype == np.float64
    assert first.shape == (20, 10)
    if not isinstance(init, Constant):
        assert (first != other).all()
        generator = Generator(5)
        init(generator, (20, 10), 20, 10)
        assert (init(generator, (20, 10), 20, 10) != first).all()


def test_a_layer_has_the_same_weights_wherever_it_lives(backend) -> None:
    layer = tc.layers.Dense(20, 10, weight_init="he_normal")
    with tc.use_backend("numpy"):
        tc.seed(0)
        reference = tc.layers.Dense(20, 10, weight_init="he_normal")
    weights = [p.numpy().tobytes() for p in layer.parameters()]
    assert weights == [p.numpy().tobytes() for p in reference.parameters()]


@pytest.mark.parametrize("name", sorted(Initializer.registry))
def test_get_by_name_config_and_instance(name: str) -> None:
    init = get(name)
    assert init.name == name
    assert get(name.upper()) == init
    assert get(init) is init
    config = json.loads(json.dumps(init.to_config()))
    assert config["name"] == name
    assert get(config) == init
    assert config["name"] == name  # what was passed is not changed
    options = {k: v + 0.25 for k, v in config.items() if k != "name"}
    changed = get({"name": name, **options})
    assert changed != init
    assert get(changed.to_config()) == changed
    assert changed.to_config() == {"name": name, **options}


def test_get_by_alias() -> None:
    assert ALIASES == {
        "xavier_uniform": "glorot_uniform",
        "xavier_normal": "glorot_normal",
        "kaiming_uniform": "he_uniform",
        "kaiming_normal": "he_normal",
    }
    for alias, name in ALIASES.items():
        assert get(alias) == get(name)
        assert get({"name": alias, "gain": 3.0}) == get({"name": name, "gain": 3.0})


def test_unknown_names_and_options() -> None:
    with pytest.raises(OptionError, match=r"unknown initializer 'he_norml'.*Did you mean 'he_no"):
        get("he_norml")
    with pytest.raises(OptionError, match="unknown initializer ''"):
        get({"gain": 1.0})
    with pytest.raises(OptionError, match=r"unknown option of normal 'sdt'.*Did you mean 'std'"):
        get({"name": "normal", "sdt": 1.0})
    with pytest.raises(OptionError, match="unknown option of zeros 'gain'"):
        get({"name": "zeros", "gain": 1.0})


def test_for_activation() -> None:
    expected = {None: GlorotUniform(), "selu": LecunNormal(), "tanh": GlorotUniform()}
    expected |= {"sigmoid": GlorotUniform(), "softmax": GlorotUniform(), "relu": HeUniform()}
    expected |= {name: HeUniform() for name in HALF}
    for activation, init in expected.items():
        assert for_activation(activation) == init
    assert {"gelu", "silu", "leaky_relu", "elu"} <= HALF
    assert initializers.XavierUniform is GlorotUniform
    assert initializers.KaimingNormal is HeNormal


@pytest.mark.parametrize(("activation", "low", "high"), [("relu", 0.5, 2), ("selu", 0.5, 2)])
def test_signals_keep_their_size_through_ten_layers(
    activation: str, low: float, high: float
) -> None:
    """What the choice is made for; GlorotUniform under relu would end at about 2^-5."""
    generator = Generator(3)
    function = {"relu": lambda v: np.maximum(v, 0), "selu": selu}[activation]
    signal = np.random.default_rng(0).normal(size=(500, 256))
    for _ in range(10):
        signal = function(signal) @ for_activation(activation)(generator, (256, 256), 256, 256)
    assert low < signal.std() < high


def selu(v: np.ndarray) -> np.ndarray:
    return 1.0507009873554805 * np.where(v > 0, v, 1.6732632423543772 * np.expm1(np.minimum(v, 0)))


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 0.5), (-8.0, 8.0), (0.5, 1.5), (3.0, 9.0), (-9.0, -3.0), (-40.0, 40.0)]
)
def test_truncated_at_given_bounds(low: float, high: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    x = draw(TruncatedNormal(1.0, 2.0, low, high), 300, 200)
    z, exact = (x - 1.0) / 2.0, stats.truncnorm(low, high)
    assert z.min() >= low - 1e-14
    assert z.max() <= high + 1e-14
    assert stats.kstest(z.ravel(), exact.cdf).statistic < 2.5 / math.sqrt(z.size)
    with pytest.raises(OptionError, match=r"low must be below high, found low=1.0, high=1.0"):
        TruncatedNormal(0.0, 1.0, 1.0, 1.0)


def test_normal_quantile_of_the_tails() -> None:
    special = pytest.importorskip("scipy.special")
    p = np.concatenate([10.0 ** -np.arange(1, 308, 0.5), [5e-324, 0.02, 0.075, math.exp(-25)]])
    np.testing.assert_allclose(normal_quantile(p), special.ndtri(p), rtol=1e-14)
    upper = 1.0 - p[p > 1e-15]
    np.testing.assert_allclose(normal_quantile(upper), special.ndtri(upper), rtol=1e-14)


def test_the_slope_of_leaky_relu_enters_the_gain() -> None:
    assert for_activation("leaky_relu", 0.5) == HeUniform(math.sqrt(2 / 1.25))
    assert for_activation("elu", 0.5) == HeUniform()


@pytest.mark.parametrize("wrong", [None, 0.5, np.zeros])
def test_only_initializers_are_taken(wrong: object) -> None:
    with pytest.raises(OptionError, match=r"expected an initializer, its name or its to_config"):
        get(wrong)
