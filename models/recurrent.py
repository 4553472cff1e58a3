"""A classifier of sequences: recurrent layers, then a dense layer on what they remember."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..autograd import Tensor, tensor
from ..errors import OptionError, ShapeError, choose
from ..layers import GRU, LSTM, RNN, Dense, Dropout, Module, ModuleList
from .model import Model

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class SequenceClassifier(Model):
    """Logits or values of sequences (n, length, features), whose padding is zeros at the end.

    A sequence ends after its last step that is not all zeros: what comes behind is not looked at.
    Outputs (n, out_features) come from the last layer's last state, of both directions where
    `bidirectional`. `cell` is "lstm", "gru" or "rnn"; `before` are layers put in front, such as
    Standardize, which meet the padding, too.

    >>> import tercet as tc
    >>> model = SequenceClassifier(9, "gru", hidden=16).build((20, 12))
    >>> model(tc.zeros(2, 20, 12)).shape, model.num_parameters()
    ((2, 9), 1593)
    """

    def __init__(
        self,
        out_features: int,
        cell: str = "lstm",
        hidden: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        before: Module | Iterable[Module] = (),
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise OptionError(choose("recurrent cell", cell, CELLS))
        self.before = ModuleList([before] if isinstance(before, Module) else before)
        self.recurrent = CELLS[cell](
            hidden,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,
            batch_first=True,
            return_sequences=False,
        )
        self.dropout = Dropout(dropout)
        self.head = Dense(out_features)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3:
            raise ShapeError(
                f"SequenceClassifier takes sequences (n, length, features), found shape {x.shape}"
            )
        lengths = sequence_lengths(x)
        for layer in self.before:
            x = layer(x)
        return self.head(self.dropout(self.recurrent(x, lengths=lengths)))


def sequence_lengths(x: Tensor) -> Tensor:
    """How many steps of x (n, length, features) come before zeros alone: (n,), int64.

    >>> import tercet as tc
    >>> sequence_lengths(tc.tensor([[[1.0], [0.0], [2.0], [0.0]], [[0.0], [0.0], [0.0], [0.0]]]))
    tensor([3, 0], dtype=int64, backend=...)
    """
    there = x.detach().abs().max(axis=2) > 0.0
    steps = tensor(np.arange(1, x.shape[1] + 1, dtype=np.int64), backend=x.backend)
    return (there.astype("int64") * steps).max(axis=1)
