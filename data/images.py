"""Image data sets: the embedded digits, MNIST and Fashion-MNIST."""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..errors import DataError
from .checks import check_labels
from .idx import read_idx
from .source import DataSource

DIGITS_TRAIN = 1347

# The four files of a set in the order of PARTS, with the MD5 sums that their authors publish.
PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
MNIST_ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_MD5 = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
FASHION_ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MD5 = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
# Debian's dataset-fashion-mnist. Its build strips name and time from the gzip headers, so the sums
# of these files differ; with the names (t10k-labels-idx1-ubyte and such) and the times 1504176606
# (train) and 1504176627 (t10k) put back, they are the published ones.
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
TIMEOUT = 60.0  # seconds without an answer


def load_digits() -> DataSource:
    """1,797 handwritten digits of 8x8 pixels, in the package: 1,347 to train on, 450 held out.

    The test part of the UCI set "Optical recognition of handwritten digits" (E. Alpaydin and
    C. Kaynak, 1998, doi.org/10.24432/C50P49), licence CC BY 4.0, as scikit-learn's `load_digits`
    has it. Pixels of 0 .. 16 are scaled to [0, 1]. The order in the file is that of a stratified
    `train_test_split(test_size=450, random_state=0)`: the first 1,347 rows are the training part.

    >>> d = load_digits()
    >>> d.x_train.shape, d.x_test.shape, d.num_classes
    ((1347, 8, 8), (450, 8, 8), 10)
    """
    with (
        (files(__package__) / "digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        x = arrays["images"].astype(np.float32) / 16.0
        y = arrays["labels"].astype(np.int64)
    n = DIGITS_TRAIN
    return DataSource(
        "digits", x[:n], y[:n], x[n:], y[n:], "classification", 10, tuple("0123456789")
    )


def load_mnist(path: str | Path | None = None) -> DataSource:
    """MNIST: 60,000 and 10,000 handwritten digits of 28x28 pixels (LeCun et al., 1998).

    Read from the folder `path`, else from mnist/ in the folder in TERCET_DATA or from that folder
    itself, else from the cache, into which it is downloaded once and checked. Raises DataError for
    files that are missing, damaged or cannot be downloaded.
    """
    return _load("mnist", path, None, MNIST_ADDRESS, MNIST_MD5, tuple("0123456789"))


def load_fashion_mnist(path: str | Path | None = None) -> DataSource:
    """Fashion-MNIST: 60,000 and 10,000 pictures of clothes, 28x28 pixels (Xiao et al., 2017; MIT).

    Read from the folder `path`, else from fashion-mnist/ in the folder in TERCET_DATA or from that
    folder itself, else from Debian's package `dataset-fashion-mnist` where that is installed, else
    from the cache, into which it is downloaded once and checked. Raises DataError for files that
    are missing, damaged or cannot be downloaded.
    """
    return _load(
        "fashion-mnist", path, FASHION_FOLDER, FASHION_ADDRESS, FASHION_MD5, FASHION_CLASSES
    )


def _load(
    name: str,
    path: str | Path | None,
    system: Path | None,
    address: str,
    sums: tuple[str, ...],
    classes: tuple[str, ...],
) -> DataSource:
    if path is not None:
        found = _files_in(Path(path))
        if found is None:
            raise DataError(
                f"{path} does not hold {name}: expected the files {', '.join(PARTS)} "
                "(-ubyte, gzipped or not)"
            )
    else:
        environment = os.environ.get("TERCET_DATA")
        # MNIST's files and Fashion-MNIST's have the same names: a folder of the set's own first.
        folders = [Path(environment) / name, Path(environment)] if environment else []
        folders += [system] if system is not None else []
        cache = cache_folder() / name
        found = next((f for f in map(_files_in, [*folders, cache]) if f is not None), None)
        if found is None:
            download(name, address, sums, cache)
            found = _files_in(cache)
            assert found is not None
    x_train, y_train, x_test, y_test = (read_idx(file) for file in found)
    for images, labels, file in ((x_train, y_train, found[1]), (x_test, y_test, found[3])):
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
            raise DataError(
                f"{file.parent}: expected images (n, 28, 28) and labels (n,), found "
                f"{images.shape} and {labels.shape}; fetch the files again"
            )
        if images.dtype != np.uint8:
            raise DataError(
                f"{file.parent}: expected images of unsigned bytes, found {images.dtype}; fetch "
                "the files again"
            )
        check_labels(labels, len(classes), str(file))
    return DataSource(
        name,
        x_train.astype(np.float32) / 255.0,
        y_train.astype(np.int64),
        x_test.astype(np.float32) / 255.0,
        y_test.astype(np.int64),
        "classification",
        len(classes),
        classes,
    )


def cache_folder() -> Path:
    """Where downloads are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tercet"


def _files_in(folder: Path) -> list[Path] | None:
    """The four files in `folder`, or None unless all are there."""
    found = []
    for part in PARTS:
        names = [f"{part}-ubyte.gz", f"{part}-ubyte", f"{part.replace('-idx', '.idx')}-ubyte"]
        file = next((folder / n for n in names if (folder / n).is_file()), None)
        if file is None:
            return None
        found.append(file)
    return found


def download(name: str, address: str, sums: tuple[str, ...], folder: Path) -> None:
    """Fetch the four files of a set into `folder`; a file with a wrong checksum is not kept."""
    # Costs more to import than the rest of tercet's data code, and is used once if ever.
    import http.client
    import urllib.request

    advice = (
        "download the files by hand into a folder and give it with --data-path (path=), or set "
        "TERCET_DATA to it"
    )
    for part, expected in zip(PARTS, sums, strict=True):
        file = f"{part}-ubyte.gz"
        try:
            with urllib.request.urlopen(address + file, timeout=TIMEOUT) as answer:
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DataError(
                f"cannot download {name} from {address}{file}: {error}; {advice}"
            ) from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError(
                f"{address}{file} has the checksum {found}, expected {expected}; {advice}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{file}.{os.getpid()}"
        temporary.write_bytes(content)
        os.replace(temporary, folder / file)
