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
from .batch_norm import BatchNorm1d, BatchNorm2d
from .containers import ModuleDict, ModuleList, Parallel, Residual
from .dense import Dense, Linear
from .dropout import Dropout, Dropout1d, Dropout2d, SpatialDropout, StochasticDepth
from .embedding import Embedding
from .flatten import Flatten
from .group_norm import GroupNorm, InstanceNorm1d, InstanceNorm2d
from .layer_norm import LayerNorm, RMSNorm
from .module import L1, L2, Module, Parameter, Regularizer
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .reshape import Permute, Reshape
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
    "BatchNorm1d",
    "BatchNorm2d",
    "Dense",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parallel",
    "Parameter",
    "Permute",
    "RMSNorm",
    "RNNCell",
    "RandomFlip",
    "RandomShift",
    "ReLU",
    "Regularizer",
    "Reshape",
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
