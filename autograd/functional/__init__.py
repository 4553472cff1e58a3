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
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .attention import scaled_dot_product_attention
from .augmentation import augment
from .convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .creation import arange, full, ones, rand, randn, zeros
from .dense import dense, linear
from .dropout import dropout, spatial_dropout, stochastic_depth
from .embedding import embedding
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
from .normalization import (
    add_layer_norm,
    add_rms_norm,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from .padding import pad
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from .recurrent import check_lengths, gru, lstm, rnn
from .resampling import interpolate

__all__ = [
    "activation",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "add_layer_norm",
    "add_rms_norm",
    "arange",
    "augment",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cat",
    "check_activation",
    "check_labels",
    "check_lengths",
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
    "embedding",
    "full",
    "gelu",
    "group_norm",
    "gru",
    "hard_sigmoid",
    "hard_swish",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "lstm",
    "mae_loss",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "ones",
    "pad",
    "penalty",
    "rand",
    "randn",
    "relu",
    "relu6",
    "rms_norm",
    "rnn",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "spatial_dropout",
    "split",
    "stack",
    "stochastic_depth",
    "tanh",
    "where",
    "zeros",
]
