"""When training on several machines pays: python -m benchmarks.data_parallel 784,512,512,10 --batch 128.

A model on paper, fed with what is measured here: the seconds that a rank takes for its part of a batch, its calls and
its passes over the parameters included. With n ranks of the same part a step takes

    t(n) = t + 2 ceil(log2 n) latency + 2 (n - 1) / n bytes / bandwidth,

the last two terms those of an Allreduce by recursive halving and doubling (Thakur, Rabenseifner and Gropp, 2005). Under
`mpiexec -n 2` latency and bandwidth are measured between the ranks; else the table is for nominal links.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn import Network

ROWS = 20_000
WORTH_IT = 0.5
"""Share of the ideal pace above which another machine is called worth having."""


class Link(NamedTuple):
    """What connects the ranks: seconds of a message, bytes in a second."""

    name: str
    latency: float
    bandwidth: float


NOMINAL = [
    Link("1 Gbit Ethernet", 5e-5, 1.2e8),
    Link("10 Gbit Ethernet", 3e-5, 1.2e9),
    Link("100 Gbit InfiniBand", 2e-6, 1.2e10),
]


def best_of(call: Callable[[], object], times: int = 7) -> float:
    """The least seconds of a few calls."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return min(spent)


def seconds_of_step(sizes: list[int], batch: int, comm: Alone | None) -> float:
    """One step on one thread, as a plain training or as a rank's."""
    generator = np.random.default_rng(0)
    X = generator.random((ROWS, sizes[0]), dtype=np.float32)
    y = generator.integers(0, sizes[-1], ROWS)
    names = ["relu"] * (len(sizes) - 2) + ["softmax"]
    net = Network(sizes, activation=names, loss="cross_entropy", seed=0)
    options: dict[str, Any] = {"epochs": 1, "batch_size": batch, "learning_rate": 1e-3, "n_threads": 1, "comm": comm}
    net.fit(X[: 2 * batch], y[: 2 * batch], **options)
    return best_of(lambda: net.fit(X, y, **options), 3) / math.ceil(ROWS / batch)


class Alone:
    """A communicator of one rank, which sends nothing anywhere."""

    def Get_rank(self) -> int:  # noqa: N802
        """The only one."""
        return 0

    def Get_size(self) -> int:  # noqa: N802
        """One."""
        return 1

    def allgather(self, value: Any) -> list[Any]:
        """Its own."""
        return [value]

    def bcast(self, value: Any) -> Any:
        """Its own."""
        return value

    def Bcast(self, array: np.ndarray, root: int) -> None:  # noqa: N802
        """Nothing."""

    def Iallreduce(self, sent: np.ndarray, added: np.ndarray) -> Alone:  # noqa: N802
        """A copy."""
        added[:] = sent
        return self

    def Wait(self) -> None:  # noqa: N802
        """Not at all."""


def measured_link() -> Link | None:
    """Between the ranks of this program, from Allreduces of 8 bytes and of 16 MB; None where there is one rank."""
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

        def turn() -> None:
            for _ in range(times):
                comm.Allreduce(sent, added)

        comm.Barrier()
        return best_of(turn) / times

    latency = seconds(2, 1000) / (2 * math.ceil(math.log2(n)))
    size = 1 << 22
    bandwidth = 2 * (n - 1) / n * 4 * size / seconds(size, 5)
    return Link(f"measured between {n} ranks", latency, bandwidth)


def pace(link: Link, step: float, size: int, batch: int, n: int) -> float:
    """Examples per second of n ranks."""
    reduce = 2 * math.ceil(math.log2(n)) * link.latency + 2 * (n - 1) / n * size / link.bandwidth
    return n * batch / (step + reduce)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--batch", type=int, default=128, help="examples of one rank in a batch")
    parser.add_argument("--most", type=int, default=64, help="ranks to look at")
    chosen = parser.parse_args()
    link = measured_link()
    if link is not None:
        from mpi4py import MPI

        if MPI.COMM_WORLD.Get_rank() != 0:
            return
    plain = chosen.batch / seconds_of_step(chosen.sizes, chosen.batch, None)
    step = seconds_of_step(chosen.sizes, chosen.batch, Alone())
    count = Network(chosen.sizes, seed=0).n_parameters
    print(f"{'-'.join(map(str, chosen.sizes))}, {chosen.batch} rows a rank: {plain:,.0f} examples/s without ranks")
    counts = [2**k for k in range(1, chosen.most.bit_length()) if 2**k <= chosen.most]
    for one in [link] if link else NOMINAL:
        paces = {n: pace(one, step, 4 * count, chosen.batch, n) for n in counts}
        worth = [n for n, found in paces.items() if found >= max(plain, WORTH_IT * n * plain)]
        print(f"{one.name}: latency {one.latency * 1e6:.1f} us, {one.bandwidth * 1e-9:.2f} GB/s")
        print("  examples/s of ranks: " + ", ".join(f"{n}: {found:,.0f}" for n, found in paces.items()))
        print(f"  pays, and keeps half of the ideal pace, {f'up to {max(worth)} ranks' if worth else 'never'}")


if __name__ == "__main__":
    main()
