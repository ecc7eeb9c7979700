"""The page in a real Chromium: digits are drawn and read, columns moved, a training watched, strangers refused."""

import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn.kernels.jit import COMPILED
from tools.browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not COMPILED, reason="too slow without compilation"),
]

STROKES = {
    0: [[(0.5, 0.1), (0.3, 0.2), (0.22, 0.5), (0.3, 0.8), (0.5, 0.9), (0.7, 0.8), (0.78, 0.5), (0.7, 0.2), (0.5, 0.1)]],
    2: [[(0.25, 0.28), (0.35, 0.13), (0.55, 0.1), (0.72, 0.22), (0.7, 0.42), (0.45, 0.65), (0.22, 0.9), (0.78, 0.9)]],
    3: [
        [(0.27, 0.15), (0.5, 0.1), (0.7, 0.2), (0.68, 0.4), (0.48, 0.48)],
        [(0.48, 0.48), (0.7, 0.55), (0.75, 0.75), (0.55, 0.9), (0.25, 0.85)],
    ],
    4: [[(0.55, 0.1), (0.22, 0.62), (0.8, 0.62)], [(0.62, 0.4), (0.62, 0.9)]],
}
"""Digits as lines through points of the pad, from 0 to 1."""


@pytest.fixture(scope="module")
def digits_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "digits.safetensors"
    X, y = fastnn.datasets.load_digits()
    net = fastnn.Network([64, 48, 10], loss="squared_error", input_scale=1 / 16, seed=0)
    net.fit(X, y, epochs=60, batch_size=10, learning_rate=1.5)
    net.class_names = tuple("0123456789")
    net.save(path)
    return path


class Command:
    """A command of fastnn that serves the page; its address, until Ctrl-C."""

    def __init__(self, *arguments, cwd):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastnn", *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=cwd,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        self.address = self.said(r"http://\S+")

    def said(self, pattern):
        """Return the first match in what the command says next."""
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError(f"the command did not say {pattern}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGINT)
        self.rest = self.process.communicate(timeout=60)[0]
        assert error[0] is not None or self.process.returncode == 0


@pytest.fixture(scope="module")
def shown(digits_model):
    with Command("show", digits_model, "--no-browser", cwd=digits_model.parent) as command:
        yield command


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(chromium, shown):
    chromium.events.clear()
    chromium.visit(shown.address)
    chromium.wait("document.body.dataset.answers > 0 && places.length > 0")  # the first frame comes after the answer
    return chromium


def place(browser, element):
    return browser.run(
        f"(() => {{const r = byId('{element}').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]}})()"
    )


def answers(browser):
    return int(browser.run("document.body.dataset.answers || 0"))


def draw(browser, strokes):
    x, y, side, _ = place(browser, "pad")
    browser.run("clearPad()")
    before = answers(browser)
    for stroke in strokes:
        points = np.concatenate([np.linspace(a, b, 8) for a, b in pairwise(stroke)])
        browser.drag([(x + u * side, y + v * side) for u, v in points])
    browser.wait(f"!busy && document.body.dataset.answers > {before}")


@pytest.mark.parametrize("digit", STROKES)
def test_a_digit_that_is_drawn_is_read(page, digit):
    draw(page, STROKES[digit])
    assert page.run("byId('best').textContent") == str(digit)
    assert page.run("byId('bars').querySelector('.top .name').textContent") == str(digit)
    assert float(page.run("byId('sure').textContent").split("%")[0]) > 50
    assert page.problems() == []


def test_the_page_asks_no_other_server(page, shown):
    draw(page, STROKES[2])
    assert len(page.requested()) >= 4
    assert all(address.startswith(shown.address) for address in page.requested())


def test_an_answer_comes_while_the_pen_moves(page):
    x, y, side, _ = place(page, "pad")
    page.run("clearPad()")
    before = answers(page)
    page.mouse("mousePressed", x + side / 2, y + side / 4)
    page.mouse("mouseMoved", x + side / 2, y + side / 2)
    page.wait(f"document.body.dataset.answers > {before}")
    page.mouse("mouseReleased", x + side / 2, y + side / 2)


def test_a_finger_draws(page):
    x, y, side, _ = place(page, "pad")
    page.run("clearPad()")
    for kind, points in (
        ("touchStart", [{"x": x + side / 2, "y": y + side / 5}]),
        ("touchMove", [{"x": x + side / 2, "y": y + side / 1.2}]),
        ("touchEnd", []),
    ):
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    page.wait("!busy && answer !== null")
    assert page.run("strokes.length") == 1


def test_keys_draw_and_clear(page):
    page.run("clearPad(); byId('pad').focus()")
    page.run("pen.x = .5; pen.y = .2")
    page.key(" ", " ")
    for _ in range(18):
        page.key("ArrowDown")
    page.key(" ", " ")
    page.wait("!busy && answer !== null")
    assert page.run("strokes.length") == 1
    assert page.run("strokes[0].length") == 19
    page.key("Delete")
    assert page.run("strokes.length") == 0
    assert page.run("byId('best').textContent") == "–"


def test_an_example_is_picked(page):
    name = page.run("document.querySelectorAll('#examples button')[4].title")
    assert page.run("document.querySelectorAll('#examples button')[4].getAttribute('aria-label')") == f"Example: {name}"
    page.run("document.querySelectorAll('#examples button')[4].click()")
    page.wait(f"!busy && byId('best').textContent === '{name}'")
    first = page.run("shownExamples.indices[0]")
    page.run("byId('more').click()")
    page.wait(f"shownExamples.indices[0] !== {first}")


def test_a_neuron_that_is_pointed_at_shows_its_weights(page, digits_model):
    x, y, _, _ = place(page, "diagram")
    u, v = page.run("places[1].at(7)")
    page.mouse("mouseMoved", x + u, y + v, down=False)
    page.wait("byId('neuron-name').textContent === 'Hidden layer, neuron 8' && chosen.weights")
    weights = fastnn.load(digits_model).weights[0][7]
    np.testing.assert_array_equal(np.array(page.run("chosen.weights"), np.float32), weights)
    page.run("byId('diagram').focus()")
    page.key("ArrowRight")
    page.key("ArrowUp")
    page.wait("byId('neuron-name').textContent === 'Output 6'")
    page.wait("byId('spoken').textContent.startsWith('Output 6')")


@pytest.mark.parametrize("width", [360, 820, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(page, width, scheme):
    page.scheme(scheme)
    page.resize(width, 800)
    page.wait(f"innerWidth === {width}")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.scheme("light")
    page.resize(1280, 860)


def test_everything_that_acts_has_a_name(page):
    nameless = page.run(
        """[...document.querySelectorAll("button, select, input, canvas[tabindex]")].filter((part) =>
            !part.getAttribute("aria-label") && !part.labels?.length && !part.textContent.trim()
            && !part.getAttribute("aria-labelledby")).map((part) => part.outerHTML)"""
    )
    assert nameless == []


def test_a_wrong_token_and_another_site_are_refused(page, shown):
    page.visit(shown.address[:-4] + "xyz/")
    assert "lacks this server's token" in page.run("document.body.innerText")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as another_site:
        threading.Thread(target=another_site.serve_forever, daemon=True).start()
        page.visit(f"http://127.0.0.1:{another_site.server_port}/")
        page.events.clear()
        for options in ('mode: "no-cors"', 'headers: {"Content-Type": "application/json"}'):
            request = f"""fetch("{shown.address}model", {{method: "POST", body: "{{}}", {options}}})"""
            assert page.run(f"""{request}.then(() => "answered", () => "refused")""") == "refused"
        page.run("new Promise((resolve) => setTimeout(resolve, 300))")
        another_site.shutdown()
    statuses = [
        event["params"]["statusCode"]
        for event in page.events
        if event.get("method") == "Network.responseReceivedExtraInfo"
    ]
    # for the Origin; for the question that a browser asks first, once or again
    assert set(statuses) == {403, 501}


def test_the_columns_of_a_table_are_moved(chromium, tmp_path):
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x, kind = rng.uniform(0, 10, 300), rng.choice(["plain", "fine"], 300)
    days = np.datetime64("2020-01-01") + rng.integers(0, 900, 300)
    lines = [f"{a:.3f},{k},{d},{3 * a + 20 * (k == 'fine'):.3f}" for a, k, d in zip(x, kind, days, strict=True)]
    (tmp_path / "goods.csv").write_text("\n".join(["size,kind,made,price", *lines]), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "fastnn", "train", "goods.csv", "--target", "price", "--hidden", "16", "--epochs", "60"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    model = fastnn.load_model(tmp_path / "runs/goods/model.safetensors")
    with Command("show", "runs/goods", "--data", "goods.csv", "--no-browser", cwd=tmp_path) as command:
        chromium.events.clear()
        chromium.visit(command.address)
        chromium.wait("document.body.dataset.answers > 0")
        before = answers(chromium)
        chromium.run(
            """(() => { const set = (input, value) => {
                input.value = value; input.dispatchEvent(new Event("input")); input.dispatchEvent(new Event("change"));
            };
            set(document.querySelector("#controls input[type=number]"), 7.5);
            set(document.querySelector("#controls select"), byId("control-1").options[1].value);
            set(document.querySelector("#controls input[type=date]"), "2021-02-03"); })()"""
        )
        chromium.wait(f"!busy && document.body.dataset.answers > {before}")
        row = {"size": [7.5], "kind": [model.encoder.columns[1].levels[1]], "made": np.array(["2021-02-03"], "M8[us]")}
        assert chromium.run("answer.values[0]") == model.predict(row)[0]
        chromium.run("document.querySelectorAll('#controls input[type=checkbox]')[0].click()")
        row["size"] = [np.nan]
        chromium.wait(f"!busy && answer.values[0] === {float(model.predict(row)[0])!r}")
        chromium.wait("!curveBusy && curve.x.length > 100")
        chromium.run("byId('any-row').click()")
        chromium.wait("byId('truth').textContent.startsWith('in the data: price')")
        assert chromium.problems() == []


def test_a_training_is_watched(chromium, tmp_path):
    with Command("train", "digits", "--show", "--epochs", "300", cwd=tmp_path) as command:
        chromium.events.clear()
        chromium.visit(command.address)
        chromium.wait("document.body.dataset.answers > 0 && byId('status').textContent === 'trained: 300 epochs'", 120)
        assert chromium.run("columns.loss.length") == 300
        assert chromium.run("columns.val_accuracy.at(-1)") > 0.9
        assert chromium.run("pictures[0]") == 0
        assert chromium.run("pictures.at(-1)") == 300
        chromium.wait("byId('form-epoch').textContent === '300'")
        assert chromium.run("new Set(byId('form').getContext('2d').getImageData(0, 0, 60, 60).data).size") > 50
        assert chromium.problems() == []
        command.said("written to")
        time.sleep(0.5)  # until it waits for Ctrl-C
    assert "the page is closed" in command.rest


def test_a_server_that_has_stopped_is_said(chromium, digits_model):
    with Command("show", digits_model, "--no-browser", cwd=digits_model.parent) as command:
        chromium.visit(command.address)
        chromium.wait("document.body.dataset.answers > 0")
    chromium.run("pick(3)")
    chromium.wait("byId('trouble').textContent.startsWith('The server has stopped')")
