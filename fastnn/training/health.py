"""Warn where a training cannot work: targets out of reach, inputs of the wrong scale, dead neurons, constant outputs.

All of it is seen in a sample of the examples, before the training and at a few returns from the kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from ..caller import warn_caller
from ..errors import DivergenceError, TrainingWarning
from ..history import History
from ..kernels import gather, layout
from ..kernels.target import BFLOAT16_PATH
from ..spec import Spec
from .engine import Engine

SAMPLE_VALUES = 1 << 14
"""Numbers of a sample of inputs or of targets, where that leaves MIN_ROWS."""

MIN_ROWS, MAX_ROWS = 16, 256
MAX_DENSE_INPUTS = 1 << 16
"""Inputs of sparse rows up to which a sample of them is predicted, as dense rows."""

LARGE_INPUT = 100.0
"""Root mean square of an input from which a training is warned of it."""

SUSPECT_INPUT, SUSPECT_TARGET = 10.0, 100.0
"""Root mean squares from which the scale is named where a training diverged."""

TOLERANCE = 0.01
"""Part of an activation's span, or of the largest target, by which targets may lie outside of its range."""

SATURATED = 1e-7
"""Differences between the outputs of a bounded activation that count as none."""

RANGES = {
    "step": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "arctan": (-math.pi / 2, math.pi / 2),
    "relu": (0.0, math.inf),
    "elu": (-1.0, math.inf),
    "softplus": (0.0, math.inf),
    "softmax": (0.0, 1.0),
    "silu": (-0.278465, math.inf),
    "gelu": (-0.169971, math.inf),
    "selu": (-1.758099, math.inf),
    "softsign": (-1.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "exponential": (0.0, math.inf),
    "mish": (-0.308843, math.inf),
}
"""Activation -> its least and its greatest value; those that take every value are missing."""

REACHED = ("cross_entropy", "binary_cross_entropy", "perceptron", "poisson")
"""Losses whose targets are checked against the outputs' range, as errors."""

DTYPES = {code: np.dtype(name) for name, code in gather.KINDS.items()}
Report = Callable[[str, type[Warning]], None]


class Sample:
    """Evenly spaced examples, of those whose weight is not 0.

    Parameters
    ----------
    examples : Examples
    spec : Spec

    Attributes
    ----------
    inputs : ndarray, (n_rows, n_inputs)
        As the caller gave them, not scaled; without rows where sparse rows are too wide.
    targets : ndarray, (n_rows, n_outputs) or (n_rows,)
        Numbers, or labels.
    largest : float
        Greatest absolute value of a scaled input.
    """

    def __init__(self, examples: layout.Examples, spec: Spec) -> None:
        n_in, n_out = spec.sizes[0], spec.sizes[-1]
        rows = spaced_rows(examples, n_in, MAX_ROWS)
        self.scale = abs(spec.input_scale)
        self._stored = np.empty(0)  # scaled numbers of sparse rows
        if examples.kind != gather.CSR:
            dtype = DTYPES[examples.kind]
            strides = (examples.stride * dtype.itemsize, dtype.itemsize)
            self.inputs = np.ndarray((examples.n_rows, n_in), dtype, examples.inputs.data, strides=strides)[rows]
        else:
            parts = [slice(examples.starts[row], examples.starts[row + 1]) for row in rows]
            self._stored = np.concatenate([examples.values[part] for part in parts])
            self.inputs = np.zeros((len(rows) if n_in <= MAX_DENSE_INPUTS else 0, n_in))
            for row, part in zip(self.inputs, parts, strict=False):
                np.add.at(row, examples.columns[part], examples.values[part] / spec.input_scale)
        self.largest = self._largest_input()
        labels = examples.labels
        self.targets = labels[rows] if labels.size else examples.targets.reshape(examples.n_rows, n_out)[rows]

    @property
    def varied(self) -> bool:
        """Whether both inputs and targets differ among the rows."""
        return all(len(part) and bool((part != part[0]).any()) for part in (self.inputs, self.targets))

    def _largest_input(self) -> float:
        if self._stored.size:
            return float(np.abs(self._stored).max())
        return self.scale * float(max(self.inputs.max(initial=0), -float(self.inputs.min(initial=0))))

    def input_size(self) -> tuple[float, int | None]:
        """Return the greatest root mean square of a scaled input, and the number of its column.

        Of sparse rows it is that of all stored numbers, and of no column.
        """
        if self._stored.size:
            return root_mean_square(self._stored), None
        sizes = self.scale * np.sqrt(np.mean(np.square(self.inputs.astype(np.float64)), axis=0))
        column = int(sizes.argmax())
        return float(sizes[column]), column

    def target_size(self) -> float:
        """Return the root mean square of the targets; 0 for labels."""
        return root_mean_square(self.targets) if self.targets.ndim == 2 else 0.0


def root_mean_square(values: np.ndarray) -> float:
    """Return the root of the mean square of all numbers."""
    return math.sqrt(float(np.mean(np.square(values.astype(np.float64)))))


def spaced_rows(examples: layout.Examples, width: int, max_rows: int) -> np.ndarray:
    """Return the numbers of evenly spaced examples: as many rows of this width as a sample has."""
    chosen = np.flatnonzero(examples.weights) if examples.weights.size else None
    n_rows = examples.n_rows if chosen is None else len(chosen)
    count = min(n_rows, max_rows, max(MIN_ROWS, SAMPLE_VALUES // width))
    rows = np.arange(count) * n_rows // count
    return rows if chosen is None else chosen[rows]


class HealthMonitor:
    """What is looked at in one training, and what was warned of.

    Parameters
    ----------
    engine : Engine
        Of the network that learns.
    report : callable, default `warn_caller`
        Called with the text and the category of each warning.
    reported : iterable of str
        Kinds of trouble of which earlier parts of the training warned.

    Attributes
    ----------
    reported : set of str
        Kinds of trouble of which it has warned so far.
    """

    def __init__(self, engine: Engine, report: Report = warn_caller, reported: Iterable[str] = ()) -> None:
        self.engine, self.report, self.reported = engine, report, set(reported)
        self._sample: Sample | None = None
        self._healthy_epoch = 0  # at whose end the outputs were seen to differ

    def warn(self, kind: str, text: str) -> None:
        """Warn of each kind of trouble once."""
        if kind not in self.reported:
            self.reported.add(kind)
            self.report(text, TrainingWarning)

    def begin(self, examples: layout.Examples) -> None:
        """Take the sample, and warn of targets out of reach and of large inputs."""
        self._sample = Sample(examples, self.engine.spec)
        self._check_targets(examples)
        if self.engine.spec.precision == "bfloat16" and BFLOAT16_PATH == "emulated":
            self.warn(
                "precision",
                "this processor does not multiply bfloat16: precision='bfloat16' rounds as elsewhere, but in float32 "
                "arithmetic, and is slower than precision=None",
            )
        if self._sample.largest >= LARGE_INPUT and self._sample.input_size()[0] >= LARGE_INPUT:
            self.warn("inputs", self._advise_on_inputs(self._sample))

    def _check_targets(self, examples: layout.Examples) -> None:
        spec = self.engine.spec
        name, n_out = spec.activation[-1], spec.sizes[-1]
        if name not in RANGES or spec.loss in REACHED or examples.labels.size:
            return
        targets = examples.targets.reshape(examples.n_rows, n_out)[spaced_rows(examples, n_out, SAMPLE_VALUES)]
        least, greatest = RANGES[name]
        low, high = float(targets.min()), float(targets.max())
        span = greatest - least if math.isfinite(greatest) else max(abs(low), abs(high))
        if low < least - TOLERANCE * span or high > greatest + TOLERANCE * span:
            reach = f"from {least:.4g} to {greatest:.4g}" if math.isfinite(greatest) else f"above {least:.4g}"
            self.warn(
                "targets",
                f"y holds targets from {low:.4g} to {high:.4g}, but outputs with activation {name!r} lie {reach}: "
                "scale the targets, or give the output layer an activation that reaches them, such as 'identity' "
                "(activation=[..., 'identity'])",
            )

    def _advise_on_inputs(self, sample: Sample) -> str:
        size, column = sample.input_size()
        where = "" if column is None else f" in column {column}"
        return (
            f"X holds large inputs, about {size:.3g}{where}: scale them, with fastnn.preprocessing.StandardScaler or "
            "the network's input_scale"
        )

    def after_call(self, history: History) -> None:
        """Look for dead neurons once, at the first return from the kernels after an epoch."""
        if history.epochs and not self._healthy_epoch and "dead" not in self.reported:
            self._check_outputs(history, at_end=False)

    def end(self, history: History) -> None:
        """Look for dead neurons and for constant outputs after the last epoch."""
        if history.epochs > self._healthy_epoch and "dead" not in self.reported:
            self._check_outputs(history, at_end=True)

    def _check_outputs(self, history: History, at_end: bool) -> None:
        """Warn where the outputs do not depend on the inputs; behind a layer that is dead they cannot."""
        sample, engine = self._sample, self.engine
        if sample is None or not len(sample.inputs):
            return
        two = np.ascontiguousarray(sample.inputs[:: max(1, len(sample.inputs) - 1)], engine.dtype)
        if not self._constant(engine.predict(two), -1):
            self._healthy_epoch = history.epochs
            return
        if not sample.varied:
            return
        layers = engine.activations(sample.inputs)[1:]
        if not self._constant(layers[-1], -1):
            self._healthy_epoch = history.epochs
            return
        names, after = engine.spec.activation, f"after epoch {history.epochs}"
        dead = [number for number, values in enumerate(layers[:-1]) if names[number] == "relu" and not values.any()]
        if dead:
            self.warn(
                "dead",
                f"all neurons of hidden layer {dead[0] + 1}, with activation 'relu', are 0 for every example {after}, "
                f"and cannot learn any more: build the network anew, and train with {self._remedy(history)}, or with "
                "'leaky_relu' in that layer",
            )
        elif at_end:
            constant = [number for number, values in enumerate(layers[:-1]) if self._constant(values, number)]
            since = f", since those of hidden layer {constant[0] + 1} are" if constant else ""
            self.warn(
                "constant",
                f"the outputs are the same for all examples {after}{since}: train with {self._remedy(history)}, or "
                "with other initial weights (init='auto')",
            )

    def _constant(self, values: np.ndarray, layer: int) -> bool:
        """Return whether every neuron of a layer gives the same value for all rows, to a few roundings."""
        low, high = values.min(axis=0), values.max(axis=0)
        if not len(values) or not np.isfinite(high - low).all():
            return False
        least, greatest = RANGES.get(self.engine.spec.activation[layer], (0.0, math.inf))
        rounding = 4 * np.finfo(values.dtype).eps * np.maximum(np.abs(low), np.abs(high))
        saturated = SATURATED * (greatest - least) if math.isfinite(greatest) else 0.0
        return bool((high - low <= np.maximum(rounding, saturated)).all())

    def _remedy(self, history: History) -> str:
        rates = [rate for rate in history.learning_rates if math.isfinite(rate)]
        large = self._sample is not None and self._sample.largest >= SUSPECT_INPUT
        smaller = "a smaller learning_rate" + (f" (it was {max(rates):g})" if rates else "")
        return f"scaled inputs and {smaller}" if large else smaller

    def cause_of_divergence(self) -> str | None:
        """Return what in the data made a training diverge, and what to do; None where their scale is usual."""
        sample = self._sample
        if sample is None:
            return None
        if sample.largest >= SUSPECT_INPUT and sample.input_size()[0] >= SUSPECT_INPUT:
            return self._advise_on_inputs(sample)
        size = sample.target_size()
        if size >= SUSPECT_TARGET:
            return f"y holds large targets, about {size:.3g}: scale them, with fastnn.preprocessing.StandardScaler"
        return None

    @contextmanager
    def explain_divergence(self) -> Iterator[None]:
        """Let a DivergenceError name the scale of the data where that is the cause."""
        try:
            yield
        except DivergenceError as error:
            error.cause = self.cause_of_divergence()
            raise

    def report_divergence(self, text: str) -> None:
        """Warn of a divergence that was let pass."""
        cause = self.cause_of_divergence()
        self.report(f"training diverged: {text}" + (f"; {cause}" if cause else ""), RuntimeWarning)
