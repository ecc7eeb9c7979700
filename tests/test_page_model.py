"""What the page says of a model: drawings as the data has them, answers of `predict`, reasons, curves and planes."""

import base64
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn.page import Examples, ModelPage, PictureInputs, TableData, TableInputs, enlarged_digits
from fastnn.page.drawing import SIDE, as_image, enlarged, frame_of, parse_drawing
from fastnn.page.model_page import MOST_LINES, strongest
from fastnn.page.picture_inputs import in_turns
from fastnn.tables.encoded import CategoryColumn, DateColumn, QuantityColumn
from fastnn.tables.encoder import TableEncoder
from fastnn.tables.numbers import PLAIN

RNG = np.random.default_rng(0)


def drawing_of(array):
    return base64.b64encode(np.asarray(array, np.uint8).tobytes()).decode()


def box(top, bottom, left, right, level=255):
    drawing = np.zeros((SIDE, SIDE))
    drawing[top:bottom, left:right] = level
    return drawing


def picture_page(sizes=(64, 9, 10), shape=(8, 8), ink=16.0, **options):
    options = {"input_scale": 1 / ink, "seed": 0} | options
    net = fastnn.Network(sizes, **options)
    net.class_names = tuple("0123456789")[: max(2, sizes[-1])]
    X, y = fastnn.datasets.load_digits()
    examples = Examples(X[:40], y[:40]) if sizes[0] == 64 else Examples(np.zeros((0, sizes[0])), np.zeros(0, int))
    model = fastnn.TableModel.from_description(net.describe())
    return ModelPage(model, PictureInputs(model, shape, ink, examples), "digits"), net


# ---- Drawings


def test_a_drawing_fills_a_small_image_and_lies_in_its_middle():
    image = as_image(box(10, 60, 70, 90) / 255, (8, 8))
    # 50 x 20 pixels become 8 x 3.2, with its box in the middle: columns 2.4 to 5.6
    assert image.sum(axis=0) == pytest.approx([0, 0, 8 * 0.6, 8, 8, 8 * 0.6, 0, 0])
    assert image.sum(axis=1) == pytest.approx([3.2] * 8)


def test_a_drawing_has_the_size_and_the_centre_of_mass_of_mnist():
    drawing = box(5, 45, 60, 70) + box(30, 45, 20, 60)  # 50 pixels wide, which become 20
    image = as_image(drawing / 255, (28, 28))
    assert image.sum() == pytest.approx((400 + 600) * (20 / 50) ** 2)
    assert np.flatnonzero(image.any(axis=0)).tolist() == list(range(2, 22))
    middle = np.arange(28) + 0.5
    assert image.sum(axis=1) @ middle / image.sum() == pytest.approx(14, abs=1e-9)
    assert image.sum(axis=0) @ middle / image.sum() == pytest.approx(14, abs=1e-9)


def test_the_place_and_size_of_a_drawing_do_not_matter():
    one, other = box(10, 50, 30, 60), box(61, 101, 2, 32)
    for shape in ((8, 8), (28, 28), (12, 16)):
        np.testing.assert_allclose(as_image(one / 255, shape), as_image(other / 255, shape), atol=1e-12)


def test_nothing_drawn_is_an_empty_image():
    assert not as_image(np.zeros((SIDE, SIDE)), (8, 8)).any()
    assert frame_of(np.zeros((SIDE, SIDE)), (8, 8)) is None


@pytest.mark.parametrize("text", [3, None, "%%", "QUI=", "é", drawing_of(np.zeros(SIDE * SIDE + 1))])
def test_what_is_no_drawing_is_refused(text):
    with pytest.raises(ValueError, match="drawing must"):
        parse_drawing(text)


def test_enlarged_digits_are_drawn_back_to_themselves():
    X, _ = fastnn.datasets.load_digits()
    images = X[:60] / 16
    redrawn = [as_image(enlarged(image.reshape(8, 8)), (8, 8)).ravel() for image in images]
    distances = np.abs(np.array(redrawn)[:, np.newaxis] - images).sum(axis=2)
    nearest = distances.argmin(axis=1)  # interpolating thins strokes and widens dots: not all are nearest to themselves
    assert (nearest == range(60)).mean() > 0.8


def test_digits_enlarged_for_models_of_mnist_look_like_its_digits():
    found = enlarged_digits()
    assert found.pixels.shape == (200, 784)
    assert 20 < found.pixels.mean() < 60  # of MNIST: 33
    assert set(found.labels) == set(range(10))


# ---- Pictures


def test_the_answer_is_that_of_predict():
    page, net = picture_page()
    drawing = box(10, 90, 40, 60)
    found = page.questions["answer"]({"drawing": drawing_of(drawing)})
    pixels = np.rint(as_image(drawing / 255, (8, 8)).ravel() * 16).astype(np.float32)
    np.testing.assert_array_equal(found["outputs"], net.predict(pixels[np.newaxis])[0])
    assert (found["label"], found["confidence"]) == (found["outputs"].argmax(), found["outputs"].max())
    for layer, expected in zip(found["activations"], net.activations(pixels[np.newaxis]), strict=True):
        np.testing.assert_array_equal(layer, expected[0])


def test_an_example_is_answered_as_it_is_in_the_data():
    page, net = picture_page()
    X, y = fastnn.datasets.load_digits()
    shown = page.questions["examples"]({"turn": 1})
    assert len(shown["indices"]) == 20
    index = int(shown["indices"][3])
    assert shown["labels"][3] == y[index]
    found = page.questions["answer"]({"example": index})
    np.testing.assert_array_equal(found["outputs"], net.predict(X[index : index + 1])[0])
    np.testing.assert_allclose(found["image"], X[index] / 16, atol=1e-3)
    assert found["frame"] == {"top": 0.0, "left": 0.0, "scale": SIDE / 8}


def test_examples_take_turns_by_class():
    labels = RNG.integers(0, 5, 200)
    order = in_turns(labels)
    assert sorted(order) == list(range(200))
    assert all(len(set(labels[order[start : start + 5]])) == 5 for start in range(0, 100, 5))


def test_a_single_output_answers_for_two_classes():
    page, net = picture_page((64, 3, 1), loss="binary_cross_entropy", activation="sigmoid", seed=3)
    found = page.questions["answer"]({"example": 0})
    output = found["outputs"][0]
    assert found["shares"] == [1 - output, output]
    assert found["label"] == (output >= 0.5)
    against = 1 if output >= 0.5 else -1
    x = fastnn.datasets.load_digits()[0][:1].astype(np.float32)
    np.testing.assert_array_equal(found["gradient"], against * net.input_gradients(x)[0])


def test_the_strongest_connections_are_sent():
    page, net = picture_page()
    found = page.questions["answer"]({"example": 5})
    above = found["connections"][1]
    expected = net.weights[1] * found["activations"][1]
    assert len(above["values"]) == 90
    np.testing.assert_array_equal(above["values"], expected[above["to"], above["from"]])
    assert all(abs(a) >= abs(b) for a, b in pairwise(above["values"]))
    assert len(strongest(RNG.normal(size=(30, 40)))["values"]) == MOST_LINES
    wide, _ = picture_page((64, 500, 10))
    assert wide.questions["answer"]({"example": 5})["connections"][0] is None


def test_the_incoming_weights_of_a_neuron():
    page, net = picture_page()
    found = page.questions["neuron"]({"layer": 2, "neuron": 9})
    np.testing.assert_array_equal(found["weights"], net.weights[1][9])
    assert found["bias"] == net.biases[1][9]


@pytest.mark.parametrize(
    ("question", "request_", "message"),
    [
        ("answer", {}, "one of the fields drawing and example"),
        ("answer", {"drawing": drawing_of(box(1, 9, 1, 9)), "example": 1}, "one of the fields"),
        ("answer", {"example": 40}, "example must be a whole number from 0 to 39, got 40"),
        ("answer", {"example": True}, "example must be a whole number"),
        ("answer", {"example": 1.0}, "example must be a whole number"),
        ("answer", {"picture": 1}, "unknown field 'picture'"),
        ("neuron", {"layer": 0, "neuron": 0}, "layer must be a whole number from 1 to 2, got 0"),
        ("neuron", {"layer": 2, "neuron": 10}, "neuron must be a whole number from 0 to 9"),
        ("neuron", {"layer": 2}, "neuron must be a whole number from 0 to 9, got None"),
        ("examples", {"turn": -1}, "turn must be"),
        ("model", {"x": 1}, "unknown field 'x'"),
    ],
)
def test_a_question_that_makes_no_sense_names_the_field(question, request_, message):
    page, _ = picture_page()
    with pytest.raises(ValueError, match=message):
        page.questions[question](request_)


def test_the_gradient_is_that_of_the_strongest_output():
    page, net = picture_page(activation=["tanh", "softmax"], loss="cross_entropy")
    found = page.questions["answer"]({"example": 7})
    x = fastnn.datasets.load_digits()[0][7:8].astype(np.float32)
    np.testing.assert_array_equal(found["gradient"], net.input_gradients(x, output=int(found["label"]))[0])
    assert found["gradient"].any()


def test_networks_with_steps_have_no_input_gradient():
    page, _ = picture_page((64, 3, 2), activation="step", loss="perceptron")
    assert page.questions["answer"]({"example": 0})["gradient"] is None


# ---- Tables


def table_model(classes=("no", "yes"), info=None):
    encoder = TableEncoder(
        [
            QuantityColumn("age", PLAIN, 40.0, 0.05, indicator=True),
            CategoryColumn("place", ("south", "north", "west"), rare=True, missing=True),
            DateColumn("day", "%Y-%m-%d", 18000.0, 0.01, ("elapsed", "week")),
            DateColumn("hour", "%H:%M", 0.5, 1.0, ("day",)),
        ],
        targets=("ill",),
    )
    n_outputs = len(classes) if classes else 1
    softmax = {"activation": ["tanh", "softmax"], "loss": "cross_entropy"}
    plain = {"activation": ["tanh", "identity"]}
    net = fastnn.Network([len(encoder.feature_names), 6, n_outputs], seed=0, **(softmax if classes else plain))
    if classes:
        target = fastnn.tables.ClassTarget("ill", classes)
    else:
        target = fastnn.tables.QuantityTarget(("price",), np.array([100.0]), np.array([20.0]))
    return fastnn.TableModel(net, encoder, target, info)


VALUES = [55.0, 1.0, 18262.0, 0.25]
ROW = {"age": [55.0], "place": ["north"], "day": np.array(["2020-01-01"], "M8[us]"), "hour": ["06:00"]}


def page_of(model, data=None):
    return ModelPage(model, TableInputs(model, data), "table").questions


def test_a_control_for_each_column_as_the_model_knows_it():
    described = page_of(table_model())["model"]({})
    age, place, day, hour = described["controls"]
    assert (age["kind"], age["range"], age["value"], age["missing"]) == ("quantity", (-20.0, 100.0), 40.0, True)
    assert (place["levels"], place["others"], place["value"]) == (("south", "north", "west"), True, 0.0)
    assert (day["field"], day["value"], day["range"]) == ("date", 18000.0, (17700.0, 18300.0))
    assert (hour["field"], hour["range"]) == ("time", (0.0, 1.0))
    assert described["classes"] == ("no", "yes")
    assert (described["plane"], described["points"], described["rows"]) == (False, None, 0)


def test_the_ranges_of_the_controls_are_those_of_the_training_or_of_the_data():
    model = table_model(info={"ranges": {"age": [18, 80.5]}})
    assert page_of(model)["model"]({})["controls"][0]["range"] == (18.0, 80.5)
    rows = np.array([VALUES, [20.0, 2.0, 18000.0, 0.5], [np.nan, np.nan, 18262.0, np.nan]])
    controls = page_of(model, TableData(rows))["model"]({})["controls"]
    assert [control["range"] for control in controls] == [(20.0, 55.0), (0.0, 2.0), (18000.0, 18262.0), (0.25, 0.5)]


def test_the_answer_of_a_table_is_that_of_its_model():
    pytest.importorskip("pandas")
    model = table_model()
    found = page_of(model)["answer"]({"values": VALUES})
    np.testing.assert_array_equal(found["outputs"], model.outputs(ROW)[0])
    assert model.target.class_names[found["label"]] == model.predict(ROW)[0]
    quantity = table_model(classes=None)
    found = page_of(quantity)["answer"]({"values": VALUES})
    assert found["values"] == quantity.predict(ROW)
    assert "label" not in found


def test_values_may_be_missing_or_not_listed():
    pytest.importorskip("pandas")
    model = table_model()
    found = page_of(model)["answer"]({"values": [None, -1, None, None]})
    nothing = {"age": [None], "place": ["elsewhere"], "day": np.array(["NaT"], "M8[us]"), "hour": [None]}
    np.testing.assert_array_equal(found["outputs"], model.outputs(nothing)[0])


@pytest.mark.parametrize(
    "values", [None, [1.0], [1.0, 2.0, 3.0, "4"], [1, 2, 3, True], [1, 2, 3, 1e301], [1, 2, 3, float("nan")], "1234"]
)
def test_values_of_the_wrong_kind_or_number_are_refused(values):
    with pytest.raises(ValueError, match="values must"):
        page_of(table_model())["answer"]({"values": values})


def test_the_curve_of_a_column():
    model = table_model()
    ask = page_of(model)
    along = ask["curve"]({"values": VALUES, "column": 0})
    assert (along["x"][0], along["x"][-1]) == (-20.0, 100.0)
    rows = np.repeat([VALUES], len(along["x"]), axis=0)
    rows[:, 0] = along["x"]
    np.testing.assert_array_equal(along["y"], model.network.predict(model.encoder.encode(rows)))
    places = ask["curve"]({"values": VALUES, "column": 1})
    assert places["x"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(places["y"][1], ask["answer"]({"values": VALUES})["outputs"])


def test_the_curve_reaches_as_far_as_the_control():
    along = page_of(table_model())["curve"]({"values": [300.0, *VALUES[1:]], "column": 0})
    assert (along["x"][0], along["x"][-1]) == (-20.0, 300.0)
    missing = page_of(table_model())["curve"]({"values": [None, *VALUES[1:]], "column": 0})
    assert (missing["x"][0], missing["x"][-1]) == (-20.0, 100.0)


def test_the_plane_of_two_quantities():
    net = fastnn.Network([2, 5, 1], loss="binary_cross_entropy", activation=["tanh", "sigmoid"], seed=0)
    model = fastnn.TableModel.from_description(net.describe())
    data = TableData(np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([0, 1]))
    ask = page_of(model, data)
    assert ask["model"]({})["plane"]
    found = ask["plane"]({})
    n, answers = found["n"], found["answers"]
    corners = net.predict(np.array([[0, 0], [1, 0], [0, 2], [1, 2]], np.float32))[:, 0]
    np.testing.assert_array_equal(answers[[0, n - 1, n * n - n, n * n - 1], 1], corners)
    np.testing.assert_array_equal(answers.sum(axis=1), 1)
    with pytest.raises(ValueError, match="two quantities"):
        page_of(table_model())["plane"]({})


def test_a_row_of_the_data():
    data = TableData(np.array([VALUES]), np.array([1]))
    found = page_of(table_model(), data)["row"]({"index": 0})
    assert (found["values"].tolist(), found["truth"]) == (VALUES, 1)
    assert page_of(table_model(), TableData(np.array([VALUES])))["row"]({"index": 0})["truth"] is None
    with pytest.raises(ValueError, match="no data were given"):
        page_of(table_model())["row"]({"index": 0})


def test_a_plain_network_begins_in_the_middle_of_its_inputs():
    net = fastnn.Network([2, 1], activation="identity", input_scale=0.1, seed=0)
    (first, _), points = (
        page_of(fastnn.TableModel.from_description(net.describe()))["model"]({})[key] for key in ("controls", "points")
    )
    assert (first["range"], first["value"], first["missing"]) == ((-30.0, 30.0), 0.0, False)
    assert points is None


def test_preparing_makes_no_difference_to_the_answer():
    page, _ = picture_page()
    before = page.answer({"example": 2})["outputs"]
    page.prepare()
    np.testing.assert_array_equal(page.answer({"example": 2})["outputs"], before)
