"""Data in every form in which users have them: read where they lie, converted, or refused by name."""

import numpy as np
import pytest

import fastnn

NUMBERS = np.arange(12.0).reshape(4, 3)
NET = fastnn.Network([3, 2], dtype="float64", seed=0)
WANTED = NET.predict(NUMBERS)


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return NUMBERS


class OnlyDLPack:
    device = (1, 0)

    def __dlpack__(self, *given, **named):
        return NUMBERS.__dlpack__(*given, **named)

    def __dlpack_device__(self):
        return self.device


class OnACard(OnlyDLPack):
    device = (2, 0)


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
    of("polars", lambda polars: polars.DataFrame(NUMBERS)),
    of("torch", lambda torch: torch.from_numpy(NUMBERS)),
    of("torch", lambda torch: torch.from_numpy(NUMBERS.copy()).requires_grad_()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS).half()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS).bfloat16()),
    of("torch", lambda torch: torch.from_numpy(NUMBERS.T.copy()).T),
    of("jax", lambda jax: jax.numpy.asarray(NUMBERS)),
]


@pytest.mark.parametrize("make", GOOD)
def test_the_numbers_are_read(make):
    assert np.array_equal(NET.predict(make()), WANTED)


@pytest.mark.parametrize("make", GOOD[:14])
def test_a_training_reads_them_too(make):
    nets = [fastnn.Network([3, 1], seed=0) for _ in range(2)]
    nets[0].fit(make(), [0, 1, 0, 1], epochs=3, learning_rate=0.01, sample_weight=[1, 2, 1, 1])
    nets[1].fit(NUMBERS, [0, 1, 0, 1], epochs=3, learning_rate=0.01, sample_weight=[1, 2, 1, 1])
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("library", ["pandas", "polars", "torch"])
def test_targets_and_weights_of_other_libraries(library):
    module = pytest.importorskip(library)
    column = getattr(module, "Series", getattr(module, "tensor", None))
    labels, weights = column([0, 1, 1, 0]), column([1.0, 2.0, 0.5, 1.0])
    assert NET.loss(NUMBERS, labels, sample_weight=weights) == NET.loss(
        NUMBERS, [0, 1, 1, 0], sample_weight=[1.0, 2.0, 0.5, 1.0]
    )


def test_memory_of_other_libraries_is_used_where_it_lies():
    from fastnn import data

    class Shared(OnlyDLPack):
        pass

    rows = data.as_rows("X", Shared(), NET._spec)
    assert np.shares_memory(rows.inputs, NUMBERS)


def test_no_rows_no_answers():
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
    (lambda: OnACard(), TypeError, r"X must lie in the memory of the CPU, got an array on device \(2, 0\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_what_holds_no_numbers_is_refused_by_name(make, error, message):
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
