"""Scalers, one-hot rows and the split: hand-worked numbers, edge cases and refusals."""

import doctest
import importlib
import json

import numpy as np
import pytest

from fastnn.errors import FileFormatError
from fastnn.preprocessing import MinMaxScaler, StandardScaler, one_hot, scaler_from_state, train_test_split

SCALERS = [MinMaxScaler, StandardScaler]
X = np.array([[0.0, -2.0, 5.0], [10.0, 2.0, 5.0], [5.0, 0.0, 5.0]])  # the last column is constant


def fitted(kind):
    return kind().fit(X)


def test_min_max_by_hand():
    np.testing.assert_array_equal(MinMaxScaler().fit_transform(X), [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]])


def test_min_max_fills_the_range_given():
    Z = MinMaxScaler((-1.0, 3.0)).fit_transform(X)
    np.testing.assert_array_equal(Z, [[-1.0, -1.0, -1.0], [3.0, 3.0, -1.0], [1.0, 1.0, -1.0]])


def test_standard_by_hand():
    root = np.sqrt(1.5)  # 5 / std(0, 10, 5)
    np.testing.assert_allclose(
        StandardScaler().fit_transform(X), [[-root, -root, 0.0], [root, root, 0.0], [0.0, 0.0, 0.0]]
    )


def test_statistics_come_from_the_training_data_alone():
    np.testing.assert_array_equal(fitted(MinMaxScaler).transform([[20.0, -4.0, 5.0]]), [[2.0, -0.5, 0.0]])


@pytest.mark.parametrize("kind", SCALERS)
def test_inverse_undoes_transform(kind):
    scaler = fitted(kind)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-15, atol=1e-15)


def test_inverse_undoes_transform_in_another_range():
    scaler = MinMaxScaler((-1.0, 3.0))
    np.testing.assert_allclose(scaler.inverse_transform(scaler.fit_transform(X)), X, atol=1e-15)


@pytest.mark.parametrize(("scaler", "low"), [(MinMaxScaler((-1.0, 1.0)), -1.0), (StandardScaler(), 0.0)])
def test_a_constant_column_maps_to_one_value_whatever_comes_later(scaler, low):
    assert scaler.fit(X).transform([[0.0, 0.0, 77.0]])[0, 2] == low


@pytest.mark.parametrize("kind", SCALERS)
def test_inverse_restores_the_constant_from_any_value(kind):
    assert fitted(kind).inverse_transform([[0.0, 0.0, 0.3]])[0, 2] == 5.0


def test_standard_scaling_recognises_a_constant_column_despite_its_rounded_mean():
    column = np.full((6, 1), 0.1)
    assert column.mean() != 0.1  # or else this proves nothing
    scaler = StandardScaler().fit(column)
    assert (scaler.mean[0], scaler.std[0]) == (0.1, 0.0)


@pytest.mark.parametrize("kind", SCALERS)
@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("float32", "float32"),
        ("float64", "float64"),
        ("float16", "float64"),
        ("uint8", "float64"),
        ("int64", "float64"),
        ("bool", "float64"),
    ],
)
def test_result_type(kind, dtype, result):
    table = np.array([[0, 1], [1, 0]], dtype=dtype)
    scaler = kind().fit(table)
    assert scaler.transform(table).dtype == result
    assert scaler.inverse_transform(table).dtype == result


def test_float32_is_scaled_with_float64_statistics():
    table = (1e6 + np.random.default_rng(0).normal(size=(1000, 1))).astype(np.float32)
    exact = table.astype(np.float64)
    expected = (exact - exact.mean()) / exact.std()
    np.testing.assert_allclose(StandardScaler().fit_transform(table), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", SCALERS)
def test_the_data_are_left_alone(kind):
    table = X.copy()
    scaler = kind()
    scaler.inverse_transform(scaler.fit_transform(table))
    np.testing.assert_array_equal(table, X)


@pytest.mark.parametrize("kind", SCALERS)
def test_a_second_fit_forgets_the_first(kind):
    table = np.array([[1.0], [3.0]])
    np.testing.assert_array_equal(fitted(kind).fit(table).transform(table), kind().fit_transform(table))


@pytest.mark.parametrize("kind", SCALERS)
def test_a_refused_fit_leaves_the_scaler_as_it_was(kind):
    scaler = fitted(kind)
    with pytest.raises(ValueError, match="finite"):
        scaler.fit([[np.nan, 0.0, 0.0]])
    np.testing.assert_array_equal(scaler.transform(X), kind().fit_transform(X))


@pytest.mark.parametrize("kind", SCALERS)
def test_transform_takes_no_rows(kind):
    assert fitted(kind).transform(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("kind", SCALERS)
@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_unfitted_scaler_says_so(kind, method):
    with pytest.raises(ValueError, match=f"this {kind.__name__} is not fitted: call fit"):
        getattr(kind(), method)(X)


@pytest.mark.parametrize("kind", SCALERS)
def test_unfitted_scaler_has_no_state(kind):
    with pytest.raises(ValueError, match="is not fitted"):
        kind().state()


@pytest.mark.parametrize("kind", SCALERS)
@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"X must have shape \(n, n_features\), got \(2,\)"),
        (np.empty((0, 3)), ValueError, r"X must have at least one row and one column, got shape \(0, 3\)"),
        (np.empty((3, 0)), ValueError, r"at least one row and one column"),
        ([[1.0, 2.0], [3.0, np.nan]], ValueError, "X must be finite, got nan in row 1, column 1"),
        ([[1.0, -np.inf]], ValueError, "X must be finite, got -inf in row 0, column 1"),
        ([["a"]], TypeError, "X must hold real numbers, got dtype <U1"),
        ([[1j]], TypeError, "X must hold real numbers, got dtype complex128"),
        ([[-1.5e308], [1.5e308]], ValueError, "spread within float64, got a larger one in column 0"),
    ],
)
def test_fit_refuses(kind, table, error, message):
    with pytest.raises(error, match=message):
        kind().fit(table)


@pytest.mark.parametrize("kind", SCALERS)
@pytest.mark.parametrize(("method", "name"), [("transform", "X"), ("inverse_transform", "Z")])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1.0, 2.0]], r" must have shape \(n, 3\), got \(1, 2\)"),
        ([1.0, 2.0, 3.0], r" must have shape \(n, 3\), got \(3,\)"),
        ([[1.0, np.inf, 3.0]], " must be finite, got inf in row 0, column 1"),
    ],
)
def test_fitted_scaler_refuses(kind, method, name, table, message):
    with pytest.raises(ValueError, match=name + message):
        getattr(fitted(kind), method)(table)


@pytest.mark.parametrize(
    ("feature_range", "error", "message"),
    [
        ((1.0, 0.0), ValueError, "the lower end first"),
        ((1.0, 1.0), ValueError, "the lower end first"),
        ((0.0, np.inf), ValueError, "must be finite"),
        ((-1.5e308, 1.5e308), ValueError, "must be finite"),
        ((0.0, 1.0, 2.0), ValueError, "must be two numbers, got 3"),
        (("a", "b"), TypeError, "feature_range must be two numbers"),
        ((False, True), TypeError, "feature_range must be two numbers"),
        (1.0, TypeError, "feature_range must be two numbers"),
    ],
)
def test_min_max_refuses_ranges(feature_range, error, message):
    with pytest.raises(error, match=message):
        MinMaxScaler(feature_range)


@pytest.mark.parametrize(
    ("scaler", "text"),
    [
        (MinMaxScaler((0, 2)), "MinMaxScaler(feature_range=(0.0, 2.0))"),
        (StandardScaler(), "StandardScaler()"),
    ],
)
def test_repr(scaler, text):
    assert repr(scaler) == text


@pytest.mark.parametrize("scaler", [MinMaxScaler((-1.0, 3.0)), StandardScaler()])
def test_state_survives_json_to_the_last_bit(scaler):
    table = np.random.default_rng(0).normal(size=(20, 4)) / 3
    scaler.fit(table)
    again = scaler_from_state(json.loads(json.dumps(scaler.state())))
    assert type(again) is type(scaler)
    np.testing.assert_array_equal(again.transform(table), scaler.transform(table))


MINMAX = {"kind": "minmax", "feature_range": [0.0, 1.0], "minimum": [0.0, 1.0], "maximum": [1.0, 1.0]}
STANDARD = {"kind": "standard", "mean": [0.0, 1.0], "std": [1.0, 0.0]}


@pytest.mark.parametrize("state", [MINMAX, STANDARD])
def test_state_may_hold_whole_numbers_as_json_integers(state):
    whole = {key: value if key == "kind" else [int(v) for v in value] for key, value in state.items()}
    assert scaler_from_state(whole).state() == state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "expected a dict"),
        ({}, "expected a dict with 'kind'"),
        ({**STANDARD, "kind": "robust"}, "robust"),
        ({**STANDARD, "kind": ["standard"]}, "expected a dict with 'kind'"),
        ({"kind": "standard", "mean": [0.0]}, "has the keys"),
        ({**STANDARD, "extra": 1}, "has the keys"),
        ({**STANDARD, "mean": "01"}, "'mean' must be a list of numbers"),
        ({**STANDARD, "mean": [], "std": []}, "'mean' must be a list of numbers"),
        ({**STANDARD, "mean": [True, 1.0]}, "'mean' must be a list of numbers"),
        ({**STANDARD, "mean": [None, 1.0]}, "'mean' must be a list of numbers"),
        ({**STANDARD, "mean": [0.0, float("nan")]}, "'mean' holds a number that is not finite"),
        ({**STANDARD, "mean": [0.0, 10**400]}, "'mean' holds a number that is not finite"),
        ({**STANDARD, "mean": [0.0]}, "'mean' has 1 numbers, 'std' 2"),
        ({**STANDARD, "std": [1.0, -1.0]}, "'std' holds a negative number"),
        ({**MINMAX, "feature_range": [1.0, 0.0]}, "the lower end first"),
        ({**MINMAX, "feature_range": [0.0, 1.0, 2.0]}, "feature_range must be two numbers"),
        ({**MINMAX, "maximum": [-1.0, 1.0]}, "negative or infinite in a column"),
        ({**MINMAX, "minimum": [-1.5e308, 0.0], "maximum": [1.5e308, 1.0]}, "negative or infinite"),
    ],
)
def test_bad_states_are_refused(state, message):
    with pytest.raises(FileFormatError, match=message):
        scaler_from_state(state)


def test_one_hot_by_hand():
    np.testing.assert_array_equal(one_hot([2, 0]), [[0, 0, 1], [1, 0, 0]])


def test_one_hot_makes_float32_by_default():
    assert one_hot([0, 1]).dtype == np.float32


def test_one_hot_makes_the_requested_type():
    assert one_hot([0, 1], dtype=np.uint8).dtype == np.uint8


def test_one_hot_makes_room_for_classes_that_do_not_occur():
    assert one_hot([0, 1], n_classes=5).shape == (2, 5)


def test_one_hot_of_no_labels():
    assert one_hot([], n_classes=3).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0, 1]],), ValueError, r"labels must have shape \(n,\), got \(1, 2\)"),
        (([0.0, 1.0],), TypeError, "labels must be integers, got dtype float64"),
        (([True],), TypeError, "labels must be integers, got dtype bool"),
        (([0, -1],), ValueError, r"labels must lie in 0\.\.0, got -1 at index 1"),
        (([0, 3], 3), ValueError, r"labels must lie in 0\.\.2, got 3 at index 1"),
        (([],), ValueError, "labels is empty, so n_classes must be given"),
        (([0], 0), ValueError, "n_classes must be at least 1, got 0"),
        (([0], 2.0), TypeError, "n_classes must be an integer, got float"),
        (([0], True), TypeError, "n_classes must be an integer, got bool"),
        (([0], 1, "U1"), TypeError, "dtype must be a real number type"),
    ],
)
def test_one_hot_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        one_hot(*arguments)


def split_indices(n, y=None, **options):
    """Split the numbers 0..n-1, so that the parts say which example went where."""
    numbers = np.arange(n)
    return train_test_split(numbers, numbers if y is None else y, **options)


def test_split_uses_every_example_once():
    train, test, _, _ = split_indices(50)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(50))


def test_split_keeps_examples_and_targets_together():
    table = np.arange(40).reshape(20, 2)
    X_train, X_test, y_train, y_test = train_test_split(table, 10 * table[:, 0])
    np.testing.assert_array_equal(10 * X_train[:, 0], y_train)
    np.testing.assert_array_equal(10 * X_test[:, 0], y_test)


@pytest.mark.parametrize(
    ("n", "fraction", "n_test"), [(50, 0.2, 10), (10, 0.33, 3), (10, 0.38, 4), (3, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)]
)
def test_split_sizes(n, fraction, n_test):
    train, test, _, _ = split_indices(n, test_fraction=fraction)
    assert (len(train), len(test)) == (n - n_test, n_test)


def test_split_shuffles_both_parts():
    train, test, _, _ = split_indices(100, test_fraction=0.5)
    assert (np.diff(train) < 0).any()
    assert (np.diff(test) < 0).any()


def test_split_repeats_with_the_same_seed():
    np.testing.assert_array_equal(split_indices(50, seed=3)[1], split_indices(50, seed=3)[1])


def test_split_differs_with_another_seed():
    assert not np.array_equal(split_indices(50, seed=3)[1], split_indices(50, seed=4)[1])


def test_split_takes_a_generator():
    expected = split_indices(50, seed=3)[1]
    np.testing.assert_array_equal(split_indices(50, seed=np.random.default_rng(3))[1], expected)


def test_stratified_split_keeps_every_class_in_its_share():
    y = np.random.default_rng(0).permutation(np.repeat([7, 1, 4], [50, 20, 10]))
    _, _, y_train, y_test = split_indices(80, y, stratify=True)
    assert [np.sum(y_test == label) for label in (7, 1, 4)] == [10, 4, 2]
    assert [np.sum(y_train == label) for label in (7, 1, 4)] == [40, 16, 8]


def test_stratified_split_uses_every_example_once():
    train, test, _, _ = split_indices(30, np.arange(30) % 3, stratify=True)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(30))


def test_stratified_split_mixes_the_classes():
    y = np.repeat([0, 1], 50)
    _, _, y_train, _ = split_indices(100, y, stratify=True)
    assert np.sum(np.diff(y_train) != 0) > 10


def test_stratified_split_leaves_rare_classes_in_both_parts():
    _, _, y_train, y_test = split_indices(22, np.repeat([0, 1], [20, 2]), test_fraction=0.1, stratify=True)
    assert 1 in y_train
    assert 1 in y_test


def test_stratified_split_takes_texts():
    y = np.repeat(["cat", "dog"], 5)
    assert sorted(split_indices(10, y, stratify=True)[3]) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "message"),
    [
        ([1, 2, 3], [1, 2], {}, ValueError, "X and y must have one row per example, got 3 and 2 rows"),
        (1, [1], {}, ValueError, r"must be arrays of examples, got shapes \(\) and \(1,\)"),
        ([1], [1], {}, ValueError, "a split needs at least two examples, got 1"),
        ([], [], {}, ValueError, "a split needs at least two examples, got 0"),
        (
            [1, 2],
            [1, 2],
            {"test_fraction": 0.0},
            ValueError,
            "test_fraction must lie between 0 and 1, got 0.0",
        ),
        ([1, 2], [1, 2], {"test_fraction": 1}, ValueError, "test_fraction must lie between 0 and 1, got 1"),
        (
            [1, 2],
            [1, 2],
            {"test_fraction": np.nan},
            ValueError,
            "test_fraction must lie between 0 and 1, got nan",
        ),
        ([1, 2], [1, 2], {"test_fraction": "0.2"}, TypeError, "test_fraction must be a number, got str"),
        ([1, 2], [1, 2], {"test_fraction": True}, TypeError, "test_fraction must be a number, got bool"),
        ([1, 2, 3], [5, 5, 6], {"stratify": True}, ValueError, "two examples of class 6, got 1"),
        ([1, 2], [[1], [2]], {"stratify": True}, ValueError, r"y must have shape \(n,\) to stratify"),
        ([1, 2], [1, 2], {"seed": -1}, ValueError, "non-negative"),
    ],
)
def test_split_refuses(X, y, options, error, message):
    with pytest.raises(error, match=message):
        train_test_split(X, y, **options)


@pytest.mark.parametrize("name", ["encoding", "scalers", "splitting"])
def test_examples_in_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(f"fastnn.preprocessing.{name}"))
    assert (result.failed, result.attempted > 0) == (0, True)
