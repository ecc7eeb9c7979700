"""One fit: engine, state, data and options in, a History out. Every kind of training runs through here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np

from .. import inputs
from ..callbacks.runner import check_callbacks
from ..history import History, check_monitor
from ..kernels import gather, kernel_table, layout
from ..optimizers import LBFGS
from ..parameters import BLOCK_ROWS, split_wide_layers, with_float32_products
from ..spec import Spec
from .checkpointing import Checkpointer, Subject, restore_state, run_fingerprint
from .dataset import Dataset
from .engine import PREDICT_ROWS, Engine
from .health import HealthMonitor
from .lbfgs import LbfgsSolver
from .loop import Callbacks, Hooks, TrainingRun, train
from .options import FitOptions
from .plan import KernelArguments, Metrics, TrainingPlan
from .progress import NoProgressBar, make_progress_bar
from .state import TrainingState
from .update_rule import OptimizerState, initial_state, make_stochastic_regularization, make_update_rule


class CallbackContext(Callbacks, Protocol):
    """Callbacks of one fit as a context: those that begin are also ended."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: object) -> None: ...


def check_fit(spec: Spec, dataset: Dataset, options: FitOptions, callbacks: Any) -> None:
    """Raise where callbacks or schedules watch a column that the history will not have, and as `check_inputs` does."""
    check_callbacks(callbacks, dataset.columns)
    if options.rates.reads_history:
        check_monitor(options.rates.source.monitor, dataset.columns)
    check_inputs(spec, dataset, options)


def check_inputs(spec: Spec, dataset: Dataset, options: FitOptions) -> None:
    """Raise for options that change inputs, where these are sparse."""
    regularization = options.regularization
    noisy: dict[str, Any] = {"dropout of inputs": spec.dropout[0], "input_noise": regularization.input_noise}
    noisy |= {"augmentation": regularization.augmentation}
    if gather.CSR in (dataset.examples.kind, dataset.validation.kind) and any(noisy.values()):
        given = ", ".join(name for name, value in noisy.items() if value)
        raise ValueError(
            f"sparse inputs are left as they are: no dropout of inputs, no input_noise, no augmentation; got {given}"
        )


def fit(
    engine: Engine,
    state: TrainingState,
    dataset: Dataset,
    options: FitOptions,
    callbacks: CallbackContext,
    checkpointer: Checkpointer,
    health: HealthMonitor | None = None,
) -> History:
    """Train, and return the checkpointer's history; warn of what cannot work, and where a divergence was let pass.

    Parameters
    ----------
    engine : Engine
        Its parameters move.
    state : TrainingState
        Continued from, and moved.
    dataset, options
        Checked.
    callbacks : CallbackContext
        They see the network.
    checkpointer : Checkpointer
    health : HealthMonitor, optional
        What warns of a training that cannot work; None warns the caller of the package.
    """
    health = health or HealthMonitor(engine)
    with state.exclusive():
        health.begin(dataset.examples)
        with health.explain_divergence():
            if isinstance(options.optimizer, LBFGS):
                divergence = _fit_lbfgs(engine, state, dataset, options, callbacks, checkpointer.history)
            else:
                run = fit_steps(engine, state, dataset, options, callbacks, checkpointer, after_call=health.after_call)
                divergence = run.divergence
        health.end(checkpointer.history)
    if divergence:
        health.report_divergence(divergence)
    return checkpointer.history


def _fit_lbfgs(
    engine: Engine,
    state: TrainingState,
    dataset: Dataset,
    options: FitOptions,
    callbacks: CallbackContext,
    history: History,
) -> str | None:
    """Train by L-BFGS; return a divergence that was let pass."""
    bar = make_progress_bar(options.progress, options.epochs, 1, dataset.examples.n_rows)
    solver = LbfgsSolver(engine, state, dataset, options, callbacks, bar.show)
    with bar, callbacks:
        if options.epochs:
            solver.run(history)
    return solver.divergence


def _nothing(history: History) -> None:
    """Do nothing."""


def fit_steps(
    engine: Engine,
    state: TrainingState,
    dataset: Dataset,
    options: FitOptions,
    callbacks: CallbackContext,
    checkpointer: Checkpointer,
    first_draw: int | None = None,
    after_call: Callable[[History], None] = _nothing,
) -> TrainingRun:
    """Train by an optimizer that takes steps; the caller holds the state's lock.

    Parameters
    ----------
    engine, state, dataset, options, callbacks, checkpointer
        As in `fit`.
    first_draw : int, optional
        Epoch from which shuffles, dropout and noise are drawn; None: `state.epochs`.
    after_call : callable, optional
        Called with the history after every return from the kernels.

    Returns
    -------
    TrainingRun
        With its history, and `divergence` where one was let pass.
    """
    batch_size = min(options.batch_size, dataset.examples.n_rows)
    optimizer = repr((options.optimizer.kind, bool(options.regularization.ema_decay)))
    fingerprint = partial(
        run_fingerprint, dataset.examples, batch_size, options.shuffle, optimizer, drop_last=options.drop_last
    )
    checkpointer.check(fingerprint)
    optimizer_state = prepare_state(engine, state, options, checkpointer)
    checkpointer.begin(Subject(engine, state, callbacks, fingerprint))
    steps = count_batches(dataset.examples.n_rows, batch_size, options.drop_last)
    arguments = kernel_arguments(engine, state, optimizer_state, dataset, options, batch_size)
    arguments = own_layer_table(arguments, callbacks)
    start = state.epochs if first_draw is None else first_draw
    plan = make_plan(state, options, batch_size, steps, start)
    metrics = Metrics(dataset.has_accuracy, dataset.has_val_accuracy)
    with (
        make_progress_bar(options.progress, options.epochs, steps, dataset.examples.n_rows) as bar,
        callbacks,
    ):
        hooks = Hooks(callbacks, partial(show, bar, after_call), checkpointer)
        run = TrainingRun(arguments, plan, metrics, hooks, state)
        with settled(run, engine, callbacks):
            train(run)
    return run


def count_batches(n_rows: int, batch_size: int, drop_last: bool) -> int:
    """Return the steps of an epoch, that of an incomplete last batch included unless it is dropped."""
    return n_rows // batch_size if drop_last else -(-n_rows // batch_size)


def show(bar: NoProgressBar, after_call: Callable[[History], None], history: History, position: int) -> None:
    """Show where a training stands, and look at its health."""
    bar.show(history, position)
    after_call(history)


def prepare_state(
    engine: Engine, state: TrainingState, options: FitOptions, checkpointer: Checkpointer
) -> OptimizerState:
    """Continue from the checkpoint, and give the state what the optimizer gathers; return that."""
    ema_decay = options.regularization.ema_decay
    if checkpointer.saved is not None:
        restore_state(checkpointer.saved, engine, state, options.optimizer, ema_decay)
    if state.optimizer is None or not state.optimizer.continues(options.optimizer, ema_decay):
        state.optimizer = initial_state(options.optimizer, ema_decay, engine.buffer)
    return state.optimizer


def kernel_arguments(
    engine: Engine,
    state: TrainingState,
    optimizer_state: OptimizerState,
    dataset: Dataset,
    options: FitOptions,
    batch_size: int,
    fused: bool = True,
) -> KernelArguments:
    """Bundle what the compiled calls are given.

    Parameters
    ----------
    engine, state, dataset, options
        As in `fit`.
    optimizer_state : OptimizerState
        As `prepare_state` returned it.
    batch_size : int
    fused : bool, default True
        Whether the update may be made where the gradient is summed; False: always fill the gradient buffer.
    """
    examples, validation = dataset.examples, dataset.validation
    block = min(BLOCK_ROWS, max(batch_size, min(validation.n_rows, PREDICT_ROWS)))
    memory, work = engine.workspace("train", block, inputs.all_sparse(examples, validation))
    rule = make_update_rule(
        options.optimizer, options.regularization, optimizer_state, memory.table, options.rate_factors,
        options.decay_factors,
    )  # fmt: skip
    stochastic = make_stochastic_regularization(engine.spec, options.regularization, state.seed, block)
    kinds = (examples.kind, validation.kind)
    gradient = engine.gradient_buffer(batch_size, fused and bool(rule.plain) and engine.spec.fuses_updates)
    sparse = kinds[0] == gather.CSR
    table = with_float32_products(memory.table, 1) if sparse else memory.table
    if fused:  # a rank works on one thread, which has nothing to split
        table = split_wide_layers(table, min(batch_size, block), sparse)
    kernels = kernel_table.required_for_training(rule, stochastic, kinds, bool(gradient.size), table)
    of_health = engine.kernels_of_prediction()
    kernel_table.compile_kernels(engine.spec.dtype, kernels | of_health)
    network = engine.network_view(memory, gradient, kernels, state.frozen, table)
    examples = examples._replace(prefetch_distance=inputs.prefetch_distance(examples, batch_size))
    return KernelArguments(network, work, examples, validation, rule, stochastic)


def own_layer_table(arguments: KernelArguments, callbacks: Callbacks) -> KernelArguments:
    """Give the training a layer table of its own where callbacks may freeze layers under way."""
    if not callbacks:
        return arguments
    network = arguments.network._replace(table=arguments.network.table.copy())
    return KernelArguments(
        network, arguments.work, arguments.examples, arguments.validation, arguments.rule, arguments.stochastic
    )


def make_plan(
    state: TrainingState, options: FitOptions, batch_size: int, steps_per_epoch: int, start_epoch: int
) -> TrainingPlan:
    """Return the plan of a training that begins at `start_epoch`."""
    return TrainingPlan(
        options.epochs, batch_size, steps_per_epoch, start_epoch, options.shuffle, state.seed, options.rates,
        options.n_threads, options.on_divergence, options.decay_schedule, options.dropout_schedule,
    )  # fmt: skip


@contextmanager
def settled(run: TrainingRun, engine: Engine, callbacks: Callbacks) -> Iterator[None]:
    """Leave the network's state as the end of the run requires, whatever ends it."""
    state = run.state
    flags = run.arguments.network.table[:, layout.FROZEN] if callbacks else run.records.state[:0]
    try:
        with state.follow_frozen(flags):
            yield
    finally:
        if run.history.stop_reason != "diverged" or run.plan.on_divergence == "continue":
            run.show_position()
        else:
            state.epochs, state.optimizer = run.epochs_before, None
        if not np.isfinite(engine.buffer).all():
            engine.set_parameters(engine.parameters)
