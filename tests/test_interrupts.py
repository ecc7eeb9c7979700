"""Ctrl-C while compiled code trains."""

import _thread
import signal
import threading

import numpy as np
import pytest
from helpers import bits, regression, regressor

from fastnn.training.interrupts import Interruption


def test_an_interruption_returns_the_history_and_a_network_that_can_continue():
    X, y = regression()
    net, whole = regressor(), regressor()

    def interrupt(net, history):
        if history.epochs == 2:
            raise KeyboardInterrupt

    history = net.fit(X, y, epochs=9, batch_size=5, callbacks=[interrupt])
    assert (history.stop_reason, history.epochs, net.epochs_trained) == ("interrupted", 2, 2)
    net.fit(X, y, epochs=2, batch_size=5)
    whole.fit(X, y, epochs=4, batch_size=5)
    assert bits(net.parameters) == bits(whole.parameters)


@pytest.mark.slow
@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_ends_a_long_training_soon():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(512, 4)), rng.normal(size=(512, 2))
    net = regressor()
    net.fit(X, y, epochs=1)  # what is compiled or loaded is so
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    try:
        history = net.fit(X, y, epochs=500_000, learning_rate=0.01)
    finally:
        timer.cancel()
    assert history.stop_reason == "interrupted"
    assert history.seconds < 5  # calls of a quarter of a second, on a machine that may be busy
    assert net.predict(X).shape == (512, 2)
    assert net.epochs_trained == 1 + history.epochs


@pytest.mark.usefixtures("default_sigint")
def test_a_second_ctrl_c_does_not_wait():
    def press_twice(net, history):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError

    net, (X, y) = regressor(), regression()
    assert net.fit(X, y, epochs=5, callbacks=[press_twice]).stop_reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_sigint")
def test_a_handler_of_the_programs_own_is_left_in_place():
    pressed = []
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(1))
    own = signal.getsignal(signal.SIGINT)

    def press(net, history):
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is own

    net, (X, y) = regressor(), regression()
    assert net.fit(X, y, epochs=3, callbacks=[press]).stop_reason == "epochs"
    assert (len(pressed), signal.getsignal(signal.SIGINT)) == (3, own)


@pytest.mark.usefixtures("default_sigint")
def test_nested_interruptions_put_the_handler_back_at_the_end_of_the_outermost():
    interruption = Interruption()
    with interruption:
        with interruption:
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert interruption.requested
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_sigint")
def test_outside_the_main_thread_the_handler_is_left_alone():
    seen = []

    def enter():
        with Interruption():
            seen.append(signal.getsignal(signal.SIGINT))

    worker = threading.Thread(target=enter)
    worker.start()
    worker.join()
    assert seen == [signal.default_int_handler]
