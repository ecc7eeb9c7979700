"""Categories of many values: codes in the encoder; the whole variant's model in files, exports, the page, commands."""

import ctypes
import pickle
import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas

import fastnn
from fastnn.cli import main
from fastnn.page.model_page import ModelPage
from fastnn.page.table_inputs import TableInputs
from fastnn.sklearn import TabularClassifier, TabularRegressor
from fastnn.tables.columns import columns_of
from fastnn.tables.encoded import CategoryColumn, column_from_state
from fastnn.tables.encoder import TableEncoder

N, N_CITIES = 400, 12
SMALL = {"hidden_layer_sizes": (8, 6), "max_iter": 6, "random_state": 0, "n_threads": 1, "variant": "td"}


def table():
    """Cities, of which some are rare or missing, a category of three values, a quantity and a date."""
    rng = np.random.default_rng(1)
    city = np.array([f"city {number}" for number in rng.integers(0, N_CITIES, N)], object)
    city[:2], city[2::20] = ["hamlet", "farm"], None
    size = rng.normal(100, 30, N)
    size[::9] = np.nan
    frame = pandas.DataFrame(
        {
            "size": size,
            "city": city,
            "colour": rng.choice(["red", "green", "blue"], N),
            "when": np.datetime64("2020-01-01") + rng.integers(0, 900, N).astype("timedelta64[D]"),
        }
    )
    effect = dict(zip(sorted(set(city) - {None}), rng.normal(0, 50, N_CITIES + 2), strict=True)) | {None: 0.0}
    cost = np.where(np.isnan(size), 100, size) + [effect[name] for name in city] + rng.normal(0, 5, N)
    return frame, cost


FRAME, COST = table()
DEAR = np.where(np.median(COST) < COST, "dear", "cheap")


# ---- The encoder


def test_a_category_of_many_values_is_one_code():
    column = CategoryColumn.fit("city", columns_of(FRAME)["city"], one_hot_limit=8)
    assert (column.embedded, len(column.levels), column.rare, column.missing) == (True, N_CITIES, True, True)
    assert (column.n_categories, column.feature_names, column.indicators) == (N_CITIES + 2, ["city"], [])
    later = {"city": np.array([column.levels[3], "moon", None], object)}
    codes, _ = column.raw(columns_of(later)["city"])
    out = np.empty((3, 1))
    column.encode(codes, out)
    assert out.ravel().tolist() == [3, N_CITIES, N_CITIES + 1]
    assert column_from_state(column.state()) == column


def test_without_rare_and_missing_values_in_training_they_have_no_code():
    column = CategoryColumn("city", tuple("abcdefghijk"), embedded=True)
    out = np.empty((3, 1))
    column.encode(np.array([10.0, -1.0, np.nan]), out)
    assert out.ravel().tolist() == [10, -1, -1]


@pytest.mark.parametrize(("limit", "embedded"), [(None, False), (N_CITIES, True), (N_CITIES + 1, False)])
def test_the_limit_counts_levels_and_all_rare_values_as_one(limit, embedded):
    assert CategoryColumn.fit("city", columns_of(FRAME)["city"], limit).embedded == embedded


def test_more_levels_than_inputs_of_indicators_are_kept():
    names = {"x": np.repeat([f"value {number}" for number in range(300)], 3).astype(object)}
    column = columns_of(names)["x"]
    assert len(CategoryColumn.fit("x", column, 8).levels) == 300
    assert len(CategoryColumn.fit("x", column).levels) == 255


def test_the_table_stays_narrow_and_codes_are_not_scaled():
    encoder = TableEncoder.fit(FRAME, scale_indicators=True, one_hot_limit=8)
    narrow, wide = encoder.transform(FRAME), TableEncoder.fit(FRAME, scale_indicators=True).transform(FRAME)
    assert wide.shape[1] - narrow.shape[1] == N_CITIES + 1
    (place,) = encoder.category_counts
    assert encoder.feature_names[place] == "city"
    assert set(np.unique(narrow[:, place])) == set(range(N_CITIES + 2))
    assert place not in encoder.indicators.places
    again = TableEncoder.from_state(encoder.state())
    assert (again.transform(FRAME) == narrow).all()
    assert "embedded" not in TableEncoder.fit(FRAME).columns[1].state()


@pytest.mark.parametrize(("limit", "error"), [(-1, ValueError), ("8", TypeError)])
def test_limits_that_make_no_sense(limit, error):
    with pytest.raises(error, match="one_hot_limit"):
        TableEncoder.fit(FRAME, one_hot_limit=limit)


def test_a_model_of_times_takes_their_texts():
    encoder = TableEncoder.fit(FRAME[["when"]])
    as_texts = FRAME[["when"]].astype(str)
    np.testing.assert_array_equal(encoder.raw(as_texts)[0], encoder.raw(FRAME[["when"]])[0])
    assert np.isnan(encoder.raw({"when": np.array([None, None], object)})[0]).all()
    for other in (["12/31/2024", "11/30/2024"], ["red", "blue"], [3.0, 4.0]):
        with pytest.raises(TypeError, match="must hold times, as in training, or texts such as 2024-12-31"):
            encoder.raw({"when": np.array(other)})


# ---- The estimators


def test_the_whole_variant_embeds_them_and_the_simple_one_does_not():
    reg = TabularRegressor(**SMALL).fit(FRAME, COST)
    net, place = reg.networks_[0], reg.encoder_.feature_names.index("city")
    assert net.category_embedding.counts == reg.encoder_.category_counts
    assert (list(net.category_vectors), net.category_vectors[place].shape[1]) == ([place], 8)
    assert net.embedding.inputs == (0,)
    assert len(net.input_scales) == net.sizes[0] + 3 + 7
    simple = TabularRegressor(**SMALL | {"variant": "td_s"}).fit(FRAME, COST)
    assert simple.networks_[0].category_embedding is None


def test_it_learns_what_each_category_is_worth():
    reg = TabularRegressor(**SMALL | {"max_iter": 100}).fit(FRAME, COST)
    assert reg.score(FRAME, COST) > 0.9


def test_a_value_that_was_not_seen_is_one_of_the_rare():
    reg = TabularRegressor(**SMALL).fit(FRAME, COST)
    unseen, rare = FRAME.assign(city="moon"), FRAME.assign(city="hamlet")
    assert (reg.predict(unseen) == reg.predict(rare)).all()


@pytest.mark.parametrize(("kind", "y"), [(TabularClassifier, DEAR), (TabularRegressor, COST)])
def test_files_and_pickles_give_the_same_answers(kind, y, tmp_path):
    fitted = kind(**SMALL, n_ensemble=1).fit(FRAME, y)
    expected = fitted.predict(FRAME)
    fitted.save(tmp_path / "model.safetensors")
    assert (fastnn.load_model(tmp_path / "model.safetensors").predict(FRAME) == expected).all()
    assert (pickle.loads(pickle.dumps(fitted)).predict(FRAME) == expected).all()


def test_several_networks():
    clf = TabularClassifier(**SMALL, n_ensemble=2).fit(FRAME, DEAR)
    assert clf.predict_proba(FRAME).shape == (N, 2)


# ---- The model


@pytest.fixture(scope="module", params=["classes", "quantities"])
def model(request):
    classes = request.param == "classes"
    kind, y = (TabularClassifier, DEAR) if classes else (TabularRegressor, COST)
    return kind(**SMALL).fit(FRAME, y).to_table_model()


def answers(model):
    return (model.predict_proba(FRAME) if model.classes else model.predict(FRAME)).reshape(N, -1)


def test_a_network_without_the_embedding_is_refused(model):
    net = fastnn.Network([model.network.sizes[0], 4, model.network.sizes[-1]], seed=0)
    with pytest.raises(ValueError, match="network must embed the encoder's categories"):
        fastnn.TableModel(net, model.encoder, model.target)


def test_onnx_gives_the_same_answers(model, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model.to_onnx(tmp_path / "model.onnx")
    values, _ = model.encoder.raw(FRAME)
    (found,) = runtime.InferenceSession(tmp_path / "model.onnx").run(["outputs"], {"X": values})
    np.testing.assert_allclose(found, answers(model), rtol=2e-5, atol=2e-6 * np.abs(answers(model)).max())


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
def test_c_gives_the_same_answers(model, tmp_path):
    model.to_c(tmp_path / "model.c", name="town")
    command = ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", "model.so", "model.c", "-lm"], check=True, cwd=tmp_path)
    library = ctypes.CDLL(str(tmp_path / "model.so"))
    expected, (values, _) = answers(model), model.encoder.raw(FRAME)
    found = np.empty(expected.shape)
    for row, out in zip(values, found, strict=True):
        library.town_predict(row.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())


def test_the_page_shows_what_the_first_layer_takes(model):
    page = ModelPage(model, TableInputs(model), "towns")
    page.prepare()
    described = page.describe({})
    width = model.network.weights[0].shape[1]
    assert described["sizes"][0] == len(described["features"]) == width
    place = next(iter(model.network.category_vectors))
    assert described["features"][place] == "city (1)"
    assert described["features"][-1] == "city (8)"
    assert described["features"][model.network.sizes[0]] == "size (1)"
    answer = page.answer({"values": [100.0, 3.0, 1.0, 18500.0]})
    assert len(answer["activations"][0]) == width
    assert max(answer["connections"][0]["from"]) < width
    assert len(page.neuron({"layer": 1, "neuron": 0})["weights"]) == width
    curve = page.questions["curve"]({"values": [100.0, 3.0, 1.0, 18500.0], "column": 1})
    assert len(curve["x"]) == len(curve["y"]) == N_CITIES


def test_importance_and_dependence_are_those_of_columns(model):
    y = DEAR if model.classes else COST
    found = fastnn.inspection.permutation_importance(model, FRAME, y, n_repeats=2)
    assert set(found.names) == set(FRAME)
    dependence = fastnn.inspection.partial_dependence(model, FRAME, "city")
    expected = (model.predict_proba if model.classes else model.predict)(FRAME.assign(city=dependence.levels[0][4]))
    np.testing.assert_allclose(dependence.values[4], expected.mean(axis=0), rtol=1e-5)
    assert len(dependence.grids[0]) == N_CITIES


def test_dependence_of_a_plain_network_is_asked_at_every_code():
    net = fastnn.Network([2, 1], category_embedding=fastnn.CategoryEmbedding(60, (1,)), seed=0)
    X = np.column_stack([np.linspace(0, 1, 90), np.arange(90) % 60])
    found = fastnn.inspection.partial_dependence(net, X, 1)
    assert found.levels[0] == tuple(map(str, range(60)))


def test_figures_of_the_first_layer_and_of_the_network():
    pytest.importorskip("matplotlib")
    net = fastnn.Network(
        [3, 4, 1],
        embedding=fastnn.PeriodicEmbedding((0,), n_outputs=2),
        category_embedding=fastnn.CategoryEmbedding(5, (1,), n_outputs=2),
        seed=0,
    )
    names = [text.get_text() for text in fastnn.plots.first_layer(net, column_names="abc").axes[0].get_yticklabels()]
    assert names == ["a", "b (1)", "c", "a (1)", "a (2)", "b (2)"]
    assert len(fastnn.plots.network_diagram(net).axes[0].lines) == 4 * 6 + 4
    with pytest.raises(ValueError, match="image_shape is for networks without embeddings"):
        fastnn.plots.first_layer(net, image_shape=(1, 3))


def test_commands_on_its_file(model, tmp_path, capsys):
    path, rows = tmp_path / "towns.safetensors", tmp_path / "rows.csv"
    model.save(path)
    FRAME.to_csv(rows, index=False)
    assert main(["predict", str(path), str(rows)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= N
    assert main(["info", str(path)]) == 0
    described = capsys.readouterr().out
    assert f"the code of {N_CITIES + 2} categories" in described
    assert "embedded" in described
