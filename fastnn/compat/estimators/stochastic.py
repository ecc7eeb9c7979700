"""The training in steps on batches: scikit-learn's epochs, their order and their end, on the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ...callbacks.runner import CallbackRunner
from ...caller import warn_caller
from ...history import History
from ...network import Network
from ...training.explicit_order import ExplicitOrderTraining
from ...training.update_rule import Regularization, make_stochastic_regularization
from .coefficients import dtype_of, fill, take_in, training_network
from .examples import FitExamples, loss_of, make_examples
from .optimizers import KernelOptimizer
from .request import VALIDATION, FitRequest
from .scikit_learn import MODULE

NO_PENALTY = Regularization()


def prepare_progress(estimator: Any) -> None:
    """Set what counts epochs without progress, where the training before had another solver or end."""
    if not hasattr(estimator, "loss_curve_"):
        estimator.loss_curve_, estimator._no_improvement_count = [], 0
    if estimator.early_stopping and getattr(estimator, "validation_scores_", None) is None:
        estimator.validation_scores_, estimator.best_validation_score_, estimator.best_loss_ = [], -np.inf, None
        estimator._no_improvement_count = 0
        estimator._best_coefs = [coef.copy() for coef in estimator.coefs_]
        estimator._best_intercepts = [intercept.copy() for intercept in estimator.intercepts_]
    elif not estimator.early_stopping and getattr(estimator, "best_loss_", None) is None:
        estimator.best_loss_ = min(estimator.loss_curve_, default=np.inf)
        estimator.validation_scores_ = estimator.best_validation_score_ = None
        estimator._no_improvement_count = 0


def fit_stochastic(request: FitRequest, optimizer: Any, X: Any, y: np.ndarray, sample_weight: Any) -> None:
    """Train the estimator of a request on examples that scikit-learn has checked."""
    estimator, options = request.estimator, request.options
    held_out: tuple[Any, Any, Any] = (None, None, None)
    if estimator.early_stopping:
        X, y, sample_weight, held_out = hold_out(request, X, y, sample_weight)
    dtype = options.number_type or dtype_of(*estimator.coefs_, *estimator.intercepts_)
    loss = loss_of(options.loss, estimator.out_activation_)
    network = training_network(estimator, loss, dtype, options.dropout, options.precision)
    examples = make_examples(network, options.loss, X, y, sample_weight)
    training = StochasticTraining(request, network, examples, optimizer, batch_size_of(estimator, X.shape[0]))
    try:
        with training.callbacks:
            try:
                training.run(held_out)
            except KeyboardInterrupt:
                warn_caller("Training interrupted by user.", UserWarning, MODULE)
            if estimator.early_stopping:
                take_in(estimator)
                engine = network.engine
                fill(engine.buffer, engine.spec, estimator._best_coefs, estimator._best_intercepts)
    finally:
        training.optimizer.write_back(training.steps)


def hold_out(request: FitRequest, X: Any, y: np.ndarray, sample_weight: Any) -> tuple[Any, ...]:
    """Return the examples to learn from, and those whose score ends the training."""
    estimator = request.estimator
    if VALIDATION in request.sets:
        given = request.sets[VALIDATION]
        return X, y, sample_weight, (given.X, given.y, None)
    parts = train_test_split(
        *([X, y] if sample_weight is None else [X, y, sample_weight]),
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=y if is_classifier(estimator) and estimator.n_outputs_ == 1 else None,
    )
    parts += [None, None] if sample_weight is None else []
    X, X_held, y, y_held, sample_weight, weight_held = parts
    if X_held.shape[0] < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    if is_classifier(estimator):
        y_held = estimator._label_binarizer.inverse_transform(y_held)
    return X, y, sample_weight, (X_held, y_held, weight_held)


def batch_size_of(estimator: Any, n_rows: int) -> int:
    """Return the number of examples for an update."""
    if isinstance(estimator.batch_size, str):
        return min(200, n_rows)
    if estimator.batch_size > n_rows:
        warn_caller(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", UserWarning, MODULE
        )
    return int(np.clip(estimator.batch_size, 1, n_rows))


class StochasticTraining:
    """One training under way, of an estimator whose arrays are views of the network's memory.

    Parameters
    ----------
    request : FitRequest
    network : Network
    examples : FitExamples
    optimizer : AdamOptimizer, SGDOptimizer or OwnOptimizer
    batch_size : int
    """

    def __init__(
        self, request: FitRequest, network: Network, examples: FitExamples, optimizer: Any, batch_size: int
    ) -> None:
        estimator, options = request.estimator, request.options
        self.estimator, self.network, self.examples, self.batch_size = estimator, network, examples, batch_size
        self.incremental = request.incremental
        self.optimizer = KernelOptimizer(optimizer, network, float(estimator.alpha), examples.n_losses)
        self.order = np.arange(examples.examples.n_rows)
        seed = estimator._random_state.randint(1 << 31) if any(network.dropout) else 0
        stochastic = make_stochastic_regularization(network.engine.spec, NO_PENALTY, int(seed), batch_size)
        given = (network.engine, examples.examples, batch_size, self.optimizer.rule, options.n_threads, stochastic)
        self._training = ExplicitOrderTraining(*given)
        self.history = History()
        self.callbacks = CallbackRunner(tuple(options.callbacks or ()), network, self.history)
        self.evaluated = [
            (made, make_examples(network, options.loss, made.X, made.targets, None)) for made in request.sets.values()
        ]
        if self.evaluated:
            names = [f"validation_{number}" for number in range(len(self.evaluated))]
            estimator.evals_result_ = {name: {"loss": [], "score": []} for name in names}

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return self._training.steps

    def run(self, held_out: tuple[Any, Any, Any]) -> None:
        """Train to the end, with a warning if nothing but `max_iter` ends it."""
        estimator = self.estimator
        estimator.n_iter_ = 0
        while estimator.n_iter_ < estimator.max_iter:
            self.train_epoch()
            estimator._update_no_improvement_count(estimator.early_stopping, *held_out)
            take_in(estimator)
            if self.converged() or (self.callbacks and self.callbacks.after_epoch()) or self.incremental:
                return
        warn_caller(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
            MODULE,
        )

    def train_epoch(self) -> None:
        """Train for one epoch, and add it to what the estimator and the history keep of each."""
        estimator, n_rows = self.estimator, len(self.order)
        if estimator.shuffle:
            permutation = np.arange(n_rows)
            estimator._random_state.shuffle(permutation)
            self.order = self.order[permutation]
        loss = self._training.epoch(self.order, self.optimizer.epoch_rate()) / self.examples.n_losses
        estimator.loss_ = loss + self.examples.mean_constant(self.order, self.batch_size)
        estimator.n_iter_ += 1
        estimator.t_ += n_rows
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self.evaluated or self.callbacks:
            self.record()

    def record(self) -> None:
        """Evaluate the sets, and add the epoch to the history."""
        estimator = self.estimator
        values = {"loss": estimator.loss_}
        for number, (given, examples) in enumerate(self.evaluated):
            loss, score = examples.mean_loss(self.network), estimator._score(given.X, given.y)
            seen = estimator.evals_result_[f"validation_{number}"]
            seen["loss"].append(loss)
            seen["score"].append(score)
            if number == 0:
                values |= {"val_loss": loss} | ({"val_accuracy": score} if is_classifier(estimator) else {})
        self.history.add(**values)
        self.history.learning_rates.append(float(self.optimizer.optimizer.learning_rate))

    def converged(self) -> bool:
        """Let the optimizer end the epoch; return whether it ends the training for want of progress."""
        estimator, optimizer = self.estimator, self.optimizer.optimizer
        optimizer.iteration_ends(estimator.t_)
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        what = "Validation score" if estimator.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive "
            "epochs."
        )
        if optimizer.trigger_stopping(message, estimator.verbose):
            return True
        estimator._no_improvement_count = 0
        return False
