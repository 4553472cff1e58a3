"""Optimizer updates: one pass that reads the gradient and updates the parameter and its state.

The step size is worked out from `hyper` inside the loop, where a recorded step finds it anew.
Whether there is a decay does not split a loop into kinds: without one, its factor is 0 or 1.
"""

import math

import numpy as np

from ..numba_loop import flat, loop, parts_for, share
from ..observing import workspace
from ..spec import Array
from .reference import NORM_EPSILON


@loop
def _advance(t: int, parts: int, hyper: Array) -> None:
    if hyper[2] == 0.0:
        hyper[1] += 1


@loop
def _sgd(
    t: int,
    parts: int,
    param: Array,
    velocity: Array,
    grad: Array,
    hyper: Array,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> None:
    if hyper[2] != 0.0:
        return
    low, high = share(param.size, parts, t)
    f = param.dtype.type
    lr, mu, decay = f(hyper[0]), f(momentum), f(weight_decay)
    w, g = param[low:high], grad[low:high]
    if velocity is None:
        for i in range(w.size):
            w[i] -= lr * (g[i] + decay * w[i])
    else:
        v = velocity[low:high]
        # With u = g + mu v for Nesterov's step and u = v otherwise: u = ahead g + behind v.
        ahead, behind = (f(1), mu) if nesterov else (f(0), f(1))
        for i in range(w.size):
            slope = g[i] + decay * w[i]
            v[i] = mu * v[i] + slope
            w[i] -= lr * (ahead * slope + behind * v[i])


@loop
def _adam(
    t: int,
    parts: int,
    param: Array,
    m: Array,
    v: Array,
    grad: Array,
    hyper: Array,
    beta1: float,
    beta2: float,
    eps: float,
    coupled_decay: float,
    decoupled_decay: float,
) -> None:
    if hyper[2] != 0.0:
        return
    low, high = share(param.size, parts, t)
    f = param.dtype.type
    lr, step = hyper[0], hyper[1]
    step_size = f(lr / (1.0 - beta1**step))
    inverse_root = f(1.0 / math.sqrt(1.0 - beta2**step))
    shrink, decay, epsilon = f(1.0 - lr * decoupled_decay), f(coupled_decay), f(eps)
    b1, c1, b2, c2 = f(beta1), f(1.0 - beta1), f(beta2), f(1.0 - beta2)
    w, g, mean, square = param[low:high], grad[low:high], m[low:high], v[low:high]
    for i in range(w.size):
        p = w[i] * shrink
        slope = g[i] + decay * p
        first = b1 * mean[i] + c1 * slope
        second = b2 * square[i] + c2 * slope * slope
        mean[i], square[i] = first, second
        w[i] = p - step_size * first / (np.sqrt(second) * inverse_root + epsilon)


@loop
def _rmsprop(
    t: int,
    parts: int,
    param: Array,
    square: Array,
    velocity: Array,
    average: Array,
    grad: Array,
    hyper: Array,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None:
    if hyper[2] != 0.0:
        return
    low, high = share(param.size, parts, t)
    f = param.dtype.type
    lr, decay, epsilon, mu = f(hyper[0]), f(weight_decay), f(eps), f(momentum)
    a, c, zero = f(alpha), f(1.0 - alpha), f(0)
    w, g, s = param[low:high], grad[low:high], square[low:high]
    v = None if velocity is None else velocity[low:high]
    mean = None if average is None else average[low:high]
    for i in range(w.size):
        slope = g[i] + decay * w[i]
        second = a * s[i] + c * slope * slope
        s[i] = second
        if mean is not None:
            first = a * mean[i] + c * slope
            mean[i] = first
            variance = second - first * first
            second = zero if variance < zero else variance
        step = slope / (np.sqrt(second) + epsilon)
        if v is not None:
            step = mu * v[i] + step
            v[i] = step
        w[i] -= lr * step


@loop
def _adagrad(
    t: int,
    parts: int,
    param: Array,
    square: Array,
    grad: Array,
    hyper: Array,
    eps: float,
    weight_decay: float,
    lr_decay: float,
) -> None:
    if hyper[2] != 0.0:
        return
    low, high = share(param.size, parts, t)
    f = param.dtype.type
    lr = f(hyper[0] / (1.0 + (hyper[1] - 1.0) * lr_decay))
    decay, epsilon = f(weight_decay), f(eps)
    w, g, s = param[low:high], grad[low:high], square[low:high]
    for i in range(w.size):
        slope = g[i] + decay * w[i]
        s[i] += slope * slope
        w[i] -= lr * slope / (np.sqrt(s[i]) + epsilon)


@loop
def _sum_of_squares(t: int, parts: int, sums: Array, x: Array) -> None:
    low, high = share(x.size, parts, t)
    u = x[low:high]
    total = 0.0
    for i in range(u.size):
        wide = np.float64(u[i])
        total += wide * wide
    sums[t] = total


@loop
def _add_up(t: int, parts: int, out: Array, sums: Array) -> None:
    total = 0.0
    for i in range(sums.size):
        total += sums[i]
    out[0] = total


@loop
def _clip_by_norm(t: int, parts: int, grad: Array, total: Array, max_norm: float) -> None:
    scale = max_norm / (math.sqrt(total[0]) + NORM_EPSILON)
    if not scale < 1.0:  # NaN, too, changes nothing
        return
    low, high = share(grad.size, parts, t)
    g, factor = grad[low:high], grad.dtype.type(scale)
    for i in range(g.size):
        g[i] *= factor


@loop
def _clip_by_value(t: int, parts: int, grad: Array, limit: float) -> None:
    low, high = share(grad.size, parts, t)
    g, top = grad[low:high], grad.dtype.type(limit)
    for i in range(g.size):
        g[i] = top if g[i] > top else (-top if g[i] < -top else g[i])


def advance(hyper: Array) -> None:
    _advance(1, hyper)


def sgd_update(
    param: Array,
    velocity: Array | None,
    grad: Array,
    hyper: Array,
    *,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> None:
    parts = parts_for(param.size)
    factors = (float(momentum), float(weight_decay))
    _sgd(parts, param, velocity, grad, hyper, *factors, nesterov)


def adam_update(
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
    decays = (0.0, float(weight_decay)) if decoupled else (float(weight_decay), 0.0)
    factors = (float(beta1), float(beta2), float(eps), *decays)
    _adam(parts_for(param.size), param, m, v, grad, hyper, *factors)


def rmsprop_update(
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
    arrays = (param, square, velocity, average, grad, hyper)
    factors = (float(alpha), float(eps), float(weight_decay), float(momentum))
    _rmsprop(parts_for(param.size), *arrays, *factors)


def adagrad_update(
    param: Array,
    square: Array,
    grad: Array,
    hyper: Array,
    *,
    eps: float,
    weight_decay: float,
    lr_decay: float,
) -> None:
    factors = (float(eps), float(weight_decay), float(lr_decay))
    _adagrad(parts_for(param.size), param, square, grad, hyper, *factors)


def sum_of_squares(out: Array, x: Array) -> None:
    parts = parts_for(x.size)
    sums = workspace((parts,), np.float64)
    _sum_of_squares(parts, sums, flat(x))
    _add_up(1, flat(out), sums)


def clip_by_norm(grad: Array, total: Array, *, max_norm: float) -> None:
    _clip_by_norm(parts_for(grad.size), flat(grad), flat(total), float(max_norm))


def clip_by_value(grad: Array, *, limit: float) -> None:
    _clip_by_value(parts_for(grad.size), flat(grad), float(limit))


LOOPS = {
    "advance": advance,
    "sgd_update": sgd_update,
    "adam_update": adam_update,
    "rmsprop_update": rmsprop_update,
    "adagrad_update": adagrad_update,
    "sum_of_squares": sum_of_squares,
    "clip_by_norm": clip_by_norm,
    "clip_by_value": clip_by_value,
}
