"""The networks of bench/networks.py in tercet, as its users write them."""

from __future__ import annotations

from typing import Any

import tercet as tc
from tercet import layers

from .. import networks
from ..networks import CHANNELS, CLASSES, CONTEXT, DENSE, HEADS, HIDDEN, LAYERS, VOCABULARY, WIDTH


class GPT(tc.Module):
    """Tokens (n, length) -> logits (n * length, vocabulary)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = layers.Embedding(VOCABULARY, WIDTH)
        self.positions = layers.LearnedPositions(CONTEXT, WIDTH)
        self.blocks = layers.ModuleList(
            layers.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", norm_first=True, causal=True
            )
            for _ in range(LAYERS)
        )
        self.norm, self.head = layers.LayerNorm(WIDTH), layers.Dense(WIDTH, VOCABULARY)

    def forward(self, tokens: Any) -> Any:
        x = self.positions(self.tokens(tokens))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).reshape(-1, VOCABULARY)


def model_of(network: str) -> tc.Module:
    """The network with its weights; it gives logits (rows, classes)."""
    if network == "cnn":
        first, second = CHANNELS
        model: tc.Module = tc.models.Sequential(
            layers.Conv2d(1, first, 3, activation="relu"),
            layers.Conv2d(first, second, 3, activation="relu"),
            layers.MaxPool2d(2),
            layers.Flatten(),
            layers.Dense(networks.shapes("cnn")["dense1.weight"][0], DENSE, activation="relu"),
            layers.Dense(DENSE, CLASSES),
        )
    elif network == "lstm":
        model = tc.models.Sequential(
            layers.LSTM(networks.FEATURES, HIDDEN, batch_first=True, return_sequences=False),
            layers.Dense(HIDDEN, CLASSES),
        )
    else:
        model = GPT()
    values = networks.weights(network)
    if network == "gpt":
        state = {name: values[_gpt_name(name)] for name in model.state_dict()}
    else:
        state = dict(zip(model.state_dict(), values.values(), strict=True))
    model.load_state_dict(state)
    return model


def _gpt_name(name: str) -> str:
    """Ours of bench/networks.py for a parameter of GPT."""
    if name in ("tokens.weight", "positions.weight"):
        return name.split(".")[0]
    renamed = name.removeprefix("blocks.")
    for layer, short in (("self_attn.in_proj", "qkv"), ("self_attn.out_proj", "out"),
                         ("linear1", "up"), ("linear2", "down")):  # fmt: skip
        renamed = renamed.replace(layer, short)
    return renamed
