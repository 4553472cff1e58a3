"""What counting says: the n-gram model that a language model is shown beside."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

ORDER = 5


def ngram_nats(
    train: np.ndarray, held_out: np.ndarray, vocabulary: int, order: int = ORDER
) -> float:
    """The mean cross-entropy a token, in nats, of an n-gram model counted in `train`.

    Each n is interpolated with the shorter ones, as Witten and Bell have it: of a token c after the
    n - 1 tokens h,

        p(c | h) = (N(h c) + T(h) p(c | h')) / (N(h) + T(h))

    where N(h c) counts c after h and N(h) what comes after h, T(h) is how many kinds of token that
    are, h' is h without its first token, and p without counts is uniform. `held_out` follows
    `train` in the text: its first tokens have the last ones of `train` before them.

    Source: Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory,
    1991, method C.

    >>> text = np.array([0, 1, 2] * 50)
    >>> ngram_nats(text[:120], text[120:], 3) < 0.1
    True
    """
    cut = len(train)
    if cut < order or not len(held_out):
        raise DataError(
            f"an n-gram model of order {order} needs {order} tokens to count and some to predict, "
            f"found {cut} and {len(held_out)}"
        )
    tokens = np.concatenate([train, held_out]).astype(np.int64)
    # The number of the n-gram that ends at each place, and of what stands before its last token.
    grams = np.zeros(len(tokens), np.int64)
    p = np.full(len(held_out), 1.0 / vocabulary)
    for n in range(1, order + 1):
        before = np.concatenate([[0], grams[:-1]])
        grams = np.unique(before * vocabulary + tokens, return_inverse=True)[1]
        # In `train`, the places that have n tokens; of each n-gram, the first place.
        places = np.arange(n - 1, cut)
        kinds = np.unique(grams[places], return_index=True)[1] + n - 1
        together = np.bincount(grams[places], minlength=grams.max() + 1)[grams[cut:]]
        count = np.bincount(before[places], minlength=before.max() + 1)[before[cut:]]
        follow = np.bincount(before[kinds], minlength=before.max() + 1)[before[cut:]]
        mixed = (together + follow * p) / np.maximum(count + follow, 1)
        p = np.where(count > 0, mixed, p)
    return float(-np.log(p).mean())
