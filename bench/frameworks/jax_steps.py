"""JAX: the whole step in one jax.jit, old parameters and moments donated to the new ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..cases import BETA1, BETA2, EPSILON, LR, TRAIN, Case, batch, weights
from ..job import Job


def build(case: Case, mode: str, threads: int) -> Job:
    import jax
    import jax.numpy as jnp

    activation = {"relu": jax.nn.relu, "gelu": partial(jax.nn.gelu, approximate=False)}
    act = activation[case.activation]
    parameters = jax.tree.map(jnp.asarray, weights(case))
    x, y = (jnp.asarray(array) for array in batch(case))

    def forward(parameters: Any, x: Any) -> Any:
        for w, b in parameters[:-1]:
            x = act(x @ w + b)
        w, b = parameters[-1]
        return x @ w + b

    if case.kind != TRAIN:
        compiled = jax.jit(forward)
        return Job(lambda: compiled(parameters, x), np.asarray, jax.block_until_ready)

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        logs = jax.nn.log_softmax(forward(parameters, x))
        return -jnp.take_along_axis(logs, y[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any) -> Any:
        parameters, m, v, t = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        t = t + 1
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)
        rate, root = LR / (1 - BETA1**t), 1 / jnp.sqrt(1 - BETA2**t)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + EPSILON), parameters, m, v
        )
        return (parameters, m, v, t), loss

    def zeros() -> Any:
        return jax.tree.map(jnp.zeros_like, parameters)

    state = (parameters, zeros(), zeros(), jnp.float32(0))

    def run() -> Any:
        nonlocal state
        state, loss = step(state, x, y)
        return loss

    return Job(run, float, lambda loss: jax.block_until_ready(state))
