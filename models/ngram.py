"""What counting says: the n-gram model that a language model is shown beside."""

from __future__ import annotations

import numpy as np

from ..errors import DataError


def ngram_nats(train: np.ndarray, held_out: np.ndarray, vocabulary: int, order: int = 5) -> float:
    """The mean cross-entropy a token, in nats, of an n-gram model counted in `train`.

    Each n is interpolated with the shorter ones, as Kneser and Ney have it: of a token c after the
    n - 1 tokens h,

        p(c | h) = (max(N(h c) - D, 0) + D T(h) p(c | h')) / N(h)

    where N counts, T(h) is how many kinds of token follow h, h' is h without its first token, and
    p without any h is uniform. For all but the longest n, N(h c) counts the kinds of token before
    h c in place of its occurrences. D = n1 / (n1 + 2 n2), of the n-grams that are seen once and
    twice. `held_out` follows `train` in the text, as far as its first tokens are concerned.

    Sources: Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; Chen
    and Goodman, "An empirical study of smoothing techniques for language modeling", 1999.

    >>> text = np.array([0, 1, 2] * 50)
    >>> ngram_nats(text[:120], text[120:], 3) < 0.1
    True
    """
    if len(train) < order or not len(held_out):
        raise DataError(
            f"an n-gram model of order {order} needs {order} tokens to count and some to predict, "
            f"found {len(train)} and {len(held_out)}"
        )
    cut = len(train)
    tokens = np.concatenate([train, held_out]).astype(np.int64)
    # The number of the n-gram that ends at each place; places without room for it have none.
    grams = [np.zeros(len(tokens), np.int64)]
    for _ in range(order):
        grams.append(_longer(grams[-1], tokens, vocabulary))
    p = np.full(len(held_out), 1.0 / vocabulary)
    for n in range(1, order + 1):
        # Of each kind of n-gram in `train`, one place where it ends.
        kinds, counts = _kinds(grams[n][n - 1 : cut], n - 1)
        if n < order:
            longer, _ = _kinds(grams[n + 1][n:cut], n)
            counts = np.bincount(grams[n][longer], minlength=grams[n].max() + 1)
        else:
            counts = np.bincount(grams[n][n - 1 : cut], minlength=grams[n].max() + 1)
        seen = counts[grams[n][kinds]]
        once, twice = np.count_nonzero(seen == 1), np.count_nonzero(seen == 2)
        discount = once / (once + 2 * twice) if once else 0.5
        # The context of an n-gram that ends at i is the (n - 1)-gram that ends at i - 1.
        before = np.concatenate([[0], grams[n - 1][:-1]])
        size = int(before.max()) + 1
        total = np.bincount(before[kinds], weights=seen, minlength=size)[before[cut:]]
        used = seen > 0
        follow = np.bincount(before[kinds][used], minlength=size)[before[cut:]]
        known = total > 0
        mine = np.maximum(counts[grams[n][cut:]] - discount, 0.0)
        p[known] = (mine[known] + discount * follow[known] * p[known]) / total[known]
    return float(-np.log(p).mean())


def _longer(grams: np.ndarray, tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """Numbers of the n-grams, from those of the (n - 1)-grams that end a place before."""
    pairs = tokens.copy()
    pairs[1:] += grams[:-1] * vocabulary
    found: np.ndarray = np.unique(pairs, return_inverse=True)[1]
    return found


def _kinds(grams: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """A place of each kind, counted from the beginning of the text, and how many there are."""
    _, places, counts = np.unique(grams, return_index=True, return_counts=True)
    return places + first, counts
