"""Module, Parameter and the layers: one small file a layer."""

from .activation import (
    ELU,
    GELU,
    SELU,
    Activation,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .attention import MultiHeadAttention
from .dense import Dense, Linear
from .dropout import Dropout
from .flatten import Flatten
from .key_value_cache import KeyValueCache
from .layer_norm import LayerNorm, RMSNorm
from .module import L1, L2, Module, Parameter, Regularizer
from .positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from .standardize import Standardize
from .transformer import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "SELU",
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "KeyValueCache",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Module",
    "MultiHeadAttention",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Regularizer",
    "RotaryPositions",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "Softmax",
    "Softplus",
    "Standardize",
    "Tanh",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
