"""One network of a population: trained from where it stands to the end of an epoch, here or in another process."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..callbacks.runner import CallbackRunner, check_callbacks
from ..checks import check_seed
from ..errors import DivergenceError
from ..history import COLUMNS, History, check_monitor
from ..initialisers import as_bias_initialisers, as_initialisers
from ..io.checkpoint_file import Checkpoint
from ..network import Network
from ..spec import Spec, make_spec
from ..training import trainer
from ..training.checkpointing import InMemoryCheckpointer, Pause
from ..training.dataset import Dataset, make_dataset
from ..training.health import HealthMonitor
from ..training.interrupts import Interruption
from ..training.options import FitOptions, make_fit_options

NETWORK_ARGUMENTS = frozenset(inspect.signature(Network.__init__).parameters) - {"self"}
SPEC_ARGUMENTS = frozenset(inspect.signature(make_spec).parameters)
DATA_ARGUMENTS = frozenset({"sample_weight", "class_weight", "validation_data", "validation_split"})
SHARED_ARGUMENTS = frozenset({"n_threads", "progress"})
"""Options of `fit` that are one for all networks."""

START = "start"
"""What is called with a network and the inputs before the network's training."""

FIT_ARGUMENTS = frozenset(inspect.signature(make_fit_options).parameters) - {"spec"} - SHARED_ARGUMENTS
ARGUMENTS = NETWORK_ARGUMENTS | DATA_ARGUMENTS | FIT_ARGUMENTS | {"callbacks", START}


@dataclass(frozen=True)
class TrialSegment:
    """One network's training from where it stands to the end of an epoch; it can be pickled.

    Attributes
    ----------
    number : int
        Of the network's config.
    config : dict
        Arguments of `Network` and of `fit`.
    until : int or None
        Epoch at whose end to pause; None: train to the end.
    saved : Checkpoint or None
        Where the segment before paused.
    n_threads : int
    reported : frozenset of str
        Kinds of trouble of which earlier segments warned.
    """

    number: int
    config: dict[str, Any]
    until: int | None
    saved: Checkpoint | None
    n_threads: int
    reported: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TrialResult:
    """Where a segment ended.

    Attributes
    ----------
    number, net, history
        The network's number, the network, and its history so far.
    saved : Checkpoint or None
        None where the training is over.
    warnings : list of (str, type of Warning)
        What this segment would have warned of.
    reported : frozenset of str
        Kinds of trouble of which this segment and those before warned.
    """

    number: int
    net: Network
    history: History
    saved: Checkpoint | None
    warnings: list[tuple[str, type[Warning]]]
    reported: frozenset[str]


def train_segment(segment: TrialSegment, X: Any, y: Any, interruption: Interruption | None = None) -> TrialResult:
    """Train, and keep what the next segment needs where this one pauses."""
    config = segment.config
    net = Network(**{name: config[name] for name in NETWORK_ARGUMENTS & set(config)})
    if segment.saved is None and config.get(START) is not None:
        config[START](net, X)
    # what a callback gathers belongs to one training
    callbacks = copy.deepcopy(list(config.get("callbacks", ())))
    if segment.until is not None:
        callbacks.append(Pause(segment.until))
    spec = net.engine.spec
    options = _options(spec, config, segment.n_threads)
    dataset = _dataset(spec, config, X, y, net.seed)
    trainer.check_fit(spec, dataset, options, callbacks)
    checkpointer = InMemoryCheckpointer(segment.saved, interruption, net.describe)
    runner = CallbackRunner(callbacks, net, checkpointer.history)
    warnings: list[tuple[str, type[Warning]]] = []

    def report(text: str, category: type[Warning]) -> None:
        warnings.append((text, category))  # the caller of fit_many is in another thread, or process

    health = HealthMonitor(net.engine, report, segment.reported)
    try:
        history = trainer.fit(net.engine, net.training_state, dataset, options, runner, checkpointer, health)
    except DivergenceError as error:
        history = error.history
    paused = history.stop_reason == Pause.stop_reason
    saved = checkpointer.saved if paused else None
    return TrialResult(segment.number, net, history, saved, warnings, frozenset(health.reported))


def train_segments(segments: list[TrialSegment], X: Any, y: Any) -> list[TrialResult]:
    """Train one after the other: a task for an executor."""
    return [train_segment(segment, X, y) for segment in segments]


def resolve_config(number: int, config: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of one network, checked as far as they can be before the training."""
    merged = {**shared, **config}
    for name in merged:
        if name not in ARGUMENTS:
            where = f"configs[{number}]" if name in config else "the shared arguments"
            raise TypeError(f"{name!r} in {where} is no argument that Network or fit takes for each network")
    for name in ("sizes", "epochs"):
        if name not in merged:
            raise TypeError(f"configs[{number}] has no {name!r}, and it is not shared")
    with _named(number):
        spec = _spec(merged)
        merged["sizes"] = list(spec.sizes)
        as_initialisers(merged.get("init"), spec.activation)
        as_bias_initialisers(merged.get("bias_init"), len(spec.activation))
        if merged.get("seed") is not None:
            check_seed(merged["seed"])
        if reason := spec.why_not_trainable():
            raise ValueError(f"this network cannot be trained by gradient descent: {reason}")
        if merged.get(START) is not None and not callable(merged[START]):
            raise TypeError(f"start must be a function of a network and the inputs, got {merged[START]!r:.80}")
        _options(spec, merged, 1)
        check_callbacks(merged.get("callbacks", ()), COLUMNS)
        copy.deepcopy(merged.get("callbacks", ()))
    return merged


def check_data(configs: list[dict[str, Any]], X: Any, y: Any, monitor: str | None) -> None:
    """Check the data of every network, as far as they differ, and what watches the columns of its history.

    Parameters
    ----------
    configs : list of dict
        As `resolve_config` returned them.
    X, y : array_like
    monitor : str or None
        What the networks are to be ranked by.
    """
    columns: dict[Any, list[str]] = {}
    for number, config in enumerate(configs):
        with _named(number):
            spec = _spec(config)
            given = [config.get(name) for name in sorted(DATA_ARGUMENTS)]
            key = (
                spec.sizes[0],
                spec.sizes[-1],
                spec.loss,
                spec.repeats_target,
                spec.dtype,
                spec.input_scale,
                *map(id, given),
            )
            if key not in columns:
                columns[key] = _dataset(spec, config, X, y, 0).columns
            options, callbacks = _options(spec, config, 1), config.get("callbacks", ())
            check_callbacks(callbacks, columns[key])
            watched = options.rates.source.monitor if options.rates.reads_history else None
            for name in (watched, None if callbacks else monitor):  # a callback may add a column
                if name is not None:
                    check_monitor(name, columns[key])


@contextmanager
def _named(number: int) -> Iterator[None]:
    """Let errors say whose config it is."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"configs[{number}]: {error}") from None


def _spec(config: Mapping[str, Any]) -> Spec:
    return make_spec(**{name: config[name] for name in SPEC_ARGUMENTS & set(config)})


def _options(spec: Spec, config: Mapping[str, Any], n_threads: int) -> FitOptions:
    given = {name: config[name] for name in FIT_ARGUMENTS & set(config)}
    return make_fit_options(spec, **given, n_threads=n_threads, progress=False)


def _dataset(spec: Spec, config: Mapping[str, Any], X: Any, y: Any, seed: int) -> Dataset:
    given = {name: config[name] for name in DATA_ARGUMENTS & set(config)}
    return make_dataset(spec, X, y, **given, split_seed=seed)


def cost_of(config: Mapping[str, Any]) -> float:
    """Return the work of one network, as far as it is known before its training."""
    return float(sum(a * b for a, b in pairwise(config["sizes"])) * config["epochs"])
