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
from .augmentation import RandomFlip, RandomShift
from .containers import ModuleDict, ModuleList, Parallel, Residual
from .dense import Dense, Linear
from .dropout import Dropout, Dropout1d, Dropout2d, SpatialDropout, StochasticDepth
from .embedding import Embedding
from .flatten import Flatten
from .module import L1, L2, Module, Parameter, Regularizer
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
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
    "Dropout1d",
    "Dropout2d",
    "Embedding",
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
    "ModuleDict",
    "ModuleList",
    "Parallel",
    "Parameter",
    "RNNCell",
    "RandomFlip",
    "RandomShift",
    "ReLU",
    "Regularizer",
    "Residual",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SpatialDropout",
    "Standardize",
    "StochasticDepth",
    "Tanh",
]
