"""What surrounds the compilation of a kernel."""

import signal
import threading

import numpy as np
import pytest
from helpers import run_python

from fastnn.kernels.cache import KernelCache
from fastnn.kernels.jit import COMPILED, defer_sigint, entry


def test_ctrl_c_waits_for_the_compiler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []

    @defer_sigint()
    def compile_something():
        signal.raise_signal(signal.SIGINT)
        done.append("compiled")

    try:
        with pytest.raises(KeyboardInterrupt):
            compile_something()
        assert done == ["compiled"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_other_threads_and_without_a_handler_nothing_is_changed():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with defer_sigint():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.signal(signal.SIGINT, signal.default_int_handler)
        seen = []

        def elsewhere():
            with defer_sigint():
                seen.append(signal.getsignal(signal.SIGINT))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert seen == [signal.default_int_handler]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_ctrl_c_while_a_kernel_is_compiled_leaves_it_whole(monkeypatch):
    @entry
    def twice(out, a):
        for i in range(len(out)):
            out[i] = 2 * a[i]

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(KernelCache, "save_overload", lambda *given: signal.raise_signal(signal.SIGINT))
    out = np.zeros(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            twice(out, np.ones(2))
        twice(out, np.ones(2))
        assert out.tolist() == [2, 2]
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_compilation_a_network_trains():
    program = """
import numpy as np
import fastnn

net = fastnn.Network([2, 2], seed=0)
print(len(net.fit(np.eye(2), [0, 1], epochs=2, progress=False)["loss"]))
"""
    assert run_python(program, NUMBA_DISABLE_JIT="1").split() == ["2"]
