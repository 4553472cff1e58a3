"""An autoencoder, ready made: inputs through a narrow code and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..autograd import Tensor
from ..errors import OptionError
from ..layers import Activation, Dense, Flatten, Reshape
from .model import Model
from .sequential import Sequential


class Autoencoder(Model):
    """Dense layers down to a code and up again: z = encoder(x), output = decoder(z), like x.

    Shapes: x (n, *shape) -> the same; z (n, code). `hidden` are the encoder's widths, the decoder's
    are the same from behind. `output` is the activation of what comes out: "sigmoid" for values in
    [0, 1], such as images'; None for any. Train it to give its inputs: fit(x, x), with loss "mse".

    `encoder` and `decoder` are models of their own: encoder.predict(x) gives codes,
    decoder.predict(z) what codes stand for.

    Source: Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks",
    Science 313, 2006. Without hidden layers and activations it learns what PCA does: Baldi &
    Hornik, "Neural networks and principal component analysis", Neural Networks 2, 1989.

    >>> import tercet as tc
    >>> model = Autoencoder((8, 8), code=4, hidden=(32,)).build((8, 8))
    >>> x = tc.zeros(5, 8, 8)
    >>> model(x).shape, model.encoder(x).shape, model.num_parameters()
    ((5, 8, 8), (5, 4), 4484)
    """

    def __init__(
        self,
        shape: Sequence[int],
        code: int = 8,
        hidden: Sequence[int] = (128, 64),
        activation: str = "relu",
        output: str | None = None,
    ) -> None:
        super().__init__()
        if not shape or min(shape) < 1 or code < 1:
            raise OptionError(
                "Autoencoder: shape is that of one sample and code its width, both of positive "
                f"sizes; found shape={tuple(shape)} and code={code}"
            )
        self.encoder = Sequential(
            [Flatten()], [Dense(w, activation=activation) for w in hidden], [Dense(code)]
        )
        self.decoder = Sequential(
            [Dense(w, activation=activation) for w in reversed(hidden)],
            [Dense(math.prod(shape))],
            [Activation(output)] if output else [],
            [Reshape(*shape)],
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
