"""Texts as vectors: how often each word occurs, weighted by how rare it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError

WORD = re.compile(r"\b\w\w+\b")


def words(text: str) -> list[str]:
    """The words of a text in lower case: two letters, digits or underscores, or more.

    >>> words("Don't panic, it's 42!")
    ['don', 'panic', 'it', '42']
    """
    return WORD.findall(text.lower())


class TfIdf:
    """Bags of words: tf(w) = 1 + ln(count of w), times idf(w) = ln((1 + n) / (1 + df(w))) + 1.

    df(w) is how many of the n training texts hold w. Each vector is scaled to length 1. The words
    are those in at least `min_texts` training texts, the `max_words` in most of them; others are
    not looked at.

    Fit it on the training part only. `state_dict` is what to keep beside a saved model, as JSON.

    Source: Salton & Buckley, "Term-weighting approaches in automatic text retrieval", Information
    Processing & Management 24, 1988; smoothed as in scikit-learn's TfidfVectorizer.

    >>> vectors = TfIdf(min_texts=1).fit(["red car", "red rose", "rose and red wine"])
    >>> vectors.words
    ['red', 'rose', 'and', 'car', 'wine']
    >>> vectors.transform(["A red, red rose"]).round(2)
    array([[0.8 , 0.61, 0.  , 0.  , 0.  ]], dtype=float32)

    Raises DataError where no word is left, and before `fit`.
    """

    words: list[str]
    idf: np.ndarray

    def __init__(self, max_words: int = 5000, min_texts: int = 2) -> None:
        self.max_words, self.min_texts = max_words, min_texts

    def fit(self, texts: Sequence[str]) -> TfIdf:
        """Take words and their weights from texts."""
        spread = Counter(word for text in texts for word in set(words(text)))
        # Ties go by the alphabet, so that the order is the same every time.
        common = sorted(
            (w for w, df in spread.items() if df >= self.min_texts), key=lambda w: (-spread[w], w)
        )
        if not common:
            raise DataError(
                f"TfIdf.fit: no word is in {self.min_texts} or more of {len(texts)} texts; give "
                "more texts, or a smaller min_texts"
            )
        self.words = common[: self.max_words]
        df = np.array([spread[w] for w in self.words], np.float64)
        self.idf = np.log((1 + len(texts)) / (1 + df)) + 1
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors, float32 (n, words), of length 1, or zeros for a text without known words."""
        if not hasattr(self, "words"):
            raise DataError("TfIdf: call fit on the training part first")
        place = {word: i for i, word in enumerate(self.words)}
        x = np.zeros((len(texts), len(place)), np.float32)
        for row, text in zip(x, texts, strict=True):
            counts = Counter(place[w] for w in words(text) if w in place)
            at = np.array(list(counts), np.int64)
            if len(at):
                weights = (1 + np.log(list(counts.values()))) * self.idf[at]
                row[at] = weights / np.linalg.norm(weights)
        return x

    def state_dict(self) -> dict[str, list[Any]]:
        """The words and their weights, to be saved."""
        return {"words": list(self.words), "idf": self.idf.tolist()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> TfIdf:
        """The TfIdf whose `state_dict` this is."""
        missing = sorted({"words", "idf"} - set(state))
        if missing or len(state["words"]) != len(state["idf"]):
            raise DataError("TfIdf: the state must hold words and idf, of equal length")
        restored = cls()
        restored.words, restored.idf = list(state["words"]), np.array(state["idf"], np.float64)
        return restored
