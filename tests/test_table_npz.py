"""Arrays of .npz files as tables: what is read, and what is refused with which words."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastnn.errors import FileFormatError
from fastnn.tables import read_table
from fastnn.tables.columns import as_texts


def refuses(path, message):
    """Check that the file is refused in these words, and that the words begin with its path."""
    with pytest.raises(FileFormatError) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.fixture
def save(tmp_path):
    """Write arrays to a .npz file and return its path."""

    def save(**arrays):
        np.savez_compressed(tmp_path / "table.npz", **arrays)
        return tmp_path / "table.npz"

    return save


def npy(header_shape, payload, descr="<f8", version=(1, 0)):
    """A .npy file whose header says what it is told to."""
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": header_shape}
    np.lib.format.write_array_header_1_0(stream, header)
    content = bytearray(stream.getvalue() + payload)
    content[6:8] = bytes(version)
    return bytes(content)


@pytest.fixture
def save_raw(tmp_path):
    """Write a zip file whose members X.npy and, if given, y.npy have these bytes and return its path."""

    def save_raw(X, y=None, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "table.npz", "w", compression) as archive:
            archive.writestr("X.npy", X)
            if y is not None:
                archive.writestr("y.npy", y)
        return tmp_path / "table.npz"

    return save_raw


class TestNpz:
    @pytest.mark.parametrize("name", ["X", "x"])
    def test_table(self, save, name):
        table = read_table(save(**{name: np.uint8([[1, 2], [3, 4]]), "y": np.int32([0, 1])}))
        assert {name: column.tolist() for name, column in table.columns.items()} == {
            "column 1": [1, 3],
            "column 2": [2, 4],
            "y": [0, 1],
        }
        assert (table.targets, table.has_names, table.kind, table.n_rows) == (("y",), False, "npz", 2)

    def test_content_decides_and_not_the_name(self, save):
        path = save(X=np.ones((2, 1)))
        assert read_table(path.rename(path.with_suffix(".csv"))).kind == "npz"

    def test_uncompressed_and_in_fortran_order(self, tmp_path):
        X = np.asfortranarray(np.arange(6.0).reshape(2, 3))
        np.savez(tmp_path / "table.npz", X=X)
        found = read_table(tmp_path / "table.npz").columns
        np.testing.assert_array_equal(np.column_stack(list(found.values())), X)

    def test_target_is_optional(self, save):
        table = read_table(save(X=np.ones((2, 1))))
        assert (table.targets, list(table.columns)) == ((), ["column 1"])

    def test_texts(self, save):
        table = read_table(save(X=np.ones((3, 1)), y=np.array(["pear", "apple", "pear"])))
        texts = as_texts(table.columns["y"])
        assert [texts.distinct[code] for code in texts.codes] == ["pear", "apple", "pear"]
        assert all(type(name) is str for name in texts.distinct)

    def test_several_outputs(self, save):
        y = np.arange(6.0).reshape(3, 2)
        table = read_table(save(X=np.ones((3, 1)), y=y))
        assert table.targets == ("y 1", "y 2")
        np.testing.assert_array_equal(table.columns["y 2"], y[:, 1])

    def test_nan_is_a_missing_value(self, save):
        assert np.isnan(read_table(save(X=[[1.0, 2.0], [3.0, np.nan]])).columns["column 2"]).tolist() == [False, True]

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"data": np.ones((2, 1))}, ": no array named X; save it with numpy.savez"),
            ({"X": np.ones(2)}, ": X must have shape (n, n_features) and not be empty, got (2,)"),
            ({"X": np.ones((0, 2))}, ": X must have shape (n, n_features) and not be empty, got (0, 2)"),
            ({"X": np.ones((2, 0))}, ": X must have shape (n, n_features) and not be empty, got (2, 0)"),
            ({"X": [[np.inf]]}, ": X[0, 0] is inf"),
            ({"X": np.array([[None]])}, ": X must hold real numbers, got dtype object"),
            ({"X": [[1j]]}, ": X must hold real numbers, got dtype complex128"),
            ({"X": [["a"]]}, ": X must hold real numbers, got dtype <U1"),
            ({"X": [[1.0]], "y": [1.0, 2.0]}, ": y must have shape (1,) or (1, n_outputs), got (2,)"),
            ({"X": [[1.0]], "y": 1.0}, ": y must have shape (1,) or (1, n_outputs), got ()"),
            ({"X": [[1.0]], "y": [[[1.0]]]}, ": y must have shape (1,) or (1, n_outputs), got (1, 1, 1)"),
            ({"X": [[1.0]], "y": np.ones((1, 0))}, ": y must have shape (1,) or (1, n_outputs), got (1, 0)"),
            ({"X": [[1.0]], "y": [np.inf]}, ": y[0] is inf; fill it in or remove the row"),
            ({"X": [[1.0]], "y": [["a"]]}, ": y holds texts, so it must have shape (1,)"),
            ({"X": [[1.0]], "y": ["\ud800"]}, ": y holds texts that are not Unicode"),
            ({"X": [[1.0]], "y": np.uint32([0x110000]).view("U1")}, ": y holds texts that are not Unicode"),
        ],
    )
    def test_contents_refused(self, save, arrays, message):
        refuses(save(**arrays), message)

    @pytest.mark.parametrize(
        ("member", "message"),
        [
            (npy((10**9, 10**6), b""), "X is not as long as its shape (1000000000, 1000000) says"),
            (npy((1, 1), bytes(7)), "X is not as long as its shape"),
            (npy((1, 1), bytes(9)), "X is not as long as its shape"),
            (npy((-1, -1), bytes(8)), "not a .npz file, or damaged"),
            (npy((1, 1), bytes(8), version=(3, 0)), "X has the unknown .npy version (3, 0)"),
            (npy((1, 1), bytes(8), descr="<f7"), "not a .npz file, or damaged"),
            (b"", "not a .npz file, or damaged"),
            (b"GIF89a", "not a .npz file, or damaged"),
        ],
        ids=["huge", "short", "long", "negative", "version", "type", "empty", "gif"],
    )
    def test_dishonest_headers(self, save_raw, member, message):
        refuses(save_raw(member), message)

    def test_texts_of_no_width(self, save_raw):
        path = save_raw(npy((1, 1), bytes(8)), npy((10**18,), b"", descr="<U0"))
        refuses(path, "y must hold real numbers or texts, got dtype <U0")

    @pytest.mark.parametrize(
        ("n_rows", "compression", "message"),
        [
            (1_000_000, zipfile.ZIP_DEFLATED, "X is not as long as its shape (1000000, 1) says"),
            (1_000, zipfile.ZIP_STORED, "not a .npz file, or damaged"),
        ],
        ids=["more than the file can hold", "more than it does hold"],
    )
    def test_directory_that_repeats_the_lie_of_a_header(self, save_raw, n_rows, compression, message):
        member = npy((n_rows, 1), b"")
        path = save_raw(member, compression=compression)
        content = bytearray(path.read_bytes())
        size = (len(member) + 8 * n_rows).to_bytes(4, "little")
        at = content.index(b"PK\x01\x02") + 20  # compressed size, then size
        content[at : at + 8] = (size if compression == zipfile.ZIP_STORED else content[at : at + 4]) + size
        path.write_bytes(content)
        tracemalloc.start()
        refuses(path, message)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000

    @pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="long double is float64 here")
    def test_long_doubles_beyond_float64(self, save):
        refuses(save(X=np.array([["1e400"]], dtype=np.longdouble)), ": X[0, 0] is inf")

    def test_strange_compression(self, save_raw):
        refuses(
            save_raw(npy((1, 1), bytes(8)), compression=zipfile.ZIP_BZIP2),
            "X is compressed in a way that NumPy does not",
        )

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: content[:-30],
            lambda content: content[100:],
            lambda content: content.replace(b"PK\x03\x04", b"PK\x03\x05"),
            lambda content: content[:150] + b"\xff" * 50 + content[200:],
        ],
        ids=["empty", "end cut", "start cut", "member", "content"],
    )
    def test_damaged(self, save, damage):
        path = save(X=np.random.default_rng(0).normal(size=(50, 4)))
        path.write_bytes(damage(path.read_bytes()))
        refuses(path, "damaged")

    def test_encrypted(self, save):
        path = save(X=np.ones((2, 2)))
        content = bytearray(path.read_bytes())
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + offset] |= 1
        path.write_bytes(content)
        refuses(path, "damaged")

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / "nowhere.npz")
