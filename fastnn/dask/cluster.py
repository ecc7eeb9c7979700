"""The client's side: where partitions lie, starting the ranks of a training, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import distributed

from ..training.ring import RankLostError

__all__ = ["WorkerLostError", "client_of", "find_places", "wait_for", "wait_for_ranks"]

POLL = 1.0
"""Seconds between two looks at which workers are there."""

GRACE = 10.0
"""Seconds in which the other ranks, and the scheduler, notice that a worker is lost."""


class WorkerLostError(RuntimeError):
    """A worker of the cluster was lost during a training.

    Attributes
    ----------
    workers : tuple of str
        The addresses of those that are lost.

    Examples
    --------
    >>> from fastnn.dask import WorkerLostError
    >>> print(WorkerLostError(("tcp://10.0.0.2:4000",)))
    the training lost the worker tcp://10.0.0.2:4000; fit again: Dask computes its partitions anew, if it can
    """

    def __init__(self, workers: Sequence[str], reason: str = "") -> None:
        super().__init__(tuple(workers), reason)
        self.workers, self.reason = tuple(workers), reason

    def __str__(self) -> str:
        lost = f"the worker{'s' * (len(self.workers) > 1)} {', '.join(self.workers)}" if self.workers else "all workers"
        reason = f" ({self.reason})" if self.reason else ""
        return f"the training lost {lost}{reason}; fit again: Dask computes its partitions anew, if it can"


def client_of(client: Any) -> Any:
    """Return the client given, or the current one.

    Raises
    ------
    TypeError, ValueError
        If there is none, or it cannot be used.
    """
    if client is None:
        try:
            client = distributed.get_client()
        except ValueError:
            raise ValueError(
                "fit needs a client of a Dask cluster: make one first, client = distributed.Client(...)"
            ) from None
    if not isinstance(client, distributed.Client) or client.asynchronous:
        raise TypeError(f"client must be a distributed.Client that is not asynchronous, got {client!r:.80}")
    secured = [address for address in client.nthreads() if address.startswith("tls:")]
    if secured:
        raise ValueError(
            f"the workers exchange gradients over plain TCP, but this cluster is secured by TLS ({secured[0]}); use a "
            "cluster on tcp:// in a network that you trust"
        )
    return client


def wait_for(client: Any, futures: Sequence[Any]) -> list[Any]:
    """Return the results of tasks that any worker may run; raise their first error, or WorkerLostError."""
    pending = list(futures)
    while pending:
        pending = _still_pending(pending)
        if pending and not client.nthreads():
            raise WorkerLostError(())
    return list(client.gather(list(futures)))


def _still_pending(futures: Sequence[Any]) -> list[Any]:
    """Wait a moment; return the tasks that are not done."""
    with suppress(TimeoutError, distributed.CancelledError):
        distributed.wait(list(futures), timeout=POLL, return_when="FIRST_COMPLETED")
    return [future for future in futures if not future.done()]


def find_places(client: Any, futures: Sequence[Any]) -> list[str]:
    """Return the address of a worker that holds the result of each task."""
    while True:
        wait_for(client, [client.submit(_there, future, pure=False) for future in futures])
        places = client.who_has(list(futures))
        if all(places.get(future.key) for future in futures):  # else a worker was lost just now
            return [min(places[future.key]) for future in futures]


def _there(result: Any) -> None:
    """Show that a result is there."""


def wait_for_ranks(client: Any, futures: Sequence[Any], workers: Sequence[str]) -> list[Any]:
    """Return the results of the ranks of one training.

    Parameters
    ----------
    client : distributed.Client
    futures : sequence of Future
        The task of each rank.
    workers : sequence of str
        Where it runs.

    Raises
    ------
    WorkerLostError
        If a worker is gone.
    Exception
        What a rank raised, with a note of its worker.
    """
    pending = list(futures)
    while pending:
        pending = _still_pending(pending)
        if any(future.done() and future.status != "finished" for future in futures):
            break
        lost = _missing(client, workers) if pending else []
        if lost:
            raise WorkerLostError(lost)
    else:
        return list(client.gather(list(futures)))
    _raise_cause(client, futures, workers)
    raise AssertionError


def _missing(client: Any, workers: Sequence[str]) -> list[str]:
    there = set(client.nthreads())
    return [worker for worker in workers if worker not in there]


def _raise_cause(client: Any, futures: Sequence[Any], workers: Sequence[str]) -> None:
    """Raise what went wrong first, once all ranks have ended: their own error, or the loss of a worker."""
    end = time.monotonic() + GRACE
    errors: dict[int, BaseException] = {}
    while time.monotonic() < end:
        pending = [future for future in futures if not future.done()]
        if pending:
            _still_pending(pending)
        errors = {rank: future.exception() for rank, future in enumerate(futures) if future.status == "error"}
        own = {rank: error for rank, error in errors.items() if not isinstance(error, RankLostError)}
        if own:
            rank, error = min(own.items(), key=lambda pair: pair[0])
            error.add_note(f"on the worker {workers[rank]}")
            raise error
        lost = _missing(client, workers)
        if lost:
            raise WorkerLostError(lost)
        time.sleep(0.05)
    broken = [error for error in errors.values() if isinstance(error, RankLostError)]
    named = {error.rank for error in broken}
    silent = sorted(named - errors.keys()) or sorted(named)
    reason = "; ".join(sorted({error.reason for error in broken}))
    raise WorkerLostError([workers[rank] for rank in silent], reason)
