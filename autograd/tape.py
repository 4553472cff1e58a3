"""The tape: nodes of coarse ops, and the walk that differentiates them.

A `Function` names one differentiable op. `apply` runs its forward on arrays and, if any input
requires a gradient, hangs a `Node` with what the forward saved onto the outputs. `backward` walks
the nodes from the newest to the oldest, which is a topological order, and adds up gradients.

Gradients of leaves are written straight into the leaf's own gradient buffer where the function can
(`node.into(i)`), so that the first contribution costs no copy and nothing needs zeroing.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, ClassVar

from ..backends import Array, Backend, DType, get_backend
from ..errors import BackendError, GradientError, ShapeError

if TYPE_CHECKING:
    from .tensor import Tensor

# What outputs are made of: set by tensor.py, which needs this module first.
tensor_class: type[Tensor] = None  # type: ignore[assignment]

_order = itertools.count()


class _Mode(threading.local):
    """Each thread's own: whether it records, and what enclosing no_grad blocks found."""

    def __init__(self) -> None:
        self.recording = True
        self.outer: list[bool] = []


_mode = _Mode()


class no_grad(ContextDecorator):
    """Inside the block, or the decorated function, nothing is recorded for differentiation.

    >>> import tercet as tc
    >>> w = tc.tensor([1.0], requires_grad=True)
    >>> with tc.no_grad():
    ...     (w * 2).requires_grad
    False
    """

    def __enter__(self) -> None:
        _mode.outer.append(_mode.recording)
        _mode.recording = False

    def __exit__(self, *exc: object) -> None:
        _mode.recording = _mode.outer.pop()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded for differentiation."""
    return _mode.recording


class Node:
    """One executed op: who it came from, what its backward needs, and the gradients it received."""

    __slots__ = (
        "_grads",
        "backend",
        "freed",
        "function",
        "needs",
        "order",
        "outputs",
        "parents",
        "saved",
    )

    def __init__(
        self,
        function: type[Function],
        backend: Backend,
        parents: Sequence[Tensor | None],
        needs: tuple[bool, ...],
    ) -> None:
        self.function, self.backend, self.parents, self.needs = function, backend, parents, needs
        self.order = next(_order)
        self.saved: tuple[Any, ...] = ()
        self.outputs = 1
        self.freed = False
        self._grads: list[tuple[Array, bool] | None] = []

    @property
    def ops(self) -> Any:
        return self.backend.ops

    def save(self, *values: Any) -> None:
        """Keep what the backward pass needs."""
        self.saved = values

    def into(self, i: int, dtype: DType | None = None) -> Array | None:
        """Where the gradient of input i may be written directly, if that is possible now.

        `dtype` is the gradient's, where that may be another than the input's.
        """
        parent = self.parents[i]
        if parent is None or parent.node is not None or not parent.requires_grad:
            return None
        if dtype is not None and parent.data.dtype != dtype:
            return None
        return parent.grad_destination()

    def receive(self, index: int, grad: Array) -> None:
        """Add a gradient of output `index`."""
        if not self._grads:
            self._grads = [None] * self.outputs
        held = self._grads[index]
        if held is None:
            # It may be shared with another node: it is not ours to write to.
            self._grads[index] = (grad, False)
        elif held[1]:
            self.ops.accumulate(held[0], grad)
        else:
            total = self.ops.binary_forward(held[0], grad, kind="add")
            self._grads[index] = (total, True)

    def take_grads(self) -> list[Array | None]:
        grads = [None if g is None else g[0] for g in self._grads]
        self._grads = []
        return grads


class Function:
    """A differentiable op. Subclasses define both passes as static methods over arrays:

    forward(node, *arrays, **attributes) -> array or tuple of arrays;  node.save(...) for backward
    backward(node, *douts) -> the gradient of each array input, None where node.needs[i] is False

    Gradients of outputs that nobody used arrive as zeros, or with `takes_missing` as None.
    """

    takes_missing: ClassVar[bool] = False

    @staticmethod
    def forward(node: Node, *arrays: Any, **attributes: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def backward(node: Node, *douts: Any) -> tuple[Array | None, ...]:
        raise NotImplementedError


def apply(function: type[Function], *inputs: Tensor | None, **attributes: Any) -> Any:
    """Run `function` on Tensors (None for an absent one) and record it if that is needed."""
    backend = common_backend(function.__name__, inputs)
    if _mode.recording:
        needs = tuple([t is not None and t.requires_grad for t in inputs])
    else:
        needs = (False,) * len(inputs)
    node = Node(function, backend, inputs, needs)
    result = function.forward(node, *[None if t is None else t.data for t in inputs], **attributes)
    return _wrap(result, node, any(needs))


def _wrap(result: Any, node: Node, tracked: bool) -> Any:
    if not isinstance(result, tuple):
        out = tensor_class(result, node.backend)
        if tracked:
            out.requires_grad, out.node = True, node
        return out
    node.outputs = len(result)
    outs = tuple(tensor_class(r, node.backend) for r in result)
    if tracked:
        for i, out in enumerate(outs):
            out.requires_grad, out.node, out.index = True, node, i
    return outs


def common_backend(name: str, inputs: Sequence[Tensor | None]) -> Backend:
    """The one backend of all inputs; an error that names both if there are two."""
    backend = None
    for t in inputs:
        if t is not None and t.backend is not backend:
            if backend is not None:
                raise BackendError(
                    f"{name}: arrays of two backends meet, {backend.name} and {t.backend.name}. "
                    f"Move one: .to({backend.name!r}) or .to({t.backend.name!r})"
                )
            backend = t.backend
    return backend or get_backend()


def backward(root: Tensor, gradient: Array, retain_graph: bool = False) -> None:
    """Add d(root)/d(leaf) times `gradient` to the gradient of every leaf that requires one."""
    if root.node is None:
        root.receive_grad(gradient)
        return
    root.node.receive(root.index, gradient)
    for node in _reachable(root.node):
        if node.freed:
            raise GradientError(
                "backward() through a graph whose saved values are freed: it was differentiated "
                "before. Call the first backward(retain_graph=True), or compute the loss again"
            )
        douts = node.take_grads()
        if all(g is None for g in douts):
            continue
        if node.outputs > 1 and not node.function.takes_missing:
            douts = _fill_missing(node, douts)
        grads = node.function.backward(node, *douts)
        if len(grads) != len(node.parents):
            raise GradientError(
                f"{node.function.__name__}.backward returned {len(grads)} gradients for "
                f"{len(node.parents)} inputs"
            )
        for parent, need, grad in zip(node.parents, node.needs, grads, strict=True):
            if not need or grad is None or parent is None:
                continue
            if grad.shape != parent.data.shape:
                raise ShapeError(
                    f"{node.function.__name__}.backward: the gradient has shape {grad.shape}, "
                    f"its input {parent.data.shape}"
                )
            if parent.node is None:
                parent.receive_grad(grad)
            else:
                parent.node.receive(parent.index, grad)
        if not retain_graph:
            # The parents, too: what only this node kept alive may be used again at once.
            node.saved, node.parents, node.freed = (), (), True


def _fill_missing(node: Node, douts: list[Array | None]) -> list[Array | None]:
    """Zeros for outputs that nobody used; functions of several outputs save their shapes first."""
    shapes = node.saved[0]
    return [
        node.backend.full(shape, 0.0, dtype) if g is None else g
        for g, (shape, dtype) in zip(douts, shapes, strict=True)
    ]


def _reachable(root: Node) -> list[Node]:
    """Every node behind `root`, newest first."""
    seen = {root}
    stack = [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent.node is not None and parent.node not in seen:
                seen.add(parent.node)
                stack.append(parent.node)
    return sorted(seen, key=lambda node: -node.order)
