"""The command line: what each command reads, prints and writes, its exit codes, and errors in one line."""

import csv
import io
import re
import signal
import subprocess
import sys
import time
import warnings
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

import fastnn
from fastnn import reference
from fastnn.cli import doctor, explain, info, main, notices, tasks, train
from fastnn.cli.arguments import make_parser
from fastnn.cli.splits import split_rows
from fastnn.kernels import cache
from fastnn.kernels.jit import COMPILED
from fastnn.kernels.target import Target
from fastnn.preprocessing import StandardScaler, train_test_split

compiled = pytest.mark.skipif(not COMPILED, reason="too slow without compilation")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave the pictures out, which take most of the time, in tests of something else."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


def ok(capsys, *arguments):
    """Run a command that must succeed; what it printed."""
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def fails(capsys, *arguments):
    """Run a command that must fail with one line on stderr and exit code 2; the line."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        code = exit_.code
    printed = capsys.readouterr()
    assert code == 2
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("fastnn")
    return printed.err


def write_csv(path, names, *columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        if names:
            writer.writerow(names)
        writer.writerows(zip(*columns, strict=True))


def read_csv(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def fruit(n=120):
    """A made-up table: grams, redness, and whether it is an apple or an orange, in clouds that hardly touch."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, n)
    grams, redness = rng.normal(150 + 60 * kind, 12), rng.normal(0.8 - 0.5 * kind, 0.1)
    return grams, redness, np.array(["apple", "orange"])[kind]


def houses(n=160):
    """A made-up table: area, age, and a price of some 300,000 with a noise of 5,000."""
    rng = np.random.default_rng(0)
    area, age = rng.uniform(40, 200, n), rng.uniform(0, 80, n)
    return area, age, 200_000 + 1500 * area - 800 * age + rng.normal(0, 5000, n)


def task_of(*arguments):
    given = make_parser().parse_args(["train", *map(str, arguments)])
    task = tasks.load_task(given)
    return task, *train.build(task, given)


# ---- Training: digits


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    """The folder of `fastnn train digits`, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("runs") / "digits", io.StringIO()
    with redirect_stdout(printed):
        assert main(["train", "digits", "--output", str(folder)]) == 0
    return folder, printed.getvalue()


@pytest.fixture
def held_out_digits():
    X, y = fastnn.datasets.load_digits()
    _, X, _, y = train_test_split(X, y, seed=0, stratify=True)
    return X, y


@compiled
def test_train_digits_classifies_held_out_digits(digits_run, held_out_digits):
    folder, printed = digits_run
    X, y = held_out_digits
    right = int((fastnn.load(folder / "model.safetensors").classify(X) == y).sum())
    assert right / len(y) >= 0.95
    assert f"held-out accuracy {right / len(y):.2%} ({right} of {len(y)})" in printed


@compiled
def test_the_largest_output_is_the_class_and_its_value_the_confidence(digits_run, held_out_digits, capsys):
    X, _ = held_out_digits
    np.savez("held_out.npz", X=X)
    model = digits_run[0] / "model.safetensors"
    header, rows = read_csv(ok(capsys, "predict", model, "held_out.npz"))
    outputs = fastnn.load(model).predict(X)
    assert header == ["class", "confidence"]
    assert [int(name) for name, _ in rows] == outputs.argmax(axis=1).tolist()
    np.testing.assert_allclose([float(sure) for _, sure in rows], outputs.max(axis=1), rtol=1e-5)


@compiled
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_splits_and_initial_weights_do_as_well(seed):
    task, net, settings = task_of("digits", "--seed", seed)
    assert train.fit(net, task, settings, None)["val_accuracy"][-1] >= 0.95


@compiled
def test_train_digits_draws_what_each_neuron_detects(digits_run):
    picture = imread(digits_run[0] / "first_layer.png")
    assert min(picture.shape[:2]) > 400
    red, blue = picture[..., 0] - picture[..., 2] > 0.3, picture[..., 2] - picture[..., 0] > 0.3
    assert red.mean() > 0.005
    assert blue.mean() > 0.005


@compiled
def test_the_folder_holds_model_history_and_pictures(digits_run):
    folder, printed = digits_run
    names = ["confusion.png", "curves.png", "first_layer.png", "history.csv", "mistakes.png", "model.safetensors"]
    names.append("report.html")
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint.safetensors", *names]
    assert all(name in printed for name in names)
    header, rows = read_csv((folder / "history.csv").read_text())
    assert header == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(rows) == tasks.DIGITS.epochs
    best = max(float(row[-1]) for row in rows)
    assert re.search(rf"best epoch \d+: {best:.2%}", printed)


@compiled
def test_training_says_what_it_does(digits_run):
    lines = digits_run[1].splitlines()
    assert lines[0] == "digits: 1,438 examples to train on, 359 held out"
    assert lines[1].startswith("64-48-10 (sigmoid, sigmoid; squared_error), 3,610 parameters: 100 epochs")
    assert re.fullmatch(r"100 epochs in [\d.]+ s, [\d,]+ examples per second on \d+ threads?", lines[2])


# ---- Training: MNIST


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """Files such as MNIST's, of 30 and 10 random images."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("t10k", 10)):
        images, labels = rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n, dtype=np.uint8) % 10
        sizes = np.array([n, 28, 28], ">u4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\3" + sizes + images.tobytes())
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1" + sizes[:4] + labels.tobytes())
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))


def test_mnist_is_the_published_network_by_default(small_mnist):
    task, net, settings = task_of("mnist")
    assert net.sizes == (784, 30, 10)
    assert (net.activation, net.loss_name) == (("sigmoid", "sigmoid"), "squared_error")
    assert net.input_scale == 1 / 255
    assert (settings.epochs, settings.batch_size, settings.rate) == (30, 10, 1.5)
    assert task.X.dtype == np.uint8


def test_mnist_is_evaluated_on_its_test_images(small_mnist, no_pictures, capsys):
    printed = ok(capsys, "train", "mnist", "--hidden", 2, "--epochs", 1)
    assert "mnist: 30 examples to train on, 10 held out" in printed
    assert "784-2-10" in printed


# ---- Training: tables


def test_a_made_up_table_of_two_classes_is_told_apart(capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    epochs = [] if COMPILED else ["--epochs", "20"]
    printed = ok(capsys, "train", "fruit.csv", *epochs)
    assert float(re.search(r"held-out accuracy ([\d.]+)%", printed)[1]) >= 95
    assert all(name in printed for name in ("confusion.png", "mistakes.png"))
    model = fastnn.load_model("runs/fruit/model.safetensors")
    assert (model.encoder.column_names, model.classes) == (("grams", "redness"), ("apple", "orange"))
    net = model.network
    assert (net.sizes[-1], net.activation[-1], net.loss_name) == (2, "softmax", "cross_entropy")


def test_a_made_up_table_of_prices_is_learned_in_its_own_units(no_pictures, capsys):
    area, age, price = houses()
    write_csv("houses.csv", ["area", "age", "price"], area, age, price)
    epochs = [] if COMPILED else ["--epochs", "30"]
    printed = ok(capsys, "train", "houses.csv", *epochs)
    error = float(re.search(r"held-out error of price: root mean squared ([\d.e+]+)", printed)[1])
    assert error < (9000 if COMPILED else 30_000)  # the noise is 5,000, the standard deviation 70,000
    _, rows = read_csv(ok(capsys, "predict", "runs/houses/model.safetensors", "houses.csv"))
    predicted = np.array(rows, float)[:, 0]
    held = split_rows(None, len(price), 0.2, 0).held
    assert np.sqrt(np.mean((predicted[held] - price[held]) ** 2)) == pytest.approx(error, rel=1e-3)


def test_the_encoder_is_fitted_on_the_training_rows_alone():
    area, age, price = houses()
    write_csv("houses.csv", ["area", "age", "price"], area, age, price)
    task, *_ = task_of("houses.csv")
    split = split_rows(None, len(price), 0.2, 0)
    assert (len(split.train), len(split.validation), len(split.held)) == (102, 26, 32)
    assert task.table.encoder.columns[0].centre == pytest.approx(np.median(area[split.train]))
    np.testing.assert_allclose(task.table.target.mean, price[split.train].mean())


@pytest.mark.parametrize("offset", [0, 1e6])
def test_targets_that_hardly_vary_are_not_blurred(offset, no_pictures, capsys):
    x = np.linspace(-1, 1, 50)
    write_csv("curve.csv", ["x", "y"], x, x + offset)
    printed = ok(capsys, "train", "curve.csv", *([] if COMPILED else ["--epochs", "20"]))
    assert float(re.search(r"held-out error of y: root mean squared ([\d.e-]+)", printed)[1]) < (0.1 if COMPILED else 1)


def test_one_input_and_one_output_are_drawn_as_a_curve(capsys):
    x = np.linspace(-1, 1, 50)
    write_csv("curve.csv", ["x", "y"], x, x * x)
    printed = ok(capsys, "train", "curve.csv", "--hidden", 4, "--epochs", 2)
    written = "model.safetensors, history.csv, curves.png, first_layer.png, fit.png, report.html"
    assert printed.splitlines()[-1].endswith(written)
    assert imread("runs/curve/fit.png").std() > 0


def test_several_outputs_are_reported_one_by_one(no_pictures, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    np.savez("two.npz", X=X, y=np.column_stack([X[:, 0] * 1000, X[:, 1]]))
    printed = ok(capsys, "train", "two.npz", "--epochs", 2)
    assert "held-out error of y 1: root mean squared" in printed
    assert "held-out error of y 2: root mean squared" in printed
    header, rows = read_csv(ok(capsys, "predict", "runs/two/model.safetensors", "two.npz"))
    assert (header, len(rows)) == (["prediction 1", "prediction 2"], 40)


def test_an_output_of_bounded_range_is_left_in_its_units(no_pictures, capsys):
    x = np.linspace(-1, 1, 50)
    write_csv("curve.csv", ["x", "y"], x, 0.5 + x / 4)
    printed = ok(capsys, "train", "curve.csv", "--activation", "tanh,sigmoid", "--hidden", 3, "--epochs", 2)
    _, rows = read_csv(ok(capsys, "predict", "runs/curve/model.safetensors", "curve.csv"))
    assert all(0 < float(value) < 1 for (value,) in rows)
    assert "epoch 2 was the best on the validation rows" in printed or "epoch 1 was" in printed


@pytest.mark.parametrize(
    ("options", "sizes", "activation", "loss"),
    [
        ([], (2, 256, 256, 256, 2), ("selu", "selu", "selu", "softmax"), "cross_entropy"),
        (["--hidden", "none"], (2, 2), ("softmax",), "cross_entropy"),
        (["--hidden", "8,4"], (2, 8, 4, 2), ("selu", "selu", "softmax"), "cross_entropy"),
        (["--sizes", "2-5-1", "--loss", "squared_error"], (2, 5, 1), ("selu", "sigmoid"), "squared_error"),
        (["--hidden", "9", "--loss", "binary_cross_entropy"], (2, 9, 1), ("selu", "sigmoid"), "binary_cross_entropy"),
        (["--activation", "tanh"], (2, 256, 256, 256, 2), ("tanh", "tanh", "tanh", "softmax"), "cross_entropy"),
        (
            ["--hidden", "7", "--loss", "squared_error", "--activation", "elu,arctan"],
            (2, 7, 2),
            ("elu", "arctan"),
            "squared_error",
        ),
        (["--hidden", "none", "--loss", "perceptron", "--activation", "step"], (2, 1), ("step",), "perceptron"),
    ],
)
def test_options_of_the_network(options, sizes, activation, loss):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    _, net, _ = task_of("fruit.csv", *options)
    assert (net.sizes, net.activation, net.loss_name) == (sizes, activation, loss)


def test_options_of_the_training():
    options = {"epochs": 7, "batch-size": 5, "rate": 0.25, "threads": 1, "seed": 9, "held-out": 0.5}
    task, net, settings = task_of("digits", *[f"--{name}={value}" for name, value in options.items()])
    assert (settings.epochs, settings.batch_size, settings.rate, settings.n_threads) == (7, 5, 0.25, 1)
    assert net.seed == 9
    assert abs(len(task.X) - len(task.X_held)) <= 10


@pytest.mark.parametrize("options", [["--loss", "cross_entropy"], ["--activation", "relu"]])
def test_the_rate_of_a_recipe_is_not_kept_for_another_loss_or_activation(options):
    assert task_of("digits", *options)[2].rate == train.CAUTIOUS_RATE


def test_numbers_0_1_2_are_classes_unless_said_otherwise():
    write_csv("t.csv", ["x", "n"], range(30), [0, 1, 2] * 10)
    assert task_of("t.csv")[0].class_names == ("0", "1", "2")
    assert task_of("t.csv", "--task", "regression")[0].class_names is None


def test_other_numbers_are_quantities_unless_said_otherwise():
    write_csv("t.csv", ["x", "n"], range(30), [1, 2.5, 7] * 10)
    assert task_of("t.csv")[0].class_names is None
    task, *_ = task_of("t.csv", "--task", "classification")
    assert task.class_names == ("1", "2.5", "7")
    assert set(task.y) == {0, 1, 2}


def test_target_and_columns_are_taken_by_name_or_index():
    write_csv("t.csv", ["id", "price", "area", "age"], "abcdefgh", range(8), range(1, 9), range(2, 10))
    for columns in (["age,area"], ["age", "area"]):
        task, *_ = task_of("t.csv", "--target", "price", "--columns", *columns)
        assert (task.table.encoder.column_names, task.target_names) == (("age", "area"), ("price",))
    assert task_of("t.csv", "--target", "1", "--columns", "age")[0].target_names == ("price",)


def test_a_file_without_a_header():
    write_csv("t.csv", None, range(8), np.arange(8) / 3)
    task, *_ = task_of("t.csv", "--no-header")
    assert len(task.X) + len(task.X_held) == 8
    assert task.table.encoder.column_names == ("column 1",)


@pytest.mark.parametrize(
    ("n", "names", "options", "shape"),
    [
        (64, False, [], (8, 8)),
        (64, True, [], None),
        (64, True, ["--image-shape", "4x16"], (4, 16)),
        (16, False, [], None),
        (65, False, [], None),
    ],
)
def test_which_tables_are_images(n, names, options, shape):
    columns = np.random.default_rng(0).normal(size=(n + 1, 10))
    write_csv("t.csv", [f"c{i}" for i in range(n + 1)] if names else None, *columns)
    assert task_of("t.csv", *options)[0].image_shape == shape


def test_a_class_of_one_example_does_not_stop_the_training():
    write_csv("t.csv", ["x", "kind"], range(11), ["a", "b"] * 5 + ["rare"])
    task, *_ = task_of("t.csv")
    assert task.class_names == ("a", "b", "rare")


@pytest.mark.parametrize(
    ("n_rows", "n_quantities", "classes", "epochs"),
    [(100, 64, True, 500), (4000, 64, False, 320), (100_000, 64, True, 60), (400, 1, False, 1600)],
)
def test_images_and_curves_get_about_as_many_updates_whatever_their_number(n_rows, n_quantities, classes, epochs):
    recipe = tasks.recipe_for_table(n_rows, n_quantities, classes=classes, images=n_quantities == 64)
    assert recipe.epochs == epochs


@pytest.mark.parametrize(("classes", "activation", "rate"), [(True, "selu", 0.04), (False, "mish", 0.2)])
def test_other_tables_get_the_recipe_for_tables(classes, activation, rate):
    recipe = tasks.recipe_for_table(1000, 5, classes=classes)
    assert (recipe.hidden, recipe.activation, recipe.rate, recipe.epochs) == ((256,) * 3, activation, rate, 256)


def test_options_override_the_recipe_for_tables():
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    task, net, settings = task_of("fruit.csv", "--epochs", 7, "--batch-size", 5, "--rate", 0.25, "--hidden", "9,8")
    given = train.training_arguments(net, task, settings)
    assert (given["epochs"], given["batch_size"], given["label_smoothing"]) == (7, 5, 0.1)
    assert given["learning_rate"] == fastnn.schedules.CosLog4(0.25, 7)
    assert net.embedding is not None  # two quantities, each with three functions beside it
    assert given["lr_factors"]["weights"] == pytest.approx([8**-0.5, 1 / 3, 8**-0.5])
    (stop,) = given["callbacks"]
    assert (stop.monitor, stop.patience, stop.prefer_later) == ("val_loss", 7, True)
    assert net.learned_input_scale


def test_calibrated_confidence_is_in_the_model(no_pictures, capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    ok(capsys, "train", "fruit.csv", "--epochs", 5, "-o", "plain")
    printed = ok(capsys, "train", "fruit.csv", "--epochs", 5, "-o", "calibrated", "--calibrate")
    temperature = float(re.search(r"validation rows: temperature ([\d.]+)", printed)[1])
    plain, calibrated = (fastnn.load_model(f"{folder}/model.safetensors").network for folder in ("plain", "calibrated"))
    np.testing.assert_allclose(calibrated.weights[-1] * temperature, plain.weights[-1], rtol=1e-2)
    np.testing.assert_array_equal(calibrated.weights[0], plain.weights[0])


def test_quantities_have_no_confidence_to_calibrate(capsys):
    write_csv("curve.csv", ["x", "y"], np.arange(100.0), np.arange(100.0) ** 2)
    assert main(["train", "curve.csv", "--calibrate"]) == 2
    assert "--calibrate: for classes" in capsys.readouterr().err


def test_an_existing_folder_is_overwritten_file_by_file(no_pictures, tmp_path, capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "history.csv").write_text("old")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    ok(capsys, "train", "fruit.csv", "-o", "out", "--epochs", 2)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert len((tmp_path / "out" / "history.csv").read_text().splitlines()) == 3


def test_without_matplotlib_it_trains_and_says_how_to_get_pictures(no_pictures, tmp_path, capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    assert main(["train", "fruit.csv", "--epochs", "1"]) == 0
    assert capsys.readouterr().err == "fastnn: no pictures: figures need matplotlib: pip install fastnn[plot]\n"
    names = ["checkpoint.safetensors", "history.csv", "model.safetensors", "report.html"]
    assert sorted(file.name for file in (tmp_path / "runs/fruit").iterdir()) == names


def test_resume_goes_on_from_the_checkpoint(capsys, tmp_path):
    x = np.linspace(-1, 1, 50)
    write_csv("curve.csv", ["x", "y"], x, x * x)
    ok(capsys, "train", "curve.csv", "-o", "whole", "--epochs", 6)
    ok(capsys, "train", "curve.csv", "-o", "parts", "--epochs", 2)
    ok(capsys, "train", "curve.csv", "-o", "parts", "--epochs", 6, "--resume")
    whole, parts = (fastnn.load_model(name + "/model.safetensors").network.parameters for name in ("whole", "parts"))
    assert whole.tobytes() == parts.tobytes()
    assert len((tmp_path / "parts" / "history.csv").read_text().splitlines()) == 1 + 6


def test_an_interrupted_training_of_a_table_resumes_to_the_same_bits(no_pictures, capsys, monkeypatch):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    arguments = ["train", "fruit.csv", "--hidden", "8", "--epochs", "9"]
    ok(capsys, *arguments, "-o", "whole")

    class EarlyStopping(fastnn.callbacks.EarlyStopping):
        def on_epoch_end(self, net, history):
            if history.epochs == 4:
                signal.raise_signal(signal.SIGINT)
            return super().on_epoch_end(net, history)

    with monkeypatch.context() as patched:
        patched.setattr(train, "EarlyStopping", EarlyStopping)
        assert main([*arguments, "-o", "parts"]) == 130
    capsys.readouterr()
    assert "continues after epoch 4" in ok(capsys, *arguments, "-o", "parts", "--resume")
    whole, parts = (fastnn.load_model(name + "/model.safetensors").network.parameters for name in ("whole", "parts"))
    assert whole.tobytes() == parts.tobytes()


def test_resume_says_where_the_training_stands(capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())

    def said(*options):
        return ok(capsys, "train", "fruit.csv", "-o", "run", *options)

    assert "run holds no checkpoint: the training starts from the beginning" in said("--epochs", 2, "--resume")
    assert "the training in run continues after epoch 2\n" in said("--epochs", 4, "--resume")
    assert "is complete after 4 epochs; to train longer, give more --epochs" in said("--epochs", 3, "--resume")
    assert "the model in run will be replaced" in said("--epochs", 1)


def test_the_folder_of_a_training_stands_for_its_model(capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    ok(capsys, "train", "fruit.csv", "-o", "run", "--epochs", 1)
    assert ok(capsys, "info", "run") == ok(capsys, "info", "run/model.safetensors")
    assert ok(capsys, "predict", "run", "fruit.csv") == ok(capsys, "predict", "run/model.safetensors", "fruit.csv")


def test_help_is_filled_and_its_examples_are_not(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("Train a network, evaluate it on held-out examples, and")
    assert max(map(len, lines[first : first + 3])) <= 60


def test_ctrl_c_saves_what_there_is(capsys, monkeypatch, tmp_path):
    def fit_interrupted(*arguments, **options):
        def interrupt_after_2_epochs(net, history):
            if history.epochs == 2:
                raise KeyboardInterrupt

        callbacks = [*options.pop("callbacks", ()), interrupt_after_2_epochs]
        return fit(*arguments, **options, callbacks=callbacks)

    fit = fastnn.Network.fit
    monkeypatch.setattr(fastnn.Network, "fit", fit_interrupted)
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    assert main(["train", "fruit.csv", "--epochs", "50"]) == 130
    assert "interrupted; the training so far is saved" in capsys.readouterr().err
    assert len((tmp_path / "runs/fruit/history.csv").read_text().splitlines()) == 1 + 2
    assert fastnn.load_model("runs/fruit/model.safetensors").network.epochs_trained == 2
    assert (tmp_path / "runs/fruit/curves.png").exists()


def test_ctrl_c_in_the_first_epoch_leaves_the_curves_out(capsys, monkeypatch, tmp_path):
    history = fastnn.History()
    history.stop_reason = "interrupted"
    monkeypatch.setattr(train, "fit", lambda *arguments: history)
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    assert main(["train", "fruit.csv"]) == 130
    assert "held-out accuracy" in capsys.readouterr().out
    assert (tmp_path / "runs/fruit/history.csv").read_text().split() == ["epoch"]
    assert not (tmp_path / "runs/fruit/curves.png").exists()


def test_ctrl_c_in_the_first_epoch_of_a_regression_leaves_the_best_out(capsys, monkeypatch, no_pictures):
    history = fastnn.History()
    history.stop_reason = "interrupted"
    monkeypatch.setattr(train, "fit", lambda *arguments: history)
    write_csv("houses.csv", ["area", "age", "price"], *houses())
    assert main(["train", "houses.csv"]) == 130
    printed = capsys.readouterr().out
    assert "held-out error of price" in printed
    assert "best epoch" not in printed


def test_several_ranks_without_their_library_say_what_is_missing(capsys, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert main(["train", "digits"]) == 2
    assert "pip install fastnn[mpi]" in capsys.readouterr().err


@pytest.mark.parametrize("ranks", [1, 1_000_000])
def test_more_ranks_than_cores_are_warned_of(ranks, capsys, monkeypatch):
    class Comm:
        def Split_type(self, kind):
            return self

        def Get_size(self):
            return ranks

        def Get_rank(self):
            return 0

    comm = Comm()
    library = SimpleNamespace(MPI=SimpleNamespace(COMM_WORLD=comm, COMM_TYPE_SHARED=1))
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", library)
    assert train.communicator() is comm
    assert ("1000000 ranks share" in capsys.readouterr().err) == (ranks > 1)


def test_ctrl_c_before_the_training_is_no_traceback(capsys, monkeypatch):
    def load_task(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "load_task", load_task)
    assert main(["train", "digits"]) == 130
    assert capsys.readouterr().err == "fastnn: interrupted\n"


def test_compiling_is_announced_only_where_it_takes_long(capsys, monkeypatch):
    seconds = 0.0
    monkeypatch.setattr(train, "warmup", lambda *arguments, **options: time.sleep(seconds))
    net = fastnn.Network([1, 1], seed=0)
    train.prepare_kernels(net)
    assert capsys.readouterr().err == ""
    seconds = 0.3
    monkeypatch.setattr(notices, "PATIENCE", 0.01)
    train.prepare_kernels(net)
    assert "compiles" in capsys.readouterr().err


# ---- Predicting


@pytest.fixture
def fruit_model():
    """A model of apples and oranges, not trained, in a file."""
    grams, redness, _ = fruit()
    net = fastnn.Network([2, 3, 2], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    net.scaler = StandardScaler().fit(np.column_stack([grams, redness]))
    net.column_names, net.class_names = ("grams", "redness"), ("apple", "orange")
    net.save("fruit.safetensors")
    return net


def answers(net, X):
    outputs = net.predict(X if net.scaler is None else net.scaler.transform(X))
    return [net.class_names[label] for label in outputs.argmax(axis=1)], outputs.max(axis=1)


def test_predict_finds_columns_by_name_and_leaves_others_alone(fruit_model, capsys):
    grams, redness, kind = fruit(9)
    write_csv("t.csv", ["kind", "redness", "note", "grams"], kind, redness, ["?"] * 9, grams)
    header, rows = read_csv(ok(capsys, "predict", "fruit.safetensors", "t.csv"))
    classes, confidence = answers(fruit_model, np.column_stack([grams, redness]))
    assert header == ["class", "confidence"]
    assert [row[0] for row in rows] == classes
    np.testing.assert_allclose([float(row[1]) for row in rows], confidence, rtol=1e-5)


def test_predict_writes_a_file(fruit_model, tmp_path, capsys):
    write_csv("t.csv", ["grams", "redness", "kind"], *fruit(9))
    printed = ok(capsys, "predict", "fruit.safetensors", "t.csv")
    assert ok(capsys, "predict", "fruit.safetensors", "t.csv", "--output", "answers.csv") == ""
    assert (tmp_path / "answers.csv").read_text() == printed


@pytest.mark.parametrize("with_target", [False, True])
def test_predict_takes_columns_by_order_where_the_file_names_none(fruit_model, with_target, capsys):
    grams, redness, kind = fruit(9)
    write_csv("t.csv", None, grams, redness, *[kind] * with_target)
    assert main(["predict", "fruit.safetensors", "t.csv"]) == 0
    printed = capsys.readouterr()
    assert [row[0] for row in read_csv(printed.out)[1]] == answers(fruit_model, np.column_stack([grams, redness]))[0]
    assert ("left out 'column 3', the last column, as a target" in printed.err) == with_target


def test_predict_leaves_out_the_target_named(fruit_model, capsys):
    grams, redness, kind = fruit(9)
    write_csv("t.csv", None, kind, grams, redness)
    rows = read_csv(ok(capsys, "predict", "fruit.safetensors", "t.csv", "--target", 0))[1]
    assert [row[0] for row in rows] == answers(fruit_model, np.column_stack([grams, redness]))[0]


def test_predict_takes_columns_by_order_where_the_model_names_none(fruit_model, capsys):
    grams, redness, _ = fruit(9)
    fruit_model.column_names = None
    fruit_model.save("fruit.safetensors")
    write_csv("t.csv", ["a", "b"], grams, redness)
    assert len(read_csv(ok(capsys, "predict", "fruit.safetensors", "t.csv"))[1]) == 9


def test_predict_finds_columns_without_names_again_in_a_file_of_the_same_layout(fruit_model, capsys):
    grams, redness, _ = fruit(9)
    fruit_model.column_names = ("column 2", "column 3")
    fruit_model.save("fruit.safetensors")
    write_csv("t.csv", None, range(9), grams, redness)
    rows = read_csv(ok(capsys, "predict", "fruit.safetensors", "t.csv"))[1]
    assert [row[0] for row in rows] == answers(fruit_model, np.column_stack([grams, redness]))[0]


@pytest.mark.parametrize("n_rows", [2, 40])
def test_a_damaged_field_costs_its_row_a_warning_and_not_the_file(fruit_model, n_rows, capsys):
    write_csv("t.csv", ["grams", "redness"], range(n_rows), [*[0.5] * (n_rows - 1), "damaged"])
    assert main(["predict", "fruit.safetensors", "t.csv"]) == 0
    printed = capsys.readouterr()
    assert len(read_csv(printed.out)[1]) == n_rows
    assert f"column 'redness', line {n_rows + 1}: 'damaged' is not a number; taken as a missing value" in printed.err


def test_predict_refuses_a_file_of_other_names(fruit_model, capsys):
    write_csv("t.csv", ["grams", "width"], [1, 2], [3, 4])
    assert "no column 'redness'" in fails(capsys, "predict", "fruit.safetensors", "t.csv")


@pytest.mark.parametrize("n_columns", [1, 4])
def test_predict_refuses_a_file_of_another_width(fruit_model, n_columns, capsys):
    write_csv("t.csv", None, *[[1, 2]] * n_columns)
    fruit_model.column_names = None
    fruit_model.save("fruit.safetensors")
    assert "takes 2 columns" in fails(capsys, "predict", "fruit.safetensors", "t.csv")


def test_predict_gives_numbers_back_to_the_last_bit(capsys):
    net = fastnn.Network([1, 3, 1], activation=["tanh", "identity"], seed=0)
    net.save("net.safetensors")
    write_csv("t.csv", ["x"], [0.1, 0.2, 7.0])
    header, rows = read_csv(ok(capsys, "predict", "net.safetensors", "t.csv"))
    assert header == ["prediction"]
    assert [np.float32(row[0]) for row in rows] == net.predict([[0.1], [0.2], [7.0]])[:, 0].tolist()


def test_predict_numbers_classes_without_names(capsys):
    net = fastnn.Network([1, 1], loss="binary_cross_entropy", seed=0)
    net.parameters = [1.0, 0.0]
    net.save("net.safetensors")
    write_csv("t.csv", ["x"], [-5.0, 5.0])
    _, rows = read_csv(ok(capsys, "predict", "net.safetensors", "t.csv"))
    assert [row[0] for row in rows] == ["0", "1"]
    np.testing.assert_allclose([float(row[1]) for row in rows], 1 / (1 + np.exp(-5.0)), rtol=1e-5)


# ---- Info


def test_info_counts_the_parameters_of_each_layer(fruit_model, capsys):
    lines = [line.split() for line in ok(capsys, "info", "fruit.safetensors").splitlines()]
    assert lines[1:5] == [
        ["input", "2"],
        ["hidden", "1", "3", "tanh", "9"],
        ["output", "2", "softmax", "8"],
        ["in", "all", "17"],
    ]
    assert ["loss", "cross_entropy"] in lines
    assert ["numbers", "float32"] in lines
    assert ["columns", "grams,", "redness"] in lines
    assert ["classes", "apple,", "orange"] in lines


def test_info_says_how_inputs_are_scaled_and_shortens_long_lists():
    net = fastnn.Network([784, 16, 10], input_scale=1 / 255, seed=7)
    net.column_names = tuple(f"pixel {i}" for i in range(784))
    net.save("net.safetensors")
    text = "\n".join(info.describe_model(fastnn.load_model("net.safetensors")))
    assert re.search(r"in all +12,730", text)
    assert "multiplied by 0.00392157" in text
    assert "pixel 11, ... (784 in all)" in text
    assert "classes   not named" in text
    assert "0 epochs, seed 7" in text


# ---- Doctor


def verdicts(printed):
    return dict(re.findall(r"^(\w+) +(OK|LOST)", printed, re.MULTILINE))


@compiled
def test_doctor_tries_everything(capsys):
    code = main(["doctor"])
    printed = capsys.readouterr().out
    found = verdicts(printed)
    assert list(found) == list(doctor.CHECKS)
    assert [found[name] for name in ("compiler", "training", "cache")] == ["OK"] * 3
    assert code == ("LOST" in found.values())
    for name in ("fastnn", "python", "numpy", "numba", "llvmlite", "scipy", "safetensors"):
        assert re.search(rf"^{name} +\d", printed, re.MULTILINE)


def test_doctor_tells_when_the_kernels_err(monkeypatch, capsys):
    monkeypatch.setattr(reference.Network, "train", lambda *arguments, **options: None)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert verdicts(printed)["training"] == "LOST"
    assert "correctness: a network differs from the reference" in printed


def test_doctor_tells_when_nothing_is_cached(monkeypatch, capsys):
    monkeypatch.setattr(cache, "folder_in_use", lambda: None)
    assert main(["doctor"]) == 1
    assert "FASTNN_CACHE_DIR" in capsys.readouterr().out


def test_doctor_tells_when_threads_err(monkeypatch, capsys):
    monkeypatch.setattr(doctor.threads, "layer", lambda: "omp")
    monkeypatch.setattr(doctor.np, "array_equal", lambda *arrays: False)
    assert main(["doctor"]) == 1
    assert "threads give other bits than one" in capsys.readouterr().out


def test_doctor_tells_when_vectors_are_narrow_and_when_nothing_is_compiled(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "TARGET", Target("baseline", 16, 16, False))
    monkeypatch.setattr(doctor, "COMPILED", False)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "no wide vectors were found" in printed
    assert "NUMBA_DISABLE_JIT is set" in printed


def test_doctor_tells_when_the_folder_stays_empty(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "COMPILED", True)
    monkeypatch.setattr(cache, "folder_in_use", lambda: tmp_path)
    assert main(["doctor"]) == 1
    assert "no kernel was kept in it" in capsys.readouterr().out


def test_doctor_goes_on_when_a_check_breaks(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("in\nhere")

    monkeypatch.setitem(doctor.CHECKS, "processor", broken)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "LOST  ZeroDivisionError: in here" in printed
    assert list(verdicts(printed)) == list(doctor.CHECKS)


def test_doctor_compiles_ahead_only_when_asked(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(doctor, "warmup", lambda **options: asked.append(options))
    main(["doctor"])
    assert asked == []
    main(["doctor", "--warmup"])
    assert asked == [{"progress": True}]


def test_doctor_says_how_to_get_what_is_not_installed(monkeypatch):
    monkeypatch.setitem(doctor.OPTIONAL, "no-such-package", "pip install fastnn[nothing]")
    assert doctor.versions()["no-such-package"] == "not installed (pip install fastnn[nothing])"


# ---- Errors and the rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "arguments are required: COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("train nowhere.csv", "nowhere.csv: no such file; give digits, mnist or the file of a table"),
        ("train .", "Is a directory"),
        ("train digits --epochs 0", "--epochs: expected a whole number of 1 or more, got '0'"),
        ("train digits --epochs 1.5", "expected a whole number"),
        ("train digits --rate -1", "--rate: expected a number above 0"),
        ("train digits --rate nan", "--rate: expected a number above 0"),
        ("train digits --rate fast", "--rate: expected a number above 0"),
        ("train digits --held-out 1", "expected a number between 0 and 1"),
        ("train digits --hidden 0", "expected whole numbers such as 64,32"),
        ("train digits --hidden 4 --sizes 64,10", "not allowed with"),
        ("train digits --sizes 64,10,5", "begin with the 64 inputs of digits and end with its 10 outputs"),
        ("train digits --loss hope", "loss must be one of"),
        ("train digits --activation hope", "activation must be one of"),
        ("train digits --activation step --loss cross_entropy", "derivative is 0"),
        ("train digits -o fruit.csv", "fruit.csv: File exists"),
        ("train fruit.csv --target price", "no column 'price'"),
        ("train fruit.csv --columns grams,kind", "name another with --target"),
        ("train fruit.csv --task regression", "--task regression cannot learn"),
        ("train fruit.csv --image-shape 3,3", "--image-shape must be a height and a width with 2 pixels"),
        ("train header.csv", "give --no-header"),
        ("train ids.csv", "too many to be classes; name another column with --target"),
        ("train one.csv", "only one class, 'a'"),
        ("train constant.csv", "the same in every row"),
        ("train no_y.npz", "no array named y"),
        ("train two.npz --task classification", "has 2 columns, which --task classification cannot learn"),
        ("predict nowhere fruit.csv", "nowhere: No such file or directory"),
        ("predict fruit.csv fruit.csv", "not a sound safetensors file"),
        ("info fruit.csv", "not a sound safetensors file"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(arguments, message, capsys):
    write_csv("fruit.csv", ["grams", "redness", "kind"], *fruit())
    write_csv("header.csv", ["x", "y"])
    write_csv("ids.csv", ["x", "id"], range(5), "abcde")
    write_csv("one.csv", ["x", "kind"], range(5), "aaaaa")
    write_csv("constant.csv", ["x", "y"], range(5), [1.5] * 5)
    np.savez("no_y.npz", X=np.zeros((5, 2)))
    np.savez("two.npz", X=np.zeros((5, 2)), y=np.arange(10.0).reshape(5, 2))
    assert message in fails(capsys, *arguments.split())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, where nothing is compiled
def test_a_training_that_diverges_is_one_line(capsys):
    write_csv("houses.csv", ["area", "age", "price"], *houses())
    said = fails(capsys, "train", "houses.csv", "--hidden", "4", "--activation", "identity", "--rate", "1e30")
    assert re.search(r"a smaller --rate may help \(it was [\d.]+e\+\d\d\). Nothing is written.\n$", said)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\nlines"), "two lines"),
        (MemoryError(), "MemoryError"),
        (FileNotFoundError(2, "No such file", "a.csv"), "a.csv: No such file"),
        (OSError("no network"), "no network"),
        (ValueError("give header=False"), "give --no-header"),
    ],
)
def test_errors_in_one_line(error, text):
    assert explain(error) == text


@pytest.mark.filterwarnings("default")
def test_warnings_are_one_line(fruit_model, monkeypatch, capsys):
    def warn(net):
        warnings.warn("something\nodd", RuntimeWarning, stacklevel=2)
        return []

    monkeypatch.setattr(info, "describe_model", warn)
    assert main(["info", "fruit.safetensors"]) == 0
    assert capsys.readouterr().err == "fastnn: warning: something odd\n"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("train", "predict", "info", "doctor", "bench"))


@pytest.mark.parametrize("command", ["train", "predict", "info", "doctor", "bench"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: fastnn {command}" in capsys.readouterr().out


def run(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "fastnn", *arguments], capture_output=True, text=True, **options)


def test_python_m_fastnn_is_the_command():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"fastnn {fastnn.__version__}\n")


def test_an_exit_code_reaches_the_shell():
    done = run("train", "nowhere.csv")
    assert done.returncode == 2
    assert done.stderr.startswith("fastnn: nowhere.csv: no such file")


@pytest.mark.parametrize("n_rows", [5, 20_000])  # one is written at exit, the other before
def test_a_reader_that_is_gone_is_no_error(fruit_model, n_rows):
    write_csv("t.csv", ["grams", "redness"], range(n_rows), range(n_rows))
    command = [sys.executable, "-m", "fastnn", "predict", "fruit.safetensors", "t.csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
