"""TF-IDF beside scikit-learn's, its words, its state, wrong input."""

import json

import numpy as np
import pytest
from tercet.data import TfIdf
from tercet.errors import DataError

TEXTS = [
    "The cat sat on the mat, the Cat!",
    "A dog sat on a log.",
    "Naïve cats, naïve dogs: 42 of them_all",
    "",
    "the the the dog",
]


@pytest.mark.parametrize(("most", "least"), [(1000, 1), (1000, 2), (4, 1)])
def test_beside_scikit_learn(most: int, least: int) -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    ours = TfIdf(most, least).fit(TEXTS)
    # Which words are commonest scikit-learn decides by counts, not by texts: give it ours.
    theirs = text.TfidfVectorizer(sublinear_tf=True, vocabulary=ours.words).fit(TEXTS)
    new = [*TEXTS, "another dog on the log", "nothing known"]
    np.testing.assert_allclose(
        ours.transform(new), theirs.transform(new).toarray(), atol=4 * np.finfo(np.float32).eps
    )


def test_the_words_that_are_kept() -> None:
    assert TfIdf(min_texts=2).fit(TEXTS).words == ["dog", "on", "sat", "the"]
    assert TfIdf(3, 1).fit(TEXTS).words == ["dog", "on", "sat"]


def test_the_state_makes_the_same_again() -> None:
    vectors = TfIdf(min_texts=1).fit(TEXTS)
    again = TfIdf.from_state_dict(json.loads(json.dumps(vectors.state_dict())))
    np.testing.assert_array_equal(again.transform(TEXTS), vectors.transform(TEXTS))


def test_wrong_input() -> None:
    with pytest.raises(DataError, match="no word is in 2 or more of 2 texts"):
        TfIdf().fit(["one", "two"])
    with pytest.raises(DataError, match="call fit on the training part first"):
        TfIdf().transform(["one"])
    for state in ({"words": ["a"]}, {"words": ["a"], "idf": []}):
        with pytest.raises(DataError, match="must hold words and idf, of equal length"):
            TfIdf.from_state_dict(state)
