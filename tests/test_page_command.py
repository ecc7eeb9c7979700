"""`fastnn show` and `fastnn train --show`: what they open, print and refuse."""

import contextlib
import csv
import json
import re
import sys
import urllib.request
import webbrowser
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn.cli import main, show
from fastnn.cli import train as train_command
from fastnn.page import PictureInputs, TableInputs


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def visits(monkeypatch):
    """What a visitor found, who asks for the model as soon as the page is open, and then presses Ctrl-C."""
    found = []
    servers = []

    class Server(show.PageServer):
        def __init__(self, answers):
            super().__init__(answers)
            servers.append((self, answers))

    def visit(seconds):
        server, answers = servers[-1]
        request = urllib.request.Request(server.address + "model", b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            found.append((json.load(response), answers))
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "PageServer", Server)
    monkeypatch.setattr(show, "time", SimpleNamespace(sleep=visit))
    return found


def save(path="model.safetensors", sizes=(64, 5, 10), class_names=None, **options):
    net = fastnn.Network(sizes, seed=0, **options)
    net.class_names = class_names
    net.save(path)
    return net


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def test_a_model_of_digits_is_shown_until_ctrl_c(visits, capsys):
    save(input_scale=1 / 16)
    assert main(["show", "model.safetensors"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"the page is at http://127\.0\.0\.1:\d+/[\w-]+/ \(Ctrl-C ends it\)", printed)
    assert "the page is closed" in printed
    ((model, page),) = visits
    assert (model["title"], model["kind"], model["classes"]) == ("model", "picture", list("0123456789"))
    assert (page.inputs.shape, page.inputs.ink, model["examples"]) == ((8, 8), 16, 1797)


@pytest.mark.parametrize(("scale", "ink", "given"), [(1 / 255, 255, None), (1, 1, None), (1, 7.5, "7.5")])
def test_a_model_of_mnist_has_examples_without_its_files(visits, monkeypatch, scale, ink, given):
    monkeypatch.setattr(show, "local_folder", lambda *arguments: None)
    save(sizes=(784, 4, 10), input_scale=scale)
    assert main(["show", "model.safetensors", *(["--ink", given] if given else [])]) == 0
    ((model, page),) = visits
    assert (page.inputs.shape, model["examples"]) == ((28, 28), 200)
    assert page.inputs.ink == pytest.approx(ink, rel=1e-6)
    assert page.inputs.examples.pixels.max() == pytest.approx(ink, rel=1e-6)


def test_the_files_of_mnist_give_the_examples_where_they_are(visits, monkeypatch):
    images = np.full((3, 784), 255, np.uint8)
    monkeypatch.setattr(show, "local_folder", lambda *arguments: "folder")
    monkeypatch.setattr(show, "load_mnist", lambda: (None, (images, np.arange(3))))
    save(sizes=(784, 4, 10), input_scale=1 / 255)
    assert main(["show", "model.safetensors"]) == 0
    assert visits[0][1].inputs.examples.pixels is images


def test_pixels_of_another_scale_are_brought_to_the_model_s(visits):
    save(input_scale=1.0)
    assert main(["show", "model.safetensors", "--data", "digits"]) == 0
    (_, page) = visits[0]
    assert (page.inputs.ink, page.inputs.examples.pixels.max()) == (1, 1)


def test_pictures_of_other_shapes(visits):
    save(sizes=(12, 3, 2), class_names=("a", "b"))
    assert main(["show", "model.safetensors", "--image-shape", "3,4"]) == 0
    ((model, page),) = visits
    assert (page.inputs.shape, model["examples"], model["classes"]) == ((3, 4), 0, ["a", "b"])


def test_a_table_with_its_data(visits, capsys):
    pytest.importorskip("pandas")
    rows = [[i % 7, "ab"[i % 2], i % 7 + 10 * (i % 2)] for i in range(60)] + [[3, "a", ""]]
    write("sums.csv", ["x", "kind", "sum"], rows)
    assert main(["train", "sums.csv", "--target", "sum", "--task", "regression", "--hidden", "4", "--epochs", "2"]) == 0
    assert main(["show", "runs/sums", "--data", "sums.csv"]) == 0
    ((model, page),) = visits
    assert (model["title"], model["targets"], model["rows"]) == ("sums", ["sum"], 60)
    assert [control["name"] for control in model["controls"]] == ["x", "kind"]
    assert model["controls"][0]["range"] == [0, 6]
    np.testing.assert_array_equal(page.inputs.data.targets, [row[2] for row in rows[:60]])
    assert main(["show", "runs/sums"]) == 0
    assert visits[1][0]["controls"][0]["range"] == [0, 6]  # noted by the training
    assert visits[1][0]["rows"] == 0


def test_a_plain_network_with_its_data(visits):
    pytest.importorskip("pandas")
    save(sizes=(2, 3, 2), activation=["tanh", "softmax"], loss="cross_entropy")
    write("points.csv", ["u", "v", "label"], [[0.5, 1, 0], [1, 2, 1], [2, 5, 1]])
    assert main(["show", "model.safetensors", "--data", "points.csv"]) == 0
    ((model, page),) = visits
    assert model["plane"]
    assert page.inputs.data.targets.tolist() == [0, 1, 1]
    assert page.inputs.ranges == [(0.5, 2.0), (1.0, 5.0)]
    assert main(["show", "model.safetensors", "--data", "points.csv", "--target", "label"]) == 0
    assert visits[1][1].inputs.data.targets.tolist() == [0, 1, 1]


def test_data_without_the_target_are_rows_to_choose_from(visits):
    pytest.importorskip("pandas")
    save(sizes=(2, 3, 1), activation=["tanh", "identity"])
    write("points.csv", ["u", "v"], [[0.5, 1], [1, 2]])
    assert main(["show", "model.safetensors", "--data", "points.csv"]) == 0
    ((model, page),) = visits
    assert (model["points"], model["rows"], page.inputs.data.targets) == (None, 2, None)


def test_targets_that_are_no_classes_of_the_model_are_left_out(visits):
    pytest.importorskip("pandas")
    save(sizes=(2, 3, 2), activation=["tanh", "softmax"], loss="cross_entropy")
    write("points.csv", ["u", "v", "label"], [[0.5, 1, 8], [1, 2, 9]])
    assert main(["show", "model.safetensors", "--data", "points.csv"]) == 0
    assert visits[0][1].inputs.data.targets is None


def test_a_file_of_pictures_gives_examples_and_ink(visits):
    pytest.importorskip("pandas")
    save(sizes=(64, 3, 2), class_names=("0", "1"))
    pixels = np.random.default_rng(0).integers(0, 100, (9, 64))
    pixels[0, 0] = 99
    np.savez("pictures.npz", X=pixels, y=np.arange(9) % 2)
    assert main(["show", "model.safetensors", "--data", "pictures.npz"]) == 0
    ((model, page),) = visits
    assert (model["kind"], model["examples"], page.inputs.ink) == ("picture", 9, 99)
    np.testing.assert_array_equal(page.inputs.examples.labels, np.arange(9) % 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.safetensors"], "nowhere.safetensors: No such file"),
        (["model.safetensors", "--image-shape", "3,4"], "--image-shape must be a height and a width with 64 pixels"),
        (["model.safetensors", "--data", "mnist"], "mnist is for models of pictures of"),
        (["model.safetensors", "--target", "x"], "--target: not for a page without --data"),
        (["model.safetensors", "--data", "digits", "--separator", ";"], "--separator: not for digits"),
        (["model.safetensors", "--data", "a.npz", "--decimal", ","], "--decimal: not for a .npz file"),
        (["model.safetensors", "--data", "narrow.csv"], "narrow.csv: the model takes 64 columns"),
    ],
)
def test_what_cannot_be_shown_is_an_error_in_one_line(arguments, message, capsys):
    pytest.importorskip("pandas")
    save(input_scale=1 / 16)
    write("narrow.csv", ["u", "v"], [[1, 2], [3, 4]])
    assert main(["show", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("opens", [True, False, webbrowser.Error("none")])
def test_the_browser_is_given_a_ticket_and_the_address_is_printed(opens, visits, monkeypatch, capsys):
    opened = []

    def open_(address):
        opened.append(address)
        if isinstance(opens, Exception):
            raise opens
        if opens:
            urllib.request.urlopen(address, timeout=10).close()
        return opens

    monkeypatch.setattr(show.webbrowser, "open", open_)
    monkeypatch.setenv("BROWSER", "anything")
    save(input_scale=1 / 16)
    assert main(["show", "model.safetensors"]) == 0
    printed = capsys.readouterr()
    address = re.search(r"http\S+", printed.out)[0]
    assert len(opened) == 1
    assert opened[0] not in address
    assert address.split("/")[3] not in opened[0]
    assert ("no browser could be opened" in printed.err) == (opens is not True)


def test_no_browser_is_opened_where_none_is_wanted_or_has_windows(visits, monkeypatch):
    monkeypatch.setattr(show.webbrowser, "open", lambda address: pytest.fail("opened"))
    monkeypatch.setattr(show.sys, "platform", "linux")
    save(input_scale=1 / 16)
    assert main(["show", "model.safetensors"]) == 0
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["show", "model.safetensors", "--no-browser"]) == 0


# ---- Watching a training


def test_a_training_is_watched_and_stays_until_ctrl_c(visits, capsys, tmp_path):
    assert main(["train", "digits", "--show", "--epochs", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("the page is at") < printed.index("held-out accuracy") < printed.index("the page is closed")
    ((model, page),) = visits
    assert (model["live"], model["title"], isinstance(page.inputs, PictureInputs)) == (True, "digits", True)
    saved = fastnn.load("runs/digits/model.safetensors")
    np.testing.assert_array_equal(page.model.network.parameters, saved.parameters)
    assert page.watcher.news({"since": 0})["epochs"] == 2


def test_watching_changes_no_bit(visits):
    assert main(["train", "digits", "--show", "--epochs", "2", "-o", "shown"]) == 0
    assert main(["train", "digits", "--epochs", "2", "-o", "plain"]) == 0
    shown, plain = (fastnn.load(f"{folder}/model.safetensors").parameters for folder in ("shown", "plain"))
    np.testing.assert_array_equal(shown, plain)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_training_of_a_table_is_watched(task, visits):
    pytest.importorskip("pandas")
    write("sums.csv", ["x", "z", "sum"], [[i % 7, i % 5, i % 7 // 4] for i in range(80)])
    assert main(["train", "sums.csv", "--show", "--task", task, "--hidden", "4", "--epochs", "3"]) == 0
    ((_, page),) = visits
    assert isinstance(page.inputs, TableInputs)
    assert len(page.inputs.data.targets) == 16
    assert set(page.inputs.data.targets) == {0, 1}


def test_ctrl_c_in_a_watched_training_ends_it_all(monkeypatch, capsys):
    history = fastnn.History()
    history.stop_reason = "interrupted"
    monkeypatch.setattr(train_command, "fit", lambda *arguments: history)
    monkeypatch.setattr(show, "stay", lambda: pytest.fail("stays"))
    assert main(["train", "digits", "--show"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_training_on_several_ranks_is_not_watched(monkeypatch, capsys):
    monkeypatch.setattr(train_command, "communicator", lambda: SimpleNamespace(Get_rank=lambda: 0))
    assert main(["train", "digits", "--show"]) == 2
    assert "--show: not for a training on several ranks" in capsys.readouterr().err


def test_staying_ends_at_ctrl_c(monkeypatch, capsys):
    calls = []

    def sleep(seconds):
        calls.append(seconds)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(show, "time", SimpleNamespace(sleep=sleep))
    with contextlib.suppress(KeyboardInterrupt):
        show.stay()
    assert len(calls) == 3
    assert capsys.readouterr().out == "the page is closed\n"
