"""Convolutions over signals and images, and their transposes, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ...errors import OptionError, ShapeError
from ...kernels.activation.reference import FROM_OUTPUT
from ...kernels.convolution.reference import Pair
from ...kernels.convolution.spec import output_size, transposed_size
from ..functions.convolution import Convolution
from ..precision import half_of
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor
from .activation import activation as activate
from .activation import check_activation

# A number for all axes, or one for each.
Sizes: TypeAlias = int | Sequence[int]
# The same, "valid" (none), "same" (the output has the size of the input), or (before, after) pairs.
Padding: TypeAlias = int | str | Sequence[int] | Sequence[Sequence[int]]


def conv1d(
    x: Operand,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    activation: str = "identity",
    alpha: float | None = None,
) -> Tensor:
    """As `conv2d`, over signals: x (n, c, l), weight (k, c / groups, s) -> (n, k, l').

    >>> import tercet as tc
    >>> conv1d([[[1.0, 2.0, 4.0]]], tc.tensor([[[-1.0, 1.0]]])).tolist()
    [[[1.0, 2.0]]]
    """
    return _convolve(
        "conv1d", x, weight, bias, stride, padding, dilation, groups, None, activation, alpha
    )


def conv2d(
    x: Operand,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    activation: str = "identity",
    alpha: float | None = None,
) -> Tensor:
    """f(x convolved with weight + bias); kernels/convolution/reference.py has the equation.

    Shapes: x (n, c, h, w), weight (k, c / groups, r, s), bias (k,) -> (n, k, h', w') with
    h' = floor((h + before + after - dilation (r - 1) - 1) / stride) + 1. `padding` is a number, one
    for each axis, a pair (before, after) for each, "valid" for none, or "same" for as many zeros as
    keep the size, which takes a stride of 1. `activation` is a name from kernels/activation.

    >>> import tercet as tc
    >>> conv2d(tc.ones(1, 1, 3, 3), tc.ones(1, 1, 2, 2), padding="same").tolist()
    [[[[4.0, 4.0, 2.0], [4.0, 4.0, 2.0], [2.0, 2.0, 1.0]]]]
    """
    return _convolve(
        "conv2d", x, weight, bias, stride, padding, dilation, groups, None, activation, alpha
    )


def conv_transpose1d(
    x: Operand,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
    activation: str = "identity",
    alpha: float | None = None,
) -> Tensor:
    """As `conv_transpose2d`, over signals: x (n, c, l), weight (c, k / groups, s) -> (n, k, l').

    >>> import tercet as tc
    >>> conv_transpose1d([[[1.0, 3.0]]], tc.ones(1, 1, 2), stride=2).tolist()
    [[[1.0, 1.0, 3.0, 3.0]]]
    """
    return _convolve(
        "conv_transpose1d", x, weight, bias, stride, padding, dilation, groups, output_padding,
        activation, alpha,
    )  # fmt: skip


def conv_transpose2d(
    x: Operand,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
    activation: str = "identity",
    alpha: float | None = None,
) -> Tensor:
    """f(the transposed convolution of x + bias): what takes conv2d's output back to its input.

    Shapes: x (n, c, h, w), weight (c, k / groups, r, s), bias (k,) -> (n, k, h', w') with
    h' = (h - 1) stride - before - after + dilation (r - 1) + output_padding + 1. `output_padding`
    chooses among the sizes that conv2d would take to h; it is smaller than stride or dilation.

    >>> import tercet as tc
    >>> conv_transpose2d(tc.ones(1, 1, 2, 2), tc.ones(1, 1, 2, 2)).tolist()
    [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    return _convolve(
        "conv_transpose2d", x, weight, bias, stride, padding, dilation, groups, output_padding,
        activation, alpha,
    )  # fmt: skip


def _convolve(
    name: str,
    x: Operand,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    output_padding: Sizes | None,
    activation: str,
    alpha: float | None,
) -> Tensor:
    axes, transposed = int(name[-2]), output_padding is not None
    kind, value = check_activation(activation, alpha)
    x = as_tensor(x, weight.backend, weight.dtype)
    steps = sizes(name, "stride", stride, axes, 1)
    spread = sizes(name, "dilation", dilation, axes, 1)
    check_groups(name, groups)
    _check_shapes(name, axes, x.shape, weight.shape, bias, groups, transposed)
    window = weight.shape[2:]
    if transposed and isinstance(padding, str):
        raise OptionError(f"{name}: padding is given by numbers, found {padding!r}")
    pairs = padding_pairs(name, padding, window, steps, spread)
    options: dict[str, Any] = {"groups": groups}
    along = zip(x.shape[2:], window, steps, pairs, spread, strict=True)
    if output_padding is None:
        for axis in along:
            output_size(*axis)
    else:
        more = sizes(name, "output_padding", output_padding, axes, 0)
        if any(m >= max(s, d) for m, s, d in zip(more, steps, spread, strict=True)):
            raise OptionError(
                f"{name}: output_padding is smaller than stride or dilation; found {more} with "
                f"stride {steps} and dilation {spread}"
            )
        for axis, m in zip(along, more, strict=True):
            transposed_size(*axis, m)
        options["output_padding"] = _two(more, 0)
    fused = kind in FROM_OUTPUT
    options |= {
        "stride": _two(steps, 1),
        "padding": _two(pairs, (0, 0)),
        "dilation": _two(spread, 1),
        "activation": kind if fused else "identity",
        "alpha": value,
    }
    out = apply(
        Convolution,
        x,
        weight,
        bias,
        transposed=transposed,
        half=half_of(x, weight, bias),
        options=options,
    )
    return out if fused else activate(out, kind, value)


def _two(values: tuple[Any, ...], first: Any) -> tuple[Any, ...]:
    """A signal is an image of one row."""
    return (first, *values) if len(values) == 1 else values


def sizes(name: str, what: str, given: Any, axes: int, least: int) -> tuple[int, ...]:
    """An option as one integer for each axis, none below `least`.

    >>> sizes("conv2d", "stride", 2, 2, 1)
    (2, 2)
    """
    found = (given,) * axes if isinstance(given, int) else given
    if (
        isinstance(found, (tuple, list))
        and len(found) == axes
        and all(isinstance(n, int) and n >= least for n in found)
    ):
        return tuple(found)
    raise OptionError(
        f"{name}: {what} is an integer from {least} on"
        f"{', or one for each of the two axes' if axes == 2 else ''}; found {given!r}"
    )


def padding_pairs(
    name: str, given: Any, window: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Pair, ...]:
    """A padding as (before, after) for each axis.

    >>> padding_pairs("conv1d", "same", (4,), (1,), (1,))
    ((1, 2),)
    """
    axes = len(window)
    if given == "valid":
        return ((0, 0),) * axes
    if given == "same":
        if any(s != 1 for s in stride):
            raise OptionError(f"{name}: padding 'same' takes a stride of 1, found {tuple(stride)}")
        totals = [d * (w - 1) for d, w in zip(dilation, window, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(given, str):
        raise OptionError(
            f"{name}: padding is 'valid', 'same' or given by numbers, found {given!r}"
        )
    if isinstance(given, (tuple, list)) and all(isinstance(p, (tuple, list)) for p in given):
        if len(given) != axes:
            raise OptionError(f"{name}: padding has {axes} (before, after) pairs, found {given!r}")
        pairs = [sizes(name, "padding", pair, 2, 0) for pair in given]
        return tuple((before, after) for before, after in pairs)
    return tuple((n, n) for n in sizes(name, "padding", given, axes, 0))


def check_groups(name: str, groups: Any) -> None:
    if not isinstance(groups, int) or groups < 1:
        raise OptionError(f"{name}: groups is a positive integer, found {groups!r}")


def _check_shapes(
    name: str,
    axes: int,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    bias: Tensor | None,
    groups: int,
    transposed: bool,
) -> None:
    where = ("height, width", "length")[axes == 1]
    if len(x) != axes + 2 or len(weight) != axes + 2:
        raise ShapeError(
            f"{name} takes x (n, channels, {where}) and a weight with as many axes; found x {x} "
            f"and weight {weight}"
        )
    if weight[0] % groups:
        raise ShapeError(
            f"{name}: {weight[0]} channels, the first axis of weight {weight}, cannot be divided "
            f"into {groups} groups"
        )
    expected = weight[0] if transposed else weight[1] * groups
    if x[1] != expected:
        raise ShapeError(
            f"{name}: weight {weight} with groups={groups} takes {expected} channels, found "
            f"{x[1]} in x {x}"
        )
    outputs = weight[1] * groups if transposed else weight[0]
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"{name}: expected bias ({outputs},), found {bias.shape}")
