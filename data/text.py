"""Text as tokens: one for each kind of character, and windows of them to train on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..backends.generator import Generator
from ..errors import DataError, OptionError
from .dataset import TensorDataset
from .loader import DataLoader

HELD_OUT = 0.1


class CharVocabulary:
    """A number for each character: its place among `characters`, which are sorted.

    Raises DataError for a character or a number that it does not know.

    >>> vocabulary = CharVocabulary("hello")
    >>> vocabulary.characters, vocabulary.encode("hole").tolist()
    ('ehlo', [1, 3, 2, 0])
    >>> vocabulary.decode([1, 0, 2, 2, 3])
    'hello'
    """

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = "".join(sorted(set(characters)))
        if not self.characters:
            raise DataError("CharVocabulary: there are no characters in an empty text")
        self._codes = _code_points(self.characters)

    def __len__(self) -> int:
        return len(self.characters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharVocabulary) and self.characters == other.characters

    __hash__ = None  # type: ignore[assignment]

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a text, int64 (characters,)."""
        codes = _code_points(text)
        found = np.searchsorted(self._codes, codes)
        known = self._codes[np.minimum(found, len(self) - 1)] == codes
        if not known.all():
            place = int(np.argmin(known))
            shown = self.characters if len(self) <= 100 else f"{self.characters[:100]}..."
            raise DataError(
                f"the character {text[place]!r} at place {place} is not in the vocabulary, whose "
                f"{len(self)} characters are {shown!r}; leave it out, or train on a text that has "
                "it"
            )
        return found.astype(np.int64)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens."""
        numbers = np.asarray(tokens if isinstance(tokens, np.ndarray) else list(tokens))
        if not numbers.size:
            return ""
        if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= len(self):
            raise DataError(f"decode: tokens are integers in [0, {len(self)}), found {numbers}")
        return "".join(self.characters[i] for i in numbers.ravel())


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@dataclass(frozen=True)
class TextSource:
    """A text as tokens: `train` is its first part, `held_out` the rest, both int64 (characters,).

    >>> source = TextSource.of("a text that is short " * 10, "short")
    >>> len(source.train), len(source.held_out), len(source.vocabulary)
    (189, 21, 10)
    """

    name: str
    vocabulary: CharVocabulary
    train: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(
        cls,
        text: str,
        name: str = "text",
        held_out: float = HELD_OUT,
        vocabulary: CharVocabulary | None = None,
    ) -> TextSource:
        """Hold out the last `held_out` of a text; its characters make the vocabulary, or fit it."""
        if not 0.0 < held_out < 1.0:
            raise OptionError(f"{name}: the held-out share is in (0, 1), found {held_out}")
        vocabulary = CharVocabulary(text) if vocabulary is None else vocabulary
        tokens = vocabulary.encode(text)
        cut = len(tokens) - round(len(tokens) * held_out)
        if min(cut, len(tokens) - cut) < 2:
            raise DataError(
                f"{name} has {len(tokens)} characters, too few to hold out {held_out:g} of them"
            )
        return cls(name, vocabulary, tokens[:cut], tokens[cut:])


def load_text(
    path: str | Path, held_out: float = HELD_OUT, vocabulary: CharVocabulary | None = None
) -> TextSource:
    """A UTF-8 file as tokens, the last `held_out` of it apart."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"there is no file {file}; give the path of a text file")
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is no UTF-8 text: byte {error.start} does not fit; convert it first"
        ) from error
    if not text:
        raise DataError(f"{file} is empty; give a file with text in it")
    return TextSource.of(text, str(path), held_out, vocabulary)


class TextWindows(TensorDataset):
    """Windows of tokens with what follows each: sample i is tokens[i : i + context] and
    tokens[i + 1 : i + context + 1].

    >>> TextWindows(np.arange(5), 3)[np.array([1])]
    (array([[1, 2, 3]]), array([[2, 3, 4]]))
    """

    def __init__(self, tokens: np.ndarray, context: int) -> None:
        if context < 1:
            raise OptionError(f"TextWindows: the context is at least 1 token, found {context}")
        if len(tokens) <= context:
            raise DataError(
                f"a window of {context} tokens and the one that follows needs a text of at least "
                f"{context + 1}, found {len(tokens)}; give more text, or a shorter context"
            )
        super().__init__(tokens)
        self.context = context
        self._offsets = np.arange(context + 1)

    def __len__(self) -> int:
        return len(self.arrays[0]) - self.context

    def __getitem__(self, index: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self.arrays[0].take(np.expand_dims(index, -1) + self._offsets)
        return np.ascontiguousarray(rows[..., :-1]), np.ascontiguousarray(rows[..., 1:])


class TextLoader(DataLoader):
    """Batches of windows: every epoch cuts the text into windows from another place on, shuffled.

    The order of epoch e follows from (seed, e) alone. An epoch goes once over the text, less the
    part of a window at either end; the last batch is left out where it is not full.

    >>> loader = TextLoader(np.arange(100), context=8, batch_size=4)
    >>> x, y = next(iter(loader))
    >>> x.shape, (y - x).tolist()[0], len(loader)
    ((4, 8), [1, 1, 1, 1, 1, 1, 1, 1], 2)
    """

    def __init__(
        self, tokens: np.ndarray, context: int, batch_size: int = 32, seed: int = 0
    ) -> None:
        windows = TextWindows(tokens, context)
        # However late the first window begins, there are so many.
        self._count = max((len(tokens) - context) // context, 1)
        self._shifts = len(windows) - (self._count - 1) * context
        self._context = context
        super().__init__(windows, min(batch_size, self._count), True, True, seed)

    @property
    def samples(self) -> int:
        return self._count

    def _order(self) -> np.ndarray:
        random = Generator(self.seed, self.epoch)
        self.epoch += 1
        shift = int(random.words(1)[0]) % self._shifts
        return shift + self._context * random.permutation(self._count)
