"""Run a network's kernels: spec and buffers in, predictions, losses, gradients and updates out."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

import numpy as np

from .. import inputs
from ..kernels import gather, input_gradient, layout, predict, threads, train_loop
from ..kernels.kernel_table import (
    Kernels,
    build_kernel_table,
    required_for_input_gradients,
    required_for_prediction,
    required_for_training,
)
from ..kernels.njit_api import Compiled
from ..kernels.registry import entry_point
from ..parameters import (
    BLOCK_ROWS,
    MemoryLayout,
    aligned_zeros,
    flatten,
    further_views,
    make_layout,
    make_workspace,
    split_wide_layers,
    unflatten,
    views,
    with_float32_products,
)
from ..spec import Spec, activation_code, loss_code
from .update_rule import no_stochastic_regularization, plain_sgd_rule

PREDICT_ROWS = 256
FEW_ROWS = 32
"""Rows up to which a call goes straight to the kernel: below it the checks in Python would cost more than the work."""

MIN_PARALLEL_WORK = 2_000_000
"""Multiply-adds below which a single call stays on the caller's thread."""

MAX_BUNDLES = 16
"""Bundles of arguments that a thread keeps, of calls on batches of different sizes and kinds."""

NO_ORDER = np.empty(0, np.int64)


class Engine:
    """A network's parameters in memory, and the kernels that work on them.

    Parameters
    ----------
    spec : Spec
        What the network is.

    Attributes
    ----------
    spec : Spec
    dtype : dtype
    buffer : ndarray
        All parameters, laid out for the kernels: see `fastnn.parameters`.
    weights, biases : tuple of ndarray
        Views of the buffer: (n_out, n_in) and (n_out,) for each layer.
    further : dict of ndarray
        Views of the buffer: all other parameters, by their names in `Spec.further_shapes`.

    Notes
    -----
    Workspaces belong to the thread that calls, so that threads may share an engine for predictions. Training
    takes one thread at a time: `TrainingState.exclusive` sees to it.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.dtype = np.dtype(spec.dtype)
        memory = make_layout(spec)
        self.buffer = aligned_zeros(memory.n_parameters, self.dtype)
        self.weights, self.biases = views(self.buffer, memory.table)
        self.further = further_views(self.buffer, memory.table, spec)
        for name, part in self.further.items():
            part[...] = 0 if "embedding" in name else 1
        self._no_gradient = aligned_zeros(0, self.dtype)
        self._loss_parameters = inputs.read_only(np.full(spec.sizes[-1], spec.loss_setting, self.dtype))
        self._unperturbed = no_stochastic_regularization(self.buffer)
        self._max_direct_rows = FEW_ROWS if FEW_ROWS * spec.n_parameters <= MIN_PARALLEL_WORK else 1
        self._max_direct_rows *= not spec.category_embedding  # whose codes are to be checked
        self._workspaces = threading.local()

    @property
    def parameters(self) -> np.ndarray:
        """A copy of all parameters, in the order of `fastnn.parameters.flatten`."""
        return flatten(self.weights, self.biases, self.further.values())

    def set_parameters(self, vector: np.ndarray) -> None:
        """Write all parameters, and 0 into the padding, where a training that diverged leaves NaN."""
        self.buffer[:] = 0
        unflatten(vector, self.weights, self.biases, self.further.values())

    def check_trainable(self) -> None:
        """Raise ValueError if gradient descent cannot train this network."""
        reason = self.spec.why_not_trainable()
        if reason:
            raise ValueError(f"this network cannot be trained by gradient descent: {reason}")

    def memory(self, block: int, sparse: bool = False, rounded: bool = False) -> MemoryLayout:
        """Return the layout for workspaces of `block` rows; rounded: with the weights as pairs of bfloat16."""
        return make_layout(self.spec, block, sparse, rounded=rounded)

    def workspace(self, purpose: str, block: int, sparse: bool = False) -> tuple[MemoryLayout, layout.Workspace]:
        """Return this thread's workspace of `block` rows for a purpose; the last one of each purpose is kept."""
        purpose += " of sparse rows" if sparse else ""
        cached, n_threads = getattr(self._workspaces, purpose, None), threads.max_threads()
        if cached is None or cached[0].block != block or cached[1].scratch.size < n_threads * cached[1].scratch_size:
            rounded = self.spec.precision == "bfloat16" and purpose.startswith("train")
            memory = self.memory(block, sparse, rounded)
            cached = (memory, make_workspace(memory, self.spec.dtype, n_threads))
            setattr(self._workspaces, purpose, cached)
        return cached

    def kernel_table(self, kernels: Kernels) -> np.ndarray:
        """Return the addresses of these kernels, and of the user's functions that the network has."""
        activations = tuple(activation_code(name) for name in self.spec.activation)
        return build_kernel_table(self.spec.dtype, kernels, activations, loss_code(self.spec.loss))

    def prediction_table(self, sparse: bool = False) -> np.ndarray:
        """Return the addresses of the kernels that predictions need."""
        return self.kernel_table(self.kernels_of_prediction(sparse))

    def kernels_of_prediction(self, sparse: bool = False) -> Kernels:
        """Return the kernels that predictions need."""
        spec = self.spec
        return required_for_prediction(sparse, spec.embedding is not None, spec.category_embedding is not None)

    def network_view(
        self,
        memory: MemoryLayout,
        gradient: np.ndarray,
        kernels: Kernels,
        frozen: Collection[int] = (),
        table: np.ndarray | None = None,
    ) -> layout.NetworkView:
        """Bundle what the kernels read and write of the network.

        Parameters
        ----------
        memory : MemoryLayout
        gradient : ndarray
            As long as the parameter buffer, or empty where every update is fused with its gradient.
        kernels : frozenset
            What the table of addresses must hold.
        frozen : collection of int
            Layers that keep their parameters.
        table : ndarray of int64, optional
            The layer table, as `split_wide_layers` made it of the layout's; None: the layout's.
        """
        table = memory.table if table is None else table
        if frozen:
            table = table.copy()
            for number in frozen:
                table[number, layout.FROZEN] = 1
        loss = loss_code(self.spec.loss)
        return layout.NetworkView(table, loss, self._loss_parameters, self.buffer, gradient, self.kernel_table(kernels))

    def gradient_buffer(self, batch_size: int, fused: bool = True) -> np.ndarray:
        """Allocate the gradient, empty where the update is fused with it: plain descent, one block a batch."""
        return self._no_gradient if fused and batch_size <= BLOCK_ROWS else aligned_zeros(self.buffer.size, self.dtype)

    def predict(self, X: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Return the activations of the output layer, (n, n_outputs), as `Network.predict` documents it."""
        if type(X) is np.ndarray and X.dtype is self.dtype and X.ndim == 2 and X.flags.carray:
            n_rows, n_in = X.shape
            if 0 < n_rows <= self._max_direct_rows and n_in == self.spec.sizes[0]:
                outputs = self._predict_directly(X, n_rows, out)
                if outputs is not None:
                    return outputs
        rows = inputs.as_rows("X", X, self.spec)
        shape = (rows.n_rows, self.spec.sizes[-1])
        if out is None:
            out = np.empty(shape, self.dtype)
        elif not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != self.dtype:
            raise ValueError(f"out must be an array of shape {shape} and dtype {self.dtype}, got {_describe(out)}")
        elif not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
            raise ValueError("out must be C-contiguous, aligned and writable")
        if rows.kind == gather.CSR:
            self._predict_sparse(rows, out)
        elif rows.n_rows:
            self._predict_dense(rows, out)
        return out

    def _predict_directly(self, X: np.ndarray, n_rows: int, out: np.ndarray | None) -> np.ndarray | None:
        """Predict a few rows that need no conversion; None where the general path must look at X or `out`."""
        n_out = self.spec.sizes[-1]
        if out is None:
            out = np.empty((n_rows, n_out), self.dtype)
        elif not (
            type(out) is np.ndarray and out.dtype is self.dtype and out.shape == (n_rows, n_out) and out.flags.carray
        ):
            return None
        try:
            arguments = self._workspaces.direct
        except AttributeError:
            memory, work = self.workspace("small", self._max_direct_rows)
            table = self.prediction_table()
            predict_few = entry_point(predict.predict_few, self.dtype)
            arguments = predict_few, (memory.table, self.buffer, work.buffer, self.spec.input_scale, table)
            self._workspaces.direct = arguments
        predict_few, given = arguments
        return out if predict_few(out, X, *given) < 0 else None

    def _predict_sparse(self, rows: inputs.Rows, out: np.ndarray) -> None:
        memory, work = self.workspace("predict", min(max(1, rows.n_rows), PREDICT_ROWS), sparse=True)
        table = self.prediction_table(sparse=True)
        examples = inputs.without_targets(rows, self.spec)
        flat = out.reshape(-1)
        predict.predict_sparse(flat, examples, memory.table, self.buffer, work.buffer, NO_ORDER, memory.block, table)

    def _predict_dense(self, rows: inputs.Rows, out: np.ndarray) -> None:
        parallel = rows.n_rows * self.spec.n_parameters > MIN_PARALLEL_WORK
        n_threads = threads.default_threads() if parallel else 1
        memory, work = self.workspace("predict", min(rows.n_rows, PREDICT_ROWS * n_threads))
        table = self.prediction_table()
        flat, source = out.reshape(-1), (rows.inputs, rows.kind, rows.stride, self.spec.input_scale)
        buffers = (memory.table, self.buffer, work.buffer, NO_ORDER)
        with threads.team_of(min(n_threads, memory.block)) as team:
            if team == 1:
                predict.predict_rows(flat, *source, *buffers, 0, rows.n_rows, 0, memory.block, table)
            else:
                given = (flat, *source, rows.n_rows, *buffers, memory.block, table)
                threads.launch(predict.predict, predict.predict_member, team, *given)

    def team_size(self, n_rows: int, n_threads: int | None = None) -> int:
        """Return the threads of a single call on so many rows: one for little work, `n_threads` at most."""
        if n_rows * self.spec.n_parameters <= MIN_PARALLEL_WORK:
            return 1
        return threads.default_threads() if n_threads is None else min(threads.max_threads(), n_threads)

    def activations(self, X: Any) -> list[np.ndarray]:
        """Return every neuron's activation: one array (n, neurons) per layer, the scaled input first."""
        rows = inputs.as_rows("X", inputs.as_numeric_array("X", X), self.spec)
        sizes = self.spec.widths
        parts: list[list[np.ndarray]] = [[] for _ in sizes]
        memory = self.memory(PREDICT_ROWS)
        work = make_workspace(memory, self.spec.dtype)
        table = self.prediction_table()
        out = np.empty(PREDICT_ROWS * sizes[-1], self.dtype)
        n_in = self.spec.sizes[0]
        itemsize = rows.inputs.size // max(1, (rows.n_rows - 1) * rows.stride + n_in) if rows.n_rows else 1
        offsets = [(memory.table[0, layout.INPUTS], memory.table[0, layout.LD_IN])]
        offsets += [(row[layout.OUTPUTS], row[layout.LD]) for row in memory.table]
        for start in range(0, rows.n_rows, PREDICT_ROWS):
            n_rows = min(PREDICT_ROWS, rows.n_rows - start)
            block = rows.inputs[start * rows.stride * itemsize :]
            predict.predict_rows(
                out, block, rows.kind, rows.stride, self.spec.input_scale,
                memory.table, self.buffer, work.buffer, NO_ORDER, 0, n_rows, 0, memory.block, table,
            )  # fmt: skip
            for part, size, (offset, ld) in zip(parts, sizes, offsets, strict=True):
                part.append(work.buffer[offset : offset + n_rows * ld].reshape(n_rows, ld)[:, :size].copy())
        empty = [np.empty((0, size), self.dtype) for size in sizes]
        return [np.concatenate(part) if part else none for part, none in zip(parts, empty, strict=True)]

    def compiled(self) -> Compiled:
        """Bundle the network for `fastnn.compiled.predict`, with a workspace of its own."""
        self.spec.check_plain("fastnn.compiled")
        memory = self.memory(FEW_ROWS)
        work = make_workspace(memory, self.spec.dtype)
        table = self.prediction_table()
        return Compiled(memory.table, self.buffer, work.buffer, self.spec.input_scale, memory.block, table)

    def evaluate(self, examples: layout.Examples, n_threads: int | None = None) -> tuple[float, float]:
        """Return loss and accuracy, averaged over the examples by weight, on at most `n_threads` threads."""
        nothing = inputs.empty_examples(self.spec)
        sums = self._run(nothing, examples, 0, self._no_gradient, n_threads=n_threads).sums
        return float(sums[0] / sums[1]), float(sums[2] / sums[1])

    def gradient(
        self, examples: layout.Examples, gradient: np.ndarray, n_threads: int | None = None
    ) -> tuple[float, float]:
        """Fill a buffer laid out as the parameters with the gradient of the loss; return loss and accuracy.

        Parameters
        ----------
        examples : Examples
        gradient : ndarray
        n_threads : int, optional
            Most threads; None: as many as the process may use.
        """
        history = self._run(examples, inputs.empty_examples(self.spec), 1, gradient, n_threads=n_threads).history
        return float(history[0, 0]), float(history[0, 1])

    def input_gradients(self, examples: layout.Examples, outputs: np.ndarray) -> np.ndarray:
        """Return the gradient of one output of each row with respect to its inputs, (n, n_inputs).

        Parameters
        ----------
        examples : Examples
            Dense rows.
        outputs : ndarray of int64
            (n,) the output of each row; empty: its loss, and the examples have targets.
        """
        if self.spec.embedding or self.spec.category_embedding:
            raise ValueError("input_gradients are not computed for networks with an embedding")
        out = np.empty((examples.n_rows, self.spec.sizes[0]), self.dtype)
        if not len(out):
            return out
        n_threads = self.team_size(examples.n_rows)
        memory, work = self.workspace("predict", min(examples.n_rows, PREDICT_ROWS * n_threads))
        kernels = required_for_input_gradients(loss=not len(outputs))
        view = self.network_view(memory, self._no_gradient, kernels)
        below = memory.table[:1].copy()
        below[0, layout.COLUMNS] = layout.columns_of(self.spec.sizes[0], self.dtype.itemsize)
        below[0, layout.DELTAS] = below[0, layout.INPUTS]
        arguments = (out.reshape(-1), view, work, examples, outputs, below)
        with threads.team_of(min(n_threads, memory.block)) as team:
            if team == 1:
                input_gradient.input_gradients_member(*arguments, memory.block, threads.new_barrier(1), 1)
            else:
                kernels_of_team = input_gradient.input_gradients, input_gradient.input_gradients_member
                threads.launch(*kernels_of_team, team, *arguments, memory.block)
        return out

    def step(self, examples: layout.Examples, learning_rate: float, frozen: Collection[int] = ()) -> float:
        """Make one update of gradient descent on all examples together; return the loss before it."""
        gradient = self.gradient_buffer(examples.n_rows, self.spec.fuses_updates)
        nothing = inputs.empty_examples(self.spec)
        return float(self._run(examples, nothing, 1, gradient, learning_rate, frozen, update=1).history[0, 0])

    def _run(
        self,
        examples: layout.Examples,
        validation: layout.Examples,
        n_steps: int,
        gradient: np.ndarray,
        learning_rate: float = 0.0,
        frozen: Collection[int] = (),
        update: int = 0,
        n_threads: int | None = None,
    ) -> layout.Records:
        """Run one step on all examples in their order, or with no step the evaluation of the validation examples."""
        n_rows = examples.n_rows + validation.n_rows
        by_gradient = bool(update and gradient.size)
        network, work, rule = self._step_arguments(n_rows, examples, validation, n_steps > 0, by_gradient, frozen)
        records = layout.Records(
            NO_ORDER, np.zeros(3, np.int64), np.zeros(3), np.zeros((1, 4)), np.array([learning_rate], self.dtype)
        )
        threads.run_on_team(
            train_loop.train,
            train_loop.train_member,
            self.team_size(n_rows, n_threads),
            layout.NetworkView(*network[:4], gradient, network.kernel_table),
            work,
            examples,
            validation,
            layout.StepRange(0, n_steps, n_rows, 0, 1, 0, 0, update, 0),
            rule,
            self._unperturbed,
            records,
        )
        return records

    def _step_arguments(
        self,
        n_rows: int,
        examples: layout.Examples,
        validation: layout.Examples,
        steps: bool,
        by_gradient: bool,
        frozen: Collection[int],
    ) -> tuple[layout.NetworkView, layout.Workspace, layout.UpdateRule]:
        """Bundle what calls on as many rows of the same kinds have in common; this thread's bundles are kept."""
        block, sparse = min(n_rows, BLOCK_ROWS), inputs.all_sparse(examples, validation)
        memory, work = self.workspace("train", block, sparse)
        codes = tuple(map(activation_code, self.spec.activation)), loss_code(self.spec.loss)
        key = (block, examples.kind, validation.kind, steps, by_gradient, frozenset(frozen), codes)
        cached = self._workspaces.__dict__.setdefault("bundles", {})
        if key not in cached or cached[key][1] is not work:
            if len(cached) >= MAX_BUNDLES:
                cached.clear()
            if steps:
                table = split_wide_layers(memory.table, block, examples.kind == gather.CSR)
            else:
                table = with_float32_products(memory.table)
            rule = plain_sgd_rule(self.buffer)
            kernels = required_for_training(
                rule,
                self._unperturbed,
                (examples.kind, validation.kind),
                by_gradient,
                table,
            )
            cached[key] = self.network_view(memory, self._no_gradient, kernels, frozen, table), work, rule
        return cached[key]  # type: ignore[no-any-return]


def _describe(value: Any) -> str:
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(type(value).__name__)
