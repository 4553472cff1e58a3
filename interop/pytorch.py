"""Weights with PyTorch's names and layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError, OptionError
from ..layers import Dense, Module
from ..layers.gated import Gated
from .report import Report, fill

# PyTorch counts batches since 0.4; files from before have no count, and inference needs none.
OPTIONAL = ("num_batches_tracked",)
# safetensors' names of dtypes.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


class Rule(NamedTuple):
    """What becomes of names that `pattern` matches as a whole.

    `name` is a template as of re.sub, or None for arrays that have no place and need none.
    `transform` makes of PyTorch's array the model's; without it, matrices of dense and recurrent
    layers are transposed, since here they are (in, out), and all else is taken as it is.
    """

    pattern: str
    name: str | None
    transform: Callable[[np.ndarray], np.ndarray] | None = None


def as_it_is(array: np.ndarray) -> np.ndarray:
    """For layers that store (in, out) in PyTorch, too, such as Hugging Face's Conv1D."""
    return array


def load_pytorch(
    model: Module,
    weights: str | Path | Mapping[str, Any],
    map: Sequence[Rule] = (),
    strict: bool = True,
) -> Report:
    """Give `model` weights that PyTorch's modules have saved, and say what became of each.

    weights  a safetensors file, or a state dict: tensors or arrays by name
    map      rules from their names to the model's; the first that matches counts, and names that
             none matches stay as they are. `interop.maps` has those of well-known models
    strict   everything must find its place: otherwise CheckpointError lists all that did not, and
             the model is left as it was. With False, what fits is taken

    Files of pickles (.pt, .bin) can run code and are not read: convert them with
    safetensors.torch.save_file(torch.load(path, weights_only=True), ...).

    >>> import numpy as np
    >>> import tercet as tc
    >>> model = tc.models.Sequential([tc.layers.Dense(3, 2)])
    >>> state = {"net.fc.weight": np.ones((2, 3)), "net.fc.bias": np.zeros(2)}
    >>> print(load_pytorch(model, state, [Rule(r"net\\.fc\\.(.*)", r"0.\\1")]))
    0.weight  from net.fc.weight  (3, 2)
    0.bias    from net.fc.bias    (2,)
    2 loaded, 0 missing, 0 left over, 0 differing
    """
    state, source = _read(weights)
    rules = [(re.compile(rule.pattern), rule) for rule in map]
    turned = _transposed(model)
    found: dict[str, tuple[str, np.ndarray]] = {}
    for foreign, array in state.items():
        name, transform = _place(foreign, rules)
        if name is None:
            continue
        if name in found:
            raise OptionError(
                f"the map gives {name} to both {found[name][0]} and {foreign}; a name in the model "
                "is for one array"
            )
        if transform is None:
            transform = np.transpose if name in turned and array.ndim == 2 else as_it_is
        found[name] = foreign, transform(array)
    return fill(model, found, Report(), strict, source, OPTIONAL)


def _place(name: str, rules: Sequence[tuple[re.Pattern[str], Rule]]) -> tuple[str | None, Any]:
    for pattern, rule in rules:
        match = pattern.fullmatch(name)
        if match is not None:
            return None if rule.name is None else match.expand(rule.name), rule.transform
    return name, None


def _transposed(model: Module) -> set[str]:
    """Names of the matrices that PyTorch stores (out, in)."""
    names = set()
    for prefix, module in model.named_modules():
        if isinstance(module, (Dense, Gated)):
            names |= {f"{prefix}.{key}" if prefix else key for key in module._parameters}
    return names


def _read(weights: str | Path | Mapping[str, Any]) -> tuple[dict[str, np.ndarray], str]:
    """Arrays by name, and what to call where they come from."""
    if isinstance(weights, Mapping):
        return {name: _array(value) for name, value in weights.items()}, "the state dict"
    path = Path(weights)
    if path.suffix in (".pt", ".pth", ".bin", ".ckpt", ".pkl"):
        raise CheckpointError(
            f"{path} is a pickle, which can run code when it is read. Convert it once with "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'x.safetensors')"
        )
    return _safetensors(path), str(path)


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file. Unlike safetensors' own reader for NumPy it needs no bfloat16 there."""
    from safetensors import SafetensorError, deserialize

    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    try:
        held = deserialize(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is no readable safetensors file ({error})") from error
    arrays = {}
    for name, stored in held:
        kind, data = stored["dtype"], stored["data"]
        if kind == "BF16":  # the upper half of a float32
            values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif kind in DTYPES:
            values = np.frombuffer(data, DTYPES[kind])
        else:
            raise CheckpointError(f"{path}: {name} is of dtype {kind}, which is not read here")
        arrays[name] = values.reshape(stored["shape"])
    return arrays


def _array(value: Any) -> np.ndarray:
    """A tensor of PyTorch's, or anything that NumPy takes; its 16-bit floats as float32."""
    if not hasattr(value, "detach") or not hasattr(value, "cpu"):
        return np.asarray(value)
    held = value.detach().cpu()
    return np.asarray(held.float() if held.is_floating_point() and held.itemsize == 2 else held)
