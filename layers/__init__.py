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
from .module import L1, L2, Module, Parameter, Regularizer
from .recurrent import GRU, LSTM, RNN
from .recurrent_cells import GRUCell, LSTMCell, RNNCell
from .standardize import Standardize

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "L1",
    "L2",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "GRUCell",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LSTMCell",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Module",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Regularizer",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Tanh",
]
