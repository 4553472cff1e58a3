"""BERT's tokenizer: words, and pieces of words that a vocabulary has."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError, OptionError

# Words longer than this are unknown, as in BERT.
LONGEST_WORD = 100
# Ranges of Chinese characters, each of which is a word of its own.
IDEOGRAPHS = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Text to token numbers: split at spaces and punctuation, then by the longest known pieces.

    `vocabulary` gives each piece's number; pieces that continue a word begin with ##. With
    `lowercase`, text is lower-cased and accents are taken off, as BERT's uncased models want.
    `from_file` reads a `tokenizer.json` or a `vocab.txt`.

    Sources: Wu et al., "Google's neural machine translation system", 2016, section 4.1; Devlin et
    al., "BERT", NAACL 2019.

    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", ",", "cafe"]
    >>> tokenizer = WordPiece({word: number for number, word in enumerate(words)})
    >>> tokenizer.tokenize("Unaffable, caf\u00e9s")
    ['un', '##aff', '##able', ',', '[UNK]']
    >>> tokens, mask = tokenizer(["unable", "caf\u00e9, unaffable"])
    >>> tokens.tolist()
    [[2, 4, 6, 3, 0, 0, 0], [2, 8, 7, 4, 5, 6, 3]]
    >>> mask.sum(axis=1).tolist()
    [4, 7]
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        lowercase: bool = True,
        unknown: str = "[UNK]",
        first: str = "[CLS]",
        last: str = "[SEP]",
        padding: str = "[PAD]",
    ) -> None:
        missing = [t for t in (unknown, first, last, padding) if t not in vocabulary]
        if missing:
            raise OptionError(
                f"WordPiece: the vocabulary of {len(vocabulary)} pieces has no {missing[0]}"
            )
        self.vocabulary, self.lowercase = dict(vocabulary), lowercase
        self.unknown, self.first, self.last, self.padding = unknown, first, last, padding

    @classmethod
    def from_file(cls, path: str | Path, lowercase: bool | None = None) -> WordPiece:
        """The tokenizer of a `tokenizer.json`, or of a `vocab.txt` with a piece a line.

        Without `lowercase`, it is what tokenizer.json says, and True for a list of pieces.
        """
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read a vocabulary from {file}: {error}") from error
        if file.suffix != ".json":
            pieces = {piece: i for i, piece in enumerate(text.splitlines())}
            return cls(pieces, lowercase is not False)
        try:
            description = json.loads(text)
            model = description["model"]
            vocabulary = {str(piece): int(number) for piece, number in model["vocab"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file} is no tokenizer.json of WordPiece ({error!r})") from error
        if model.get("type", "WordPiece") != "WordPiece":
            raise DataError(f"{file} describes a tokenizer of type {model['type']}, not WordPiece")
        if lowercase is None:
            lowercase = bool((description.get("normalizer") or {}).get("lowercase", True))
        return cls(vocabulary, lowercase)

    def __call__(
        self, texts: str | Sequence[str], max_length: int = 512
    ) -> tuple[np.ndarray, np.ndarray]:
        """Token numbers and mask, both (texts, length of the longest), int64 and boolean.

        Each text begins with [CLS] and ends with [SEP]; those longer than `max_length` are cut.
        """
        if max_length < 2:
            raise OptionError(f"WordPiece: max_length must be at least 2, found {max_length}")
        rows = [self.encode(t, max_length) for t in ([texts] if isinstance(texts, str) else texts)]
        if not rows:
            raise DataError("WordPiece: there is no text to tokenize")
        lengths = np.array([len(row) for row in rows])
        tokens = np.full((len(rows), lengths.max()), self.vocabulary[self.padding], np.int64)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = row
        return tokens, np.arange(tokens.shape[1]) < lengths[:, None]

    def encode(self, text: str, max_length: int = 512) -> list[int]:
        """The numbers of [CLS], the text's pieces and [SEP]."""
        pieces = [self.first, *self.tokenize(text)[: max_length - 2], self.last]
        return [self.vocabulary[piece] for piece in pieces]

    def tokenize(self, text: str) -> list[str]:
        """The text's pieces."""
        return [piece for word in self._words(text) for piece in self._pieces(word)]

    def _words(self, text: str) -> Iterator[str]:
        word: list[str] = []
        for character in self._normal(text):
            space = character.isspace()
            if space or _punctuation(character) or _ideograph(character):
                if word:
                    yield "".join(word)
                    word = []
                if not space:
                    yield character
            else:
                word.append(character)
        if word:
            yield "".join(word)

    def _normal(self, text: str) -> str:
        """Without control characters; lower-case and without accents, if that is asked for."""
        clean = "".join(
            " " if c in "\t\n\r" else c
            for c in text
            if c in "\t\n\r" or (c not in "\0\ufffd" and unicodedata.category(c)[0] != "C")
        )
        if not self.lowercase:
            return clean
        apart = unicodedata.normalize("NFD", clean)
        return "".join(c for c in apart if unicodedata.category(c) != "Mn").lower()

    def _pieces(self, word: str) -> list[str]:
        """The longest pieces that there are, from the left; all unknown if one is."""
        if len(word) > LONGEST_WORD:
            return [self.unknown]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if prefix + word[start:end] in self.vocabulary:
                    break
            else:
                return [self.unknown]
            pieces.append(prefix + word[start:end])
            start = end
        return pieces


def _punctuation(character: str) -> bool:
    """Unicode's punctuation, and every other sign of ASCII that is no letter or digit."""
    if character.isascii():
        return not character.isalnum() and not character.isspace()
    return unicodedata.category(character)[0] == "P"


def _ideograph(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in IDEOGRAPHS)
