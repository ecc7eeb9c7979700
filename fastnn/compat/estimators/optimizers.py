"""scikit-learn's optimizers, or fastnn's in their place: which one trains, and its state in the kernels' buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import layout, optimizer_steps
from ...network import Network
from ...optimizers import LBFGS, Optimizer, as_optimizer
from ...parameters import aligned_zeros, buffer_to_vector, make_layout, vector_to_buffer
from ...training.update_rule import (
    OptimizerState,
    Regularization,
    initial_state,
    make_update_rule,
    plain_sgd_rule,
)
from .coefficients import fill, read
from .options import Options
from .scikit_learn import AdamOptimizer, BaseOptimizer, SGDOptimizer

SETTINGS = "fastnn_settings"
"""Attribute of an optimizer: the estimator's parameters that it follows."""


class OwnOptimizer(BaseOptimizer):
    """One of fastnn's optimizers in the place of scikit-learn's: its state, and a constant learning rate."""

    def __init__(self, kind: Optimizer, learning_rate_init: float) -> None:
        super().__init__(learning_rate_init)
        self.kind = kind
        self.state: OptimizerState | None = None


def _settings(estimator: Any, options: Options) -> tuple[type, dict[str, Any]]:
    """Return the class of the optimizer that the parameters describe, and its settings."""
    if options.optimizer is not None:
        kind = own_optimizer(options.optimizer)
        rate = estimator.learning_rate_init if kind.learning_rate is None else kind.learning_rate
        return OwnOptimizer, {"kind": kind.kind, "learning_rate_init": float(rate)}
    if estimator.solver == "sgd":
        return SGDOptimizer, {
            "learning_rate_init": estimator.learning_rate_init,
            "lr_schedule": estimator.learning_rate,
            "momentum": estimator.momentum,
            "nesterov": estimator.nesterovs_momentum,
            "power_t": estimator.power_t,
        }
    names = ("learning_rate_init", "beta_1", "beta_2", "epsilon")
    return AdamOptimizer, {name: getattr(estimator, name) for name in names}


def own_optimizer(given: Any) -> Optimizer:
    """Return the argument `optimizer` as one of fastnn's that can take the place of scikit-learn's."""
    kind = as_optimizer(given)
    if isinstance(kind, LBFGS):
        raise ValueError("optimizer must be one that takes steps; for L-BFGS give solver='lbfgs'")
    if not isinstance(kind.learning_rate, int | float | None):
        raise TypeError(f"the optimizer's learning_rate must be a number here, got {kind.learning_rate!r}")
    return kind


def is_known_optimizer(optimizer: Any) -> bool:
    """Whether the kernels can stand for the optimizer: it is one of scikit-learn's or of fastnn's, and no subclass."""
    return type(optimizer) in (AdamOptimizer, SGDOptimizer, OwnOptimizer)


def current_optimizer(estimator: Any, options: Options, incremental: bool) -> Any:
    """Return the optimizer of a fit: a new one, or in `partial_fit` the last one.

    The last one follows the parameters that have changed since; what else a program has set of it stays. Another kind
    of optimizer begins without a past.
    """
    kind: Any
    kind, settings = _settings(estimator, options)
    optimizer: Any = getattr(estimator, "_optimizer", None) if incremental else None
    if type(optimizer) is not kind or (kind is OwnOptimizer and optimizer.kind != settings["kind"]):
        parameters = [] if kind is OwnOptimizer else [[*estimator.coefs_, *estimator.intercepts_]]
        optimizer = kind(*parameters, **settings)
    else:
        followed = getattr(optimizer, SETTINGS, settings)
        changed = {name for name, value in settings.items() if value != followed.get(name)}
        for name in changed:
            setattr(optimizer, name, settings[name])
        if changed & {"learning_rate_init", "lr_schedule"}:
            optimizer.learning_rate = float(settings["learning_rate_init"])
    setattr(optimizer, SETTINGS, settings)
    return optimizer


def follow_settings(estimator: Any, options: Options) -> None:
    """Let the optimizer that scikit-learn has made follow the parameters in later calls of `partial_fit`."""
    setattr(estimator._optimizer, SETTINGS, _settings(estimator, options)[1])


class KernelOptimizer:
    """The state of an estimator's optimizer while the kernels update it.

    Parameters
    ----------
    optimizer : AdamOptimizer, SGDOptimizer or OwnOptimizer
    network : Network
    alpha : float
        The L2 penalty, whose gradient is divided by the weight of the batch.
    n_losses : int
        As in `FitExamples`.

    Attributes
    ----------
    rule : UpdateRule
        For the kernels.
    """

    def __init__(self, optimizer: Any, network: Network, alpha: float, n_losses: int) -> None:
        self.optimizer, self.network = optimizer, network
        self._rate = optimizer.learning_rate
        self._state: OptimizerState | None = None
        rule = self._own_rule(alpha) if isinstance(optimizer, OwnOptimizer) else self._scikit_learn_rule(alpha)
        n_stretches = network.engine.buffer.size // optimizer_steps.PENALTY_CHUNK + len(network.sizes)
        self.rule = rule._replace(penalty_per_batch=float(n_losses), norms=np.zeros(n_stretches))

    def _own_rule(self, alpha: float) -> layout.UpdateRule:
        optimizer, spec, buffer = self.optimizer, self.network.engine.spec, self.network.engine.buffer
        state = optimizer.state
        if state is None:
            self._state = initial_state(optimizer.kind, 0.0, buffer)
        else:
            self._state = state.map_buffers(lambda vector: vector_to_buffer(vector, spec))
        return make_update_rule(optimizer.kind, Regularization(l2=alpha), self._state, make_layout(spec).table)

    def _scikit_learn_rule(self, alpha: float) -> layout.UpdateRule:
        optimizer = self.optimizer
        rule = plain_sgd_rule(self.network.engine.buffer)._replace(plain=0, l2=alpha)
        if isinstance(optimizer, AdamOptimizer):
            return rule._replace(
                method=optimizer_steps.ADAM,
                beta_1=optimizer.beta_1,
                beta_2=optimizer.beta_2,
                epsilon=optimizer.epsilon,
                epsilon_before_correction=1,
                steps_before=optimizer.t,
                moment1=self._filled(optimizer.ms),
                moment2=self._filled(optimizer.vs),
            )
        if optimizer.momentum == 0:
            return rule._replace(plain=int(alpha == 0))
        moment1 = self._filled(optimizer.velocities)
        moment1 *= -1 / optimizer.learning_rate
        return rule._replace(beta_1=optimizer.momentum, nesterov=int(optimizer.nesterov), moment1=moment1)

    def _filled(self, parts: list[np.ndarray]) -> np.ndarray:
        engine, split = self.network.engine, len(self.network.weights)
        buffer = aligned_zeros(engine.buffer.size, engine.dtype)
        fill(buffer, engine.spec, parts[:split], parts[split:])
        return buffer

    def _read(self, buffer: np.ndarray, parts: list[np.ndarray]) -> None:
        split = len(self.network.weights)
        read(buffer, self.network.engine.spec, parts[:split], parts[split:])

    def epoch_rate(self) -> float:
        """Return the learning rate of the next epoch, which the optimizer may have changed."""
        optimizer = self.optimizer
        if isinstance(optimizer, AdamOptimizer):
            return float(optimizer.learning_rate_init)
        rate = optimizer.learning_rate
        if isinstance(optimizer, SGDOptimizer) and rate != self._rate:
            moment1 = self.rule.moment1
            moment1 *= self._rate / rate  # scikit-learn's velocity is this one times the rate
            self._rate = rate
        return float(rate)

    def write_back(self, steps: int) -> None:
        """Give the optimizer its state after this many updates."""
        optimizer, rule = self.optimizer, self.rule
        if self._state is not None:
            self._state.steps += steps
            spec = self.network.engine.spec
            optimizer.state = self._state.map_buffers(lambda buffer: buffer_to_vector(buffer, spec))
        elif isinstance(optimizer, AdamOptimizer):
            self._read(rule.moment1, optimizer.ms)
            self._read(rule.moment2, optimizer.vs)
            optimizer.t += steps
            corrections = np.sqrt(1 - optimizer.beta_2**optimizer.t) / (1 - optimizer.beta_1**optimizer.t)
            optimizer.learning_rate = optimizer.learning_rate_init * corrections if steps else optimizer.learning_rate
        elif rule.moment1.size:
            moment1 = rule.moment1
            moment1 *= -self._rate
            self._read(moment1, optimizer.velocities)
