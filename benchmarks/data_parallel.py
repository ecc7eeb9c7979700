"""Estimate when training on several machines pays: python -m benchmarks.data_parallel 784,512,512,10 --batch 128.

The model takes the measured seconds t of a rank's part of a step, its calls and passes over the parameters included.
With n ranks of the same part a step takes

    t(n) = t + 2 ceil(log2 n) latency + 2 (n - 1) / n bytes / bandwidth,

where the last two terms are those of an Allreduce by recursive halving and doubling (Thakur, Rabenseifner and Gropp,
2005). Under `mpiexec -n 2` latency and bandwidth are measured between the ranks; with `--ring` between two processes
that are connected as the workers of `fastnn.dask` are, by TCP, where a step has 2 (n - 1) messages in place of
2 ceil(log2 n). Otherwise the table is for nominal links.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn import Network
from fastnn.training.ring import TOKEN_BYTES, Ring, listen

ROWS = 20_000
WORTH_IT = 0.5
"""Fraction of the ideal speed-up that must be reached for more machines to pay."""


class Link(NamedTuple):
    """A network link: seconds per message, bytes per second, and whether the ranks on it form a ring."""

    name: str
    latency: float
    bandwidth: float
    is_ring: bool = False


NOMINAL = [
    Link("1 Gbit Ethernet", 5e-5, 1.2e8),
    Link("10 Gbit Ethernet", 3e-5, 1.2e9),
    Link("100 Gbit InfiniBand", 2e-6, 1.2e10),
]


def best_of(call: Callable[[], object], times: int = 7) -> float:
    """Return the seconds of the fastest of a few calls."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def seconds_of_step(sizes: list[int], batch: int, comm: SingleRank | None) -> float:
    """Return the seconds of a step on one thread, in a plain training or in that of a rank."""
    generator = np.random.default_rng(0)
    X = generator.random((ROWS, sizes[0]), dtype=np.float32)
    y = generator.integers(0, sizes[-1], ROWS)
    names = ["relu"] * (len(sizes) - 2) + ["softmax"]
    net = Network(sizes, activation=names, loss="cross_entropy", seed=0)
    options: dict[str, Any] = {"epochs": 1, "batch_size": batch, "learning_rate": 1e-3, "n_threads": 1, "comm": comm}
    net.fit(X[: 2 * batch], y[: 2 * batch], **options)
    return best_of(lambda: net.fit(X, y, **options), 3) / math.ceil(ROWS / batch)


class SingleRank:
    """A communicator of one rank."""

    def Get_rank(self) -> int:  # noqa: N802
        """Return the rank."""
        return 0

    def Get_size(self) -> int:  # noqa: N802
        """Return the number of ranks."""
        return 1

    def allgather(self, value: Any) -> list[Any]:
        """Return the value of the only rank."""
        return [value]

    def bcast(self, value: Any) -> Any:
        """Return the value of the only rank."""
        return value

    def Bcast(self, array: np.ndarray, root: int) -> None:  # noqa: N802
        """Do nothing."""

    def Iallreduce(self, sent: np.ndarray, added: np.ndarray) -> SingleRank:  # noqa: N802
        """Copy what was sent."""
        added[:] = sent
        return self

    def Test(self) -> bool:  # noqa: N802
        """Return that the request is complete."""
        return True


def measured_link() -> Link | None:
    """Measure the link between the ranks by Allreduces of 8 bytes and of 16 MB; return None for a single rank."""
    try:
        from mpi4py import MPI
    except ImportError:
        return None
    comm = MPI.COMM_WORLD
    n = comm.Get_size()
    if n == 1:
        return None

    def seconds(count: int, times: int) -> float:
        sent, added = np.ones(count, np.float32), np.empty(count, np.float32)

        def reduce() -> None:
            for _ in range(times):
                comm.Allreduce(sent, added)

        comm.Barrier()
        return best_of(reduce) / times

    latency = seconds(2, 1000) / (2 * math.ceil(math.log2(n)))
    size = 1 << 22
    bandwidth = 2 * (n - 1) / n * 4 * size / seconds(size, 5)
    return Link(f"measured between {n} ranks", latency, bandwidth)


def reductions(ring: Ring, count: int, times: int) -> float:
    """Return the seconds of an Allreduce of so many numbers."""
    sent, added = np.ones(count, np.float32), np.empty(count, np.float32)

    def reduce() -> None:
        for _ in range(times):
            ring.Iallreduce(sent, added).Test()

    return best_of(reduce) / times


def ring_rank(rank: int, listener: socket.socket, addresses: list[tuple[str, int]], token: bytes, told: Any) -> None:
    """Measure as one of the ranks of a ring, and tell the results."""
    ring = Ring.connect(rank, addresses, listener, token, 60.0)
    told.put((reductions(ring, 2, 1000), reductions(ring, 1 << 22, 5)))
    ring.close()


def measured_ring() -> Link:
    """Measure the link between two processes of this machine that form a ring."""
    context = multiprocessing.get_context("spawn")
    listeners = [listen("127.0.0.1") for _ in range(2)]
    addresses = [listener.getsockname()[:2] for listener in listeners]
    told, token = context.Queue(), secrets.token_bytes(TOKEN_BYTES)
    ranks = [
        context.Process(target=ring_rank, args=(rank, listener, addresses, token, told))
        for rank, listener in enumerate(listeners)
    ]
    for process in ranks:
        process.start()
    small, large = told.get()
    for process in ranks:
        process.join()
    return Link("measured between 2 processes in a ring over TCP", small / 2, 4 * (1 << 22) / large, is_ring=True)


def examples_per_second(link: Link, step: float, size: int, batch: int, n: int) -> float:
    """Return the examples per second of n ranks."""
    messages = 2 * (n - 1) if link.is_ring else 2 * math.ceil(math.log2(n))
    communication = messages * link.latency + 2 * (n - 1) / n * size / link.bandwidth
    return n * batch / (step + communication)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--batch", type=int, default=128, help="examples of one rank in a batch")
    parser.add_argument("--max-ranks", type=int, default=64, help="largest number of ranks")
    parser.add_argument("--ring", action="store_true", help="measure two processes that are connected by TCP")
    arguments = parser.parse_args()
    link = measured_ring() if arguments.ring else measured_link()
    if link is not None and not arguments.ring:
        from mpi4py import MPI

        if MPI.COMM_WORLD.Get_rank() != 0:
            return
    plain = arguments.batch / seconds_of_step(arguments.sizes, arguments.batch, None)
    step = seconds_of_step(arguments.sizes, arguments.batch, SingleRank())
    count = Network(arguments.sizes, seed=0).n_parameters
    print(
        f"{'-'.join(map(str, arguments.sizes))}, {arguments.batch} rows a rank: {plain:,.0f} examples/s without ranks"
    )
    counts = [2**k for k in range(1, arguments.max_ranks.bit_length()) if 2**k <= arguments.max_ranks]
    for medium in [link] if link else NOMINAL:
        speeds = {n: examples_per_second(medium, step, 4 * count, arguments.batch, n) for n in counts}
        worthwhile = [n for n, speed in speeds.items() if speed >= max(plain, WORTH_IT * n * plain)]
        print(f"{medium.name}: latency {medium.latency * 1e6:.1f} us, {medium.bandwidth * 1e-9:.2f} GB/s")
        print("  examples/s of ranks: " + ", ".join(f"{n}: {speed:,.0f}" for n, speed in speeds.items()))
        limit = f"up to {max(worthwhile)} ranks" if worthwhile else "never"
        print(f"  pays, at half of the ideal speed-up or more, {limit}")


if __name__ == "__main__":
    main()
