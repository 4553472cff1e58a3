"""Recurrent layers over whole sequences: RNN, LSTM, GRU."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor, as_tensor
from ..autograd.functional import check_lengths, concatenate, dropout, gru, lstm, rnn, stack
from ..backends import Backend, DType, get_backend
from ..errors import OptionError, ShapeError, choose
from ..kernels.recurrent.spec import NONLINEARITIES
from .gated import Gated, pair


class Recurrent(Gated):
    """What RNN, LSTM and GRU have in common: layers, directions, lengths, what is returned."""

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        return_sequences: bool | None = None,
        dtype: str | DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype)
        name = type(self).__name__
        if not isinstance(num_layers, int) or num_layers < 1:
            raise OptionError(f"{name}: num_layers must be a positive integer, found {num_layers}")
        if not 0.0 <= dropout < 1.0:
            raise OptionError(f"{name}: dropout must be in [0, 1), found {dropout}")
        self.num_layers, self.batch_first, self.dropout = num_layers, batch_first, dropout
        self.bidirectional, self.return_sequences = bidirectional, return_sequences
        if self.input_size is not None:
            self._build(self.input_size, get_backend())

    @property
    def _directions(self) -> tuple[str, ...]:
        """The ends of parameters' names."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def _build(self, input_size: int, backend: Backend) -> None:
        for k in range(self.num_layers):
            for direction in self._directions:
                self._draw(input_size, backend, f"_l{k}{direction}")
            input_size = self.hidden_size * len(self._directions)

    def forward(self, x: Tensor, state: Any = None, *, lengths: Any = None) -> Any:
        shape = "(batch, length, {0})" if self.batch_first else "(length, batch, {0})"
        x = self._input_of(x, (2, 3), f"{shape} or (length, {{0}})")
        single = x.ndim == 2
        if single:
            x = x.expand_dims(1)
        elif self.batch_first:
            x = x.swapaxes(0, 1)
        own = check_lengths(lengths, x)
        x, states = self._layers(x, self._states(state, x, single), own)
        if self.return_sequences is False:
            last = [final[0] for final in states[-len(self._directions) :]]
            joined = concatenate(last, axis=-1) if len(last) > 1 else last[0]
            return joined.squeeze(0) if single else joined
        if single:
            x = x.squeeze(1)
        elif self.batch_first:
            x = x.swapaxes(0, 1)
        if self.return_sequences:
            return x
        finals = [stack(parts) for parts in zip(*states, strict=True)]
        if single:
            finals = [t.squeeze(1) for t in finals]
        return x, finals[0] if len(finals) == 1 else tuple(finals)

    def _layers(
        self, x: Tensor, states: list[tuple[Tensor, ...] | None], lengths: Tensor | None
    ) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        """The outputs of the last layer, and the last states of every layer and direction."""
        finals: list[tuple[Tensor, ...]] = []
        for k in range(self.num_layers):
            if k and self.dropout:
                x = dropout(x, self.dropout, self.training)
            outs = []
            for direction in self._directions:
                parameters = self._of(f"_l{k}{direction}")
                out, final = self._run(
                    x, parameters, states[len(finals)], lengths, direction == "_reverse"
                )
                outs.append(out)
                finals.append(final)
            x = concatenate(outs, axis=-1) if len(outs) > 1 else outs[0]
        return x, finals

    def _run(
        self,
        x: Tensor,
        parameters: dict[str, Any],
        state: tuple[Tensor, ...] | None,
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer and direction by its functional form."""
        raise NotImplementedError

    def _states(self, state: Any, x: Tensor, single: bool) -> list[tuple[Tensor, ...] | None]:
        """The first states by layer and direction, from what the caller gave."""
        count = self.num_layers * len(self._directions)
        if state is None:
            return [None] * count
        given = [as_tensor(s, x.backend, self.dtype) for s in self._parts_of(state)]
        batch = () if single else (x.shape[1],)
        wanted = (count, *batch, self.hidden_size)
        for s in given:
            if s.shape != wanted:
                axes = (
                    "(layers * directions, hidden)"
                    if single
                    else ("(layers * directions, batch, hidden)")
                )
                raise ShapeError(
                    f"{self!r}: expected states of shape {axes} = {wanted}, found {s.shape}"
                )
        if single:
            given = [s.expand_dims(1) for s in given]
        return [tuple(s[i] for s in given) for i in range(count)]

    def _parts_of(self, state: Any) -> tuple[Any, ...]:
        return (state,)


class RNN(Recurrent):
    """h' = f(x W_ih + b_ih + h W_hh + b_hh) over a sequence, f = tanh or relu.

        out, h_n = layer(x, h0, lengths=lengths)

    Shapes, with D = 2 directions where `bidirectional`, else 1:

        x        (length, batch, input_size); batch and length swapped where `batch_first`; or one
                 sequence (length, input_size), with no batch axis anywhere
        out      (length, batch, D * hidden_size), swapped alike: the last layer's h of all steps
        h0, h_n  (num_layers * D, batch, hidden_size); h0 is zero where it is left out
        lengths  (batch,), integers: after its end a sequence gives zeros, and h_n is its state
                 there; backward directions begin at its end. Padding must be finite numbers

    Parameters are `weight_ih_l0` (input_size, hidden_size), `weight_hh_l0` (hidden_size,
    hidden_size), `bias_ih_l0` and `bias_hh_l0` (hidden_size,), then those of `_l1` and so on, with
    `_reverse` after the name for backward directions. They are PyTorch's, but weights are stored
    (in, out) as in Dense, the transpose of PyTorch's. All are drawn uniformly from
    +-1 / sqrt(hidden_size). A later layer takes the outputs of the one before, of which `dropout`
    zeroes a part in training.

    `return_sequences` makes it a layer for Sequential, which hands on one tensor: True returns
    `out` alone, False the last layer's last states alone, (batch, D * hidden_size).

    Source: Elman, "Finding structure in time", Cognitive Science 14, 1990.

    >>> import tercet as tc
    >>> out, h_n = RNN(3, 4, num_layers=2)(tc.zeros(7, 5, 3))
    >>> out.shape, h_n.shape
    ((7, 5, 4), (2, 5, 4))
    >>> model = tc.models.Sequential(
    ...     RNN(16, batch_first=True, return_sequences=False), tc.layers.Dense(10)
    ... )
    >>> model(tc.zeros(5, 7, 3)).shape
    (5, 10)
    """

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
        *,
        nonlinearity: str = "tanh",
        **options: Any,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise OptionError(choose("RNN nonlinearity", nonlinearity, NONLINEARITIES))
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, num_layers, **options)

    def _run(
        self,
        x: Tensor,
        parameters: dict[str, Any],
        state: tuple[Tensor, ...] | None,
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        h0 = None if state is None else state[0]
        options: Any = {"nonlinearity": self.nonlinearity, "reverse": reverse}
        out, h = rnn(x, **parameters, h0=h0, lengths=lengths, **options)
        return out, (h,)


class LSTM(Recurrent):
    """Long short-term memory: a state h and a cell c that gates write to, keep and read.

        i, f, o = sigmoid of their columns of x W_ih + b_ih + h W_hh + b_hh,  g = tanh of its own
        c' = f c + i g,  h' = o tanh c'

        out, (h_n, c_n) = layer(x, (h0, c0), lengths=lengths)

    Shapes, parameters and options are those of `RNN`, with 4 * hidden_size columns of weights and
    biases: i, f, g, o, as in PyTorch. c0 and c_n have the shapes of h0 and h_n.

    Source: Hochreiter & Schmidhuber, Neural Computation 9(8), 1997; the forget gate is of Gers,
    Schmidhuber & Cummins, "Learning to forget", 2000.

    >>> import tercet as tc
    >>> out, (h_n, c_n) = LSTM(3, 4, bidirectional=True)(tc.zeros(7, 5, 3), lengths=[7, 6, 4, 1, 0])
    >>> out.shape, h_n.shape, c_n.shape
    ((7, 5, 8), (2, 5, 4), (2, 5, 4))
    """

    gates = 4

    def _parts_of(self, state: Any) -> tuple[Any, ...]:
        return pair(self, state)

    def _run(
        self,
        x: Tensor,
        parameters: dict[str, Any],
        state: Any,
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return lstm(x, **parameters, state=state, lengths=lengths, reverse=reverse)


class GRU(Recurrent):
    """Gated recurrent units: a state that one gate keeps and another one hides from the new value.

        r, z = sigmoid of their columns of x W_ih + b_ih + h W_hh + b_hh
        n = tanh(x W_in + b_in + r (h W_hn + b_hn)),  h' = (1 - z) n + z h

        out, h_n = layer(x, h0, lengths=lengths)

    Shapes, parameters and options are those of `RNN`, with 3 * hidden_size columns of weights and
    biases: r, z, n, as in PyTorch.

    Source: Cho et al., EMNLP 2014, with r after the product, as in cuDNN and PyTorch.

    >>> import tercet as tc
    >>> out, h_n = GRU(3, 4)(tc.zeros(7, 5, 3), tc.ones(1, 5, 4))
    >>> out.shape, h_n.shape
    ((7, 5, 4), (1, 5, 4))
    """

    gates = 3

    def _run(
        self,
        x: Tensor,
        parameters: dict[str, Any],
        state: tuple[Tensor, ...] | None,
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        h0 = None if state is None else state[0]
        out, h = gru(x, **parameters, h0=h0, lengths=lengths, reverse=reverse)
        return out, (h,)
