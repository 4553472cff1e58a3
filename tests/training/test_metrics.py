"""Metrics against scikit-learn, streamed in random batches."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from tercet.errors import OptionError, ShapeError
from tercet.training import metrics
from tercet.training.metrics import (
    AUC,
    F1,
    MAE,
    MSE,
    R2,
    RMSE,
    Accuracy,
    Metric,
    Precision,
    Recall,
    TopKAccuracy,
)

sk = pytest.importorskip("sklearn.metrics")

# Sums of a few hundred float64 terms, added up in another order than scikit-learn's.
CLOSE = 1e-11


def stream(metric: Metric, rng, outputs, targets, weight=None) -> float:
    """The result after updates with consecutive batches of random sizes."""
    cuts = np.sort(rng.choice(np.arange(1, len(outputs)), size=min(6, len(outputs) - 1)))
    bounds = np.unique([0, *cuts, len(outputs)])
    for a, b in pairwise(bounds):
        args = () if weight is None else (weight[a:b],)
        metric.update(outputs[a:b], targets[a:b], *args)
    return metric.result()


def check(metric: Metric, rng, outputs, targets, weight, expected: float) -> None:
    """Streamed, again after a reset, and in one batch."""
    assert stream(metric, rng, outputs, targets, weight) == pytest.approx(expected, rel=CLOSE)
    metric.reset()
    assert math.isnan(metric.result())
    assert stream(metric, rng, outputs, targets, weight) == pytest.approx(expected, rel=CLOSE)
    metric.reset()
    metric.update(outputs, targets, weight)
    assert metric.result() == pytest.approx(expected, rel=CLOSE)


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def weigh(request: pytest.FixtureRequest, rng):
    """A function of n: positive sample weights, or None."""
    return lambda n: rng.uniform(0.1, 3, n) if request.param else None


SEEDS = range(4)
BINARY_SHAPES = ["(n,)", "(n, 1)", "(n, 2)", "(n, 2) one-hot"]


def binary(rng, n: int, shape: str, from_logits: bool):
    """Outputs of a shape, targets to go with them; the predicted labels, the scores, the truth."""
    true = rng.integers(0, 2, n)
    if shape.startswith("(n, 2)"):
        outputs = rng.normal(size=(n, 2)) + np.eye(2)[true]
        if not from_logits:
            outputs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        targets = np.eye(2)[true] if "one-hot" in shape else true
        return outputs, targets, outputs.argmax(axis=1), outputs[:, 1] - outputs[:, 0], true
    outputs = rng.normal(size=n) + true - 0.5
    if not from_logits:
        outputs = 1 / (1 + np.exp(-outputs))
    label = (outputs > (0 if from_logits else 0.5)).astype(int)
    if shape == "(n, 1)":
        return outputs[:, None], true.astype(np.float32)[:, None], label, outputs, true
    return outputs, true, label, outputs, true


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("shape", BINARY_SHAPES)
def test_binary(shape: str, from_logits: bool, seed: int, weigh) -> None:
    rng = np.random.default_rng(seed)
    outputs, targets, label, score, true = binary(rng, 120, shape, from_logits)
    w = weigh(120)
    for cls, theirs in (
        (Accuracy, sk.accuracy_score),
        (Precision, sk.precision_score),
        (Recall, sk.recall_score),
        (F1, sk.f1_score),
    ):
        metric = cls(from_logits=from_logits)
        check(metric, rng, outputs, targets, w, theirs(true, label, sample_weight=w))
    check(AUC(), rng, outputs, targets, w, sk.roc_auc_score(true, score, sample_weight=w))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("classes", [3, 7])
def test_classes(classes: int, one_hot: bool, seed: int, weigh) -> None:
    rng = np.random.default_rng(seed)
    n = 150
    true = rng.integers(0, classes, n)
    outputs = rng.normal(size=(n, classes)) + np.eye(classes)[true]
    targets = np.eye(classes, dtype=np.float32)[true] if one_hot else true
    label, w = outputs.argmax(axis=1), weigh(n)
    check(Accuracy(), rng, outputs, targets, w, sk.accuracy_score(true, label, sample_weight=w))
    for k in (1, 2, classes - 1):
        expected = sk.top_k_accuracy_score(
            true, outputs, k=k, labels=range(classes), sample_weight=w
        )
        check(TopKAccuracy(k), rng, outputs, targets, w, expected)
    for cls, theirs in (
        (Precision, sk.precision_score),
        (Recall, sk.recall_score),
        (F1, sk.f1_score),
    ):
        for average in ("macro", "micro", "weighted"):
            expected = theirs(true, label, average=average, sample_weight=w)
            check(cls(average), rng, outputs, targets, w, expected)
        auto = cls()
        stream(auto, rng, outputs, targets, w)
        macro = theirs(true, label, average="macro", sample_weight=w)
        assert auto.result() == pytest.approx(macro, rel=CLOSE)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("cls", [Precision, Recall, F1])
def test_classes_that_are_never_predicted_or_never_occur(cls, average: str) -> None:
    """Class 3 neither occurs nor is predicted, class 2 is never predicted, class 1 never occurs."""
    true = np.array([0, 0, 2, 2, 0])
    label = np.array([0, 1, 0, 1, 0])
    metric = cls(average)
    metric.update(np.eye(4)[label], true)
    theirs = {Precision: sk.precision_score, Recall: sk.recall_score, F1: sk.f1_score}[cls]
    expected = theirs(true, label, average=average, zero_division=0)
    assert metric.result() == pytest.approx(expected, rel=CLOSE)


@pytest.mark.parametrize("cls", [Precision, Recall, F1])
def test_binary_without_any_positive(cls) -> None:
    metric = cls()
    metric.update(np.array([-1.0, -2.0]), np.array([0, 0]))
    assert metric.result() == 0.0
    metric = cls("macro")
    metric.update(np.array([-1.0, 2.0, 3.0]), np.array([0, 1, 0]))
    theirs = {Precision: sk.precision_score, Recall: sk.recall_score, F1: sk.f1_score}[cls]
    expected = theirs([0, 1, 0], [0, 1, 1], average="macro")
    assert metric.result() == pytest.approx(expected, rel=CLOSE)


def test_thresholds() -> None:
    outputs, targets = np.array([0.2, 0.4, 0.6, 0.8]), np.array([0, 1, 0, 1])
    # 0 and 0.5 themselves predict 0.
    for m, expected in (
        (Accuracy(threshold=0.3), 0.75),
        (Accuracy(from_logits=False, threshold=0.7), 0.75),
        (Accuracy(), 0.5),
        (Accuracy(from_logits=False), 0.5),
        (Precision(threshold=0.3), 2 / 3),
        (Recall(threshold=0.7), 0.5),
    ):
        m.update(outputs, targets)
        assert m.result() == pytest.approx(expected)
    for from_logits, edge in ((True, 0.0), (False, 0.5)):
        m = Accuracy(from_logits=from_logits)
        m.update(np.array([edge]), np.array([0]))
        assert m.result() == 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_auc_with_ties(seed: int, weigh) -> None:
    rng = np.random.default_rng(seed)
    scores, true, w = rng.integers(0, 4, 90) / 3, rng.integers(0, 2, 90), weigh(90)
    check(AUC(), rng, scores, true, w, sk.roc_auc_score(true, scores, sample_weight=w))


def test_auc_at_its_ends() -> None:
    def auc(scores, true) -> float:
        m = AUC()
        m.update(np.array(scores), np.array(true))
        return m.result()

    assert auc([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == 1.0
    assert auc([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]) == 0.0
    assert auc([0.5, 0.5, 0.5], [1, 0, 1]) == 0.5
    assert math.isnan(auc([0.1, 0.2], [1, 1]))
    assert math.isnan(auc([0.1, 0.2], [0, 0]))
    # Differences of large logits are taken in float64.
    m = AUC()
    m.update(np.array([[1e8, 1e8], [1e8, 1e8 + 8]], np.float32), np.array([0, 1]))
    assert m.result() == 1.0


REGRESSION = {
    MSE: sk.mean_squared_error,
    RMSE: lambda t, o, sample_weight: math.sqrt(
        sk.mean_squared_error(t, o, sample_weight=sample_weight)
    ),
    MAE: sk.mean_absolute_error,
    R2: sk.r2_score,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shapes", [((), ()), ((1,), ()), ((), (1,)), ((1,), (1,)), ((3,), (3,))])
@pytest.mark.parametrize("cls", REGRESSION)
def test_regression(cls, shapes: tuple, seed: int, weigh) -> None:
    rng = np.random.default_rng(seed)
    n, w = 100, weigh(100)
    targets = rng.normal(5, 2, (n, *shapes[1]))
    noise = rng.normal(0, 1, (n, *shapes[0]))
    outputs = targets.reshape(noise.shape) + noise
    expected = REGRESSION[cls](
        targets.reshape(n, -1), outputs.reshape(n, -1), sample_weight=w
    )  # fmt: skip
    check(cls(), rng, outputs, targets, w, expected)


@pytest.mark.parametrize("cls", [MSE, RMSE, MAE])
def test_regression_over_more_axes(cls, rng) -> None:
    outputs, targets = rng.normal(size=(2, 20, 3, 4))
    expected = REGRESSION[cls](targets.reshape(20, -1), outputs.reshape(20, -1), sample_weight=None)
    check(cls(), rng, outputs, targets, None, expected)


def test_r2_far_from_zero(rng) -> None:
    """The update of mean and spread does not cancel: targets 1e6 away from 0, spread 1."""
    targets = 1e6 + rng.normal(size=400)
    outputs = targets + rng.normal(size=400)
    # y - mean is known to 1e6 * 2^-53 of about 1 = 1e-10; sums of 400 of them to as much.
    expected = sk.r2_score(targets, outputs)
    assert stream(R2(), rng, outputs, targets) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("value", [0.0, 2.0, 0.1, -1 / 3])
@pytest.mark.parametrize("n", [2, 3, 13, 100])
def test_r2_of_targets_that_never_vary(rng, value: float, n: int, weigh) -> None:
    targets, w = np.full(n, value), weigh(n)
    assert stream(R2(), rng, targets, targets, w) == 1.0
    assert stream(R2(), rng, targets + 0.5, targets, w) == 0.0
    # Of two outputs one varies: the mean of 0 and that one's score.
    other = rng.normal(size=n)
    both = np.stack([targets, other], axis=1)
    assert stream(R2(), rng, both + np.array([0.5, 0.0]), both, w) == pytest.approx(0.5)


def test_float32_outputs_are_summed_in_float64(rng) -> None:
    outputs = rng.normal(size=5000).astype(np.float32)
    targets = np.zeros(5000, np.float32)
    exact = math.fsum(float(v) ** 2 for v in outputs) / 5000
    assert stream(MSE(), rng, outputs, targets) == pytest.approx(exact, rel=CLOSE)


@pytest.mark.parametrize("name", [*metrics.METRICS, "top_2_accuracy"])
def test_nothing_gives_nan(name: str) -> None:
    metric = metrics.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(metric.result())
        shape = (0, 3) if name.startswith("top") else (0,)
        metric.update(np.zeros(shape), np.zeros(0, np.int64))
        assert math.isnan(metric.result())
        shape = (4, 3) if name.startswith("top") else (4,)
        metric.update(np.ones(shape), np.arange(4) % 2, np.zeros(4))
        assert math.isnan(metric.result())


def test_top_k_ranks_nan_last_and_ties_first() -> None:
    m = TopKAccuracy(1)
    m.update(np.array([[np.nan, 1.0], [1.0, 1.0], [2.0, 1.0]]), np.array([0, 1, 1]))
    assert m.result() == pytest.approx(1 / 3)
    everything = TopKAccuracy(9)
    everything.update(np.zeros((2, 3)), np.array([[0], [2]]))
    assert everything.result() == 1.0


@pytest.mark.parametrize("name", [*metrics.METRICS, "top_2_accuracy"])
def test_lengths_must_agree(name: str) -> None:
    for outputs, targets in (
        (np.zeros((3, 2)), np.zeros(4, int)),
        (np.zeros((3, 2)), np.zeros((4, 2))),
        (np.array(0.0), np.array(0)),
    ):
        with pytest.raises(ShapeError, match=f"^{name}: .* differ in length"):
            metrics.get(name).update(outputs, targets)


@pytest.mark.parametrize("name", [*metrics.METRICS, "top_2_accuracy"])
def test_shapes_must_agree(name: str) -> None:
    wrong = [(np.zeros((3, 4)), np.zeros((3, 2), int)), (np.zeros((3, 2, 2)), np.zeros(3, int))]
    if name not in ("mse", "rmse", "mae", "r2"):
        wrong.append((np.zeros(3), np.zeros((3, 2), int)))
    for outputs, targets in wrong:
        with pytest.raises(ShapeError, match=rf"^{name}: .*\(3,"):
            metrics.get(name).update(outputs, targets)


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "top_2_accuracy"])
def test_labels_lie_among_the_classes(name: str) -> None:
    for label in (-1, 4):
        with pytest.raises(ShapeError, match=rf"^{name}: .*in \[0, 4\)"):
            metrics.get(name).update(np.zeros((3, 4)), np.array([0, label, 1]))


def test_get() -> None:
    for name, cls in metrics.METRICS.items():
        metric = metrics.get(name)
        assert type(metric) is cls
        assert metric.name == name
        assert metrics.get(metric) is metric
    assert set(metrics.METRICS) == {
        "accuracy", "precision", "recall", "f1", "auc", "mse", "rmse", "mae", "r2"
    }  # fmt: skip
    top = metrics.get("top_12_accuracy")
    assert isinstance(top, TopKAccuracy)
    assert (top.k, top.name) == (12, "top_12_accuracy")
    with pytest.raises(OptionError, match=r"unknown metric 'accurcy'.*Did you mean 'accuracy'"):
        metrics.get("accurcy")
    with pytest.raises(OptionError, match="unknown metric 'top_k_accuracy'"):
        metrics.get("top_k_accuracy")
    with pytest.raises(OptionError, match="k must be at least 1, found 0"):
        metrics.get("top_0_accuracy")


def test_averages() -> None:
    with pytest.raises(OptionError, match=r"unknown average 'makro'.*Did you mean 'macro'"):
        F1("makro")
    m = Recall("binary")
    m.update(np.eye(3), np.arange(3))
    with pytest.raises(OptionError, match="average='binary' needs two classes, found 3"):
        m.result()


@pytest.mark.parametrize("name", [*metrics.METRICS, "top_2_accuracy"])
@pytest.mark.parametrize("shape", [(1,), (2,), (3, 1)])
def test_a_weight_for_each_sample(name: str, shape: tuple) -> None:
    outputs = np.zeros((3, 4)) if name.startswith("top") else np.zeros(3)
    message = rf"^{name}: expected sample_weight of shape \(3,\).*found \({shape[0]},"
    with pytest.raises(ShapeError, match=message):
        metrics.get(name).update(outputs, np.array([0, 1, 0]), np.ones(shape))


def test_nan_outputs_are_never_a_success() -> None:
    top = TopKAccuracy(2)
    top.update(np.array([[0.0, np.nan, np.nan], [0.0, np.nan, -1.0]]), np.array([0, 0]))
    assert top.result() == 0.5
    auc = AUC()
    auc.update(np.array([1.0, np.nan, 0.0, 2.0]), np.array([0, 1, 0, 1]))
    assert math.isnan(auc.result())


def test_the_number_of_classes_stays() -> None:
    m = F1("macro")
    m.update(np.eye(3), np.arange(3))
    with pytest.raises(ShapeError, match=r"^f1: expected outputs of 3 classes.*found .*\(4, 4\)"):
        m.update(np.eye(4), np.arange(4))
    m.reset()
    m.update(np.eye(4), np.arange(4))
    assert m.result() == 1.0


@pytest.mark.parametrize("name", [*metrics.METRICS, "top_2_accuracy"])
def test_named_metrics_read_probabilities(name: str) -> None:
    metric = metrics.get(name, from_logits=False)
    assert metric.name == name
    if name in ("accuracy", "precision", "recall", "f1"):
        metric.update(np.array([0.2, 0.4, 0.6, 0.9]), np.array([0, 0, 1, 1]))
        assert metric.result() == 1.0


@pytest.mark.parametrize("wrong", [None, {"name": "mse"}, MSE])
def test_only_metrics_are_taken(wrong: object) -> None:
    with pytest.raises(OptionError, match="unknown metric"):
        metrics.get(wrong)
