"""The networks of a fit: one, or several side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..callbacks import EarlyStopping, Metric
from ..caller import warn_caller
from ..errors import DivergenceError
from ..history import History
from ..network import Network
from ..population import Ensemble, fit_many
from ..tables.encoder import TableEncoder
from ..tables.targets import ClassTarget, QuantityTarget
from .metrics import ValidationMetric, of_sets
from .recipe import TabularRecipe, fit_arguments, network_arguments
from .request import EncodedRows, TabularData
from .start import fit_start

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Trained",
    "as_tuple",
    "keep_best",
    "mean_outputs",
    "metric_of",
    "set_column",
    "set_metrics",
    "settings",
    "train",
    "warn_of_diverged",
]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes
    ----------
    networks : list of Network
    histories : list of History
    """

    networks: list[Network]
    histories: list[History]


def mean_outputs(networks: list[Network], inputs: NDArray[Any]) -> NDArray[Any]:
    """Return the outputs of the network, or the mean of those of several."""
    return networks[0].predict(inputs) if len(networks) == 1 else Ensemble(networks).predict(inputs)


def train(
    estimator: Any, data: TabularData, recipe: TabularRecipe, metric: ValidationMetric, seeds: list[int]
) -> Trained:
    """Train a network for each seed; those that diverge are left out with a warning, unless all do."""
    arguments, options = settings(estimator, data.encoder, data.target, data.dtype, recipe)
    options |= {
        "sample_weight": data.training.weight,
        "validation_data": as_tuple(data.validation),
        "callbacks": [*_evaluations(data, metric, recipe.epochs), *(estimator.callbacks or ())],
        "n_threads": estimator.n_threads,
    }
    if len(seeds) == 1:
        trained = _alone(data, arguments, options, seeds[0], recipe)
    else:
        trained = _side_by_side(data, arguments | options | {"start": partial(fit_start, recipe=recipe)}, seeds)
    if any(history.stop_reason == "interrupted" for history in trained.histories):
        warn_caller("Training interrupted by user.", UserWarning)
    return trained


def settings(
    estimator: Any, encoder: TableEncoder, target: ClassTarget | QuantityTarget, dtype: str, recipe: TabularRecipe
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of `Network` besides the seed, and of `Network.fit` besides data, callbacks and threads."""
    classes = isinstance(target, ClassTarget)
    n_outputs = len(target.classes) if isinstance(target, ClassTarget) else len(target.output_names)
    sizes = (len(encoder.feature_names), *recipe.hidden, n_outputs)
    quantities, categories = encoder.quantity_places, encoder.category_counts
    arguments = {
        "sizes": sizes,
        "activation": [*[recipe.activation] * len(recipe.hidden), "softmax" if classes else "identity"],
        "loss": recipe.loss,
        "dtype": dtype if estimator.precision is None else "float32",
        "precision": estimator.precision,
        **network_arguments(len(sizes) - 1, recipe, quantities, categories),
    }
    options = fit_arguments(sizes, recipe, quantities, categories) | {"progress": bool(estimator.verbose)}
    return arguments, options


def as_tuple(rows: EncodedRows | None) -> tuple[Any, ...] | None:
    """Return rows as `Network.fit` takes validation data."""
    if rows is None:
        return None
    return (rows.X, rows.y) if rows.weight is None else (rows.X, rows.y, rows.weight)


def _alone(
    data: TabularData, arguments: dict[str, Any], options: dict[str, Any], seed: int, recipe: TabularRecipe
) -> Trained:
    net = Network(**arguments, seed=seed)
    fit_start(net, data.training.X, recipe)
    return Trained([net], [net.fit(data.training.X, data.training.y, **options)])


def warn_of_diverged(count: int, whole: int) -> None:
    """Warn of networks that are left out, if there are some."""
    if count:
        warn_caller(f"{count} of {whole} networks diverged, and are left out")


def _side_by_side(data: TabularData, arguments: dict[str, Any], seeds: list[int]) -> Trained:
    population = fit_many([{"seed": seed} for seed in seeds], data.training.X, data.training.y, **arguments)
    sound = [number for number, history in enumerate(population.histories) if history.stop_reason != "diverged"]
    if not sound:
        history = population.histories[0]
        raise DivergenceError("all networks diverged", epoch=history.epochs + 1, history=history)
    warn_of_diverged(len(seeds) - len(sound), len(seeds))
    networks, histories = population.networks, population.histories
    return Trained([networks[number] for number in sound], [histories[number] for number in sound])


def _evaluations(data: TabularData, metric: ValidationMetric, epochs: int) -> list[Any]:
    """Return what evaluates the sets after every epoch, and what keeps the last of the best epochs."""
    found = set_metrics(data)
    if data.validation is None:
        return found
    added = [] if metric.from_fit else [metric_of(metric, data.validation)]
    return [*found, *added, keep_best(metric, epochs)]


def set_metrics(data: TabularData) -> list[Any]:
    """Return what evaluates the sets after every epoch."""
    return [
        _metric(set_column(number, name), function, rows)
        for number, rows in enumerate(data.sets)
        for name, function in of_sets(data.target).items()
    ]


def metric_of(metric: ValidationMetric, rows: EncodedRows) -> Metric:
    """Return what adds the column of a metric that `Network.fit` does not add."""
    return _metric(metric.column, metric.function, rows)


def keep_best(metric: ValidationMetric, epochs: int) -> EarlyStopping:
    """Return what restores the last of the epochs that are best, and never stops."""
    return EarlyStopping(metric.column, epochs, prefer_later=True)


def set_column(number: int, name: str) -> str:
    """Return the history's column of an evaluated set's "loss" or "score"."""
    return f"validation_{number}_{name}"


def _metric(column: str, function: Any, rows: EncodedRows) -> Metric:
    return Metric(column, partial(_weighted, function, rows.weight), rows.X, rows.y)


def _weighted(function: Any, weight: NDArray[Any] | None, y: NDArray[Any], outputs: NDArray[Any]) -> float:
    return float(function(y, outputs, weight))
