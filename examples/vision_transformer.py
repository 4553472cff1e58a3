"""A vision transformer learns the digits, beside a linear model of the same pixels."""

import tercet as tc
from tercet.models.baseline import linear_baseline


def make_model() -> tc.models.ViT:
    """Four patches of 4 x 4 pixels, and two layers."""
    model = tc.models.ViT(10, image=8, patch=4, channels=1, width=48, layers=2, heads=4)
    model.compile(tc.AdamW(lr=3e-3, clip_norm=1.0), "cross_entropy", ["accuracy"])
    return model


def main(verbose: int = 1) -> tuple[float, float]:
    """Accuracies on the held-out digits: the transformer's, and the linear model's."""
    tc.seed(0)
    digits = tc.data.load_digits()
    x, held_out = (a.reshape(-1, 1, 8, 8) for a in (digits.x_train, digits.x_test))
    model = make_model()
    schedule = tc.CosineAnnealingLR(T_max=15)
    model.fit(x, digits.y_train, epochs=15, callbacks=[schedule], verbose=verbose)
    accuracy = model.evaluate(held_out, digits.y_test)["accuracy"]
    linear = linear_baseline(digits)
    if verbose:
        print(f"held-out accuracy {accuracy:.3f}; a linear model: {linear:.3f}")
    return accuracy, linear


if __name__ == "__main__":
    main()
