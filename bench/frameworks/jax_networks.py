"""The networks of bench/networks.py in JAX: functions of a dictionary of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..networks import CONTEXT, HEADS, HIDDEN, LAYERS, WIDTH


def forward_of(jax: Any, network: str) -> Callable[[Any, Any], Any]:
    """(parameters, x) -> logits (rows, classes)."""
    return {"cnn": _cnn, "lstm": _lstm, "gpt": _gpt}[network](jax)


def _cnn(jax: Any) -> Callable[[Any, Any], Any]:
    lax, relu = jax.lax, jax.nn.relu

    def conv(p: Any, name: str, x: Any) -> Any:
        out = lax.conv_general_dilated(
            x, p[f"{name}.weight"], (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW")
        )
        return relu(out + p[f"{name}.bias"][:, None, None])

    def forward(p: Any, x: Any) -> Any:
        x = conv(p, "conv2", conv(p, "conv1", x))
        x = lax.reduce_window(x, -float("inf"), lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        x = relu(x.reshape(len(x), -1) @ p["dense1.weight"] + p["dense1.bias"])
        return x @ p["dense2.weight"] + p["dense2.bias"]

    return forward


def _lstm(jax: Any) -> Callable[[Any, Any], Any]:
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid

    def forward(p: Any, x: Any) -> Any:
        bias = p["bias_ih"] + p["bias_hh"]
        projected = (x @ p["weight_ih"] + bias).swapaxes(0, 1)

        def cell(state: Any, gates: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(gates + h @ p["weight_hh"], 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
            return (sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((len(x), HIDDEN), x.dtype)
        (h, _), _ = jax.lax.scan(cell, (zeros, zeros), projected)
        return h @ p["dense.weight"] + p["dense.bias"]

    return forward


def _gpt(jax: Any) -> Callable[[Any, Any], Any]:
    jnp = jax.numpy

    def dense(p: Any, name: str, x: Any) -> Any:
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    def norm(p: Any, name: str, x: Any) -> Any:
        centered = x - x.mean(-1, keepdims=True)
        scaled = centered * jax.lax.rsqrt((centered**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * p[f"{name}.weight"] + p[f"{name}.bias"]

    def forward(p: Any, tokens: Any) -> Any:
        x = p["tokens"][tokens] + p["positions"]
        n = len(tokens)
        for i in range(LAYERS):
            parts = dense(p, f"{i}.qkv", norm(p, f"{i}.norm1", x))
            q, k, v = jnp.moveaxis(parts.reshape(n, CONTEXT, 3, HEADS, -1), 2, 0)
            attended = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            x = x + dense(p, f"{i}.out", attended.reshape(n, CONTEXT, WIDTH))
            hidden = jax.nn.gelu(dense(p, f"{i}.up", norm(p, f"{i}.norm2", x)), approximate=False)
            x = x + dense(p, f"{i}.down", hidden)
        return dense(p, "head", norm(p, "norm", x)).reshape(n * CONTEXT, -1)

    return forward
