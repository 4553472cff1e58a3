"""The vision transformer."""

from __future__ import annotations

from ..autograd import Tensor
from ..autograd.functional import concatenate
from ..backends import generator, get_backend
from ..errors import OptionError, ShapeError
from ..layers import (
    Conv2d,
    Dense,
    Dropout,
    LayerNorm,
    LearnedPositions,
    ModuleList,
    Parameter,
    TransformerEncoderLayer,
)
from ..layers.initializers import Normal
from .model import Model


class ViT(Model):
    """A transformer over the patches of an image, which answers at a class token put before them.

        x = [class_token, conv_proj(image) as rows] + positions
        x = layer(x) for each of layers;  out = head(norm(x[class token]))

    Inputs are images (n, channels, image, image), outputs (n, out_features) logits. Patches are
    `patch` pixels wide and lie side by side, so that there are (image / patch)^2 of them; a layer
    is a TransformerEncoderLayer with norms first and a feed-forward part of four times the width.
    The class token and the positions are drawn normal with a standard deviation of 0.02; the head
    begins at zero.

    Source: Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021.

    >>> import tercet as tc
    >>> model = ViT(10, image=8, patch=2, channels=1, width=32, layers=2, heads=4)
    >>> model(tc.zeros(3, 1, 8, 8)).shape, model.num_parameters()
    ((3, 10), 26538)
    """

    def __init__(
        self,
        out_features: int,
        image: int,
        patch: int = 4,
        channels: int = 3,
        width: int = 64,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if patch < 1 or image < patch or image % patch:
            raise OptionError(
                f"ViT: image must be a multiple of patch, in pixels; found {image} and {patch}"
            )
        self.pixels = (channels, image, image)
        self.conv_proj = Conv2d(channels, width, patch, stride=patch)
        token = Normal(std=0.02)(generator(), (1, 1, width), 1, width)
        self.class_token = Parameter(token, get_backend(), self._place[1])
        self.positions = LearnedPositions((image // patch) ** 2 + 1, width)
        self.dropout = Dropout(dropout)
        self.layers = ModuleList(
            TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", norm_first=True)
            for _ in range(layers)
        )
        self.norm = LayerNorm(width)
        self.head = Dense(width, out_features, weight_init="zeros")

    def features(self, x: Tensor) -> Tensor:
        """What the head is given: (n, width)."""
        if x.shape[1:] != self.pixels:
            raise ShapeError(
                f"ViT takes images (n, {', '.join(map(str, self.pixels))}), found shape {x.shape}"
            )
        patches = self.conv_proj(x)
        n, width = patches.shape[:2]
        rows = patches.reshape(n, width, -1).swapaxes(1, 2)
        x = concatenate([self.class_token.broadcast_to(n, 1, width), rows], axis=1)
        x = self.dropout(self.positions(x))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
