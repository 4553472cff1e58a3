"""What all optimizers share: parameter groups, flat state, clipping, saving."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...autograd.precision import forget
from ...backends import Array, Backend
from ...backends.recording import changed
from ...errors import CheckpointError, OptionError, choose
from ...layers import Parameter
from .flat import FlatParameters


class Options(dict[str, Any]):
    """A group's options by name; recorded steps are told of changes."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        changed()


class Group:
    """A run of parameters with options of their own; `lr` may change between steps.

    The learning rate and the step count also live in `hyper` (3,) on the backend, where kernels
    read them, with a number that says whether the present step is skipped.
    """

    def __init__(self, parameters: list[Parameter], first: int, options: dict[str, Any]) -> None:
        self.parameters = parameters
        self.first, self.last = first, first + len(parameters)
        self._lr = float(options.pop("lr"))
        self.options = Options(options)
        self._backend: Backend | None = None
        self.hyper: Array = None

    def place(self, backend: Backend) -> None:
        """Put `hyper` on a backend, with no update made yet."""
        self._backend = backend
        self.hyper = backend.asarray(np.array([self._lr, 0.0, 0.0], np.float64))

    @property
    def steps(self) -> int:
        """How many updates have been made."""
        return 0 if self._backend is None else int(self._backend.to_numpy(self.hyper)[1])

    @property
    def lr(self) -> float:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = float(value)
        backend = self._backend
        if backend is not None:
            if backend.recorder is not None:
                backend.recorder.refuse(
                    "the learning rate is set inside a captured step, which would set it to the "
                    "same value in every replay. Set it between two calls of the step"
                )
            backend.ops.fill(shape=(1,), dtype="float64", value=self._lr, out=(self.hyper[:1],))


class Optimizer:
    """Base of the optimizers. A subclass names its state arrays and makes one fused call.

    `parameters` are a model's, or a list of dicts {"params": ..., option: value, ...}, one for each
    group. Without parameters the optimizer waits for `bind`, which `Model.fit` calls.

    `clip_norm` scales all gradients together so that their global norm is at most that;
    `clip_value` limits each element. Both happen inside `step`.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    registry: ClassVar[dict[str, type[Optimizer]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        Optimizer.registry[cls.__name__.lower()] = cls

    def __init__(
        self,
        parameters: Iterable[Any] | None,
        defaults: dict[str, Any],
        clip_norm: float | None,
        clip_value: float | None,
    ) -> None:
        for name, value in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if value is not None and not value > 0:
                raise OptionError(f"{type(self).__name__}: {name} must be positive, found {value}")
        self.defaults = defaults
        self._check(defaults)
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.groups: list[Group] = []
        self.state: dict[str, Array] = {}
        self._flat: FlatParameters | None = None
        if parameters is not None:
            self.bind(parameters)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "lr":  # it lives in an array
            changed()

    def update(self, param: Array, grad: Array, state: Sequence[Array], group: Group) -> None:
        """One fused kernel over a run of the flat buffers."""
        raise NotImplementedError

    def _check(self, options: Mapping[str, Any]) -> None:
        """Refuse numbers outside their range; the ranges are shared by all optimizers."""
        ranges: dict[str, tuple[Callable[[Any], bool], str]] = {
            "lr": (lambda v: v >= 0, "at least 0"),
            "eps": (lambda v: v >= 0, "at least 0"),
            "weight_decay": (lambda v: v >= 0, "at least 0"),
            "lr_decay": (lambda v: v >= 0, "at least 0"),
            "initial_value": (lambda v: v >= 0, "at least 0"),
            "momentum": (lambda v: 0 <= v < 1, "in [0, 1)"),
            "alpha": (lambda v: 0 <= v < 1, "in [0, 1)"),
            "betas": (lambda v: len(v) == 2 and all(0 <= b < 1 for b in v), "two in [0, 1)"),
        }
        for name, value in options.items():
            if name in ranges:
                fits, expected = ranges[name]
                if not fits(value):
                    raise OptionError(
                        f"{type(self).__name__}: {name} must be {expected}, found {value}"
                    )

    def bind(self, parameters: Iterable[Any]) -> None:
        """Take the parameters to train, or groups of them; those without gradients are left out.

        Done again with others, the state begins anew.
        """
        given = list(parameters)
        if not given:
            raise OptionError(f"{type(self).__name__}: there are no parameters to train")
        groups = given if isinstance(given[0], dict) else [{"params": given}]
        self.groups, first, seen = [], 0, set()
        for g in groups:
            options = self.defaults | {k: v for k, v in g.items() if k != "params"}
            unknown = options.keys() - self.defaults.keys()
            if unknown:
                name = sorted(unknown)[0]
                raise OptionError(choose(f"{type(self).__name__} option", name, self.defaults))
            self._check(options)
            params = g["params"]
            chosen = [params] if isinstance(params, Parameter) else list(params)
            for p in chosen:
                if not isinstance(p, Parameter):
                    raise OptionError(
                        f"{type(self).__name__} trains Parameters, found {type(p).__name__}; pass "
                        "model.parameters()"
                    )
                if id(p) in seen:
                    raise OptionError(f"{type(self).__name__}: a parameter stands in two groups")
                seen.add(id(p))
            chosen = [p for p in chosen if p.requires_grad]
            if chosen:
                self.groups.append(Group(chosen, first, dict(options)))
                first += len(chosen)
        if not self.groups:
            raise OptionError(f"{type(self).__name__}: no parameter requires a gradient")
        self._flat = None
        self._flatten()

    @property
    def bound(self) -> bool:
        """Whether the optimizer has its parameters."""
        return bool(self.groups)

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter trained, in the order of the groups."""
        return [p for g in self.groups for p in g.parameters]

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of every group."""
        return self.groups[0].lr if self.groups else float(self.defaults["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        self._check({"lr": value})
        self.defaults["lr"] = value
        for g in self.groups:
            g.lr = value

    def zero_grad(self) -> None:
        """Forget all gradients: the next backward pass writes them anew."""
        for p in self.parameters:
            p.zero_grad()

    def step(self, skip: Array = None) -> None:
        """One update of every parameter that has a gradient.

        `skip` (1,) float64 on the backend: where it is not 0, nothing changes; see `LossScaler`.
        """
        if not self.groups:
            raise OptionError(
                f"{type(self).__name__} has no parameters: pass model.parameters() when making it"
            )
        flat = self._flatten()
        forget()
        self._clip(flat)
        ops = flat.backend.ops
        for g in self.groups:
            if skip is not None:
                ops.copy(skip, dtype="float64", out=(g.hyper[2:],))
            ops.advance(g.hyper)
            for run in flat.written(g.first, g.last):
                state = [
                    flat.part(self.state[name], run) if name in self.state else None
                    for name in self.state_names
                ]
                self.update(flat.part(flat.values, run), flat.part(flat.grads, run), state, g)
            if skip is not None:
                ops.fill(shape=(1,), dtype="float64", value=0.0, out=(g.hyper[2:],))

    def gradients(self) -> list[Array]:
        """The runs of the flat buffer that hold gradients now, to be changed in place."""
        flat = self._flatten()
        runs = flat.written(0, len(flat.parameters))
        return [flat.part(flat.grads, run) for run in runs]

    def _clip(self, flat: FlatParameters) -> None:
        if self.clip_norm is None and self.clip_value is None:
            return
        grads = self.gradients()
        if self.clip_norm is not None:
            clip_arrays(flat.backend.ops, grads, self.clip_norm)
        if self.clip_value is not None:
            for grad in grads:
                flat.backend.ops.clip_by_value(grad, limit=self.clip_value)

    def _flatten(self) -> FlatParameters:
        """The flat buffers; made anew, with the state moved along, if the model has moved."""
        flat = self._flat
        if flat is not None and flat.current:
            return flat
        old = {} if flat is None else self.state_dict()
        flat = self._flat = FlatParameters(self.parameters)
        for g in self.groups:
            g.place(flat.backend)
        initial = self.initial_state()
        self.state = {
            name: flat.backend.full((flat.size,), value, flat.dtype)
            for name, value in initial.items()
        }
        if old:
            self.load_state_dict(old)
        return flat

    def initial_state(self) -> dict[str, float]:
        """The state arrays that the options call for, with the value that each begins with."""
        return dict.fromkeys(self.state_names, 0.0)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Steps made, learning rates, and each state array cut by parameter, as NumPy arrays."""
        out: dict[str, np.ndarray] = {
            "steps": np.array([g.steps for g in self.groups], np.int64),
            "lr": np.array([g.lr for g in self.groups], np.float64),
        }
        flat = self._flat
        if flat is not None:
            for name, array in self.state.items():
                host = flat.backend.to_numpy(array)
                for i, (p, start) in enumerate(zip(flat.parameters, flat.starts, strict=True)):
                    out[f"{name}.{i}"] = host[start : start + p.size].reshape(p.shape)
        return out

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from what `state_dict` returned for an optimizer of the same parameters."""
        flat = self._flatten()
        expected = self.state_dict()
        wrong = sorted(
            k
            for k in expected.keys() | state.keys()
            if k not in expected or k not in state or expected[k].shape != np.shape(state[k])
        )
        if wrong:
            raise CheckpointError(
                f"the state does not fit this {type(self).__name__}: {', '.join(wrong[:5])} "
                "missing, unexpected or of another shape. Use the optimizer, options and model "
                "that it was saved from"
            )
        for name, array in self.state.items():
            host = flat.backend.to_numpy(array)
            for i, (p, start) in enumerate(zip(flat.parameters, flat.starts, strict=True)):
                host[start : start + p.size] = np.asarray(state[f"{name}.{i}"]).reshape(-1)
            source = flat.backend.asarray(host)
            flat.backend.ops.copy(source, dtype=flat.dtype.name, out=(array,))
        for g, steps, lr in zip(self.groups, state["steps"], state["lr"], strict=True):
            g._lr = float(lr)
            hyper = flat.backend.asarray(np.array([lr, steps, 0.0], np.float64))
            flat.backend.ops.copy(hyper, dtype="float64", out=(g.hyper,))

    def config(self) -> dict[str, Any]:
        """The name and options from which an equal optimizer can be made."""
        options = self.defaults | {"clip_norm": self.clip_norm, "clip_value": self.clip_value}
        return {"name": type(self).__name__.lower()} | options

    def __repr__(self) -> str:
        options = {k: v for k, v in self.config().items() if k != "name" and v is not None}
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in options.items())})"


def clip_arrays(ops: Any, grads: Sequence[Array], max_norm: float) -> Array:
    """Scale gradients together to a global norm of at most `max_norm`; their squared norm before.

    The norm stays on the backend: nothing is read back.
    """
    total = None
    for grad in grads:
        square = ops.sum_of_squares(grad)
        if total is None:
            total = square
        else:
            ops.accumulate(total, square)
    for grad in grads:
        ops.clip_by_norm(grad, total, max_norm=float(max_norm))
    return total
