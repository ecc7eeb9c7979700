"""Ranks in a ring of TCP connections: the part of mpi4py's communicator that a data-parallel training uses.

Each rank sends to the next one and receives from the one before. A rank that is lost closes its connections; its
neighbours then raise and close theirs, so that the error goes round and no rank waits for ever.
"""

from __future__ import annotations

import hmac
import pickle
import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

TOKEN_BYTES = 32
HEADER = struct.Struct("!q")
"""The rank of one that connects, or the length of a message."""

KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 40_000}
"""Settings, where the system has them, by which a machine that no longer answers is noticed within 40 s."""

POLL = 0.2
"""Seconds between two looks whether a listener was closed by another thread."""

Address = tuple[str, int]


class RankLostError(ConnectionError):
    """A neighbour in the ring is gone, or silent for too long.

    Attributes
    ----------
    rank : int
        Of the neighbour.
    """

    def __init__(self, rank: int, reason: str) -> None:
        super().__init__(rank, reason)
        self.rank, self.reason = rank, reason

    def __str__(self) -> str:
        return f"rank {self.rank} {self.reason}"


def listen(host: str) -> socket.socket:
    """Return a socket that listens on a free port of a host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


class Ring:
    """A communicator of the ranks of one training.

    Parameters
    ----------
    rank, size : int
    before, after : socket or None
        Connections to the neighbours; None for a single rank.
    timeout : float
        Seconds of silence after which a neighbour counts as lost.
    """

    def __init__(
        self, rank: int, size: int, before: socket.socket | None, after: socket.socket | None, timeout: float
    ) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self._before, self._after = before, after
        for connection in (before, after):
            if connection is not None:
                _configure(connection)

    @classmethod
    def connect(
        cls, rank: int, addresses: Sequence[Address], listener: socket.socket, token: bytes, timeout: float
    ) -> Ring:
        """Connect the ranks of a training, which do this at the same time; the listener is closed.

        Parameters
        ----------
        rank : int
        addresses : sequence of (host, port)
            Where each rank listens.
        listener : socket
            That of this rank.
        token : bytes
            A secret of `TOKEN_BYTES` that the ranks share: connections without it are refused.
        timeout : float
            Seconds to wait for the neighbours, and later for their words.

        Raises
        ------
        RankLostError
        """
        size = len(addresses)
        with listener:
            if size == 1:
                return cls(rank, size, None, None, timeout)
            following, previous = (rank + 1) % size, (rank - 1) % size
            try:
                after = socket.create_connection(addresses[following], timeout)
                after.sendall(token + HEADER.pack(rank))
            except OSError as error:
                raise RankLostError(following, f"cannot be reached: {error}") from None
            try:
                before = _accept(listener, previous, token, time.monotonic() + timeout)
            except BaseException:
                after.close()
                raise
        return cls(rank, size, before, after, timeout)

    def Get_rank(self) -> int:  # noqa: N802 - the names are mpi4py's
        """Return the rank."""
        return self.rank

    def Get_size(self) -> int:  # noqa: N802
        """Return the number of ranks."""
        return self.size

    def allgather(self, value: Any) -> list[Any]:
        """Return the values of all ranks."""
        blobs = [b""] * self.size
        blobs[self.rank] = pickle.dumps(value)
        for step in range(self.size - 1):
            length = bytearray(HEADER.size)
            sent = blobs[(self.rank - step) % self.size]
            self._exchange(HEADER.pack(len(sent)), length)
            received = bytearray(HEADER.unpack(length)[0])
            self._exchange(sent, received)
            blobs[(self.rank - step - 1) % self.size] = bytes(received)
        return [value if rank == self.rank else pickle.loads(blob) for rank, blob in enumerate(blobs)]

    def bcast(self, value: Any) -> Any:
        """Return the value of rank 0."""
        if self.size == 1:
            return value
        blob = bytearray(pickle.dumps(value) if self.rank == 0 else b"")
        if self.rank > 0:
            length = bytearray(HEADER.size)
            self._exchange(b"", length)
            blob = bytearray(HEADER.unpack(length)[0])
            self._exchange(b"", blob)
            value = pickle.loads(blob)
        if self.rank < self.size - 1:
            self._exchange(HEADER.pack(len(blob)) + blob, b"")
        return value

    def Bcast(self, array: np.ndarray, root: int = 0) -> None:  # noqa: N802
        """Overwrite a contiguous array with that of `root`."""
        place = (self.rank - root) % self.size
        if place > 0:
            self._exchange(b"", _bytes_of(array))
        if place < self.size - 1:
            self._exchange(_bytes_of(array), b"")

    def Iallreduce(self, sent: np.ndarray, summed: np.ndarray) -> Ring:  # noqa: N802
        """Note what `Test` will add up: the contiguous arrays `sent` of all ranks into their `summed`."""
        self._sent, self._summed = sent, summed
        return self

    def Test(self) -> bool:  # noqa: N802
        """Add up, in an order that depends on the ranks alone, and return True: all ranks have the same bits.

        Each rank sends 2 (n - 1) / n of the array (the ring of Patarasuk and Yuan, 2009).
        """
        summed, size = self._summed, self.size
        summed[:] = self._sent
        parts = [summed[len(summed) * i // size : len(summed) * (i + 1) // size] for i in range(size)]
        received = np.empty(-(-len(summed) // size), summed.dtype)
        for step in range(size - 1):
            into = parts[(self.rank - step - 1) % size]
            self._exchange(_bytes_of(parts[(self.rank - step) % size]), _bytes_of(received[: len(into)]))
            into += received[: len(into)]
        for step in range(size - 1):
            into = parts[(self.rank - step) % size]
            self._exchange(_bytes_of(parts[(self.rank + 1 - step) % size]), _bytes_of(into))
        return True

    def Abort(self, code: int) -> None:  # noqa: N802
        """End the training of all ranks."""
        self.close()

    def close(self) -> None:
        """Close the connections, which a thread that waits for them notices."""
        for connection in (self._before, self._after):
            if connection is not None:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _exchange(self, sent: Any, received: Any) -> None:
        """Send bytes to the next rank while as many as `received` holds come from the one before."""
        sent, received = memoryview(sent), memoryview(received)
        while len(sent) or len(received):
            n_sent, n_received = self._send(sent), self._receive(received)
            sent, received = sent[n_sent:], received[n_received:]
            if not n_sent and not n_received:
                self._wait(bool(len(sent)), bool(len(received)))

    def _send(self, sent: memoryview) -> int:
        if not len(sent) or self._after is None:
            return 0
        try:
            return self._after.send(sent)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(1, f"is gone: {error}") from None

    def _receive(self, received: memoryview) -> int:
        if not len(received) or self._before is None:
            return 0
        try:
            count = self._before.recv_into(received)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(-1, f"is gone: {error}") from None
        if not count:
            raise self._lost(-1, "is gone: its connection was closed")
        return count

    def _wait(self, sends: bool, receives: bool) -> None:
        """Wait until a connection is ready."""
        try:
            ready = _ready(self._before if receives else None, self._after if sends else None, self.timeout)
        except (OSError, ValueError) as error:  # closed by another thread
            raise self._lost(-1, f"is gone: {error}") from None
        if not ready:
            raise self._lost(-1 if receives else 1, f"was silent for {self.timeout:g} s")

    def _lost(self, offset: int, reason: str) -> RankLostError:
        """Return the error, after closing both connections, so that the other neighbour knows, too."""
        self.close()
        return RankLostError((self.rank + offset) % self.size, reason)


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.data.cast("B") if array.size else memoryview(b"")


def _ready(reads: socket.socket | None, writes: socket.socket | None, timeout: float) -> bool:
    """Wait until one connection can be read or the other written; return whether one can."""
    if hasattr(select, "poll"):  # takes any number of open files, which `select` does not
        poll = select.poll()
        if reads is not None:
            poll.register(reads, select.POLLIN)
        if writes is not None:
            poll.register(writes, select.POLLOUT)
        return bool(poll.poll(1000 * timeout))
    of_reads, of_writes = ([connection] if connection is not None else [] for connection in (reads, writes))
    return any(select.select(of_reads, of_writes, [], timeout))


def _configure(connection: socket.socket) -> None:
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _accept(listener: socket.socket, rank: int, token: bytes, deadline: float) -> socket.socket:
    """Return the connection of a rank that knows the token; others are closed."""
    listener.settimeout(POLL)
    while time.monotonic() < deadline:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        except OSError as error:  # another thread closed the listener
            raise RankLostError(rank, f"was not waited for: {error}") from None
        if _introduces(connection, rank, token):
            return connection
        connection.close()
    raise RankLostError(rank, "did not connect in time")


def _introduces(connection: socket.socket, rank: int, token: bytes) -> bool:
    """Return whether the first words of a connection are the token and the rank."""
    connection.settimeout(5.0)
    words = b""
    try:
        while len(words) < len(token) + HEADER.size:
            more = connection.recv(len(token) + HEADER.size - len(words))
            if not more:
                return False
            words += more
    except OSError:
        return False
    return hmac.compare_digest(words[: len(token)], token) and HEADER.unpack(words[len(token) :])[0] == rank
