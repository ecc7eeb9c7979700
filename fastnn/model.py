"""The network without its learning: parameters, predictions, copies."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from . import inputs
from .initialisers import draws_of, initialise
from .io import model_file
from .io.model_file import SavedModel
from .kernels import gather, kernel_table, layout, predict, threads
from .kernels.njit_api import Compiled
from .parameters import Layout, aligned_zeros, flatten, make_layout, unflatten, views
from .spec import activation_code, check_int, loss_code, make_spec
from .training.update_rule import State
from .workspace import make_workspace

PREDICT_ROWS = 256
FEW_ROWS = 32
"""Rows up to which a call goes straight to the kernel: below it the checks in Python would cost more than the work."""

NO_ORDER = np.empty(0, np.int64)
NO_FLAGS = np.empty(0, np.int64)
"""Of the layers that do not learn, where no training is under way."""

WORTH_A_LAUNCH = 2_000_000
"""Multiply-adds below which a single call stays on the caller's thread."""


class Model:
    """What `fastnn.Network` can do without targets; its parameters are documented there."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "sigmoid",
        loss: Any = "squared_error",
        init: Any = None,
        dtype: str = "float32",
        seed: int | None = None,
        input_scale: float = 1.0,
        dropout: float | Sequence[float] = 0.0,
    ) -> None:
        self._spec = make_spec(sizes, activation, loss, dtype, input_scale, dropout)
        draws = draws_of(init, self.activation)
        if seed is None:
            seed = int(np.random.default_rng().integers(1 << 63))
        self.seed = check_int("seed", seed, 0)
        if self.seed >= 1 << 63:
            raise ValueError(f"seed must be below 2**63, got {seed}")
        self.scaler: Any = None
        self.column_names: tuple[str, ...] | None = None
        self.class_names: tuple[str, ...] | None = None
        self._epochs = 0
        self._frozen: frozenset[int] = frozenset()
        self._state: State | None = None
        self._allocate()
        initialise(self.weights, self.biases, draws, self.seed)

    def _allocate(self) -> None:
        self._number = np.dtype(self._spec.dtype)
        plan = make_layout(self._spec, 1)
        self._buffer = aligned_zeros(plan.n_numbers, self._number)
        self._few = FEW_ROWS if FEW_ROWS * self.n_parameters <= WORTH_A_LAUNCH else 1
        self._weights, self._biases = views(self._buffer, plan.table)
        self._fitting, self._fitted_by = threading.Lock(), os.getpid()
        self._flags = NO_FLAGS
        self._rooms = threading.local()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer, the inputs first."""
        return self._spec.sizes

    @property
    def activation(self) -> tuple[str, ...]:
        """Name of the activation of each layer of weights."""
        return self._spec.activation

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self._spec.loss

    @property
    def dtype(self) -> np.dtype:
        """Type of the parameters and results."""
        return np.dtype(self._spec.dtype)

    @property
    def input_scale(self) -> float:
        """Factor on every input."""
        return self._spec.input_scale

    @property
    def dropout(self) -> tuple[float, ...]:
        """Share of the inputs, then of each hidden layer, that a training step leaves out."""
        return self._spec.dropout

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return self._spec.n_parameters

    @property
    def epochs_trained(self) -> int:
        """Epochs that `fit` has completed so far; the next `fit` goes on from there."""
        return self._epochs

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """Views (n_out, n_in), one per layer."""
        return self._weights

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        """Views (n_out,), one per layer."""
        return self._biases

    @property
    def parameters(self) -> np.ndarray:
        """All weights and biases in one vector, a copy; assign to it to set them.

        Layer by layer: the weights row by row, (n_out, n_in), then the biases.
        """
        return flatten(self._weights, self._biases)

    @parameters.setter
    def parameters(self, vector: Any) -> None:
        array = inputs.as_numeric_array("parameters", vector)
        if array.shape != (self.n_parameters,):
            raise ValueError(f"parameters must have shape ({self.n_parameters},), got {array.shape}")
        if not (np.abs(array) <= np.finfo(self.dtype).max).all():
            raise ValueError(f"parameters must be finite within {self.dtype}")
        self._set_parameters(array)

    def predict(self, X: Any, *, out: np.ndarray | None = None) -> np.ndarray:
        """Activations of the output layer.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row. float32, float64, float16, uint8 and bool are read without a copy; rows of
            `scipy.sparse` at the price of the numbers that are there.
        out : ndarray, (n, n_outputs), optional
            C-contiguous array of the network's dtype to write into and return.

        Returns
        -------
        ndarray, (n, n_outputs)
            A row has the same bits whatever rows stand beside it.

        Raises
        ------
        ValueError, TypeError
            For the wrong shape, kind, or numbers that are not finite; for a table (of pandas, say) whose columns are
            not those of `column_names` in their order.
        """
        if type(X) is np.ndarray and X.dtype is self._number and X.ndim == 2 and X.flags.carray:
            n_rows, n_in = X.shape
            if 0 < n_rows <= self._few and n_in == self._spec.sizes[0]:
                found = self._predict_few(X, n_rows, out)
                if found is not None:
                    return found
        self._check_columns(X)
        rows = inputs.as_rows("X", X, self._spec)
        shape = (rows.n_rows, self.sizes[-1])
        if out is None:
            out = np.empty(shape, self.dtype)
        elif not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != self.dtype:
            raise ValueError(f"out must be an array of shape {shape} and dtype {self.dtype}, got {_describe(out)}")
        elif not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
            raise ValueError("out must be C-contiguous, aligned and writable")
        if rows.kind == gather.CSR:
            plan, work = self._room("predict", min(max(1, rows.n_rows), PREDICT_ROWS), sparse=True)
            code = self._addresses((*kernel_table.PREDICTION, layout.SPARSE_FORWARD))
            examples = inputs.without_targets(rows, self._spec)
            given = (plan.table, self._buffer, work.numbers, NO_ORDER, plan.block, code)
            predict.predict_sparse(out.reshape(-1), examples, *given)
        elif rows.n_rows:
            wanted = threads.max_threads() if rows.n_rows * self.n_parameters > WORTH_A_LAUNCH else 1
            plan, work = self._room("predict", min(rows.n_rows, PREDICT_ROWS * wanted))
            flat, code = out.reshape(-1), self._addresses(kernel_table.PREDICTION)
            source = (rows.inputs, rows.kind, rows.stride, self.input_scale)
            room = (plan.table, self._buffer, work.numbers, NO_ORDER)
            with threads.team_of(min(wanted, plan.block)) as n_threads:
                if n_threads == 1:
                    predict.predict_rows(flat, *source, *room, 0, rows.n_rows, 0, plan.block, code)
                else:
                    sync = threads.new_barrier(n_threads)
                    predict.predict(flat, *source, rows.n_rows, *room, plan.block, code, sync, n_threads)
        return out

    def _check_columns(self, X: Any) -> None:
        """An error where a table's columns are not those, in their order, whose names the network carries."""
        found = inputs.column_names_of(X)
        if found is not None and self.column_names is not None and found != tuple(self.column_names):
            raise ValueError(f"X must have the columns {list(self.column_names)} in this order, got {list(found)}")

    def compiled(self) -> Compiled:
        """The network for functions that you compile with Numba, see `fastnn.compiled.predict`.

        Returns
        -------
        Compiled
            It shares the network's parameters: what training changes is seen there. Each thread needs one of its own.
        """
        plan = make_layout(self._spec, FEW_ROWS)
        work = make_workspace(plan, self._spec.dtype)
        code = self._addresses(kernel_table.PREDICTION)
        return Compiled(plan.table, self._buffer, work.numbers, self.input_scale, plan.block, code)

    def _set_parameters(self, vector: np.ndarray) -> None:
        """Write all parameters, and 0 into the padding, where a training that diverged leaves NaN."""
        self._buffer[:] = 0
        unflatten(vector, self._weights, self._biases)

    def _predict_few(self, X: np.ndarray, n_rows: int, out: np.ndarray | None) -> np.ndarray | None:
        """Outputs for rows that need no conversion; None where something is not as it should be."""
        if out is None:
            out = np.empty((n_rows, self._spec.sizes[-1]), self._number)
        elif not (
            type(out) is np.ndarray
            and out.dtype is self._number
            and out.shape == (n_rows, self._spec.sizes[-1])
            and out.flags.carray
        ):
            return None
        try:
            room = self._rooms.few
        except AttributeError:
            plan, work = self._room("small", self._few)
            code = self._addresses(kernel_table.PREDICTION)
            room = self._rooms.few = (plan.table, self._buffer, work.numbers, self._spec.input_scale, code)
        return out if predict.predict_few(out, X, *room) < 0 else None

    def classify(self, X: Any) -> np.ndarray:
        """The index of the brightest output; with one output 0 or 1, split at 0.5.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row.

        Returns
        -------
        ndarray of int64, (n,)
        """
        outputs = self.predict(X)
        if outputs.shape[1] == 1:
            return (outputs[:, 0] >= 0.5).astype(np.int64)
        return outputs.argmax(axis=1).astype(np.int64)

    def activations(self, X: Any) -> list[np.ndarray]:
        """Every neuron's activation: one array (n, neurons) per layer, the scaled input first.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row.
        """
        rows = inputs.as_rows("X", inputs.as_numeric_array("X", X), self._spec)
        parts: list[list[np.ndarray]] = [[] for _ in self.sizes]
        plan = make_layout(self._spec, PREDICT_ROWS)
        work = make_workspace(plan, self._spec.dtype)
        out = np.empty(PREDICT_ROWS * self.sizes[-1], self.dtype)
        itemsize = rows.inputs.size // max(1, (rows.n_rows - 1) * rows.stride + self.sizes[0]) if rows.n_rows else 1
        for start in range(0, rows.n_rows, PREDICT_ROWS):
            n_rows = min(PREDICT_ROWS, rows.n_rows - start)
            block_inputs = rows.inputs[start * rows.stride * itemsize :]
            predict.predict_rows(
                out, block_inputs, rows.kind, rows.stride, self.input_scale,
                plan.table, self._buffer, work.numbers, NO_ORDER, 0, n_rows, 0, plan.block,
                self._addresses(kernel_table.PREDICTION),
            )  # fmt: skip
            offsets = [(plan.table[0, layout.INPUTS], plan.table[0, layout.LD_IN])]
            offsets += [(row[layout.OUTPUTS], row[layout.LD]) for row in plan.table]
            for part, size, (offset, ld) in zip(parts, self.sizes, offsets, strict=True):
                part.append(work.numbers[offset : offset + n_rows * ld].reshape(n_rows, ld)[:, :size].copy())
        empty = [np.empty((0, size), self.dtype) for size in self.sizes]
        return [np.concatenate(part) if part else none for part, none in zip(parts, empty, strict=True)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, which `fastnn.load` reads.

        It holds the parameters, what the network was built with, its seed and its epochs, `scaler`, `column_names` and
        `class_names`.

        Parameters
        ----------
        path : path
            A file that exists is replaced in one step.

        Raises
        ------
        ValueError, TypeError
            For what could not be loaded again: parameters that are not finite, a scaler that is not fitted on the
            network's columns, names of another number than columns or classes. Nothing is written then.
        """
        model_file.write(path, self._to_saved())

    def to_c(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Write the network as one C99 file that needs nothing but the C library's `math.h`.

        Parameters
        ----------
        path : path
            "digits.c", say; a file that exists is replaced in one step.
        name : str, optional
            Prefix of the functions' names: digits_predict, digits_classify. None: the name of the file.

        Raises
        ------
        ValueError
            For an activation of your own, and for parameters that are not finite.

        Notes
        -----
        The outputs are those of `predict` to a few roundings: the C library's functions and the compiler's sums are
        others. The functions take one example; they allocate nothing and may be called by many threads at once.

        Examples
        --------
        >>> import fastnn, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gate.c"
        >>> fastnn.Network([2, 1], seed=0).to_c(path)
        >>> "void gate_predict(const float *inputs, float *outputs);" in path.read_text()
        True
        """
        from .convert import c_source

        c_source.write(path, self._to_saved(), name)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model (opset 17, IR version 8) for any number of rows.

        Parameters
        ----------
        path : path
            "digits.onnx", say; a file that exists is replaced in one step. The model's input is "X", (rows,
            n_inputs) of the network's dtype, its output "outputs".

        Raises
        ------
        ValueError
            For an activation of your own, and for parameters that are not finite.
        ImportError
            Without the package onnx: pip install 'fastnn[onnx]'.
        """
        from .convert import onnx

        onnx.write(path, self._to_saved())

    def to_torch(self, *, logits: bool = False) -> Any:
        """Return the network as a PyTorch module.

        Parameters
        ----------
        logits : bool, default False
            Leave off the softmax, sigmoid or exponential of the outputs, for PyTorch's losses on logits.

        Returns
        -------
        torch.nn.Sequential
            A copy in `eval` mode, of Linear, activations, Dropout where the network has any, and first a module that
            scales the inputs where `input_scale` is not 1: the weights stay those of the network. It takes tensors of
            the network's dtype.

        Raises
        ------
        ValueError
            For an activation of which PyTorch has no module: "step", or one of your own.
        ImportError
            Without PyTorch: pip install 'fastnn[torch]'.

        See Also
        --------
        fastnn.from_torch

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([4, 3], activation="softmax", loss="cross_entropy", seed=0)
        >>> net.to_torch(logits=True)  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=4, out_features=3, bias=True)
        )
        """
        from .convert.torch import to_module

        return to_module(self._to_saved(), logits)

    def to_sklearn(self, classes: Sequence[Any] | None = None) -> Any:
        """Return the network as a fitted scikit-learn estimator.

        Parameters
        ----------
        classes : sequence, optional
            The label of each output, of a single output those of 0 and 1. None: `class_names`, or 0, 1, 2, ...

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            A classifier for the cross-entropies, its outputs in the order of its sorted `classes_`; a regressor for
            other losses. Its training continues with "poisson" after exponential outputs, else with "squared_error".
            `input_scale` is in its first weights; two softmax outputs are one, as scikit-learn has them.

        Raises
        ------
        ValueError
            For what scikit-learn's perceptrons cannot be: other activations, or several ones in the hidden layers.
        ImportError
            Without scikit-learn: pip install 'fastnn[sklearn]'.

        See Also
        --------
        fastnn.from_sklearn

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([4, 2], activation="softmax", loss="cross_entropy", seed=0)
        >>> net.to_sklearn(["spam", "ham"]).classes_.tolist()  # doctest: +SKIP
        ['ham', 'spam']
        """
        from .convert.sklearn import to_estimator

        return to_estimator(self._to_saved(), classes)

    def _to_saved(self) -> SavedModel:
        """Return the network as files and other libraries describe it, with a copy of the parameters."""
        return SavedModel(
            spec=self._spec,
            parameters=self.parameters,
            seed=self.seed,
            epochs=self._epochs,
            scaler=self.scaler,
            column_names=self.column_names,
            class_names=self.class_names,
        )

    def copy(self) -> Self:
        """An independent network with the same parameters, names and position in its training."""
        return copy.deepcopy(self)

    def _addresses(self, pieces: tuple[int, ...]) -> np.ndarray:
        """The table of the kernels' code, the user's own functions included."""
        activations = tuple(activation_code(name) for name in self.activation)
        return kernel_table.addresses(self._spec.dtype, pieces, activations, loss_code(self.loss_name))

    def _lay_out(self, block: int, sparse: bool) -> Layout:
        return make_layout(self._spec, block, sparse)

    def _room(self, purpose: str, block: int, sparse: bool = False) -> tuple[Layout, layout.Workspace]:
        """The thread's workspace for blocks of that many rows; the last one is kept."""
        purpose += " of sparse rows" if sparse else ""
        kept, n_threads = getattr(self._rooms, purpose, None), threads.max_threads()
        if kept is None or kept[0].block != block or kept[1].scratch.size < n_threads * kept[1].scratch_size:
            plan = self._lay_out(block, sparse)
            kept = (plan, make_workspace(plan, self._spec.dtype, n_threads))
            setattr(self._rooms, purpose, kept)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_spec", "seed", "scaler", "column_names", "class_names", "_epochs", "_frozen")
        state = self._state and self._state.with_buffers(self._in_order)
        return {name: self.__dict__[name] for name in kept} | {"parameters": self.parameters, "_state": state}

    def _in_order(self, buffer: np.ndarray) -> np.ndarray:
        """A buffer that is laid out as the parameters, as a vector in their order; what is empty stays so."""
        return flatten(*views(buffer, make_layout(self._spec, 1).table)) if buffer.size else buffer

    def _laid_out(self, vector: np.ndarray) -> np.ndarray:
        """The buffer whose numbers in order are `vector`."""
        buffer = aligned_zeros(self._buffer.size if vector.size else 0, self._number)
        if vector.size:
            unflatten(vector, *views(buffer, make_layout(self._spec, 1).table))
        return buffer

    def __setstate__(self, state: dict[str, Any]) -> None:
        vector = state["parameters"]
        self.__dict__.update({name: value for name, value in state.items() if name != "parameters"})
        self._allocate()
        unflatten(vector, self._weights, self._biases)
        if self._state is not None:
            self._state = self._state.with_buffers(self._laid_out)

    def __repr__(self) -> str:
        scale = f", input_scale={self.input_scale!r}" if self.input_scale != 1 else ""
        names = self.activation[0] if len(set(self.activation)) == 1 else list(self.activation)
        scale += f", dropout={list(self.dropout)}" if any(self.dropout) else ""
        return (
            f"Network({list(self.sizes)}, activation={names!r}, loss={self.loss_name!r}, "
            f"dtype={self._spec.dtype!r}, seed={self.seed}{scale})"
        )


def _describe(value: Any) -> str:
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(type(value).__name__)
