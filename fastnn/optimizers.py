"""Optimizers: how an update follows from the gradient. Give `fit` a name or one of these objects.

With w a parameter, g its gradient and t the number of the update from 1; squares, square roots, products and quotients
are taken element by element::

    SGD        v = momentum v + g;  w -= rate v, with nesterov w -= rate (g + momentum v)
    Adam       m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g^2
               w -= rate m' / (sqrt(v') + epsilon),  m' = m / (1 - beta_1^t),  v' = v / (1 - beta_2^t)
    AdamW      w *= 1 - rate weight_decay (weights only), then as Adam
    RMSprop    s = rho s + (1 - rho) g^2;  v = momentum v + g / (sqrt(s) + epsilon);  w -= rate v
    Adagrad    s = s + g^2;  w -= rate g / (sqrt(s) + epsilon)
    LBFGS      limited-memory BFGS over all examples at once, by scipy.optimize
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .checks import check_float, check_int, check_non_negative, check_positive
from .kernels import optimizer_steps
from .learning_rates import as_learning_rates


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Base class of all optimizers.

    Parameters
    ----------
    learning_rate : float, schedule or callable, optional
        As in `fit`; None takes the optimizer's own default. Giving it here and in `fit` is an error.
    """

    learning_rate: Any = None
    default_rate: ClassVar[float] = 0.1
    method: ClassVar[int] = optimizer_steps.SGD

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name == "learning_rate":
                if value is not None:
                    as_learning_rates(value, np.dtype(np.float64))
            elif isinstance(field.default, bool):
                if not isinstance(value, bool | np.bool_):
                    raise TypeError(f"{name} must be True or False, got {value!r}")
            elif name == "epsilon":
                check_positive(name, value)
            elif name == "weight_decay":
                check_non_negative(name, value)
            elif not 0 <= check_float(name, value) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")

    @property
    def kind(self) -> Optimizer:
        """The optimizer without its learning rate; trainings with equal kinds can share their state."""
        return self if self.learning_rate is None else replace(self, learning_rate=None)

    @property
    def has_moments(self) -> tuple[bool, bool]:
        """Whether the state has a first and a second moment for each parameter."""
        raise NotImplementedError

    def rule_fields(self) -> dict[str, Any]:
        """Return the fields of the kernels' `UpdateRule` that this optimizer sets."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum.

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.1
        As in `fit`.
    momentum : float, default 0
        At least 0 and below 1 (Polyak 1964).
    nesterov : bool, default False
        Use Nesterov's momentum (Nesterov 1983, in the form of Sutskever and others, ICML 2013).

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 1], activation="identity", seed=0)
    >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=50, optimizer=fastnn.SGD(learning_rate=0.1, momentum=0.9))
    >>> history["loss"][-1] < history["loss"][0]
    True
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov takes a momentum above 0, got 0")

    @property
    def has_moments(self) -> tuple[bool, bool]:
        """The velocity, if there is momentum."""
        return self.momentum > 0, False

    def rule_fields(self) -> dict[str, Any]:
        """Return the momentum."""
        return {"beta_1": float(self.momentum), "nesterov": int(self.nesterov)}


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, ICLR 2015).

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.001
        As in `fit`.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay rates of the averages of the gradient and of its square.
    epsilon : float, default 1e-8
        Added to the denominator to keep the quotient finite.
    epsilon_before_correction : bool, default False
        Add epsilon to sqrt(v), as scikit-learn does, instead of sqrt(v'), as PyTorch does.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_before_correction: bool = False
    default_rate: ClassVar[float] = 0.001
    method: ClassVar[int] = optimizer_steps.ADAM

    @property
    def has_moments(self) -> tuple[bool, bool]:
        """The averages of the gradient and of its square."""
        return True, True

    def rule_fields(self) -> dict[str, Any]:
        """Return the betas and epsilon."""
        return {
            "beta_1": float(self.beta_1),
            "beta_2": float(self.beta_2),
            "epsilon": float(self.epsilon),
            "epsilon_before_correction": int(self.epsilon_before_correction),
        }


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, which bypasses the averages (Loshchilov and Hutter, ICLR 2019).

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, epsilon_before_correction
        As in `Adam`.
    weight_decay : float, default 0.01
        Each step multiplies the weights, not the biases, by 1 - learning_rate * weight_decay.
    """

    weight_decay: float = 0.01

    def rule_fields(self) -> dict[str, Any]:
        """Return those of Adam, and the decay."""
        return super().rule_fields() | {"weight_decay": float(self.weight_decay)}


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012).

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.01
        As in `fit`.
    rho : float, default 0.99
        Decay rate of the average of the squared gradient.
    momentum : float, default 0
        At least 0 and below 1.
    epsilon : float, default 1e-8
        Added to the denominator to keep the quotient finite.
    """

    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8
    default_rate: ClassVar[float] = 0.01
    method: ClassVar[int] = optimizer_steps.RMSPROP

    @property
    def has_moments(self) -> tuple[bool, bool]:
        """The velocity, if there is momentum, and the average of the squared gradient."""
        return self.momentum > 0, True

    def rule_fields(self) -> dict[str, Any]:
        """Return the momentum, rho and epsilon."""
        return {"beta_1": float(self.momentum), "beta_2": float(self.rho), "epsilon": float(self.epsilon)}


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer, JMLR 12, 2011).

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.01
        As in `fit`.
    epsilon : float, default 1e-10
        Added to the denominator to keep the quotient finite.
    """

    epsilon: float = 1e-10
    default_rate: ClassVar[float] = 0.01
    method: ClassVar[int] = optimizer_steps.ADAGRAD

    @property
    def has_moments(self) -> tuple[bool, bool]:
        """The sum of the squared gradients."""
        return False, True

    def rule_fields(self) -> dict[str, Any]:
        """Return epsilon."""
        return {"epsilon": float(self.epsilon)}


@dataclass(frozen=True, kw_only=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS by `scipy.optimize`, on the compiled gradient of all examples (Liu and Nocedal 1989).

    The `epochs` of `fit` count its iterations. It takes neither a learning rate nor batches.

    Parameters
    ----------
    history_size : int, default 10
        Number of previous steps from which the curvature is estimated.
    tolerance : float, default 1e-5
        It has converged when no element of the gradient is larger.
    """

    history_size: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if self.learning_rate is not None:
            raise ValueError(f"LBFGS takes no learning_rate, it searches its own steps; got {self.learning_rate!r}")
        check_int("history_size", self.history_size, 1)
        check_non_negative("tolerance", self.tolerance)


NAMES: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "lbfgs": LBFGS,
}


def as_optimizer(optimizer: Any) -> Optimizer:
    """Return an optimizer from its name; return an `Optimizer` unchanged."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(f"optimizer must be a name or an object such as fastnn.Adam(), got {optimizer!r}")
    if optimizer not in NAMES:
        raise ValueError(f"optimizer must be one of {', '.join(NAMES)}; got {optimizer!r}")
    return _default_optimizer(optimizer)


@lru_cache
def _default_optimizer(name: str) -> Optimizer:
    return NAMES[name]()
