"""fastnn behind the interfaces of other projects, and networks from and for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..network import Network


def from_torch(module: Any, loss: Any = None) -> Network:
    """A network with the layers and parameters of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Sequential or torch.nn.Linear
        Of Linear, activations, Dropout and Flatten, itself of Sequentials. In `Network`'s words: Sigmoid, Tanh, ReLU,
        LeakyReLU (slope 0.01), ELU (alpha 1), Softplus (beta 1, threshold 20), SiLU, GELU (not approximated), SELU,
        Softsign, Hardsigmoid, Identity; Softmax or LogSoftmax at the end, whose outputs are probabilities here.
    loss : str or object, optional
        As in `Network`. "cross_entropy", "binary_cross_entropy" and "poisson" put their outputs behind a last Linear,
        as PyTorch's losses on logits do. None: "cross_entropy" after Softmax and LogSoftmax, "binary_cross_entropy"
        after Sigmoid, else "squared_error".

    Returns
    -------
    Network
        Of the module's dtype; a copy. A Linear without bias has biases 0, which learn; one that stands at several
        places becomes as many layers, which learn apart.

    Raises
    ------
    TypeError, ValueError
        For what fastnn has not, naming its place in the module.
    ImportError
        Without PyTorch: pip install 'fastnn[torch]'.

    Examples
    --------
    >>> import fastnn, torch  # doctest: +SKIP
    >>> module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))  # doctest: +SKIP
    >>> fastnn.from_torch(module, loss="cross_entropy").activation  # doctest: +SKIP
    ('relu', 'softmax')
    """
    from ..convert.torch import from_module

    return from_module(module, loss)


def from_sklearn(estimator: Any) -> Network:
    """A network with the layers and weights of a fitted scikit-learn perceptron.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        scikit-learn's or fastnn's, fitted.

    Returns
    -------
    Network
        Of the dtype of `coefs_`; a copy. Its outputs are those of `predict_proba`, of two classes that of the second,
        or of a regression's `predict`. `classes_` and `feature_names_in_` become `class_names` and `column_names`.

    Raises
    ------
    TypeError
        For other estimators.
    sklearn.exceptions.NotFittedError
        Before `fit`.
    ImportError
        Without scikit-learn: pip install 'fastnn[sklearn]'.

    Examples
    --------
    >>> import fastnn  # doctest: +SKIP
    >>> from sklearn.neural_network import MLPRegressor  # doctest: +SKIP
    >>> estimator = MLPRegressor(max_iter=500).fit([[0.0], [1.0]], [0.0, 1.0])  # doctest: +SKIP
    >>> fastnn.from_sklearn(estimator).sizes  # doctest: +SKIP
    (1, 100, 1)
    """
    from ..convert.sklearn import from_estimator

    return from_estimator(estimator)
