"""Every kernel of every usable backend against its float64 reference; see conformance.py."""

import numpy as np
import pytest
from tercet.backends import Backend, get_backend
from tercet.errors import DTypeError
from tercet.kernels import TABLE
from tercet.kernels.activation.reference import FROM_INPUT, KINDS
from tercet.kernels.activation.spec import ALPHA
from tercet.kernels.spec import FLOATS, HALVES, Kernel, dtype_named

from .conformance import SPECIAL, cast, compare, gradient_pairs, oracle, run, samples

KERNELS = list(TABLE.values())
BY_NAME = {"argvalues": KERNELS, "ids": [k.name for k in KERNELS]}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kernel", **BY_NAME)
def test_agrees_with_the_float64_reference(backend: Backend, kernel: Kernel, dtype: str) -> None:
    for sample in samples(kernel):
        inputs = cast(kernel, sample, dtype)
        got = run(backend, kernel, inputs, sample.attributes)
        compare(kernel, inputs, sample.attributes, got, dtype)


@pytest.mark.parametrize("kernel", **BY_NAME)
def test_takes_non_contiguous_inputs(backend: Backend, kernel: Kernel) -> None:
    for count, sample in enumerate(samples(kernel)):
        if count % 5:
            continue
        inputs = cast(kernel, sample, "float32")
        views = []
        for name, x in zip(kernel.inputs, inputs, strict=True):
            if x is None or name in kernel.updates or x.ndim == 0:
                views.append(None if x is None else backend.asarray(x))
            else:
                # Every second element of an array twice as long along the last axis.
                wide = np.repeat(x, 2, axis=-1)
                views.append(backend.asarray(wide)[..., ::2])
        result = getattr(backend.ops, kernel.name)(*views, **sample.attributes)
        results = (result,) if len(kernel.outputs) == 1 else result or ()
        named = dict(zip(kernel.outputs, results, strict=True))
        named |= {k: views[kernel.inputs.index(k)] for k in kernel.updates}
        got = {k: None if x is None else backend.to_numpy(x) for k, x in named.items()}
        compare(kernel, inputs, sample.attributes, got, "float32")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.special], ids=lambda k: k.name)
def test_special_values(backend: Backend, kernel: Kernel, dtype: str) -> None:
    """NaN, infinities, zeros of both signs, denormals and large numbers, in every place."""
    seen = set()
    for sample in samples(kernel):
        if sample.attributes.get("kind") in seen:
            continue
        seen.add(sample.attributes.get("kind"))
        first, *rest = (
            np.resize(np.roll(SPECIAL, 3 * i), (len(SPECIAL), len(SPECIAL)))
            for i in range(len(kernel.inputs))
        )
        inputs = [first.T.astype(dtype), *(x.astype(dtype) for x in rest)]
        inputs = [np.ascontiguousarray(x) for x in inputs]
        got = run(backend, kernel, inputs, sample.attributes)
        want = oracle(kernel, inputs, sample.attributes)["out"]
        value = got["out"]
        if value.dtype.kind == "f":
            with np.errstate(over="ignore"):
                want = want.astype(dtype)
        # Denormals may be flushed to zero; all else agrees in kind and value.
        tiny = np.finfo(dtype).smallest_normal
        close = np.isclose(
            value, want, rtol=1e-5 if dtype == "float32" else 1e-12, atol=tiny, equal_nan=True
        )
        assert close.all(), (
            f"{kernel.name} {sample.attributes}: {value[~close][:4]} for {want[~close][:4]} at "
            f"{[x[~close][:4] for x in inputs]}"
        )


@pytest.mark.parametrize("activation", list(KINDS))
def test_nan_reaches_through_a_dense_layer(backend: Backend, activation: str) -> None:
    """Also where a library applies the activation: a maximum of its own could drop it."""
    x, weight, bias = (np.ones(shape, np.float32) for shape in ((3, 8), (8, 16), (16,)))
    x[1, 2] = np.nan
    alpha = ALPHA.get(activation, 0.0)
    out, _, _ = backend.ops.dense_forward(
        *map(backend.asarray, (x, weight, bias)),
        activation=activation,
        alpha=alpha,
        save_pre=False,
        save_signs=False,
    )
    np.testing.assert_array_equal(np.isnan(backend.to_numpy(out)).all(axis=1), [False, True, False])


@pytest.mark.parametrize(("forward", "backward"), gradient_pairs(), ids=lambda k: k.name)
def test_backward_is_the_derivative_of_forward(
    backend: Backend, forward: Kernel, backward: Kernel
) -> None:
    """Along a random direction v, in float64: <dout, (f(x + hv) - f(x - hv)) / 2h> = <dx, v>.

    Of several outputs, the sum over those whose gradients the backward kernel takes.
    """
    rng = np.random.default_rng(1)
    step = np.finfo(np.float64).eps ** (1 / 3)
    checked = 0
    for sample in samples(forward):
        inputs = dict(zip(forward.inputs, cast(forward, sample, "float64"), strict=True))
        if any(
            x is not None and np.abs(x).max(initial=0) > 1e3
            for x in inputs.values()
            if x is not None and x.dtype.kind == "f"
        ):
            continue
        if sample.attributes.get("kind") in (
            "equal",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
        ):
            continue
        differentiable = [
            k for k in inputs if inputs[k] is not None and f"d{k}" in backward.outputs
        ]
        if any(inputs[k].dtype.kind != "f" for k in differentiable):
            continue
        x = inputs[forward.inputs[0]]
        for kink in sample.kinks:
            near = np.abs(x - kink) < 10 * step
            x[near] += 20 * step
        saved = run(backend, forward, list(inputs.values()), sample.attributes)
        out = saved["out"]
        if not np.isfinite(out).all() or out.size == 0:
            continue
        # A gradient by every output that has one.
        douts = {
            name: rng.normal(size=saved[name].shape)
            for name in forward.outputs
            if f"d{name}" in backward.inputs and saved[name] is not None
        }
        direction = {k: rng.normal(size=inputs[k].shape) for k in differentiable}
        moved = []
        for sign in (1, -1):
            shifted = {
                k: x + sign * step * direction[k] if k in direction else x
                for k, x in inputs.items()
            }
            moved.append(run(backend, forward, list(shifted.values()), sample.attributes))
        for k in douts:
            # Where a smooth function bends by step^2, one that meets a kink on the way does by
            # step: a ReLU of a sum, which samples cannot keep clear of it. Those are left out.
            # (A product of two zeros only bends: what is of the order of step^2 is no kink.)
            bend, change = moved[0][k] + moved[1][k] - 2 * saved[k], moved[0][k] - moved[1][k]
            crossed = np.abs(bend) > 0.01 * np.abs(change) + 100 * step**2
            assert crossed.sum() <= 1 + 0.01 * crossed.size, f"{forward.name} is not smooth"
            douts[k][crossed] = 0.0
        given = {k: None for k in backward.inputs if k[0] == "d"}
        known = inputs | saved | given | {f"d{name}": dout for name, dout in douts.items()}
        if "summed" in backward.inputs and known["summed"] is None:
            known["summed"] = x  # what was normalized, without a residual
        if "saved" in backward.inputs:
            kind = sample.attributes.get("activation", sample.attributes.get("kind"))
            source = "pre" if "pre" in saved else forward.inputs[0]
            if kind in FROM_INPUT and known.get(source) is None:
                continue
            known["saved"] = known[source] if kind in FROM_INPUT else out
        attributes = {k: v for k, v in sample.attributes.items() if k in backward.attributes}
        if "needs" in backward.attributes:
            attributes["needs"] = tuple(
                name[1:] in differentiable for name in backward.outputs if name != "dz"
            )
        if "size" in backward.attributes:
            attributes["size"] = x.shape[2:]
        if "rows" in backward.attributes:
            attributes["rows"] = x.shape[0]
        gradients = run(backend, backward, [known[k] for k in backward.inputs], attributes)
        change = sum(float((d * (moved[0][k] - moved[1][k])).sum()) for k, d in douts.items())
        numeric = change / (2 * step)
        analytic = 0.0
        size = 1.0
        for k, v in direction.items():
            gradient = gradients[f"d{k}"]
            if gradient.shape != v.shape:  # broadcast operands: gradients in the broadcast shape
                v = np.broadcast_to(v, gradient.shape)
            analytic += float((gradient * v).sum())
            size += float(np.abs(gradient * v).sum())
        # Central differences err by step^2 times the third derivative, and by eps / step.
        assert abs(numeric - analytic) <= 1e3 * step**2 * size, (
            f"{forward.name} {sample.attributes}: numeric {numeric}, analytic {analytic}"
        )
        checked += 1
    assert checked, f"no sample of {forward.name} could be checked"


def test_undeclared_dtypes_are_refused(backend: Backend) -> None:
    x = backend.asarray(np.ones((2, 2), np.longdouble))
    with pytest.raises(DTypeError, match=r"softmax_forward .* takes .*float64.*; found x float128"):
        backend.ops.softmax_forward(x)


@pytest.mark.parametrize("dtype", HALVES)
def test_16_bits_are_refused_where_no_kernel_takes_them(dtype: str) -> None:
    backend = get_backend("numpy")
    x = backend.asarray(np.ones((2, 2), dtype_named(dtype)))
    message = f"softmax_forward on the numpy backend takes .*float32 or float64; found x {dtype}"
    with pytest.raises(DTypeError, match=message):
        backend.ops.softmax_forward(x)


def test_mixed_dtypes_are_refused(backend: Backend) -> None:
    a = backend.asarray(np.ones((2, 2), np.float32))
    b = backend.asarray(np.ones((2, 2), np.float64))
    with pytest.raises(DTypeError, match="of one dtype"):
        backend.ops.binary_forward(a, b, kind="add")


def test_copies_into_views(backend: Backend) -> None:
    """A slice's gradient is copied into a view of zeros: nothing else there may change."""
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for shape, view in (
        ((2, 3, 8), lambda x: x[:, :, ::2]),
        ((2, 5, 4), lambda x: x[:, 1:4]),
        ((4, 3, 2), lambda x: x.T),
    ):
        expected = np.zeros(shape, np.float32)
        target = backend.asarray(expected)
        backend.ops.copy(backend.asarray(values), dtype="float32", out=(view(target),))
        view(expected)[...] = values
        assert np.array_equal(backend.to_numpy(target), expected)
