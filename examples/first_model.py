"""A first model: 10 normal features, and whether the first two sum to more than 0."""

import numpy as np
import tercet as tc


def data(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 10) and labels (n,)."""
    x = np.random.default_rng(seed).normal(size=(n, 10)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def make_model() -> tc.models.Sequential:
    """Two hidden layers with dropout between them."""
    model = tc.models.Sequential(
        [
            tc.layers.Dense(64, activation="relu"),
            tc.layers.Dropout(0.3),
            tc.layers.Dense(32, activation="relu"),
            tc.layers.Dense(2),
        ]
    )
    model.compile(
        optimizer=tc.AdamW(lr=1e-3, weight_decay=1e-4),
        loss="cross_entropy",
        metrics=["accuracy"],
    )
    return model


def main(verbose: int = 1) -> float:
    tc.seed(0)
    x, y = data()
    model = make_model()
    history = model.fit(
        x,
        y,
        epochs=50,
        batch_size=16,
        validation_split=0.2,
        callbacks=[
            tc.EarlyStopping(monitor="val_accuracy", patience=15, restore_best_weights=True)
        ],
        verbose=verbose,
    )
    epoch, best = history.best("val_accuracy")
    if verbose:
        model.summary()
        print(f"best validation accuracy {best:.3f} in epoch {epoch + 1}")
    return best


if __name__ == "__main__":
    main()
