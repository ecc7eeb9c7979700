"""How an update follows from the gradient: optimizer state, penalties and limits, packed for the kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..augmentation import Images, pack_perturbations
from ..checks import check_float
from ..kernels import layout, optimizer_steps
from ..optimizers import SGD, Optimizer
from ..parameters import aligned_zeros
from ..spec import Spec

NO_FLOATS = np.empty(0)


@dataclass(frozen=True)
class Regularization:
    """Penalties, limits and noise of one training; `Network.fit` documents them.

    Attributes
    ----------
    l1, l2, clip_norm, max_norm, label_smoothing, input_noise, ema_decay : float
        0 is off.
    augmentation : Images or None
    """

    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float = 0.0
    max_norm: float = 0.0
    label_smoothing: float = 0.0
    input_noise: float = 0.0
    ema_decay: float = 0.0
    augmentation: Images | None = None


def make_regularization(
    *, l1: Any, l2: Any, clip_norm: Any, max_norm: Any, label_smoothing: Any, input_noise: Any, ema_decay: Any
) -> Regularization:
    """Check the arguments of `fit`; None is off."""
    checked: dict[str, Any] = {}
    for name, value in (("l1", l1), ("l2", l2), ("input_noise", input_noise)):
        checked[name] = check_float(name, value)
        if checked[name] < 0:
            raise ValueError(f"{name} must be 0 or more, got {value!r}")
    for name, value in (("clip_norm", clip_norm), ("max_norm", max_norm)):
        checked[name] = 0.0 if value is None else check_float(name, value)
        if value is not None and checked[name] <= 0:
            raise ValueError(f"{name} must be positive, or None for no limit, got {value!r}")
    for name, value in (("label_smoothing", label_smoothing), ("ema_decay", 0.0 if ema_decay is None else ema_decay)):
        checked[name] = check_float(name, value)
        if not 0 <= checked[name] < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")
    return Regularization(**checked)


@dataclass
class OptimizerState:
    """What an optimizer has gathered, laid out as the network's parameters; it stays with the network.

    Attributes
    ----------
    kind : Optimizer
        The optimizer without its learning rate.
    steps : int
        Updates made.
    moment1, moment2 : ndarray
        Buffers of the optimizer; empty where it has none.
    ema : ndarray
        Exponential moving average of the parameters; empty where none is kept.
    """

    kind: Optimizer
    steps: int
    moment1: np.ndarray
    moment2: np.ndarray
    ema: np.ndarray

    def map_buffers(self, function: Callable[[np.ndarray], np.ndarray]) -> OptimizerState:
        """Return the state with `function` applied to each buffer."""
        return OptimizerState(self.kind, self.steps, function(self.moment1), function(self.moment2), function(self.ema))

    def continues(self, optimizer: Optimizer, ema_decay: float) -> bool:
        """Whether a training with this optimizer and average can continue from the state."""
        return self.kind == optimizer.kind and bool(self.ema.size) == bool(ema_decay)


def initial_state(optimizer: Optimizer, ema_decay: float, parameters: np.ndarray) -> OptimizerState:
    """Return the state before the first update: moments 0, the average at the parameters themselves."""
    moment1, moment2 = (
        aligned_zeros(parameters.size if kept else 0, parameters.dtype) for kept in optimizer.has_moments
    )
    ema = aligned_zeros(parameters.size if ema_decay else 0, parameters.dtype)
    ema[:] = parameters[: ema.size]
    return OptimizerState(optimizer.kind, 0, moment1, moment2, ema)


def make_update_rule(
    optimizer: Optimizer,
    regularization: Regularization,
    state: OptimizerState,
    table: np.ndarray,
    rate_factors: tuple[float, ...] = (),
    decay_factors: tuple[float, ...] = (),
) -> layout.UpdateRule:
    """Pack optimizer and regularization settings for the kernels.

    Parameters
    ----------
    optimizer : Optimizer
    regularization : Regularization
    state : OptimizerState
        The kernels update its buffers in place.
    table : ndarray
        Layer table of the network.
    rate_factors, decay_factors : tuple of float
        As in `FitOptions`.

    Raises
    ------
    ValueError
        If epsilon vanishes in the type of the parameters.
    """
    settings = regularization
    plain = isinstance(optimizer, SGD) and not any(
        (optimizer.momentum, settings.l1, settings.l2, settings.clip_norm, settings.ema_decay, rate_factors)
    )
    n_norms = int((table[:, layout.N_IN] + 1).sum() + table[0, [layout.N_EMBEDDED, layout.N_VECTORS]].sum())
    values: dict[str, Any] = {
        "method": optimizer.method,
        "plain": int(plain),
        "l1": settings.l1,
        "l2": settings.l2,
        "clip_norm": settings.clip_norm,
        "max_norm": settings.max_norm,
        "ema_decay": settings.ema_decay,
        "rate_factors": np.array(rate_factors) if rate_factors else NO_FLOATS,
        "decay_factors": np.array(decay_factors) if decay_factors else NO_FLOATS,
        "steps_before": state.steps,
        "norms": np.zeros(n_norms) if settings.clip_norm else NO_FLOATS,
        "moment1": state.moment1,
        "moment2": state.moment2,
        "ema": state.ema,
    }
    rule = plain_sgd_rule(state.moment1)._replace(**values | optimizer.rule_fields())
    tiny = float(np.finfo(state.moment1.dtype).tiny) if rule.epsilon > 0 else 0.0
    if 0 < rule.epsilon < tiny:
        raise ValueError(f"epsilon must be at least {tiny:.3g} for {state.moment1.dtype}, got {rule.epsilon!r}")
    return rule


def plain_sgd_rule(parameters: np.ndarray) -> layout.UpdateRule:
    """Return W - rate * gradient, for parameters of this array's type."""
    empty = parameters[:0]
    return layout.UpdateRule(
        method=optimizer_steps.SGD, plain=1, beta_1=0.0, beta_2=0.0, epsilon=0.0, nesterov=0,
        epsilon_before_correction=0, weight_decay=0.0, decay_factors=NO_FLOATS, decay_schedule=NO_FLOATS,
        first_scheduled=0, l1=0.0, l2=0.0, penalty_per_batch=0.0, clip_norm=0.0,
        max_norm=0.0, ema_decay=0.0, rate_factors=NO_FLOATS, steps_before=0, norms=NO_FLOATS,
        moment1=empty, moment2=empty, ema=empty,
    )  # fmt: skip


def no_stochastic_regularization(parameters: np.ndarray) -> layout.StochasticRegularization:
    """Return what perturbs nothing, for parameters of this array's type."""
    return pack_perturbations(None, parameters.dtype)


def make_stochastic_regularization(
    spec: Spec, regularization: Regularization, seed: int, block: int
) -> layout.StochasticRegularization:
    """Pack dropout, noise, label smoothing and augmentation for the kernels; the shuffle's draws are others.

    Parameters
    ----------
    spec : Spec
        Of the network.
    regularization : Regularization
    seed : int
    block : int
        Rows of a block, see `Workspace`.
    """
    return pack_perturbations(
        regularization.augmentation,
        spec.dtype,
        input_scale=spec.input_scale,
        n_rows=block,
        dropout=any(spec.dropout),
        input_noise=regularization.input_noise,
        label_smoothing=regularization.label_smoothing,
        seed=_seed_of_draws(seed),
    )


@lru_cache(maxsize=64)
def _seed_of_draws(seed: int) -> int:
    return int(np.random.SeedSequence((seed, 1)).generate_state(1, np.uint64)[0] >> 1)
