"""A worker's side of one training: it encodes its rows, and trains on them as one of the ranks."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import distributed
import numpy as np

from ..errors import DivergenceError
from ..history import History
from ..network import Network
from ..tables.encoder import TableEncoder, describe_problem
from ..tabular.recipe import TabularRecipe
from ..tabular.request import EncodedRows, read_columns
from ..tabular.start import fit_start
from ..tabular.training import Trained, as_tuple, mean_outputs
from ..training import partitioned
from ..training.partitioned import GatheredMetric, PartitionedGroup
from ..training.ring import Address, Ring, listen
from .parts import Part

if TYPE_CHECKING:
    import socket

    from numpy.typing import NDArray

__all__ = ["Job", "RankResult", "Share", "open_listener", "release", "train_rank"]

_OPEN: dict[tuple[str, str], socket.socket | Ring] = {}
"""Key of a training and address of a worker of this process -> what must be closed to end its part."""


@dataclass(frozen=True, eq=False)
class Job:
    """What all ranks of a training have in common.

    Attributes
    ----------
    key : str
        Of the training.
    token : bytes
        See `Ring.connect`.
    timeout : float
    addresses : list of (host, port)
        Of each rank.
    probe : estimator
        Which knows the columns' names.
    encoder : TableEncoder
    arguments, options : dict
        Of `Network` and of its `fit`.
    seeds : list of int
        Of each network.
    recipe : TabularRecipe
    gathered : (str, callable) or None
        A metric of the held-out rows that needs those of all ranks: its column and function.
    dtype : str
        Of the inputs.
    """

    key: str
    token: bytes
    timeout: float
    addresses: list[Address]
    probe: Any
    encoder: TableEncoder
    arguments: dict[str, Any]
    options: dict[str, Any]
    seeds: list[int]
    recipe: TabularRecipe
    gathered: tuple[str, Any] | None
    dtype: str


@dataclass(frozen=True, eq=False)
class Share:
    """One rank's part.

    Attributes
    ----------
    rows : ndarray of int64
        The numbers of its training rows among all.
    n_rows : int
        Training rows of all ranks.
    train, held : list of ndarray
        For each partition the places of the rows to learn from, and of those held out.
    y, y_held : ndarray
        Their targets as the network takes them.
    weight, weight_held : ndarray or None
    validation : EncodedRows or None
        Rows that were given for validation, its part.
    before, after : list
        Callbacks of rank 0, before and behind the metric of the held-out rows; of others what stands for them.
    """

    rows: NDArray[np.int64]
    n_rows: int
    train: list[NDArray[np.int64]]
    held: list[NDArray[np.int64]]
    y: NDArray[Any]
    y_held: NDArray[Any]
    weight: NDArray[np.float64] | None
    weight_held: NDArray[np.float64] | None
    validation: EncodedRows | None
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class RankResult:
    """What a rank returns: rank 0 the networks, all the outputs for their held-out rows, and what they warn of."""

    networks: list[Network]
    histories: list[History]
    n_diverged: int
    outputs: NDArray[Any] | None
    warned: list[tuple[str, type[Warning]]]


def open_listener(key: str, dask_worker: Any = None) -> Address:
    """Open the port on which this worker will wait for its neighbour; return host and port."""
    listener = listen(dask_worker.ip)
    _OPEN[key, dask_worker.address] = listener
    host, port = listener.getsockname()[:2]
    return host, port


def release(key: str, dask_worker: Any = None) -> None:
    """Close what this worker has open for a training; a rank that still runs ends with an error."""
    opened = _OPEN.pop((key, dask_worker.address), None)
    if opened is not None:
        opened.close()


def train_rank(rank: int, job: Job, share: Share, parts: Sequence[Part]) -> RankResult:
    """Train as one of the ranks."""
    place = job.key, distributed.get_worker().address
    listener = _OPEN.pop(place)
    assert not isinstance(listener, Ring)
    ring = Ring.connect(rank, job.addresses, listener, job.token, job.timeout)
    _OPEN[place] = ring
    try:
        return _train(ring, job, share, parts)
    finally:
        ring.close()
        _OPEN.pop(place, None)


def _train(ring: Ring, job: Job, share: Share, parts: Sequence[Part]) -> RankResult:
    X, held, warned = _encode(job, share, parts)
    validation = share.validation
    if len(held):
        validation = EncodedRows(held, share.y_held, share.weight_held)
    group = PartitionedGroup(ring, share.rows, share.n_rows)

    def alone(seed: int) -> Trained:
        net = Network(**job.arguments, seed=seed)
        if group.rank == 0:
            fit_start(net, X, job.recipe)
        gathered = [GatheredMetric(*job.gathered, held, share.y_held, share.weight_held)] if job.gathered else []
        callbacks = [*copy.deepcopy(share.before), *gathered, *copy.deepcopy(share.after)]
        history = partitioned.fit(
            net, X, share.y, group, sample_weight=share.weight, validation_data=as_tuple(validation),
            callbacks=callbacks, **job.options,
        )  # fmt: skip
        return Trained([net], [history])

    if group.rank > 0:
        trained, n_diverged = _one_after_another(alone, job.seeds)
    else:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trained, n_diverged = _one_after_another(alone, job.seeds)
        warned += [(str(warning.message), warning.category) for warning in caught]
    outputs = None
    if len(held):
        outputs = mean_outputs(trained.networks, held)
    if group.rank > 0:
        return RankResult([], [], 0, outputs, warned)
    return RankResult(trained.networks, trained.histories, n_diverged, outputs, warned)


def _one_after_another(alone: Callable[[int], Trained], seeds: list[int]) -> tuple[Trained, int]:
    """Call `alone` for each seed; return what was trained, and how many diverged, unless all did."""
    trained, error, n_diverged = Trained([], []), None, 0
    for seed in seeds:
        try:
            found = alone(seed)
        except DivergenceError as diverged:
            error, n_diverged = diverged, n_diverged + 1
            continue
        trained.networks.extend(found.networks)
        trained.histories.extend(found.histories)
        if found.histories[0].stop_reason == "interrupted":
            break
    if not trained.networks and error is not None:
        raise error
    return trained, n_diverged


def _encode(
    job: Job, share: Share, parts: Sequence[Part]
) -> tuple[NDArray[Any], NDArray[Any], list[tuple[str, type[Warning]]]]:
    """Return the inputs of the training rows, those of the rows held out, and what to warn of."""
    warned: list[tuple[str, type[Warning]]] = []
    found: tuple[list[Any], list[Any]] = ([], [])
    for part, train, held in zip(parts, share.train, share.held, strict=True):
        if not len(train) and not len(held):
            continue
        values, problems = job.encoder.raw(read_columns(job.probe, part[0], reset=False))
        unreadable = [problem for problem in problems if not problem.what.startswith("was not seen")]
        warned += [(f"a partition: {describe_problem(problem)}", RuntimeWarning) for problem in unreadable]
        for rows, inputs in zip((train, held), found, strict=True):
            inputs.append(job.encoder.encode(values[rows], job.dtype))
    empty = np.empty((0, len(job.encoder.feature_names)), job.dtype)
    X, X_held = (np.concatenate([empty, *inputs]) for inputs in found)
    return X, X_held, warned


def follow(net: Any, history: Any) -> None:
    """Stand for the callbacks of rank 0 on another rank."""
