"""The options of one training, every one checked once, here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..augmentation import check_augmentation
from ..checks import check_bool, check_int, check_non_negative
from ..learning_rates import LearningRates, StepFactors, as_learning_rates, as_step_factors
from ..optimizers import LBFGS, Optimizer, as_optimizer
from ..spec import Spec
from .update_rule import Regularization, make_regularization

SMOOTHED_LOSSES = ("cross_entropy", "binary_cross_entropy")
DEFAULT_BATCH_SIZE = 32
KINDS = ("weights", "biases", "input_scales", "alphas", "embedding", "category_embedding")
"""Kinds of parameters that have factors of their own."""

NEEDED = {
    "input_scales": "learned_input_scale",
    "alphas": "learned_activation",
    "embedding": "embedding",
    "category_embedding": "category_embedding",
}
"""Kind -> the argument of `Network` with which there are such parameters."""


@dataclass(frozen=True)
class FitOptions:
    """How to train; `Network.fit` documents each option.

    Attributes
    ----------
    epochs, batch_size : int
    optimizer : Optimizer
    rates : LearningRates
        The learning rate of each step.
    regularization : Regularization
    rate_factors : tuple of float
        Of the learning rate: for each layer those of its weights and its biases, then that of the input scales, those
        of the alphas of each hidden layer, that of the embedding, that of the embedding of categories; empty: 1.
    decay_factors : tuple of float
        Likewise, of the weight decay; empty: `rate_factors` for the weights, 0 for all else.
    decay_schedule, dropout_schedule : StepFactors or None
    shuffle : bool
    drop_last : bool
    n_threads : int or None
    on_divergence : {"raise", "continue"}
    progress : bool or None
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    rates: LearningRates
    regularization: Regularization
    rate_factors: tuple[float, ...]
    decay_factors: tuple[float, ...]
    decay_schedule: StepFactors | None
    dropout_schedule: StepFactors | None
    shuffle: bool
    drop_last: bool
    n_threads: int | None
    on_divergence: str
    progress: bool | None


def make_fit_options(
    spec: Spec,
    *,
    epochs: Any,
    batch_size: Any = None,
    learning_rate: Any = None,
    optimizer: Any = "sgd",
    shuffle: Any = None,
    n_threads: Any = None,
    on_divergence: Any = "raise",
    progress: Any = None,
    l1: Any = 0.0,
    l2: Any = 0.0,
    clip_norm: Any = None,
    max_norm: Any = None,
    label_smoothing: Any = 0.0,
    input_noise: Any = 0.0,
    ema_decay: Any = None,
    augmentation: Any = None,
    lr_factors: Any = None,
    decay_factors: Any = None,
    decay_schedule: Any = None,
    dropout_schedule: Any = None,
    drop_last: Any = False,
) -> FitOptions:
    """Check the options of `Network.fit` for a network of this spec; ValueError or TypeError names the one.

    None stands for the default, so that an optimizer that cannot honour an option can tell whether it was given.
    """
    chosen = as_optimizer(optimizer)
    regularization = make_regularization(
        l1=l1, l2=l2, clip_norm=clip_norm, max_norm=max_norm, label_smoothing=label_smoothing,
        input_noise=input_noise, ema_decay=ema_decay,
    )  # fmt: skip
    regularization = replace(regularization, augmentation=check_augmentation(augmentation, spec.sizes[0]))
    perturbed: dict[str, Any] = {"input_noise": regularization.input_noise, "augmentation": regularization.augmentation}
    if spec.category_embedding and any(perturbed.values()):
        given = {name: value for name, value in perturbed.items() if value}
        raise ValueError(f"codes of categories cannot be perturbed: category_embedding takes neither, got {given}")
    if regularization.label_smoothing and spec.loss not in SMOOTHED_LOSSES:
        raise ValueError(f"label_smoothing takes a cross-entropy as loss, got {spec.loss!r}")
    if learning_rate is not None and chosen.learning_rate is not None:
        raise ValueError(
            f"give learning_rate to fit or to the optimizer, not to both; got {learning_rate!r} and "
            f"{chosen.learning_rate!r}"
        )
    if on_divergence not in ("raise", "continue"):
        raise ValueError(f"on_divergence must be 'raise' or 'continue', got {on_divergence!r}")
    epochs = check_int("epochs", epochs, 0)
    rows_per_update = DEFAULT_BATCH_SIZE if batch_size is None else check_int("batch_size", batch_size, 1)
    if n_threads is not None:
        n_threads = check_int("n_threads", n_threads, 1)
    shuffled = True if shuffle is None else check_bool("shuffle", shuffle)
    drop_last = check_bool("drop_last", drop_last)
    if progress is not None:
        progress = check_bool("progress", progress)
    rate_factors = _factors(spec, "lr_factors", lr_factors, {})
    by_kind = _factors(spec, "decay_factors", decay_factors, dict.fromkeys(KINDS[1:], 0.0))
    schedules = _schedules(spec, chosen, decay_factors, decay_schedule, dropout_schedule)
    rates = (rate for rate in (learning_rate, chosen.learning_rate, chosen.default_rate) if rate is not None)
    resolved = as_learning_rates(next(rates), np.dtype(spec.dtype))
    if isinstance(chosen, LBFGS):
        given = {"learning_rate": learning_rate, "batch_size": batch_size, "shuffle": shuffle}
        given |= {"lr_factors": lr_factors, "drop_last": drop_last or None}
        _check_lbfgs(spec, given, regularization)
    return FitOptions(
        epochs, rows_per_update, chosen, resolved, regularization, rate_factors, by_kind, *schedules, shuffled,
        drop_last, n_threads, on_divergence, progress,
    )  # fmt: skip


def _schedules(
    spec: Spec, optimizer: Optimizer, decay_factors: Any, decay_schedule: Any, dropout_schedule: Any
) -> tuple[StepFactors | None, StepFactors | None]:
    """Return the schedules of weight decay and dropout; raise where there is nothing for them to multiply."""
    decay = as_step_factors("decay_schedule", decay_schedule)
    dropout = as_step_factors("dropout_schedule", dropout_schedule, highest=1.0)
    for name, value in (("decay_factors", decay_factors), ("decay_schedule", decay_schedule)):
        if value is not None and not getattr(optimizer, "weight_decay", 0.0):
            raise ValueError(f"{name} is for an optimizer with weight decay, such as fastnn.AdamW, got {optimizer!r}")
    if dropout is not None and not any(spec.dropout):
        raise ValueError(f"dropout_schedule is for networks with dropout, got {dropout_schedule!r} for one without")
    return decay, dropout


def _factors(spec: Spec, argument: str, given: Any, defaults: Mapping[str, float]) -> tuple[float, ...]:
    """Return factors by kind of parameter, layer by layer; empty where none are given."""
    if given is None:
        return ()
    if not isinstance(given, Mapping) or not set(given) <= set(KINDS):
        raise TypeError(f"{argument} must be a dict with keys among {', '.join(KINDS)}, got {given!r:.200}")
    n_layers = len(spec.activation)
    counts = dict(zip(KINDS, (n_layers, n_layers, 1, n_layers - 1, 1, 1), strict=True))
    factors: dict[str, list[float]] = {}
    for kind, count in counts.items():
        value = given.get(kind, defaults.get(kind, 1.0))
        values = (
            list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else [value] * count
        )
        if len(values) != count:
            raise ValueError(f"{argument}[{kind!r}] must be a number or {count} numbers, got {len(values)}")
        factors[kind] = [check_non_negative(f"{argument}[{kind!r}]", number) for number in values]
    for kind, needed in NEEDED.items():
        if kind in given and not getattr(spec, needed):
            raise ValueError(f"{argument}[{kind!r}] is for networks with {needed}, got {given!r}")
    pairs = zip(factors["weights"], factors["biases"], strict=True)
    in_layers = [factor for pair in pairs for factor in pair]
    return (*in_layers, *(factor for kind in KINDS[2:] for factor in factors[kind]))


def _check_lbfgs(spec: Spec, given: dict[str, Any], regularization: Regularization) -> None:
    """Raise for what a search over all examples at once cannot honour."""
    refused = {name: value for name, value in given.items() if value is not None}
    refused |= {name: value for name, value in asdict(regularization).items() if value and name != "l2"}
    refused |= {"dropout": spec.dropout} if any(spec.dropout) else {}
    if refused:
        raise ValueError(f"optimizer 'lbfgs' minimizes one smooth function and takes l2 alone; got {refused}")
