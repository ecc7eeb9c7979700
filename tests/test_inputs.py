"""Data in every form in which users have them: read where they lie, converted, or refused by name."""

import numpy as np
import pytest

import fastnn
from fastnn import inputs
from fastnn.inputs.rows import FEW_NUMBERS

NUMBERS = np.arange(12.0).reshape(4, 3)
NET = fastnn.Network([3, 2], dtype="float64", seed=0)
WANTED = NET.predict(NUMBERS)


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return NUMBERS


class OnlyDLPack:
    device = (1, 0)

    def __dlpack__(self, *arguments, **options):
        return NUMBERS.__dlpack__(*arguments, **options)

    def __dlpack_device__(self):
        return self.device


class OnACard(OnlyDLPack):
    device = (2, 0)


class Pinned(OnlyDLPack):
    device = (3, 0)


class Stubborn:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not today")


def read_only():
    array = NUMBERS.copy()
    array.flags.writeable = False
    return array


def unaligned():
    return np.frombuffer(b"x" + NUMBERS.tobytes(), np.uint8)[1:].view("f8").reshape(4, 3)


def of(library, make):
    """A case that needs a library."""
    return pytest.param(lambda: make(pytest.importorskip(library)), id=f"{library} {make.__code__.co_firstlineno}")


GOOD = [
    lambda: NUMBERS.tolist(),
    lambda: tuple(map(tuple, NUMBERS)),
    lambda: OnlyArray(),
    lambda: OnlyDLPack(),
    lambda: Pinned(),
    read_only,
    unaligned,
    lambda: np.asfortranarray(NUMBERS),
    lambda: NUMBERS.astype(">f8"),
    lambda: np.repeat(NUMBERS, 2, axis=0)[::2],
    lambda: NUMBERS[::-1][::-1],
    lambda: np.ma.masked_array(NUMBERS),
    lambda: NUMBERS.astype(object),
    lambda: NUMBERS.astype("u8"),
    lambda: NUMBERS.astype("f2"),
    of("pandas", lambda pandas: pandas.DataFrame(NUMBERS)),
    of("pandas", lambda pandas: pandas.DataFrame(NUMBERS).astype("Float64")),
    of("pandas", lambda pandas: pandas.DataFrame(NUMBERS).astype("Int64")),
    of("pandas", lambda pandas: pandas.DataFrame(NUMBERS).astype({0: "Int64", 1: object, 2: "Float64"})),
    of("polars", lambda polars: polars.DataFrame(NUMBERS)),
    of("polars", lambda polars: polars.DataFrame(NUMBERS.astype(int))),
    of("torch", lambda torch: torch.from_numpy(NUMBERS)),
    of("torch", lambda torch: torch.from_numpy(NUMBERS.copy()).requires_grad_()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS).half()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS).bfloat16()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS).bfloat16().requires_grad_()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS.T.copy()).T),
    of("torch", lambda torch: [torch.tensor(row) for row in NUMBERS]),
    of("jax", lambda jax: jax.numpy.asarray(NUMBERS)),
]


@pytest.mark.parametrize("make", GOOD)
def test_inputs_of_every_library_are_read(make):
    assert np.array_equal(NET.predict(make()), WANTED)


@pytest.mark.parametrize("make", GOOD)
def test_a_training_reads_inputs_of_every_library(make):
    nets = [fastnn.Network([3, 1], seed=0) for _ in range(2)]
    nets[0].fit(make(), [0, 1, 0, 1], epochs=3, learning_rate=0.01, sample_weight=[1, 2, 1, 1])
    nets[1].fit(NUMBERS, [0, 1, 0, 1], epochs=3, learning_rate=0.01, sample_weight=[1, 2, 1, 1])
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


LABELS = np.array([0, 1, 1, 0])
COLUMNS = [
    lambda: LABELS.tolist(),
    lambda: range(4),
    lambda: LABELS.astype(">i8"),
    lambda: LABELS.repeat(2)[::2],
    lambda: LABELS[::-1][::-1],
    lambda: np.ma.masked_array(LABELS),
    of("pandas", lambda pandas: pandas.Series(LABELS, index=[3, 2, 1, 0])),
    of("pandas", lambda pandas: pandas.Series(LABELS, dtype="Int64")),
    of("pandas", lambda pandas: pandas.Series(LABELS, dtype="category")),  # of numbers, which are their own names
    of("polars", lambda polars: polars.Series(LABELS)),
    of("torch", lambda torch: torch.tensor(LABELS)),
    of("jax", lambda jax: jax.numpy.asarray(LABELS)),
]


@pytest.mark.parametrize("make", COLUMNS)
def test_labels_targets_and_weights_are_read_alike(make):
    column = make()
    plain = np.array(list(column))
    net, single = fastnn.Network([3, 4], seed=0), fastnn.Network([3, 1], seed=0)
    assert net.loss(NUMBERS, column) == net.loss(NUMBERS, plain)
    assert single.loss(NUMBERS, column, sample_weight=column) == single.loss(NUMBERS, plain, sample_weight=plain)


REAL_COLUMNS = [
    of("pandas", lambda pandas: pandas.Series([1.0, 0, 1, 1], dtype="Float64")),
    of("pandas", lambda pandas: pandas.Series([True, False, True, True])),
    of("pandas", lambda pandas: pandas.Series([True, False, True, True], dtype="boolean")),
    of("polars", lambda polars: polars.Series([True, False, True, True])),
    of("torch", lambda torch: torch.tensor([1.0, 0, 1, 1], requires_grad=True)),
    of("torch", lambda torch: torch.tensor([1.0, 0, 1, 1], dtype=torch.bfloat16)),
]


@pytest.mark.parametrize("make", REAL_COLUMNS)
def test_a_training_reads_targets_and_weights(make):
    nets = [fastnn.Network([3, 1], seed=0) for _ in range(2)]
    for net, numbers in zip(nets, (make(), [1.0, 0.0, 1.0, 1.0]), strict=True):
        net.fit(NUMBERS, numbers, epochs=3, learning_rate=0.01, sample_weight=numbers)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


def test_columns_of_several_types_become_one_array():
    pandas = pytest.importorskip("pandas")
    columns = {"a": [True, False], "b": [0.5, 2.0], "c": [1, 2]}
    expected = NET.predict([[1, 0.5, 1], [0, 2, 2]])
    frames = [pandas.DataFrame(columns), pandas.DataFrame(columns).convert_dtypes()]
    frames += [pandas.DataFrame(columns).astype({"c": "category"})]
    for frame in frames:
        assert np.array_equal(NET.predict(frame), expected)
    polars = pytest.importorskip("polars")
    assert np.array_equal(NET.predict(polars.DataFrame(columns)), expected)


def test_memory_of_other_libraries_is_not_copied():
    from fastnn import inputs

    rows = inputs.as_rows("X", OnlyDLPack(), NET.engine.spec)
    assert np.shares_memory(rows.inputs, NUMBERS)
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(NUMBERS).requires_grad_()
    assert np.shares_memory(inputs.as_rows("X", tensor, NET.engine.spec).inputs, NUMBERS)


def test_no_rows_give_no_outputs():
    assert NET.predict(np.empty((0, 3))).shape == (0, 2)
    with pytest.raises(ValueError, match="X must have at least one row"):
        NET.loss(np.empty((0, 3)), np.empty(0, int))


BAD = [
    (lambda: np.empty((4, 0)), ValueError, r"X must have shape \(n, 3\), got \(4, 0\)"),
    (lambda: None, ValueError, "X must have shape"),
    (lambda: "abc", TypeError, "X must hold real numbers"),
    (lambda: {"a": 1}, TypeError, "X must hold numbers"),
    (lambda: [[1, 2, 3], [1, 2]], ValueError, "X must be a rectangular array"),
    (lambda: NUMBERS.astype(complex), TypeError, "X must hold real numbers"),
    (lambda: NUMBERS.astype("M8[D]"), TypeError, "X must hold real numbers"),
    (lambda: np.zeros(3, [("a", "f8")]), TypeError, "X must hold real numbers"),
    (lambda: np.ma.masked_array(NUMBERS, mask=NUMBERS == 4), ValueError, "X must not have masked values, got 1"),
    (lambda: [[1, None, 3]], ValueError, "X must hold finite numbers"),
    (lambda: [np.ma.masked_array(row, mask=row == 4) for row in NUMBERS], ValueError, "X must not have masked values"),
    (lambda: np.array([["1", "2", "3"]], object), TypeError, "X must hold numbers, got objects such as '1'"),
    (lambda: np.array([[1, 2j, 3]], object), TypeError, "X must hold numbers, got objects such as 2j"),
    (lambda: [[10**400, 1, 2]], ValueError, "X must hold numbers within float64"),
    (lambda: Stubborn(), TypeError, "X must be a rectangular array of numbers: not today"),
    (lambda: OnACard(), TypeError, r"X must lie in the memory of the CPU, got an array on device \(2, 0\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_inputs_that_hold_no_numbers_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        NET.predict(make())


def test_missing_and_categorical_columns_are_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="X must not have missing values, got 1"):
        NET.predict(pandas.DataFrame(NUMBERS).astype("Float64").mask(lambda frame: frame == 4))
    with pytest.raises(TypeError, match="X must hold numbers, got objects such as 'x'"):
        NET.predict(pandas.DataFrame({"a": pandas.Categorical(["x", "y"]), "b": [1, 2], "c": [1, 2]}))
    with pytest.raises(ValueError, match="X must hold finite numbers"):
        NET.predict(pandas.DataFrame(NUMBERS).mask(lambda frame: frame == 4))


def test_columns_of_other_things_are_refused():
    pandas = pytest.importorskip("pandas")
    numbers = {"b": [1, 2], "c": [1, 2]}
    for column, message in [
        (["1", "2"], "X must hold numbers, got objects such as '1'"),
        (pandas.Categorical(["1", "2"]), "X must hold numbers, got objects such as '1'"),
        (pandas.to_datetime(["2020-01-01", "2020-01-02"]), "X must hold numbers, got objects such as Timestamp"),
        (pandas.to_timedelta([1, 2]), "X must hold numbers, got objects such as Timedelta"),
    ]:
        with pytest.raises(TypeError, match=message):
            NET.predict(pandas.DataFrame({"a": column} | numbers))
    with pytest.raises(ValueError, match="y must not have missing values, got 1"):
        NET.loss(NUMBERS, pandas.Series([0, 1, None, 1], dtype="Int64"))


def test_polars_dates_and_texts_are_refused():
    polars = pytest.importorskip("polars")
    days = polars.date_range(polars.date(2020, 1, 1), polars.date(2020, 1, 2), eager=True)
    # polars itself makes a number of a date that stands beside numbers
    with pytest.raises(TypeError, match="X must hold real numbers, got columns of Date"):
        NET.predict(polars.DataFrame({"a": days, "b": [1, 2], "c": [1.0, 2.0]}))
    with pytest.raises(TypeError, match="X must hold numbers, got objects such as 'x'"):
        NET.predict(polars.DataFrame({"a": ["x", "y"], "b": [1, 2], "c": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="y must not have missing values, got 1"):
        NET.loss(NUMBERS, polars.Series([0, 1, None, 1]))


def test_tensors_without_plain_numbers_are_refused():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(NUMBERS)
    for strange, error, message in [
        (tensor.to_sparse(), TypeError, "X must be a rectangular array of numbers: .*Sparse"),
        (tensor.to(torch.complex64), TypeError, "X must hold real numbers of at most 8 bytes, got dtype complex64"),
        (tensor.to("meta"), ValueError, "X must be a rectangular array of numbers: .*meta"),
    ]:
        with pytest.raises(error, match=message):
            NET.predict(strange)


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda a: a.astype(str), TypeError, "must hold real numbers"),
        (lambda a: a.astype(complex), TypeError, "must hold real numbers"),
        (lambda a: a.astype("M8[D]"), TypeError, "must hold real numbers"),
        (lambda a: np.ma.masked_array(a, mask=a == 1), ValueError, "must not have masked values, got 1"),
        (lambda a: OnACard(), TypeError, "must lie in the memory of the CPU"),
    ],
)
def test_the_argument_is_named_before_anything_is_computed(name, make, error, message):
    net = fastnn.Network([3, 1], dtype="float64", seed=0)
    before = net.parameters
    data = {"X": NUMBERS, "y": np.arange(4.0), "sample_weight": np.arange(4.0)}
    data[name] = make(data[name])
    with pytest.raises(error, match=f"{name} {message}"):
        net.fit(**data, epochs=1)
    with pytest.raises(error, match=f"{name} {message}"):
        net.loss(**data)
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_rows", [2, 2 * FEW_NUMBERS], ids=["few", "many"])
def test_one_number_that_is_not_finite_is_found_among_few_and_many(n_rows, value, dtype):
    X = np.ones((n_rows, 3), dtype)
    X[n_rows - 1, 1] = value
    with pytest.raises(ValueError, match=f"row {n_rows - 1}, column 1"):
        inputs.as_rows("X", X, fastnn.Network([3, 2], seed=0).engine.spec)
    X[n_rows - 1, 1] = np.finfo("float16").max if dtype == "float16" else 3e38  # its square overflows
    assert inputs.as_rows("X", X, fastnn.Network([3, 2], seed=0).engine.spec).n_rows == n_rows
