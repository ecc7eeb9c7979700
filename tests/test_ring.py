"""Ranks in a ring of TCP connections, as threads of one process."""

import secrets
import socket
import threading
import time

import numpy as np
import pytest

from fastnn.training import ring
from fastnn.training.ring import HEADER, TOKEN_BYTES, RankLostError, Ring

TOKEN = secrets.token_bytes(TOKEN_BYTES)


def on_ring(size, work, timeout=30.0, begin=lambda rank: None):
    """What work(ring) returned or raised on each rank."""
    listeners = [ring.listen("127.0.0.1") for _ in range(size)]
    addresses = [listener.getsockname()[:2] for listener in listeners]
    results = [None] * size

    def run(rank):
        try:
            begin(rank)
            comm = Ring.connect(rank, addresses, listeners[rank], TOKEN, timeout)
            try:
                results[rank] = work(comm)
            finally:
                comm.close()
        except BaseException as error:
            results[rank] = error

    ranks = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
    for listener in listeners:
        listener.close()
    assert not any(rank.is_alive() for rank in ranks)
    return results


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [1, 7, 300_001])
def test_all_ranks_add_up_to_the_same_bits(size, n):
    def add(comm):
        sent, summed = np.random.default_rng(comm.rank).normal(size=n).astype(np.float32), np.empty(n, np.float32)
        assert comm.Iallreduce(sent, summed).Test()
        return summed

    results = on_ring(size, add)
    expected = sum(np.random.default_rng(rank).normal(size=n) for rank in range(size))
    np.testing.assert_allclose(results[0], expected, atol=1e-5)
    assert len({result.tobytes() for result in results}) == 1


@pytest.mark.parametrize("size", [1, 2, 4])
def test_values_and_arrays_reach_all_ranks(size):
    def exchange(comm):
        array = np.full(100_000, comm.rank)
        comm.Bcast(array, root=size - 1)
        return comm.allgather("x" * 1000 * comm.Get_rank()), comm.bcast(("of", comm.rank)), set(array), comm.Get_size()

    expected = (["x" * 1000 * rank for rank in range(size)], ("of", 0), {size - 1}, size)
    assert on_ring(size, exchange) == [expected] * size


@pytest.mark.parametrize("size", [2, 4])
def test_a_rank_that_is_lost_is_an_error_on_all_others(size):
    def lose(comm):
        if comm.rank == 1:
            comm.Abort(1)
            return None
        return [comm.allgather(step) for step in range(1000)]

    results = on_ring(size, lose)
    errors = [result for rank, result in enumerate(results) if rank != 1]
    assert all(isinstance(error, RankLostError) for error in errors)
    assert {error.rank for error in errors} >= {1}
    assert "rank 1 is gone" in " ".join(map(str, errors))


def test_a_silent_rank_is_an_error_on_the_others():
    ended = threading.Event()

    def fall_silent(comm):
        if comm.rank == 1:
            ended.wait(30)
            return None
        try:
            return comm.allgather(0)
        finally:
            ended.set()

    error = on_ring(2, fall_silent, timeout=0.3)[0]
    assert isinstance(error, RankLostError)
    assert str(error) == "rank 1 was silent for 0.3 s"


def test_a_rank_that_never_comes_is_an_error():
    def stay_away(rank):
        if rank == 1:
            raise ZeroDivisionError

    error = on_ring(2, lambda comm: None, timeout=0.5, begin=stay_away)[0]
    assert isinstance(error, RankLostError)
    assert str(error) == "rank 1 did not connect in time"


def test_a_rank_that_cannot_be_reached_is_an_error():
    with ring.listen("127.0.0.1") as closed:
        nowhere = closed.getsockname()[:2]
    listener = ring.listen("127.0.0.1")
    with pytest.raises(RankLostError, match="rank 1 cannot be reached"):
        Ring.connect(0, [listener.getsockname()[:2], nowhere], listener, TOKEN, 5.0)


@pytest.mark.parametrize(
    "words", [b"x" * TOKEN_BYTES + HEADER.pack(0), TOKEN + HEADER.pack(5), b"", TOKEN], ids=["token", "rank", "", "end"]
)
def test_strangers_are_refused(words):
    listener = ring.listen("127.0.0.1")
    with socket.create_connection(listener.getsockname()) as stranger:
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        with listener, pytest.raises(RankLostError, match="did not connect in time"):
            ring._accept(listener, 0, TOKEN, time.monotonic() + 0.5)


def test_a_listener_that_another_thread_closes_ends_the_wait():
    listener = ring.listen("127.0.0.1")
    threading.Timer(0.1, listener.close).start()
    with pytest.raises(RankLostError, match="rank 0 was not waited for"):
        ring._accept(listener, 0, TOKEN, time.monotonic() + 30)


def test_without_poll_connections_are_selected(monkeypatch):
    monkeypatch.delattr(ring.select, "poll", raising=False)
    assert on_ring(2, lambda comm: comm.allgather(comm.rank)) == [[0, 1]] * 2
