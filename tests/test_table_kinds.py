"""What columns and targets are taken for, by the rules of `column_kinds` and `make_target`."""

import numpy as np
import pytest

from fastnn.errors import FileFormatError
from fastnn.tables import ClassTarget, Overrides, QuantityTarget, column_kinds, make_target
from fastnn.tables.columns import as_texts, columns_of
from fastnn.tables.dates import date_format_of, days_of, parse_dates
from fastnn.tables.targets import target_from_state

pytest.importorskip("pandas")
RNG = np.random.default_rng(0)
N = 60


def kind_of(name, values, **options):
    columns = columns_of({"other": RNG.normal(size=len(values)), name: values})
    return column_kinds(columns, (), **options)[name].kind


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("x", RNG.normal(size=N), "quantity"),
        ("x", RNG.integers(0, 5, N), "quantity"),
        ("x", [*RNG.normal(size=N - 1), None], "quantity"),
        ("colour", ["red", "blue"] * (N // 2), "category"),
        ("flag", [True, False] * (N // 2), "category"),
        ("flag", ["yes", None] * (N // 2), "category"),
        ("zip code", [98001 + i % 7 for i in range(N)], "category"),
        ("ZipCode", [98001 + i % 7 for i in range(N)], "category"),
        ("zip", [98001 + i for i in range(N)], "quantity"),
        ("customerID", [f"{i}-VHVEG" for i in range(N)], "identifier"),
        ("ticket", [f"A/{i // 3}" for i in range(N)] + ["B"], "category"),
        ("ticket", [f"A/{i}" for i in range(N)] + ["B"] * 20, "identifier"),
        ("id", RNG.permutation(10**6)[:N], "identifier"),
        ("house_id", RNG.permutation(10**6)[:N], "identifier"),
        ("PID", RNG.permutation(10**6)[:N], "identifier"),
        ("paid", RNG.permutation(10**6)[:N], "quantity"),
        ("id", [1, 2] * (N // 2), "quantity"),
        ("Order", range(1, N + 1), "identifier"),
        ("order", RNG.permutation(N), "quantity"),
        ("weight", range(N), "quantity"),
        ("price", [f"$1,{i:03d}" for i in range(N)], "quantity"),
        ("name", [f"Braund, Mr. Owen Harris {i}" for i in range(N)], "text"),
        ("payment", ["Bank transfer done by hand", "Credit card in the shop"] * (N // 2), "category"),
        ("c", [3.5] * N, "constant"),
        ("c", ["x"] * N, "constant"),
        ("c", [None] * N, "empty"),
        ("day", [f"2020-01-{1 + i % 28:02d}" for i in range(N)], "date"),
        ("day", [20_200_101 + i % 28 for i in range(N)], "date"),
        ("day", np.arange(N).astype("datetime64[D]"), "date"),
        ("time", [f"{i % 24}:00" for i in range(N)], "date"),
        ("year", [1990 + i % 30 for i in range(N)], "quantity"),
    ],
)
def test_kinds(name, values, kind):
    assert kind_of(name, values) == kind


def test_a_first_column_that_counts_the_rows_is_an_identifier():
    columns = columns_of({"column 1": np.arange(N), "x": RNG.normal(size=N)})
    assert column_kinds(columns, ())["column 1"].kind == "identifier"
    assert column_kinds(columns, ("x",))["column 1"].kind == "quantity"  # the only one: an axis


def test_kinds_can_be_overruled_by_names_with_commas_and_blanks():
    names = ("zip, code", "a b", "day", "x")
    columns = columns_of(
        {
            names[0]: [98001, 98002] * 30,
            names[1]: ["1", "x"] * 30,
            names[2]: [20_200_101 + i % 28 for i in range(60)],
            names[3]: RNG.normal(size=60),
        }
    )
    given = Overrides(frozenset([names[0]]), frozenset([names[1], names[2]]), frozenset(), frozenset(["x"]))
    found = column_kinds(columns, (), given)
    assert [found[name].kind for name in names] == ["category", "quantity", "quantity", "dropped"]
    assert {found[name].reason for name in names} == {"as given"}


class TestDates:
    @pytest.mark.parametrize(
        ("text", "chosen", "expected"),
        [
            ("2020-02-29", "%Y-%m-%d", "2020-02-29T00:00"),
            ("2020/02/29", "%Y/%m/%d", "2020-02-29T00:00"),
            ("29.02.2020", "%d.%m.%Y", "2020-02-29T00:00"),
            ("29/02/2020", "%d/%m/%Y", "2020-02-29T00:00"),
            ("2/29/2020", "%m/%d/%Y", "2020-02-29T00:00"),
            ("29-Feb-2020", "%d-%b-%Y", "2020-02-29T00:00"),
            ("Feb 29, 2020", "%b %d, %Y", "2020-02-29T00:00"),
            ("20200229", "%Y%m%d", "2020-02-29T00:00"),
            ("20200229T120000", "%Y%m%dT%H%M%S", "2020-02-29T12:00"),
            ("2020-02-29 12:30:00", "%Y-%m-%d %H:%M:%S", "2020-02-29T12:30"),
            ("2020-02-29T12:30:00Z", "%Y-%m-%dT%H:%M:%S%z", "2020-02-29T12:30"),
            ("2020-02-29T12:30:00+02:00", "%Y-%m-%dT%H:%M:%S%z", "2020-02-29T10:30"),
            ("29/02/2020 1:30 PM", "%d/%m/%Y %I:%M %p", "2020-02-29T13:30"),
        ],
    )
    def test_formats(self, text, chosen, expected):
        assert date_format_of(columns_of({"d": [text] * 3})["d"]) == chosen
        assert parse_dates([text], chosen)[0] == np.datetime64(expected)

    @pytest.mark.parametrize(
        "texts", [["a", "b"], ["1.5", "2.5"], ["2020-13-01"], ["12-3456"], ["2020-01-01", "x", "y"]]
    )
    def test_what_is_no_date(self, texts):
        assert date_format_of(as_texts(columns_of({"d": texts})["d"])) is None

    def test_a_day_beyond_12_decides_between_day_and_month(self):
        for texts, chosen in ((["01/02/2020", "13/02/2020"], "%d/%m/%Y"), (["01/02/2020", "02/13/2020"], "%m/%d/%Y")):
            assert date_format_of(columns_of({"d": texts})["d"]) == chosen

    def test_where_neither_decides_it_is_said(self):
        kind = column_kinds(columns_of({"d": ["01/02/2020", "03/04/2020"] * 9, "x": range(18)}), ())["d"]
        assert (kind.date_format, "or is it not?" in kind.reason) == ("%m/%d/%Y", True)

    def test_days(self):
        times = np.array(["1970-01-02T12:00", "NaT"], "datetime64[us]")
        np.testing.assert_array_equal(days_of(times, None), [1.5, np.nan])
        np.testing.assert_array_equal(days_of(parse_dates(["18:00"], "%H:%M"), "%H:%M"), [0.75])


class TestTargets:
    @pytest.mark.parametrize(
        ("values", "classes"),
        [
            (["b", "a", "b"] * 9, ("a", "b")),
            ([True, False] * 9, (False, True)),
            ([1, 2] * 9, (1, 2)),
            ([-1.0, 1.0] * 9, (-1, 1)),
            ([1.5, 2.5] * 9, (1.5, 2.5)),
            ([0, 1, 2] * 9, (0, 1, 2)),
            ([1, 2, 3] * 9, (1, 2, 3)),
            ([3, 5, 9] * 9, (3, 5, 9)),
            (list(range(1, 27)) * 9, tuple(range(1, 27))),
            ([1, 2, np.nan] * 9, (1, 2)),
        ],
    )
    def test_classes(self, values, classes):
        target = make_target(columns_of({"y": values}), ("y",))
        assert isinstance(target, ClassTarget)
        assert target.classes == classes
        assert [type(value) for value in target.classes] == [type(value) for value in classes]

    @pytest.mark.parametrize(
        "values",
        [
            RNG.normal(size=50),
            [1.5, 2.5, 3.5] * 9,
            range(40),
            [1, 2, 3, 4],
            [*range(1, 28), 29] * 9,  # not 1..k
            [*[1] * 500, *range(2, 30)],  # far from even
            list(range(101)) * 9,
        ],
    )
    def test_quantities(self, values):
        assert isinstance(make_target(columns_of({"y": values}), ("y",)), QuantityTarget)

    def test_formatted_numbers_are_quantities(self):
        texts = columns_of({"y": [f"$1,{i:03d}" for i in range(50)]})
        target = make_target(texts, ("y",), task="regression")
        np.testing.assert_array_equal(target.numbers(texts)[:, 0], 1000 + np.arange(50))

    def test_the_task_can_be_given(self):
        columns = columns_of({"y": [1, 2, 3, 4] * 9, "t": ["a", "b", "c", "d"] * 9})
        assert isinstance(make_target(columns, ("y",), task="regression"), QuantityTarget)
        assert isinstance(make_target(columns_of({"y": [1.5, 2, 3] * 9}), ("y",), task="classification"), ClassTarget)
        with pytest.raises(ValueError, match="holds texts, which task='regression' cannot learn"):
            make_target(columns, ("t",), task="regression")

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([f"name {i}" for i in range(50)], "50 distinct values in 50 rows, .*: too many to be classes"),
            ([f"name {i % 300}" for i in range(700)], "300 distinct values in 700 rows"),
            (["a"] * 9, "only one class, 'a'"),
            ([2.5] * 9, "the same in every row"),
            ([None] * 9, "has no values"),
            (np.arange(9).astype("datetime64[D]"), "holds times"),
            ([*map(str, range(50)), "x"], "holds numbers, but 'x' in row 51"),
        ],
    )
    def test_refused(self, values, message):
        with pytest.raises(ValueError, match=message):
            make_target(columns_of({"y": values}), ("y",))

    def test_labels_are_found_whatever_their_case_and_a_full_stop(self):
        target = ClassTarget("y", ("<=50K", ">50K"))
        columns = columns_of({"y": ["<=50K", " >50k.", "", ">60K"]})
        assert target.labels(columns).tolist() == [0, 1, -1, -2]

    def test_whole_numbers_are_found_as_floats(self):
        target = ClassTarget("y", (1, 2))
        assert target.labels(columns_of({"y": [2.0, np.nan, 1.0]})).tolist() == [1, -1, 0]

    def test_quantities_are_standardised_and_back(self):
        columns = columns_of({"y": [1.0, 3.0, 5.0], "z": [0.0, 10.0, 20.0]})
        target = make_target(columns, ("y", "z"))
        learned = target.standardised(target.numbers(columns))
        np.testing.assert_allclose(learned.std(axis=0), 1)
        np.testing.assert_allclose(target.values(learned), target.numbers(columns))

    @pytest.mark.parametrize(
        "target",
        [
            ClassTarget("y", ("a", "b"), "texts"),
            ClassTarget("y", (False, True)),
            ClassTarget("y", (1, 2.5)),
            QuantityTarget(("y", "z"), np.array([0.1, 2]), np.array([1.0, 3])),
        ],
    )
    def test_plain_data_and_back(self, target):
        again = target_from_state(target.state())
        assert again.state() == target.state()

    @pytest.mark.parametrize(
        "state",
        [
            None,
            {},
            {"kind": "mystery"},
            {"kind": "classes", "name": "y", "classes": ["a"], "reason": ""},
            {"kind": "classes", "name": "y", "classes": [["a"], "b"], "reason": ""},
            {"kind": "quantities", "names": ["y"], "mean": [0.0], "std": [0.0], "format": {}, "reason": ""},
            {"kind": "quantities", "names": ["y"], "mean": [0.0, 1.0], "std": [1.0], "format": {}, "reason": ""},
        ],
    )
    def test_damaged_data(self, state):
        with pytest.raises(FileFormatError, match="target: "):
            target_from_state(state)
