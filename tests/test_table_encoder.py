"""The encoder: what each kind of column becomes, new rows, plain data and back."""

import copy
import json
import warnings

import numpy as np
import pytest

from fastnn.errors import FileFormatError
from fastnn.tables import Overrides, TableEncoder, column_kinds, make_target
from fastnn.tables.columns import columns_of
from fastnn.tables.encoded import CategoryColumn, DateColumn, QuantityColumn

N = 40


def table():
    rng = np.random.default_rng(0)
    size = rng.normal(100, 30, N)
    size[3] = np.nan
    return {
        "id": np.arange(N),
        "size": size,
        "colour": ["red"] * 20 + ["blue"] * 15 + ["green"] * 4 + ["violet"],
        "sex": ["m", "f"] * (N // 2),
        "kind": ["a", "b", None, "c"] * (N // 4),
        "when": np.datetime64("2020-01-06T06:00", "us") + np.arange(N) * np.timedelta64(18, "h"),
    }


def test_quantity_robust():
    column = QuantityColumn.fit("x", np.array([0.0, 1, 2, 3, 100, np.nan]))
    assert (column.centre, column.scale, column.indicator) == (2.0, 0.5, True)
    out = np.empty((3, 2))
    column.encode(np.array([2.0, 8.0, np.nan]), out)
    np.testing.assert_allclose(out, [[0, 0], [3 / np.sqrt(2), 0], [0, 1]])


@pytest.mark.parametrize(("values", "scale"), [([0.0, 0, 0, 0, 4], 0.5), ([5.0, 5, 5], 0.0)])
def test_quantity_whose_quartiles_are_equal(values, scale):
    assert QuantityColumn.fit("x", np.array(values)).scale == scale


def test_quantity_standard():
    column = QuantityColumn.fit("x", np.array([1.0, 3.0]), scaling="standard")
    out = np.empty((2, 1))
    column.encode(np.array([1.0, 1000.0]), out)
    np.testing.assert_allclose(out[:, 0], [-1, 998])


def test_large_values_are_softened_without_an_overflow():
    column = QuantityColumn.fit("x", np.array([0.0, 1, 2, 3, 4]))
    out = np.empty((2, 1))
    column.encode(np.array([1e300, -1.7e308]), out)
    np.testing.assert_allclose(out[:, 0], [3, -3])


def test_category():
    column = CategoryColumn.fit("colour", columns_of(table())["colour"])
    assert (column.levels, column.rare, column.missing) == (("red", "blue", "green"), True, False)
    assert column.feature_names == ["colour: red", "colour: blue", "colour: green", "colour: other"]
    codes, problems = column.raw(columns_of({"c": ["blue", "violet", "pink", None]})["c"])
    np.testing.assert_array_equal(codes, [1, -1, -1, np.nan])
    assert [(problem.text, problem.rows) for problem in problems] == [("violet", (1,)), ("pink", (2,))]
    out = np.empty((4, 4))
    column.encode(codes, out)
    np.testing.assert_array_equal(out, [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])


def test_category_with_missing_values():
    column = CategoryColumn.fit("kind", columns_of(table())["kind"])
    out = np.empty((2, 4))
    column.encode(np.array([np.nan, 0]), out)
    np.testing.assert_array_equal(out, [[0, 0, 0, 1], [1, 0, 0, 0]])


def test_category_of_two():
    column = CategoryColumn.fit("sex", columns_of(table())["sex"])
    assert column.feature_names == ["sex: m, not f"]
    out = np.empty((4, 1))
    column.encode(column.raw(columns_of({"s": ["f", "m", None, "x"]})["s"])[0], out)
    assert out[:, 0].tolist() == [-1, 1, 0, 0]


def test_categories_that_are_numbers_are_the_same_as_texts():
    column = CategoryColumn.fit("zip", np.array([98001, 98002] * 5 + [98003] * 5))
    for values in (
        [98002, 98003],
        [98002.0, 98003.0],
        ["98002", "98003"],
        np.array([98002, 98003], "int16".replace("16", "32")),
    ):
        assert column.raw(columns_of({"z": values})["z"])[0].tolist() == [
            column.levels.index("98002"),
            column.levels.index("98003"),
        ]


def test_date():
    column = DateColumn.fit("when", columns_of(table())["when"], None)
    assert column.parts == ("elapsed", "week", "day")
    out = np.empty((3, 10))
    days = np.array([4.75, np.nan, -2.75])  # Monday, 5 January 1970, 18:00; Monday, 29 December 1969, 06:00
    column.encode(days, out)
    assert out[0, 1:8].tolist() == out[2, 1:8].tolist() == [1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(out[[0, 2], 8], [-1, 1], atol=1e-12)
    assert not out[1].any()


def test_date_over_years():
    days = np.datetime64("2000-01-01") + np.arange(800) * np.timedelta64(1, "D")
    column = DateColumn.fit("day", days.astype("datetime64[us]"), None)
    assert column.parts == ("elapsed", "year", "week")
    assert len(column.feature_names) == 1 + 2 + 7


def test_the_whole_table():
    encoder = TableEncoder.fit(table())
    assert encoder.column_names == ("size", "colour", "sex", "kind", "when")
    assert encoder.left_out == {"id": "identifier: named so, and hardly any value twice"}
    inputs = encoder.transform(table())
    assert (inputs.dtype, inputs.shape) == (np.float32, (N, len(encoder.feature_names)))
    assert np.isfinite(inputs).all()


def test_statistics_are_those_of_the_rows_given():
    columns = table()
    encoder = TableEncoder.fit(columns, rows=np.arange(10, 20))
    assert encoder.columns[0].centre == np.median(columns["size"][10:20])
    assert encoder.columns[1].levels == ("red",)


def test_new_rows_in_any_library_and_order():
    encoder = TableEncoder.fit(table())
    expected = encoder.transform(table())
    shuffled = {name: table()[name] for name in ("when", "kind", "sex", "colour", "size")} | {"more": ["?"] * N}
    assert encoder.transform(shuffled).tobytes() == expected.tobytes()
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table())
    assert encoder.transform(frame).tobytes() == expected.tobytes()
    frame["colour"] = frame["colour"].astype("category")
    frame["sex"] = frame["sex"].astype("string")
    frame["size"] = frame["size"].astype("Float64")
    assert encoder.transform(frame).tobytes() == expected.tobytes()
    polars = pytest.importorskip("polars")
    assert encoder.transform(polars.DataFrame(table())).tobytes() == expected.tobytes()


def test_texts_of_numbers_and_dates():
    pytest.importorskip("pandas")
    columns = {"n": ["1.234,5", "7", "?"] * 9, "d": ["01.02.2020", "15.03.2020", "?"] * 9}
    encoder = TableEncoder.fit(columns)
    values, problems = encoder.raw({"n": ["2.000,5", "x"], "d": ["02.02.2020", "-"]})
    np.testing.assert_array_equal(values, [[2000.5, 18294], [np.nan, np.nan]])
    assert [(problem.column, problem.text, problem.rows) for problem in problems] == [("n", "x", (1,))]


def test_a_damaged_field_is_a_warning_and_a_missing_value():
    encoder = TableEncoder.fit({"n": [1.0, 2.0, np.nan], "m": [1.0, 5.0, 2.0]})
    with pytest.warns(RuntimeWarning, match="column 'n', row 2: '12O' is not a number; taken as a missing value"):
        found = encoder.transform({"n": ["1.5", "12O"], "m": [1, 2]})
    assert found[1, :2].tolist() == [0, 1]


def test_an_unseen_category_is_no_warning():
    encoder = TableEncoder.fit(table())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.transform({**table(), "colour": ["octarine"] * N})


class TestWhichColumns:
    def test_a_lacking_column_is_named(self):
        encoder = TableEncoder.fit(table())
        with pytest.raises(ValueError, match="no column 'colour', 'sex'; the table has 'size', 'kind', 'when'"):
            encoder.transform({name: table()[name] for name in ("size", "kind", "when")})

    def test_names_with_blanks_around_them(self):
        encoder = TableEncoder.fit({"a": [1.0, 2.0]})
        assert encoder.transform({" a ": [1.0, 2.0]}).shape == (2, 1)

    @pytest.mark.parametrize("target", [0, 1, 2])
    def test_by_order_with_and_without_the_target(self, target):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(30, 3))
        names = [f"column {i + 1}" for i in range(3)]
        encoder = TableEncoder.fit(X, targets=(names[target],))
        expected = encoder.transform(X)
        assert encoder.transform(np.delete(X, target, axis=1)).tobytes() == expected.tobytes()
        with pytest.raises(ValueError, match="takes 2 columns, the table has 1 beside any target"):
            encoder.transform(X[:, :1])

    def test_by_order_where_only_the_model_has_names(self):
        encoder = TableEncoder.fit({"a": [1.0, 2.0], "b": [3.0, 9.0], "y": [1, 2]}, targets=("y",))
        expected = encoder.transform({"a": [5.0], "b": [7.0]})
        assert encoder.transform([[5.0, 7.0]]).tobytes() == expected.tobytes()

    def test_what_is_no_table(self):
        for X, error in ((3, TypeError), ([1, 2], TypeError), ({"a": [1], "b": [1, 2]}, ValueError)):
            with pytest.raises(error, match="X must"):
                columns_of(X)

    def test_infinity_is_refused(self):
        encoder = TableEncoder.fit({"a": [1.0, 2.0]})
        with pytest.raises(ValueError, match="column 'a' holds inf in row 1"):
            encoder.transform({"a": [1.0, np.inf]})

    def test_nothing_left(self):
        with pytest.raises(ValueError, match="no column is left to learn from; left out: 'a'"):
            TableEncoder.fit({"a": [1, 1, 1]})


def softened(z):
    return z / np.sqrt(1 + (z / 3) ** 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_row_of_weight_2_counts_as_two_in_the_quartiles(seed):
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(size=15), rng.integers(1, 5, 15)
    expected = QuantityColumn.fit("x", np.repeat(values, weights))
    found = QuantityColumn.fit("x", values, weights=weights.astype(float))
    assert (found.centre, found.scale) == pytest.approx((expected.centre, expected.scale), rel=1e-12)


def test_small_weights_of_all_rows_are_no_weights():
    values = np.random.default_rng(0).normal(size=15)
    found = QuantityColumn.fit("x", values, weights=np.full(15, 1e-6))
    expected = QuantityColumn.fit("x", values)
    assert (found.centre, found.scale) == pytest.approx((expected.centre, expected.scale), rel=1e-9)


def test_missing_values_have_weights_too():
    values = np.array([np.nan, 1.0, 2.0, 4.0])
    found = QuantityColumn.fit("x", values, weights=np.array([9.0, 1.0, 1.0, 3.0]))
    assert found.centre == 4


class TestIndicators:
    def test_two_values_are_scaled_by_their_quartiles(self):
        X = {
            "colour": ["red"] * 8 + ["blue"] * 5 + ["green"] * 3,
            "sex": ["f"] * 12 + ["m"] * 4,
            "size": [np.nan, *range(15)],
        }
        plain = TableEncoder.fit(X).transform(X, np.float64)
        encoder = TableEncoder.fit(X, scale_indicators=True)
        found = encoder.transform(X, np.float64)
        assert encoder.feature_names == (
            "colour: red", "colour: blue", "colour: green", "sex: m, not f", "size", "size is missing",
        )  # fmt: skip
        assert encoder.indicator_places == [0, 1, 2, 3, 5]
        # half are red: median 1/2, quartiles 0 and 1; five are blue: 0, and 0 and 1; three green: 0, twice; four m: -1,
        # and -1 and -1/2 between the 12th and 13th; one is missing: 0, twice
        np.testing.assert_allclose(found[:, 0], softened(plain[:, 0] - 0.5))
        np.testing.assert_allclose(found[:, 1], softened(plain[:, 1]))
        np.testing.assert_allclose(found[:, 2], softened(2 * plain[:, 2]))
        np.testing.assert_allclose(found[:, 3], softened((plain[:, 3] + 1) / 0.5))
        np.testing.assert_allclose(found[:, 5], softened(2 * plain[:, 5]))
        assert (found[:, 4] == plain[:, 4]).all()

    def test_the_days_of_the_week(self):
        X = {"when": np.datetime64("2024-01-01", "us") + np.arange(60) * np.timedelta64(30, "h")}
        encoder = TableEncoder.fit(X, scale_indicators=True)
        names = np.array(encoder.feature_names)[encoder.indicator_places]
        assert names.tolist() == [
            f"when: {day}" for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        ]

    def test_statistics_are_those_of_the_rows_given(self):
        X = {"sex": ["f", "m"] * 4 + ["f"] * 40}
        some = TableEncoder.fit(X, rows=np.arange(8), scale_indicators=True)
        assert some.indicators == TableEncoder.fit({"sex": X["sex"][:8]}, scale_indicators=True).indicators

    @pytest.mark.parametrize(
        "change",
        [
            lambda state: state.pop("scale"),
            lambda state: state["places"].append(0),
            lambda state: state.update(places=[0, 999]),
            lambda state: state["centre"].pop(),
            lambda state: state["scale"].__setitem__(0, float("inf")),
            lambda state: state["scale"].__setitem__(0, True),
        ],
    )
    def test_damaged_scaling(self, change):
        state = copy.deepcopy(TableEncoder.fit(table(), scale_indicators=True).state())
        change(state["indicators"])
        with pytest.raises(FileFormatError, match="encoder: "):
            TableEncoder.from_state(state)


@pytest.mark.parametrize("scaled", [False, True])
def test_plain_data_and_back(scaled):
    kinds = column_kinds(columns_of(table()), ("sex",), Overrides(drop=frozenset(["kind"])))
    encoder = TableEncoder.fit(table(), targets=("sex",), kinds=kinds, missing=["-999"], scale_indicators=scaled)
    again = TableEncoder.from_state(json.loads(json.dumps(encoder.state())))
    assert again.state() == encoder.state()
    assert again.transform(table()).tobytes() == encoder.transform(table()).tobytes()
    assert again.left_out["kind"] == "dropped: as given"


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("columns"),
        lambda state: state.update(columns=[]),
        lambda state: state.update(columns=[3]),
        lambda state: state.update(left_out={"a": 3}),
        lambda state: state.update(targets="y"),
        lambda state: state["columns"][0].update(centre=float("nan")),
        lambda state: state["columns"][0].update(centre="1"),
        lambda state: state["columns"][0].update(clip=1),
        lambda state: state["columns"][0].update(name="nowhere"),
        lambda state: state["columns"][0].update(kind="mystery"),
        lambda state: state["columns"][0].update(format={}),
        lambda state: state["columns"][0].update(more=1),
        lambda state: state["columns"][1].update(levels=["a", "a"]),
        lambda state: state["columns"][1].update(levels="ab"),
        lambda state: state["columns"][4].update(parts=["century"]),
        lambda state: state["columns"].append(state["columns"][0]),
    ],
)
def test_damaged_data(change):
    state = copy.deepcopy(TableEncoder.fit(table()).state())
    change(state)
    with pytest.raises(FileFormatError, match="encoder: "):
        TableEncoder.from_state(state)


@pytest.mark.parametrize(
    "use",
    [
        lambda columns: TableEncoder.fit(columns, targets=["Price"]),
        lambda columns: make_target(columns, ["Price"]),
    ],
)
def test_a_target_that_the_table_lacks_is_an_error(use):
    with pytest.raises(ValueError, match=r"(targets|names): no column 'Price'; the table has 'area', 'price'$"):
        use(columns_of({"area": [1.0, 2.0], "price": [3.0, 5.0]}))
