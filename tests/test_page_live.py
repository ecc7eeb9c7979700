"""The page of a training: snapshots at the ends of epochs, answers of the last one, resuming with and without."""

import base64
import time

import numpy as np
import pytest

import fastnn
from fastnn.page import Examples, ModelPage, PictureInputs, TrainingWatcher, live

X, Y = np.array([[0.0], [1.0]], np.float32), [0.0, 1.0]


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


def network(sizes=(1, 3, 1)):
    return fastnn.Network(sizes, activation="tanh", seed=0)


def test_the_news_are_the_history_since_an_epoch():
    net, watcher = network(), TrainingWatcher((1, 3, 1), 7)
    assert watcher.news({"since": 0}) == {
        "done": False, "epochs": 0, "planned": 7, "columns": {}, "stop_reason": None, "pictures": [],
    }  # fmt: skip
    history = net.fit(X, Y, epochs=7, callbacks=[watcher], validation_data=(X, Y))
    news = watcher.news({"since": 4})
    assert (news["done"], news["epochs"], news["stop_reason"]) == (True, 7, "epochs")
    assert news["columns"] == {name: column[4:] for name, column in history.items()}
    assert (news["pictures"][0], news["pictures"][-1]) == (0, 7)
    with pytest.raises(ValueError, match="since must be a whole number"):
        watcher.news({"since": -1})


def test_a_snapshot_is_taken_when_a_hundred_times_its_cost_has_passed(clock):
    net, watcher = network(), TrainingWatcher((1, 3, 1), 9)
    epochs = []

    def note(net, history):
        clock.now += 1
        epochs.append(watcher.snapshot.epoch)

    watcher_cost = live.PAUSE / 2
    take = watcher._take

    def slow(net):
        take(net)
        watcher._due = clock.now + watcher_cost / 25  # as if it had taken 1/50 second: two epochs are to pass

    watcher._take = slow
    net.fit(X, Y, epochs=6, callbacks=[watcher, note])
    assert epochs == [0, 0, 3, 3, 5, 5]
    assert watcher.snapshot.epoch == 6


def test_the_pause_is_measured():
    net, watcher = network((64, 48, 10)), TrainingWatcher((64, 48, 10), 9)
    before = time.perf_counter()
    watcher.on_fit_begin(net, fastnn.History())
    took = time.perf_counter() - before
    assert before < watcher._due <= before + (live.PAUSE + 1) * took


def test_first_layers_are_kept_as_they_form_and_thinned_where_there_are_many(monkeypatch):
    monkeypatch.setattr(live, "MOST_SNAPSHOTS", 4)
    monkeypatch.setattr(live, "PAUSE", 0.0)
    net, watcher = network(), TrainingWatcher((1, 3, 1), 20)
    seen = {0: net.weights[0].copy()}

    def note(net, history):
        seen[history.epochs] = net.weights[0].copy()

    net.fit(X, Y, epochs=20, callbacks=[note, watcher])
    pictures = watcher.news({"since": 20})["pictures"]
    assert pictures[0] == 0
    assert pictures[-1] == 20
    assert len(pictures) <= 5
    assert pictures == sorted(set(pictures))
    for index, epoch in enumerate(pictures):
        found = watcher.first_layer({"index": index})
        levels = np.frombuffer(base64.b64decode(found["levels"]), np.uint8).reshape(3, 1)
        weights = seen[epoch]
        assert (found["epoch"], found["neurons"]) == (epoch, 3)
        limit = np.quantile(np.abs(weights), 0.998)
        np.testing.assert_allclose((levels - 128.0) / 127 * limit, np.clip(weights, -limit, limit), atol=limit / 127)


def test_pictures_of_weights_that_are_no_numbers_are_empty():
    net, watcher = network(), TrainingWatcher((1, 3, 1), 1)
    net.weights[0][:] = np.nan
    watcher.on_fit_begin(net, fastnn.History())
    assert set(base64.b64decode(watcher.first_layer({"index": 0})["levels"])) == {128}
    with pytest.raises(ValueError, match="index must be a whole number from 0 to 0"):
        watcher.first_layer({"index": 1})


def test_the_page_answers_with_the_network_of_the_last_snapshot():
    net = fastnn.Network([64, 4, 10], input_scale=1 / 16, seed=0)
    model = fastnn.TableModel.from_description(net.describe())
    digits, labels = fastnn.datasets.load_digits()
    watcher = TrainingWatcher(net.sizes, 2)
    page = ModelPage(model, PictureInputs(model, (8, 8), 16.0, Examples(digits, labels)), "digits", watcher)
    ask = page.questions
    before = net.predict(digits[:1])[0]
    np.testing.assert_array_equal(ask["answer"]({"example": 0})["outputs"], before)
    net.fit(digits, labels, epochs=2, learning_rate=1.0, callbacks=[watcher])
    after = net.predict(digits[:1])[0]
    assert (before != after).any()
    np.testing.assert_array_equal(ask["answer"]({"example": 0})["outputs"], after)
    assert ask["live"]({"since": 0})["epochs"] == 2
    assert ask["first_layer"]({"index": 0})["epoch"] == 0
    assert ask["model"]({})["live"]


@pytest.mark.parametrize("watched", [(True, False), (False, True), (True, True)])
def test_a_watched_training_resumes_watched_or_not(watched, tmp_path):
    nets, straight = [], network()
    straight.fit(X, Y, epochs=4)
    for epochs, watch in zip((2, 4), watched, strict=True):
        net = network()
        stops = [fastnn.callbacks.EarlyStopping("loss", patience=9, restore_best=False)]
        watchers = [TrainingWatcher(net.sizes, epochs)] * watch
        net.fit(X, Y, epochs=epochs, callbacks=[*watchers, *stops], checkpoint=tmp_path, resume=True)
        nets.append(net)
    np.testing.assert_array_equal(nets[-1].parameters, straight.parameters)
