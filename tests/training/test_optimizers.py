"""Optimizers, clipping and flat buffers against PyTorch, step by step."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import CheckpointError, OptionError
from tercet.training import optimizers

torch = pytest.importorskip("torch")

CASES = {
    "sgd": (lambda p: tc.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        lambda p: tc.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    ),
    "nesterov": (
        lambda p: tc.SGD(p, 0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    ),
    "adam": (
        lambda p: tc.Adam(p, 0.01, (0.8, 0.95), weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.95), weight_decay=0.1),
    ),
    "adamw": (
        lambda p: tc.AdamW(p, 0.01, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    ),
    "rmsprop": (lambda p: tc.RMSprop(p, 0.01), lambda p: torch.optim.RMSprop(p, 0.01)),
    "rmsprop centered": (
        lambda p: tc.RMSprop(p, 0.01, momentum=0.9, centered=True, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9, centered=True, weight_decay=0.1),
    ),
    "adagrad": (
        lambda p: tc.Adagrad(p, 0.1, lr_decay=0.1, weight_decay=0.01, initial_value=0.2),
        lambda p: torch.optim.Adagrad(
            p, 0.1, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.2
        ),
    ),
}
STEPS = 20


def start(rng: np.random.Generator, dtype: str = "float64"):
    """The same two parameters, of odd sizes, in both frameworks."""
    values = [rng.normal(size=(5, 3)), rng.normal(size=7)]
    ours = [tc.Parameter(v, dtype=dtype) for v in values]
    theirs = [torch.nn.Parameter(torch.tensor(v, dtype=getattr(torch, dtype))) for v in values]
    return ours, theirs


def losses(ours, theirs):
    """A loss with curvature and a minimum away from 0, in both frameworks."""
    mine = ((ours[0] - 1).square().square().sum() + (ours[1] * ours[1]).sum()) * 0.1
    other = ((theirs[0] - 1).square().square().sum() + (theirs[1] * theirs[1]).sum()) * 0.1
    return mine, other


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 2e-5)])
@pytest.mark.parametrize("name", CASES)
def test_follows_pytorch(backend: Backend, rng, name: str, dtype: str, tolerance: float) -> None:
    ours, theirs = start(rng, dtype)
    mine, other = CASES[name][0](ours), CASES[name][1](theirs)
    for _ in range(STEPS):
        mine.zero_grad()
        other.zero_grad()
        a, b = losses(ours, theirs)
        a.backward()
        b.backward()
        mine.step()
        other.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_groups_have_options_of_their_own(backend: Backend, rng) -> None:
    ours, theirs = start(rng)
    groups = lambda p: [{"params": [p[0]], "lr": 0.01}, {"params": p[1], "weight_decay": 0.0}]  # noqa: E731
    mine, other = tc.AdamW(groups(ours), lr=0.1), torch.optim.AdamW(groups(theirs), lr=0.1)
    for _ in range(5):
        mine.zero_grad()
        other.zero_grad()
        for loss in losses(ours, theirs):
            loss.backward()
        mine.step()
        other.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-11)
    mine.lr = 0.5
    assert [g.lr for g in mine.groups] == [0.5, 0.5]


def test_parameters_without_a_gradient_stay_as_they_are(backend: Backend, rng) -> None:
    ours, theirs = start(rng)
    mine, other = tc.Adam(ours, 0.1), torch.optim.Adam(theirs, 0.1)
    for step in range(4):
        mine.zero_grad()
        other.zero_grad()
        which = step % 2
        (ours[which] * ours[which]).sum().backward()
        (theirs[which] * theirs[which]).sum().backward()
        before = ours[1 - which].numpy()
        mine.step()
        np.testing.assert_array_equal(ours[1 - which].numpy(), before)
    frozen = tc.Parameter([1.0])
    frozen.requires_grad_(False)
    assert len(tc.SGD([frozen, ours[0]]).parameters) == 1


def test_clipping(backend: Backend, rng) -> None:
    ours, theirs = start(rng)
    for loss in losses(ours, theirs):
        (loss * 10).backward()
    norm = tc.clip_grad_norm_(ours, 1.5)
    other = torch.nn.utils.clip_grad_norm_(theirs, 1.5)
    assert norm.item() == pytest.approx(other.item(), rel=1e-12)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
    tc.clip_grad_value_(ours, 0.05)
    torch.nn.utils.clip_grad_value_(theirs, 0.05)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


def test_clipping_inside_the_step(backend: Backend, rng) -> None:
    ours, theirs = start(rng)
    mine = tc.SGD(ours, 0.1, clip_norm=0.7)
    other = torch.optim.SGD(theirs, 0.1)
    for loss in losses(ours, theirs):
        (loss * 10).backward()
    torch.nn.utils.clip_grad_norm_(theirs, 0.7)
    mine.step()
    other.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12)
    # A parameter without a gradient takes no part in the norm, whatever its buffer holds.
    mine.zero_grad()
    (ours[1] * 100).sum().backward()
    before = ours[1].numpy()
    mine.step()
    moved = before - ours[1].numpy()
    assert np.linalg.norm(moved) == pytest.approx(0.07, rel=1e-6)


def test_parameters_are_views_of_one_buffer(backend: Backend, rng) -> None:
    ours, _ = start(rng)
    values = [p.numpy() for p in ours]
    optimizer = tc.SGD(ours, 1.0)
    flat = ours[0].flat
    assert flat is ours[1].flat
    for p, v in zip(ours, values, strict=True):
        np.testing.assert_array_equal(p.numpy(), v)
    backend.ops.fill(shape=(flat.size,), dtype="float64", value=3.0, out=(flat.values,))
    assert ours[1].tolist() == [3.0] * 7
    (ours[0] * 2).sum().backward()
    np.testing.assert_array_equal(backend.to_numpy(flat.grads)[:15], np.full(15, 2.0))
    optimizer.step()
    assert (ours[0].numpy() == 1.0).all()


def test_state_goes_with_a_move_and_with_a_save(backend: Backend, rng) -> None:
    """Moved in the middle, or saved and continued, training ends where it would have."""

    def train(steps, params, optimizer):
        for _ in range(steps):
            optimizer.zero_grad()
            losses(params, params)[0].backward()
            optimizer.step()

    values = [rng.normal(size=(5, 3)), rng.normal(size=7)]
    make = lambda: [tc.Parameter(v, dtype="float64") for v in values]  # noqa: E731
    straight = make()
    train(6, straight, tc.AdamW(straight, 0.1))

    moved = make()
    optimizer = tc.AdamW(moved, 0.1)
    train(3, moved, optimizer)
    for p in moved:
        p.replace(p.numpy(), tc.get_backend("numpy"))
    train(3, moved, optimizer)
    for p, q in zip(moved, straight, strict=True):
        assert p.backend.name == "numpy"
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-12)

    saved = make()
    first = tc.AdamW(saved, 0.1)
    train(3, saved, first)
    continued = [tc.Parameter(p.numpy(), dtype="float64") for p in saved]
    second = tc.AdamW(continued, 0.5)
    second.load_state_dict(first.state_dict())
    train(3, continued, second)
    for p, q in zip(continued, straight, strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-12)
    with pytest.raises(CheckpointError, match="does not fit this SGD"):
        tc.SGD(continued, 0.1).load_state_dict(first.state_dict())


def test_wrong_options(backend: Backend) -> None:
    w = tc.Parameter([1.0])
    with pytest.raises(OptionError, match="lr must be at least 0, found -1"):
        tc.SGD([w], lr=-1)
    with pytest.raises(OptionError, match=r"betas must be two in \[0, 1\)"):
        tc.Adam([w], betas=(0.9, 1.0))
    with pytest.raises(OptionError, match="no parameters to train"):
        tc.Adam([])
    with pytest.raises(OptionError, match="nesterov needs a momentum"):
        tc.SGD([w], nesterov=True)
    with pytest.raises(OptionError, match="two groups"):
        tc.SGD([{"params": [w]}, {"params": [w]}])
    with pytest.raises(OptionError, match="Did you mean 'momentum'"):
        tc.SGD([{"params": [w], "momentun": 0.9}])
    with pytest.raises(OptionError, match="trains Parameters, found Tensor"):
        tc.SGD([tc.tensor([1.0])])
    with pytest.raises(OptionError, match=r"has no parameters: pass model\.parameters"):
        tc.SGD(lr=0.1).step()
    with pytest.raises(OptionError, match="Did you mean 'adamw'"):
        optimizers.get("adanw")
    with pytest.raises(OptionError, match="max_norm must be positive"):
        tc.clip_grad_norm_([w], 0)
    assert optimizers.get(tc.AdamW(lr=0.3, clip_norm=1.0).config()).clip_norm == 1.0
