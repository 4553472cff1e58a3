"""The IDX format of MNIST: arrays of bytes with a small header, often gzipped.

A file is two zero bytes, a code for the type (8: unsigned byte), the number of dimensions, each
dimension as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not.

    Raises DataError for a file that is truncated, damaged or of another kind.
    """
    try:
        content = Path(path).read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}; fetch the file again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES or not content[3]:
        raise DataError(
            f"{path} is no IDX file: expected it to begin with 00 00, a type and a number of "
            f"dimensions, found {content[:4].hex(' ') or 'nothing'}"
        )
    dtype, ndim = np.dtype(DTYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    shape = struct.unpack_from(f">{ndim}I", content, 4) if len(content) >= start else ()
    expected = start + math.prod(shape) * dtype.itemsize
    if not shape or len(content) != expected:
        raise DataError(
            f"{path} is truncated or damaged: expected {expected} bytes for shape {shape}, found "
            f"{len(content)}; fetch the file again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)
