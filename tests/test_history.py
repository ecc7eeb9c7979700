"""The record of a training: its columns, its speed, and the forms that it takes."""

import csv

import pytest
from helpers import classification, classifier, regression, regressor

import fastnn


def test_history_of_a_regression():
    X, y = regression()
    history = regressor().fit(X, y, epochs=3)
    assert list(history) == ["loss"]
    assert len(history["loss"]) == history.epochs == 3


def test_history_of_a_classification_with_validation():
    X, labels = classification()
    history = classifier().fit(X, labels, epochs=3, validation_data=(X, labels))
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert {len(column) for column in history.values()} == {3}


def test_history_says_how_fast_it_was():
    X, y = regression()
    history = regressor().fit(X, y, epochs=4)
    assert history.seconds > 0
    assert history.examples_per_second == pytest.approx(4 * 23 / history.seconds)
    assert history.n_threads == 1


def test_history_prints_its_last_values():
    X, y = regression()
    history = regressor().fit(X, y, epochs=2)
    assert repr(history) == f"History(2 epochs, loss={history['loss'][-1]:.4g}, stop_reason='epochs')"


def test_history_is_written_as_csv(tmp_path):
    X, labels = classification()
    history = classifier().fit(X, labels, epochs=2, validation_split=0.5)
    history.to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in history:
        assert [float(row[name]) for row in rows] == history[name]


def test_the_history_becomes_a_frame():
    pandas = pytest.importorskip("pandas")
    history = regressor().fit(*regression(), epochs=3)
    frame = history.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["loss"].tolist() == history["loss"]


def test_a_frame_without_pandas_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        fastnn.History().to_frame()


def test_a_column_that_the_history_does_not_have_is_named():
    history = fastnn.History()
    with pytest.raises(ValueError, match="no column 'val_loss'; it has none yet"):
        history.column("val_loss")


def test_what_is_no_number_does_not_go_into_the_history():
    with pytest.raises(TypeError, match="test must be a number, got 'good'"):
        fastnn.History().add(test="good")
