"""The exceptions: what they are kinds of, what they carry, and that they travel between processes."""

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
        raise DivergenceError("the loss is nan in epoch 2")


def test_divergence_error_has_no_history_unless_given():
    assert DivergenceError("nan").history is None


def test_divergence_error_prints_only_its_message():
    assert str(DivergenceError("nan", {"loss": [1.0]})) == "nan"


def test_divergence_error_keeps_message_and_history_when_pickled():
    again = pickle.loads(pickle.dumps(DivergenceError("nan", {"loss": [1.0]})))
    assert (str(again), again.history) == ("nan", {"loss": [1.0]})


def test_examples_in_docstrings_run():
    assert doctest.testmod(fastnn.errors).failed == 0
