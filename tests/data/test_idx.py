"""IDX files, good and bad."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from tercet.data.idx import DTYPES, read_idx
from tercet.errors import DataError


def idx(x: np.ndarray, code: int) -> bytes:
    """The bytes of `x` in the IDX format."""
    header = struct.pack(f">BBBB{x.ndim}I", 0, 0, code, x.ndim, *x.shape)
    return header + x.astype(DTYPES[code]).tobytes()


VALUES = {
    8: np.array([[0, 1, 255], [7, 128, 3]]),
    9: np.array([[-128, 127, 0]]),
    11: np.array([-(2**15), 2**15 - 1, 258]),
    12: np.array([[[-(2**31)], [2**31 - 1]]]),
    13: np.array([[1.5, -2.25], [3e38, 1e-30]], np.float32),
    14: np.array([np.pi, -1e300, 5e-324]),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("code", VALUES)
def test_every_type_reads_back(tmp_path: Path, code: int, packed: bool) -> None:
    path = tmp_path / "file"
    content = idx(VALUES[code], code)
    path.write_bytes(gzip.compress(content) if packed else content)
    x = read_idx(path)
    assert x.dtype == np.dtype(DTYPES[code])
    assert x.shape == VALUES[code].shape
    np.testing.assert_array_equal(x, VALUES[code])
    np.testing.assert_array_equal(read_idx(str(path)), x)


def test_bytes_of_a_known_file(tmp_path: Path) -> None:
    """Written out by hand: two rows of two 16-bit numbers, big-endian."""
    path = tmp_path / "known"
    path.write_bytes(bytes.fromhex("00000b02 00000002 00000002 0001 0100 ffff 7fff"))
    assert read_idx(path).tolist() == [[1, 256], [-1, 32767]]


def test_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "none"
    path.write_bytes(idx(np.zeros((0, 28, 28)), 8))
    assert read_idx(path).shape == (0, 28, 28)


GOOD = idx(np.arange(60).reshape(5, 12), 8)


@pytest.mark.parametrize("cut", [len(GOOD) - 1, 13, 12])
def test_truncated(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes(GOOD[:cut])
    with pytest.raises(DataError, match=rf"truncated or damaged: expected 72 bytes .*found {cut};"):
        read_idx(path)


@pytest.mark.parametrize("cut", [4, 7, 11])
def test_truncated_in_the_header(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes(GOOD[:cut])
    with pytest.raises(DataError, match=rf"cut is truncated or damaged: .*found {cut};"):
        read_idx(path)


def test_too_long(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(GOOD + b"\0")
    with pytest.raises(DataError, match=r"expected 72 bytes .*found 73"):
        read_idx(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x08", b"\x01\0\x08\x01", b"\0\0\x0a\x01", b"\0\0\x08\0", b"PK\x03\x04 a zip"],
)
def test_wrong_magic(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    found = content[:4].hex(" ") or "nothing"
    with pytest.raises(DataError, match=f"other is no IDX file: .*found {found}$"):
        read_idx(path)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gz"
    packed = gzip.compress(GOOD)
    flipped = bytearray(packed)
    flipped[-6] ^= 0xFF  # in the checksum
    for content in (packed[:-9], packed[:5], bytes(flipped), packed[:12] + b"\xff" * 20):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read .*damaged.gz: .*fetch the file again"):
            read_idx(path)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=f"cannot read {path}: "):
            read_idx(path)
