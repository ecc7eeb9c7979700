"""The training by L-BFGS: scipy's search, as scikit-learn calls it, on the compiled loss and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from ...caller import warn_caller
from ...network import Network
from ...parameters import make_layout, views
from .coefficients import dtype_of, fill, make_network, new_network
from .examples import FitExamples, loss_of, make_examples
from .options import Options, read_options
from .scikit_learn import MODULE

SCIPY_PRINTS = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 15)
"""Whether scipy's search can print its progress."""


class Objective:
    """scikit-learn's loss with its penalty, and the gradient, by one vector of all parameters.

    Parameters
    ----------
    network : Network
        Its parameters become those at which the objective was evaluated last.
    prepared : FitExamples
    alpha : float
        The L2 penalty.
    weight : float
        Number of examples, or sum of their weights, by which the penalty is divided.
    n_threads : int, optional
    """

    def __init__(
        self, network: Network, prepared: FitExamples, alpha: float, weight: float, n_threads: int | None
    ) -> None:
        self.network, self.prepared, self.n_threads = network, prepared, n_threads
        self.alpha, self.weight = alpha, weight
        self._shapes = [weights.T.shape for weights in network.weights] + [biases.shape for biases in network.biases]

    def arrays(self, vector: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the weights (n_in, n_out) and biases (n_out,) of a vector, which holds all weights first."""
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self._shapes])
        parts = [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), self._shapes, strict=True)]
        split = len(self.network.weights)
        return parts[:split], parts[split:]

    def set_parameters(self, vector: np.ndarray) -> None:
        """Write a vector into the network."""
        engine = self.network.engine
        fill(engine.buffer, engine.spec, *self.arrays(vector))

    def __call__(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss at these parameters, and its gradient."""
        coefs, _ = self.arrays(vector)
        self.set_parameters(vector)
        loss, of_coefs, of_intercepts = self.with_gradients(coefs)
        return loss, np.hstack([part.ravel() for part in (*of_coefs, *of_intercepts)])

    def with_gradients(self, coefs: list[np.ndarray]) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
        """Return the loss at the network's parameters, whose weights these are, and the gradient of each array."""
        engine, prepared = self.network.engine, self.prepared
        gradient = np.zeros_like(engine.buffer)
        n_rows = prepared.examples.n_rows
        mean = engine.gradient(prepared.examples, gradient, self.n_threads)[0] / prepared.n_losses
        mean += prepared.mean_constant(np.arange(n_rows), n_rows)
        penalty = sum(float(np.vdot(coef, coef)) for coef in coefs)
        weights, biases = views(gradient, make_layout(engine.spec).table)
        of_coefs = [part.T + self.alpha / self.weight * coef for part, coef in zip(weights, coefs, strict=True)]
        return mean + 0.5 * self.alpha * penalty / self.weight, of_coefs, list(biases)


def make_objective(network: Network, estimator: Any, options: Options, X: Any, y: Any, sample_weight: Any) -> Objective:
    """Return the objective of an estimator's examples."""
    weight = X.shape[0] if sample_weight is None else sample_weight.sum()
    prepared = make_examples(network, options.loss, X, y, sample_weight)
    return Objective(network, prepared, estimator.alpha, weight, options.n_threads)


def fit_lbfgs(estimator: Any, options: Options, X: Any, y: np.ndarray, sample_weight: Any) -> None:
    """Train the estimator; its weights are in float64, as scikit-learn's, unless `dtype` chooses."""
    # of the inputs' type, as scikit-learn's: scipy then rounds the parameters that it tries to this type
    start = np.hstack([part.ravel() for part in (*estimator.coefs_, *estimator.intercepts_)])
    loss = loss_of(options.loss, estimator.out_activation_)
    network = new_network(estimator, loss, options.number_type or "float64")
    objective = make_objective(network, estimator, options, X, y, sample_weight)
    limits: dict[str, Any] = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
    if SCIPY_PRINTS:
        limits["iprint"] = 1 if estimator.verbose else -1
    result = minimize(objective, start, method="L-BFGS-B", jac=True, options=limits)
    objective.set_parameters(result.x)
    estimator.n_iter_ = min(result.nit, estimator.max_iter)
    estimator.loss_ = result.fun
    if result.status != 0:
        warn_caller(_not_converged(result, estimator.n_iter_, estimator.max_iter), ConvergenceWarning, MODULE)


def loss_and_gradients(
    estimator: Any, X: Any, y: np.ndarray, sample_weight: Any
) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
    """Return scikit-learn's loss with its penalty, and the gradient of each of the estimator's arrays."""
    options = read_options(estimator)
    dtype = dtype_of(X.dtype, *estimator.coefs_, *estimator.intercepts_)
    network = make_network(estimator, loss_of(options.loss, estimator.out_activation_), dtype)
    objective = make_objective(network, estimator, options, X, y, sample_weight)
    return objective.with_gradients(estimator.coefs_)


def _not_converged(result: Any, n_iterations: int, max_iter: int) -> str:
    """Return scikit-learn's warning of a search that has not converged."""
    message = (
        f"lbfgs failed to converge after {n_iterations} iteration(s) (status={result.status}):\n{result.message}\n"
    )
    if n_iterations == max_iter:
        message += f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
    return (
        message + "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
