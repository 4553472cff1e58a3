"""The digits, MNIST's and Fashion-MNIST's files, and their download."""

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tercet.data import DataSource, images, load_digits, load_fashion_mnist, load_mnist
from tercet.errors import DataError, DTypeError


def test_digits_are_those_of_scikit_learn() -> None:
    """The same images and the split that the docstring promises."""
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.model_selection import train_test_split

    theirs = datasets.load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        theirs.images, theirs.target, test_size=450, random_state=0, stratify=theirs.target
    )
    d = load_digits()
    for ours, other in ((d.x_train, x_train), (d.x_test, x_test)):
        np.testing.assert_array_equal(ours * 16, other)
    np.testing.assert_array_equal(d.y_train, y_train)
    np.testing.assert_array_equal(d.y_test, y_test)


def test_digits_shapes_range_and_balance() -> None:
    d = load_digits()
    assert (d.x_train.shape, d.x_test.shape) == ((1347, 8, 8), (450, 8, 8))
    assert (d.x_train.dtype, d.y_train.dtype) == (np.float32, np.int64)
    assert (d.x_train.min(), d.x_train.max()) == (0.0, 1.0)
    assert (d.x_test.min(), d.x_test.max()) == (0.0, 1.0)
    assert (d.name, d.task, d.num_classes) == ("digits", "classification", 10)
    assert d.class_names == tuple("0123456789")
    # Stratified: the share of a class in each part is that of the whole, up to one sample.
    whole = np.bincount(np.concatenate([d.y_train, d.y_test]), minlength=10)
    held = np.bincount(d.y_test, minlength=10)
    assert (np.abs(held - whole * 450 / 1797) <= 1).all()
    assert whole.min() > 170


def test_digits_are_learnable_by_a_nearest_mean() -> None:
    """Labels belong to their images: class means alone tell most digits apart."""
    d = load_digits()
    means = np.stack([d.x_train[d.y_train == c].mean(axis=0) for c in range(10)])
    distance = ((d.x_test[:, None] - means) ** 2).sum(axis=(2, 3))
    assert (distance.argmin(axis=1) == d.y_test).mean() > 0.85


@pytest.mark.skipif(
    not images.FASHION_FOLDER.is_dir(), reason=f"{images.FASHION_FOLDER} is not installed"
)
def test_fashion_mnist_of_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERCET_DATA", raising=False)
    monkeypatch.setattr(images, "download", None)
    d = load_fashion_mnist()
    assert (d.x_train.shape, d.x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert (d.x_train.min(), d.x_train.max(), d.x_train.dtype) == (0.0, 1.0, np.float32)
    assert np.bincount(d.y_train).tolist() == [6000] * 10
    assert np.bincount(d.y_test).tolist() == [1000] * 10
    # The mean pixel that is widely used to normalize the set.
    assert d.x_train.mean(dtype=np.float64) == pytest.approx(0.2860, abs=1e-4)
    assert d.class_names is not None
    assert d.class_names[9] == "Ankle boot"


def idx(x: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">BBBB{x.ndim}I", 0, 0, code, x.ndim, *x.shape) + x.tobytes()


def parts(seed: int = 0, train: int = 7, test: int = 3) -> list[np.ndarray]:
    """Images and labels of a small set, in the order of PARTS."""
    rng = np.random.default_rng(seed)
    out = []
    for n in (train, test):
        out.append(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8))
        out.append(rng.integers(0, 10, n, dtype=np.uint8))
    return out


def write(folder: Path, arrays: list[np.ndarray], names: str = "{}-ubyte") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, x in zip(images.PARTS, arrays, strict=True):
        content, name = idx(x), names.format(part)
        (folder / name).write_bytes(gzip.compress(content) if name[-3:] == ".gz" else content)
    return folder


def same(d: DataSource, arrays: list[np.ndarray]) -> None:
    np.testing.assert_array_equal(d.x_train, arrays[0].astype(np.float32) / 255)
    np.testing.assert_array_equal(d.y_train, arrays[1])
    np.testing.assert_array_equal(d.x_test, arrays[2].astype(np.float32) / 255)
    np.testing.assert_array_equal(d.y_test, arrays[3])
    assert (d.x_train.dtype, d.y_train.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
@pytest.mark.parametrize("names", ["{}-ubyte", "{}-ubyte.gz", "dots"])
def test_files_in_a_folder(tmp_path: Path, load, names: str) -> None:
    arrays = parts()
    if names == "dots":  # train-images.idx3-ubyte
        write(tmp_path, arrays)
        for part in images.PARTS:
            old = tmp_path / f"{part}-ubyte"
            old.rename(tmp_path / f"{part.replace('-idx', '.idx')}-ubyte")
    else:
        write(tmp_path, arrays, names)
    for path in (tmp_path, str(tmp_path)):
        d = load(path)
        same(d, arrays)
    assert d.name == {load_mnist: "mnist", load_fashion_mnist: "fashion-mnist"}[load]
    assert (d.task, d.num_classes) == ("classification", 10)


def test_a_folder_without_all_four_files(tmp_path: Path) -> None:
    write(tmp_path, parts())
    (tmp_path / f"{images.PARTS[3]}-ubyte").unlink()
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=f"{path} does not hold mnist: expected the files "):
            load_mnist(path)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    good = parts()
    narrow, short, wrong = list(good), list(good), list(good)
    narrow[0] = good[0][:, :, :27]
    short[3] = good[3][:2]
    wrong[3] = good[3] + np.uint8(10)
    for arrays in (narrow, short):
        write(tmp_path, arrays)
        with pytest.raises(DataError, match=r"expected images \(n, 28, 28\) and labels \(n,\)"):
            load_mnist(tmp_path)
    write(tmp_path, wrong)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: label \d+ at row 0 is outside"):
        load_mnist(tmp_path)
    write(tmp_path, good)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(
        idx(good[1].astype(">f4"), code=13)
    )  # fmt: skip
    with pytest.raises(DTypeError, match="train-labels-idx1-ubyte: class labels are integers"):
        load_mnist(tmp_path)


def test_the_order_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """path, then TERCET_DATA, then the system's folder, then the cache, then a download."""
    fetched = []

    def download(name: str, address: str, sums: tuple, folder: Path) -> None:
        fetched.append((name, address, sums))
        write(folder, parts(5), "{}-ubyte.gz")

    monkeypatch.setattr(images, "download", download)
    monkeypatch.setattr(images, "FASHION_FOLDER", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TERCET_DATA", raising=False)
    same(load_fashion_mnist(), parts(5))
    assert fetched == [("fashion-mnist", images.FASHION_ADDRESS, images.FASHION_MD5)]
    assert (tmp_path / "cache" / "tercet" / "fashion-mnist").is_dir()
    same(load_fashion_mnist(), parts(5))
    assert len(fetched) == 1
    write(tmp_path / "system", parts(4))
    same(load_fashion_mnist(), parts(4))
    write(tmp_path / "mine", parts(3))
    monkeypatch.setenv("TERCET_DATA", str(tmp_path / "mine"))
    same(load_fashion_mnist(), parts(3))
    same(load_fashion_mnist(write(tmp_path / "given", parts(2))), parts(2))
    # A folder in TERCET_DATA that lacks the set is passed over.
    monkeypatch.setenv("TERCET_DATA", str(tmp_path))
    same(load_fashion_mnist(), parts(4))
    same(load_mnist(), parts(5))
    assert fetched[1:] == [("mnist", images.MNIST_ADDRESS, images.MNIST_MD5)]


def test_the_cache_is_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/somewhere")
    assert images.cache_folder() == Path("/somewhere/.cache/tercet")


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A local server's address and what it serves by name; below short/ it breaks off."""
    content: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rsplit("/", 1)[1]
            if name not in content:
                self.send_error(404)
                return
            missing = 10 if "/short/" in self.path else 0
            self.send_response(200)
            self.send_header("Content-Length", str(len(content[name]) + missing))
            self.end_headers()
            self.wfile.write(content[name])

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", content
    server.shutdown()
    thread.join()
    server.server_close()


def serve(content: dict[str, bytes]) -> tuple[str, ...]:
    """Put a small set into `content`; its checksums."""
    for part, x in zip(images.PARTS, parts(1), strict=True):
        content[f"{part}-ubyte.gz"] = gzip.compress(idx(x))
    return tuple(hashlib.md5(c, usedforsecurity=False).hexdigest() for c in content.values())


def test_download(site: tuple, tmp_path: Path) -> None:
    address, content = site
    folder = tmp_path / "new" / "mnist"
    images.download("mnist", address, serve(content), folder)
    assert sorted(f.name for f in folder.iterdir()) == sorted(content)
    same(load_mnist(folder), parts(1))


def test_a_wrong_checksum_is_not_kept(site: tuple, tmp_path: Path) -> None:
    address, content = site
    sums = list(serve(content))
    real, sums[2] = sums[2], "0" * 32
    with pytest.raises(DataError) as caught:
        images.download("mnist", address, tuple(sums), tmp_path)
    message = str(caught.value)
    assert f"t10k-images-idx3-ubyte.gz has the checksum {real}, expected {'0' * 32}" in message
    assert "--data-path" in message
    assert "TERCET_DATA" in message
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(list(content)[:2])


def test_what_is_not_there_or_breaks_off(site: tuple, tmp_path: Path) -> None:
    address, content = site
    sums = serve(content)
    with pytest.raises(DataError, match=r"cannot download mnist .*train-images.*IncompleteRead"):
        images.download("mnist", address + "short/", sums, tmp_path)
    assert list(tmp_path.iterdir()) == []
    del content["train-labels-idx1-ubyte.gz"]
    with pytest.raises(DataError, match=r"cannot download mnist from .*train-labels.*404.*by hand"):
        images.download("mnist", address, sums, tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["train-images-idx3-ubyte.gz"]


def test_nobody_answers(site: tuple, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        address = f"http://127.0.0.1:{closed.server_port}/"
    with pytest.raises(DataError, match=f"cannot download mnist from {address}.*; download the"):
        images.download("mnist", address, images.MNIST_MD5, tmp_path)


def test_two_sets_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of both sets have the same names: each set's own folder in TERCET_DATA goes first."""
    write(tmp_path / "mnist", parts(1))
    write(tmp_path / "fashion-mnist", parts(2))
    write(tmp_path, parts(3))
    monkeypatch.setenv("TERCET_DATA", str(tmp_path))
    same(load_mnist(), parts(1))
    same(load_fashion_mnist(), parts(2))


def test_images_that_are_no_bytes(tmp_path: Path) -> None:
    write(tmp_path, parts())
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((7, 28, 28), ">f4"), code=13))
    with pytest.raises(DataError, match="expected images of unsigned bytes, found >f4"):
        load_mnist(tmp_path)


@pytest.mark.skipif(
    not images.FASHION_FOLDER.is_dir(), reason=f"{images.FASHION_FOLDER} is not installed"
)
def test_debians_files_are_the_published_ones() -> None:
    """Their sums are right once the name and time that Debian strips are put back."""
    times = (1504176606, 1504176606, 1504176627, 1504176627)
    for part, published, time in zip(images.PARTS, images.FASHION_MD5, times, strict=True):
        content = (images.FASHION_FOLDER / f"{part}-ubyte.gz").read_bytes()
        header = struct.pack("<4sI2s", b"\x1f\x8b\x08\x08", time, b"\0\x03")
        whole = header + f"{part}-ubyte\0".encode() + content[10:]
        assert hashlib.md5(whole, usedforsecurity=False).hexdigest() == published
