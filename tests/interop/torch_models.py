"""Networks in plain PyTorch, written from their equations, to compare with."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F


def bert(state: Mapping[str, torch.Tensor], tokens, mask, heads: int, eps: float = 1e-12):
    """The last layer's vectors (batch, length, width), from Hugging Face's names."""

    def dense(x, name):
        return x @ state[name + ".weight"].T + state[name + ".bias"]

    def norm(x, name):
        mean = x.mean(-1, keepdim=True)
        var = ((x - mean) ** 2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(var + eps) * state[name + ".weight"] + state[name + ".bias"]

    x = state["embeddings.word_embeddings.weight"][tokens]
    x = x + state["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = norm(x + state["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    batch, length, width = x.shape
    hidden = mask[:, None, None, :] == 0
    i = 0
    while f"encoder.layer.{i}.output.dense.weight" in state:
        at = f"encoder.layer.{i}."
        q, k, v = (
            dense(x, f"{at}attention.self.{n}").reshape(batch, length, heads, -1).transpose(1, 2)
            for n in ("query", "key", "value")
        )
        scores = q @ k.transpose(2, 3) / math.sqrt(width // heads)
        seen = scores.masked_fill(hidden, -math.inf).softmax(-1) @ v
        seen = seen.transpose(1, 2).reshape(batch, length, width)
        x = norm(dense(seen, at + "attention.output.dense") + x, at + "attention.output.LayerNorm")
        h = dense(x, at + "intermediate.dense")
        h = 0.5 * h * (1 + torch.erf(h / math.sqrt(2)))
        x = norm(dense(h, at + "output.dense") + x, at + "output.LayerNorm")
        i += 1
    return x


def sentences(x, mask):
    """Unit vectors (batch, width): the mean over what is no padding."""
    weight = mask[..., None].to(x.dtype)
    return F.normalize((x * weight).sum(1) / weight.sum(1))


def gpt2(state: Mapping[str, torch.Tensor], tokens, heads: int):
    """Logits (batch, length, vocabulary), from Hugging Face's names and (in, out) matrices."""

    def dense(x, name):
        return x @ state[name + ".weight"] + state[name + ".bias"]

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[name + ".weight"], state[name + ".bias"])

    batch, length = tokens.shape
    x = state["wte.weight"][tokens] + state["wpe.weight"][:length]
    ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
    i = 0
    while f"h.{i}.ln_1.weight" in state:
        projected = dense(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn")
        q, k, v = (
            t.reshape(batch, length, heads, -1).transpose(1, 2)
            for t in projected.split(x.shape[-1], -1)
        )
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        seen = scores.masked_fill(ahead, -math.inf).softmax(-1) @ v
        x = x + dense(seen.transpose(1, 2).reshape(x.shape), f"h.{i}.attn.c_proj")
        h = F.gelu(dense(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
        x = x + dense(h, f"h.{i}.mlp.c_proj")
        i += 1
    return norm(x, "ln_f") @ state["wte.weight"].T


class Block(nn.Module):
    """torchvision's basic block, or its bottleneck."""

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out = 4 * width if bottleneck else width
        sizes = [(1, 1), (3, stride), (1, 1)] if bottleneck else [(3, stride), (3, 1)]
        widths = [channels, width, width, out] if bottleneck else [channels, width, out]
        self.count = len(sizes)
        for i, (window, step) in enumerate(sizes):
            args = (widths[i], widths[i + 1], window, step, window // 2)
            setattr(self, f"conv{i + 1}", nn.Conv2d(*args, bias=False))
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        out = x
        for i in range(1, self.count + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            if i < self.count:
                out = F.relu(out)
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """torchvision's names and layers."""

    def __init__(self, blocks, widths, bottleneck: bool, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels = widths[0]
        for i, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            stage = []
            for k in range(count):
                stage.append(Block(channels, width, 2 if i and not k else 1, bottleneck))
                channels = 4 * width if bottleneck else width
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.stages, self.fc = len(blocks), nn.Linear(channels, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean((2, 3)))


class MobileNetV2(nn.Module):
    """torchvision's names; with keras=True, Keras' zeros and norms."""

    def __init__(self, classes: int, width: float = 1.0, keras: bool = False) -> None:
        super().__init__()
        self.keras = keras

        def eighths(c):
            rounded = max(8, int(c + 4) // 8 * 8)
            return rounded + 8 if rounded < 0.9 * c else rounded

        def norm(c):
            return nn.BatchNorm2d(c, eps=1e-3) if keras else nn.BatchNorm2d(c)

        def part(i, o, window, stride, groups):
            padding = 0 if keras and stride == 2 else window // 2
            convolution = nn.Conv2d(i, o, window, stride, padding, groups=groups, bias=False)
            return nn.Sequential(convolution, norm(o), nn.ReLU6())

        stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                  (6, 160, 3, 2), (6, 320, 1, 1)]  # fmt: skip
        channels = eighths(32 * width)
        self.features = nn.ModuleList([part(3, channels, 3, 2, 1)])
        for t, c, n, s in stages:
            out = eighths(c * width)
            for k in range(n):
                wide = channels * t
                layers = [part(channels, wide, 1, 1, 1)] if t != 1 else []
                layers += [part(wide, wide, 3, 1 if k else s, wide),
                           nn.Conv2d(wide, out, 1, bias=False), norm(out)]  # fmt: skip
                block = nn.Module()
                block.conv = nn.Sequential(*layers)
                self.features.append(block)
                channels = out
        last = eighths(1280 * max(width, 1.0))
        self.features.append(part(channels, last, 1, 1, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def _run(self, layers, x):
        for layer in layers:
            if isinstance(layer, nn.Sequential):
                x = self._run(layer, x)
            else:
                if self.keras and isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
                    x = F.pad(x, (0, 1, 0, 1))
                x = layer(x)
        return x

    def forward(self, x):
        for block in self.features:
            if isinstance(block, nn.Sequential):
                x = self._run([block], x)
            else:
                out = self._run([block.conv], x)
                x = x + out if out.shape == x.shape else out
        return self.classifier(x.mean((2, 3)))


def randomize(model: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics and affine parameters that are not ones and zeros; evaluation mode."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()
