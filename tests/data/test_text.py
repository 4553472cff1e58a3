"""Texts as tokens, their held-out part, and windows of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tercet.data import CharVocabulary, TextLoader, TextSource, TextWindows, load_text
from tercet.errors import DataError, OptionError


def test_there_and_back() -> None:
    text = "Übung macht den Meister 🎼\n"
    vocabulary = CharVocabulary(text)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int64
    assert sorted(set(text)) == list(vocabulary.characters)
    assert [vocabulary.characters[t] for t in tokens] == list(text)
    assert vocabulary.decode(tokens) == vocabulary.decode(tokens.tolist()) == text
    assert vocabulary.encode("").tolist() == []
    assert vocabulary.decode([]) == ""
    assert CharVocabulary(vocabulary.characters) == vocabulary


def test_what_it_does_not_know() -> None:
    vocabulary = CharVocabulary("abc")
    for text, place in (("abzc", 2), ("~", 0), ("ab ", 2)):
        with pytest.raises(DataError, match=f"{text[place]!r} at place {place} is not in the voc"):
            vocabulary.encode(text)
    unknown: list[list[Any]] = [[0, 3], [-1], [0.5]]
    for tokens in unknown:
        with pytest.raises(DataError, match=r"tokens are integers in \[0, 3\)"):
            vocabulary.decode(tokens)
    with pytest.raises(DataError, match="empty text"):
        CharVocabulary("")


def test_the_last_part_is_held_out(tmp_path: Path) -> None:
    text = "the quick brown fox\r\n" * 20
    (tmp_path / "t.txt").write_bytes(text.encode())
    source = load_text(tmp_path / "t.txt")
    assert source.vocabulary == CharVocabulary(text)
    assert source.vocabulary.decode(source.train) == text[:378]
    assert source.vocabulary.decode(source.held_out) == text[378:]
    half = TextSource.of("abab", held_out=0.5, vocabulary=CharVocabulary("xab"))
    assert half.train.tolist() == half.held_out.tolist() == [0, 1]


def test_texts_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("gr\u00fcn".encode("latin-1"))
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"latin.txt is no UTF-8 text: byte 2"):
        load_text(tmp_path / "latin.txt")
    with pytest.raises(DataError, match=r"empty.txt is empty"):
        load_text(tmp_path / "empty.txt")
    with pytest.raises(DataError, match=r"there is no file .*none.txt"):
        load_text(tmp_path / "none.txt")
    with pytest.raises(DataError, match="'b' at place 1 is not in the vocabulary"):
        TextSource.of("abab", held_out=0.5, vocabulary=CharVocabulary("a"))
    with pytest.raises(DataError, match="has 5 characters, too few to hold out"):
        TextSource.of("short")
    with pytest.raises(OptionError, match=r"share is in \(0, 1\), found 1"):
        TextSource.of("a text", held_out=1.0)


def test_windows() -> None:
    windows = TextWindows(np.arange(10) * 2, 4)
    assert len(windows) == 6
    x, y = windows[np.array([[0, 5], [2, 2]])]
    assert x.tolist()[0] == [[0, 2, 4, 6], [10, 12, 14, 16]]
    np.testing.assert_array_equal(y, x + 2)
    assert windows[5][1].tolist() == [12, 14, 16, 18]
    with pytest.raises(DataError, match=r"a text of at least 5, found 4"):
        TextWindows(np.arange(4), 4)
    with pytest.raises(OptionError, match="at least 1 token, found 0"):
        TextWindows(np.arange(4), 0)


def test_an_epoch_goes_once_over_the_text_from_a_place_of_its_own() -> None:
    loader = TextLoader(np.arange(1000), 7, batch_size=5, seed=3)
    epochs = [np.concatenate([x for x, _ in loader]) for _ in range(3)]
    again = TextLoader(np.arange(1000), 7, batch_size=5, seed=3)
    again.epoch = 2
    np.testing.assert_array_equal(np.concatenate([x for x, _ in again]), epochs[2])
    first = set()
    for rows in epochs:
        assert rows.shape == (140, 7)
        starts = np.sort(rows[:, 0])
        assert set(np.diff(starts)) <= {7, 14}  # two of 142 windows fill no batch
        assert (rows[:, 0] != starts).any()
        first.add(int(starts[0]) % 7)
    assert len(first) > 1
    other = TextLoader(np.arange(1000), 7, batch_size=5, seed=4)
    assert next(iter(other))[0].tolist() != epochs[0][:5].tolist()


@pytest.mark.parametrize("length", [9, 10, 15, 16, 17, 24, 25])
def test_the_shortest_texts(length: int) -> None:
    """Windows stay inside the text, wherever the first one begins."""
    loader = TextLoader(np.arange(length), 8, batch_size=64)
    seen = [next(iter(loader)) for _ in range(30)]
    assert min(x.min() for x, _ in seen) == 0
    assert max(y.max() for _, y in seen) == length - 1
    assert len(loader) == 1
