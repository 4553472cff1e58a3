"""JAX: the whole step in one jax.jit, old parameters and moments donated to the new ones.

As "scan", ten steps on ten batches are one call, which is how JAX trains tiny networks fastest; the
batches have to be there before.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import networks
from ..cases import BETA1, BETA2, EPSILON, LR, TRAIN, Case, batch, weights
from ..job import Job, NotHere
from .jax_networks import forward_of

SCANNED = 10


OTHER_NETWORKS = True


def build(case: Case, mode: str, threads: int) -> Job:
    import jax
    import jax.numpy as jnp

    mlp = case.network == "mlp"
    forward = _mlp(jax, case) if mlp else forward_of(jax, case.network)
    values = weights(case) if mlp else networks.weights(case.network)
    parameters = jax.tree.map(jnp.asarray, values)
    x, y = (jnp.asarray(array) for array in batch(case))

    if case.kind != TRAIN:
        if mode == "scan":
            raise NotHere("inference is one call: the same as jax.jit")
        compiled = jax.jit(forward)
        return Job(lambda: compiled(parameters, x), np.asarray, jax.block_until_ready)

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        logs = jax.nn.log_softmax(forward(parameters, x))
        return -jnp.take_along_axis(logs, y.reshape(-1, 1), axis=1).mean()

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

    def steps(state: Any, xs: Any, ys: Any) -> Any:
        return jax.lax.scan(lambda state, batch: step(state, *batch), state, (xs, ys))

    if mode == "scan":
        x, y = jnp.stack([x] * SCANNED), jnp.stack([y] * SCANNED)
    compiled = jax.jit(steps if mode == "scan" else step, donate_argnums=0)
    state = (parameters, zeros(), zeros(), jnp.float32(0))

    def run() -> Any:
        nonlocal state
        state, loss = compiled(state, x, y)
        return loss

    return Job(
        run,
        np.asarray,
        lambda loss: jax.block_until_ready(state),
        steps=SCANNED if mode == "scan" else 1,
    )


def _mlp(jax: Any, case: Case) -> Any:
    activation: dict[str, Any] = {
        "relu": jax.nn.relu,
        "gelu": partial(jax.nn.gelu, approximate=False),
    }
    act = activation[case.activation]

    def forward(parameters: Any, x: Any) -> Any:
        for w, b in parameters[:-1]:
            x = act(x @ w + b)
        w, b = parameters[-1]
        return x @ w + b

    return forward
