"""What is wrong with the data is reported by its own name, before class weights or a split derive from it."""

import numpy as np
import pytest

import fastnn

N = 12
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
LABELS = np.arange(N) % 2
ONES = np.ones(N)


def changed(array, value):
    array = np.array(array, float)
    array[3] = value
    return array


BAD_LABELS = {
    "length": LABELS[:-1],
    "one number": 1,
    "NaN": changed(LABELS, np.nan),
    "negative": LABELS - 1,
    "too large": LABELS + 1,
    "floats": LABELS / 2,
    "texts": LABELS.astype(str),
    "objects": np.array([None] * N),
    "2-D": LABELS.reshape(-1, 1),
    "complex": LABELS + 1j,
    "none": None,
}
BAD_NUMBERS = {
    "length": LABELS[:-1],
    "NaN": changed(LABELS, np.nan),
    "infinite": changed(LABELS, np.inf),
    "negative": changed(LABELS, -1),
    "too large": changed(LABELS, 2),
    "texts": LABELS.astype(str),
    "2-D": np.stack([LABELS, LABELS], axis=1),
}
BAD_WEIGHTS = {
    "length": ONES[:-1],
    "one number": 2.0,
    "NaN": changed(ONES, np.nan),
    "infinite": changed(ONES, np.inf),
    "negative": changed(ONES, -1),
    "zeros": 0 * ONES,
    "texts": ONES.astype(str),
    "objects": np.array([None] * N),
    "2-D": ONES.reshape(-1, 1),
    "complex": ONES + 1j,
}
CLASS_WEIGHTS = {"none": None, "balanced": "balanced", "dict": {0: 2.0}, "zero": {1: 0.0}, "unknown class": {7: 1.0}}
SPLITS = {"all": None, "split": 0.25}


def fit(n_out, y, **given):
    """Train a network of one sigmoid or several softmax outputs; return the error, after which nothing has changed."""
    kind = {"activation": "sigmoid", "loss": "binary_cross_entropy"} if n_out == 1 else {"activation": "softmax"}
    kind |= {"loss": "cross_entropy"} if n_out > 1 else {}
    net = fastnn.Network([3, n_out], seed=0, **kind)
    before = net.parameters.copy()
    with pytest.raises((TypeError, ValueError)) as error:
        net.fit(given.pop("X", X), y, epochs=1, **given)
    assert np.array_equal(net.parameters, before)
    assert net.epochs_trained == 0
    return str(error.value)


each_class_weight = pytest.mark.parametrize("class_weight", CLASS_WEIGHTS.values(), ids=CLASS_WEIGHTS)
each_split = pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)


@each_class_weight
@each_split
@pytest.mark.parametrize("y", BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels(y, split, class_weight):
    given = {"validation_split": split, "class_weight": class_weight}
    assert fit(2, y, **given).startswith("y ")
    assert fit(2, y, sample_weight=-ONES, **given).startswith("y ")


@each_class_weight
@each_split
@pytest.mark.parametrize("y", BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_targets_of_one_output(y, split, class_weight):
    assert fit(1, y, validation_split=split, class_weight=class_weight).startswith("y ")


@each_class_weight
@each_split
@pytest.mark.parametrize("weight", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_of_examples(weight, split, class_weight):
    given = {"validation_split": split, "class_weight": class_weight}
    assert fit(2, LABELS, sample_weight=weight, **given).startswith("sample_weight ")


@each_class_weight
@each_split
def test_rows_come_first(split, class_weight):
    given = {"validation_split": split, "class_weight": class_weight, "sample_weight": -ONES}
    assert fit(2, LABELS[:-1], X=changed(X, np.nan), **given).startswith("X ")


@each_class_weight
@pytest.mark.parametrize("y", BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_for_validation(y, class_weight):
    message = fit(2, LABELS, validation_data=(X, y), class_weight=class_weight)
    assert message.startswith("validation y ")


@each_class_weight
@pytest.mark.parametrize("weight", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_for_validation(weight, class_weight):
    message = fit(2, LABELS, validation_data=(X, LABELS, weight), class_weight=class_weight)
    assert message.startswith("validation sample_weight ")


@each_split
def test_class_weights_come_last(split):
    assert fit(2, LABELS, validation_split=split, class_weight={7: 1.0}).startswith("class_weight ")
    assert fit(2, LABELS, validation_split=split, class_weight="even").startswith("class_weight ")


@pytest.mark.parametrize("weight", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_before_the_number_of_held_out_rows(weight):
    assert fit(2, LABELS, sample_weight=weight, validation_split=0.001).startswith("sample_weight ")


@pytest.mark.parametrize("split", [0.25, 0.5])
def test_weights_of_one_part_of_a_split_that_are_all_0_name_the_argument(split):
    for row in range(N):
        weight = np.zeros(N)
        weight[row] = 1
        assert "sample_weight must not be 0" in fit(2, LABELS, sample_weight=weight, validation_split=split)
