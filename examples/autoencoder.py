"""Digits of 64 pixels through 8 numbers and back, beside PCA with as many."""

import numpy as np
import tercet as tc
from tercet.data import load_digits

CODE = 8
SHADES = " .:-=+*#%@"


def pca(train: np.ndarray, test: np.ndarray, size: int = CODE) -> np.ndarray:
    """`test` (n, ...) projected on the training part's `size` principal components, and back."""
    flat, mean = train.reshape(len(train), -1), train.mean(axis=0).reshape(-1)
    axes = np.linalg.svd(flat - mean, full_matrices=False)[2][:size]
    return ((test.reshape(len(test), -1) - mean) @ axes.T @ axes + mean).reshape(test.shape)


def error(restored: np.ndarray, x: np.ndarray) -> float:
    """Mean squared error of a pixel, whose values are in [0, 1]."""
    return float(np.mean((restored - x) ** 2))


def drawn(*images: np.ndarray) -> str:
    """Images side by side, in characters."""
    rows = np.concatenate([np.pad(image, ((0, 0), (0, 2))) for image in images], axis=1)
    shades = (rows.clip(0, 1) * (len(SHADES) - 1)).round().astype(int)
    return "\n".join("".join(2 * SHADES[s] for s in row) for row in shades)


def main(verbose: int = 1) -> tuple[float, float]:
    tc.seed(0)
    digits = load_digits()
    x, x_test = digits.x_train, digits.x_test
    model = tc.models.Autoencoder(x.shape[1:], CODE, hidden=(128, 64), output="sigmoid")
    model.compile(tc.AdamW(lr=3e-3, weight_decay=0.0), "mse")
    schedule = tc.CosineAnnealingLR(T_max=80)
    model.fit(x, x, epochs=80, batch_size=32, callbacks=[schedule], verbose=verbose)
    restored = model.predict(x_test)
    found, linear = error(restored, x_test), error(pca(x, x_test), x_test)
    print(f"{len(x_test)} held-out digits through {CODE} numbers, squared error of a pixel:")
    print(f"  the mean image    {error(x.mean(axis=0), x_test):.4f}")
    print(f"  PCA               {linear:.4f}")
    print(f"  the autoencoder   {found:.4f}")
    print("a digit, as PCA restores it, as the autoencoder does:")
    print(drawn(x_test[0], pca(x, x_test)[0], restored[0]))
    return found, linear


if __name__ == "__main__":
    main()
