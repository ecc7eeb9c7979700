"""Many networks at once: sweeps, ensembles, and the halving of those that do worst."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from . import inputs
from .callbacks.runner import check_callbacks
from .checks import check_int
from .errors import DivergenceError
from .history import COLUMNS, History, monitor_sign
from .io.checkpoint_file import Checkpoint
from .kernels import threads
from .network import Network
from .optimizers import as_optimizer
from .spec import make_spec
from .training.checkpointing import InMemoryCheckpointer, Pause
from .training.interrupts import Interruption
from .training.progress import shown_by_default

OF_NETWORK = frozenset(inspect.signature(Network.__init__).parameters) - {"self"}
OF_FIT = frozenset(inspect.signature(Network.fit).parameters) - {"self", "X", "y"}
OF_SPEC = frozenset(inspect.signature(make_spec).parameters)
OF_ALL = frozenset({"n_threads", "progress", "checkpoint", "resume", "checkpoint_seconds"})
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
        Its last value in each history; NaN where there is none, or the training diverged.
    ranking : list of int
        Numbers of the configs, the best first.
    ensemble : Ensemble or None
        The best networks together, where `ensemble=` asked for it.
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
        """The network that ranks first."""
        return self.networks[self.ranking[0]]

    def __repr__(self) -> str:
        first = self.ranking[0]
        return f"Population({len(self.networks)} networks, best {first}: {self.monitor}={self.scores[first]:.4g})"


class Ensemble:
    """Networks whose outputs are averaged.

    Parameters
    ----------
    networks : sequence of Network
        With the same numbers of inputs and outputs.

    Examples
    --------
    >>> import fastnn
    >>> ensemble = fastnn.Ensemble([fastnn.Network([2, 3, 1], seed=seed) for seed in range(5)])
    >>> ensemble.predict([[0.0, 1.0]]).shape
    (1, 1)
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        if not isinstance(networks, Iterable):
            raise TypeError(f"networks must be a sequence of Network, got {networks!r:.80}")
        self.networks = tuple(networks)
        strangers = [net for net in self.networks if not isinstance(net, Network)]
        if strangers or not self.networks:
            raise TypeError(f"networks must be one Network or more, got {strangers[0] if strangers else ()!r:.80}")
        shapes = {(net.sizes[0], net.sizes[-1]) for net in self.networks}
        if len(shapes) != 1:
            raise ValueError(f"networks must have the same inputs and outputs, got {sorted(shapes)}")

    def predict(self, X: Any) -> np.ndarray:
        """The mean of the networks' outputs, (n, n_outputs), float64; X as in `Network.predict`."""
        X = inputs.as_indexable("X", X)
        total = self.networks[0].predict(X).astype(np.float64)
        for net in self.networks[1:]:
            total += net.predict(X)
        return total / len(self.networks)

    def classify(self, X: Any) -> np.ndarray:
        """The index of the largest mean, (n,); with one output 0 or 1, split at 0.5."""
        outputs = self.predict(X)
        return (outputs[:, 0] >= 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)).astype(np.int64)


@dataclass
class Part:
    """One network's training from where it stands to the end of an epoch; all of it can be sent elsewhere."""

    number: int
    config: dict[str, Any]
    until: int | None
    saved: Checkpoint | None
    n_threads: int


@dataclass
class Outcome:
    """Where a part ended."""

    number: int
    net: Network
    history: History
    saved: Checkpoint | None


def train_part(part: Part, X: Any, y: Any, interruption: Interruption | None = None) -> Outcome:
    """Train, and keep what the next part needs where this one ends in a pause."""
    config = dict(part.config)
    net = Network(**{name: config.pop(name) for name in OF_NETWORK & set(config)})
    # what a callback gathers belongs to one training
    callbacks = copy.deepcopy(list(config.pop("callbacks", ())))
    if part.until is not None:
        callbacks.append(Pause(part.until))
    keeper: Any = InMemoryCheckpointer(part.saved, interruption)
    options = {"callbacks": callbacks, "checkpoint": keeper, "n_threads": part.n_threads, "progress": False}
    try:
        history = net.fit(X, y, **config, **options)
    except DivergenceError as error:
        history = error.history
    saved = keeper.saved if history.stop_reason == Pause.stop_reason else None
    return Outcome(part.number, net, history, saved)


def _is_lbfgs(optimizer: Any) -> bool:
    return optimizer == "lbfgs" or type(optimizer).__name__ == "LBFGS"


def train_parts(parts: list[Part], X: Any, y: Any) -> list[Outcome]:
    """Train one after the other: a task for an executor."""
    return [train_part(part, X, y) for part in parts]


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
        For each network its arguments of `Network` and of `Network.fit`.
    X, y : array_like
        As in `Network.fit`; one copy serves all.
    monitor : str, optional
        Column of the history that ranks them by its last value: the larger the better for accuracies, the smaller for
        others. None: "val_loss" where there is validation data, else "loss".
    halving : int, optional
        After so many epochs, and after twice, four times, ... as many, the worse half of those still training stops
        (successive halving: Jamieson and Talwalkar, 2016).
    ensemble : int, optional
        Average the best so many in `Population.ensemble`.
    n_threads : int, optional
        Networks trained at a time; None: one for each processor. An executor has its own number.
    executor : optional
        Anything with `submit(function, *arguments)` that returns an object with `result()`: of `concurrent.futures`,
        of loky (joblib), of a Dask client (`client.get_executor()`), of mpi4py. Data and networks travel by pickle.
    tasks : int, optional
        Parts of about equal cost into which the networks are dealt for the executor. None: two for each worker.
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
    >>> found = fastnn.fit_many(
    ...     configs, X, X**2, activation=["tanh", "identity"], epochs=20, learning_rate=0.1, ensemble=3
    ... )
    >>> len(found.networks), found.best.sizes[0], len(found.ensemble.networks)
    (6, 1, 3)
    """
    settled = [_settled(number, config, shared) for number, config in enumerate(_checked(configs))]
    count = len(settled)
    if halving is not None:
        halving = check_int("halving", halving, 1)
        if any(_is_lbfgs(config.get("optimizer")) for config in settled):
            raise ValueError("halving is for trainings in steps; optimizer 'lbfgs' has none")
    if monitor is not None:
        called = any(config.get("callbacks") for config in settled)
        if not isinstance(monitor, str) or (monitor not in COLUMNS and not called):
            raise ValueError(f"monitor must be one of {', '.join(COLUMNS)}, or a column of a callback; got {monitor!r}")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have a method submit(function, *arguments), got {executor!r:.80}")
    if ensemble is not None and check_int("ensemble", ensemble, 1) > count:
        raise ValueError(f"ensemble must be at most the number of networks, {count}, got {ensemble}")
    workers = threads.n_processors() if n_threads is None else check_int("n_threads", n_threads, 1)
    X, y = inputs.as_indexable("X", X), inputs.as_numeric_array("y", y)
    interruption = Interruption()
    outcomes: dict[int, Outcome] = {}
    alive = list(range(count))
    with interruption, _Count(progress, count) as bar:
        until = halving
        while alive:
            saved = {number: outcome.saved for number, outcome in outcomes.items()}
            alone = workers if len(alive) == 1 and executor is None else 1
            parts = [Part(number, settled[number], until, saved.get(number), alone) for number in alive]
            parts.sort(key=lambda part: _cost(part.config), reverse=True)
            if executor is None:
                found = _on_threads(parts, X, y, workers, interruption, bar)
            else:
                found = _on_executor(executor, tasks, parts, X, y, bar)
            outcomes |= {outcome.number: outcome for outcome in found}
            monitored = monitor or _monitor(outcomes.values())
            alive = _survivors(alive, outcomes, monitored)
            bar.finished(count - len(alive))
            until = 2 * until if until is not None else None
    in_order = [outcomes[number] for number in range(count)]
    scores = np.array([_score(outcome.history, monitored) for outcome in in_order])
    ranking = _ranked(range(count), outcomes, monitored)
    networks = [outcome.net for outcome in in_order]
    best = Ensemble([networks[number] for number in ranking[:ensemble]]) if ensemble else None
    return Population(settled, networks, [outcome.history for outcome in in_order], monitored, scores, ranking, best)


def _checked(configs: Any) -> list[Mapping[str, Any]]:
    if not isinstance(configs, Sequence) or not all(isinstance(config, Mapping) for config in configs):
        raise TypeError(f"configs must be a sequence of dicts, got {configs!r:.80}")
    if not configs:
        raise ValueError("configs must have at least one dict, got none")
    return list(configs)


def _settled(number: int, config: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of one network."""
    together = {**shared, **config}
    for name in together:
        if name in OF_ALL or name not in OF_NETWORK | OF_FIT:
            where = f"configs[{number}]" if name in config else "the shared arguments"
            raise TypeError(f"{name!r} in {where} is no argument that Network or fit takes for each network")
    for name in ("sizes", "epochs"):
        if name not in together:
            raise TypeError(f"configs[{number}] has no {name!r}, and it is not shared")
    described = {name: together[name] for name in OF_SPEC & set(together)}
    try:
        together["sizes"] = list(make_spec(**described).sizes)
        check_int("epochs", together["epochs"], 0)
        check_int("batch_size", together.get("batch_size", 1), 1)
        as_optimizer(together.get("optimizer", "sgd"))
        check_callbacks(together.get("callbacks", ()), COLUMNS)
        copy.deepcopy(together.get("callbacks", ()))
    except (TypeError, ValueError) as error:
        raise type(error)(f"configs[{number}]: {error}") from None
    return together


def _cost(config: Mapping[str, Any]) -> float:
    """Work of one network, as far as it can be told beforehand."""
    sizes = config["sizes"]
    return sum(a * b for a, b in pairwise(sizes)) * config["epochs"]


def _on_threads(
    parts: list[Part], X: Any, y: Any, workers: int, interruption: Interruption, bar: _Count
) -> list[Outcome]:
    """The costly ones first, each thread taking the next: compiled code holds no lock of Python's."""
    with ThreadPoolExecutor(min(workers, len(parts))) as pool:
        waiting = {pool.submit(train_part, part, X, y, interruption) for part in parts}
        return _collected(waiting, bar, interruption)


def _collected(waiting: set[Future[Outcome]], bar: _Count, interruption: Interruption) -> list[Outcome]:
    outcomes = []
    try:
        while waiting:
            # a signal that another thread received is handled here, but does not wake this one
            done, waiting = wait(waiting, POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                outcomes.append(future.result())
                bar.ended(outcomes[-1].history)
    except BaseException:
        interruption.requested = True  # those under way end at their next step
        for future in waiting:
            future.cancel()
        raise
    return outcomes


def _on_executor(executor: Any, tasks: int | None, parts: list[Part], X: Any, y: Any, bar: _Count) -> list[Outcome]:
    """Dealt out so that the tasks cost about the same."""
    wanted = check_int("tasks", tasks, 1) if tasks else 2 * getattr(executor, "_max_workers", UNKNOWN_WORKERS)
    dealt: list[list[Part]] = [[] for _ in range(min(wanted, len(parts)))]
    costs = [0.0] * len(dealt)
    for part in parts:
        cheapest = costs.index(min(costs))
        dealt[cheapest].append(part)
        costs[cheapest] += _cost(part.config)
    futures = [executor.submit(train_parts, group, X, y) for group in dealt]
    outcomes = []
    for future in futures:
        for outcome in future.result():
            outcomes.append(outcome)
            bar.ended(outcome.history)
    return outcomes


def _monitor(outcomes: Any) -> str:
    trained = [outcome.history for outcome in outcomes if outcome.history.epochs]
    return "val_loss" if all("val_loss" in history for history in trained) else "loss"


def _score(history: History, monitor: str) -> float:
    if history.stop_reason == "diverged" or not history.epochs:
        return float("nan")
    return history.column(monitor)[-1]


def _ranked(numbers: Any, outcomes: Mapping[int, Outcome], monitor: str) -> list[int]:
    sign = monitor_sign(monitor)

    def place(number: int) -> tuple[bool, float, int]:
        score = _score(outcomes[number].history, monitor)
        return not np.isfinite(score), sign * score if np.isfinite(score) else 0.0, number

    return sorted(numbers, key=place)


def _survivors(alive: list[int], outcomes: Mapping[int, Outcome], monitor: str) -> list[int]:
    """Of those that were paused the better half of all that trained; the others are told why they stop."""
    better = _ranked(alive, outcomes, monitor)[: (len(alive) + 1) // 2]
    paused = [number for number in alive if outcomes[number].history.stop_reason == Pause.stop_reason]
    for number in set(paused) - set(better):
        outcomes[number].history.stop_reason = "halving"
    return [number for number in paused if number in better]


class _Count:
    """A bar of networks that are done; silent where nobody watches."""

    def __init__(self, wanted: bool | None, count: int) -> None:
        from tqdm.auto import tqdm

        shown = shown_by_default() if wanted is None else wanted
        self._bar = tqdm(total=count, unit="network", delay=1.0 if wanted is None else 0.0, disable=not shown)

    def ended(self, history: History) -> None:
        """One more part has ended."""
        if history.stop_reason != Pause.stop_reason:
            self._bar.update(1)

    def finished(self, done: int) -> None:
        """So many networks will train no more."""
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> _Count:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
