"""The pictures of what a model has learned, read back from the figures."""

import doctest

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import fastnn
from fastnn import plots
from fastnn.calibration import Reliability
from fastnn.inspection import Importance, PartialDependence
from fastnn.plots import understanding


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba()).std() > 0
    return figure


def test_bars_of_importance_are_in_its_order():
    found = Importance(("a", "b", "c"), np.array([[0.1, 0.3], [0.5, 0.5], [0.0, -0.1]]), 0.9, "accuracy")
    axes = drawn(plots.importance(found)).axes[0]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [0.5, 0.2, -0.05])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    assert axes.get_xlabel() == "loss of accuracy when exchanged"
    few = plots.importance(found, max_columns=2).axes[0]
    assert few.get_title() == "Importance of 2 columns; 1 less important ones left out"
    with pytest.raises(ValueError, match="max_columns"):
        plots.importance(found, max_columns=0)


def dependence(levels=None, n_outputs=3, n_columns=1):
    grid = np.arange(4.0)
    values = np.random.default_rng(0).random((4,) * n_columns + (n_outputs,))
    names = tuple(f"class {i}" for i in range(n_outputs))
    return PartialDependence(("a", "b")[:n_columns], (grid,) * n_columns, (levels,) * n_columns, values, names)


def test_a_line_for_each_output():
    found = dependence()
    axes = drawn(plots.partial_dependence(found)).axes[0]
    for line, expected in zip(axes.lines, found.values.T, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["class 0", "class 1", "class 2"]


def test_of_two_classes_the_second():
    axes = plots.partial_dependence(dependence(n_outputs=2)).axes[0]
    assert len(axes.lines) == 1
    assert axes.get_ylabel() == "class 1"


def test_bars_for_the_levels_of_a_category():
    found = dependence(levels=("w", "x", "y", "z"))
    axes = drawn(plots.partial_dependence(found, outputs=[2])).axes[0]
    np.testing.assert_array_equal([bar.get_height() for bar in axes.patches], found.values[:, 2])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["w", "x", "y", "z"]


@pytest.mark.parametrize("levels", [None, ("w", "x", "y", "z")])
def test_two_columns_as_a_map(levels):
    found = dependence(levels, n_columns=2)
    axes = drawn(plots.partial_dependence(found, outputs=[1])).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_array(), found.values[:, :, 1].T)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")


def test_outputs_that_are_not_there():
    with pytest.raises(ValueError, match="numbers from 0 to 2"):
        plots.partial_dependence(dependence(), outputs=[3])


def test_gradients_of_images_are_each_rows_own_scale():
    net = fastnn.Network([16, 3], activation="identity", seed=0)
    figure = drawn(plots.input_gradients(net, np.eye(16)[:5], output=2))
    expected = net.weights[0][2] / np.abs(net.weights[0][2]).max()
    for image in figure.axes[0].images:
        np.testing.assert_allclose(image.get_array().ravel(), expected, rtol=1e-6)
    assert [text.get_text() for text in figure.axes[0].texts] == ["2"] * 5


def test_gradients_of_columns_are_one_heat_map():
    net = fastnn.Network([3, 2], activation="softmax", loss="cross_entropy", seed=0)
    X = np.random.default_rng(0).normal(size=(6, 3))
    axes = drawn(plots.input_gradients(net, X, column_names=["a", "b", "c"], max_rows=4)).axes[0]
    expected = net.input_gradients(X[:4], output=net.classify(X[:4]))
    np.testing.assert_allclose(axes.images[0].get_array(), expected)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


def test_a_single_output_and_many_columns():
    net = fastnn.Network([90, 1], activation="identity", seed=0)
    axes = drawn(plots.input_gradients(net, np.zeros((2, 90)))).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0: 0", "1: 0"]
    with pytest.raises(ValueError, match="at least one row"):
        plots.input_gradients(net, np.zeros((0, 90)))
    with pytest.raises(ValueError, match="max_rows"):
        plots.input_gradients(net, np.zeros((1, 90)), max_rows=0)


def test_reliability_names_its_error():
    found = Reliability(np.array([0.6, 0.9]), np.array([0.5, 1.0]), np.array([10, 30]))
    axes = drawn(plots.reliability(found)).axes[0]
    assert axes.get_title() == "Calibration: expected error 0.1000"
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [0.5, 1.0])


def test_examples():
    assert doctest.testmod(understanding).failed == 0


def test_residuals_are_points_and_a_histogram_of_all_rows():
    real = np.arange(50.0)
    beside, spread = drawn(plots.residuals(real, real + 2, name="price", max_points=10)).axes
    points = np.asarray(beside.collections[0].get_offsets())
    assert points.shape == (10, 2)
    np.testing.assert_array_equal(points[:, 1] - points[:, 0], 2)
    assert (beside.get_xlabel(), beside.get_ylabel()) == ("price", "predicted price")
    assert sum(bar.get_height() for bar in spread.patches) == 50


@pytest.mark.parametrize("rows", [([1.0, 2.0], [1.0]), ([], [])])
def test_residuals_need_rows_of_one_length(rows):
    with pytest.raises(ValueError, match="y and predicted must have the same length"):
        plots.residuals(*rows)
