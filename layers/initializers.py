"""Initializers: how a layer's first weights are drawn.

All draw on the host, in float64, from the counter-based generator, so that a seed gives the same
weights, bit for bit, whichever backend the model is going to live on. Weights are stored
(in_features, out_features); fan_in and fan_out are those sizes.

An initializer is called as `init(generator, shape, fan_in, fan_out)` and returns a float64 array.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ..backends import Generator
from ..errors import OptionError, ShapeError, choose

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Initializer:
    """Base of the initializers: frozen options, and `__call__` that draws."""

    registry: ClassVar[dict[str, type[Initializer]]] = {}
    name: ClassVar[str] = ""

    def __init_subclass__(cls, name: str = "", **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if name:
            cls.name = name
            Initializer.registry[name] = cls

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        raise NotImplementedError

    def to_config(self) -> dict[str, Any]:
        """The name and options, as JSON takes them; `get` makes an equal initializer of it."""
        return {"name": self.name} | asdict(self)


@dataclass(frozen=True)
class Constant(Initializer, name="constant"):
    """Every weight equals `value`."""

    value: float = 0.0

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        return np.full(shape, self.value, np.float64)


@dataclass(frozen=True)
class Zeros(Constant, name="zeros"):
    """Every weight is 0."""


@dataclass(frozen=True)
class Ones(Constant, name="ones"):
    """Every weight is 1."""

    value: float = 1.0


@dataclass(frozen=True)
class Uniform(Initializer, name="uniform"):
    """Uniform on [low, high)."""

    low: float = -0.05
    high: float = 0.05

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        return generator.uniform(shape, self.low, self.high)


@dataclass(frozen=True)
class Normal(Initializer, name="normal"):
    """Normal with `mean` and standard deviation `std`."""

    mean: float = 0.0
    std: float = 0.05

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        return generator.normal(shape, self.mean, self.std)


@dataclass(frozen=True)
class TruncatedNormal(Initializer, name="truncated_normal"):
    """Normal with `mean` and `std`, conditioned on mean + low std <= w <= mean + high std.

    By the inverse of the distribution function of a uniform number, so that each weight costs one
    draw and no rejection. By default the bounds lie two `std` from the mean.

    >>> w = TruncatedNormal(0.0, 1.0, low=0.0)(Generator(0), (100,), 1, 1)
    >>> bool(w.min() >= 0.0 and w.max() <= 2.0)
    True
    """

    mean: float = 0.0
    std: float = 0.05
    low: float = -2.0
    high: float = 2.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise OptionError(
                f"truncated_normal: low must be below high, found low={self.low}, "
                f"high={self.high}; both count in std from the mean"
            )

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        # Near 1 probabilities are coarse: bounds above the mean are drawn as their mirror image.
        mirrored = self.low > 0.0
        low, high = (-self.high, -self.low) if mirrored else (self.low, self.high)
        below, above = (0.5 * math.erfc(-z / math.sqrt(2.0)) for z in (low, high))
        unit = generator.uniform(shape, below, above)
        smallest = np.finfo(np.float64).smallest_subnormal  # uniform may give 0 and round to 1
        z = normal_quantile(np.clip(unit, smallest, 1.0 - 2.0**-53)).clip(low, high)
        return self.mean + self.std * (-z if mirrored else z)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Mean 0 and variance gain^2 / fan, uniform or normal; base of Glorot, He and LeCun."""

    gain: float = 1.0
    fan: ClassVar[str] = "in"
    normal: ClassVar[bool] = False

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        fan = {"in": fan_in, "average": (fan_in + fan_out) / 2.0}[self.fan]
        std = self.gain / math.sqrt(max(fan, 1))
        if self.normal:
            return generator.normal(shape, 0.0, std)
        bound = math.sqrt(3.0) * std
        return generator.uniform(shape, -bound, bound)


@dataclass(frozen=True)
class GlorotUniform(VarianceScaling, name="glorot_uniform"):
    """Uniform with variance gain^2 / ((fan_in + fan_out) / 2).

    Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, section 4.2.
    """

    fan = "average"


@dataclass(frozen=True)
class GlorotNormal(VarianceScaling, name="glorot_normal"):
    """Normal with variance gain^2 / ((fan_in + fan_out) / 2); Glorot & Bengio, 2010."""

    fan = "average"
    normal = True


@dataclass(frozen=True)
class HeUniform(VarianceScaling, name="he_uniform"):
    """Uniform with variance gain^2 / fan_in, gain sqrt(2) for ReLU.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, section 2.2.
    """

    gain: float = math.sqrt(2.0)


@dataclass(frozen=True)
class HeNormal(VarianceScaling, name="he_normal"):
    """Normal with variance gain^2 / fan_in, gain sqrt(2) for ReLU; He et al., 2015."""

    gain: float = math.sqrt(2.0)
    normal = True


@dataclass(frozen=True)
class LecunUniform(VarianceScaling, name="lecun_uniform"):
    """Uniform with variance 1 / fan_in; LeCun et al., "Efficient BackProp", 1998, section 4.6."""


@dataclass(frozen=True)
class LecunNormal(VarianceScaling, name="lecun_normal"):
    """Normal with variance 1 / fan_in; what selu assumes (Klambauer et al., 2017)."""

    normal = True


@dataclass(frozen=True)
class Orthogonal(Initializer, name="orthogonal"):
    """Rows or columns, whichever are fewer, orthonormal, times `gain`.

    The Q of a normal matrix's QR decomposition, with signs that make it uniform (Saxe et al.,
    "Exact solutions to the nonlinear dynamics of learning", ICLR 2014; Mezzadri, 2007).
    """

    gain: float = 1.0

    def __call__(self, generator: Generator, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal needs a shape of two axes or more, found {shape}")
        rows, columns = shape[0], math.prod(shape[1:])
        tall = generator.normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


XavierUniform, XavierNormal = GlorotUniform, GlorotNormal
KaimingUniform, KaimingNormal = HeUniform, HeNormal
ALIASES = {
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
}

# Activations that pass about half of their input on, as ReLU does; He's variance is made for that.
HALF = frozenset(
    ("relu", "relu6", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "mish", "hard_swish")
) | {"softplus"}


def for_activation(activation: str | None, alpha: float | None = None) -> Initializer:
    """The initializer that keeps the variance of signals through a layer with `activation`.

    He's for the relu family, LeCun's for selu, whose fixed point assumes it, else Glorot's. Uniform
    ones where the source leaves the choice: bounded weights, and no unit begins with an outlier.
    With `alpha`, the slope of leaky_relu, the gain is sqrt(2 / (1 + alpha^2)) (He et al., 2015,
    section 2.2).

    >>> for_activation("relu").name, for_activation("selu").name, for_activation(None).name
    ('he_uniform', 'lecun_normal', 'glorot_uniform')
    """
    if activation == "leaky_relu" and alpha is not None:
        return HeUniform(math.sqrt(2.0 / (1.0 + alpha * alpha)))
    if activation in HALF:
        return HeUniform()
    return LecunNormal() if activation == "selu" else GlorotUniform()


def get(initializer: str | dict[str, Any] | Initializer) -> Initializer:
    """An initializer from its name, its `to_config()`, or itself.

    >>> get("he_normal").name, get({"name": "constant", "value": 2.0})
    ('he_normal', Constant(value=2.0))
    """
    if isinstance(initializer, Initializer):
        return initializer
    if not isinstance(initializer, (str, dict)):
        raise OptionError(
            "expected an initializer, its name or its to_config(), found "
            f"{initializer!r}; for a fixed value use Constant(value)"
        )
    options = {"name": initializer} if isinstance(initializer, str) else dict(initializer)
    name = str(options.pop("name", "")).lower()
    name = ALIASES.get(name, name)
    if name not in Initializer.registry:
        raise OptionError(choose("initializer", name, [*Initializer.registry, *ALIASES]))
    cls = Initializer.registry[name]
    known = [f.name for f in fields(cls)]
    for option in options:
        if option not in known:
            raise OptionError(choose(f"option of {name}", option, known))
    return cls(**options)


# Wichura's coefficients: the central region, the tails, the far tails; highest power first.
_CENTRAL = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
     1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
     4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
     0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
     2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580,
     5.46378491116411436990, 6.65790464350110377720),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def normal_quantile(p: np.ndarray) -> np.ndarray:
    """The standard normal's quantiles for p in (0, 1), any shape; relative error about 1e-16.

    Source: Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
    Statistics 37, 1988, routine PPND16.

    >>> normal_quantile(np.array([0.5, 0.975])).round(6).tolist()
    [0.0, 1.959964]
    """
    q = p - 0.5
    central = q * _rational(_CENTRAL, 0.180625 - q * q)
    root = np.sqrt(-np.log(np.minimum(p, 1.0 - p)))
    tail = np.where(root <= 5.0, _rational(_TAIL, root - 1.6), _rational(_FAR_TAIL, root - 5.0))
    return np.where(np.abs(q) <= 0.425, central, np.copysign(tail, q))


def _rational(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> Any:
    numerator, denominator = coefficients
    return np.polyval(numerator, x) / np.polyval(denominator, x)
