"""tercet: a small deep-learning framework that trains the same model on three array backends.

>>> import tercet as tc
>>> model = tc.models.Sequential([tc.layers.Dense(2, 8, activation="relu"), tc.layers.Dense(8, 2)])
>>> model(tc.zeros(3, 2)).shape
(3, 2)
"""

from . import autograd, backends, data, errors, layers, models, training
from .autograd import (
    Tensor,
    as_tensor,
    from_dlpack,
    get_default_dtype,
    gradcheck,
    is_grad_enabled,
    matmul,
    no_grad,
    set_default_dtype,
    tensor,
)
from .autograd.functional import (
    arange,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cat,
    concatenate,
    cross_entropy,
    dense,
    dropout,
    elu,
    full,
    gelu,
    hard_sigmoid,
    hard_swish,
    huber_loss,
    l1_loss,
    leaky_relu,
    linear,
    log_softmax,
    mae_loss,
    mish,
    mse_loss,
    ones,
    penalty,
    rand,
    randn,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    split,
    stack,
    tanh,
    where,
    zeros,
)
from .backends import get_backend, seed, use_backend
from .errors import TercetError
from .layers import L1, L2, Module, Parameter, Regularizer
from .models import load, load_weights, save_weights
from .training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    TerminateOnNaN,
)
from .training.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    MAELoss,
    MSELoss,
)
from .training.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    clip_grad_norm_,
    clip_grad_value_,
)
from .training.schedules import (
    CosineAnnealingLR,
    CosineLR,
    ExponentialLR,
    LambdaLR,
    LinearWarmup,
    MultiStepLR,
    ReduceLROnPlateau,
    StepLR,
)

__version__ = "0.1.0"
