"""Launchers of optimizer/cuda.cu."""

import numpy as np

from ..cuda import Launcher, Runtime, blocks_for, launch_elements, source_beside
from ..reduction.cuda import reduce_parts
from ..spec import Array
from .reference import NORM_EPSILON

SOURCE = source_beside(__file__)


def advance(runtime: Runtime, hyper: Array) -> None:
    runtime.launch(SOURCE, "advance", np.dtype("float32"), (1,), (1,), (hyper,))


def sgd_update(
    runtime: Runtime,
    param: Array,
    velocity: Array | None,
    grad: Array,
    hyper: Array,
    *,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
) -> None:
    args = (param, velocity, grad, hyper, param.size, momentum, weight_decay, nesterov)
    _update(runtime, "sgd_update", param, args)


def adam_update(
    runtime: Runtime,
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
    args = (param, m, v, grad, hyper, param.size, beta1, beta2, eps, weight_decay, decoupled)
    _update(runtime, "adam_update", param, args)


def rmsprop_update(
    runtime: Runtime,
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
    args = (*arrays, param.size, alpha, 1.0 - alpha, eps, weight_decay, momentum)
    _update(runtime, "rmsprop_update", param, args)


def adagrad_update(
    runtime: Runtime,
    param: Array,
    square: Array,
    grad: Array,
    hyper: Array,
    *,
    eps: float,
    weight_decay: float,
    lr_decay: float,
) -> None:
    args = (param, square, grad, hyper, param.size, eps, weight_decay, lr_decay)
    _update(runtime, "adagrad_update", param, args)


def sum_of_squares(runtime: Runtime, out: Array, x: Array) -> None:
    blocks = blocks_for(runtime, x.size)
    partials = runtime.workspace((blocks,), out.dtype)
    args = (partials, x, x.size)
    runtime.launch(SOURCE, "square_partials", x.dtype, (blocks,), (runtime.block,), args)
    reduce_parts(runtime, out, partials, (1, blocks, 1), "sum")


def clip_by_norm(runtime: Runtime, grad: Array, total: Array, *, max_norm: float) -> None:
    _update(runtime, "clip_by_norm", grad, (grad, total, grad.size, max_norm, NORM_EPSILON))


def clip_by_value(runtime: Runtime, grad: Array, *, limit: float) -> None:
    _update(runtime, "clip_by_value", grad, (grad, grad.size, limit))


def unscale(runtime: Runtime, grad: Array, scaling: Array) -> None:
    _update(runtime, "unscale", grad, (grad, scaling, grad.size))


def update_scale(
    runtime: Runtime, scaling: Array, *, growth: float, backoff: float, interval: int
) -> None:
    args = (scaling, growth, backoff, interval)
    runtime.launch(SOURCE, "update_scale", np.dtype("float32"), (1,), (1,), args)


def _update(runtime: Runtime, kernel: str, param: Array, args: tuple[Array, ...]) -> None:
    launch_elements(runtime, SOURCE, kernel, param.dtype, param.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "advance": advance,
    "sgd_update": sgd_update,
    "adam_update": adam_update,
    "rmsprop_update": rmsprop_update,
    "adagrad_update": adagrad_update,
    "sum_of_squares": sum_of_squares,
    "clip_by_norm": clip_by_norm,
    "clip_by_value": clip_by_value,
    "unscale": unscale,
    "update_scale": update_scale,
}
