"""What recurrent layers and cells have in common: sizes, and the parameters of gates."""

from __future__ import annotations

from typing import Any, ClassVar

from ..autograd import Tensor, is_float
from ..backends import Backend, DType, generator
from ..errors import OptionError, ShapeError
from .initializers import Uniform
from .module import Module, Parameter


class Gated(Module):
    """Sizes and parameters of what has weights by its input and by its own state.

    As for Dense, sizes are given as to `range`: with one, it is `hidden_size`.
    """

    gates: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int | None,
        hidden_size: int | None,
        bias: bool,
        dtype: str | DType | None,
    ) -> None:
        super().__init__()
        if hidden_size is None:
            input_size, hidden_size = None, input_size
        for size in (hidden_size, 1 if input_size is None else input_size):
            if not isinstance(size, int) or size < 1:
                name = type(self).__name__
                raise OptionError(
                    f"{name} sizes are positive integers, {name}(hidden_size) or "
                    f"{name}(input_size, hidden_size); found input_size={input_size!r}, "
                    f"hidden_size={hidden_size!r}"
                )
        assert hidden_size is not None
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        if dtype is not None:
            self.to(dtype=dtype)

    def _build(self, input_size: int, backend: Backend) -> None:
        """Make the parameters."""
        raise NotImplementedError

    def _is_built(self) -> bool:
        return bool(self._parameters)

    def _draw(self, input_size: int, backend: Backend, suffix: str) -> None:
        """Parameters of one layer and direction, on the host: every backend gets the same bits."""
        columns, bound = self.gates * self.hidden_size, self.hidden_size**-0.5
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (input_size, columns),
            "weight_hh": (self.hidden_size, columns),
        }
        if self.bias:
            shapes |= {"bias_ih": (columns,), "bias_hh": (columns,)}
        for name, shape in shapes.items():
            values = Uniform(-bound, bound)(generator(), shape, input_size, columns)
            setattr(self, name + suffix, Parameter(values, backend, self._place[1]))

    def _of(self, suffix: str) -> dict[str, Any]:
        """Weights and biases of one layer and direction, as the functional forms call them."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return {name: self._parameters.get(name + suffix) for name in names}

    def _input_of(self, x: Tensor, ranks: tuple[int, ...], shape: str) -> Tensor:
        """x as floats, once its rank and features are what they have to be."""
        if x.ndim not in ranks or (self._is_built() and x.shape[-1] != self.input_size):
            features = "input_size" if self.input_size is None else self.input_size
            raise ShapeError(
                f"{self!r} takes inputs {shape.format(features)}, found shape {x.shape}"
            )
        if not self._is_built():
            self.input_size = x.shape[-1]
            self._build(self.input_size, x.backend)
        return x if is_float(x.dtype) else x.astype(self.dtype)

    def config(self) -> dict[str, Any]:
        given = super().config()
        given.pop("input_size", None)
        given.pop("hidden_size", None)
        if self.input_size is None:
            return {"hidden_size": self.hidden_size} | given
        return {"input_size": self.input_size, "hidden_size": self.hidden_size} | given

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Gated:
        return cls(config.pop("input_size", None), **config)


def pair(module: Module, state: Any) -> tuple[Any, Any]:
    """The two states of a lstm, from what the caller gave."""
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise ShapeError(
            f"{module!r}: the state is a pair (h, c), found {type(state).__name__}"
            + (f" of {len(state)}" if isinstance(state, (tuple, list)) else "")
        )
    return state[0], state[1]
