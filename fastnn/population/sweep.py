"""Train many networks on the same data: sweeps and successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import inputs
from ..caller import warn_caller
from ..checks import check_bool, check_int
from ..history import COLUMNS, History, monitor_sign
from ..kernels import threads
from ..network import Network
from ..optimizers import LBFGS, as_optimizer
from ..training.checkpointing import Pause
from ..training.interrupts import Interruption
from ..training.progress import shown_by_default
from .ensemble import Ensemble
from .trials import TrialResult, TrialSegment, check_data, cost_of, resolve_config, train_segment, train_segments

POLL_SECONDS = 0.1
UNKNOWN_WORKERS = 16
"""Workers that an executor is taken to have where it does not say."""


@dataclass
class Population:
    """What `fit_many` returns; all lists are in the order of the configs.

    Attributes
    ----------
    configs : list of dict
        The arguments of each network, the shared ones included.
    networks : list of Network
    histories : list of History
        One that was stopped by `halving` has `stop_reason` "halving"; one that diverged "diverged".
    monitor : str
        Column of the histories by which the networks are ranked.
    scores : ndarray, (n,)
        Its last value in each history; NaN if the history lacks the column or the training diverged.
    ranking : list of int
        Numbers of the configs, the best first.
    ensemble : Ensemble or None
        The best networks together, where `ensemble=` requested it.
    """

    configs: list[dict[str, Any]]
    networks: list[Network]
    histories: list[History]
    monitor: str
    scores: np.ndarray
    ranking: list[int]
    ensemble: Ensemble | None = None

    @property
    def best(self) -> Network:
        """Network that ranks first."""
        return self.networks[self.ranking[0]]

    def __repr__(self) -> str:
        first = self.ranking[0]
        return f"Population({len(self.networks)} networks, best {first}: {self.monitor}={self.scores[first]:.4g})"


def fit_many(
    configs: Sequence[Mapping[str, Any]],
    X: Any,
    y: Any,
    *,
    monitor: str | None = None,
    halving: int | None = None,
    ensemble: int | None = None,
    n_threads: int | None = None,
    executor: Any = None,
    tasks: int | None = None,
    progress: bool | None = None,
    **shared: Any,
) -> Population:
    """Train many networks on the same data, each on a thread of its own.

    Each ends with the bits of `Network(...).fit(X, y, ...)` with the same arguments.

    Parameters
    ----------
    configs : sequence of dict
        For each network its arguments of `Network` and of `Network.fit`, and `start`: a function that is called with
        the network and X before the training, such as `fastnn.initialisers.from_data`.
    X, y : array_like
        As in `Network.fit`; one copy serves all.
    monitor : str, optional
        Column of the history that ranks them by its last value: the larger the better for names that end in accuracy,
        auc or r2, the smaller for others. None: "val_loss" where there is validation data, else "loss".
    halving : int, optional
        After so many epochs, and after twice, four times, ... as many, the worse half of those still training stops
        (successive halving: Jamieson and Talwalkar, 2016).
    ensemble : int, optional
        Average the best so many in `Population.ensemble`.
    n_threads : int, optional
        Networks trained at a time; None: one for each processor. Not with an executor, which has its own number.
    executor : optional
        Anything with `submit(function, *arguments)` that returns an object with `result()`: of `concurrent.futures`,
        of loky (joblib), of a Dask client (`client.get_executor()`), of mpi4py. Data and networks travel by pickle.
    tasks : int, optional
        Parts of about equal cost into which the networks are dealt; with an executor only. None: two for each worker.
    progress : bool, optional
        Show a progress bar of networks. None: where stderr is a terminal, after a second.
    **shared
        Arguments of `Network` and `Network.fit` for all; those of a config come first.

    Returns
    -------
    Population

    Raises
    ------
    TypeError, ValueError
        For bad input, before anything is trained where it can be seen then.

    Notes
    -----
    Ctrl-C ends all trainings within a second; what they learned is returned. A network that diverges ranks last.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> X = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    >>> configs = [dict(sizes=[1, n, 1], seed=seed) for n in (2, 8) for seed in range(3)]
    >>> population = fastnn.fit_many(
    ...     configs, X, X**2, activation=["tanh", "identity"], epochs=20, learning_rate=0.1, ensemble=3
    ... )
    >>> len(population.networks), population.best.sizes[0], len(population.ensemble.networks)
    (6, 1, 3)
    """
    resolved = [resolve_config(number, config, shared) for number, config in enumerate(_checked(configs))]
    count = len(resolved)
    if halving is not None:
        halving = check_int("halving", halving, 1)
        if any(isinstance(as_optimizer(config.get("optimizer", "sgd")), LBFGS) for config in resolved):
            raise ValueError("halving is for optimizers that take steps; 'lbfgs' takes none")
    if monitor is not None:
        called = any(config.get("callbacks") for config in resolved)
        if not isinstance(monitor, str) or (monitor not in COLUMNS and not called):
            raise ValueError(f"monitor must be one of {', '.join(COLUMNS)}, or a column of a callback; got {monitor!r}")
    if ensemble is not None and check_int("ensemble", ensemble, 1) > count:
        raise ValueError(f"ensemble must be at most the number of networks, {count}, got {ensemble}")
    workers = threads.n_processors() if n_threads is None else check_int("n_threads", n_threads, 1)
    _check_executor(executor, n_threads, tasks)
    progress = None if progress is None else check_bool("progress", progress)
    X, y = inputs.as_indexable("X", X), inputs.as_numeric_array("y", y)
    check_data(resolved, X, y, monitor)
    interruption = Interruption()
    results: dict[int, TrialResult] = {}
    alive = list(range(count))
    warned: dict[tuple[str, type[Warning]], list[int]] = {}
    with interruption, _ProgressCount(progress, count) as bar:
        until = halving
        while alive:
            per_network = workers if len(alive) == 1 and executor is None else 1
            segments = [_segment(number, resolved[number], until, results.get(number), per_network) for number in alive]
            segments.sort(key=lambda segment: cost_of(segment.config), reverse=True)
            if executor is None:
                ended = _on_threads(segments, X, y, workers, interruption, bar)
            else:
                ended = _on_executor(executor, tasks, segments, X, y, bar)
            results |= {result.number: result for result in ended}
            for result in ended:
                for warning in result.warnings:
                    warned.setdefault(warning, []).append(result.number)
            monitored = monitor or _monitor(results.values())
            alive = _survivors(alive, results, monitored)
            bar.finished(count - len(alive))
            until = 2 * until if until is not None else None
    _warn_of_trials(warned)
    in_order = [results[number] for number in range(count)]
    scores = np.array([_score(result.history, monitored) for result in in_order])
    ranking = _ranked(range(count), results, monitored)
    networks = [result.net for result in in_order]
    best = Ensemble([networks[number] for number in ranking[:ensemble]]) if ensemble else None
    return Population(resolved, networks, [result.history for result in in_order], monitored, scores, ranking, best)


def _segment(
    number: int, config: dict[str, Any], until: int | None, before: TrialResult | None, n_threads: int
) -> TrialSegment:
    """Return the next segment of a network, from where the one before ended."""
    if before is None:
        return TrialSegment(number, config, until, None, n_threads)
    return TrialSegment(number, config, until, before.saved, n_threads, before.reported)


def _warn_of_trials(warned: Mapping[tuple[str, type[Warning]], list[int]]) -> None:
    """Warn once of what several networks have in common."""
    for (text, category), numbers in warned.items():
        first, more = min(numbers), len(set(numbers)) - 1
        others = f" and {more} more" if more else ""
        warn_caller(f"configs[{first}]{others}: {text}", category)


def _checked(configs: Any) -> list[Mapping[str, Any]]:
    if not isinstance(configs, Sequence) or not all(isinstance(config, Mapping) for config in configs):
        raise TypeError(f"configs must be a sequence of dicts, got {configs!r:.80}")
    if not configs:
        raise ValueError("configs must have at least one dict, got none")
    return list(configs)


def _check_executor(executor: Any, n_threads: int | None, tasks: Any) -> None:
    """Raise for what is no executor, and for options that are ruled out with or without one."""
    if executor is None:
        if tasks is not None:
            raise ValueError(f"tasks are those of an executor, and there is none; got tasks={tasks!r:.80}")
        return
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have a method submit(function, *arguments), got {executor!r:.80}")
    if n_threads is not None:
        raise ValueError(f"an executor has its own number of workers; got n_threads={n_threads} too")
    if tasks is not None:
        check_int("tasks", tasks, 1)


def _on_threads(
    segments: list[TrialSegment], X: Any, y: Any, workers: int, interruption: Interruption, bar: _ProgressCount
) -> list[TrialResult]:
    """Train the costly ones first, each thread taking the next: compiled code does not hold the GIL."""
    with ThreadPoolExecutor(min(workers, len(segments))) as pool:
        waiting = {pool.submit(train_segment, segment, X, y, interruption) for segment in segments}
        return _collected(waiting, bar, interruption)


def _collected(waiting: set[Future[TrialResult]], bar: _ProgressCount, interruption: Interruption) -> list[TrialResult]:
    results = []
    try:
        while waiting:
            # a signal that another thread received is handled here, but does not wake this one
            done, waiting = wait(waiting, POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                results.append(future.result())
                bar.ended(results[-1].history)
    except BaseException:
        interruption.requested = True  # those under way end at their next step
        for future in waiting:
            future.cancel()
        raise
    return results


def _on_executor(
    executor: Any, tasks: int | None, segments: list[TrialSegment], X: Any, y: Any, bar: _ProgressCount
) -> list[TrialResult]:
    """Deal the segments out so that the tasks cost about the same."""
    n_tasks = 2 * getattr(executor, "_max_workers", UNKNOWN_WORKERS) if tasks is None else tasks
    dealt: list[list[TrialSegment]] = [[] for _ in range(min(n_tasks, len(segments)))]
    costs = [0.0] * len(dealt)
    for segment in segments:
        cheapest = costs.index(min(costs))
        dealt[cheapest].append(segment)
        costs[cheapest] += cost_of(segment.config)
    futures = [executor.submit(train_segments, group, X, y) for group in dealt]
    results = []
    for future in futures:
        for result in future.result():
            results.append(result)
            bar.ended(result.history)
    return results


def _monitor(results: Any) -> str:
    trained = [result.history for result in results if result.history.epochs]
    return "val_loss" if all("val_loss" in history for history in trained) else "loss"


def _score(history: History, monitor: str) -> float:
    if history.stop_reason == "diverged" or not history.epochs:
        return float("nan")
    return history.column(monitor)[-1]


def _ranked(numbers: Any, results: Mapping[int, TrialResult], monitor: str) -> list[int]:
    sign = monitor_sign(monitor)

    def place(number: int) -> tuple[bool, float, int]:
        score = _score(results[number].history, monitor)
        return not np.isfinite(score), sign * score if np.isfinite(score) else 0.0, number

    return sorted(numbers, key=place)


def _survivors(alive: list[int], results: Mapping[int, TrialResult], monitor: str) -> list[int]:
    """Return those of the better half that have more to train; the others' histories say why they stop."""
    better = _ranked(alive, results, monitor)[: (len(alive) + 1) // 2]
    paused = [number for number in alive if results[number].history.stop_reason == Pause.stop_reason]
    for number in set(paused) - set(better):
        results[number].history.stop_reason = "halving"
    return [number for number in paused if number in better]


class _ProgressCount:
    """Show a bar of the networks that are done; silent where stderr is no terminal."""

    def __init__(self, shown: bool | None, count: int) -> None:
        from tqdm.auto import tqdm

        visible = shown_by_default() if shown is None else shown
        self._bar = tqdm(total=count, unit="network", delay=1.0 if shown is None else 0.0, disable=not visible)

    def ended(self, history: History) -> None:
        """Count a network whose training has ended."""
        if history.stop_reason != Pause.stop_reason:
            self._bar.update(1)

    def finished(self, done: int) -> None:
        """Set how many networks will train no more."""
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> _ProgressCount:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
