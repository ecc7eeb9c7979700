"""The exceptions: what they are kinds of, what they carry, and that they travel between processes."""

import copy
import doctest
import pickle

import pytest

import fastnn.errors
from fastnn.errors import DivergenceError, FileFormatError


def test_file_format_error_is_a_value_error():
    with pytest.raises(ValueError, match="line 3"):
        raise FileFormatError("table.csv, line 3")


def test_divergence_error_is_an_arithmetic_error():
    with pytest.raises(ArithmeticError, match="epoch 2"):
        raise DivergenceError("the loss is not finite", epoch=2, learning_rate=0.5)


def test_divergence_error_has_no_history_unless_given():
    error = DivergenceError("the loss is not finite")
    assert (error.epoch, error.learning_rate, error.history) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"reason": "the loss is not finite", "epoch": 2, "learning_rate": 0.5, "history": {"loss": [1.0]}},
            "training diverged: the loss is not finite in epoch 2; a smaller learning_rate may help (it was 0.5). "
            "The last finite parameters are kept.",
        ),
        (
            {"reason": "the loss rose from 1 in the first epoch to 1e+09", "epoch": 7, "learning_rate": 1e-3},
            "training diverged: the loss rose from 1 in the first epoch to 1e+09; a smaller learning_rate may help "
            "(it was 0.001). The last finite parameters are kept.",
        ),
        (
            {"reason": "the loss is not finite", "epoch": 3},
            "training diverged: the loss is not finite in iteration 3; scaled inputs and targets may help",
        ),
    ],
    ids=["not finite", "risen", "without a learning rate"],
)
def test_the_message_of_a_divergence_error_follows_from_its_fields(fields, message):
    assert str(DivergenceError(**fields)) == message


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_divergence_error_survives_copies_and_pickles(again):
    error = DivergenceError("the loss is not finite", epoch=2, learning_rate=0.5, history={"loss": [1.0]})
    copied = again(error)
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)


def test_examples_in_docstrings_run():
    assert doctest.testmod(fastnn.errors).failed == 0
