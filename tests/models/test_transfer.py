"""Freezing, groups of parameters and new heads: eager, captured, saved."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError
from tercet.layers import BatchNorm1d, Dense, Dropout, InstanceNorm1d
from tercet.models import CNN, ResNet, Sequential

torch = pytest.importorskip("torch")


def body_and_head() -> Sequential:
    body = Sequential(Dense(4, 6), BatchNorm1d(6, activation="relu"))
    return Sequential(body, Dense(6, 3))


def data(rng: np.random.Generator, n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(n, 4)).astype(np.float32), rng.integers(0, 3, size=n)


def same(before: dict[str, np.ndarray], after: dict[str, np.ndarray], prefix: str) -> list[bool]:
    """Whether each array whose name begins with `prefix` is as it was, bit for bit."""
    return [np.array_equal(before[k], after[k]) for k in before if k.startswith(prefix)]


@pytest.mark.parametrize("capture", [True, False])
def test_a_frozen_body_stays_as_it_is(backend: Backend, rng, capture: bool) -> None:
    model = body_and_head()
    x, y = data(rng)
    model.compile(tc.AdamW(lr=0.1, weight_decay=0.1), "cross_entropy")
    model.fit(x, y, epochs=2, batch_size=8, verbose=0, capture=capture)
    assert model[0].freeze() is model[0]
    before = model.state_dict()
    model.fit(x, y, epochs=4, batch_size=8, verbose=0, capture=capture)
    frozen = model.state_dict()
    assert all(same(before, frozen, "0.")), "parameters and running statistics"
    assert not any(same(before, frozen, "1."))
    assert model.training
    np.testing.assert_allclose(model(x).numpy(), model.predict(x), rtol=1e-5, atol=1e-6)
    model[0].unfreeze()
    model.fit(x, y, epochs=4, batch_size=8, verbose=0, capture=capture)
    after = model.state_dict()
    assert not any(same(frozen, after, "0.")), "unfrozen, all of it is trained again"


@pytest.mark.parametrize("capture", [True, False])
def test_a_frozen_batch_norm_follows_pytorch_in_evaluation(backend, rng, capture: bool) -> None:
    """A body of torch's in evaluation mode, without gradients, under a head in training mode."""
    model = body_and_head().double()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    ).double()
    ours = [model[0][0], model[0][1], model[1]]
    model[0][1].load_state_dict(
        {"running_mean": rng.normal(size=6), "running_var": rng.uniform(0.5, 2, size=6)}, False
    )
    for mine, other in zip(ours, (theirs[0], theirs[1], theirs[3]), strict=True):
        state = {k: torch.tensor(np.array(v).T) for k, v in mine.state_dict().items()}
        other.load_state_dict(state)
    model[0].freeze()
    theirs[:3].eval().requires_grad_(False)
    optimizer, other = tc.SGD(model.parameters(), 0.1), torch.optim.SGD(theirs[3].parameters(), 0.1)

    def step(xb, yb):
        optimizer.zero_grad()
        loss = tc.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        return loss

    run = tc.capture(step) if capture else step
    x, y = data(rng, 40)
    for i in range(0, 40, 8):
        loss = run(tc.tensor(x[i : i + 8], dtype="float64"), y[i : i + 8])
        reference = torch.nn.functional.cross_entropy(
            theirs(torch.tensor(x[i : i + 8], dtype=torch.float64)), torch.tensor(y[i : i + 8])
        )
        other.zero_grad()
        reference.backward()
        other.step()
        assert loss.item() == pytest.approx(reference.item(), rel=1e-11)
    np.testing.assert_allclose(
        model[1].weight.numpy(), theirs[3].weight.detach().numpy().T, rtol=1e-10, atol=1e-13
    )


def test_freezing_reaches_a_recorded_step(backend: Backend, rng) -> None:
    model = body_and_head()
    optimizer = tc.Adam(model.parameters(), 0.05)

    @tc.capture
    def step(xb, yb):
        optimizer.zero_grad()
        loss = tc.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        return loss

    x, y = data(rng, 8)
    for _ in range(4):
        step(x, y)
    model[0].freeze()
    before = model.state_dict()
    for _ in range(4):
        step(x, y)
    after = model.state_dict()
    assert all(same(before, after, "0."))
    assert not any(same(before, after, "1."))


def test_frozen_instance_norm_keeps_its_statistics(backend: Backend, rng) -> None:
    layer = InstanceNorm1d(3, track_running_stats=True)
    x = tc.tensor(rng.normal(size=(2, 3, 5)), dtype="float32")
    layer(x)
    layer.freeze()
    before = layer.state_dict()
    layer(x)
    assert all(same(before, layer.state_dict(), ""))


def test_dropout_goes_on_in_a_frozen_module(backend: Backend) -> None:
    layer = Dropout(0.5).freeze()
    assert (layer(tc.ones(1000)).numpy() == 0).any()


def test_a_module_without_parameters_yet_cannot_be_frozen(backend: Backend) -> None:
    model = Sequential(Dense(3, 4), Dense(2))
    with pytest.raises(ValueError, match="no parameters yet"):
        model.freeze()
    assert not model[0].frozen


@pytest.mark.parametrize("capture", [True, False])
def test_groups_with_a_schedule_follow_pytorch(backend: Backend, rng, capture: bool) -> None:
    """A small learning rate for the body, a large one for the head, both halved each epoch."""
    model = Sequential(Dense(4, 6, activation="relu"), Dense(6, 3)).double()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    ).double()
    for mine, other in zip(model, (theirs[0], theirs[2]), strict=True):
        other.load_state_dict({k: torch.tensor(v.T) for k, v in mine.state_dict().items()})
    groups = [{"params": model[0].parameters(), "lr": 1e-3, "weight_decay": 0.0},
              {"params": model[1].parameters()}]  # fmt: skip
    model.compile(tc.AdamW(groups, lr=0.05, weight_decay=0.1), "cross_entropy")
    x, y = data(rng)
    x = x.astype(np.float64)
    schedule = tc.StepLR(step_size=1, gamma=0.5)
    model.fit(x, y, epochs=4, batch_size=8, shuffle=False, verbose=0, capture=capture,
              callbacks=[schedule])  # fmt: skip
    optimizer = torch.optim.AdamW(
        [{"params": theirs[0].parameters(), "lr": 1e-3, "weight_decay": 0.0},
         {"params": theirs[2].parameters()}], lr=0.05, weight_decay=0.1)  # fmt: skip
    other = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(4):
        for i in range(0, len(x), 8):
            optimizer.zero_grad()
            out = theirs(torch.tensor(x[i : i + 8]))
            torch.nn.functional.cross_entropy(out, torch.tensor(y[i : i + 8])).backward()
            optimizer.step()
        other.step()
    for mine, layer in zip(model, (theirs[0], theirs[2]), strict=True):
        np.testing.assert_allclose(
            mine.weight.numpy(), layer.weight.detach().numpy().T, rtol=1e-8, atol=1e-10
        )


def test_a_new_head_is_trained_and_saved(backend: Backend, rng, tmp_path: Path) -> None:
    model = ResNet(10, blocks=(1,), widths=(4,), in_channels=1)
    x = rng.normal(size=(12, 1, 6, 6)).astype(np.float32)
    model.compile(tc.Adam(lr=0.01), "cross_entropy", ["accuracy"])
    model.fit(x, rng.integers(0, 10, size=12), verbose=0)
    model.freeze()
    model.fc = Dense(4, 3)
    names = [name for name, _ in model.named_parameters()]
    assert names[-2:] == ["fc.weight", "fc.bias"]
    before, y = model.state_dict(), rng.integers(0, 3, size=12)
    model.fit(x, y, epochs=3, batch_size=4, verbose=0)
    after = model.state_dict()
    assert [k for k in before if not np.array_equal(before[k], after[k])] == names[-2:]
    assert model.predict(x).shape == (12, 3)
    model.save(tmp_path / "m.safetensors")
    loaded = tc.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.conv1.frozen
    assert not loaded.fc.frozen
    assert loaded.num_parameters(trainable=True) == 4 * 3 + 3
    loaded.fit(x, y, verbose=0)
    assert all(same(after, loaded.state_dict(), "layer1."))


def test_a_head_by_index(backend: Backend, rng, tmp_path: Path) -> None:
    x = rng.normal(size=(4, 1, 8, 8)).astype(np.float32)
    for model in (CNN(5, channels=(2,), hidden=4).build((1, 8, 8)),
                  Sequential(tc.layers.Flatten(), Dense(64, 7), Dense(7, 5))):  # fmt: skip
        model.compile("adam", "cross_entropy")
        model.fit(x, np.zeros(4, int), verbose=0)
        model[-1] = Dense(2)
        assert list(model._modules) == [str(i) for i in range(len(model))]
        model.fit(x, np.zeros(4, int), verbose=0)
        assert model.predict(x).shape == (4, 2)
        model.save(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(
            tc.load(tmp_path / "m.safetensors").predict(x), model.predict(x)
        )
    with pytest.raises(OptionError, match="holds layers"):
        model[0] = np.tanh
    with pytest.raises(IndexError):
        model[9] = Dense(2)


def test_an_optimizer_of_a_head_that_is_gone(backend: Backend, rng) -> None:
    model = body_and_head()
    model.compile(tc.Adam(model.parameters(), lr=0.01), "cross_entropy")
    x, y = data(rng)
    model.fit(x, y, verbose=0)
    model[1] = Dense(6, 3)
    with pytest.raises(OptionError, match=r"1\.weight and 1 more, which is new"):
        model.fit(x, y, verbose=0)
    model[0].unfreeze()
    model.compile(tc.Adam(model[1].parameters(), lr=0.01), "cross_entropy")
    before = model.state_dict()
    model.fit(x, y, verbose=0)  # a part of the model, and on purpose
    assert np.array_equal(before["0.0.weight"], model.state_dict()["0.0.weight"])


def test_the_example(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "examples" / "fine_tuning.py"
    spec = importlib.util.spec_from_file_location("fine_tuning", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    results = module.main([])
    assert results["new head, frozen body"] > results["linear model"]
    assert results["all of it, the body slowly"] > results["linear model"]
    assert capsys.readouterr().out.count("accuracy") == 4


def test_a_model_frozen_whole_cannot_be_trained(backend: Backend, rng) -> None:
    model = body_and_head().freeze()
    model.compile("adam", "cross_entropy")
    x, y = data(rng)
    with pytest.raises(OptionError, match="no parameter requires a gradient"):
        model.fit(x, y, verbose=0)


def test_groups_bound_by_hand_stay(backend: Backend, rng) -> None:
    model, optimizer = body_and_head(), tc.Adam(lr=0.1)
    model.compile(optimizer, "cross_entropy")
    optimizer.bind([{"params": model[1].parameters()}, {"params": model[0].parameters(), "lr": 0}])
    x, y = data(rng)
    before = model.state_dict()
    for _ in range(2):
        model.fit(x, y, verbose=0)
    assert [g.lr for g in optimizer.groups] == [0.1, 0]
    assert all(same(before, model.state_dict(), "0.0."))


def test_an_optimizer_keeps_its_state_while_nothing_changes(backend: Backend, rng) -> None:
    model = body_and_head()
    model.compile("adam", "cross_entropy")
    x, y = data(rng)
    steps = []
    for _ in range(2):
        model.fit(x, y, batch_size=8, verbose=0)
        steps.append(model.trainer.optimizer.groups[0].steps)
    model[0].freeze()
    model.fit(x, y, batch_size=8, verbose=0)
    assert [*steps, model.trainer.optimizer.groups[0].steps] == [3, 6, 3]
