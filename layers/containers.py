"""Modules that hold modules: a list, a dictionary, a residual connection, branches side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import add
from typing import Any

from ..autograd import Tensor
from ..autograd.functional import activation as activate
from ..autograd.functional import check_activation, concatenate, stochastic_depth
from ..autograd.functional.dropout import check_p
from ..errors import OptionError, ShapeError, choose
from .module import Module


class ModuleList(Module):
    """A list of modules, whose parameters belong to whoever holds it. It has no forward.

    >>> import tercet as tc
    >>> layers = ModuleList(tc.layers.Dense(3, 3) for _ in range(2))
    >>> layers.append(tc.layers.Dense(3, 1))
    >>> len(layers), layers[-1].out_features, [name for name, _ in layers.named_parameters()][:2]
    (3, 1, ['0.weight', '0.bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        setattr(self, str(len(self._modules)), checked("ModuleList", module))

    def __len__(self) -> int:
        return len(self._modules)

    # Of whatever classes its holder knows them to be.
    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int) -> Any:
        return list(self._modules.values())[index]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[index], checked("ModuleList", module))

    def config(self) -> dict[str, Any]:
        return {"modules": list(self)}


class ModuleDict(Module):
    """Modules by name, whose parameters belong to whoever holds it. It has no forward.

    >>> import tercet as tc
    >>> heads = ModuleDict({"value": tc.layers.Dense(4, 1), "policy": tc.layers.Dense(4, 6)})
    >>> heads["policy"].out_features, list(heads), "value" in heads
    (6, ['value', 'policy'], True)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or not name or "." in name or hasattr(Module, name):
            raise OptionError(
                f"ModuleDict: a name is a string without dots that no module has as a method, "
                f"found {name!r}"
            )
        setattr(self, name, checked("ModuleDict", module))

    def __getitem__(self, name: str) -> Module:
        if name not in self._modules:
            raise OptionError(choose("module", name, self._modules))
        return self._modules[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def keys(self) -> Iterable[str]:
        """The names, in the order in which they were set."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names with modules."""
        return self._modules.items()

    def config(self) -> dict[str, Any]:
        return {"modules": dict(self._modules)}


class Residual(Module):
    """f(shortcut(x) + drop(body(x))): the body learns what to change of its input.

    Shapes: x (n, ...) -> whatever the body gives; without a shortcut that has x's shape. `body` is
    a module, or a list of modules one after the other. `drop` leaves the body out for that share of
    the samples while training (stochastic depth); `activation` is f, by name.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, section 3.2.

    >>> import tercet as tc
    >>> block = Residual([tc.layers.Dense(4, 8, activation="relu"), tc.layers.Dense(8, 4)])
    >>> block(tc.zeros(2, 4)).shape
    (2, 4)
    """

    def __init__(
        self,
        body: Module | Iterable[Module],
        shortcut: Module | None = None,
        *,
        drop: float = 0.0,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.body = ModuleList([body] if isinstance(body, Module) else body)
        self.shortcut = shortcut
        self.drop = check_p("Residual", drop)
        self.activation, _ = check_activation(activation or "identity", None)

    def forward(self, x: Tensor) -> Tensor:
        out, kept = x, x if self.shortcut is None else self.shortcut(x)
        for layer in self.body:
            out = layer(out)
        if out.shape != kept.shape:
            raise ShapeError(
                f"Residual: the body gives {out.shape}, the shortcut {kept.shape}. Give a shortcut "
                "that makes of x what the body gives: Dense(...), or Conv2d(..., kernel_size=1)"
            )
        out = kept + stochastic_depth(out, self.drop, self.training)
        return out if self.activation == "identity" else activate(out, self.activation)


class Parallel(Module):
    """Branches that all take the input, their outputs concatenated along `axis`, or added.

    `combine` is "concatenate" (the default, along the last axis; `axis` 1 for channels of images)
    or "add".

    Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 4.

    >>> import tercet as tc
    >>> Parallel([tc.layers.Dense(3, 4), tc.layers.Dense(3, 2)])(tc.zeros(5, 3)).shape
    (5, 6)
    """

    def __init__(
        self, branches: Iterable[Module], combine: str = "concatenate", axis: int = -1
    ) -> None:
        super().__init__()
        if combine not in ("concatenate", "add"):
            raise OptionError(choose("way to combine", combine, ("concatenate", "add")))
        self.branches = ModuleList(branches)
        if not len(self.branches):
            raise OptionError("Parallel needs at least one branch")
        self.combine, self.axis = combine, axis

    def forward(self, x: Tensor) -> Tensor:
        outs = [branch(x) for branch in self.branches]
        if self.combine == "concatenate":
            return concatenate(outs, self.axis)
        shapes = {out.shape for out in outs}
        if len(shapes) > 1:
            raise ShapeError(f"Parallel: branches to be added give {sorted(shapes)}")
        total: Tensor = reduce(add, outs)
        return total


def checked(holder: str, module: Any) -> Module:
    """The module, or an error that says what was found in its place."""
    if not isinstance(module, Module):
        raise OptionError(
            f"{holder} holds modules, found {module!r} of type {type(module).__name__}"
        )
    return module
