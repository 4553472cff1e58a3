"""One step of a recurrent layer, for loops written by hand: RNNCell, LSTMCell, GRUCell."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..autograd.functional import gru, lstm, rnn
from ..backends import Backend, DType, get_backend
from ..errors import OptionError, choose
from ..kernels.recurrent.spec import NONLINEARITIES
from .gated import Gated, pair


class Cell(Gated):
    """What the cells have in common: one step, for loops written by hand."""

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        bias: bool = True,
        *,
        dtype: str | DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)
        if self.input_size is not None:
            self._build(self.input_size, get_backend())

    def _build(self, input_size: int, backend: Backend) -> None:
        self._draw(input_size, backend, "")

    def _step(self, x: Tensor) -> Tensor:
        """x (batch, input_size) as a sequence of one step."""
        return self._input_of(x, (2,), "(batch, {0})").expand_dims(0)


class RNNCell(Cell):
    """One step of an RNN: h' = cell(x, h), with x (batch, input_size), h (batch, hidden_size).

    Parameters `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` as in `RNN`. Without h it is zero.

    >>> import tercet as tc
    >>> cell, h = RNNCell(3, 4), None
    >>> for x in tc.zeros(7, 5, 3):
    ...     h = cell(x, h)
    >>> h.shape
    (5, 4)
    """

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: str | DType | None = None,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise OptionError(choose("RNNCell nonlinearity", nonlinearity, NONLINEARITIES))
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, dtype=dtype)

    def forward(self, x: Tensor, h: Any = None) -> Tensor:
        return rnn(self._step(x), **self._of(""), h0=h, nonlinearity=self.nonlinearity)[1]


class LSTMCell(Cell):
    """One step of an LSTM: h', c' = cell(x, (h, c)); shapes as for `RNNCell`.

    >>> import tercet as tc
    >>> h, c = LSTMCell(3, 4)(tc.zeros(5, 3))
    >>> h.shape, c.shape
    ((5, 4), (5, 4))
    """

    gates = 4

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Tensor]:
        given = None if state is None else pair(self, state)
        return lstm(self._step(x), **self._of(""), state=given)[1]


class GRUCell(Cell):
    """One step of a GRU: h' = cell(x, h); shapes as for `RNNCell`.

    >>> import tercet as tc
    >>> GRUCell(3, 4)(tc.zeros(5, 3), tc.zeros(5, 4)).shape
    (5, 4)
    """

    gates = 3

    def forward(self, x: Tensor, h: Any = None) -> Tensor:
        return gru(self._step(x), **self._of(""), h0=h)[1]
