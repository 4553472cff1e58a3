"""The textbook's examples, on every backend, by the scripts in examples/ where there is one."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> ModuleType:
    """The module in examples/."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_neuron(backend: Backend) -> None:
    neuron = example("neuron").neuron
    z, output = neuron([35.0, 80_000.0], [0.2, 0.00001], -5.0)
    assert z == pytest.approx(2.8, abs=1e-5)
    assert output == pytest.approx(0.9427, abs=5e-5)
    z, output = neuron([1.0, 1.0, 3.0], [2.0, 1.5, -0.5], -1.0)
    assert z == 1.0
    assert output == pytest.approx(0.7311, abs=5e-5)


def test_sigmoid_and_softmax(backend: Backend) -> None:
    values = tc.sigmoid([-5.0, -1.0, 0.0, 1.0, 5.0]).numpy()
    np.testing.assert_allclose(values, [0.0067, 0.2689, 0.5, 0.7311, 0.9933], atol=5e-5)
    values = tc.softmax([2.0, 1.0, 0.1]).numpy()
    np.testing.assert_allclose(values, [0.659, 0.242, 0.099], atol=5e-4)


def test_summary_counts_parameters(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    dense = tc.layers.Dense
    model = tc.models.Sequential(
        [
            dense(64, activation="relu"),
            dense(32, activation="relu"),
            dense(16, activation="relu"),
            dense(1, activation="sigmoid"),
        ]
    )
    model.summary((10,))
    out = capsys.readouterr().out
    for count in ("704", "2,080", "528", "17", "3,329 parameters", "(n, 64)", "(n, 1)"):
        assert count in out
    assert [layer.num_parameters() for layer in model] == [704, 2080, 528, 17]


def test_a_perceptron_learns_the_loan_table_but_not_xor(backend: Backend) -> None:
    perceptron = example("perceptron")
    loans = perceptron.LOANS / perceptron.LOANS.max(axis=0)
    assert perceptron.learn(loans, perceptron.APPROVED) == 1.0
    assert perceptron.learn(perceptron.XOR_INPUTS, perceptron.XOR, epochs=200) < 1.0


def test_two_layers_learn_xor(backend: Backend) -> None:
    assert example("perceptron").learn_xor_with_two_layers() == 1.0


def test_a_first_model_reaches_095(backend: Backend) -> None:
    assert example("first_model").main(verbose=0) >= 0.95


def test_a_training_loop_by_hand(backend: Backend) -> None:
    assert example("training_loop").main(epochs=10) >= 0.95


def test_the_neuron_example_prints(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    example("neuron").main()
    out = capsys.readouterr().out
    assert "z = 2.8, sigmoid = 0.9427" in out
    assert "z = 1.0, sigmoid = 0.7311" in out


@pytest.mark.parametrize("name", ["recommender", "autoencoder"])
def test_errors_below_those_of_linear_models(backend: Backend, name: str) -> None:
    found, linear = example(name).main(verbose=0)
    assert found < 0.7 * linear


def test_three_layers_tell_spam_that_a_linear_model_does_not(
    backend: Backend, tmp_path: Path
) -> None:
    spam = example("spam")
    found, linear = spam.main(verbose=0)
    assert found > 0.95
    assert linear < 0.7
    texts, y = spam.made_up(200)
    for i, (text, label) in enumerate(zip(texts, y, strict=True)):
        folder = tmp_path / ("spam-1" if label else "ham")
        folder.mkdir(exist_ok=True)
        (folder / f"{i:03}.txt").write_text(f"Subject: mail {i}\nX-Spam: {label}\n\n{text}\n")
    read, labels = spam.read(tmp_path)
    assert sorted(zip(labels, read, strict=True)) == sorted(
        (label, f"mail {i} {text}\n") for i, (text, label) in enumerate(zip(texts, y, strict=True))
    )
