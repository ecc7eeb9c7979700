"""One network of a population: trained from where it stands to the end of an epoch, here or in another process."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..callbacks.runner import CallbackRunner, check_callbacks
from ..checks import check_int
from ..errors import DivergenceError
from ..history import COLUMNS, History
from ..io.checkpoint_file import Checkpoint
from ..network import Network
from ..optimizers import as_optimizer
from ..spec import make_spec
from ..training import trainer
from ..training.checkpointing import InMemoryCheckpointer, Pause
from ..training.dataset import make_dataset
from ..training.interrupts import Interruption
from ..training.options import make_fit_options

NETWORK_ARGUMENTS = frozenset(inspect.signature(Network.__init__).parameters) - {"self"}
SPEC_ARGUMENTS = frozenset(inspect.signature(make_spec).parameters)
DATA_ARGUMENTS = frozenset({"sample_weight", "class_weight", "validation_data", "validation_split"})
SHARED_ARGUMENTS = frozenset({"n_threads", "progress"})
"""Options of `fit` that are one for all networks."""

FIT_ARGUMENTS = frozenset(inspect.signature(make_fit_options).parameters) - {"spec"} - SHARED_ARGUMENTS
ARGUMENTS = NETWORK_ARGUMENTS | DATA_ARGUMENTS | FIT_ARGUMENTS | {"callbacks"}


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
    """

    number: int
    config: dict[str, Any]
    until: int | None
    saved: Checkpoint | None
    n_threads: int


@dataclass(frozen=True)
class TrialResult:
    """Where a segment ended; `saved` is None where the training is over."""

    number: int
    net: Network
    history: History
    saved: Checkpoint | None


def train_segment(segment: TrialSegment, X: Any, y: Any, interruption: Interruption | None = None) -> TrialResult:
    """Train, and keep what the next segment needs where this one pauses."""
    config = segment.config
    net = Network(**{name: config[name] for name in NETWORK_ARGUMENTS & set(config)})
    # what a callback gathers belongs to one training
    callbacks = copy.deepcopy(list(config.get("callbacks", ())))
    if segment.until is not None:
        callbacks.append(Pause(segment.until))
    spec, seed = net.engine.spec, net.seed
    net.engine.check_trainable()
    fit_arguments = {name: config[name] for name in FIT_ARGUMENTS & set(config)}
    options = make_fit_options(spec, **fit_arguments, n_threads=segment.n_threads, progress=False)
    data_arguments = {name: config[name] for name in DATA_ARGUMENTS & set(config)}
    dataset = make_dataset(spec, X, y, **data_arguments, split_seed=seed)
    trainer.check_fit(callbacks, dataset, options)
    checkpointer = InMemoryCheckpointer(segment.saved, interruption, net.describe)
    runner = CallbackRunner(callbacks, net, checkpointer.history)
    try:
        history = trainer.fit(net.engine, net.training_state, dataset, options, runner, checkpointer)
    except DivergenceError as error:
        history = error.history
    paused = history.stop_reason == Pause.stop_reason
    return TrialResult(segment.number, net, history, checkpointer.saved if paused else None)


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
    try:
        merged["sizes"] = list(make_spec(**{name: merged[name] for name in SPEC_ARGUMENTS & set(merged)}).sizes)
        check_int("epochs", merged["epochs"], 0)
        check_int("batch_size", merged.get("batch_size", 1), 1)
        as_optimizer(merged.get("optimizer", "sgd"))
        check_callbacks(merged.get("callbacks", ()), COLUMNS)
        copy.deepcopy(merged.get("callbacks", ()))
    except (TypeError, ValueError) as error:
        raise type(error)(f"configs[{number}]: {error}") from None
    return merged


def cost_of(config: Mapping[str, Any]) -> float:
    """Return the work of one network, as far as it is known before its training."""
    return sum(a * b for a, b in pairwise(config["sizes"])) * config["epochs"]
