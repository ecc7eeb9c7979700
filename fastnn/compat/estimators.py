"""scikit-learn's multilayer perceptrons with fastnn's arithmetic: what they compute, not what they check or promise.

Of scikit-learn's estimators the four methods are replaced in which the time goes: the stochastic training, the loss and
its slope (for L-BFGS), the outputs. The order of examples is drawn as scikit-learn draws it.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, BaseOptimizer, SGDOptimizer
from sklearn.utils.validation import validate_data

from .. import inputs
from ..callbacks.runner import CallbackRunner
from ..history import History
from ..kernels import layout, optimizer_steps
from ..network import Network
from ..optimizers import LBFGS, Optimizer, as_optimizer
from ..parameters import aligned_zeros, buffer_to_vector, make_layout, vector_to_buffer, views
from ..training.explicit_order import ExplicitOrderTraining
from ..training.update_rule import (
    OptimizerState,
    Regularization,
    initial_state,
    make_stochastic_regularization,
    make_update_rule,
    plain_sgd_rule,
)

ACTIVATIONS = {"logistic": "sigmoid", "exp": "exponential"}
LOSSES = {"squared_error": "half_squared_error"}
NAMES = ("X", "y", "sample_weight")
NO_PENALTY = Regularization()

_networks: weakref.WeakKeyDictionary[Any, tuple[Any, Network]] = weakref.WeakKeyDictionary()
_loading = threading.Lock()


class OwnOptimizer(BaseOptimizer):
    """One of fastnn's optimizers in the place of scikit-learn's: its state, and a learning rate that stays."""

    def __init__(self, kind: Optimizer, learning_rate: float) -> None:
        super().__init__(learning_rate)
        self.kind = kind
        self.state: OptimizerState | None = None


def fill(buffer: np.ndarray, net: Network, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> None:
    """Write arrays (n_in, n_out) and (n_out,) into a buffer that is laid out as the net's parameters."""
    weights, biases = views(buffer, make_layout(net.engine.spec).table)
    for part, given in zip((*weights, *biases), (*(coef.T for coef in coefs), *intercepts), strict=True):
        part[...] = given


def read(buffer: np.ndarray, net: Network, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> None:
    """Write what such a buffer holds into the arrays."""
    weights, biases = views(buffer, make_layout(net.engine.spec).table)
    for part, into in zip((*weights, *biases), (*(coef.T for coef in coefs), *intercepts), strict=True):
        into[...] = part


@dataclass
class Prepared:
    """The examples of one `fit`, checked, with the numbers by which scikit-learn's loss differs from fastnn's."""

    net: Network
    examples: layout.Examples
    n_losses: int
    constants: np.ndarray | None

    def mean_constant(self, order: np.ndarray, batch_size: int) -> float:
        """What scikit-learn adds to the loss of an epoch in this order: y ln y - y for Poisson's."""
        if self.constants is None:
            return 0.0
        terms = self.constants[order]
        weights = self.examples.weights[order] if self.examples.weights.size else np.ones(len(order))
        starts = np.arange(0, len(order), batch_size)
        means = np.add.reduceat(weights * terms, starts) / np.add.reduceat(weights, starts)
        return float(means @ np.diff([*starts, len(order)]) / len(order))


class CompiledPerceptron(BaseMultilayerPerceptron):
    """The part that `MLPClassifier` and `MLPRegressor` share."""

    _no_improvement_count: int

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        self._check_layers()
        return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)

    def _check_layers(self) -> None:
        if isinstance(self.activation, str):
            return
        n_hidden = len(np.atleast_1d(self.hidden_layer_sizes))
        if len(self.activation) != n_hidden:
            raise ValueError(
                f"activation must be a name or one name for each of the {n_hidden} hidden layers, "
                f"got {self.activation!r}"
            )

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> Any:
        X, y = super()._validate_input(X, y, incremental, reset)
        return (X if self.dtype is None else X.astype(self.dtype, copy=False)), y

    def _net(self, dtype: Any, dropout: Any = 0.0, anew: bool = False) -> Network:
        """A network with the estimator's weights: the one that was last used, or `anew`."""
        sizes = [len(self.coefs_[0]), *(coef.shape[1] for coef in self.coefs_)]
        hidden = [self.activation] * (len(sizes) - 2) if isinstance(self.activation, str) else self.activation
        names = [ACTIVATIONS.get(name, name) for name in (*hidden, self.out_activation_)]
        loss: Any = self.loss
        if loss == "log_loss":
            loss = "cross_entropy" if self.out_activation_ == "softmax" else "binary_cross_entropy"
        loss = LOSSES.get(loss, loss) if isinstance(loss, str) else loss
        about = {"activation": names, "loss": loss, "dtype": np.dtype(dtype).name, "dropout": dropout}
        kept = None if anew else _networks.get(self)
        if kept is not None and kept[0] == (sizes, about):
            net = kept[1]
        else:
            net = Network(sizes, seed=0, init="zeros", **about)
            _networks[self] = (sizes, about), net
        fill(net.engine.buffer, net, self.coefs_, self.intercepts_)
        return net

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> np.ndarray:
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = np.result_type(X.dtype, *(coef.dtype for coef in self.coefs_))
        with _loading:
            kept = _networks.get(self)
            # another thread may be predicting with the one that is there: it is not filled again
            sound = kept is not None and kept[1].dtype == dtype and self._holds(kept[1])
            net = kept[1] if kept is not None and sound else self._net(dtype, anew=True)
        return net.predict(X)

    def _holds(self, net: Network) -> bool:
        """Whether the network is the estimator as it stands: users assign to `coefs_`."""
        if net.activation[-1] != ACTIVATIONS.get(self.out_activation_, self.out_activation_):
            return False
        pairs = zip((*net.weights, *net.biases), (*(coef.T for coef in self.coefs_), *self.intercepts_), strict=False)
        sizes = (len(self.coefs_[0]), *(coef.shape[1] for coef in self.coefs_))
        return net.sizes == sizes and all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def _prepare(self, net: Network, X: Any, y: np.ndarray, sample_weight: Any) -> Prepared:
        # scikit-learn has looked for what is not finite; a narrower type may overflow
        finite = X.dtype.itemsize <= net.dtype.itemsize
        examples, _ = inputs.as_examples(X, y, sample_weight, net.engine.spec, NAMES, finite)
        n_losses = net.sizes[-1] if self.loss == "squared_error" else 1
        constants = None
        if self.loss == "poisson":
            targets = y.reshape(len(y), -1).astype(np.float64)
            constants = (xlogy(targets, targets) - targets).sum(axis=1)
        return Prepared(net, examples, n_losses, constants)

    def _fit_lbfgs(self, X: Any, y: np.ndarray, sample_weight: Any, *buffers: Any) -> None:
        prepared = self._prepare(self._net(np.float64), X, y, sample_weight)
        super()._fit_lbfgs(prepared, y, sample_weight, *buffers)

    def _backprop(
        self, X: Prepared, y: np.ndarray, sample_weight: Any, activations: Any, deltas: Any, coef_grads: Any,
        intercept_grads: Any,
    ) -> Any:  # fmt: skip
        net = X.net
        fill(net.engine.buffer, net, self.coefs_, self.intercepts_)
        gradient = np.zeros_like(net.engine.buffer)
        n_rows = X.examples.n_rows
        mean = net.engine.gradient(X.examples, gradient)[0] / X.n_losses + X.mean_constant(np.arange(n_rows), n_rows)
        weight = n_rows if sample_weight is None else sample_weight.sum()
        penalty = sum(float(np.vdot(coef, coef)) for coef in self.coefs_)
        weights, biases = views(gradient, make_layout(net.engine.spec).table)
        coef_grads[:] = [part.T + self.alpha / weight * coef for part, coef in zip(weights, self.coefs_, strict=True)]
        intercept_grads[:] = biases
        return mean + 0.5 * self.alpha * penalty / weight, coef_grads, intercept_grads

    def _fit_stochastic(self, X: Any, y: np.ndarray, sample_weight: Any, *buffers: Any) -> None:
        incremental = buffers[-1]
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer()
        held: tuple[Any, Any, Any] = (None, None, None)
        if self.early_stopping:
            X, y, sample_weight, held = self._hold_out(X, y, sample_weight)
        training = _Training(self, X, y, sample_weight, self._size_of_batch(X.shape[0]))
        try:
            with training.called:
                self._run_epochs(training, held, incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=3)
        finally:
            training.hand_back()
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts

    def _run_epochs(self, training: _Training, held: tuple[Any, Any, Any], incremental: bool) -> None:
        optimizer = self._optimizer
        self.n_iter_ = 0
        while self.n_iter_ < self.max_iter:
            self.loss_ = training.epoch()
            self.n_iter_ += 1
            self.t_ += training.n_rows
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            if self.early_stopping or training.watched:
                training.show()
            self._update_no_improvement_count(self.early_stopping, *held)
            optimizer.iteration_ends(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                what = "Validation score" if self.early_stopping else "Training loss"
                message = (
                    f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
                )
                if optimizer.trigger_stopping(message, self.verbose):
                    return
                self._no_improvement_count = 0
            if training.watched and training.called.after_epoch():
                return
            if incremental:
                return
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=6,
        )

    def _new_optimizer(self) -> BaseOptimizer:
        parameters = [*self.coefs_, *self.intercepts_]
        if self.optimizer is not None:
            kind = as_optimizer(self.optimizer)
            if isinstance(kind, LBFGS):
                raise ValueError("optimizer must be one that takes steps; for L-BFGS give solver='lbfgs'")
            rate = self.learning_rate_init if kind.learning_rate is None else kind.learning_rate
            if not isinstance(rate, int | float):
                raise TypeError(f"the optimizer's learning_rate must be a number here, got {rate!r}")
            return OwnOptimizer(kind.kind, float(rate))
        if self.solver == "sgd":
            given = (self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t)
            return SGDOptimizer(parameters, *given)
        return AdamOptimizer(parameters, self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _hold_out(self, X: Any, y: np.ndarray, sample_weight: Any) -> tuple[Any, ...]:
        """The examples to learn from, and those whose score ends the training."""
        given = [X, y] if sample_weight is None else [X, y, sample_weight]
        parts = train_test_split(
            *given,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        parts += [None, None] if sample_weight is None else []
        X, X_held, y, y_held, sample_weight, weight_held = parts
        if X_held.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if is_classifier(self):
            y_held = self._label_binarizer.inverse_transform(y_held)
        return X, y, sample_weight, (X_held, y_held, weight_held)

    def _size_of_batch(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        return int(np.clip(self.batch_size, 1, n_rows))


class _Training:
    """One stochastic fit: the estimator's weights and its optimizer's state in the kernels' buffers."""

    def __init__(
        self, estimator: CompiledPerceptron, X: Any, y: np.ndarray, sample_weight: Any, batch_size: int
    ) -> None:
        self.estimator, self.optimizer = estimator, estimator._optimizer
        self.n_rows, self.batch_size = X.shape[0], batch_size
        self.net = estimator._net(estimator.coefs_[0].dtype, estimator.dropout)
        self.prepared = estimator._prepare(self.net, X, y, sample_weight)
        self.order = np.arange(self.n_rows)
        seed = estimator._random_state.randint(1 << 31) if any(self.net.dropout) else 0
        stochastic = make_stochastic_regularization(self.net.dropout, NO_PENALTY, int(seed))
        n_chunks = self.net.engine.buffer.size // optimizer_steps.PENALTY_CHUNK + len(self.net.sizes)
        rule = self._rule()._replace(penalty_per_batch=float(self.prepared.n_losses), norms=np.zeros(n_chunks))
        self.moment1, self.moment2 = rule.moment1, rule.moment2
        self.rate = self.optimizer.learning_rate
        given = (self.net.engine, self.prepared.examples, batch_size, rule, estimator.n_threads, stochastic)
        self.training = ExplicitOrderTraining(*given)
        self.history = History()
        pairs = getattr(estimator, "_eval_set", None)
        if pairs is not None and not isinstance(pairs, list | tuple):
            raise TypeError(f"eval_set must be a list of pairs (X, y), got {type(pairs).__name__}")
        self.evaluated = [self._evaluated(pair) for pair in pairs or ()]
        self.called: CallbackRunner = CallbackRunner(tuple(estimator.callbacks or ()), self.net, self.history)
        self.watched: bool = bool(self.evaluated or self.called)
        if self.evaluated:
            names = [f"validation_{number}" for number in range(len(self.evaluated))]
            estimator.evals_result_ = {name: {"loss": [], "score": []} for name in names}

    def _rule(self) -> layout.UpdateRule:
        """The optimizer as the kernels take it, its state filled in."""
        estimator, optimizer, net = self.estimator, self.optimizer, self.net
        penalty = Regularization(l2=float(estimator.alpha))
        if isinstance(optimizer, OwnOptimizer):
            kept = optimizer.state
            self.state = (
                kept.map_buffers(lambda vector: vector_to_buffer(vector, net.engine.spec))
                if kept
                else initial_state(optimizer.kind, 0.0, net.engine.buffer)
            )
            return make_update_rule(optimizer.kind, penalty, self.state, make_layout(net.engine.spec).table)
        rule = plain_sgd_rule(net.engine.buffer)._replace(plain=0, l2=penalty.l2)
        split = len(estimator.coefs_)
        if isinstance(optimizer, AdamOptimizer):
            moment1 = aligned_zeros(net.engine.buffer.size, net.dtype)
            moment2 = aligned_zeros(net.engine.buffer.size, net.dtype)
            fill(moment1, net, optimizer.ms[:split], optimizer.ms[split:])
            fill(moment2, net, optimizer.vs[:split], optimizer.vs[split:])
            betas = {"beta_1": optimizer.beta_1, "beta_2": optimizer.beta_2, "epsilon": optimizer.epsilon}
            own = {"method": optimizer_steps.ADAM, "epsilon_before_correction": 1, "steps_before": optimizer.t}
            return rule._replace(moment1=moment1, moment2=moment2, **betas, **own)
        if optimizer.momentum == 0:
            return rule._replace(plain=int(penalty.l2 == 0))
        moment1 = aligned_zeros(net.engine.buffer.size, net.dtype)
        fill(moment1, net, optimizer.velocities[:split], optimizer.velocities[split:])
        moment1 *= -1 / optimizer.learning_rate
        return rule._replace(beta_1=optimizer.momentum, nesterov=int(optimizer.nesterov), moment1=moment1)

    def epoch(self) -> float:
        """Train for one epoch; scikit-learn's loss of it."""
        estimator, optimizer = self.estimator, self.optimizer
        if estimator.shuffle:
            again = np.arange(self.n_rows)
            estimator._random_state.shuffle(again)
            self.order = self.order[again]
        rate = optimizer.learning_rate_init if isinstance(optimizer, AdamOptimizer) else optimizer.learning_rate
        if isinstance(optimizer, SGDOptimizer) and rate != self.rate:
            self.moment1 *= self.rate / rate  # scikit-learn's velocity is this one times the rate
            self.rate = rate
        loss = self.training.epoch(self.order, rate) / self.prepared.n_losses
        return loss + self.prepared.mean_constant(self.order, self.batch_size)

    def _evaluated(self, pair: Any) -> tuple[Prepared, Any, Any]:
        estimator = self.estimator
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"eval_set must be a list of pairs (X, y), got one of {type(pair).__name__}")
        X, y = pair
        rows, targets = estimator._validate_input(X, y, True, False)
        given = y if is_classifier(estimator) else targets
        return estimator._prepare(self.net, rows, targets, None), rows, given

    def show(self) -> None:
        """Give the estimator the weights so far, judge the evaluation sets, and add the epoch to the history."""
        estimator = self.estimator
        read(self.net.engine.buffer, self.net, estimator.coefs_, estimator.intercepts_)
        values = {"loss": estimator.loss_}
        for number, (prepared, X, y) in enumerate(self.evaluated):
            n_rows = prepared.examples.n_rows
            loss = self.net.engine.evaluate(prepared.examples)[0] / prepared.n_losses
            loss += prepared.mean_constant(np.arange(n_rows), n_rows)
            score = estimator._score(X, y)
            seen = estimator.evals_result_[f"validation_{number}"]
            seen["loss"].append(loss)
            seen["score"].append(score)
            if number == 0:
                values |= {"val_loss": loss} | ({"val_accuracy": score} if is_classifier(estimator) else {})
        self.history.add(**values)
        self.history.learning_rates.append(float(self.optimizer.learning_rate))

    def hand_back(self) -> None:
        """Give the estimator the weights, and its optimizer the state."""
        estimator, optimizer, net = self.estimator, self.optimizer, self.net
        read(net.engine.buffer, net, estimator.coefs_, estimator.intercepts_)
        steps, split = self.training.steps, len(estimator.coefs_)
        if isinstance(optimizer, OwnOptimizer):
            self.state.steps += steps
            optimizer.state = self.state.map_buffers(lambda buffer: buffer_to_vector(buffer, net.engine.spec))
        elif isinstance(optimizer, AdamOptimizer):
            read(self.moment1, net, optimizer.ms[:split], optimizer.ms[split:])
            read(self.moment2, net, optimizer.vs[:split], optimizer.vs[split:])
            optimizer.t += steps
            corrections = np.sqrt(1 - optimizer.beta_2**optimizer.t) / (1 - optimizer.beta_1**optimizer.t)
            optimizer.learning_rate = optimizer.learning_rate_init * corrections if steps else optimizer.learning_rate
        elif self.moment1.size:
            self.moment1 *= -self.rate
            read(self.moment1, net, optimizer.velocities[:split], optimizer.velocities[split:])
