"""The options of one training, every one checked once, here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..checks import check_bool, check_int
from ..optimizers import LBFGS, Optimizer, as_optimizer
from ..schedules import LearningRates, as_learning_rates
from ..spec import Spec
from .update_rule import Regularization, make_regularization

SMOOTHED_LOSSES = ("cross_entropy", "binary_cross_entropy")
DEFAULT_BATCH_SIZE = 32


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
    shuffle : bool
    n_threads : int or None
    on_divergence : {"raise", "continue"}
    progress : bool or None
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    rates: LearningRates
    regularization: Regularization
    shuffle: bool
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
) -> FitOptions:
    """Check the options of `Network.fit` for a network of this spec; ValueError or TypeError names the one.

    None stands for the default, so that an optimizer that cannot honour an option can tell whether it was given.
    """
    chosen = as_optimizer(optimizer)
    regularization = make_regularization(
        l1=l1, l2=l2, clip_norm=clip_norm, max_norm=max_norm, label_smoothing=label_smoothing,
        input_noise=input_noise, ema_decay=ema_decay,
    )  # fmt: skip
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
    if progress is not None:
        progress = check_bool("progress", progress)
    rates = (rate for rate in (learning_rate, chosen.learning_rate, chosen.default_rate) if rate is not None)
    resolved = as_learning_rates(next(rates), np.dtype(spec.dtype))
    if isinstance(chosen, LBFGS):
        given = {"learning_rate": learning_rate, "batch_size": batch_size, "shuffle": shuffle}
        _check_lbfgs(spec, given, regularization)
    return FitOptions(
        epochs, rows_per_update, chosen, resolved, regularization, shuffled, n_threads, on_divergence, progress
    )


def _check_lbfgs(spec: Spec, given: dict[str, Any], regularization: Regularization) -> None:
    """Raise for what a search over all examples at once cannot honour."""
    refused = {name: value for name, value in given.items() if value is not None}
    refused |= {name: value for name, value in asdict(regularization).items() if value and name != "l2"}
    refused |= {"dropout": spec.dropout} if any(spec.dropout) else {}
    if refused:
        listed = ", ".join(f"{name}={value!r:.80}" for name, value in refused.items())
        raise ValueError(
            "optimizer 'lbfgs' minimizes one smooth function of all examples: of the penalties it takes l2 alone, and "
            f"it has no batches and no learning rate; got {listed}"
        )
