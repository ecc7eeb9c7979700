"""Tables from files: every oddity that is recognised, and what is refused with which words."""

import bz2
import doctest
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

import fastnn.tables.reading
from fastnn.errors import FileFormatError
from fastnn.tables import read_table
from fastnn.tables.columns import Texts
from fastnn.tables.numbers import PLAIN, NumberFormat, format_of

pandas = pytest.importorskip("pandas")


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def values(column):
    """The column as a list, None for a missing value."""
    if isinstance(column, Texts):
        return [None if code < 0 else column.distinct[code] for code in column.codes]
    return [None if value != value else value for value in column.tolist()]


def contents(path, **options):
    return {name: values(column) for name, column in read_table(path, **options).columns.items()}


def refuses(path, message, **options):
    """Check that the file is refused in these words, and that the words begin with its path."""
    with pytest.raises(FileFormatError) as caught:
        read_table(path, **options)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


PLAIN_TABLE = "a,b,c\n1,2,x\n4,5.5,y\n"
EXPECTED = {"a": [1, 4], "b": [2, 5.5], "c": ["x", "y"]}


class TestSeparators:
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.data", "table"])
    def test_content_decides_and_not_the_name(self, write, separator, name):
        assert contents(write(PLAIN_TABLE.replace(",", separator), name)) == EXPECTED

    def test_runs_of_blanks_and_tabs(self, write):
        assert contents(write(" a  b c\n 1 2\t  x \n4    5.5 y\n\n")) == EXPECTED

    def test_runs_of_tabs(self, write):
        rows = ["1\t2\t3", "4\t\t5\t6", *["7\t8\t9"] * 10]
        assert contents(write("\n".join(rows)))["column 3"][:2] == [3, 6]

    def test_empty_fields_between_tabs_are_missing(self, write):
        assert contents(write("a\tb\tc\n1\t\t3\n4\t5\t6\n7\t8\t9\n"))["b"] == [None, 5, 8]

    def test_comma_and_blank(self, write):
        assert contents(write("39, State-gov, <=50K\n50, Private, >50K\n"))["column 2"] == ["State-gov", "Private"]

    def test_separators_within_quotes_do_not_count(self, write):
        assert contents(write('name;"x;y"\n"Braund, Mr. Owen";1\n"Allen, Miss";2\n')) == {
            "name": ["Braund, Mr. Owen", "Allen, Miss"],
            "x;y": [1, 2],
        }

    def test_single_quotes(self, write):
        assert contents(write("a,b\n'x, y',1\n'z, w',2\n"))["a"] == ["x, y", "z, w"]

    def test_line_ends_within_quotes(self, write):
        table = read_table(write('a,b\n"x\ny",1\n"z\n\nw",2\nv,3\n'))
        assert values(table.columns["a"]) == ["x\ny", "z\n\nw", "v"]
        assert table.lines.tolist() == [2, 4, 7]

    @pytest.mark.parametrize("quoted", ['5" pipe', 'a ""b""'])
    def test_quotes_within_fields_are_characters(self, write, quoted):
        assert contents(write(f"a,b\n{quoted},1\nx,2\n"))["a"][0] == quoted

    def test_line_of_spreadsheets_that_names_the_separator(self, write):
        assert contents(write("sep=;\na;b;c\n1;2;x\n4;5,5;y\n")) == EXPECTED

    def test_given(self, write):
        assert contents(write("a:b\n1:2\n"), separator=":") == {"a": [1], "b": [2]}

    def test_one_column(self, write):
        assert contents(write("a\n1\n2\n")) == {"a": [1, 2]}


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "note"),
        [
            ("utf-8", None),
            ("utf-8-sig", None),
            ("utf-16", "UTF-16"),
            ("utf-16-le", "UTF-16-LE"),
            ("utf-16-be", "UTF-16-BE"),
            ("utf-32", "UTF-32"),
            ("latin-1", "Latin-1"),
            ("cp1252", "Windows-1252"),
        ],
    )
    def test_found_and_said(self, write, encoding, note):
        table = read_table(write("größe,b\n1,é\n2,à\n".encode(encoding)))
        assert {name: values(column) for name, column in table.columns.items()} == {"größe": [1, 2], "b": ["é", "à"]}
        assert note is None or any(note in said for said in table.notes)

    def test_windows_characters(self, write):
        assert contents(write("a,b\n1,€“\n2,–\n".encode("cp1252")))["b"] == ["€“", "–"]

    def test_latin_1_where_windows_has_no_character(self, write):
        assert "Latin-1" in str(read_table(write(b"a,b\n1,\x81\xe9\n2,x\n")).notes)

    def test_first_byte_that_is_not_utf_8_far_into_the_file(self, write):
        table = read_table(write(b"a,b\n" + b"1,x\n" * 50_000 + b"2,\xb0C\n"))
        assert values(table.columns["b"])[-1] == "°C"
        assert any("line 50002 holds byte 0xb0" in note for note in table.notes)

    def test_a_few_damaged_bytes_in_utf_8_are_warned_of(self, write):
        table = read_table(write("é,b\n".encode() * 30 + b"\xff,c\n"))
        assert table.warnings == ("line 31 holds byte 0xff, which is not UTF-8: read as \ufffd",)

    def test_given(self, write):
        assert contents(write("a,b\n1,я\n2,ю\n".encode("cp1251")), encoding="cp1251")["b"] == ["я", "ю"]
        refuses(write("a,b\n1,я\n".encode("cp1251")), "byte 7 is not utf-8", encoding="utf-8")
        with pytest.raises(ValueError, match="encoding must be one that Python knows"):
            read_table(write("a,b\n"), encoding="klingon")

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_line_ends(self, write, end):
        assert contents(write(PLAIN_TABLE.replace("\n", end))) == EXPECTED


class TestHeader:
    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("a,b\n1,2\n", ["a", "b"]),
            ("1,2\n3,4\n", None),
            ("1,2,3\n4,5,6\n", None),
            ("1.24,0.875,0\n0.268,1.352,1\n", None),
            ("5.1,3.5,setosa\n4.9,3.0,setosa\n", None),
            ("0,1,2,3\n5,1,2,9\n3,3,1,1\n", ["0", "1", "2", "3"]),
            ("1,2,3\n4.5,5,7\n2,2,2\n", ["1", "2", "3"]),
            ("0,1\n0.5,0.25\n", ["0", "1"]),
            ("0,1,label\n0.5,0.25,3\n", ["0", "1", "label"]),
            ("1,2,3,4\n2,1,3,4\n4,3,2,1\n", None),
            ("1960,1961,1962\n3,4,5.5\n7,8,9\n", ["1960", "1961", "1962"]),
            ("country,1960,1961,1962\nA,3,4,5\n", ["country", "1960", "1961", "1962"]),
            ("1960,1961,1962\n1970,1971,1972\n", None),
            ("weight,fruit\n150,apple\n", ["weight", "fruit"]),
            ("2019_01,2019_02\n1,2\n", ["2019_01", "2019_02"]),
            (",a,b\n0,1,2\n1,5,6\n", ["column 1", "a", "b"]),
            ("p,x,s\ne,x,y\np,x,s\n", None),
            ("class,cap,odor\np,x,s\ne,x,y\np,x,s\n", ["class", "cap", "odor"]),
            ("date,id\n2020-01-01,x1\n2020-01-02,x2\n2020-01-03,x3\n", ["date", "id"]),
            ("1,?,3\n4,5,6\n", None),
            ("?,?\n1,2\n", None),
            ("1,2\n", None),
        ],
    )
    def test_is_found(self, write, text, names):
        table = read_table(write(text))
        assert table.has_names == (names is not None)
        assert list(table.columns) == (names or [f"column {i + 1}" for i in range(len(table.columns))])

    def test_given(self, write):
        assert contents(write("1,2\n3,4\n"), header=True) == {"1": [3], "2": [4]}
        assert contents(write("a,b\n3,4\n5,6\n7,8\n"), header=False)["column 1"] == ["a", "3", "5", "7"]

    def test_names_that_are_known_make_a_header(self, write):
        path = write("p,x\ne,x\n")
        assert not read_table(path).has_names
        assert read_table(path, known_names=["p", "x", "q"]).has_names

    def test_names_with_commas_and_blanks(self, write):
        assert list(contents(write('"mass, dry", zip code ,c  \n1,2,3\n'))) == ["mass, dry", "zip code", "c"]

    def test_the_same_name_twice_is_said(self, write):
        table = read_table(write("a,a,a 2\n1,2,3\n"))
        assert list(table.columns) == ["a", "a 3", "a 2"]
        assert "column 2 is also named 'a': called 'a 3' here" in table.notes

    def test_rows_with_names_of_their_own(self, write):
        assert contents(write('"x","y"\n"r1",1,2\n"r2",3,4\n')) == {"column 1": ["r1", "r2"], "x": [1, 3], "y": [2, 4]}

    def test_title_before_the_table(self, write):
        for title in ("My table\n\n", "My table,,\n", '"Source","World"\n"Updated","2020"\n\n'):
            table = read_table(write(title + PLAIN_TABLE))
            assert {name: values(column) for name, column in table.columns.items()} == EXPECTED
            assert any("before the table left out" in note for note in table.notes)


class TestBlankRowsAndComments:
    def test_blank_rows_are_left_out_and_said(self, write):
        table = read_table(write("a,b\n\n1,2\n \n,\n3,4\n;\n".replace(";", ",")))
        assert {name: values(column) for name, column in table.columns.items()} == {"a": [1, 3], "b": [2, 4]}
        assert table.lines.tolist() == [3, 6]
        assert "3 rows without anything in them left out" in table.notes

    def test_rows_of_separators_may_be_kept(self, write):
        assert contents(write("a,b\n1,2\n,\n3,4\n"), keep_empty=True)["a"] == [1, None, 3]

    @pytest.mark.parametrize("text", ["a,b,,\n1,2,,\n3,4,,\n", "a,b\n1,2,\n3,4,\n", "a,b,\n1,2\n3,4\n"])
    def test_trailing_separators(self, write, text):
        assert contents(write(text)) == {"a": [1, 3], "b": [2, 4]}

    @pytest.mark.parametrize("mark", ["#", "%", "//"])
    def test_comments(self, write, mark):
        table = read_table(write(f"{mark} made by x\n{mark} y\na,b\n1,2\n{mark} later\n3,4\n"))
        assert {name: values(column) for name, column in table.columns.items()} == {"a": [1, 3], "b": [2, 4]}
        assert f"lines that begin with {mark} are comments" in table.notes

    def test_a_comment_of_as_many_words_as_there_are_columns(self, write):
        assert list(contents(write("% 2020 MATLAB\n1.5 2 5\n3.5 4 6\n"))) == ["column 1", "column 2", "column 3"]

    def test_names_in_a_comment(self, write):
        assert contents(write("# made by numpy\n# a b\n1.5 2\n3.5 4\n")) == {"a": [1.5, 3.5], "b": [2, 4]}

    def test_texts_that_begin_as_comments_do(self, write):
        assert contents(write("tag,b\n#x,1\n#y,2\n#x,3\n"))["tag"] == ["#x", "#y", "#x"]


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "expected", "note"),
        [
            ("a;b\n1,5;x\n2,5;y\n", [1.5, 2.5], "decimal commas in 'a'"),
            ("1,5;2,5\n3,5;4,5\n", [1.5, 3.5], "decimal commas in 'column 1', 'column 2'"),
            ("1,5 2,5\n3,5 4,5\n", [1.5, 3.5], "decimal commas"),
            ("1,5\t2,5\n3,5\t4,5\n", [1.5, 3.5], "decimal commas"),
            ('a,b\n"1,571",2\n"12,345",3\n', [1571, 12345], "commas between thousands in 'a'"),
            ("a;b\n1.571,5;2\n12.345,0;3\n", [1571.5, 12345], "points between thousands in 'a'"),
            ("a;b\n1.571;2,5\n12.345;3,5\n", [1571, 12345], "points between thousands in 'a'"),
            ("a;b\n1 571;x\n12 345;y\n", [1571, 12345], "blanks between thousands in 'a'"),
            ("a;b\n1\u00a0571;x\n12\u202f345;y\n", [1571, 12345], "blanks between thousands in 'a'"),
            ("a,b\n1'571,x\n12'345,y\n", [1571, 12345], "apostrophes between thousands in 'a'"),
            ('a,b\n"1,234,567.5",x\n3,y\n', [1234567.5, 3], "commas between thousands in 'a'"),
            ("a,b\n12%,x\n3.5 %,y\n", [12, 3.5], "percent signs in 'a'"),
            ('a,b\n"$1,571.20",x\n-$3,y\n', [1571.2, -3], "currency signs ($) in 'a'"),
            ("a;b\n1,20 €;x\n€ 3;y\n", [1.2, 3], "currency signs (€) in 'a'"),
            ("a,b\n−5,x\n+3,y\n", [-5, 3], None),
            ("a,b\n1.571,x\n2.345,y\n", [1.571, 2.345], None),
            ("a,b\n1e3,x\n-2.5E-1,y\n", [1000, -0.25], None),
        ],
    )
    def test_are_recognised_and_said(self, write, text, expected, note):
        table = read_table(write(text))
        assert values(next(iter(table.columns.values()))) == expected
        assert note is None or any(note in said for said in table.notes)

    def test_the_decimal_sign_can_be_given(self, write):
        path = write('a,b\n"1,571",2\n"12,345",3\n')
        assert contents(path, decimal=",")["a"] == [1.571, 12.345]

    @pytest.mark.parametrize("texts", [("1_0", "2"), ("1,2,3", "4,5"), ("0x1f", "3"), ("12,34", "1.2.3"), ("--3", "1")])
    def test_what_is_no_number_stays_a_text(self, texts):
        assert format_of(texts) is None

    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            (["1.234,5 €", "-€3", "€ -4,5", "12%", "−5", "+7", " 5 "], [1234.5, -3, -4.5, 12, -5, 7, 5]),
            (["-€-3", "--3", "1.2.3", "€€3", "3%%", "1,2,3", "7"], [None] * 6 + [7]),
        ],
    )
    def test_one_by_one_and_all_at_once(self, texts, expected):
        chosen = NumberFormat(",", ".", "€%")
        assert values(chosen.parse(texts)) == expected
        assert [values(chosen.parse([text]))[0] for text in texts] == expected

    def test_zeros_before_whole_numbers_make_a_code(self, write):
        assert contents(write("zip,b\n01234,1\n12345,2\n"))["zip"] == ["01234", "12345"]
        far = "zip,b\n" + "12345,1\n" * 60_000 + "01234,2\n"
        assert contents(write(far))["zip"][-2:] == ["12345", "01234"]

    def test_numbers_too_long_for_a_float_are_codes(self, write):
        assert contents(write("id,b\n12345678901234567890,1\n12345678901234567891,2\n"))["id"] == [
            "12345678901234567890",
            "12345678901234567891",
        ]

    def test_numbers_are_read_to_the_last_bit(self, write):
        numbers = np.random.default_rng(0).normal(size=2000) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 2000)
        path = write("a,b\n" + "".join(f"{number!r},x\n" for number in numbers.tolist()))
        np.testing.assert_array_equal(read_table(path).columns["a"], numbers)

    @pytest.mark.parametrize("text", ["", "?", "NA", "N/A", "nan", "NULL", "null", "#N/A", "<NA>"])
    def test_missing_values(self, write, text):
        found = contents(write(f"a,b,c\n1,x,7\n{text},{text},8\n3,z,9\n"))
        assert found == {"a": [1, None, 3], "b": ["x", None, "z"], "c": [7, 8, 9]}

    def test_more_missing_values_can_be_given(self, write):
        assert contents(write("a,b\n1,x\n-999,absent\n3,z\n"), missing=["-999", "absent"]) == {
            "a": [1, None, 3],
            "b": ["x", None, "z"],
        }

    def test_words_among_numbers_are_missing_and_said(self, write):
        table = read_table(write("a,b\n" + "1,x\n" * 20 + "unknown,none\n-,y\n"))
        assert values(table.columns["a"])[-2:] == [None, None]
        assert values(table.columns["b"])[-2:] == ["none", "y"]
        assert "'unknown' among numbers is a missing value (1)" in table.notes
        assert table.damaged == ()

    def test_a_text_among_numbers_is_missing_and_named(self, write):
        table = read_table(write("a,b\n" + "1,x\n" * 30 + "12O,x\ninf,y\n"))
        found = [(damage.row, damage.line, damage.column, damage.text) for damage in table.damaged]
        assert found == [(30, 32, "a", "12O"), (31, 33, "a", "inf")]
        assert values(table.columns["a"])[-2:] == [None, None]

    def test_texts_that_come_late_make_the_whole_column_one_of_texts(self, write):
        path = write("a,b\n" + "1,2\n" * 70_000 + "x,2\n" * 20_000)
        assert values(read_table(path).columns["a"])[::70_000] == ["1", "x"]

    def test_numbers_that_come_late_in_a_column_of_missing_values(self, write):
        path = write("a,b\n" + ",2\n" * 70_000 + '"1,571",2\n')
        assert read_table(path).columns["a"][-1] == 1571

    def test_texts_can_be_kept(self, write):
        assert contents(write("a,b\n1.0,x\n2,y\n"), as_texts=["a"])["a"] == ["1.0", "2"]

    def test_formats_come_back_from_plain_data(self):
        chosen = NumberFormat(",", ".", "€%")
        assert NumberFormat.from_state(chosen.as_dict()) == chosen
        for state in ({}, {**PLAIN.as_dict(), "decimal": ";"}, {**PLAIN.as_dict(), "signs": "x"}, 3):
            with pytest.raises(ValueError, match="a format of numbers"):
                NumberFormat.from_state(state)


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(content, mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        info = tarfile.TarInfo("folder/table.csv")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


class TestPacked:
    @pytest.mark.parametrize(
        "pack",
        [
            gzip.compress,
            bz2.compress,
            lzma.compress,
            lambda content: zipped(**{"folder/table.csv": content, "__MACOSX/._table.csv": b"x", "README.md": b"x"}),
            tarred,
            lambda content: tarred(content, "w:gz"),
        ],
        ids=["gzip", "bzip2", "xz", "zip", "tar", "tar.gz"],
    )
    @pytest.mark.parametrize("name", ["table.csv", "table.zip"])
    def test_content_decides_and_not_the_name(self, write, pack, name):
        table = read_table(write(pack(PLAIN_TABLE.encode()), name))
        assert {name: values(column) for name, column in table.columns.items()} == EXPECTED
        assert table.notes[0].startswith("unpacked")

    def test_zstd(self, write):
        library = pytest.importorskip("zstandard")
        assert contents(write(library.compress(PLAIN_TABLE.encode()))) == EXPECTED

    def test_zstd_without_its_library(self, write, monkeypatch):
        monkeypatch.setitem(sys.modules, "zstandard", None)
        with pytest.raises(ImportError, match=r"needs the package zstandard: pip install 'fastnn\[zstd\]'"):
            read_table(write(b"\x28\xb5\x2f\xfd" + bytes(20)))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (zipped(**{"a.csv": "a,b\n", "b.csv": "a,b\n"}), ": an archive of 2 files ('a.csv', 'b.csv'); unpack it"),
            (zipped(**{"x/": ""}), ": an archive of 0 files (none)"),
            (gzip.compress(b"1,2,3\n" * 50, mtime=0)[:-9], ": damaged or truncated compressed data"),
            (bz2.compress(b"1,2,3\n" * 5000)[:-9], ": damaged or truncated compressed data"),
            (lzma.compress(b"1,2,3\n" * 50)[:-9], ": damaged or truncated compressed data"),
            (zipped(**{"a.csv": "1,2\n" * 99})[:-9], ": damaged or truncated compressed data"),
            (
                gzip.compress(gzip.compress(gzip.compress(b"1,2\n", mtime=0), mtime=0), mtime=0),
                ": packed more than 2 times over",
            ),
            (zipped(**{"[Content_Types].xml": "", "word/document.xml": ""}), ": an Office file, but no Excel table"),
            (zipped(mimetype="x", **{"content.xml": ""}), ": an OpenDocument file; save the table as CSV or .xlsx"),
        ],
    )
    def test_refused(self, write, content, message):
        refuses(write(content), message)


ARFF = (
    """% a comment
@relation fruit
@attribute 'mass in g' numeric
@attribute kind {apple, 'red pear'}
@attribute day date "yyyy-MM-dd"
@attribute note string
@data
150, apple, "2020-01-01", 'so, so'
?, 'red pear', "2020-01-02", x
""".replace('@attribute day date "yyyy-MM-dd"\n', "")
    .replace(' "2020-01-01",', "")
    .replace(' "2020-01-02",', "")
)


class TestOtherFormats:
    @pytest.mark.parametrize("name", ["table.arff", "table.csv"])
    def test_arff(self, write, name):
        pytest.importorskip("arff")
        assert contents(write(ARFF, name)) == {
            "mass in g": [150, None],
            "kind": ["apple", "red pear"],
            "note": ["so, so", "x"],
        }

    def test_arff_keeps_nominal_numbers_as_categories(self, write):
        pytest.importorskip("arff")
        text = "@RELATION r\n@ATTRIBUTE a {1,2}\n@ATTRIBUTE b REAL\n@DATA\n1,2.5\n2,3.5\n"
        assert contents(write(text)) == {"a": ["1", "2"], "b": [2.5, 3.5]}

    def test_sparse_arff(self, write):
        pytest.importorskip("arff")
        text = "@relation r\n@attribute a numeric\n@attribute b {x,y}\n@data\n{0 3}\n{1 y}\n"
        assert contents(write(text)) == {"a": [3, 0], "b": ["x", "y"]}

    @pytest.mark.parametrize("text", ["@relation r\n@attribute a numeric\n@data\nx,y\n", "@relation r\n@attribute\n"])
    def test_damaged_arff(self, write, text):
        pytest.importorskip("arff")
        with pytest.raises(FileFormatError, match=r"table\.csv: "):
            read_table(write(text))

    def test_libsvm(self, write):
        pytest.importorskip("sklearn")
        table = contents(write("+1 1:0.5 3:2\n-1 2:1 # note\n", "heart.txt"))
        assert table == {"column 1": [0.5, 0], "column 2": [0, 1], "column 3": [2, 0], "label": [1, -1]}

    def test_parquet(self, write, tmp_path):
        pytest.importorskip("pyarrow")
        times = pandas.to_datetime(["2020-01-01", None])
        frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None], "c": ["1,571", "2"], "t": times, "f": [True, False]})
        frame.to_parquet(tmp_path / "frame.parquet")
        for content in ((tmp_path / "frame.parquet").read_bytes(), None):
            content = content or gzip.compress((tmp_path / "frame.parquet").read_bytes())
            table = read_table(write(content))
            assert [values(table.columns[name]) for name in "abcf"] == [[1, 2], ["x", None], [1571, 2], [True, False]]
            assert np.isnat(table.columns["t"]).tolist() == [False, True]

    def test_excel(self, write, tmp_path):
        pytest.importorskip("openpyxl")
        frame = pandas.DataFrame(
            {"a": [1, 2.5], "b": ["x", None], "c": [3, "?"], "t": pandas.to_datetime(["2020-01-01"] * 2)}
        )
        with pandas.ExcelWriter(tmp_path / "book.xlsx") as book:
            pandas.DataFrame().to_excel(book, sheet_name="notes", index=False)
            frame.to_excel(book, sheet_name="data", index=False, startrow=2, startcol=1)
            frame.to_excel(book, sheet_name="other", index=False)
        table = read_table(write((tmp_path / "book.xlsx").read_bytes()))
        assert [values(table.columns[name]) for name in "abc"] == [[1, 2.5], ["x", None], [3, None]]
        assert table.columns["t"].dtype.kind == "M"
        assert table.lines.tolist() == [4, 5]
        assert "Excel, sheet 'data'" in table.notes

    def test_excel_without_a_header(self, write, tmp_path):
        pytest.importorskip("openpyxl")
        pandas.DataFrame([[1.5, "x"], [2.5, "y"]]).to_excel(tmp_path / "book.xlsx", header=False, index=False)
        assert contents(tmp_path / "book.xlsx") == {"column 1": [1.5, 2.5], "column 2": ["x", "y"]}

    @pytest.mark.parametrize(
        ("content", "module", "extra"),
        [
            (b"PAR1" + bytes(20), "pyarrow", "parquet"),
            (zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "openpyxl", "excel"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20), "xlrd", "excel"),
            (ARFF.encode(), "arff", "arff"),
            (b"1 1:2 2:3\n", "sklearn.datasets", "sklearn"),
            (b"a,b\n1,2\n", "pandas", "tables"),
        ],
    )
    def test_a_missing_library_is_named_with_its_extra(self, write, content, module, extra, monkeypatch):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=rf"pip install 'fastnn\[{extra}\]'"):
            read_table(write(content))

    @pytest.mark.parametrize(
        "content", [b"PAR1" + bytes(20), zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""})]
    )
    def test_damaged(self, write, content):
        pytest.importorskip("pyarrow")
        pytest.importorskip("openpyxl")
        refuses(write(content), ": not a sound ")


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", ": the file is empty; write one row per line"),
            ("\n \n", ": the file is empty"),
            ("a,b\n", ": the file has a header and no rows; if it has no header, give header=False"),
            ("a,b\n1,2\n3\n", ", line 3: 1 field where the table has 2; add or remove separators"),
            ("a,b\n1,2\n3,4,5\n", ", line 3: 3 fields where the table has 2"),
            ('a,b\n1,"x"\n3\n', ", line 3: 1 field where the table has 2"),
            ('a,b\n1,2\n"3,4\n5,6\n', ', line 3: a quote (") opens here and does not close'),
            ("a,b,c\n1,2\n3,4\n", ": the header has 3 names, the rows have 2 fields"),
            (bytes(range(256)), ": not a text file (byte 1 is 0x00)"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", ": a pointer of git-LFS"),
            ("<!DOCTYPE html>\n<html></html>\n", ": a web page (HTML), not a table"),
            ("\ufeff<html>", ": a web page (HTML), not a table"),
            ('[{"a": 1}]', ": looks like JSON"),
            (b"\x89PNG\r\n", ": a picture"),
            (b"\x80\x04\x95", ": a Python pickle, which may run anything"),
            (b"\x93NUMPY\x01", ": a .npy file; save the arrays with numpy.savez"),
            (b"a,b\n" + b"9" * (1 << 24) + b",1\n", ", line 2: longer than 16777216 bytes"),
        ],
    )
    def test_content(self, write, content, message):
        refuses(write(content), message)

    def test_few_rows_of_another_width_are_left_out_and_named(self, write):
        table = read_table(write("a,b\n" + "1,2\n" * 200 + "3\n1,2,3\n"))
        assert table.n_rows == 200
        assert table.warnings == (
            "2 rows with the wrong number of fields left out; the first is line 202, with 1 field where the table "
            "has 2",
        )

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"header": "yes"}, TypeError, "header must be True, False or None, got 'yes'"),
            ({"separator": ",,"}, ValueError, "separator must be one character or 'blanks'"),
            ({"decimal": ";"}, ValueError, "decimal must be"),
            ({"encoding": 3}, TypeError, "encoding must be a name"),
            ({"missing": "-999"}, TypeError, "missing must be a sequence of texts, got '-999'"),
            ({"as_texts": [1]}, TypeError, "as_texts must be a sequence of texts"),
        ],
    )
    def test_arguments(self, write, options, error, message):
        with pytest.raises(error, match=message):
            read_table(write(PLAIN_TABLE), **options)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / "nowhere.csv")


def test_a_table_is_a_data_frame(write):
    frame = read_table(write(PLAIN_TABLE)).frame()
    assert frame.to_dict("list") == EXPECTED
    assert str(frame["c"].dtype) == "category"


def test_the_digest_is_that_of_the_file(write):
    import hashlib

    path = write(gzip.compress(PLAIN_TABLE.encode()))
    assert read_table(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()


# VmHWM and not ru_maxrss, which a child inherits from the process that started it
PEAK = """
import re, sys
from fastnn.tables import read_table
table = read_table(sys.argv[1])
print(table.n_rows, int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["numbers", "digits", "categories", "money"])
def test_a_file_of_200_mb_takes_at_most_six_times_its_size(tmp_path, kind):
    rng = np.random.default_rng(0)
    rows = {
        "numbers": lambda: ",".join(f"{number:.4f}" for number in rng.normal(size=12)),
        "digits": lambda: ",".join(map(str, rng.integers(0, 10, 20))),
        "categories": lambda: ",".join(rng.choice(list("abcdef"), 20)),
        "money": lambda: ",".join(f'"{number:,}"' for number in rng.integers(1000, 9_999_999, 10)),
    }[kind]
    block = "".join(rows() + "\n" for _ in range(2000))
    path = tmp_path / "large.csv"
    with open(path, "w") as file:
        for _ in range(200_000_000 // len(block) + 1):
            file.write(block)
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    n_rows, peak = map(int, done.stdout.split())
    assert n_rows == 2000 * (200_000_000 // len(block) + 1)
    assert peak <= 6 * path.stat().st_size


def test_examples_in_docstrings_run():
    assert doctest.testmod(fastnn.tables.reading).failed == 0
