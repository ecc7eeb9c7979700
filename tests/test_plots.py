"""The pictures: what each one shows, read back from the figure, and what is refused."""

import doctest
import importlib
import itertools
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import fastnn
from fastnn import plots
from fastnn.kernels.jit import COMPILED

COURSE = {
    "loss": [0.9, 0.5, 0.4],
    "accuracy": [0.4, 0.7, 0.8],
    "val_loss": [1.0, 0.7, 0.6],
    "val_accuracy": [0.3, 0.6, 0.5],
}


def network(*sizes, **options):
    return fastnn.Network(sizes, seed=0, **options)


def drawn(figure):
    """The figure as pixels: everything that it holds can be drawn, and something is seen."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba()).std() > 0


def texts(axes):
    return [text.get_text() for text in axes.texts]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# ---- Learning curves


def test_learning_curves_show_every_epoch_of_training_and_validation():
    figure = plots.learning_curves(COURSE, loss_label="squared error")
    loss, accuracy = figure.axes
    assert [line.get_xdata().tolist() for line in loss.lines] == [[1, 2, 3]] * 2
    assert [list(line.get_ydata()) for line in loss.lines] == [COURSE["loss"], COURSE["val_loss"]]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [COURSE["accuracy"], COURSE["val_accuracy"]]
    assert [line.get_label() for line in accuracy.lines] == ["training", "validation"]
    assert (loss.get_ylabel(), loss.get_xlabel(), accuracy.get_ylabel()) == ("squared error", "epoch", "accuracy")
    drawn(figure)


def ticks_within(axis, low, high):
    return [(tick, text) for tick, text in zip(axis.get_ticklocs(), labels(axis), strict=True) if low <= tick <= high]


def test_the_scale_of_accuracies_is_that_of_the_later_epochs():
    accuracies = [0.1, 0.3, *np.linspace(0.95, 0.99, 18)]
    axes = plots.learning_curves({"loss": [1.0] * 20, "accuracy": accuracies}).axes[1]
    low, high = axes.get_ylim()
    assert 0.94 < low < 0.95
    assert 0.99 < high < 1
    assert list(axes.lines[0].get_ydata()) == accuracies


@pytest.mark.parametrize("accuracies", [[1.0] * 3, [0.5, 0.9, 1.0], [1.0]])
def test_the_scale_of_accuracies_has_no_number_above_1(accuracies):
    figure = plots.learning_curves({"loss": [1.0] * len(accuracies), "accuracy": accuracies})
    drawn(figure)
    axes = figure.axes[1]
    low, high = axes.get_ylim()
    assert low < min(accuracies)
    assert high > 1
    assert max(tick for tick, _ in ticks_within(axes.yaxis, low, high)) <= 1


def test_accuracies_that_are_not_numbers_leave_the_scale_alone():
    drawn(plots.learning_curves({"loss": [1.0], "accuracy": [np.nan]}))


@pytest.mark.parametrize("last", [0.01, 1e-9])
def test_a_logarithmic_loss_has_plain_numbers_at_its_scale(last):
    figure = plots.learning_curves({"loss": list(np.geomspace(1, last, 50))})
    drawn(figure)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    ticks = ticks_within(axes.yaxis, *axes.get_ylim())
    assert len(ticks) >= 3
    assert all(float(text) == pytest.approx(tick) for tick, text in ticks)


def test_learning_curves_take_the_history_of_a_fit():
    history = network(2, 1).fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0], epochs=3)
    figure = plots.learning_curves(history)
    assert len(figure.axes) == 1
    assert list(figure.axes[0].lines[0].get_ydata()) == history["loss"]


def test_learning_curves_of_one_epoch_show_a_point():
    (axes,) = plots.learning_curves({"loss": [0.5]}).axes
    assert axes.lines[0].get_marker() == "o"


@pytest.mark.parametrize(("losses", "scale"), [([1.0, 0.5], "linear"), ([1.0, 0.01], "log"), ([1.0, 0.0], "linear")])
def test_losses_that_fall_far_are_drawn_on_a_logarithmic_scale(losses, scale):
    assert plots.learning_curves({"loss": losses}).axes[0].get_yscale() == scale


def test_learning_curves_refuse_a_history_without_epochs():
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.learning_curves(fastnn.History())


# ---- The first layer


@pytest.mark.parametrize("n_hidden", [15, 16, 30, 128])
def test_each_hidden_neuron_is_an_image_of_its_incoming_weights(n_hidden):
    net = network(64, n_hidden, 10)
    figure = plots.first_layer(net)
    images = figure.axes[0].images
    assert len(images) == n_hidden
    for image, weights in zip(images, net.weights[0], strict=True):
        np.testing.assert_array_equal(image.get_array(), weights.astype(np.float64).reshape(8, 8))
    assert texts(figure.axes[0]) == [str(neuron) for neuron in range(n_hidden)]


def test_colours_are_centred_on_zero_and_the_same_for_all_neurons():
    images = plots.first_layer(network(64, 16, 10)).axes[0].images
    limits = {image.get_clim() for image in images}
    ((low, high),) = limits
    assert low == -high < 0
    assert np.allclose(images[0].cmap(0.5), 1, atol=0.05)  # white


@pytest.mark.parametrize("n_hidden", [1, 16, 128])
def test_images_and_labels_do_not_overlap_and_lie_within_the_figure(n_hidden):
    figure = plots.first_layer(network(784, n_hidden, 10))
    drawn(figure)
    axes = figure.axes[0]
    parts = [*axes.images, *axes.texts, *figure.texts, figure.axes[1]]
    boxes = [part.get_window_extent() for part in parts]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_images_may_have_any_shape():
    images = plots.first_layer(network(12, 2, 1), (3, 4)).axes[0].images
    assert images[0].get_array().shape == (3, 4)


def test_first_layer_draws_no_more_neurons_than_requested():
    figure = plots.first_layer(network(64, 20, 10), max_neurons=5)
    assert len(figure.axes[0].images) == 5
    assert "5 of 20" in figure.get_suptitle()


def test_without_a_hidden_layer_the_outputs_are_shown_by_their_names():
    net = network(16, 2)
    net.class_names = ("cat", "a rather long name")
    figure = plots.first_layer(net)
    assert texts(figure.axes[0]) == ["cat", "a rather…ame"]
    assert "output" in figure.get_suptitle()


def test_inputs_with_names_are_a_heat_map_with_a_row_for_each():
    net = network(4, 3, 1)
    net.column_names = ("area", "rooms", "age", "price in $ of $ 2020")
    figure = plots.first_layer(net)
    axes, scale = figure.axes
    np.testing.assert_array_equal(axes.images[0].get_array(), net.weights[0].T.astype(np.float64))
    drawn(figure)
    assert labels(axes.yaxis)[:3] == ["area", "rooms", "age"]
    assert labels(axes.xaxis) == ["0", "1", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel(), scale.get_ylabel()) == ("neuron", "input", "weight")


@pytest.mark.parametrize(("n_inputs", "image"), [(9, False), (16, True), (15, False), (64, True), (1, False)])
def test_only_a_square_of_16_or_more_is_taken_for_an_image(n_inputs, image):
    images = plots.first_layer(network(n_inputs, 3, 1)).axes[0].images
    assert (len(images) == 3) == image


def test_names_keep_a_square_number_of_inputs_from_being_an_image():
    figure = plots.first_layer(network(16, 3, 1), column_names=[f"c{i}" for i in range(16)])
    assert len(figure.axes[0].images) == 1


def test_a_heat_map_of_many_inputs_leaves_their_names_out():
    figure = plots.first_layer(network(200, 3, 1))
    assert len(labels(figure.axes[0].yaxis)) < 20
    assert figure.get_size_inches()[1] < 16


def test_weights_that_are_all_zero_can_be_shown():
    net = network(16, 2, 1)
    net.parameters = np.zeros(net.n_parameters)
    figure = plots.first_layer(net)
    drawn(figure)
    assert figure.axes[0].images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (3, 5)}, "16 pixels"),
        ({"image_shape": (16,)}, "a height and a width"),
        ({"image_shape": (-4, -4)}, "a height and a width"),
        ({"column_names": ["a"]}, "16 names"),
        ({"column_names": ["a"] * 17}, "16 names"),
        ({"max_neurons": 0}, "max_neurons"),
    ],
)
def test_first_layer_refuses_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        plots.first_layer(network(16, 3, 1), **options)


# ---- The confusion matrix


def test_confusion_matrix_counts_true_by_row_and_predicted_by_column():
    figure = plots.confusion_matrix([0, 0, 0, 1, 2], [0, 0, 1, 1, 0], ["apple", "pear", "plum"])
    (axes,) = figure.axes
    cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "2", (0, 1): "1", (1, 1): "1", (2, 0): "1"}
    np.testing.assert_allclose(np.square(axes.images[0].get_array()), [[2 / 3, 1 / 3, 0], [0, 1, 0], [1, 0, 0]])
    assert labels(axes.yaxis) == labels(axes.xaxis) == ["apple", "pear", "plum"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert axes.get_title() == "3 of 5 right: 60.00%"
    drawn(figure)


def test_confusion_matrix_has_a_place_for_names_that_do_not_occur():
    figure = plots.confusion_matrix([0, 1], [0, 1], list("abcd"))
    assert figure.axes[0].images[0].get_array().shape == (4, 4)


def test_confusion_matrix_shows_its_counts_up_to_40_classes():
    y = np.arange(40)
    figure = plots.confusion_matrix(y, y)
    assert len(figure.axes[0].texts) == 40
    assert figure.get_size_inches().max() < 21


def test_confusion_matrix_of_many_classes_shows_every_mistake_and_the_names_that_have_space():
    truth = np.repeat(np.arange(200), 1000)
    predicted = truth.copy()
    predicted[0] = 5
    figure = plots.confusion_matrix(truth, predicted, [f"class {number}" for number in range(200)])
    (axes,) = figure.axes
    shown = axes.images[0].get_array()
    assert shown[0, 5] > 0.3
    assert (shown[0, 1:5] == 0).all()
    assert texts(axes) == []
    drawn(figure)
    assert figure.get_size_inches().max() < 12
    for axis in (axes.xaxis, axes.yaxis):
        names = axis.get_ticklabels()
        assert 40 <= len(names) <= 100
        assert all(
            name.get_text() == f"class {int(tick)}" for name, tick in zip(names, axis.get_ticklocs(), strict=True)
        )
        boxes = [name.get_window_extent() for name in names]
        assert not any(box.overlaps(other) for box, other in itertools.pairwise(boxes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0]), "same length"),
        (([], []), "y_true must hold integer labels"),
        (([0.5], [0]), "y_true must hold integer labels"),
        (([0], [-1]), "y_pred must hold integer labels"),
        (([0, 2], [0, 1], ["a", "b"]), "class_names must hold 3 names"),
    ],
)
def test_confusion_matrix_refuses_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.confusion_matrix(*arguments)


# ---- The worst mistakes

X = np.arange(5 * 16, dtype=float).reshape(5, 16)
Y = np.array([0, 1, 1, 0, 1])
OUTPUTS = np.array([[0.4, 0.6], [0.1, 0.9], [0.95, 0.05], [0.8, 0.2], [0.7, 0.3]])


def test_worst_mistakes_come_first_and_right_answers_not_at_all():
    figure = plots.worst_mistakes(X, Y, OUTPUTS, class_names=["cat", "dog"])
    (axes,) = figure.axes
    assert texts(axes) == ["dog → cat: 0.950", "dog → cat: 0.700", "cat → dog: 0.600"]
    for image, row in zip(axes.images, [2, 4, 0], strict=True):
        np.testing.assert_array_equal(image.get_array(), X[row].reshape(4, 4))
    assert "3 of 3" in figure.get_suptitle()
    drawn(figure)


def test_worst_mistakes_show_no_more_than_requested():
    figure = plots.worst_mistakes(X, Y, OUTPUTS, count=1)
    assert texts(figure.axes[0]) == ["1 → 0: 0.950"]
    assert "1 of 3" in figure.get_suptitle()


def test_worst_mistakes_of_a_table_are_its_rows_coloured_by_standard_deviations():
    table = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [4.0, 10.0], [5.0, 10.0]])
    figure = plots.worst_mistakes(table, Y, OUTPUTS, column_names=["weight", "$width$"])
    axes = figure.axes[0]
    scores = (table[:, 0] - 3) / table[:, 0].std()
    np.testing.assert_allclose(axes.images[0].get_array(), [[scores[2], 0], [scores[4], 0], [scores[0], 0]])
    assert texts(axes) == ["3", "10", "5", "10", "1", "10"]
    assert labels(axes.yaxis) == ["1 → 0: 0.950", "1 → 0: 0.700", "0 → 1: 0.600"]
    assert labels(axes.xaxis) == ["weight", r"\$width\$"]
    drawn(figure)


def test_a_wide_table_of_mistakes_leaves_its_numbers_out():
    rng = np.random.default_rng(0)
    figure = plots.worst_mistakes(rng.normal(size=(90, 15)), np.zeros(90, int), np.tile([0.0, 1.0], (90, 1)))
    assert texts(figure.axes[0]) == []
    assert figure.axes[0].images[0].get_array().shape == (24, 15)


def test_a_table_of_many_columns_leaves_their_names_out():
    inputs = np.random.default_rng(0).normal(size=(9, 82))
    figure = plots.worst_mistakes(inputs, np.zeros(9, int), np.tile([0.0, 1.0], (9, 1)))
    assert all("column" not in name for name in labels(figure.axes[0].xaxis))
    assert labels(figure.axes[0].yaxis)


def test_no_mistake_is_said_in_words():
    figure = plots.worst_mistakes(X, OUTPUTS.argmax(axis=1), OUTPUTS)
    assert [text.get_text() for text in figure.texts] == ["No mistake among 5 examples"]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X[:4], Y, OUTPUTS), {}, "a row for each example"),
        ((X[0], Y, OUTPUTS), {}, "a row for each example"),
        ((X, Y, OUTPUTS[:, 0]), {}, "outputs must have shape"),
        ((X, Y + 0.5, OUTPUTS), {}, "y must hold integer labels"),
        ((X, Y, OUTPUTS), {"count": 0}, "count"),
        ((X, Y, OUTPUTS), {"image_shape": (2, 2)}, "16 pixels"),
        ((X, Y, OUTPUTS), {"class_names": ["one"]}, "class_names must hold 2 names"),
        ((X, Y, OUTPUTS), {"column_names": ["one"]}, "column_names must hold 16 names"),
    ],
)
def test_worst_mistakes_refuse_what_does_not_fit(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plots.worst_mistakes(*arguments, **options)


def test_one_output_answers_0_or_1_and_is_as_sure_as_it_is_far_from_the_other():
    answers, confidence = plots.brightest([[0.5], [0.9], [0.2]])
    assert answers.tolist() == [1, 1, 0]
    np.testing.assert_allclose(confidence, [0.5, 0.9, 0.8])


# ---- The fitted curve


def test_fitted_curve_shows_the_data_and_the_network_over_their_range():
    net = network(1, 4, 1, activation="tanh")
    x, y = np.array([-2.0, 0.0, 3.0]), np.array([1.0, 2.0, 4.0])
    figure = plots.fitted_curve(net, x, y, input_name="speed", output_name="drag in $")
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.column_stack([x, y]))
    grid, curve = axes.lines[0].get_data()
    assert grid[0] <= -2 < 3 <= grid[-1]
    np.testing.assert_array_equal(curve, net.predict(grid.reshape(-1, 1))[:, 0])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("speed", r"drag in \$")
    drawn(figure)


def test_fitted_curve_applies_the_scaler_that_the_network_carries():
    net = network(1, 4, 1, activation="tanh")
    net.scaler = fastnn.preprocessing.StandardScaler().fit([[100.0], [300.0]])
    grid, curve = plots.fitted_curve(net, [[100.0], [300.0]], [0.0, 1.0]).axes[0].lines[0].get_data()
    np.testing.assert_array_equal(curve, net.predict((grid.reshape(-1, 1) - 200) / 100)[:, 0])


@pytest.mark.parametrize(
    ("sizes", "x", "y", "message"),
    [
        ((2, 1), [[1.0, 2.0]], [1.0], "one input and one output"),
        ((1, 2), [1.0], [1.0], "one input and one output"),
        ((1, 1), [1.0, 2.0], [1.0], "same length"),
        ((1, 1), [], [], "not empty"),
    ],
)
def test_fitted_curve_refuses_what_does_not_fit(sizes, x, y, message):
    with pytest.raises(ValueError, match=message):
        plots.fitted_curve(network(*sizes), x, y)


# ---- All of them


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install fastnn\[plot\]"):
        plots.learning_curves(COURSE)


def test_the_global_state_of_matplotlib_is_left_alone():
    with matplotlib.rc_context({"font.size": 12.5}):
        before = dict(matplotlib.rcParams)
        drawn(plots.learning_curves(COURSE))
        drawn(plots.first_layer(network(16, 3, 1)))
        assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("name", ["answers", "curves", "weights"])
def test_examples_in_docstrings_run(name):
    if not COMPILED and name == "curves":
        pytest.skip("slow without compilation")
    assert doctest.testmod(importlib.import_module(f"fastnn.plots.{name}")).failed == 0


def spiral():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def test_a_decision_boundary_has_a_colour_for_each_class_and_every_example():
    X, y = spiral()
    net = fastnn.Network([2, 8, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    axes = plots.decision_boundary(net, X, y, input_names=["a", "b"], class_names=["no", "yes"]).axes[0]
    scattered = [part for part in axes.collections if len(part.get_offsets()) in (y.sum(), len(y) - y.sum())]
    assert sum(len(part.get_offsets()) for part in scattered) == len(X)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")


def test_a_decision_boundary_runs_where_the_answer_changes():
    net = fastnn.Network([2, 1], seed=0)
    net.weights[0][...] = [[1.0, 0.0]]
    net.biases[0][...] = -0.25  # the answer changes where the first input is 0.25
    axes = plots.decision_boundary(net, [[-1.0, 0.0], [1.0, 1.0]], [0, 1]).axes[0]
    lines = [path.vertices for part in axes.collections for path in part.get_paths() if len(path.vertices) > 9]
    ends = [line[:, 0] for line in lines if np.ptp(line[:, 0]) < 0.02]
    assert any(abs(x - 0.25).max() < 0.01 for x in ends)


@pytest.mark.parametrize(
    ("sizes", "X", "y", "word"),
    [
        ([3, 1], [[0, 0]], [0], "two inputs"),
        ([2, 11], [[0, 0]], [0], "at most 10 classes"),
        ([2, 1], [[0, 0, 0]], [0], "X must have shape"),
        ([2, 1], [[0, 0]], [0, 1], "X must have shape"),
        ([2, 1], [[0, 0]], [2], "labels 0..1"),
    ],
)
def test_a_decision_boundary_refuses_what_does_not_fit(sizes, X, y, word):
    with pytest.raises(ValueError, match=word):
        plots.decision_boundary(fastnn.Network(sizes, seed=0), X, y)


def test_a_diagram_shows_signs_and_sizes():
    net = fastnn.Network([2, 2], activation="identity", seed=0)
    net.weights[0][...] = [[2.0, -1.0], [0.0, 1.0]]
    net.biases[0][...] = [0.0, -2.0]
    axes = plots.network_diagram(net, input_names=["left", "right"]).axes[0]
    assert [line.get_color() for line in axes.lines[:2]] == ["#b2182b", "#2166ac"]
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths[0] == max(widths) > widths[1] == widths[3] > widths[2]
    rims = [patch.get_linewidth() for patch in axes.patches]
    assert rims[3] > rims[2] == rims[0]
    assert {"left", "right"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("sizes", [(2, 3, 1), (4, 10, 3), (24, 24, 24, 24), (24, 1), (1, 24)])
def test_a_diagram_fills_its_figure(sizes):
    figure = plots.network_diagram(network(*sizes))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ink = (np.asarray(canvas.buffer_rgba())[:, :, :3] < 250).any(axis=2)
    for across in (0, 1):
        lines = np.flatnonzero(ink.any(axis=across))
        assert np.ptp(lines) > 0.8 * ink.shape[1 - across]


def test_large_weights_of_a_diagram_lie_above_small_ones():
    net = network(2, 1)
    net.weights[0][...] = [[-2.0, 0.5]]
    large, small = plots.network_diagram(net).axes[0].lines
    assert large.get_zorder() > small.get_zorder()
    assert large.get_alpha() > small.get_alpha()


def test_a_diagram_of_too_many_neurons_is_refused():
    with pytest.raises(ValueError, match="at most 24 neurons"):
        plots.network_diagram(fastnn.Network([2, 25, 1], seed=0))


def test_the_search_for_a_rate_marks_the_suggestion():
    X, y = spiral()
    net = fastnn.Network([2, 8, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    search = net.find_learning_rate(X, y, steps=30)
    axes = plots.rate_search(search).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.lines[-1].get_xdata()[0] == search.suggestion
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), search.smoothed)


def test_headings_of_a_diagram_and_the_scale_beside_images_are_inside_the_picture():
    figures = [
        plots.network_diagram(fastnn.Network([2, 3, 1], seed=0)),
        plots.first_layer(fastnn.Network([784, 200, 10], seed=0)),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        width, height = figure.get_size_inches() * figure.dpi
        for text in figure.findobj(Text):
            if text.get_text() and text.get_visible():
                box = text.get_window_extent()
                assert box.x0 >= 0, text.get_text()
                assert box.y0 >= 0, text.get_text()
                assert box.x1 <= width, text.get_text()
                assert box.y1 <= height, text.get_text()


# ---- Sheets of images


def test_every_row_is_an_image_with_its_label():
    X = np.arange(3 * 20).reshape(3, 20)
    axes = plots.image_sheet(X, image_shape=(4, 5), labels=[7, "b", None], title="Three").axes[0]
    assert [image.get_array().shape for image in axes.images] == [(4, 5)] * 3
    np.testing.assert_array_equal(axes.images[1].get_array(), X[1].reshape(4, 5))
    assert [text.get_text() for text in axes.texts] == ["7", "b", "None"]


def test_a_sheet_has_as_many_columns_as_told():
    images = plots.image_sheet(np.eye(16), n_columns=3).axes[0].images
    assert len({image.get_extent()[0] for image in images}) == 3


@pytest.mark.parametrize(
    ("X", "options", "said"),
    [
        (np.zeros((0, 16)), {}, "at least one row"),
        (np.zeros(16), {}, "X must have shape"),
        (np.zeros((2, 20)), {}, "image_shape must be given"),
        (np.zeros((2, 16)), {"image_shape": (3, 5)}, "16 pixels"),
        (np.zeros((2, 16)), {"n_columns": 0}, "n_columns must be"),
        (np.zeros((2, 16)), {"labels": ["a"]}, "one entry for each of 2 rows"),
    ],
)
def test_what_is_no_sheet_is_refused(X, options, said):
    with pytest.raises(ValueError, match=said):
        plots.image_sheet(X, **options)


@pytest.mark.parametrize("embedding", [fastnn.PeriodicEmbedding((1,), 2, 3), fastnn.PeriodicEmbedding(None, 2, 1)])
def test_an_embeddings_functions_are_drawn_behind_the_inputs(embedding):
    net = fastnn.Network([2, 3, 1], embedding=embedding, seed=0)
    figure = plots.network_diagram(net, input_names=("age", "height"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[: net.weights[0].shape[1]] == net.engine.spec.first_layer_names(("age", "height"))
    assert len(figure.axes[0].lines) == sum(weights.size for weights in net.weights)
    shown = plots.first_layer(net, column_names=("age", "height")).axes[0].images[0].get_array()
    assert shown.shape == net.weights[0].T.shape
