"""One fit on collections: what is decided on the client, then the training of the ranks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np

from ..caller import warn_caller
from ..checks import check_positive
from ..compat.estimators.request import VALIDATION
from ..compat.estimators.scikit_learn import validate_data
from ..tabular.base import FitPlan
from ..tabular.request import EncodedRows, KnownTargets, TabularData, evaluated_sets, make_targets, read_columns
from ..tabular.training import Trained, keep_best, metric_of, set_metrics, settings, warn_of_diverged
from ..training.ring import TOKEN_BYTES
from .cluster import WorkerLostError, client_of, find_places, wait_for, wait_for_ranks
from .encoding import Sample, encoder_of, make_probe, rows_in
from .parts import describe, is_collection, make_parts
from .ranks import Job, RankResult, Share, follow, open_listener, release, train_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HeldOut", "learn"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """In place of inputs that lie on workers: the fitted networks' outputs for them."""

    outputs: NDArray[Any]


def learn(
    estimator: Any, X: Any, y: Any, sample_weight: Any, plan: FitPlan, client: Any, timeout: Any
) -> tuple[TabularData, Trained]:
    """Learn from the partitions of collections, where they lie.

    Parameters
    ----------
    estimator : TabularEstimator
    X, y, sample_weight : collections
    plan : FitPlan
    client : distributed.Client or None
    timeout : float
        Seconds.

    Returns
    -------
    data : TabularData
        Without the inputs of the rows that lie on workers.
    trained : Trained
    """
    _check(estimator, plan, timeout)
    tasks = make_parts(X, y, sample_weight)
    client = client_of(client)
    parts = client.compute(tasks)
    facts = wait_for(client, [client.submit(describe, part, number, pure=False) for number, part in enumerate(parts)])
    starts = np.cumsum([0, *(fact.n_rows for fact in facts)])
    if not starts[-1]:
        raise ValueError(f"X must have at least one row, got none in {len(parts)} partitions")
    targets = validate_data(
        estimator,
        y=np.concatenate([fact.y for fact in facts if fact.n_rows]),
        multi_output=True,
        y_numeric=estimator.predicts_quantities,
    )
    weights = None if sample_weight is None else np.concatenate([fact.weight for fact in facts if fact.n_rows])
    sample = Sample(client, parts, starts, plan.seeds[0])
    columns = read_columns(estimator, sample.table, reset=True)
    name = None if isinstance(y, dask.array.Array) else getattr(y, "name", None)
    known = make_targets(
        estimator, name, columns, targets, weights, plan.seeds[0], plan.recipe, has_validation=VALIDATION in plan.pairs
    )
    if getattr(estimator, "calibrate", False) and len(known.held):
        raise ValueError(
            "on Dask collections calibrate=True needs X_val and y_val, in memory: the held-out rows are not"
        )
    encoder = encoder_of(client, estimator, parts, starts, sample, columns, known, plan.recipe.one_hot_limit)
    sets = evaluated_sets(estimator, plan.pairs, encoder, known)
    parts_of_data = [_without_inputs(known, rows) for rows in (known.train, known.held)]
    validation = sets.get(VALIDATION, parts_of_data[1] if len(known.held) else None)
    data = TabularData(encoder, known.target, parts_of_data[0], validation, list(sets.values()), known.dtype)
    plan.check_validation(data)
    results, ranks = _train(client, estimator, data, known, plan, parts, starts, float(timeout))
    if len(known.held):
        outputs = np.concatenate([result.outputs for result in results if result.outputs is not None])
        order = np.argsort(np.concatenate([rank.held for rank in ranks]))
        held = EncodedRows(HeldOut(outputs[order]), parts_of_data[1].y, parts_of_data[1].weight)  # type: ignore[arg-type]
        data = TabularData(encoder, known.target, data.training, held, data.sets, data.dtype)
    first = results[0]
    warn_of_diverged(first.n_diverged, len(plan.seeds) - 1)
    for message, category in dict.fromkeys(warned for result in results for warned in result.warned):
        warn_caller(message, category)
    return data, Trained(first.networks, first.histories)


def _check(estimator: Any, plan: FitPlan, timeout: Any) -> None:
    check_positive("timeout", timeout)
    if estimator.n_threads not in (None, 1):
        raise ValueError(
            f"on Dask collections each worker trains on one thread, got n_threads={estimator.n_threads}; start a "
            "worker for each processor"
        )
    for name, pair in plan.pairs.items():
        if any(is_collection(value) for value in pair):
            raise TypeError(f"{name} must be in memory, got a Dask collection; compute() it")


def _without_inputs(known: KnownTargets, rows: NDArray[np.int64]) -> EncodedRows:
    return EncodedRows(np.empty((len(rows), 0)), known.y[rows], known.weight_of(rows))


@dataclass(frozen=True, eq=False)
class _Rank:
    """A worker that trains, its partitions, and the places of their held-out rows among all that are held out."""

    worker: str
    numbers: list[int]
    held: NDArray[np.int64]


def _make_ranks(known: KnownTargets, places: Sequence[str], starts: NDArray[np.int64]) -> list[_Rank]:
    """Return the ranks: workers that have rows of each kind; what lies elsewhere is moved to the first."""

    def count(rows: NDArray[np.int64], worker: str) -> int:
        here = (number for number, place in enumerate(places) if place == worker)
        return sum(len(rows_in(rows, starts, number)[0]) for number in here)

    kinds = [known.train, *([known.held] if len(known.held) else [])]
    workers = [worker for worker in dict.fromkeys(places) if all(count(rows, worker) for rows in kinds)]
    workers = workers or [max(places, key=lambda worker: count(known.train, worker))]
    owned: dict[str, list[int]] = {worker: [] for worker in workers}
    for number, place in enumerate(places):
        owned[place if place in owned else workers[0]].append(number)
    return [_Rank(worker, numbers, _rows_of(known.held, starts, numbers)) for worker, numbers in owned.items()]


def _rows_of(rows: NDArray[np.int64], starts: NDArray[np.int64], numbers: Sequence[int]) -> NDArray[np.int64]:
    """Return which of the sorted `rows` lie in some partitions, one partition after the other."""
    found = [rows_in(rows, starts, number)[1] for number in numbers]
    return np.concatenate([np.arange(part.start, part.stop) for part in found])


def _train(
    client: Any,
    estimator: Any,
    data: TabularData,
    known: KnownTargets,
    plan: FitPlan,
    parts: Sequence[Any],
    starts: NDArray[np.int64],
    timeout: float,
) -> tuple[list[RankResult], list[_Rank]]:
    """Train on the workers that have the partitions; return the results of the ranks, and these."""
    ranks = _make_ranks(known, find_places(client, parts), starts)
    workers = [rank.worker for rank in ranks]
    arguments, options = settings(estimator, data.encoder, data.target, data.dtype, plan.recipe)
    metric = plan.metric
    key = secrets.token_hex(8)
    futures: list[Any] = []
    lost: set[str] = set()
    try:
        addresses = client.run(open_listener, key, workers=workers)
        job = Job(
            key=key,
            token=secrets.token_bytes(TOKEN_BYTES),
            timeout=timeout,
            addresses=[addresses[worker] for worker in workers],
            probe=make_probe(estimator),
            encoder=data.encoder,
            arguments=arguments,
            options=options | {"n_threads": 1},
            seeds=plan.seeds[1:],
            recipe=plan.recipe,
            gathered=(metric.column, metric.function) if len(known.held) and not metric.from_fit else None,
            dtype=data.dtype,
        )
        shared = client.scatter(job, workers=workers, broadcast=True, hash=False)
        for number, rank in enumerate(ranks):
            share = _share(estimator, data, known, plan, starts, ranks, number)
            own = client.scatter(share, workers=[rank.worker], hash=False)
            futures.append(
                client.submit(
                    train_rank, number, shared, own, [parts[at] for at in rank.numbers], workers=[rank.worker],
                    pure=False, retries=0, key=f"fastnn-rank-{number}-{key}",
                )
            )  # fmt: skip
        return wait_for_ranks(client, futures, workers), ranks
    except WorkerLostError as error:
        lost = set(error.workers)
        raise
    finally:
        there = [worker for worker in workers if worker in client.nthreads() and worker not in lost]
        if there:
            client.run(release, key, workers=there, on_error="ignore")
        client.cancel(futures)


def _share(
    estimator: Any,
    data: TabularData,
    known: KnownTargets,
    plan: FitPlan,
    starts: NDArray[np.int64],
    ranks: Sequence[_Rank],
    number: int,
) -> Share:
    """Return what one rank is given."""
    rank = ranks[number]
    rows = _rows_of(known.train, starts, rank.numbers)
    train, held = known.train[rows], known.held[rank.held]
    validation = None if len(known.held) else data.validation
    before, after = set_metrics(data), list(estimator.callbacks or ())
    if validation is not None and not plan.metric.from_fit:
        before = [*before, metric_of(plan.metric, validation)]
    if data.validation is not None:
        after = [keep_best(plan.metric, plan.recipe.epochs), *after]
    if number > 0:
        before, after = [], [follow] * bool(before or after)
    if validation is not None and len(validation.y) >= len(ranks):
        own = slice(number, None, len(ranks))
        validation = EncodedRows(validation.X[own], validation.y[own])
    return Share(
        rows=rows,
        n_rows=len(known.train),
        train=[rows_in(known.train, starts, at)[0] for at in rank.numbers],
        held=[rows_in(known.held, starts, at)[0] for at in rank.numbers],
        y=known.y[train],
        y_held=known.y[held],
        weight=known.weight_of(train),
        weight_held=known.weight_of(held),
        validation=validation,
        before=before,
        after=after,
    )
