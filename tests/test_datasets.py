"""The digits that come along, MNIST from folders and from a local server, and the IDX format."""

import doctest
import gzip
import hashlib
import os
import struct
import sys
import threading
import tracemalloc
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import collections, download, load_digits, load_fashion_mnist, load_mnist, read_idx
from fastnn.datasets import idx as idx_file
from fastnn.errors import FileFormatError


def idx(array):
    """The array as the bytes of an IDX file."""
    array = np.asarray(array)
    code = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}[array.dtype.str[1:]]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def peak_memory(function, *arguments):
    """The most bytes that were in use at once while the function ran into its FileFormatError."""
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError):
            function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestDigits:
    def test_shapes_and_types(self):
        X, y = load_digits()
        assert (X.shape, X.dtype, y.shape, y.dtype) == ((1797, 64), np.uint8, (1797,), np.int64)

    def test_values(self):
        X, y = load_digits()
        assert (X.min(), X.max(), X.sum()) == (0, 16, 561718)
        assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]

    def test_every_call_gives_new_arrays(self):
        X, y = load_digits()
        X[:], y[:] = 99, 99
        again = load_digits()
        assert again[0].max() == 16
        assert again[1].max() == 9

    def test_same_as_in_scikit_learn(self):
        sklearn_datasets = pytest.importorskip("sklearn.datasets")
        X, y = load_digits()
        expected_X, expected_y = sklearn_datasets.load_digits(return_X_y=True)
        np.testing.assert_array_equal(X, expected_X)
        np.testing.assert_array_equal(y, expected_y)


class TestReadIdx:
    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    @pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
    def test_round_trip(self, tmp_path, dtype, pack):
        array = np.arange(24).reshape(2, 3, 4).astype(dtype)
        array[0, 0, 0] = np.iinfo(dtype).min if array.dtype.kind in "ui" else -0.1
        path = tmp_path / "file"
        path.write_bytes(pack(idx(array)))
        result = read_idx(path)
        assert result.dtype == array.dtype
        assert result.dtype.isnative
        np.testing.assert_array_equal(result, array)

    def test_content_decides_about_gzip_and_not_the_name(self, tmp_path):
        path = tmp_path / "plain.gz"
        path.write_bytes(idx(np.uint8([7])))
        assert read_idx(path).tolist() == [7]

    @pytest.mark.parametrize("dtype", ["uint8", "float32"])
    def test_result_is_writable(self, tmp_path, dtype):
        path = tmp_path / "file"
        path.write_bytes(idx(np.ones(3, dtype)))
        read_idx(path)[0] = 0

    def test_empty_array(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(idx(np.empty((0, 28, 28), np.uint8)))
        assert read_idx(path).shape == (0, 28, 28)

    def test_more_than_one_chunk(self, tmp_path):
        array = np.random.default_rng(0).integers(0, 256, (2, idx_file._CHUNK), dtype=np.uint8)
        path = tmp_path / "file"
        path.write_bytes(idx(array))
        np.testing.assert_array_equal(read_idx(path), array)

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"not an IDX file \(its first bytes are missing\)"),
            (b"\0\0\x08", "not an IDX file"),
            (b"\0\1\x08\1" + struct.pack(">I", 0), "not an IDX file"),
            (b"GIF8", r"not an IDX file \(its first bytes are 47 49 46 38\)"),
            (b"\0\0\x0a\1" + struct.pack(">I", 0), "not an IDX file"),
            (b"\0\0\x08\0" + b"5", "announces 0 dimensions"),
            (b"\0\0\x08\x41" + bytes(4 * 65), "announces 65 dimensions"),
            (b"\0\0\x08\2" + struct.pack(">I", 3), "truncated within the header"),
            (idx(np.uint8([1, 2, 3]))[:-1], "shape"),
            (idx(np.uint8([1, 2, 3])) + b"4", r"more bytes than the 3 that shape \(3,\) announces"),
            (b"\0\0\x08\2" + struct.pack(">II", 2**32 - 1, 2**32 - 1), "more than the file can hold"),
            (b"\0\0\x0e\4" + struct.pack(">IIII", 0, *[2**32 - 1] * 3), "shape"),
        ],
    )
    def test_files_that_are_not_idx_are_refused(self, tmp_path, content, message, pack):
        path = tmp_path / "file"
        path.write_bytes(pack(content))
        with pytest.raises(FileFormatError, match=message) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda packed: packed[:-9],
            lambda packed: packed[:-8] + bytes(8),
            lambda packed: packed[:10] + b"\xff" * (len(packed) - 10),
            lambda packed: packed + b"trailing",
        ],
        ids=["truncated", "checksum", "stream", "trailing"],
    )
    def test_refuses_damaged_gzip(self, tmp_path, damage):
        path = tmp_path / "file.gz"
        path.write_bytes(damage(gzip.compress(idx(np.arange(100, dtype=np.uint8)))))
        with pytest.raises(FileFormatError, match=r"file\.gz: damaged or truncated gzip data"):
            read_idx(path)

    def test_takes_no_memory_for_what_a_gzipped_header_merely_announces(self, tmp_path):
        noise = np.random.default_rng(0).bytes(100_000)
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 90_000_000) + noise))
        assert peak_memory(read_idx, path) < 9_000_000

    def test_stops_unpacking_where_the_array_ends(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(idx(np.uint8([1, 2, 3])) + bytes(20_000_000)))
        assert peak_memory(read_idx, path) < 2_000_000

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_idx(tmp_path / "nowhere")


RNG = np.random.default_rng(0)
MNIST = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8),
    "train-labels-idx1-ubyte": np.uint8([5, 0, 9]),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (2, 28, 28), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": np.uint8([7, 2]),
}
LABELS = "t10k-labels-idx1-ubyte"


def write_mnist(folder, arrays=MNIST, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        content = idx(array)
        (folder / f"{name}.gz" if packed else folder / name).write_bytes(gzip.compress(content) if packed else content)


def assert_is_mnist(loaded):
    for (X, y), part in zip(loaded, ("train", "t10k"), strict=True):
        images = MNIST[f"{part}-images-idx3-ubyte"]
        np.testing.assert_array_equal(X, images.reshape(len(images), 784))
        np.testing.assert_array_equal(y, MNIST[f"{part}-labels-idx1-ubyte"])
        assert (X.dtype, y.dtype) == (np.uint8, np.int64)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, no folder in the environment and no way to the network."""
    monkeypatch.setattr(collections, "cache_folder", lambda: tmp_path / "cache")
    for name in ("MNIST", "FASHION_MNIST"):
        monkeypatch.setattr(datasets, name, replace(getattr(datasets, name), mirrors=()))
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    return tmp_path / "cache" / "mnist"


class TestMnistFromFolders:
    @pytest.mark.parametrize("packed", [True, False])
    def test_folder_given(self, tmp_path, packed):
        write_mnist(tmp_path, packed=packed)
        assert_is_mnist(load_mnist(tmp_path))

    @pytest.mark.parametrize("subfolder", [".", "mnist"])
    def test_folder_in_the_environment(self, tmp_path, monkeypatch, cache, subfolder):
        write_mnist(tmp_path / "data" / subfolder)
        monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
        assert_is_mnist(load_mnist())

    def test_files_in_the_cache_are_used(self, cache):
        write_mnist(cache)
        assert_is_mnist(load_mnist())

    def test_environment_comes_before_the_cache(self, tmp_path, monkeypatch, cache):
        write_mnist(tmp_path / "data")
        write_mnist(cache, {name: np.zeros_like(array) for name, array in MNIST.items()})
        monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "data"))
        assert_is_mnist(load_mnist())

    def test_folder_in_the_environment_without_the_files_is_passed_over(self, tmp_path, monkeypatch, cache):
        write_mnist(cache)
        monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "nowhere"))
        assert_is_mnist(load_mnist())

    @pytest.mark.parametrize("named", [True, False])
    def test_a_folder_in_the_environment_that_was_no_help_is_in_the_error(self, tmp_path, monkeypatch, cache, named):
        if named:
            monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "nowhere"))
        with pytest.raises(OSError, match="could not be downloaded") as caught:
            load_mnist()
        assert ("does not hold the four files" in str(caught.value)) == named

    def test_folder_given_that_lacks_files(self, tmp_path, cache):
        write_mnist(cache)
        write_mnist(tmp_path, {name: array for name, array in MNIST.items() if name.startswith("train")})
        with pytest.raises(FileNotFoundError, match="lacks t10k-images-idx3-ubyte, t10k-labels") as caught:
            load_mnist(tmp_path)
        assert str(tmp_path) in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            (LABELS, np.uint8([7, 10]), r"labels must lie in 0\.\.9, got 10"),
            (LABELS, np.uint8([7]), "the t10k files hold 2 images, but 1 labels"),
            (LABELS, np.int32([7, 2]), r"expected uint8 of shape \('n',\), got int32"),
            (LABELS, np.uint8([[7, 2]]), r"got uint8 of shape \(1, 2\)"),
            ("train-images-idx3-ubyte", np.zeros((3, 8, 8), np.uint8), r"\('n', 28, 28\), got uint8"),
        ],
    )
    def test_other_contents_are_refused(self, tmp_path, name, array, message):
        write_mnist(tmp_path, {**MNIST, name: array})
        with pytest.raises(FileFormatError, match=message) as caught:
            load_mnist(tmp_path)
        assert str(tmp_path) in str(caught.value)

    @pytest.mark.parametrize(
        ("platform", "variable", "folder"),
        [
            ("linux", "XDG_CACHE_HOME", "set/fastnn"),
            ("linux", None, "home/.cache/fastnn"),
            ("win32", "LOCALAPPDATA", "set/fastnn"),
            ("win32", None, "home/AppData/Local/fastnn"),
            ("darwin", "XDG_CACHE_HOME", "home/Library/Caches/fastnn"),
        ],
    )
    def test_cache_folder(self, monkeypatch, platform, variable, folder):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(Path, "home", lambda: Path("home"))
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        if variable:
            monkeypatch.setenv(variable, "set")
        assert collections.cache_folder() == Path(folder)


def real_mnist():
    """The folder with the real files, if FASTNN_DATA leads to it."""
    named = Path(os.environ.get("FASTNN_DATA") or os.devnull)
    folders = (named, named / "mnist")
    return next(
        (folder for folder in folders if len(collections.find_files(collections.MNIST.files, folder)) == len(MNIST)),
        None,
    )


@pytest.mark.skipif(real_mnist() is None, reason="FASTNN_DATA names no folder with the MNIST files")
def test_real_mnist():
    (X_train, y_train), (X_test, y_test) = load_mnist(real_mnist())
    assert (X_train.shape, X_test.shape) == ((60000, 784), (10000, 784))
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert y_test[:4].tolist() == [7, 2, 1, 0]
    assert 33 < X_train.mean() < 34


class Mirror:
    """A server on this machine: each name has a list of replies; the last one is repeated."""

    def __init__(self):
        self.replies = {}
        self.requests = []
        self.closing = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rpartition("/")[2].removesuffix(".gz")
                mirror.requests.append(name)
                replies = mirror.replies.get(name, [{"status": 404}])
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                if reply.get("silent"):
                    mirror.closing.wait()
                    return
                body = reply.get("body", b"")
                self.send_response(reply.get("status", 200))
                self.send_header("Content-Length", str(reply.get("announced", len(body))))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/mnist/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirror = Mirror()
    yield mirror
    mirror.close()


def published(name, content):
    return download.PublishedFile(name, len(content), hashlib.md5(content).hexdigest())


@pytest.mark.parametrize("collection", [collections.MNIST, collections.FASHION_MNIST], ids=lambda each: each.title)
def test_the_sizes_of_the_files_are_those_of_their_shapes(collection):
    """16 bytes, or 8, before the numbers."""
    sizes = [file.size for file in collection.files]
    assert sizes == [16 + 60_000 * 28 * 28, 8 + 60_000, 16 + 10_000 * 28 * 28, 8 + 10_000]


CONTENT = idx(np.arange(200, dtype=np.uint8))
GOOD = {"body": gzip.compress(CONTENT)}
FILE = published("file", CONTENT)
NOISE = np.random.default_rng(1).bytes(20_000)


class TestDownload:
    def fetch(self, folder, *mirrors, **options):
        download.download(FILE, folder, mirrors, **{"pause": 0.0, "timeout": 5.0, **options})

    def test_file_arrives_in_a_new_folder(self, tmp_path, mirror):
        mirror.replies["file"] = [GOOD]
        self.fetch(tmp_path / "new" / "folder", mirror.url)
        assert (tmp_path / "new" / "folder" / "file.gz").read_bytes() == GOOD["body"]

    def test_nothing_else_is_left_in_the_folder(self, tmp_path, mirror):
        mirror.replies["file"] = [GOOD]
        self.fetch(tmp_path, mirror.url)
        assert [path.name for path in tmp_path.iterdir()] == ["file.gz"]

    def test_server_that_fails_twice_and_then_works(self, tmp_path, mirror):
        mirror.replies["file"] = [{"status": 503}, {"status": 500}, GOOD]
        self.fetch(tmp_path, mirror.url)
        assert (tmp_path / "file.gz").exists()

    def test_damage_on_the_way_is_tried_again(self, tmp_path, mirror):
        mirror.replies["file"] = [{"body": GOOD["body"][:-20]}, GOOD]
        self.fetch(tmp_path, mirror.url)
        assert (tmp_path / "file.gz").read_bytes() == GOOD["body"]

    def test_second_mirror_stands_in_for_the_first(self, tmp_path, mirror):
        mirror.replies["file"] = [GOOD]
        self.fetch(tmp_path, "http://127.0.0.1:1/", mirror.url)
        assert mirror.requests == ["file"]

    def test_server_that_always_fails(self, tmp_path, mirror):
        with pytest.raises(OSError, match=r"by hand into the folder .* variable FASTNN_DATA names"):
            self.fetch(tmp_path, mirror.url)
        assert mirror.requests == ["file"] * 3

    @pytest.mark.parametrize(
        ("reply", "problem"),
        [
            ({"status": 404}, "HTTP status 404"),
            ({"body": GOOD["body"][:-20], "announced": len(GOOD["body"])}, "damaged or truncated"),
            ({"body": GOOD["body"][:-20]}, "damaged or truncated"),
            ({"body": GOOD["body"][:-8] + bytes(8)}, "damaged or truncated"),
            ({"body": b"<html>Sign in to this network</html>"}, "damaged or truncated"),
            ({"body": b""}, "not the file published"),
            ({"body": gzip.compress(CONTENT[:-1] + b"x")}, "not the file published"),
            ({"body": gzip.compress(CONTENT + b"x")}, r"unpacks to more than the 208 bytes"),
            ({"body": NOISE}, "more than the 1232 bytes that the file can have"),
            ({"silent": True}, "timed out"),
        ],
        ids=["404", "cut", "short", "checksum", "html", "empty", "other", "longer", "oversized", "silent"],
    )
    def test_bad_replies_are_refused(self, tmp_path, mirror, reply, problem):
        mirror.replies["file"] = [reply]
        with pytest.raises(OSError, match=problem) as caught:
            self.fetch(tmp_path, mirror.url, attempts=1, timeout=0.2)
        assert f"{mirror.url}file.gz" in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_bomb_is_not_unpacked(self, tmp_path, mirror):
        bomb = gzip.compress(bytes(1_000_000))
        assert len(bomb) < 1232  # or else it is refused for its own size
        mirror.replies["file"] = [{"body": bomb}]
        with pytest.raises(OSError, match="unpacks to more than the 208 bytes"):
            self.fetch(tmp_path, mirror.url, attempts=1)

    def test_bomb_takes_no_memory(self):
        assert peak_memory(download._verify, gzip.compress(bytes(20_000_000)), FILE) < 2_000_000

    def test_pauses_double(self, tmp_path, monkeypatch):
        pauses = []
        monkeypatch.setattr(download.time, "sleep", pauses.append)
        with pytest.raises(OSError, match="could not be downloaded"):
            download.download(FILE, tmp_path, ("http://127.0.0.1:1/",), attempts=4)
        assert pauses == [1.0, 2.0, 4.0]

    def test_failure_to_write_leaves_nothing_behind(self, tmp_path, mirror, monkeypatch):
        def full_disk(*arguments):
            raise OSError("no space left")

        mirror.replies["file"] = [GOOD]
        monkeypatch.setattr(os, "replace", full_disk)
        with pytest.raises(OSError, match="no space left"):
            self.fetch(tmp_path, mirror.url)
        assert list(tmp_path.iterdir()) == []

    def test_silent_when_stderr_is_no_terminal(self, tmp_path, mirror, capsys):
        mirror.replies["file"] = [GOOD]
        self.fetch(tmp_path, mirror.url)
        assert capsys.readouterr() == ("", "")

    def test_progress_bar_on_a_terminal(self, tmp_path, mirror, monkeypatch):
        terminal = StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr(sys, "stderr", terminal)
        mirror.replies["file"] = [GOOD]
        self.fetch(tmp_path, mirror.url)
        assert "file: 100%" in terminal.getvalue()


class TestMnistFromMirror:
    @pytest.fixture(autouse=True)
    def publish(self, cache, mirror, monkeypatch):
        contents = {name: idx(array) for name, array in MNIST.items()}
        files = tuple(published(name, content) for name, content in contents.items())
        monkeypatch.setattr(datasets, "MNIST", collections.Collection("MNIST", "mnist", (mirror.url,), files))
        mirror.replies.update({name: [{"body": gzip.compress(text)}] for name, text in contents.items()})

    def test_downloads_what_is_nowhere(self):
        assert_is_mnist(load_mnist())

    def test_downloads_once(self, mirror):
        load_mnist()
        assert_is_mnist(load_mnist())
        assert sorted(mirror.requests) == sorted(MNIST)

    def test_downloads_only_what_the_cache_lacks(self, mirror, cache):
        write_mnist(cache, {LABELS: MNIST[LABELS]})
        assert_is_mnist(load_mnist())
        assert sorted(mirror.requests) == sorted(set(MNIST) - {LABELS})

    def test_downloads_nothing_when_given_a_folder(self, mirror, tmp_path):
        with pytest.raises(FileNotFoundError):
            load_mnist(tmp_path)
        assert mirror.requests == []


class TestFashionMnist:
    @pytest.fixture(autouse=True)
    def publish(self, cache, mirror, monkeypatch):
        packed = {name: gzip.compress(idx(array)) for name, array in MNIST.items()}
        digest = {name: hashlib.md5(content).hexdigest() for name, content in packed.items()}
        files = tuple(
            download.PublishedFile(name, len(idx(array)), digest[name], of_gzip=True) for name, array in MNIST.items()
        )
        collection = collections.Collection("Fashion-MNIST", "fashion_mnist", (mirror.url,), files)
        monkeypatch.setattr(datasets, "FASHION_MNIST", collection)
        mirror.replies.update({name: [{"body": content}] for name, content in packed.items()})

    def test_is_downloaded_once_into_a_folder_of_its_own(self, mirror, cache):
        assert_is_mnist(load_fashion_mnist())
        assert_is_mnist(load_fashion_mnist())
        assert sorted(mirror.requests) == sorted(MNIST)
        assert not cache.exists()

    def test_a_file_packed_in_another_way_is_not_the_one_published(self, mirror, monkeypatch):
        monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
        mirror.replies[LABELS] = [{"body": gzip.compress(idx(MNIST[LABELS]), compresslevel=1, mtime=1)}]
        with pytest.raises(OSError, match="not the file published"):
            load_fashion_mnist()

    def test_is_not_taken_from_the_folder_of_mnist(self, mirror, tmp_path, monkeypatch):
        write_mnist(tmp_path, MNIST)
        monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
        load_fashion_mnist()
        assert sorted(mirror.requests) == sorted(MNIST)
        write_mnist(tmp_path / "fashion_mnist", MNIST)
        load_fashion_mnist()
        assert len(mirror.requests) == len(MNIST)


def test_examples_in_docstrings_run():
    assert doctest.testmod(datasets).failed == 0
