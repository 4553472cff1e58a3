"""Which film would somebody like? A recommender, beside a model of biases alone.

The ratings are SYNTHETIC: users and films get hidden tastes in two dimensions, how far they agree
makes the rating, and a user's and a film's own level and noise come on top.
"""

import numpy as np
import tercet as tc

USERS, FILMS, RATINGS, HELD_OUT = 300, 120, 12_000, 2_000


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic pairs of user and film (n, 2), each at most once, and ratings (n,) from 1 to 5."""
    rng = np.random.default_rng(seed)
    tastes, films = (rng.normal(size=(n, 2)) for n in (USERS, FILMS))
    level, quality = rng.normal(0, 0.4, size=USERS), rng.normal(0, 0.4, size=FILMS)
    pairs = rng.permutation(USERS * FILMS)[:RATINGS]
    user, film = pairs // FILMS, pairs % FILMS
    agreement = (tastes[user] * films[film]).sum(axis=1)
    ratings = 3 + level[user] + quality[film] + 0.7 * agreement + rng.normal(0, 0.3, RATINGS)
    return np.stack([user, film], axis=1), ratings.clip(1, 5).round().astype(np.float32)


def biases(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, penalty: float = 5.0) -> np.ndarray:
    """The linear model: mean + what the user adds + what the film adds, by ridge regression."""

    def one_hot(pairs: np.ndarray) -> np.ndarray:
        return np.hstack([np.eye(USERS)[pairs[:, 0]], np.eye(FILMS)[pairs[:, 1]]])

    a, mean = one_hot(x), y.mean()
    weight = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ (y - mean))
    return mean + one_hot(x_test) @ weight


def rmse(predicted: np.ndarray, ratings: np.ndarray) -> float:
    """Root of the mean squared error, in stars."""
    return float(np.sqrt(np.mean((predicted.reshape(-1) - ratings) ** 2)))


def main(verbose: int = 1) -> tuple[float, float]:
    tc.seed(0)
    x, y = data()
    x_train, y_train, x_test, y_test = x[HELD_OUT:], y[HELD_OUT:], x[:HELD_OUT], y[:HELD_OUT]
    scale = tc.layers.Standardize([y_train.mean()], [y_train.std()], inverse=True)
    model = tc.models.Recommender(USERS, FILMS, dim=8, hidden=(64, 32), dropout=0.1, after=[scale])
    model.compile(tc.AdamW(lr=5e-3, weight_decay=5e-2), "mse")
    schedule = tc.CosineAnnealingLR(T_max=25)
    model.fit(x_train, y_train, epochs=25, batch_size=64, callbacks=[schedule], verbose=verbose)
    found = rmse(model.predict(x_test), y_test)
    linear = rmse(biases(x_train, y_train, x_test), y_test)
    print(f"synthetic ratings, {HELD_OUT:,} held out, error in stars (root mean square):")
    print(f"  the mean rating   {rmse(np.full(len(y_test), y_train.mean()), y_test):.3f}")
    print(f"  biases alone      {linear:.3f}")
    print(f"  the recommender   {found:.3f}")
    films = np.setdiff1d(np.arange(FILMS), x[x[:, 0] == 0, 1])
    pairs = np.stack([np.zeros_like(films), films], axis=1)
    best = films[model.predict(pairs).reshape(-1).argsort()[::-1][:3]]
    print(f"for user 0, of the films not rated yet: {', '.join(f'film {f}' for f in best)}")
    return found, linear


if __name__ == "__main__":
    main()
