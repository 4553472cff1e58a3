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
from .dense import Dense, Linear
from .dropout import Dropout
from .flatten import Flatten
from .layer_norm import LayerNorm, RMSNorm
from .module import L1, L2, Module, Parameter, Regularizer
from .standardize import Standardize

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
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Module",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Regularizer",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Tanh",
]
