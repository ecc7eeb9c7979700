"""TableModel: answers in the target's own type, files that hold data alone, and exports with the same answers."""

import ctypes
import dataclasses
import json
import shutil
import subprocess

import numpy as np
import pytest
from safetensors import safe_open

import fastnn
from fastnn.errors import FileFormatError
from fastnn.tables import ClassTarget, QuantityTarget, TableEncoder, make_target
from fastnn.tables.targets import target_from_state

N = 1000
HEADS = {
    "softmax": (("softmax",), "cross_entropy"),
    "one sigmoid": (("sigmoid",), "binary_cross_entropy"),
    "sigmoids": (("sigmoid",), "squared_error"),
    "identity": (("identity",), "squared_error"),
    "clipped": (("identity",), "squared_error"),
    "quantiles": (("identity",), fastnn.losses.Quantile([0.75, 0.1, 0.9, 0.5])),
}


def table(n=N):
    """All kinds of columns, with missing values."""
    rng = np.random.default_rng(0)
    size = rng.normal(100, 30, n)
    size[rng.random(n) < 0.1] = np.nan
    when = np.datetime64("1969-06-01", "us") + rng.integers(0, 3 * 365 * 24, n) * np.timedelta64(1, "h")
    when[rng.random(n) < 0.1] = np.datetime64("NaT")
    colour = rng.choice(["red", "blue", 'gr"een', "??/", "*/ violet"], n, p=[0.5, 0.3, 0.1, 0.098, 0.002]).astype(
        object
    )
    colour[rng.random(n) < 0.1] = None
    return {
        "size": size,
        "colour": colour,
        "sex": rng.choice(["m", "f"], n),
        "when": when,
        "price": rng.lognormal(3, 2, n),
        "answer": rng.choice(["no", "yes"], n),
        "kind": rng.integers(1, 4, n),
        "cost": rng.normal(5000, 200, n),
    }


def model_of(target="answer", head="softmax", dtype="float32"):
    columns = table()
    names = (target,) if isinstance(target, str) else target
    left = [name for name in ("answer", "kind", "cost", "price") if name not in names and name != "price"]
    columns = {name: column for name, column in columns.items() if name not in left}
    encoder = TableEncoder.fit(columns, targets=names, scale_indicators=head in ("softmax", "identity"))
    chosen = make_target(
        columns if isinstance(columns["sex"], list) else fastnn.tables.columns.columns_of(columns), names
    )
    if head == "clipped":
        spread = 0.05 * chosen.std
        chosen = dataclasses.replace(chosen, limits=np.array([chosen.mean - spread, chosen.mean + spread]))
    (output,), loss = HEADS[head]
    if head == "quantiles":
        chosen = dataclasses.replace(chosen, levels=loss.q)
    n_out = len(chosen.output_names) if isinstance(chosen, QuantityTarget) else len(chosen.classes)
    n_out = 1 if head == "one sigmoid" else n_out
    sizes = [len(encoder.feature_names), 9, n_out]
    net = fastnn.Network(sizes, activation=["tanh", output], loss=loss, seed=1, dtype=dtype)
    return fastnn.TableModel(net, encoder, chosen, {"fastnn": fastnn.__version__, "options": {"seed": 1}}), columns


QUANTITY = QuantityTarget(("cost",), np.zeros(1), np.ones(1)).state()
CASES = [
    ("answer", "softmax", "float32"),
    ("answer", "one sigmoid", "float32"),
    ("kind", "softmax", "float64"),
    ("kind", "sigmoids", "float32"),
    ("cost", "identity", "float32"),
    (("cost", "price"), "identity", "float64"),
    (("cost", "price"), "clipped", "float32"),
    ("cost", "quantiles", "float32"),
    ("cost", "quantiles", "float64"),
]


class TestAnswers:
    def test_classes_are_texts(self):
        model, columns = model_of()
        found, proba = model.predict(columns), model.predict_proba(columns)
        assert model.classes == ("no", "yes")
        assert found.dtype.kind == "U"
        assert found.tolist() == np.array(model.classes)[proba.argmax(axis=1)].tolist()
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)

    def test_classes_are_whole_numbers(self):
        model, columns = model_of("kind")
        found = model.predict(columns)
        assert found.dtype == np.int64
        assert set(found) <= {1, 2, 3}

    @pytest.mark.parametrize("head", ["one sigmoid", "sigmoids"])
    def test_probabilities_of_other_outputs(self, head):
        model, columns = model_of("answer" if head == "one sigmoid" else "kind", head)
        proba, outputs = model.predict_proba(columns), model.outputs(columns)
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
        expected = (
            np.hstack([1 - outputs, outputs]) if head == "one sigmoid" else outputs / outputs.sum(axis=1)[:, None]
        )
        np.testing.assert_allclose(proba, expected, rtol=1e-6)

    def test_quantities_have_their_own_unit(self):
        model, columns = model_of("cost", "identity")
        found = model.predict(columns)
        expected = model.outputs(columns)[:, 0] * np.std(columns["cost"]) + np.mean(columns["cost"])
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert found.shape == (N,)
        with pytest.raises(ValueError, match="predict_proba is for classes"):
            model.predict_proba(columns)

    def test_answers_beyond_the_limits_are_clipped(self):
        model, columns = model_of("cost", "clipped")
        free = model.outputs(columns)[:, 0].astype(np.float64) * model.target.std + model.target.mean
        low, high = model.target.limits[:, 0]
        assert free.min() < low < high < free.max()
        np.testing.assert_array_equal(model.predict(columns), np.clip(free, low, high))

    def test_several_quantities(self):
        model, columns = model_of(("cost", "price"), "identity")
        assert model.predict(columns).shape == (N, 2)

    def test_a_row_alone_has_the_answer_that_it_has_beside_others(self):
        model, columns = model_of()
        one = {name: column[7:8] for name, column in columns.items()}
        assert model.outputs(one).tobytes() == model.outputs(columns)[7:8].tobytes()

    @pytest.mark.parametrize(
        ("sizes", "target", "message"),
        [
            ([3, 2], ClassTarget("y", ("a", "b")), "network must take the encoder's 1 inputs, got 3"),
            ([1, 3], ClassTarget("y", ("a", "b")), "network must have 2 outputs for the target, got 3"),
            (
                [1, 2],
                QuantityTarget(("y",), np.zeros(1), np.ones(1)),
                "network must have 1 outputs for the target, got 2",
            ),
        ],
    )
    def test_parts_that_do_not_fit(self, sizes, target, message):
        encoder = TableEncoder.fit({"x": [1.0, 2.0]})
        with pytest.raises(ValueError, match=message):
            fastnn.TableModel(fastnn.Network(sizes, seed=0), encoder, target)

    def test_repr(self):
        assert repr(model_of()[0]).startswith("TableModel(5 columns, 2 classes of answer, Network([")


class TestFiles:
    @pytest.mark.parametrize(("target", "head", "dtype"), CASES)
    def test_everything_comes_back(self, target, head, dtype, tmp_path):
        model, columns = model_of(target, head, dtype)
        model.save(tmp_path / "model.safetensors")
        again = fastnn.load_model(tmp_path / "model.safetensors")
        assert again.outputs(columns).tobytes() == model.outputs(columns).tobytes()
        assert again.predict(columns).tobytes() == model.predict(columns).tobytes()
        assert (again.info, again.classes, again.network.dtype) == (model.info, model.classes, model.network.dtype)

    def test_load_refuses_the_file_and_names_load_model(self, tmp_path):
        model_of()[0].save(tmp_path / "model.safetensors")
        with pytest.raises(FileFormatError, match=r"fastnn\.load_model\(path\) applies it"):
            fastnn.load(tmp_path / "model.safetensors")

    def test_the_file_holds_data_alone(self, tmp_path):
        model_of()[0].save(tmp_path / "model.safetensors")
        with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
            assert sorted(file.keys()) == ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"]
            description = json.loads(file.metadata()["fastnn"])
        assert description["format"] == 2
        assert set(description["table"]) == {"encoder", "target", "info"}

    def test_plain_networks_are_models_too(self, tmp_path):
        net = fastnn.Network([3, 2], activation="softmax", loss="cross_entropy", seed=0)
        net.column_names, net.class_names = ("a", "b", "c"), (5, 7)
        net.save(tmp_path / "net.safetensors")
        model = fastnn.load_model(tmp_path / "net.safetensors")
        X = np.eye(3)
        expected = np.array([5, 7])[net.predict(X).argmax(axis=1)]
        assert model.predict({"c": X[:, 2], "a": X[:, 0], "b": X[:, 1]}).tolist() == expected.tolist()
        assert model.predict(X).tolist() == expected.tolist()

    @pytest.mark.parametrize(
        ("loss", "output", "n", "expected"),
        [
            ("binary_cross_entropy", "sigmoid", 1, (0, 1)),
            ("cross_entropy", "softmax", 3, (0, 1, 2)),
            ("squared_error", "identity", 1, None),
            ("huber", "identity", 2, None),
        ],
    )
    def test_what_networks_without_names_answer(self, loss, output, n, expected, tmp_path):
        fastnn.Network([2, n], activation=output, loss=loss, seed=0).save(tmp_path / "net.safetensors")
        assert fastnn.load_model(tmp_path / "net.safetensors").classes == expected

    @pytest.mark.parametrize("whole", [True, False])
    def test_a_description_is_enough(self, whole):
        model, columns = model_of()
        described = model.describe() if whole else model.network.describe()
        again = fastnn.TableModel.from_description(described)
        X = columns if whole else model.encoder.transform(columns)
        assert again.outputs(X).tobytes() == model.outputs(columns).tobytes()

    @pytest.mark.parametrize(
        ("noted", "expected"),
        [
            ({"x": [1, 2.5]}, {"x": (1.0, 2.5)}),
            ({"x": [2, 2], "y": [3, 1], "z": [1, 2, 3], "u": [0, True], "v": "ab", "w": [0, 1e200]}, {}),
            ([1, 2], {}),
            (None, {}),
        ],
        ids=str,
    )
    def test_ranges_are_those_noted_as_far_as_they_make_sense(self, noted, expected):
        model, _ = model_of()
        model.info = {} if noted is None else {"ranges": noted}
        assert model.ranges == expected

    def test_damaged(self, tmp_path):
        from safetensors.numpy import load_file, save_file

        path = tmp_path / "model.safetensors"
        model_of()[0].save(path)
        with safe_open(path, framework="numpy") as file:
            description = json.loads(file.metadata()["fastnn"])
        tensors = load_file(path)
        for change in (
            {"encoder": None},
            {"target": {"kind": "mystery"}},
            {"target": ClassTarget("t", ("a", "b", "c")).state()},
            {"target": QUANTITY | {"levels": [0.5, 0.5]}},
            {"target": QUANTITY | {"levels": [1.5, 0.5]}},
            {"target": QUANTITY | {"levels": []}},
            {"target": QUANTITY | {"names": ["a", "b"], "mean": [0, 0], "std": [1, 1], "levels": [0.2, 0.5]}},
            {"info": 3},
        ):
            table = {**description["table"], **change}
            save_file(tensors, path, {"fastnn": json.dumps({**description, "table": table})})
            with pytest.raises(FileFormatError, match=r"model\.safetensors: "):
                fastnn.load_model(path)

    @pytest.mark.parametrize("limits", [[[2.0], [1.0]], [[0.0]], [[0.0], [float("inf")]]])
    def test_damaged_limits(self, limits):
        state = model_of("cost", "clipped")[0].target.state()
        with pytest.raises(FileFormatError, match="limits must be"):
            target_from_state(state | {"limits": limits})


compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")


def expected_of(model, columns):
    found = model.predict_proba(columns) if model.classes else model.predict(columns)
    return found.reshape(N, -1)


@compiler
@pytest.mark.parametrize(("target", "head", "dtype"), CASES)
def test_c_gives_the_same_answers(target, head, dtype, tmp_path):
    model, columns = model_of(target, head, dtype)
    model.to_c(tmp_path / "model.c", name="fruit")
    command = ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", "model.so", "model.c", "-lm"], check=True, cwd=tmp_path)
    library = ctypes.CDLL(str(tmp_path / "model.so"))
    expected = expected_of(model, columns)
    values, _ = model.encoder.raw(columns)
    found = np.empty(expected.shape)
    for row, out in zip(values, found, strict=True):
        library.fruit_predict(row.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())
    if model.classes:
        classes = [library.fruit_classify(row.ctypes.data_as(ctypes.c_void_p)) for row in values]
        assert np.mean(np.array(model.classes)[classes] == model.predict(columns)) > 0.999
        names = (ctypes.c_char_p * len(model.classes)).in_dll(library, "fruit_class_names")
        assert [name.decode() for name in names] == [str(name) for name in model.classes]
    levels = (ctypes.c_char_p * len(model.encoder.columns[1].levels)).in_dll(library, "fruit_levels_1")
    assert tuple(level.decode() for level in levels) == model.encoder.columns[1].levels


@pytest.mark.parametrize(("target", "head", "dtype"), CASES)
def test_onnx_gives_the_same_answers(target, head, dtype, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model, columns = model_of(target, head, dtype)
    model.to_onnx(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    values, _ = model.encoder.raw(columns)
    (found,) = session.run(["outputs"], {"X": values})
    expected = expected_of(model, columns)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["column_names"].split("\n") == list(model.encoder.column_names)
    assert tuple(metadata["levels_1"].split("\n")) == model.encoder.columns[1].levels


def test_the_folder_of_a_training_stands_for_its_model(tmp_path):
    net = fastnn.Network([2, 1], seed=0)
    net.save(tmp_path / "model.safetensors")
    rows = [[0.0, 1.0]]
    assert (fastnn.load(tmp_path).predict(rows) == net.predict(rows)).all()
    assert fastnn.load_model(str(tmp_path)).predict(rows)[0] == net.predict(rows)[0, 0]
    with pytest.raises(IsADirectoryError):
        fastnn.load(tmp_path.parent)
