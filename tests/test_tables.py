"""Tables from text and .npz files: what is read, and what is refused with which words."""

import doctest
import gzip
import io
import tracemalloc
import zipfile

import numpy as np
import pytest

import fastnn.tables.reading
from fastnn.errors import FileFormatError
from fastnn.tables.reading import looks_like_labels, read_table


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refuses(path, message, **options):
    """Check that the file is refused in these words, and that the words begin with its path."""
    with pytest.raises(FileFormatError) as caught:
        read_table(path, **options)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


PLAIN = "a,b,c\n1,2,3\n4,5,6\n"


class TestWhatIsRead:
    def test_table(self, write):
        table = read_table(write(PLAIN))
        np.testing.assert_array_equal(table.X, [[1, 2], [4, 5]])
        np.testing.assert_array_equal(table.y, [3, 6])
        assert (table.column_names, table.target_name, table.class_names) == (("a", "b"), "c", None)

    def test_types(self, write):
        table = read_table(write(PLAIN))
        assert (table.X.dtype, table.y.dtype) == (np.float64, np.float64)

    def test_arrays_are_writable(self, write):
        table = read_table(write(PLAIN))
        table.X[0, 0] = table.y[0] = 9.0

    def test_table_is_frozen(self, write):
        table = read_table(write(PLAIN))
        with pytest.raises(AttributeError):
            table.X = None

    @pytest.mark.parametrize("text", ["-1.5e-3", "+.5", "007", " 2 ", "1e308"])
    def test_numbers_are_read_as_python_does(self, write, text):
        assert read_table(write(f"{text},0\n")).X[0, 0] == float(text)

    def test_large_numbers_whose_sum_overflows_are_fine(self, write):
        np.testing.assert_array_equal(read_table(write("1e308,1e308,0\n")).X, [[1e308, 1e308]])

    def test_gzip(self, write):
        path = write(gzip.compress(PLAIN.encode()), "table.csv.gz")
        np.testing.assert_array_equal(read_table(path).X, [[1, 2], [4, 5]])

    def test_content_decides_about_gzip_and_not_the_name(self, write):
        np.testing.assert_array_equal(read_table(write(PLAIN, "table.csv.gz")).y, [3, 6])

    def test_path_may_be_a_string(self, write):
        np.testing.assert_array_equal(read_table(str(write(PLAIN))).y, [3, 6])

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_delimiter_is_found(self, write, delimiter):
        np.testing.assert_array_equal(read_table(write(PLAIN.replace(",", delimiter))).y, [3, 6])

    def test_delimiter_in_quotes_does_not_count(self, write):
        assert read_table(write('"x;y;z",b\n1,2\n')).column_names == ("x;y;z",)

    @pytest.mark.parametrize("pack", [(".tsv", str.encode), (".tsv.gz", lambda text: gzip.compress(text.encode()))])
    def test_name_in_tsv_means_tabs(self, write, pack):
        suffix, encode = pack
        path = write(encode("mass, in kg, dry\tb\n1\t2\n"), "table" + suffix)
        assert read_table(path).column_names == ("mass, in kg, dry",)

    def test_quotes_may_hold_delimiters_and_line_ends(self, write):
        table = read_table(write('"a, in\nkg", b\n"1", "2"\n'))
        assert (table.column_names, table.target_name) == (("a, in\nkg",), "b")
        np.testing.assert_array_equal(table.X, [[1]])
        np.testing.assert_array_equal(table.y, [2])

    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_line_ends(self, write, newline):
        np.testing.assert_array_equal(read_table(write(PLAIN.replace("\n", newline))).y, [3, 6])

    def test_last_line_may_lack_its_end(self, write):
        np.testing.assert_array_equal(read_table(write(PLAIN.rstrip())).y, [3, 6])

    def test_blank_lines_are_skipped(self, write):
        path = write("\n  \n" + PLAIN.replace(",", ";").replace("\n", "\n\n \n"))
        np.testing.assert_array_equal(read_table(path).y, [3, 6])

    def test_byte_order_mark_is_no_part_of_the_first_name(self, write):
        assert read_table(write("\ufeff" + PLAIN)).column_names == ("a", "b")

    def test_names_may_be_any_text(self, write):
        assert read_table(write("größe,重さ\n1,2\n")).column_names == ("größe",)


class TestHeader:
    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("a,b\n1,2\n", ("a",)),
            ("1,2\n3,4\n", ("column 1",)),
            ("5.1,3.5,setosa\n4.9,3.0,setosa\n", ("column 1", "column 2")),
            ("0,1,label\n0.5,0.25,3\n", ("0", "1")),
            ("weight,fruit\n150,apple\n", ("weight",)),
            ("2019_01,2019_02\n1,2\n", ("2019_01",)),
            (",a,b\n0,1,2\n", ("column 1", "a")),
            ("1,2\n", ("column 1",)),
        ],
        ids=[
            "names",
            "numbers",
            "text target",
            "numbers as names",
            "texts",
            "underscores",
            "index",
            "one row",
        ],
    )
    def test_is_found(self, write, text, names):
        assert read_table(write(text)).column_names == names

    @pytest.mark.parametrize("missing", ["", "?", "NA", "nan"])
    def test_missing_value_in_the_first_row_does_not_make_a_header(self, write, missing):
        refuses(write(f"1,{missing},3\n4,5,6\n"), "line 1, column 2: missing value")

    def test_missing_values_alone_are_no_names(self, write):
        refuses(write("?,?\n1,2\n"), "line 1, column 1: missing value")

    def test_forced(self, write):
        table = read_table(write("1,2\n3,4\n"), header=True)
        assert (table.column_names, table.X.shape) == (("1",), (1, 1))

    def test_denied(self, write):
        table = read_table(write("1,x\n2,y\n"), header=False)
        assert (table.column_names, table.target_name, len(table.X)) == (("column 1",), "column 2", 2)


class TestTarget:
    @pytest.mark.parametrize(
        ("target", "name", "values"),
        [
            (None, "c", [3, 6]),
            ("a", "a", [1, 4]),
            (0, "a", [1, 4]),
            (-2, "b", [2, 5]),
            (np.int64(1), "b", [2, 5]),
        ],
    )
    def test_by_name_or_index(self, write, target, name, values):
        table = read_table(write(PLAIN), target=target)
        assert table.target_name == name
        assert table.column_names == tuple(column for column in "abc" if column != name)
        np.testing.assert_array_equal(table.y, values)

    def test_none_at_all(self, write):
        table = read_table(write(PLAIN), target=False)
        assert (table.y, table.target_name, table.column_names) == (None, None, ("a", "b", "c"))

    def test_texts_become_indices_of_sorted_names(self, write):
        table = read_table(write("1,dog\n2, cat \n3,dog\n4,Bird\n"))
        assert table.class_names == ("Bird", "cat", "dog")
        assert table.y.dtype == np.int64
        np.testing.assert_array_equal(table.y, [2, 1, 2, 0])

    def test_whole_numbers_stay_numbers(self, write):
        table = read_table(write("1,0\n2,1\n3,2\n"))
        assert (table.y.dtype, table.class_names) == (np.float64, None)

    def test_the_same_number_written_differently(self, write):
        np.testing.assert_array_equal(read_table(write("1,1\n2,1.0\n")).y, [1.0, 1.0])

    def test_word_for_missing_is_a_class_among_texts(self, write):
        assert read_table(write("1,none\n2,mild\n")).class_names == ("mild", "none")

    @pytest.mark.parametrize("text", ["", '" "'])
    def test_empty_field(self, write, text):
        refuses(write(f"a,b\n1,x\n2,{text}\n"), "line 3, column 2 ('b'): missing value ('")

    def test_word_for_missing_among_numbers(self, write):
        refuses(write("a,b\n1,2\n3,NaN\n"), "line 3, column 2 ('b'): missing value ('NaN'); fill it in")

    def test_infinity(self, write):
        refuses(write("a,b\n1,2\n3,-inf\n"), "line 3, column 2 ('b'): '-inf' is not finite")

    @pytest.mark.parametrize("target", [["1", "2", "x", "z"], ["x", "z", "1", "2"]])
    def test_texts_among_numbers(self, write, target):
        path = write("a,b\n" + "".join(f"0,{field}\n" for field in target))
        line = 2 + target.index("x")
        refuses(path, f"line {line}, column 2 ('b'): 'x' is text, but line {6 - line} holds the number '1'")


class TestColumns:
    def test_order_is_the_one_asked_for(self, write):
        table = read_table(write(PLAIN), columns=["b", "a"])
        assert table.column_names == ("b", "a")
        np.testing.assert_array_equal(table.X, [[2, 1], [5, 4]])
        np.testing.assert_array_equal(table.y, [3, 6])

    def test_others_may_hold_anything(self, write):
        table = read_table(write("id,a,b\nx_1,1,?\n,2,\n"), columns=["a"], target=False)
        np.testing.assert_array_equal(table.X, [[1], [2]])

    def test_missing_ones_are_named(self, write):
        refuses(write(PLAIN), "no column 'd', 'e'; it has 'a', 'b', 'c'", columns=["a", "d", "e"])

    def test_ten_names_are_listed_each_of_forty_letters_at_most(self, write):
        forty, longer = "z" * 40, "u" * 41
        path = write("p\n1\n2\n")
        refuses(path, f"no column '{forty}', '{'u' * 37}...'; it has 'p'", columns=[forty, longer])
        ten = ", ".join(repr(name) for name in "abcdefghij")
        refuses(path, f"no column {ten}; it has 'p'", columns=list("abcdefghij"))
        refuses(path, f"no column {ten}, ...; it has 'p'", columns=list("abcdefghijk"))

    @pytest.mark.parametrize(("target", "hint"), [(None, "; give target=False if there is none"), ("c", "")])
    def test_target_cannot_be_one(self, write, target, hint):
        with pytest.raises(ValueError, match=f"columns names 'c', which is the target{hint}$"):
            read_table(write(PLAIN), columns=["a", "c"], target=target)

    def test_without_a_header_they_go_by_number(self, write):
        table = read_table(write("1,2,3\n"), columns=["column 2"], target=False)
        np.testing.assert_array_equal(table.X, [[2]])


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", ": the file is empty; write one row per line"),
            ("\n \n", ": the file is empty"),
            ("a,b\n", ": the file has a header and no rows"),
            ("a\n1\n", ": no column is left beside the target 'a'"),
            ("a,a\n1,2\n", ", line 1: two columns are named 'a'; rename one"),
            ("a,b\n1,2\n3\n", ", line 3: 1 fields, but line 1 has 2; add or remove separators"),
            ("a,b\n1,2\n3,4,5\n", ", line 3: 3 fields, but line 1 has 2"),
            ("a,b\n1,2\nx,4\n", ", line 3, column 1 ('a'): 'x' is not a number; write a number, name the"),
            ("1,2\n3,4\nx,4\n", ", line 3, column 1: 'x' is not a number"),
            ("a,b\n1,2\n\x1c3,4\n", ", line 3, column 1 ('a'): '\\x1c3' is not a number"),
            ("a,b\n1,2\n1_0,4\n", ", line 3, column 1 ('a'): '1_0' is not a number"),
            ("a;b\n1,5;2\n", ", line 2, column 1 ('a'): '1,5' is not a number; write decimal points"),
            ("a,b\n1,2\n,4\n", ", line 3, column 1 ('a'): missing value (''); fill it in or remove the row"),
            ("a,b\n1,2\nN/A,4\n", ", line 3, column 1 ('a'): missing value ('N/A')"),
            ("a,b\n1,2\n-nan,4\n", ", line 3, column 1 ('a'): '-nan' is not finite"),
            ("a,b\n1,2\ninf,4\n", ", line 3, column 1 ('a'): 'inf' is not finite"),
            ("a,b\n1,2\n1e309,4\n", ", line 3, column 1 ('a'): '1e309' is not finite"),
            ('a,b\n"1\n",2\n\nx,4\n', ", line 5, column 1 ('a'): 'x'"),
            ('a,b\n1,"2\n', ", line 2: not a row of fields (unexpected end of data); check its quotes"),
            ('a,b\n1,"2"3\n', ", line 2: not a row of fields"),
            ("a,b\r1,2\r", ", line 1: not a row of fields"),
            (b"a,b\n1,2\n1,\xff\n", ", line 3, byte 3: not UTF-8 text; save the file as UTF-8"),
            (b"a,b\n" + b"9" * (1 << 24) + b",1\n", ", line 2: longer than 16777216 bytes"),
            ("a,b\n" + "x" * 99 + ",1\n", f"'{'x' * 37}...' is not a number"),
        ],
    )
    def test_content(self, write, content, message):
        refuses(write(content), message)

    def test_hint_at_the_header_for_a_single_row_of_texts(self, write):
        refuses(write("a,b\n"), "if it has no header, give header=False")

    @pytest.mark.parametrize(
        ("target", "what"), [("z", "'z'; it has 'a', 'b', 'c'"), (3, "of index 3"), (-4, "of index -4")]
    )
    def test_target_that_is_not_there(self, write, target, what):
        refuses(write(PLAIN), f"no column {what}", target=target)

    def test_long_lists_of_names_are_cut(self, write):
        names = ",".join(f"c{index}" for index in range(20))
        refuses(write(names + "\n" + "1," * 19 + "1\n"), "'c8', 'c9', ...", target="z")

    @pytest.mark.parametrize(
        "damage",
        [lambda packed: packed[:-9], lambda packed: packed[:-8] + bytes(8), lambda packed: packed + b"x"],
    )
    def test_damaged_gzip(self, write, damage):
        path = write(damage(gzip.compress(b"1,2,3\n" * 50)), "table.csv.gz")
        refuses(path, ": damaged or truncated gzip data")

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"target": True}, TypeError, "target must be a column's name or index, None or False, got True"),
            ({"target": 1.0}, TypeError, "target must be"),
            ({"header": "yes"}, TypeError, "header must be True, False or 'auto', got 'yes'"),
            ({"header": 1}, TypeError, "header must be"),
            ({"columns": "ab"}, TypeError, "columns must be a sequence of names, got str"),
            ({"columns": [1]}, TypeError, r"columns must be names, got \[1\]"),
            ({"columns": []}, ValueError, "columns must name at least one column, got none"),
            ({"columns": ["a", "a"]}, ValueError, "columns must name each column once, got 'a' twice"),
        ],
    )
    def test_arguments(self, write, options, error, message):
        with pytest.raises(error, match=message):
            read_table(write(PLAIN), **options)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / "nowhere.csv")


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
        np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
        np.testing.assert_array_equal(table.y, [0, 1])
        assert (table.X.dtype, table.y.dtype) == (np.float64, np.float64)
        assert (table.column_names, table.target_name) == (("column 1", "column 2"), "y")

    def test_uncompressed_and_in_fortran_order(self, tmp_path):
        X = np.asfortranarray(np.arange(6.0).reshape(2, 3))
        np.savez(tmp_path / "table.npz", X=X)
        np.testing.assert_array_equal(read_table(tmp_path / "table.npz").X, X)

    def test_target_is_optional(self, save):
        table = read_table(save(X=np.ones((2, 1))))
        assert (table.y, table.target_name) == (None, None)

    def test_target_may_be_left(self, save):
        table = read_table(save(X=np.ones((2, 1)), y=np.ones(2)), target=False)
        assert (table.y, table.target_name) == (None, None)

    def test_texts_become_indices_of_sorted_names(self, save):
        table = read_table(save(X=np.ones((3, 1)), y=np.array(["pear", "apple", "pear"])))
        assert table.class_names == ("apple", "pear")
        assert all(type(name) is str for name in table.class_names)
        assert table.y.dtype == np.int64
        np.testing.assert_array_equal(table.y, [1, 0, 1])

    def test_several_outputs(self, save):
        y = np.arange(6.0).reshape(3, 2)
        np.testing.assert_array_equal(read_table(save(X=np.ones((3, 1)), y=y)).y, y)

    def test_columns(self, save):
        table = read_table(save(X=np.arange(6.0).reshape(2, 3)), columns=["column 3", "column 1"])
        np.testing.assert_array_equal(table.X, [[2, 0], [5, 3]])
        assert table.column_names == ("column 3", "column 1")

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"data": np.ones((2, 1))}, ": no array named X; save it with numpy.savez"),
            ({"X": np.ones(2)}, ": X must have shape (n, n_features) and not be empty, got (2,)"),
            ({"X": np.ones((0, 2))}, ": X must have shape (n, n_features) and not be empty, got (0, 2)"),
            ({"X": np.ones((2, 0))}, ": X must have shape (n, n_features) and not be empty, got (2, 0)"),
            ({"X": [[1.0, 2.0], [3.0, np.nan]]}, ": X[1, 1] is nan; fill it in or remove the row"),
            ({"X": [[np.inf]]}, ": X[0, 0] is inf"),
            ({"X": np.array([[None]])}, ": X must hold real numbers, got dtype object"),
            ({"X": [[1j]]}, ": X must hold real numbers, got dtype complex128"),
            ({"X": [["a"]]}, ": X must hold real numbers, got dtype <U1"),
            ({"X": [[1.0]], "y": [1.0, 2.0]}, ": y must have shape (1,) or (1, n_outputs), got (2,)"),
            ({"X": [[1.0]], "y": 1.0}, ": y must have shape (1,) or (1, n_outputs), got ()"),
            ({"X": [[1.0]], "y": [[[1.0]]]}, ": y must have shape (1,) or (1, n_outputs), got (1, 1, 1)"),
            ({"X": [[1.0]], "y": np.ones((1, 0))}, ": y must have shape (1,) or (1, n_outputs), got (1, 0)"),
            ({"X": [[1.0]], "y": [np.nan]}, ": y[0] is nan"),
            ({"X": [[1.0]], "y": [["a"]]}, ": y holds texts, so it must have shape (1,)"),
            ({"X": [[1.0], [2.0]], "y": ["a", ""]}, ": y has a missing value in row 1"),
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

    def test_target_by_name(self, save):
        with pytest.raises(ValueError, match=r"target must be None or False for a \.npz file, got 'y'"):
            read_table(save(X=np.ones((2, 1)), y=np.ones(2)), target="y")

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / "nowhere.npz")


def test_memory_is_eight_bytes_a_number(write):
    numbers = np.random.default_rng(0).integers(0, 10, (3000, 100))
    path = write("\n".join(",".join(map(str, row)) for row in numbers))
    tracemalloc.start()
    read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 8 * numbers.size


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ([0, 1, 0, 1], True),
        ([0.0, 1.0, 2.0, 2.0, 1.0, 0.0], True),
        (np.repeat(np.arange(100), 2), True),
        (np.array([True, False, True, False]), True),
        (np.repeat(np.arange(101), 2), False),
        ([0, 1, 2], False),
        ([0, 1, 2, 0, 1], False),
        ([1, 2, 1, 2], False),
        ([0, 2, 0, 2], False),
        ([-1, 0, 1, -1, 0, 1], False),
        ([0.0, 0.5, 1.0, 0.0, 0.5, 1.0], False),
        ([0, 0, 0], False),
        ([0.0, 1.0, np.nan, 0.0, 1.0, 0.0], False),
        ([[0, 1], [1, 0]], False),
        ([0j, 1j**4, 0j, 1j**4], False),
        (["0", "1", "0", "1"], False),
        ([], False),
    ],
)
def test_looks_like_labels(y, labels):
    assert looks_like_labels(y) is labels


def test_examples_in_docstrings_run():
    assert doctest.testmod(fastnn.tables.reading).failed == 0


@pytest.mark.parametrize("name", ["table.json", "TABLE.XLSX", "rows.npy"])
def test_files_of_other_formats_are_refused_by_their_names(name, tmp_path):
    (tmp_path / name).write_text("1,2\n3,4\n")
    with pytest.raises(FileFormatError, match=r"files are not read; give \.csv, \.tsv or \.npz"):
        read_table(tmp_path / name)
