"""Module and Parameter: what a model is made of.

A Module finds its parameters, buffers and submodules from its attributes, in the order in which
they were set. `forward` is plain Python; calling the module runs it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from ..autograd import Tensor, float_dtype, get_default_dtype, is_float, tensor
from ..autograd.functional import penalty
from ..autograd.functions.watching import watch_gradient
from ..autograd.precision import forget
from ..backends import Array, Backend, DType, current_name, get_backend
from ..backends.recording import changed, toggled
from ..errors import CheckpointError, OptionError, ShapeError

M = TypeVar("M", bound="Module")
# What they return, unless it is None, takes the place of the output, the inputs, the gradient.
Hook: TypeAlias = Callable[["Module", tuple[Any, ...], Any], Any]
PreHook: TypeAlias = Callable[["Module", tuple[Any, ...]], Any]
BackwardHook: TypeAlias = Callable[["Module", Tensor], Any]


@dataclass(frozen=True)
class Regularizer:
    """The penalty l1 sum |w| + l2 sum w^2 on a parameter, which training adds to the loss."""

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        if not (self.l1 >= 0.0 and self.l2 >= 0.0):
            raise OptionError(f"regularizer factors must not be negative, found {self}")


def L1(factor: float) -> Regularizer:
    """factor * sum |w|: drives weights to exactly zero (Tibshirani, the lasso, 1996)."""
    return Regularizer(l1=factor)


def L2(factor: float) -> Regularizer:
    """factor * sum w^2: keeps weights small (Hoerl & Kennard, ridge regression, 1970)."""
    return Regularizer(l2=factor)


class Parameter(Tensor):
    """A tensor that is trained: a leaf that requires a gradient, in a module's attribute."""

    __slots__ = ("_place", "flat", "regularizer")

    def __init__(
        self,
        values: Any,
        backend: str | Backend | None = None,
        dtype: str | DType | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        source = tensor(values, float_dtype(dtype), backend)
        super().__init__(source.data, source.backend, requires_grad=True)
        self.regularizer = regularizer
        # The flat buffer of which this parameter is a view, once an optimizer has made one.
        self.flat: object | None = None
        self._place: tuple[Array, int] | None = None

    def replace(self, values: np.ndarray, backend: Backend | None = None) -> None:
        """New values, on another backend if one is given; elsewhere it leaves its flat buffer."""
        forget()
        if backend is None or backend is self.backend:
            source = self.backend.asarray(values.astype(self.dtype, copy=False))
            self.backend.ops.copy(source, dtype=self.dtype.name, out=(self.data,))
            return
        changed()
        self.backend, self.data = backend, backend.asarray(values)
        self._leave()

    def _leave(self) -> None:
        self._grad, self.flat, self._place = None, None, None
        self.zero_grad()

    def attach(self, flat: object, values: Array, start: int, grad: Array) -> None:
        """Be the view at `start` of a flat buffer; `grad` is the place of the gradient there."""
        changed()
        self.flat, self._place, self._grad = flat, (values, start), grad

    def whole(self) -> tuple[Array, int]:
        return self._place or (self.data, 0)

    def cast(self, dtype: DType) -> None:
        """The same values in another floating dtype, outside any flat buffer."""
        changed()
        self.data = self.backend.asarray(self.numpy().astype(dtype))
        self._leave()


def _is_ours(module: type[Module]) -> bool:
    """Whether a class is one of tercet's layers or models."""
    top = __name__.split(".")[0]
    return module.__module__.startswith((f"{top}.layers.", f"{top}.models."))


class Module:
    """Base of layers and models: define `__init__` and `forward`, and call it.

    >>> import tercet as tc
    >>> class Net(tc.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = tc.layers.Dense(4, 8, activation="relu")
    ...         self.out = tc.layers.Dense(8, 2)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x))
    >>> net = Net()
    >>> net(tc.zeros(3, 4)).shape
    (3, 2)
    >>> [name for name, _ in net.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    registry: ClassVar[dict[str, type[Module]]] = {}
    # The dtype of what the module takes, where that is not its parameters'.
    input_dtype: ClassVar[str | None] = None
    training: bool
    frozen: bool

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        Module.registry[cls.saved_name()] = cls
        # By its name alone, for models saved where it was defined elsewhere, such as in a script.
        taken = Module.registry.get(cls.__name__)
        if taken is None or not _is_ours(taken):
            Module.registry[cls.__name__] = cls

    @classmethod
    def saved_name(cls) -> str:
        """What saved models call the class: its name, with where it is if it is not tercet's.

        Classes of one name must not take each other's places in models that were saved before.
        """
        return cls.__name__ if _is_ours(cls) else f"{cls.__module__}.{cls.__qualname__}"

    def __new__(cls: type[M], *args: Any, **kwargs: Any) -> M:
        self = super().__new__(cls)
        set_ = object.__setattr__
        # The arguments are the module's description: a saved model is rebuilt from them.
        set_(self, "_arguments", (args, kwargs))
        set_(self, "_parameters", {})
        set_(self, "_buffers", {})
        set_(self, "_modules", {})
        set_(self, "_hooks", ())
        set_(self, "training", True)
        set_(self, "frozen", False)
        set_(self, "_replaced", ())
        set_(self, "_place", (current_name(), get_default_dtype()))
        return self

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _parameters: dict[str, Parameter]
    _buffers: dict[str, Tensor]
    _modules: dict[str, Module]
    _hooks: tuple[tuple[str, Any], ...]
    _place: tuple[str, DType]
    # Submodules that took the place of another one: the constructor does not make those.
    _replaced: tuple[str, ...]

    def __init__(self) -> None:
        """Nothing to do; subclasses may call it, as they would elsewhere."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._modules and isinstance(value, Module):
            if name not in self._replaced:
                object.__setattr__(self, "_replaced", (*self._replaced, name))
            self._modules[name] = value  # where the other one was: the order is that of running
            object.__setattr__(self, name, value)
            changed()
            return
        for kind in (self._parameters, self._buffers, self._modules):
            kind.pop(name, None)
        if isinstance(value, Parameter):
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._modules[name] = value
        object.__setattr__(self, name, value)
        changed()

    def register_buffer(self, name: str, value: Tensor) -> None:
        """A tensor that is saved and moved with the module but not trained."""
        object.__setattr__(self, name, value)
        self._buffers[name] = value
        changed()

    # Running

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if not all(isinstance(x, Tensor) for x in inputs):
            inputs = tuple(self._input(x) for x in inputs)
        if self._hooks:
            return self._call_with_hooks(inputs, options)
        return self.forward(*inputs, **options)

    def _call_with_hooks(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        recorder = self.backend.recorder
        if recorder is not None:
            recorder.refuse(
                f"{type(self).__name__} has a hook, which a replayed step would not call. Remove "
                "the hook, or run the step without capture"
            )
        for hook in self._hooks_of("before"):
            changed_inputs = hook(self, inputs)
            if changed_inputs is not None:
                inputs = changed_inputs if isinstance(changed_inputs, tuple) else (changed_inputs,)
        out = self.forward(*inputs, **options)
        for hook in self._hooks_of("after"):
            changed_out = hook(self, inputs, out)
            out = out if changed_out is None else changed_out
        for hook in self._hooks_of("backward"):
            if not isinstance(out, Tensor):
                raise OptionError(
                    f"a backward hook is for modules that give one tensor; {type(self).__name__} "
                    f"gives a {type(out).__name__}"
                )
            out = watch_gradient(out, partial(hook, self))
        return out

    def _hooks_of(self, when: str) -> list[Any]:
        return [hook for at, hook in self._hooks if at == when]

    def _add_hook(self, when: str, hook: Any) -> Callable[[], None]:
        entry = (when, hook)

        def remove() -> None:
            kept = tuple(held for held in self._hooks if held is not entry)
            object.__setattr__(self, "_hooks", kept)
            changed()

        object.__setattr__(self, "_hooks", (*self._hooks, entry))
        changed()
        return remove

    def register_forward_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(module, inputs, output)` after every forward; returns what removes it.

        If the hook returns something, that is the output. A step with hooks cannot be captured.
        """
        return self._add_hook("after", hook)

    def register_forward_pre_hook(self, hook: PreHook) -> Callable[[], None]:
        """Call `hook(module, inputs)` before every forward; returns what removes it.

        If the hook returns something, that is the input, or a tuple of the inputs.
        """
        return self._add_hook("before", hook)

    def register_backward_hook(self, hook: BackwardHook) -> Callable[[], None]:
        """Call `hook(module, gradient)` with the gradient by the output; returns what removes it.

        If the hook returns a tensor, that goes back instead.
        """
        return self._add_hook("backward", hook)

    def _input(self, x: Any) -> Any:
        """NumPy arrays and lists join the module on its backend; floating ones in its dtype."""
        if not isinstance(x, (np.ndarray, list)):
            return x
        host = np.asarray(x)
        return tensor(host, self.dtype if is_float(host.dtype) else None, self.backend)

    @property
    def backend(self) -> Backend:
        """Where the parameters live, or will live once they are made."""
        for p in self._all_parameters():
            return p.backend
        return get_backend(self._place[0])

    @property
    def dtype(self) -> DType:
        """The dtype of the parameters."""
        for p in self._all_parameters():
            return p.dtype
        return self._place[1]

    def to(self: M, backend: str | None = None, dtype: str | DType | None = None) -> M:
        """Move the module to a backend, or change its dtype, in place; returns it.

        An optimizer may exist already: it follows at its next step.
        """
        target = None if backend is None else get_backend(backend)
        wanted = None if dtype is None else float_dtype(dtype)
        for module in self.modules():
            name, kind = module._place
            place = (name if target is None else target.name, kind if wanted is None else wanted)
            object.__setattr__(module, "_place", place)
            for p in module._parameters.values():
                if wanted is not None and p.dtype != wanted:
                    p.cast(wanted)
                if target is not None and p.backend is not target:
                    p.replace(p.numpy(), target)
            for key, b in module._buffers.items():
                moved = b if target is None else b.to(target)
                if wanted is not None and is_float(moved.dtype):
                    moved = moved.astype(wanted)
                module.register_buffer(key, moved)
        return self

    def double(self: M) -> M:
        """Train in float64."""
        return self.to(dtype="float64")

    def float(self: M) -> M:
        """Train in float32."""
        return self.to(dtype="float32")

    # Modes

    def train(self: M, mode: bool = True) -> M:
        """Training mode: dropout drops, normalization uses the batch."""
        for module in self.modules():
            if module.training is not mode:
                object.__setattr__(module, "training", mode)
                toggled(module)
        return self

    def eval(self: M) -> M:
        """Evaluation mode."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set `requires_grad` of every parameter."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def freeze(self: M) -> M:
        """Train nothing in this module: Keras' `trainable = False`; returns it.

        Parameters get `requires_grad` False, and batch and instance norms use their running
        statistics and leave them as they are, in training mode, too. (`requires_grad_(False)` alone
        does not stop those, as in PyTorch.) Dropout goes on. An optimizer that was made without
        parameters leaves frozen ones out from the next `fit` on, and begins anew with the others.

        >>> import tercet as tc
        >>> body, head = tc.layers.Dense(3, 4).freeze(), tc.layers.Dense(4, 2)
        >>> tc.models.Sequential([body, head]).num_parameters(trainable=True)
        10
        """
        return self._freeze(True)

    def unfreeze(self: M) -> M:
        """Train all of this module again: the contrary of `freeze`."""
        return self._freeze(False)

    def _freeze(self: M, frozen: bool) -> M:
        for module in self.modules():
            module._check_built()
        for module in self.modules():
            module._freeze_alone(frozen)
        changed()
        return self

    def _freeze_alone(self, frozen: bool) -> None:
        object.__setattr__(self, "frozen", frozen)
        for p in self._parameters.values():
            p.requires_grad_(not frozen)
            p.zero_grad()

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad()

    # Contents

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        yield from self._modules.values()

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names."""
        seen: set[int] = set()

        def walk(module: Module, name: str) -> Iterator[tuple[str, Module]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield name, module
            for key, child in module._modules.items():
                yield from walk(child, f"{name}.{key}" if name else key)

        yield from walk(self, prefix)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once (a shared one under its first name), with its dotted name."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            module._check_built()
            for key, p in module._parameters.items():
                if id(p) not in seen:
                    seen.add(id(p))
                    yield f"{prefix}.{key}" if prefix else key, p

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its dotted name."""
        for prefix, module in self.named_modules():
            for key, b in module._buffers.items():
                yield f"{prefix}.{key}" if prefix else key, b

    def num_parameters(self, trainable: bool = False) -> int:
        """How many numbers the parameters hold."""
        return sum(p.size for p in self.parameters() if p.requires_grad or not trainable)

    def regularization(self) -> Tensor | None:
        """The sum of all parameters' penalties, or None where there is none.

        `fit` adds it to the loss; a hand-written loop does so itself.
        """
        # A training step asks: no names are made up, and a shared parameter counts once.
        chosen = {id(p): p for p in self._all_parameters() if p.regularizer is not None}
        total = None
        for p in chosen.values():
            assert p.regularizer is not None
            term = penalty(p, p.regularizer.l1, p.regularizer.l2)
            total = term if total is None else total + term
        return total

    def _all_parameters(self) -> Iterator[Parameter]:
        for module in self.modules():
            yield from module._parameters.values()

    # Building

    @property
    def built(self) -> bool:
        """Whether all parameters exist; a layer without its input size makes them when called."""
        return all(module._is_built() for module in self.modules())

    def _is_built(self) -> bool:
        return True

    def _check_built(self) -> None:
        if not self._is_built():
            raise ShapeError(
                f"{self!r} has no parameters yet, since its input size is unknown. Call the model "
                "once, call model.build(input_shape), or give the size: Dense(in_features, "
                "out_features)"
            )

    # Saving

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers as NumPy arrays, by dotted name."""
        named = [*self.named_parameters(), *self.named_buffers()]
        return {name: t.numpy() for name, t in named}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Take values from a state dict. Nothing is changed if anything does not fit.

        With `strict`, names must agree exactly; otherwise those present in both are taken. Shapes
        must agree always.
        """
        own = dict([*self.named_parameters(), *self.named_buffers()])
        missing = [f"  missing     {k} {own[k].shape}" for k in own if k not in state]
        surplus = [f"  unexpected  {k} {np.shape(state[k])}" for k in state if k not in own]
        differing = [
            f"  shape       {k}: expected {own[k].shape}, found {np.shape(state[k])}"
            for k in own
            if k in state and tuple(np.shape(state[k])) != own[k].shape
        ]
        problems = (missing + surplus if strict else []) + differing
        if problems:
            raise CheckpointError(
                f"the state does not fit {type(self).__name__}:\n"
                + "\n".join(problems)
                + "\nBuild the model with the sizes it was saved with, or pass strict=False to "
                "take what fits by name"
            )
        forget()
        for key, t in own.items():
            if key in state:
                values = np.asarray(state[key])
                source = t.backend.asarray(values.astype(t.dtype, copy=False))
                t.backend.ops.copy(source, dtype=t.dtype.name, out=(t.data,))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, from which an equal module can be built."""
        args, kwargs = self._arguments
        bound = inspect.signature(type(self)).bind(*args, **kwargs)
        flat: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            flat.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
        return flat

    @classmethod
    def from_config(cls: type[M], config: dict[str, Any]) -> M:
        """A module from what `config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        inner = ", ".join(
            f"{k}={v!r}"
            for k, v in self.config().items()
            if not isinstance(v, (Module, list, tuple, dict))
        )
        head = f"{type(self).__name__}({inner})"
        if not self._modules:
            return head
        lines = [
            f"  ({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self._modules.items()
        ]
        return head[:-1] + "\n" + "\n".join(lines) + "\n)"
