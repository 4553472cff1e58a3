"""Tensor: an array, the backend that it lives on, and the node that made it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ..backends import Array, Backend, DType, get_backend
from ..backends.recording import changed
from ..errors import DTypeError, GradientError, ShapeError
from . import precision, tape
from .dtypes import common_dtype, dtype_on, get_default_dtype, is_float
from .functions.dense import MatMul
from .functions.elementwise import Binary, Cast, Clip, Unary
from .functions.reduction import Reduce
from .functions.shape import Expand, Reshape, Slice, Transpose
from .indexing import gather
from .tape import Node, apply

Scalar: TypeAlias = int | float | bool
# What autocast computes in float32: it grows beyond float16's range, or adds many numbers.
WIDE_KINDS = frozenset(("exp", "expm1", "log", "log1p", "reciprocal", "power", "sum", "mean"))
Operand: TypeAlias = "Tensor | np.ndarray | Scalar | Sequence[Any]"


class Tensor:
    """An array on a backend, with the gradient of a scalar by it once that has been asked for.

    Arithmetic, comparison, indexing, reduction and shape methods have NumPy's names and broadcast
    as NumPy does. `requires_grad` says whether operations on it are recorded; `grad` is None until
    `backward()` has reached it.

    >>> import tercet as tc
    >>> x = tc.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0, 6.0]
    """

    __slots__ = (
        "__weakref__",
        "_grad",
        "_grad_claimed",
        "_grad_written",
        "backend",
        "data",
        "index",
        "node",
        "requires_grad",
    )
    __array_priority__ = 1000  # NumPy arrays leave `array + tensor` to Tensor

    def __init__(self, data: Array, backend: Backend, requires_grad: bool = False) -> None:
        self.data = data
        self.backend = backend
        self.requires_grad = requires_grad
        self.node: Node | None = None
        self.index = 0
        self._grad: Array | None = None
        self._grad_written = False
        self._grad_claimed = False

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def ndim(self) -> int:
        ndim: int = self.data.ndim
        return ndim

    @property
    def size(self) -> int:
        return int(self.data.size)

    @property
    def dtype(self) -> DType:
        dtype: DType = self.data.dtype
        return dtype

    def __len__(self) -> int:
        if not self.ndim:
            raise ShapeError("a tensor of shape () has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(", threshold=100)
        notes = [] if self.dtype == get_default_dtype() else [f"dtype={self.dtype}"]
        notes.append(f"backend={self.backend.name!r}")
        if self.requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({values}, {', '.join(notes)})"

    # Its values

    def numpy(self) -> np.ndarray:
        """A copy of the values as a NumPy array."""
        return self.backend.to_numpy(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.numpy()
        return values if dtype is None else values.astype(dtype)

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item() needs a tensor of one element, found shape {self.shape}")
        return self.numpy().item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __dlpack__(self, **arguments: Any) -> Any:
        if self.requires_grad:
            raise GradientError("a tensor that requires a gradient is not exported; .detach() it")
        return self.data.__dlpack__(**arguments)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self.data.__dlpack_device__()
        return device

    # Differentiation

    @property
    def grad(self) -> Tensor | None:
        """The gradient added up since the last `zero_grad`, or None."""
        return Tensor(self._grad, self.backend) if self.has_grad else None

    @property
    def has_grad(self) -> bool:
        """Whether a gradient has been added since the last `zero_grad`."""
        if self.backend.recorder is not None:
            self.backend.recorder.asked(self, self._grad_written)
        return self._grad_written

    def backward(self, gradient: Operand | None = None, retain_graph: bool = False) -> None:
        """Add the gradient of this tensor (times `gradient`, of its shape) to every leaf's `grad`.

        Without `gradient` the tensor must have one element. The graph's saved values are freed
        unless `retain_graph`.
        """
        if not self.requires_grad:
            raise GradientError(
                "backward() on a tensor that does not require a gradient: nothing that made it "
                "had requires_grad=True, or it was computed under no_grad()"
            )
        if gradient is None:
            if self.size != 1:
                raise GradientError(
                    f"backward() without a gradient needs a scalar, found shape {self.shape}. "
                    "Reduce it (.sum(), .mean()), or pass gradient=..."
                )
            seed = self.backend.full(self.shape, 1.0, self.dtype)
        else:
            seed = self._operand(gradient).data
            if seed.shape != self.shape:
                raise ShapeError(
                    f"backward(gradient=...): expected the tensor's shape {self.shape}, "
                    f"found {seed.shape}"
                )
        tape.backward(self, seed, retain_graph)

    def zero_grad(self) -> None:
        """Forget the gradient: the next backward pass writes it anew."""
        if self.backend.recorder is not None:
            self.backend.recorder.set(self)
        self._grad_written = False

    def grad_buffer(self) -> Array:
        """The array that holds this leaf's gradient, allocated at first use."""
        if self._grad is None:
            self._grad = self.backend.empty(self.shape, self.dtype)
        return self._grad

    def grad_destination(self) -> Array | None:
        """The gradient's array, for a function that is about to write the first contribution."""
        if self.has_grad or self._grad_claimed:
            return None
        self._grad_claimed = True
        return self.grad_buffer()

    def receive_grad(self, grad: Array) -> None:
        """Add a contribution to this leaf's gradient."""
        buffer = self.grad_buffer()
        if self.has_grad:
            self.backend.ops.accumulate(buffer, grad)
        elif grad is not buffer:
            self.backend.ops.copy(grad, dtype=self.dtype.name, out=(buffer,))
        self._grad_written, self._grad_claimed = True, False

    def set_has_grad(self, has_grad: bool) -> None:
        """What a replayed step says of its leaves: whether their gradients are there now."""
        self._grad_written = has_grad

    def whole(self) -> tuple[Array, int]:
        """The array that this leaf's is a part of, and where it begins there."""
        return self.data, 0

    def detach(self) -> Tensor:
        """The same array outside the graph."""
        return Tensor(self.data, self.backend)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` of a leaf, and return it."""
        if self.node is not None:
            raise GradientError("requires_grad can be set on leaves only; .detach() makes one")
        if requires_grad and not is_float(self.dtype):
            raise DTypeError(f"only floating tensors have gradients, found {self.dtype}")
        self.requires_grad = requires_grad
        changed()
        return self

    # Copies

    def clone(self) -> Tensor:
        """A copy that is differentiated through."""
        return apply(Cast, self, dtype=self.dtype.name)

    def astype(self, dtype: str | DType) -> Tensor:
        """The values in another dtype; differentiated through between floating dtypes."""
        found = dtype_on(self.backend, dtype)
        return self if found == self.dtype else apply(Cast, self, dtype=found.name)

    def to(self, backend: str | Backend) -> Tensor:
        """The values on another backend, outside the graph; itself if it lives there."""
        target = get_backend(backend)
        if target is self.backend:
            return self
        moved = Tensor(target.asarray(self.numpy()), target)
        moved.requires_grad = self.requires_grad and self.node is None
        return moved

    # Arithmetic

    def _operand(self, other: Any) -> Tensor:
        """`other` as a tensor beside this one: a Python number takes this tensor's dtype."""
        if isinstance(other, Tensor):
            return other
        if isinstance(other, (bool, int, float)):
            dtype = self.dtype
            if not is_float(dtype) and isinstance(other, float):
                dtype = get_default_dtype()
            return Tensor(self.backend.full((), other, dtype), self.backend)
        host = np.asarray(other)
        if is_float(host.dtype):
            host = host.astype(self.dtype if is_float(self.dtype) else get_default_dtype())
        return tensor(host, dtype=host.dtype, backend=self.backend)

    def _binary(self, other: Any, kind: str, swapped: bool = False) -> Tensor:
        if not isinstance(other, (Tensor, np.ndarray, np.generic, bool, int, float, list)):
            return NotImplemented
        a, b = self, self._operand(other)
        if swapped:
            a, b = b, a
        dtype = common_dtype(a.dtype, b.dtype)
        if kind in ("divide", "power") and not is_float(dtype):
            dtype = get_default_dtype()
        a, b = a.astype(dtype), b.astype(dtype)
        if kind in WIDE_KINDS:
            a, b = precision.wide(a), precision.wide(b)
        try:
            np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ShapeError(
                f"{kind}: shapes {a.shape} and {b.shape} do not broadcast; from the last axis on, "
                "sizes must be equal or 1"
            ) from None
        return apply(Binary, a, b, kind=kind)

    def __add__(self, other: Operand) -> Tensor:
        return self._binary(other, "add")

    def __radd__(self, other: Operand) -> Tensor:
        return self._binary(other, "add", swapped=True)

    def __sub__(self, other: Operand) -> Tensor:
        return self._binary(other, "subtract")

    def __rsub__(self, other: Operand) -> Tensor:
        return self._binary(other, "subtract", swapped=True)

    def __mul__(self, other: Operand) -> Tensor:
        return self._binary(other, "multiply")

    def __rmul__(self, other: Operand) -> Tensor:
        return self._binary(other, "multiply", swapped=True)

    def __truediv__(self, other: Operand) -> Tensor:
        return self._binary(other, "divide")

    def __rtruediv__(self, other: Operand) -> Tensor:
        return self._binary(other, "divide", swapped=True)

    def __pow__(self, other: Operand) -> Tensor:
        if isinstance(other, (int, float)) and other == 2:
            return self.square()
        return self._binary(other, "power")

    def __rpow__(self, other: Operand) -> Tensor:
        return self._binary(other, "power", swapped=True)

    def __neg__(self) -> Tensor:
        return self._unary("negative") if is_float(self.dtype) else 0 - self

    def __abs__(self) -> Tensor:
        return self.abs()

    def __matmul__(self, other: Operand) -> Tensor:
        return matmul(self, self._operand(other))

    def __rmatmul__(self, other: Operand) -> Tensor:
        return matmul(self._operand(other), self)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(other, "equal")

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return self._binary(other, "not_equal")

    def __lt__(self, other: Operand) -> Tensor:
        return self._binary(other, "less")

    def __le__(self, other: Operand) -> Tensor:
        return self._binary(other, "less_equal")

    def __gt__(self, other: Operand) -> Tensor:
        return self._binary(other, "greater")

    def __ge__(self, other: Operand) -> Tensor:
        return self._binary(other, "greater_equal")

    __hash__ = object.__hash__

    def maximum(self, other: Operand) -> Tensor:
        """The larger of each pair; at a tie each operand gets half of the gradient."""
        return self._binary(other, "maximum")

    def minimum(self, other: Operand) -> Tensor:
        """The smaller of each pair; at a tie each operand gets half of the gradient."""
        return self._binary(other, "minimum")

    # Elementwise

    def _unary(self, kind: str) -> Tensor:
        x = self if is_float(self.dtype) else self.astype(get_default_dtype())
        if kind in WIDE_KINDS:
            x = precision.wide(x)
        return apply(Unary, x, kind=kind)

    def exp(self) -> Tensor:
        """e^x."""
        return self._unary("exp")

    def log(self) -> Tensor:
        """The natural logarithm."""
        return self._unary("log")

    def log1p(self) -> Tensor:
        """log(1 + x), exact near 0."""
        return self._unary("log1p")

    def expm1(self) -> Tensor:
        """e^x - 1, exact near 0."""
        return self._unary("expm1")

    def sqrt(self) -> Tensor:
        """The square root."""
        return self._unary("sqrt")

    def square(self) -> Tensor:
        """x^2."""
        return self._unary("square")

    def reciprocal(self) -> Tensor:
        """1 / x."""
        return self._unary("reciprocal")

    def abs(self) -> Tensor:
        """|x|."""
        return self._unary("absolute")

    def sign(self) -> Tensor:
        """-1, 0 or 1."""
        return self._unary("sign")

    def sin(self) -> Tensor:
        """The sine."""
        return self._unary("sin")

    def cos(self) -> Tensor:
        """The cosine."""
        return self._unary("cos")

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        """min(max(x, low), high); None leaves a side open."""
        low_, high_ = -math.inf if low is None else low, math.inf if high is None else high
        return apply(Clip, self, low=float(low_), high=float(high_))

    # Reductions

    def _reduce(self, kind: str, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
        axes = _axes(kind, axis, self.ndim)
        x = self if is_float(self.dtype) else self.astype("float64")
        if kind in WIDE_KINDS:
            x = precision.wide(x)
        if kind in ("max", "min") and any(self.shape[i] == 0 for i in axes):
            raise ShapeError(f"{kind} over an empty axis of shape {self.shape} has no value")
        out = apply(Reduce, x, kind=kind, axes=axes)
        if not is_float(self.dtype):
            counts = kind == "sum" and self.dtype.kind == "b"
            whole = np.dtype("int64") if counts else self.dtype
            out = out.astype(get_default_dtype() if kind == "mean" else whole)
        if keepdims:
            out = out.reshape(*(1 if i in axes else n for i, n in enumerate(self.shape)))
        return out

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The sum over one axis, several, or all."""
        return self._reduce("sum", axis, keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The mean over one axis, several, or all."""
        return self._reduce("mean", axis, keepdims)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The maximum; its gradient is shared equally among equal maxima."""
        return self._reduce("max", axis, keepdims)

    def min(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """The minimum; its gradient is shared equally among equal minima."""
        return self._reduce("min", axis, keepdims)

    def var(
        self, axis: int | Sequence[int] | None = None, keepdims: bool = False, ddof: int = 0
    ) -> Tensor:
        """The variance, sum (x - mean)^2 / (n - ddof)."""
        axes = _axes("var", axis, self.ndim)
        count = math.prod(self.shape[i] for i in axes)
        centred = self - self.mean(axes, keepdims=True)
        scale = 1.0 / (count - ddof) if count > ddof else math.nan
        return centred.square().sum(axes, keepdims) * scale

    def std(
        self, axis: int | Sequence[int] | None = None, keepdims: bool = False, ddof: int = 0
    ) -> Tensor:
        """The standard deviation, the square root of `var`."""
        return self.var(axis, keepdims, ddof).sqrt()

    def argmax(self, axis: int | None = None) -> Tensor:
        """Where the first maximum stands (int64), along `axis` or in the flattened tensor."""
        return self._argreduce("max", axis)

    def argmin(self, axis: int | None = None) -> Tensor:
        """Where the first minimum stands (int64), along `axis` or in the flattened tensor."""
        return self._argreduce("min", axis)

    def _argreduce(self, kind: str, axis: int | None) -> Tensor:
        if axis is None:
            return self.detach().reshape(-1)._argreduce(kind, 0)
        (at,) = _axes(f"arg{kind}", axis, self.ndim)
        if self.shape[at] == 0:
            raise ShapeError(f"arg{kind} over an empty axis of shape {self.shape} has no value")
        x = self.backend.contiguous(self.data)
        before, after = self.shape[:at], self.shape[at + 1 :]
        cube = x.reshape(math.prod(before), self.shape[at], math.prod(after))
        out = self.backend.ops.argreduce(cube, kind=kind)
        return Tensor(out.reshape(before + after), self.backend)

    # Shape

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """The same elements in the same order; one size may be -1, to be worked out."""
        wanted = _sizes(shape)
        known = math.prod(s for s in wanted if s != -1)
        if wanted.count(-1) == 1 and known and self.size % known == 0:
            wanted = tuple(self.size // known if s == -1 else s for s in wanted)
        if -1 in wanted or math.prod(wanted) != self.size:
            raise ShapeError(
                f"reshape: {self.shape} has {self.size} elements, {wanted} does not fit"
            )
        return self if wanted == self.shape else apply(Reshape, self, shape=wanted)

    def flatten(self, start: int = 0) -> Tensor:
        """The axes from `start` on as one."""
        return self.reshape(*self.shape[:start], math.prod(self.shape[start:]))

    def transpose(self, *axes: int | Sequence[int]) -> Tensor:
        """The axes in the order given, reversed if none is."""
        order = _sizes(axes) or tuple(reversed(range(self.ndim)))
        order = tuple(a + self.ndim if a < 0 else a for a in order)
        if sorted(order) != list(range(self.ndim)):
            raise ShapeError(f"transpose: {order} is no order of the {self.ndim} axes")
        return apply(Transpose, self, axes=order)

    permute = transpose

    def swapaxes(self, a: int, b: int) -> Tensor:
        """Two axes exchanged."""
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(order)

    def moveaxis(self, source: int, destination: int) -> Tensor:
        """One axis at another place, the others in their order.

        >>> import tercet as tc
        >>> tc.zeros(2, 3, 4, 5).moveaxis(-1, 1).shape
        (2, 5, 3, 4)
        """
        order = list(range(self.ndim))
        axis = order.pop(source)
        order.insert(destination % self.ndim, axis)
        return self.transpose(order)

    movedim = moveaxis

    @property
    def T(self) -> Tensor:
        return self.transpose()

    def expand_dims(self, axis: int) -> Tensor:
        """A new axis of size 1 at `axis`."""
        at = axis + self.ndim + 1 if axis < 0 else axis
        return self.reshape(*self.shape[:at], 1, *self.shape[at:])

    unsqueeze = expand_dims

    def squeeze(self, axis: int | None = None) -> Tensor:
        """Without the axes of size 1, or without the one at `axis`."""
        if axis is None:
            return self.reshape(*(s for s in self.shape if s != 1))
        (at,) = _axes("squeeze", axis, self.ndim)
        if self.shape[at] != 1:
            raise ShapeError(f"squeeze: axis {axis} of shape {self.shape} is not of size 1")
        return self.reshape(*self.shape[:at], *self.shape[at + 1 :])

    def broadcast_to(self, *shape: int | Sequence[int]) -> Tensor:
        """The values repeated to `shape`, by NumPy's rules."""
        wanted = _sizes(shape)
        try:
            fits = np.broadcast_shapes(self.shape, wanted) == wanted
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"broadcast_to: {self.shape} does not broadcast to {wanted}")
        return apply(Expand, self, shape=wanted)

    def __getitem__(self, key: Any) -> Tensor:
        """Integers, slices, None and Ellipsis give a view; so may one integer list, array or
        tensor, a boolean mask, or a tuple of integer arrays, over the leading axes, which gather.
        """
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, (list, np.ndarray, Tensor)) for k in keys):
            return gather(self, keys)
        try:
            return apply(Slice, self, key=key)
        except IndexError as error:
            raise ShapeError(f"index {key!r} does not fit shape {self.shape}: {error}") from None

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise GradientError(
            "tensors are not written in place, which would falsify gradients. Build the value "
            "with tc.where, tc.concatenate or tc.stack"
        )

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """f(2, 3) and f((2, 3)) alike."""
    if len(sizes) == 1 and isinstance(sizes[0], Sequence):
        sizes = tuple(sizes[0])
    return tuple(int(s) for s in sizes)


def _axes(name: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative integers."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    wrapped = {int(a) + ndim if a < 0 else int(a) for a in given}
    if any(not 0 <= a < ndim for a in wrapped) or len(wrapped) != len(given):
        raise ShapeError(f"{name}: axis {axis} does not fit a tensor of {ndim} dimensions")
    return tuple(sorted(wrapped))


tape.tensor_class = Tensor


def tensor(
    data: Any,
    dtype: str | DType | None = None,
    backend: str | Backend | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists, a NumPy array, another tensor.

    Floating data becomes the default dtype (float32) unless `dtype` is given; integers and booleans
    keep theirs.

    >>> tensor([[1, 2], [3, 4]]).dtype.name, tensor(0.5).dtype.name
    ('int64', 'float32')
    """
    target = get_backend(backend)
    host = data.numpy() if isinstance(data, Tensor) else np.asarray(data)
    if not is_float(host.dtype) and host.dtype.kind not in "iub":
        raise DTypeError(
            f"a tensor holds numbers or booleans, found {host.dtype}; rows of unequal length or "
            "text have to be converted first"
        )
    if dtype is None:
        dtype = get_default_dtype() if is_float(host.dtype) else host.dtype
    host = host.astype(dtype_on(target, dtype), copy=False)
    out = Tensor(target.asarray(host), target)
    return out.requires_grad_() if requires_grad else out


def as_tensor(
    data: Any, backend: str | Backend | None = None, dtype: str | DType | None = None
) -> Tensor:
    """`data` itself if it is a tensor, else a new one."""
    return data if isinstance(data, Tensor) else tensor(data, dtype, backend)


def from_dlpack(x: Any, backend: str | Backend | None = None) -> Tensor:
    """A tensor that shares memory with `x`, an array of any library that speaks DLPack.

    >>> import numpy as np
    >>> a = np.zeros(3, np.float32)
    >>> t = from_dlpack(a, backend="numpy"); a[0] = 5; t.tolist()
    [5.0, 0.0, 0.0]
    """
    target = get_backend(backend)
    return Tensor(target.from_dlpack(x), target)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product a b, by NumPy's rules for vectors and leading axes.

    >>> matmul(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: expected vectors or matrices, found {a.shape} and {b.shape}")
    left = a.expand_dims(0) if a.ndim == 1 else a
    right = b.expand_dims(1) if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ShapeError(
            f"matmul: {a.shape} and {b.shape} do not fit: the last axis of the first, "
            f"{left.shape[-1]}, must equal {right.shape[-2]} of the second"
        )
    out = apply(MatMul, left, right, half=precision.half_of(left, right))
    if b.ndim == 1:
        out = out.squeeze(-1)
    return out.squeeze(-1 if b.ndim == 1 else -2) if a.ndim == 1 else out
