"""L-BFGS over all examples at once: scipy's search on the compiled loss and gradient."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..callbacks.runner import CallbackRunner
from ..errors import DivergenceError, describe_divergence
from ..history import History
from ..kernels import layout
from ..optimizers import LBFGS

MOST_EVALUATIONS = 20
"""Evaluations of the loss that an iteration may take on average; a search that needs more has failed."""


@dataclass
class Search:
    """One call of `fit` with LBFGS.

    Attributes
    ----------
    net : Network
        Its parameters move.
    judge : callable
        judge(examples, gradient) is the loss and accuracy at the net's parameters; a gradient given is filled.
    l2 : float
        l2 / 2 * sum w^2 is added to the loss that is descended.
    """

    net: Any
    judge: Callable[[layout.Examples, np.ndarray | None], tuple[float, float]]
    examples: layout.Examples
    validation: layout.Examples
    optimizer: LBFGS
    on_divergence: str
    iterations: int
    l2: float
    accuracy: bool
    val_accuracy: bool
    callbacks: CallbackRunner
    progress: Callable[[History, int], None]

    def run(self, history: History) -> None:
        """Search to the end; the parameters are those of the last iteration, whatever ends it."""
        from scipy.optimize import minimize

        net, last, start_epoch = self.net, self.net.parameters, self.net.epochs_trained
        slopes = np.zeros_like(net._buffer)
        penalised = net._in_order(net._penalised()).astype(np.float64) * self.l2
        found: dict[float, tuple[float, float]] = {}

        def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
            net._set_parameters(vector.astype(net.dtype))
            slopes[:] = 0
            seen = self.judge(self.examples, slopes)
            value = seen[0] + float(penalised @ np.square(vector)) / 2
            found[value] = seen
            return value, net._in_order(slopes) + penalised * vector

        def after(intermediate_result: Any) -> None:
            nonlocal last
            if not np.isfinite(intermediate_result.fun):
                raise StopIteration
            last = intermediate_result.x.astype(net.dtype)
            net._set_parameters(last)
            self.record(history, *found.get(float(intermediate_result.fun), (np.nan, np.nan)))
            found.clear()
            net._epochs = start_epoch + history.epochs
            self.progress(history, history.epochs)
            if self.callbacks.after_epoch():
                raise StopIteration

        began = time.perf_counter()
        limits = {
            "maxiter": self.iterations,
            "maxfun": MOST_EVALUATIONS * self.iterations,
            "maxcor": self.optimizer.history_size,
            "ftol": 64 * np.finfo(np.float64).eps,
            "gtol": self.optimizer.tolerance,
        }
        try:
            start = last.astype(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                result = minimize(objective, start, jac=True, method="L-BFGS-B", callback=after, options=limits)
            if not np.isfinite(result.fun):
                history.stop_reason = "diverged"
            elif history.stop_reason == "epochs" and result.status != 1:
                history.stop_reason = "converged"
        except KeyboardInterrupt:
            history.stop_reason = "interrupted"
        finally:
            net._set_parameters(last)
            history.seconds = time.perf_counter() - began
            history.examples_per_second = self.examples.n_rows * history.epochs / max(history.seconds, 1e-9)
        if history.stop_reason == "diverged":
            reason, iteration = "the loss is not finite", history.epochs + 1
            if self.on_divergence == "raise":
                net._epochs = start_epoch
                raise DivergenceError(reason, epoch=iteration, history=history)
            warnings.warn(describe_divergence(reason, iteration, "iteration"), RuntimeWarning, stacklevel=3)

    def record(self, history: History, loss: float, accuracy: float) -> None:
        """Add an iteration: the loss after it, without the penalty."""
        values = {"loss": loss}
        if self.accuracy:
            values["accuracy"] = accuracy
        if self.validation.n_rows:
            values["val_loss"], val_accuracy = self.judge(self.validation, None)
            if self.val_accuracy:
                values["val_accuracy"] = val_accuracy
        history.add(**values)
        history.learning_rates.append(np.nan)  # the search takes steps of its own
