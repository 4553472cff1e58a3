"""The networks of bench/networks.py in PyTorch, as its users write them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import networks
from ..networks import CHANNELS, CLASSES, CONTEXT, DENSE, FEATURES, HEADS, HIDDEN, LAYERS, WIDTH


def model_of(torch: Any, network: str) -> Any:
    """The network with its weights; it gives logits (rows, classes)."""
    model = {"cnn": _cnn, "lstm": _lstm, "gpt": _gpt}[network](torch)
    values = networks.weights(network)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(_value(name, values)))
    return model


def _value(name: str, values: dict[str, np.ndarray]) -> np.ndarray:
    """Ours for PyTorch's name: dense weights are transposed."""
    if name in ("tokens.weight", "positions.weight"):
        return values[name.split(".")[0]]
    ours = name.removeprefix("blocks.").removeprefix("lstm.").removesuffix("_l0")
    value = values[ours]
    return value.T.copy() if value.ndim == 2 else value


def _cnn(torch: Any) -> Any:
    nn, relu = torch.nn, torch.nn.functional.relu
    first, second = CHANNELS

    class CNN(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, first, 3), nn.Conv2d(first, second, 3)
            self.dense1 = nn.Linear(networks.shapes("cnn")["dense1.weight"][0], DENSE)
            self.dense2 = nn.Linear(DENSE, CLASSES)

        def forward(self, x: Any) -> Any:
            x = relu(self.conv2(relu(self.conv1(x))))
            x = nn.functional.max_pool2d(x, 2).flatten(1)
            return self.dense2(relu(self.dense1(x)))

    return CNN()


def _lstm(torch: Any) -> Any:
    nn = torch.nn

    class Classifier(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
            self.dense = nn.Linear(HIDDEN, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.dense(self.lstm(x)[1][0][-1])

    return Classifier()


def _gpt(torch: Any) -> Any:
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            n, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).view(n, length, 3, HEADS, -1).transpose(1, 3)
            q, k, v = parts.unbind(2)
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(attended.transpose(1, 2).reshape(n, length, WIDTH))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class GPT(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(networks.VOCABULARY, WIDTH)
            self.positions = nn.Embedding(CONTEXT, WIDTH)
            self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, networks.VOCABULARY)

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions.weight
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)).flatten(0, 1)

    return GPT()
