"""What a training keeps from step to step, and the kernels' view of it: state of the optimizer, penalties, limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_float
from ..kernels import layout, optimizer_steps
from ..optimizers import SGD, Optimizer
from ..parameters import aligned_zeros

NO_FLOATS = np.empty(0)


@dataclass(frozen=True)
class Regularization:
    """The penalties and disturbances of one training; `fit` documents them.

    Attributes
    ----------
    l1, l2, clip_norm, max_norm, label_smoothing, input_noise, averaging : float
        0 where there is none.
    """

    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float = 0.0
    max_norm: float = 0.0
    label_smoothing: float = 0.0
    input_noise: float = 0.0
    averaging: float = 0.0


def make_regularization(
    l1: Any, l2: Any, clip_norm: Any, max_norm: Any, label_smoothing: Any, input_noise: Any, averaging: Any
) -> Regularization:
    """Check the arguments; None is none."""
    checked = {}
    for name, value in (("l1", l1), ("l2", l2), ("input_noise", input_noise)):
        checked[name] = check_float(name, value)
        if checked[name] < 0:
            raise ValueError(f"{name} must be 0 or more, got {value!r}")
    for name, value in (("clip_norm", clip_norm), ("max_norm", max_norm)):
        checked[name] = 0.0 if value is None else check_float(name, value)
        if value is not None and checked[name] <= 0:
            raise ValueError(f"{name} must be positive, or None for no limit, got {value!r}")
    for name, value in (("label_smoothing", label_smoothing), ("averaging", 0.0 if averaging is None else averaging)):
        checked[name] = check_float(name, value)
        if not 0 <= checked[name] < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
    return Regularization(**checked)


@dataclass
class State:
    """What an optimizer has gathered, laid out as the network's parameters; it stays with the network.

    Attributes
    ----------
    kind : Optimizer
        Whose state it is, without the learning rate.
    steps : int
        Updates that it has seen.
    first, second, average : ndarray
        Flat buffers; empty where nothing is kept.
    """

    kind: Optimizer
    steps: int
    first: np.ndarray
    second: np.ndarray
    average: np.ndarray

    def with_buffers(self, change: Callable[[np.ndarray], np.ndarray]) -> State:
        """The same state with each buffer changed."""
        return State(self.kind, self.steps, change(self.first), change(self.second), change(self.average))


def initial_state(optimizer: Optimizer, averaging: float, parameters: np.ndarray) -> State:
    """The state before the first update: zeros, and the average at the parameters themselves."""
    first, second = (aligned_zeros(parameters.size if kept else 0, parameters.dtype) for kept in optimizer.has_moments)
    average = aligned_zeros(parameters.size if averaging else 0, parameters.dtype)
    average[:] = parameters[: average.size]
    return State(optimizer.kind, 0, first, second, average)


def make_update_rule(
    optimizer: Optimizer, regularisation: Regularization, state: State, table: np.ndarray
) -> layout.UpdateRule:
    """The kernels' view."""
    about = regularisation
    plain = isinstance(optimizer, SGD) and not any(
        (optimizer.momentum, about.l1, about.l2, about.clip_norm, about.averaging)
    )
    n_norms = int((table[:, layout.N_IN] + 1).sum())
    values: dict[str, Any] = {
        "method": optimizer.method,
        "plain": int(plain),
        "l1": about.l1,
        "l2": about.l2,
        "clip": about.clip_norm,
        "max_norm": about.max_norm,
        "averaging": about.averaging,
        "steps_before": state.steps,
        "norms": np.zeros(n_norms) if about.clip_norm else NO_FLOATS,
        "first": state.first,
        "second": state.second,
        "average": state.average,
    }
    rule = plain_sgd_rule(state.first)._replace(**values | optimizer.rule_fields())
    tiny = float(np.finfo(state.first.dtype).tiny)
    if 0 < rule.epsilon < tiny:
        raise ValueError(f"epsilon must be at least {tiny:.3g} for {state.first.dtype}, got {rule.epsilon!r}")
    return rule


def plain_sgd_rule(numbers: np.ndarray) -> layout.UpdateRule:
    """W - rate * slope, for parameters of the type of `numbers`."""
    nothing = numbers[:0]
    return layout.UpdateRule(
        method=optimizer_steps.SGD, plain=1,
        beta_1=0.0, beta_2=0.0, epsilon=0.0, nesterov=0, early_epsilon=0, decay=0.0,
        l1=0.0, l2=0.0, shared=0.0, clip=0.0, max_norm=0.0, averaging=0.0, steps_before=0, norms=NO_FLOATS,
        first=nothing, second=nothing, average=nothing,
    )  # fmt: skip


UNDISTURBED = layout.StochasticRegularization(0, 0.0, 0.0, 0)


def make_stochastic_regularization(
    dropout: tuple[float, ...], regularisation: Regularization, seed: int
) -> layout.StochasticRegularization:
    """The kernels' view of dropout, noise and smoothing; its draws have nothing to do with those of the shuffle."""
    return layout.StochasticRegularization(
        int(any(dropout)),
        regularisation.input_noise,
        regularisation.label_smoothing,
        int(np.random.SeedSequence((seed, 1)).generate_state(1, np.uint64)[0] >> 1),
    )
