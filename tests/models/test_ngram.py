"""The n-gram model beside its definition, and what it cannot count."""

import math
from collections import Counter

import numpy as np
import pytest
from tercet.errors import DataError
from tercet.models.ngram import ngram_nats


def probability(train: list[int], before: list[int], token: int, n: int, vocabulary: int) -> float:
    """Witten and Bell's formula as it stands."""
    if n == 0:
        return 1.0 / vocabulary
    shorter = probability(train, before[1:], token, n - 1, vocabulary)
    after = Counter(
        train[i + n - 1] for i in range(len(train) - n + 1) if train[i : i + n - 1] == before
    )
    count, kinds = sum(after.values()), len(after)
    return (after[token] + kinds * shorter) / (count + kinds) if count else shorter


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_against_the_formula(rng: np.random.Generator, order: int) -> None:
    tokens = [int(t) for t in np.minimum(rng.geometric(0.4, size=260), 6) - 1]
    train, held_out = tokens[:200], tokens[200:]
    losses = []
    for i, token in enumerate(held_out):
        before = tokens[200 + i - order + 1 : 200 + i]
        p = [probability(train, before, c, order, 7) for c in range(7)]
        assert sum(p) == pytest.approx(1.0)
        losses.append(-math.log(p[token]))
    found = ngram_nats(np.array(train), np.array(held_out), 7, order)
    assert found == pytest.approx(float(np.mean(losses)), rel=1e-12)


def test_too_little_to_count() -> None:
    with pytest.raises(DataError, match="order 5 needs 5 tokens to count and some to predict"):
        ngram_nats(np.zeros(4, np.int64), np.zeros(9, np.int64), 3)
    with pytest.raises(DataError, match="found 9 and 0"):
        ngram_nats(np.zeros(9, np.int64), np.zeros(0, np.int64), 3)
