"""The networks that are timed beside multilayer perceptrons: what they are, their weights, a batch.

    cnn   (n, 1, 28, 28): 3x3 to 32 channels, ReLU, 3x3 to 64, ReLU, max pool 2x2, dense 128, ReLU,
          dense 10
    lstm  (n, 64, 64), batch first: hidden 128, dense 10 on the last state
    gpt   (n, 128) tokens of 1,000: embeddings and learned positions of width 256, 4 pre-norm blocks
          of causal attention with 4 heads and an MLP of 1,024 with exact GELU, norm, dense 1,000;
          the targets are tokens, too

Weights of dense kind are (in, out); those of convolutions (out, in, h, w). The LSTM's gates are
i, f, g, o, and it has two biases, as PyTorch's has.
"""

from __future__ import annotations

import numpy as np

Shapes = dict[str, tuple[int, ...]]

PIXELS, CHANNELS, DENSE, CLASSES = 28, (32, 64), 128, 10
LENGTH, FEATURES, HIDDEN = 64, 64, 128
VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS = 1000, 128, 256, 4, 4
NETWORKS = ("cnn", "lstm", "gpt")


def shapes(network: str) -> Shapes:
    """The shape of every parameter, by name, in the order in which data meets them."""
    if network == "cnn":
        first, second = CHANNELS
        flat = second * ((PIXELS - 4) // 2) ** 2
        return {
            "conv1.weight": (first, 1, 3, 3), "conv1.bias": (first,),
            "conv2.weight": (second, first, 3, 3), "conv2.bias": (second,),
            "dense1.weight": (flat, DENSE), "dense1.bias": (DENSE,),
            "dense2.weight": (DENSE, CLASSES), "dense2.bias": (CLASSES,),
        }  # fmt: skip
    if network == "lstm":
        return {
            "weight_ih": (FEATURES, 4 * HIDDEN), "weight_hh": (HIDDEN, 4 * HIDDEN),
            "bias_ih": (4 * HIDDEN,), "bias_hh": (4 * HIDDEN,),
            "dense.weight": (HIDDEN, CLASSES), "dense.bias": (CLASSES,),
        }  # fmt: skip
    found: Shapes = {"tokens": (VOCABULARY, WIDTH), "positions": (CONTEXT, WIDTH)}
    for i in range(LAYERS):
        for name, shape in (
            ("norm1", (WIDTH,)), ("qkv", (WIDTH, 3 * WIDTH)), ("out", (WIDTH, WIDTH)),
            ("norm2", (WIDTH,)), ("up", (WIDTH, 4 * WIDTH)), ("down", (4 * WIDTH, WIDTH)),
        ):  # fmt: skip
            found[f"{i}.{name}.weight"], found[f"{i}.{name}.bias"] = shape, shape[-1:]
    found |= {"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    return found | {"head.weight": (WIDTH, VOCABULARY), "head.bias": (VOCABULARY,)}


def weights(network: str) -> dict[str, np.ndarray]:
    """Every parameter, float32, the same in every process."""
    rng = np.random.default_rng(1)
    found = {}
    for name, shape in shapes(network).items():
        if len(shape) == 1:
            # A norm's weight is one, and all else that is a vector is a bias.
            scale = "norm" in name and name.endswith("weight")
            values = np.ones(shape) if scale else rng.uniform(-0.1, 0.1, shape)
        elif name in ("tokens", "positions"):
            values = rng.normal(0.0, 0.02, shape)
        else:
            fan = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
            values = rng.uniform(-1.0, 1.0, shape) / fan**0.5
        found[name] = values.astype(np.float32)
    return found


def products(network: str) -> list[int]:
    """The multiply-adds of each product forward, for one sample; the first needs no gradient by
    what it takes, which for tokens is nothing."""
    if network == "cnn":
        first, second = CHANNELS
        inner = PIXELS - 4
        flat = second * (inner // 2) ** 2
        return [
            (PIXELS - 2) ** 2 * first * 9,
            inner**2 * second * first * 9,
            flat * DENSE,
            DENSE * CLASSES,
        ]
    if network == "lstm":
        steps = [LENGTH * size * 4 * HIDDEN for size in (FEATURES, HIDDEN)]
        return [*steps, HIDDEN * CLASSES]
    # Half of the scores are masked; there are as many products with the values.
    attention = CONTEXT * CONTEXT * WIDTH
    layer = [CONTEXT * 12 * WIDTH * WIDTH, attention]
    return [0, *layer * LAYERS, CONTEXT * WIDTH * VOCABULARY]


def batch(network: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes int64, the same in every process."""
    rng = np.random.default_rng(0)
    if network == "gpt":
        tokens = rng.integers(0, VOCABULARY, (size, CONTEXT + 1))
        return tokens[:, :-1].copy(), tokens[:, 1:].copy()
    sample = (1, PIXELS, PIXELS) if network == "cnn" else (LENGTH, FEATURES)
    x = rng.standard_normal((size, *sample), dtype=np.float32)
    return x, rng.integers(0, CLASSES, size)
