"""Optimizer updates, in place on flat buffers (n,), and what goes before them.

`hyper` is a float64 array (3,) that lives with the backend: the learning rate; t, the number of the
step that is being made (1, 2, ...); and 1 if that step is skipped, so that nothing changes, else 0.
`advance` makes t the next one. Kept in an array, they can change between two runs of a recorded
step.

With g the gradient, plus weight_decay * w where the decay is not decoupled:

    sgd      v = momentum v + g;  w -= lr (g + momentum v if nesterov else v)
             Sutskever et al., "On the importance of initialization and momentum", 2013
    adam     m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
             w -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
             Kingma & Ba, "Adam", ICLR 2015, algorithm 1; with `decoupled`, w -= lr weight_decay w
             comes first: Loshchilov & Hutter, "Decoupled weight decay", ICLR 2019, algorithm 2
    rmsprop  s = alpha s + (1 - alpha) g^2;  a = alpha a + (1 - alpha) g if centered
             v = momentum v + g / (sqrt(s - a^2) + eps);  w -= lr v
             Tieleman & Hinton, 2012; centered: Graves, 2013, section 4
    adagrad  s += g^2;  w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
             Duchi et al., JMLR 12, 2011

`scaling` is a float64 array (3,) that lives with the backend: the scale, by which the loss is
multiplied so that small gradients do not vanish in float16; how many steps in a row went well; and
1 if this step's gradients were too large for float16, else 0. Micikevicius et al., "Mixed precision
training", ICLR 2018, section 3.2.
"""

from typing import Any

from ..spec import Array

NORM_EPSILON = 1e-6


def advance(xp: Any, hyper: Array) -> None:
    """hyper: (3,) float64; t += 1, unless the step is skipped."""
    hyper[1] += hyper[2] == 0


def sgd_update(
    xp: Any,
    param: Array,
    velocity: Array | None,
    grad: Array,
    hyper: Array,
    *,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> None:
    """param, velocity, grad: (n,); velocity is None without momentum."""
    if hyper[2]:
        return
    lr = hyper[0].astype(param.dtype)
    step = _with_decay(grad, param, weight_decay)
    if velocity is not None:
        velocity *= momentum
        velocity += step
        step = step + momentum * velocity if nesterov else velocity
    param -= lr * step


def adam_update(
    xp: Any,
    param: Array,
    m: Array,
    v: Array,
    grad: Array,
    hyper: Array,
    *,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """param, m, v, grad: (n,)."""
    if hyper[2]:
        return
    dtype = param.dtype
    lr, t = hyper[0], hyper[1]
    step_size = (lr / (1.0 - beta1**t)).astype(dtype)
    inverse_root = (1.0 / xp.sqrt(1.0 - beta2**t)).astype(dtype)
    if decoupled:
        if weight_decay:
            param *= (1.0 - lr * weight_decay).astype(dtype)
    else:
        grad = _with_decay(grad, param, weight_decay)
    m *= beta1
    m += (1.0 - beta1) * grad
    v *= beta2
    v += (1.0 - beta2) * grad * grad
    param -= step_size * m / (xp.sqrt(v) * inverse_root + eps)


def rmsprop_update(
    xp: Any,
    param: Array,
    square: Array,
    velocity: Array | None,
    average: Array | None,
    grad: Array,
    hyper: Array,
    *,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> None:
    """All (n,); velocity is None without momentum, average unless centered."""
    if hyper[2]:
        return
    lr = hyper[0].astype(param.dtype)
    grad = _with_decay(grad, param, weight_decay)
    square *= alpha
    square += (1.0 - alpha) * grad * grad
    if average is None:
        root = xp.sqrt(square)
    else:
        average *= alpha
        average += (1.0 - alpha) * grad
        root = xp.sqrt(xp.maximum(square - average * average, 0))
    step = grad / (root + eps)
    if velocity is not None:
        velocity *= momentum
        velocity += step
        step = velocity
    param -= lr * step


def adagrad_update(
    xp: Any,
    param: Array,
    square: Array,
    grad: Array,
    hyper: Array,
    *,
    eps: float,
    weight_decay: float,
    lr_decay: float,
) -> None:
    """param, square, grad: (n,)."""
    if hyper[2]:
        return
    lr = (hyper[0] / (1.0 + (hyper[1] - 1.0) * lr_decay)).astype(param.dtype)
    grad = _with_decay(grad, param, weight_decay)
    square += grad * grad
    param -= lr * grad / (xp.sqrt(square) + eps)


def sum_of_squares(xp: Any, out: Array, x: Array) -> None:
    """out () float64 = sum x_i^2, added in float64; x: (n,)."""
    wide = x.astype(xp.float64)
    (wide * wide).sum(out=out)


def clip_by_norm(xp: Any, grad: Array, total: Array, *, max_norm: float) -> None:
    """grad *= min(1, max_norm / (sqrt(total) + 1e-6)), with `total` () the sum of squares of all
    gradients; Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.

    Where `total` is NaN nothing changes: the gaps of a flat buffer, which are 0, must stay so."""
    scale = max_norm / (xp.sqrt(total) + NORM_EPSILON)
    grad *= xp.where(scale < 1.0, scale, 1.0).astype(grad.dtype)


def clip_by_value(xp: Any, grad: Array, *, limit: float) -> None:
    """grad = min(max(grad, -limit), limit)."""
    xp.clip(grad, -limit, limit, out=grad)


def unscale(xp: Any, grad: Array, scaling: Array) -> None:
    """grad (n,) /= the scale; an element that is no finite number makes the step a bad one."""
    scaling[2] = xp.maximum(scaling[2], ~xp.isfinite(grad).all())
    grad *= (1.0 / scaling[0]).astype(grad.dtype)


def update_scale(xp: Any, scaling: Array, *, growth: float, backoff: float, interval: int) -> None:
    """After a bad step scale *= backoff; after `interval` good ones in a row scale *= growth."""
    scale, good, bad = scaling
    good = xp.where(bad != 0, 0.0, good + 1.0)
    grown = good == interval
    scaling[0] = scale * xp.where(bad != 0, backoff, xp.where(grown, growth, 1.0))
    scaling[1] = xp.where(grown, 0.0, good)
    scaling[2] = 0.0


def _with_decay(grad: Array, param: Array, weight_decay: float) -> Array:
    return grad + weight_decay * param if weight_decay else grad
