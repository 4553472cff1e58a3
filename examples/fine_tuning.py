"""A trained body under a new head, beside the linear model and training from nothing.

    python fine_tuning.py                  a network that knows the digits 0-4 learns 5-9
    python fine_tuning.py mobilenet.h5     Keras' MobileNetV2 learns Fashion-MNIST (a minute or two)

The second needs the extra `interop`, Fashion-MNIST, and weights of alpha 1.0: those that
keras.applications downloads, or those of any model that holds one.
"""

import sys

import numpy as np
import tercet as tc
from tercet.data import DataSource
from tercet.models import CNN, MobileNetV2
from tercet.models.baseline import linear_baseline

FEW = 3  # images of each new digit
IMAGES = 600  # of Fashion-MNIST


def few_digits(seed: int = 0) -> tuple[DataSource, DataSource]:
    """The digits 0-4 with all their images, and 5-9, numbered from 0, with FEW of each."""
    digits = tc.data.load("digits")
    old, new = digits.y_train < 5, digits.y_train >= 5
    chosen = np.flatnonzero(new)
    chosen = np.random.default_rng(seed).permutation(chosen)
    kept = np.concatenate([chosen[digits.y_train[chosen] == c][:FEW] for c in range(5, 10)])
    tests = digits.y_test < 5
    x, y = digits.x_train, digits.y_train
    known = DataSource("0-4", x[old], y[old], digits.x_test[tests], digits.y_test[tests],
                       "classification", 5)  # fmt: skip
    unknown = DataSource("5-9", x[kept], y[kept] - 5, digits.x_test[~tests],
                         digits.y_test[~tests] - 5, "classification", 5)  # fmt: skip
    return known, unknown


def make_model() -> CNN:
    return CNN(5, channels=(16, 32), hidden=64, before=[tc.layers.Reshape(1, 8, 8)])


def fit(model: tc.models.Model, source: DataSource, epochs: int, optimizer: tc.Optimizer) -> float:
    """Held-out accuracy."""
    model.compile(optimizer, "cross_entropy", ["accuracy"])
    model.fit(source.x_train, source.y_train, epochs=epochs, batch_size=16, verbose=0)
    return model.evaluate(source.x_test, source.y_test)["accuracy"]


def with_digits() -> dict[str, float]:
    """Accuracy on 5-9 of each way to learn them."""
    tc.seed(0)
    known, unknown = few_digits()
    results = {
        "linear model": linear_baseline(unknown),
        "from nothing": fit(make_model(), unknown, 60, tc.AdamW(lr=2e-3)),
    }
    model = make_model()
    fit(model, known, 15, tc.AdamW(lr=2e-3))
    model.freeze()
    model[-2] = tc.layers.Dense(64, activation="relu")
    model[-1] = tc.layers.Dense(64, 5)
    results["new head, frozen body"] = fit(model, unknown, 60, tc.AdamW(lr=2e-3))
    model.unfreeze()
    *body, first, last = list(model)
    groups = [
        {"params": [p for layer in body for p in layer.parameters()], "lr": 2e-4},
        {"params": [*first.parameters(), *last.parameters()]},
    ]
    results["all of it, the body slowly"] = fit(model, unknown, 60, tc.AdamW(groups, lr=2e-3))
    return results


def enlarged(images: np.ndarray) -> np.ndarray:
    """(n, 28, 28) of 0 to 1 as MobileNet's (n, 3, 96, 96) of -1 to 1."""
    large = np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (6, 6), (6, 6)))
    return np.repeat(2.0 * large[:, None] - 1.0, 3, axis=1).astype(np.float32)


def with_mobilenet(weights: str) -> dict[str, float]:
    """Accuracy on IMAGES images that were held out, after training on as many others."""
    tc.seed(0)
    fashion = tc.data.load("fashion-mnist")
    parts = fashion.x_train[:IMAGES], fashion.y_train[:IMAGES], fashion.x_test[:IMAGES]
    small = DataSource("fashion", *parts, fashion.y_test[:IMAGES], "classification", 10)
    model = MobileNetV2(convention="keras")
    report = tc.interop.load_keras(model, weights, strict=False)
    print(str(report).splitlines()[-1])
    model.freeze()
    model.classifier[1] = tc.layers.Dense(1280, 10)
    large = DataSource("large", enlarged(small.x_train), small.y_train, enlarged(small.x_test),
                       small.y_test, "classification", 10)  # fmt: skip
    accuracy = fit(model, large, 6, tc.AdamW(lr=2e-3))
    return {"linear model": linear_baseline(small), "new head, frozen body": accuracy}


def main(arguments: list[str]) -> dict[str, float]:
    results = with_mobilenet(arguments[0]) if arguments else with_digits()
    for way, accuracy in results.items():
        print(f"{way:27}  accuracy {accuracy:.3f}")
    return results


if __name__ == "__main__":
    main(sys.argv[1:])
