"""Optimizers: how an update follows from the slope. Give `fit` a name or one of these objects.

With w a parameter, g its slope, t the number of the update from 1; every square root, product and quotient is by
element::

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
from typing import Any, ClassVar

import numpy as np

from .kernels import optimizer_steps
from .schedules import make_rates
from .spec import check_float, check_int


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What every optimizer has.

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
            value = getattr(self, field.name)
            if field.name == "learning_rate":
                if value is not None:
                    make_rates(value, np.dtype(np.float64))
                continue
            if isinstance(field.default, bool):
                if not isinstance(value, bool | np.bool_):
                    raise TypeError(f"{field.name} must be True or False, got {value!r}")
                continue
            number = check_float(field.name, value)
            if field.name == "epsilon":
                if number <= 0:
                    raise ValueError(f"epsilon must be positive, got {value!r}")
            elif field.name == "weight_decay":
                if number < 0:
                    raise ValueError(f"weight_decay must be 0 or more, got {value!r}")
            elif not 0 <= number < 1:
                raise ValueError(f"{field.name} must be at least 0 and below 1, got {value!r}")

    @property
    def kind(self) -> Optimizer:
        """The optimizer without its learning rate: two trainings of one kind share their state."""
        return replace(self, learning_rate=None)

    @property
    def keeps(self) -> tuple[bool, bool]:
        """Whether it keeps a first and a second number for each parameter."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The fields of the kernels' `Rule` that it sets."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum where it is not 0.

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.1
        As in `fit`.
    momentum : float, default 0
        At least 0 and below 1 (Polyak 1964).
    nesterov : bool, default False
        Look ahead (Nesterov 1983, in the form of Sutskever and others, ICML 2013); takes momentum.

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
    def keeps(self) -> tuple[bool, bool]:
        """The velocity."""
        return self.momentum > 0, False

    def settings(self) -> dict[str, Any]:
        """Momentum."""
        return {"beta_1": float(self.momentum), "nesterov": int(self.nesterov)}


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba, ICLR 2015).

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.001
        As in `fit`.
    beta_1, beta_2 : float, default 0.9 and 0.999
        What the averages of the slope and of its square keep in each step.
    epsilon : float, default 1e-8
        Keeps the quotient finite.
    epsilon_before_correction : bool, default False
        Add epsilon to sqrt(v), not to sqrt(v'): scikit-learn's place for it; False is PyTorch's.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_before_correction: bool = False
    default_rate: ClassVar[float] = 0.001
    method: ClassVar[int] = optimizer_steps.ADAM

    @property
    def keeps(self) -> tuple[bool, bool]:
        """The averages of the slope and of its square."""
        return True, True

    def settings(self) -> dict[str, Any]:
        """Betas and epsilon."""
        return {
            "beta_1": float(self.beta_1),
            "beta_2": float(self.beta_2),
            "epsilon": float(self.epsilon),
            "epsilon_before_correction": int(self.epsilon_before_correction),
        }


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with weight decay that does not pass through the averages (Loshchilov and Hutter, ICLR 2019).

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon, epsilon_before_correction
        As in `Adam`.
    weight_decay : float, default 0.01
        In each step the weights, not the biases, lose this share times the learning rate.
    """

    weight_decay: float = 0.01

    def settings(self) -> dict[str, Any]:
        """Adam's, and the decay."""
        return super().settings() | {"weight_decay": float(self.weight_decay)}


@dataclass(frozen=True, kw_only=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012).

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.01
        As in `fit`.
    rho : float, default 0.99
        What the average of the squared slope keeps in each step.
    momentum : float, default 0
        At least 0 and below 1.
    epsilon : float, default 1e-8
        Keeps the quotient finite.
    """

    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8
    default_rate: ClassVar[float] = 0.01
    method: ClassVar[int] = optimizer_steps.RMSPROP

    @property
    def keeps(self) -> tuple[bool, bool]:
        """The velocity where there is momentum, and the average of the squared slope."""
        return self.momentum > 0, True

    def settings(self) -> dict[str, Any]:
        """Decays and epsilon."""
        return {"beta_1": float(self.momentum), "beta_2": float(self.rho), "epsilon": float(self.epsilon)}


@dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer, JMLR 12, 2011).

    Parameters
    ----------
    learning_rate : float, schedule or callable, default 0.01
        As in `fit`.
    epsilon : float, default 1e-10
        Keeps the quotient finite.
    """

    epsilon: float = 1e-10
    default_rate: ClassVar[float] = 0.01
    method: ClassVar[int] = optimizer_steps.ADAGRAD

    @property
    def keeps(self) -> tuple[bool, bool]:
        """The sum of squared slopes."""
        return False, True

    def settings(self) -> dict[str, Any]:
        """Epsilon."""
        return {"epsilon": float(self.epsilon)}


@dataclass(frozen=True, kw_only=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS by `scipy.optimize`, on the compiled gradient of all examples (Liu and Nocedal 1989).

    `epochs` counts its iterations; there is no learning rate and there are no batches.

    Parameters
    ----------
    memory : int, default 10
        Steps that it remembers.
    tolerance : float, default 1e-5
        It has converged where no slope is larger.
    """

    memory: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if self.learning_rate is not None:
            raise ValueError(f"LBFGS takes no learning_rate, it searches its own steps; got {self.learning_rate!r}")
        check_int("memory", self.memory, 1)
        if check_float("tolerance", self.tolerance) < 0:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance!r}")


NAMES: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "lbfgs": LBFGS,
}


def as_optimizer(value: Any) -> Optimizer:
    """An optimizer from its name, or itself."""
    if isinstance(value, Optimizer):
        return value
    if not isinstance(value, str):
        raise TypeError(f"optimizer must be a name or an object such as fastnn.Adam(), got {value!r}")
    if value not in NAMES:
        raise ValueError(f"optimizer must be one of {', '.join(NAMES)}; got {value!r}")
    return NAMES[value]()
