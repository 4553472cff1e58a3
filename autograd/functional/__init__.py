"""Functions of tensors: activations, softmax, losses, dropout, joining, constants.

Each takes tensors, or anything that `tensor` takes, and returns a tensor that is recorded for
differentiation. Targets and weights may be NumPy arrays or lists; they join the first argument on
its backend and in its dtype.
"""

from .activation import (
    activation,
    check_activation,
    elu,
    gelu,
    hard_sigmoid,
    hard_swish,
    leaky_relu,
    log_softmax,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .creation import arange, full, ones, rand, randn, zeros
from .dense import dense, linear
from .dropout import dropout
from .joining import cat, concatenate, split, stack, where
from .loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    check_labels,
    check_probabilities,
    cross_entropy,
    huber_loss,
    l1_loss,
    mae_loss,
    mse_loss,
    penalty,
)
from .padding import pad

__all__ = [
    "activation",
    "arange",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cat",
    "check_activation",
    "check_labels",
    "check_probabilities",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cross_entropy",
    "dense",
    "dropout",
    "elu",
    "full",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "huber_loss",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mae_loss",
    "mish",
    "mse_loss",
    "ones",
    "pad",
    "penalty",
    "rand",
    "randn",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "split",
    "stack",
    "tanh",
    "where",
    "zeros",
]
