"""The table that `Model.summary` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import Tensor
from ..errors import ShapeError
from ..layers import Module
from .model import Model


def print_summary(model: Model, input_shape: Sequence[int] | None) -> None:
    """One row for each module that has no submodules, then the totals."""
    from rich.console import Console
    from rich.table import Table

    shape = model.input_shape if input_shape is None else tuple(input_shape)
    shapes = {} if shape is None else _output_shapes(model, shape)
    if not model.built:
        raise ShapeError(
            "summary: the model's layers do not know their input size yet; call "
            "model.summary(input_shape), with the shape of one sample"
        )
    table = Table(title=type(model).__name__, title_justify="left")
    for heading in ("layer", "kind", "output shape"):
        table.add_column(heading)
    table.add_column("parameters", justify="right")
    for name, module in model.named_modules():
        own = sum(p.size for p in module._parameters.values())
        if module._modules and not own:
            continue
        kind = type(module).__name__
        activation = getattr(module, "activation", "identity")
        if activation != "identity":
            kind += f" ({activation})"
        table.add_row(name, kind, _text(shapes.get(id(module))), f"{own:,}")
    console = Console(highlight=False)
    console.print(table)
    total, trainable = model.num_parameters(), model.num_parameters(trainable=True)
    frozen = f", {total - trainable:,} of them frozen" if trainable != total else ""
    size = total * model.dtype.itemsize / 2**20
    console.print(f"{total:,} parameters{frozen} ({size:.2f} MiB, {model.dtype})")


def _output_shapes(model: Model, input_shape: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Every module's output shape, by running one sample of zeros."""
    shapes: dict[int, tuple[int, ...]] = {}

    def note(module: Module, inputs: tuple[Any, ...], out: Any) -> None:
        if isinstance(out, Tensor):
            shapes[id(module)] = out.shape[1:]

    removers = [module.register_forward_hook(note) for module in model.modules()]
    try:
        model._run_once(model._sample(input_shape))
    finally:
        for remove in removers:
            remove()
    return shapes


def _text(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"
