"""Sequential: layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import OptionError
from ..layers import Module
from .model import Model


class Sequential(Model):
    """Each layer's output is the next one's input. Layers as a list, or one by one.

    Parameters are named by position: "0.weight", "0.bias", "2.weight", ...

    >>> import tercet as tc
    >>> model = Sequential([tc.layers.Dense(3, 4, activation="relu"), tc.layers.Dense(4, 1)])
    >>> model(tc.zeros(2, 3)).shape, len(model), model[1].out_features
    ((2, 1), 2, 1)
    """

    def __init__(self, *layers: Module | Iterable[Module]) -> None:
        super().__init__()
        for layer in layers:
            # A Sequential can be iterated, too, but stays one layer inside another.
            if isinstance(layer, Module) or not isinstance(layer, Iterable):
                self.add(layer)
                continue
            for one in layer:
                self.add(one)

    def add(self, layer: Module) -> None:
        """Append a layer."""
        setattr(self, str(len(self._modules)), _layer(layer))

    def forward(self, x: Any) -> Any:
        for layer in self._modules.values():
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int) -> Module:
        return list(self._modules.values())[index]

    def __setitem__(self, index: int, layer: Module) -> None:
        """Put another layer in the place of one, such as a new head on a trained body."""
        setattr(self, list(self._modules)[index], _layer(layer))

    def config(self) -> dict[str, Any]:
        # A subclass makes its layers from arguments of its own; a plain one is its layers.
        return super().config() if type(self) is not Sequential else {"layers": list(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        return cls(**config) if cls is not Sequential else cls(config["layers"])


def _layer(layer: Any) -> Module:
    if not isinstance(layer, Module):
        raise OptionError(
            f"Sequential holds layers, found {layer!r} of type {type(layer).__name__}; "
            "functions go into the forward of a Module of your own"
        )
    return layer
