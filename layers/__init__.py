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
from .convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from .dense import Dense, Linear
from .dropout import Dropout
from .flatten import Flatten
from .module import L1, L2, Module, Parameter, Regularizer
from .padding import (
    CircularPad1d,
    CircularPad2d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    ZeroPad1d,
    ZeroPad2d,
)
from .standardize import Standardize

__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "SELU",
    "Activation",
    "CircularPad1d",
    "CircularPad2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Flatten",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Module",
    "Parameter",
    "ReLU",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "Regularizer",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Tanh",
    "ZeroPad1d",
    "ZeroPad2d",
]
