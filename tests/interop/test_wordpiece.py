"""WordPiece on words by hand; against Hugging Face's tokenizer in test_real_weights.py."""

import json
from pathlib import Path

import numpy as np
import pytest
from tercet.errors import DataError, OptionError
from tercet.interop import WordPiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "new", "##er", "##est", "low", "##l", "!", "$",
          "\u4eac", "a", "##a", "cafe", "ne", "##w"]  # fmt: skip


def tokenizer(**options) -> WordPiece:
    return WordPiece({piece: i for i, piece in enumerate(PIECES)}, **options)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Newer newest", ["new", "##er", "new", "##est"]),
        ("lower!new$", ["low", "##er", "!", "new", "$"]),
        ("  low\tnew\nlow ", ["low", "new", "low"]),
        ("Caf\u00e9 cafe\u0301", ["cafe", "cafe"]),
        ("lowz low", ["[UNK]", "low"]),
        ("new\u4eaclow", ["new", "\u4eac", "low"]),
        ("lo\u0000w ne\u200bw", ["low", "new"]),
        ("", []),
        ("a" * 100, ["a"] + ["##a"] * 99),
        ("a" * 101, ["[UNK]"]),
        ("low\u2014new", ["low", "[UNK]", "new"]),
        ("low\u3000\u00a0new", ["low", "new"]),
    ],
)
def test_text_to_pieces(text: str, pieces: list[str]) -> None:
    assert tokenizer().tokenize(text) == pieces


def test_cased(tmp_path: Path) -> None:
    assert tokenizer(lowercase=False).tokenize("low Low caf\u00e9") == ["low", "[UNK]", "[UNK]"]


def test_batches_are_padded_and_cut() -> None:
    tokens, mask = tokenizer()(["new", "low low low low"], max_length=5)
    assert tokens.tolist() == [[2, 4, 3, 0, 0], [2, 7, 7, 7, 3]]
    assert mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert (tokens.dtype, mask.dtype) == (np.int64, np.bool_)
    assert tokenizer()("new")[0].tolist() == [[2, 4, 3]]
    with pytest.raises(DataError, match="no text"):
        tokenizer()([])
    with pytest.raises(OptionError, match="at least 2"):
        tokenizer()("new", max_length=1)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    model = {"type": "WordPiece", "vocab": {piece: i for i, piece in enumerate(PIECES)}}
    described = {"normalizer": {"type": "BertNormalizer", "lowercase": False}, "model": model}
    (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    for name, lowercase in (("vocab.txt", True), ("tokenizer.json", False)):
        read = WordPiece.from_file(tmp_path / name)
        assert (read.vocabulary, read.lowercase) == (tokenizer().vocabulary, lowercase)
    assert WordPiece.from_file(tmp_path / "tokenizer.json", lowercase=True).lowercase
    for content in ("{", "[]", '{"model": {}}', '{"model": {"type": "BPE", "vocab": {}}}'):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(DataError, match="WordPiece"):
            WordPiece.from_file(tmp_path / "x.json")
    with pytest.raises(DataError, match="cannot read"):
        WordPiece.from_file(tmp_path / "none.txt")
    with pytest.raises(OptionError, match=r"no \[SEP\]"):
        WordPiece({"[UNK]": 0, "[CLS]": 1, "[PAD]": 2})
