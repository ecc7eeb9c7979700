"""L-BFGS over all examples at once: scipy's search on the compiled loss and gradient."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DivergenceError
from ..history import History
from ..optimizers import LBFGS
from ..parameters import buffer_to_vector, flatten, further_views, make_layout, views
from .dataset import Dataset
from .engine import Engine
from .loop import Callbacks
from .options import FitOptions
from .state import TrainingState

MAX_EVALUATIONS = 20
"""Evaluations of the loss that an iteration may take on average; a search that needs more has failed."""


class LbfgsSolver:
    """One fit with LBFGS.

    Parameters
    ----------
    engine : Engine
        Its parameters move.
    state : TrainingState
        Its epochs move; its frozen layers stay.
    dataset : Dataset
    options : FitOptions
        An epoch is an iteration; l2 / 2 * sum w^2 is added to the loss that is minimized.
    callbacks : Callbacks
    show_progress : callable

    Attributes
    ----------
    divergence : str or None
        One that was let pass.
    """

    def __init__(
        self,
        engine: Engine,
        state: TrainingState,
        dataset: Dataset,
        options: FitOptions,
        callbacks: Callbacks,
        show_progress: Callable[[History, int], None],
    ) -> None:
        self.engine, self.state, self.dataset, self.options = engine, state, dataset, options
        self.callbacks, self.show_progress = callbacks, show_progress
        self.gradient = np.zeros_like(engine.buffer)
        table = make_layout(engine.spec).table
        self._gradient_parts = views(self.gradient, table)
        self._further_gradient = further_views(self.gradient, table, engine.spec).values()
        self.l2_factors = buffer_to_vector(self._l2_mask(), engine.spec).astype(np.float64) * options.regularization.l2
        self.evaluated: dict[float, tuple[float, float]] = {}  # loss and accuracy by the value of the objective
        self.best = engine.parameters
        self.divergence: str | None = None

    def _l2_mask(self) -> np.ndarray:
        """Return 1 for each weight that learns, 0 for biases and frozen layers, laid out as the parameters."""
        mask = np.zeros_like(self.engine.buffer)
        weights, _ = views(mask, make_layout(self.engine.spec).table)
        for number, part in enumerate(weights):
            part[...] = number not in self.state.frozen
        return mask

    def objective(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss with its penalty at these parameters, and its gradient."""
        engine, gradient = self.engine, self.gradient
        engine.set_parameters(vector.astype(engine.dtype))
        gradient[:] = 0
        evaluated = engine.gradient(self.dataset.examples, gradient, self.options.n_threads)
        for number in self.state.frozen:
            for part in self._gradient_parts:
                part[number][...] = 0
        value = evaluated[0] + float(self.l2_factors @ np.square(vector)) / 2
        self.evaluated[value] = evaluated
        return value, flatten(*self._gradient_parts, self._further_gradient) + self.l2_factors * vector

    def run(self, history: History) -> None:
        """Search to the end; the parameters are those of the last iteration, whatever ends it."""
        start_epoch, began = self.state.epochs, time.perf_counter()
        try:
            self._minimize(history, start_epoch)
        except KeyboardInterrupt:
            history.stop_reason = "interrupted"
        finally:
            self.engine.set_parameters(self.best)
            history.seconds = time.perf_counter() - began
            history.n_threads = self.engine.team_size(self.dataset.examples.n_rows, self.options.n_threads)
            done = self.dataset.examples.n_rows * history.epochs
            history.examples_per_second = done / max(history.seconds, 1e-9)
        if history.stop_reason == "diverged":
            if self.options.on_divergence == "raise":
                self.state.epochs = start_epoch
                raise DivergenceError(
                    "the loss is not finite", epoch=history.epochs + 1, learning_rate=None, history=history
                )
            self.divergence = f"the loss is not finite in iteration {history.epochs + 1}"

    def _minimize(self, history: History, start_epoch: int) -> None:
        from scipy.optimize import minimize

        optimizer = self.options.optimizer
        if not isinstance(optimizer, LBFGS):
            raise TypeError(f"optimizer must be LBFGS, got {optimizer!r}")

        def after_iteration(intermediate_result: Any) -> None:
            if not np.isfinite(intermediate_result.fun):
                raise StopIteration
            self.best = intermediate_result.x.astype(self.engine.dtype)
            self.engine.set_parameters(self.best)
            self.record(history, *self.evaluated.get(float(intermediate_result.fun), (np.nan, np.nan)))
            self.evaluated.clear()
            self.state.epochs = start_epoch + history.epochs
            self.show_progress(history, history.epochs)
            if self._after_epoch():
                raise StopIteration

        limits = {
            "maxiter": self.options.epochs,
            "maxfun": MAX_EVALUATIONS * self.options.epochs,
            "maxcor": optimizer.history_size,
            "ftol": 64 * np.finfo(np.float64).eps,
            "gtol": optimizer.tolerance,
        }
        start = self.best.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            result = minimize(
                self.objective, start, jac=True, method="L-BFGS-B", callback=after_iteration, options=limits
            )
        if not np.isfinite(result.fun):
            history.stop_reason = "diverged"
        elif history.stop_reason == "epochs" and result.status != 1:
            history.stop_reason = "converged"

    def _after_epoch(self) -> bool:
        """Call the callbacks; return whether one ends the training, which keeps the parameters that it set.

        The search remembers earlier gradients, and cannot go on from other parameters or with other layers.
        """
        if not self.callbacks:
            return False
        frozen = self.state.frozen
        if self.callbacks.after_epoch():
            self.best = self.engine.parameters
            return True
        if self.state.frozen != frozen:
            raise ValueError("optimizer 'lbfgs' cannot follow a callback that freezes layers: freeze them before fit")
        if not np.array_equal(self.engine.parameters, self.best):
            raise ValueError("optimizer 'lbfgs' cannot continue after a callback that changes the parameters")
        return False

    def record(self, history: History, loss: float, accuracy: float) -> None:
        """Add an iteration: the loss after it, without the penalty."""
        values = {"loss": loss}
        if self.dataset.has_accuracy:
            values["accuracy"] = accuracy
        if self.dataset.validation.n_rows:
            values["val_loss"], val_accuracy = self.engine.evaluate(self.dataset.validation, self.options.n_threads)
            if self.dataset.has_val_accuracy:
                values["val_accuracy"] = val_accuracy
        history.add(**values)
        history.learning_rates.append(np.nan)  # the search takes steps of its own
