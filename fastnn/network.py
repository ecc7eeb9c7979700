"""Network: the Python API over the compiled core; here it learns."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from . import inputs
from .callbacks import Callbacks, check_callbacks, check_monitor
from .history import History
from .io import model_file
from .io.checkpoint_file import Checkpoint
from .io.model_file import SavedModel
from .kernels import gather, kernel_table, layout, threads, train_loop
from .model import NO_FLAGS, NO_ORDER, PREDICT_ROWS, WORTH_A_LAUNCH, Model
from .optimizers import LBFGS, Optimizer, as_optimizer
from .parameters import Layout, aligned_zeros, flatten, make_layout, views
from .schedules import Schedule, check_learning_rate, make_rates
from .spec import check_float, check_int, loss_code
from .training import loop
from .training.checkpointing import Checkpointer, DirectoryCheckpointer, run_fingerprint, state_arrays
from .training.data_parallel import RankCallbacks, RankRun, Ranks, SingleThread, check_rows
from .training.lbfgs import Search
from .training.lr_finder import RateSearch, find_learning_rate
from .training.progress import progress_bar
from .training.streaming import Stream
from .training.update_rule import (
    UNDISTURBED,
    Regularization,
    State,
    initial_state,
    make_regularization,
    make_stochastic_regularization,
    make_update_rule,
    plain_sgd_rule,
)
from .workspace import BLOCK_ROWS


class Network(Model):
    """A multilayer perceptron: a^l = f(W^l a^(l-1) + b^l), trained by backpropagation.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, the number of inputs first.
    activation : str or sequence of str, default "sigmoid"
        One name for every layer, or one name per layer of weights: identity, step, sigmoid, tanh, arctan, relu,
        leaky_relu (slope 0.01 below zero), elu (alpha 1), softplus, silu, gelu, selu, softsign, hard_sigmoid,
        exponential, softmax (output layer only), or one added by `fastnn.register_activation`.
    loss : str or object, default "squared_error"
        Summed over outputs, averaged over examples. "squared_error": (a - y)^2, no factor 1/2, any outputs;
        "half_squared_error": with it; "cross_entropy": softmax outputs; "binary_cross_entropy": sigmoid outputs;
        "perceptron": step outputs; "absolute_error", "huber", "quantile": any outputs; "poisson": exponential outputs.
        `fastnn.losses` has their formulas, those with a setting, and `register_loss`.
    init : None, str, function, or a sequence of one for each layer of weights
        None: weights normal with standard deviation 1/sqrt(n_in), biases 0. "auto" chooses by the activation; see
        `fastnn.initialisers` for the others.
    dtype : {"float32", "float64"}
        Type of parameters, activations and results.
    seed : int, optional
        Of the weights and of the shuffles; None draws one from the system.
    input_scale : float, default 1
        Every input is multiplied by it: 1/255 for images of bytes. It is saved with the network.
    dropout : float or sequence of float, default 0
        Share of the neurons that each training step leaves out, drawn anew for every example; the others are scaled up
        so that predictions need no change. A number: of every hidden layer; a sequence: of each hidden layer, or of the
        inputs and each hidden layer.

    Attributes
    ----------
    sizes, activation, loss_name, dtype, seed, input_scale, dropout
        What it was built with; `activation` is a tuple with one name per layer.
    weights, biases : tuple of ndarray
        `weights[l]` has shape (n_out, n_in), row j the weights into neuron j; `biases[l]` (n_out,). Writable views
        of the network's own memory.
    scaler : MinMaxScaler or StandardScaler or None
        Carried in the model file for whoever prepares the inputs; the network itself does not apply it.
    column_names, class_names : tuple of str or None
        Names of the inputs and of the classes, carried in the model file.

    Raises
    ------
    ValueError, TypeError
        For a description that makes no sense, naming the argument.

    Notes
    -----
    Backpropagation after Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors",
    Nature 323 (1986). Same seed, data and machine give the same bits for every number of threads.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
    >>> net = fastnn.Network([2, 8, 1], activation="tanh", seed=1)
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=500, batch_size=4, learning_rate=0.1)
    >>> net.classify(X).tolist()
    [0, 1, 1, 0]
    """

    def loss(self, X: Any, y: Any, *, sample_weight: Any = None) -> float:
        """The loss on the examples given: summed over outputs, averaged over examples by weight.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row.
        y : array_like
            (n, n_outputs) numbers, or (n,) integer labels that stand for one-hot rows; with one output (n,) numbers.
        sample_weight : array_like, (n,), optional
            Weights of the examples.
        """
        examples, _ = inputs.as_examples(X, y, sample_weight, self._spec, ("X", "y", "sample_weight"))
        plan, work = self._room("train", min(examples.n_rows, BLOCK_ROWS), inputs.all_sparse(examples))
        records = self._run_step(
            plan, work, inputs.empty_examples(self._spec), examples, 0, 0.0, np.empty(0, self.dtype), 0
        )
        return float(records.sums[0] / records.sums[1])

    def gradients(
        self, X: Any, y: Any, *, sample_weight: Any = None, flat: bool = False
    ) -> tuple[list[np.ndarray], list[np.ndarray]] | np.ndarray:
        """Slopes of the loss by every weight and bias, averaged over the examples by weight.

        Parameters
        ----------
        X, y, sample_weight
            As in `loss`.
        flat : bool, default False
            One vector in the order of `parameters` instead of arrays by layer.

        Returns
        -------
        (weight slopes, bias slopes), shaped like `weights` and `biases`; or with `flat` one vector
        """
        _, (weights, biases) = self._slopes(X, y, sample_weight)
        if flat:
            return flatten(weights, biases)
        return [np.ascontiguousarray(weight) for weight in weights], [bias.copy() for bias in biases]

    def _slopes(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[float, tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]:
        """The loss and its slopes, as views of a buffer."""
        examples, _ = inputs.as_examples(X, y, sample_weight, self._spec, ("X", "y", "sample_weight"))
        self._check_trainable()
        gradient = np.zeros_like(self._buffer)
        value = self._one_step(examples, 0.0, gradient)
        return value, views(gradient, make_layout(self._spec, 1).table)

    def step(self, X: Any, y: Any, learning_rate: float, *, sample_weight: Any = None) -> float:
        """One update of gradient descent on the batch given: W = W - rate * slope, b = b - rate * slope.

        The same bits as a one-batch `fit`.

        Parameters
        ----------
        X, y, sample_weight
            As in `loss`; all rows together are the batch.
        learning_rate : float
            Positive.

        Returns
        -------
        float
            The loss before the update.
        """
        rate = check_learning_rate("learning_rate", learning_rate, self.dtype)
        examples, _ = inputs.as_examples(X, y, sample_weight, self._spec, ("X", "y", "sample_weight"))
        self._check_trainable()
        with self._alone():
            gradient = self._gradient_room(examples.n_rows)
            return self._one_step(examples, rate, gradient, update=1)

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        learning_rate: float | Schedule | Callable[[int], float] | None = None,
        optimizer: str | Optimizer = "sgd",
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        callbacks: Sequence[Callable[[Network, History], Any]] = (),
        progress: bool | None = None,
        n_threads: int | None = None,
        on_divergence: str = "raise",
        class_weight: str | dict[Any, float] | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        max_norm: float | None = None,
        label_smoothing: float = 0.0,
        input_noise: float = 0.0,
        averaging: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        checkpoint_seconds: float = 10.0,
        comm: Any = None,
        rows: str = "all",
    ) -> History:
        """Train by mini-batch gradient descent; a second call goes on where the first ended.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row. float32, float64, float16, uint8 and bool are read where they lie, be it in a file
            (`numpy.memmap`); rows of `scipy.sparse` are worked on at the price of the numbers that are there. The names
            of a table's columns become `column_names` where there are none; then they must be those.
        y : array_like
            (n, n_outputs) numbers, or (n,) integer labels that stand for one-hot rows; with one output (n,) numbers.
        epochs : int
            Passes over the data.
        batch_size : int, default 32
            Examples per update; a ragged last batch counts in full, averaged over its own rows.
        learning_rate : float, schedule or callable, optional
            A number, one of `fastnn.schedules`, or a function of the epoch (0, 1, ... over all calls of `fit`) that
            returns a number. None takes the
            optimizer's default: 0.1 for "sgd", 0.001 for "adam" and "adamw", 0.01 for "rmsprop" and "adagrad".
        optimizer : str or Optimizer, default "sgd"
            "sgd", "adam", "adamw", "rmsprop", "adagrad", "lbfgs", or an object such as `fastnn.Adam(beta_1=0.8)`; see
            `fastnn.optimizers`. What it gathers stays with the network: a second `fit` with the same kind goes on.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Judged after every epoch.
        validation_split : float, optional
            Share of the examples, drawn with the network's seed, that is held out for validation.
        shuffle : bool, default True
            A new order of the examples in each epoch.
        sample_weight : array_like, (n,), optional
            Weights of the examples in loss and slopes.
        callbacks : sequence of callables
            Each is called as callback(network, history) after every epoch; a true result ends the training. See
            `fastnn.callbacks` for early stopping, checkpoints, logs.
        progress : bool, optional
            Show a progress bar. None: where stderr is a terminal and the training takes longer than a second.
        n_threads : int, optional
            Most threads to use. None measures the first steps and keeps the fastest; the results are the same bits.
        on_divergence : {"raise", "continue"}
            What to do when the loss or a parameter is not finite, or an epoch's loss exceeds 10,000 times that of
            the first.
        class_weight : dict or "balanced", optional
            Weight of each class, by label, on top of `sample_weight`; "balanced" gives every class present the same
            weight in all: n / (classes * examples of the class). Takes labels or one-hot rows.
        l1, l2 : float, default 0
            Penalties on the weights, not the biases: l1 * sum |w| + l2 / 2 * sum w^2 is added to the loss that is
            descended (the history's loss is without them).
        clip_norm : float, optional
            A slope (all layers, penalties included) whose Euclidean norm is larger is scaled down to it.
        max_norm : float, optional
            After each step, the weights into a neuron whose Euclidean norm is larger are scaled down to it.
        label_smoothing : float, default 0
            Share of a target that is spread evenly over the classes, while training; for cross-entropies.
        input_noise : float, default 0
            Standard deviation of normal noise on the (scaled) inputs, while training.
        averaging : float, optional
            Keep an exponential average of the parameters, of which each step keeps this share (0.999, say):
            `averaged()` returns a network that has it.
        checkpoint : path, optional
            Folder for the training's checkpoint: written every `checkpoint_seconds`, at Ctrl-C and at the end, the one
            before kept beside it. `fastnn.load(folder / "checkpoint.safetensors")` reads the network out of it.
        resume : bool, default False
            Go on from the checkpoint, if there is one, with the bits of a training that was never interrupted: the
            same data, network, batch size, optimizer and callbacks; more `epochs` may be asked for.
        checkpoint_seconds : float, default 10
            Seconds between two checkpoints, at least twenty times what one takes; 0: after every return to Python.
        comm : mpi4py.MPI.Comm, optional
            Train on all ranks of it together, each on one thread: `batch_size` is then a rank's part of a batch, rank 0
            begins, calls the callbacks and writes the checkpoint (in a folder that all ranks see), and all end with
            the same bits. An error on one rank before the training is an error on all; later it ends all.
        rows : {"all", "own"}
            Whether every rank is given all examples, of which it takes its part of each batch, or a share of its own.

        Returns
        -------
        History
            "loss" (the running mean over the epoch, each batch before its update), "accuracy", "val_loss",
            "val_accuracy", one value per epoch, and `stop_reason`: "epochs", "converged" (an epoch's loss was exactly
            0, so that no parameter moves any more), "interrupted", "diverged", or that of the callback that ended it.

        Raises
        ------
        fastnn.DivergenceError
            Carries `.history`; the parameters are those of the last return to Python at which all were finite.
        ValueError, TypeError
            For bad input, before anything is computed.
        RuntimeError
            If another thread is training this network.
        """
        check_rows(rows)
        if comm is not None and not isinstance(comm, Ranks):
            given = {name: value for name, value in locals().items() if name not in ("self", "comm", "rows")}
            ranks = Ranks(comm, rows)
            self.seed = ranks.comm.bcast(self.seed)
            return ranks.together(lambda: self.fit(**given, comm=ranks))
        self._check_trainable()
        chosen = as_optimizer(optimizer)
        if comm is not None and (isinstance(chosen, LBFGS) or n_threads not in (None, 1)):
            raise ValueError("several ranks take an optimizer of steps, not 'lbfgs', and each works on one thread")
        regularisation = make_regularization(l1, l2, clip_norm, max_norm, label_smoothing, input_noise, averaging)
        if regularisation.label_smoothing and self.loss_name not in ("cross_entropy", "binary_cross_entropy"):
            raise ValueError(f"label_smoothing takes a cross-entropy as loss, got {self.loss_name!r}")
        if learning_rate is not None and chosen.learning_rate is not None:
            raise ValueError(
                f"give learning_rate to fit or to the optimizer, not to both; got {learning_rate!r} and "
                f"{chosen.learning_rate!r}"
            )
        if on_divergence not in ("raise", "continue"):
            raise ValueError(f"on_divergence must be 'raise' or 'continue', got {on_divergence!r}")
        epochs = check_int("epochs", epochs, 0)
        batch_size = check_int("batch_size", batch_size, 1)
        if n_threads is not None:
            n_threads = check_int("n_threads", n_threads, 1)
        if not isinstance(shuffle, bool | np.bool_):
            raise TypeError(f"shuffle must be True or False, got {shuffle!r}")
        given_rates = (rate for rate in (learning_rate, chosen.learning_rate, chosen.default_rate) if rate is not None)
        rates = make_rates(next(given_rates), self.dtype)
        keeper = self._keeper(checkpoint, resume, checkpoint_seconds, chosen)
        saved = keeper.saved
        self._check_columns(X)
        names = inputs.column_names_of(X)
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("give validation_data or validation_split, not both")
            seed = saved.model.seed if saved else self.seed
            X, y, sample_weight, validation_data = self._split(X, y, sample_weight, validation_split, seed)
        examples, are_classes = inputs.as_examples(X, y, sample_weight, self._spec, ("X", "y", "sample_weight"))
        validation, val_classes = inputs.empty_examples(self._spec), False
        if validation_data is not None:
            validation, val_classes = self._validation(validation_data)
        if self.column_names is None and names:
            self.column_names = names
        if class_weight is not None:
            examples = inputs.apply_class_weight(examples, class_weight, self._spec, are_classes)
        columns = ["loss"] + ["accuracy"] * (are_classes or self._spec.classifies)
        if validation.n_rows:
            columns += ["val_loss"] + ["val_accuracy"] * (val_classes or self._spec.classifies)
        check_callbacks(callbacks, columns)
        if rates.reads_history:
            check_monitor(rates.given.monitor, columns)
        history = keeper.history
        called = Callbacks(callbacks, self, history) if comm is None else RankCallbacks(callbacks, self, history, comm)
        if isinstance(chosen, LBFGS):
            self._check_lbfgs(learning_rate, regularisation)
            bar = progress_bar(progress, epochs, 1, examples.n_rows)
            search = Search(
                net=self,
                judge=self._judge,
                examples=examples,
                validation=validation,
                optimizer=chosen,
                on_divergence=on_divergence,
                iterations=epochs,
                l2=regularisation.l2,
                accuracy="accuracy" in columns,
                val_accuracy=val_classes or self._spec.classifies,
                callbacks=called,
                progress=bar.show,
            )
            with self._alone(), bar, called:
                if epochs:
                    search.run(history)
            return history
        with self._alone():
            batch_size = min(batch_size, examples.n_rows) if comm is None else batch_size
            block = min(BLOCK_ROWS, max(batch_size, min(validation.n_rows, PREDICT_ROWS)))
            plan, work = self._room("train", block, inputs.all_sparse(examples, validation))
            kind = repr((chosen.kind, bool(averaging)))
            terms = partial(run_fingerprint, examples, batch_size, bool(shuffle), kind, comm.size if comm else 1)
            keeper.check(self, terms)
            if comm is not None and comm.rank != 0:
                keeper = Checkpointer(saved, keeper.interruption)
                history = called._history = keeper.history
            self._go_on_from(saved, chosen, regularisation)
            state = self._state_for(chosen, regularisation)
            keeper.begin(self, called, state, terms)
            start, steps_before = self._epochs, state.steps

            def moved(epochs_done: int, steps_done: int) -> None:
                self._epochs, state.steps = start + epochs_done, steps_before + steps_done

            rule = make_update_rule(chosen, regularisation, state, plan.table)
            progress = progress if comm is None or comm.rank == 0 else False
            bar = progress_bar(progress, epochs, -(-examples.n_rows // batch_size), examples.n_rows)
            distortion = make_stochastic_regularization(self.dropout, regularisation, self.seed)
            if gather.CSR in (examples.kind, validation.kind) and (self.dropout[0] or regularisation.input_noise):
                raise ValueError("sparse inputs are left as they are: no dropout of inputs, no input_noise")
            pieces = kernel_table.pieces_for(rule, distortion, (examples.kind, validation.kind))
            gradient = self._gradient_room(batch_size, rule.plain if comm is None else 0)
            network = self._kernel_view(plan, gradient, True, pieces)
            if called:  # which may freeze layers and unfreeze them
                network = network._replace(table=network.table.copy())
                self._flags = network.table[:, layout.FROZEN]
            job = loop.Job(
                network=network,
                work=work,
                rule=rule,
                distortion=distortion,
                examples=examples._replace(ahead=inputs.prefetch_distance(examples, batch_size)),
                validation=validation,
                rates=rates,
                epochs=epochs,
                batch_size=batch_size,
                start_epoch=self._epochs,
                shuffle=bool(shuffle),
                seed=self.seed,
                one_output=self.sizes[-1] == 1,
                accuracy="accuracy" in columns,
                val_accuracy=val_classes or self._spec.classifies,
                n_threads=n_threads,
                on_divergence=on_divergence,
                callbacks=called,
                progress=bar.show,
                moved=moved,
                keeper=keeper,
            )
            try:
                if comm is not None:
                    comm.agree(self._facts(job, comm))
                    comm.share(self._buffer)
                with bar, called:
                    if comm is None:
                        loop.train(loop.Run(job, history))
                    else:
                        loop.train(RankRun(job, history, comm, lambda part: self._judge(part, None)), SingleThread)
            finally:
                self._flags = NO_FLAGS
                if history.stop_reason != "diverged" or on_divergence == "continue":
                    moved(history.epochs, job.steps_done)
                else:
                    moved(0, 0)
                    self._state = None
                if not np.isfinite(self._buffer).all():
                    self._set_parameters(self.parameters)
            if comm is not None:
                comm.share(self._buffer)  # a callback may have put other parameters back, on rank 0
        return history

    def _facts(self, job: loop.Job, ranks: Ranks) -> dict[str, Any]:
        """What must be the same on all ranks."""
        facts = {"network": repr(self), "epochs": job.epochs, "batch_size": job.batch_size, "rows": ranks.rows}
        facts |= {"shuffle": job.shuffle, "epochs_trained": job.start_epoch, "after": job.keeper.history.epochs}
        return facts | ({"examples": job.examples.n_rows} if ranks.rows == "all" else {})

    def fit_stream(
        self,
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        learning_rate: float | Schedule | Callable[[int], float] | None = None,
        prefetch: int = 2,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Sequence[Callable[[Network, History], Any]] = (),
        **options: Any,
    ) -> History:
        """Train on batches that come one after the other, fetched by a thread of their own.

        Parameters
        ----------
        batches : iterable of (X, y) or (X, y, sample_weight), or a function that returns one
            X and y as in `fit`. The function is called once for each epoch.
        epochs : int, default 1
            Passes over the batches.
        batch_size : int, optional
            Examples per update; None: each batch that comes is one update.
        learning_rate : float, schedule or callable, optional
            As in `fit`; a schedule is followed from batch to batch, in epochs as long as the first.
        prefetch : int, default 2
            Batches fetched ahead: so many and the one that is being learned are in memory.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Judged after every epoch.
        callbacks : sequence of callables
            As in `fit`.
        **options
            Of `fit`: optimizer, n_threads, on_divergence, class_weight, l1, l2, clip_norm, max_norm, label_smoothing,
            input_noise, averaging.

        Returns
        -------
        History
            As of `fit`; means over the rows of an epoch.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> def batches():
        ...     for seed in range(20):
        ...         X = np.random.default_rng(seed).normal(size=(64, 3))
        ...         yield X, X.sum(axis=1)
        >>> net = fastnn.Network([3, 1], activation="identity", seed=0)
        >>> history = net.fit_stream(batches, epochs=5, learning_rate=0.1)
        >>> history.epochs, history["loss"][-1] < 1e-3
        (5, True)
        """
        given = (batches, epochs, batch_size, learning_rate, prefetch, validation_data, callbacks, options)
        return Stream(self, *given).train()

    def _validated(self, examples: layout.Examples, are_classes: bool) -> dict[str, float]:
        """Loss and, for classes, accuracy on validation data, as the history names them."""
        loss, accuracy = self._judge(examples, None)
        return {"val_loss": loss} | ({"val_accuracy": accuracy} if are_classes or self._spec.classifies else {})

    def _validation(self, given: Any) -> tuple[layout.Examples, bool]:
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise TypeError("validation_data must be a pair (X, y) or a triple (X, y, sample_weight)")
        X, y, weight = (*given, None)[:3]
        names = ("validation X", "validation y", "validation sample_weight")
        return inputs.as_examples(X, y, weight, self._spec, names)

    def find_learning_rate(
        self,
        X: Any,
        y: Any,
        *,
        batch_size: int = 32,
        smallest: float = 1e-5,
        largest: float = 10.0,
        steps: int = 100,
        optimizer: str | Optimizer = "sgd",
    ) -> RateSearch:
        """Train a copy for a while with ever larger learning rates and see where the loss falls fastest.

        Parameters
        ----------
        X, y
            As in `fit`.
        batch_size : int, default 32
            As the training to come will have it.
        smallest, largest : float
            First and last rate; in between each is larger by the same factor.
        steps : int, default 100
            Updates, at least 10; fewer are made where the loss explodes.
        optimizer : str or Optimizer, default "sgd"
            As in `fit`.

        Returns
        -------
        RateSearch
            With `learning_rates`, `losses`, `smoothed` and `suggestion`; `fastnn.plots.rate_search` draws it.

        Examples
        --------
        >>> import fastnn
        >>> X, y = fastnn.datasets.load_digits()
        >>> net = fastnn.Network([64, 10], activation="softmax", loss="cross_entropy", input_scale=1 / 16, seed=0)
        >>> 0.01 < net.find_learning_rate(X, y).suggestion < 3
        True
        """
        self._check_trainable()
        return find_learning_rate(self, X, y, batch_size, smallest, largest, steps, optimizer)

    @classmethod
    def _from_saved(cls, saved: SavedModel) -> Network:
        """Build the network that a file or another library describes."""
        spec = saved.spec
        net = cls(
            spec.sizes,
            activation=spec.activation,
            loss=(spec.loss, spec.loss_setting),
            init="zeros",
            dtype=spec.dtype,
            seed=saved.seed,
            input_scale=spec.input_scale,
            dropout=spec.dropout,
        )
        net.parameters = saved.parameters
        net._epochs = saved.epochs
        net.scaler, net.column_names, net.class_names = saved.scaler, saved.column_names, saved.class_names
        return net

    def averaged(self) -> Network:
        """A copy whose parameters are the exponential average that `fit(..., averaging=...)` kept.

        Raises
        ------
        ValueError
            If the last `fit` kept none.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([1, 1], activation="identity", seed=0)
        >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=9, averaging=0.9)
        >>> net.averaged().predict([[0.0]]).shape
        (1, 1)
        """
        if self._state is None or not self._state.average.size:
            raise ValueError("there is no average: the last fit had no averaging=")
        other = self.copy()
        other._set_parameters(self._in_order(self._state.average))
        return other

    def freeze(self, *layers: int) -> None:
        """Keep the weights and biases of these layers as they are in `fit` and `step`; layer 0 is the first.

        In a callback it holds from the next epoch on.

        Parameters
        ----------
        *layers : int
            Numbers of layers of weights; negative ones count from the end.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([4, 8, 3], seed=0)
        >>> net.freeze(0)
        >>> net.frozen
        (0,)
        """
        self._frozen |= self._layers(layers)
        self._show_frozen(self._flags)

    def unfreeze(self, *layers: int) -> None:
        """Let these layers learn again; without an argument, all.

        Parameters
        ----------
        *layers : int
            As in `freeze`.
        """
        self._frozen -= self._layers(layers) if layers else self._frozen
        self._show_frozen(self._flags)

    def _show_frozen(self, flags: np.ndarray) -> None:
        for number in range(len(flags)):
            flags[number] = number in self._frozen

    @property
    def frozen(self) -> tuple[int, ...]:
        """Layers that do not learn."""
        return tuple(sorted(self._frozen))

    def _layers(self, numbers: tuple[int, ...]) -> frozenset[int]:
        count = len(self.sizes) - 1
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | np.integer) or not -count <= number < count:
                raise ValueError(f"layers must be numbers of layers of weights, 0..{count - 1}, got {number!r}")
        return frozenset(int(number) % count for number in numbers)

    def _split(self, X: Any, y: Any, weight: Any, share: float, seed: int) -> tuple[Any, Any, Any, tuple[Any, ...]]:
        share = check_float("validation_split", share)
        X = inputs.as_indexable("X", X)
        n = inputs.as_rows("X", X, self._spec).n_rows
        if n == 0:
            raise ValueError("X must have at least one row, got 0")
        inputs.as_targets("y", y, self._spec, n)
        y = inputs.as_numeric_array("y", y)
        held = round(n * share)
        if not 0 < held < n:
            raise ValueError(
                f"validation_split must leave at least one example on either side, got {share} of the {n} rows of X"
            )
        order = np.random.default_rng(seed).permutation(n)
        train, test = np.sort(order[held:]), np.sort(order[:held])
        if weight is None:
            return X[train], y[train], None, (X[test], y[test])
        weight = inputs.as_weights("sample_weight", weight, self._spec, n)
        return X[train], y[train], weight[train], (X[test], y[test], weight[test])

    def _check_trainable(self) -> None:
        reason = self._spec.why_not_trainable()
        if reason:
            raise ValueError(f"this network cannot be trained by gradient descent: {reason}")

    def _alone(self) -> Any:
        if not self._fitting.acquire(blocking=False):
            if self._fitted_by == os.getpid():
                raise RuntimeError("another thread is training this network; train a copy() there")
            self._fitted_by = os.getpid()
            self._fitting = threading.Lock()  # the other is of a thread that a fork left in the parent
            self._fitting.acquire()
        self._fitted_by = os.getpid()
        return _Release(self._fitting)

    def _keeper(self, folder: Any, resume: bool, seconds: float, optimizer: Optimizer) -> Checkpointer:
        if isinstance(folder, Checkpointer):
            return folder
        if folder is None:
            if resume:
                raise ValueError("resume=True needs the folder of the checkpoint: checkpoint=...")
            return Checkpointer()
        if isinstance(optimizer, LBFGS):
            raise ValueError("checkpoint is for trainings in steps; optimizer 'lbfgs' has none")
        return DirectoryCheckpointer(folder, bool(resume), seconds)

    def _go_on_from(self, saved: Checkpoint | None, optimizer: Optimizer, regularisation: Regularization) -> None:
        """Take over parameters, seed, epochs and the optimizer's state."""
        if saved is None:
            return
        wanted = initial_state(optimizer, regularisation.averaging, self._buffer)
        for key, buffer in state_arrays(wanted).items():
            if bool(saved.arrays[key].size) != bool(buffer.size):
                raise ValueError(f"the checkpoint's {key} is not that of {optimizer!r} with this averaging")
        self._set_parameters(saved.model.parameters)
        self.seed, self._epochs = saved.model.seed, saved.epochs
        buffers = (self._laid_out(saved.arrays[key]) for key in state_arrays(wanted))
        self._state = State(optimizer.kind, saved.progress["steps"], *buffers)

    def _check_lbfgs(self, learning_rate: Any, about: Regularization) -> None:
        others = {name: value for name, value in asdict(about).items() if value and name != "l2"}
        others |= {"learning_rate": learning_rate} if learning_rate is not None else {}
        others |= {"dropout": self.dropout} if any(self.dropout) else {}
        if others:
            raise ValueError(f"optimizer 'lbfgs' descends one smooth function and takes l2 alone; got {others}")

    def _judge(self, examples: layout.Examples, gradient: np.ndarray | None) -> tuple[float, float]:
        """Loss and accuracy on the examples; a gradient that is given is filled."""
        nobody = inputs.empty_examples(self._spec)
        if gradient is None:
            room = self._room("train", min(examples.n_rows, BLOCK_ROWS), inputs.all_sparse(examples))
            sums = self._run_step(*room, nobody, examples, 0, 0.0, np.empty(0, self.dtype), 0).sums
            return float(sums[0] / sums[1]), float(sums[2] / sums[1])
        room = self._room("train", min(examples.n_rows, BLOCK_ROWS), inputs.all_sparse(examples))
        seen = self._run_step(*room, examples, nobody, 1, 0.0, gradient, 0).history[0]
        for part in views(gradient, make_layout(self._spec, 1).table):
            for number in self._frozen:
                part[number][...] = 0
        return float(seen[0]), float(seen[1])

    def _penalised(self) -> np.ndarray:
        """1 for each weight that learns, 0 for biases, laid out as the parameters."""
        marks = np.zeros_like(self._buffer)
        weights, _ = views(marks, make_layout(self._spec, 1).table)
        for number, part in enumerate(weights):
            part[...] = number not in self._frozen
        return marks

    def _gradient_room(self, batch_size: int, plain: int = 1) -> np.ndarray:
        return aligned_zeros(0 if plain and batch_size <= BLOCK_ROWS else self._buffer.size, self._number)

    def _state_for(self, optimizer: Optimizer, regularisation: Regularization) -> State:
        """The network's state where it is of this kind; a fresh one, which the network keeps, where it is not."""
        kept = self._state
        if kept is None or kept.kind != optimizer.kind or bool(kept.average.size) != bool(regularisation.averaging):
            self._state = kept = initial_state(optimizer, regularisation.averaging, self._buffer)
        return kept

    def _kernel_view(
        self, plan: Layout, gradient: np.ndarray, learning: bool = False, pieces: tuple[int, ...] = ()
    ) -> layout.NetworkView:
        table = plan.table
        if learning and self._frozen:
            table = table.copy()
            self._show_frozen(table[:, layout.FROZEN])
        if learning and gradient.size:
            pieces = kernel_table.BY_RULE + pieces
        code = self._addresses(kernel_table.TRAINING + pieces)
        return layout.NetworkView(
            table, loss_code(self.loss_name), self._spec.loss_setting, self._buffer, gradient, code
        )

    def _one_step(self, examples: layout.Examples, rate: float, gradient: np.ndarray, update: int = 0) -> float:
        plan, work = self._room("train", min(examples.n_rows, BLOCK_ROWS), inputs.all_sparse(examples))
        records = self._run_step(plan, work, examples, inputs.empty_examples(self._spec), 1, rate, gradient, update)
        return float(records.history[0, 0])

    def _run_step(
        self,
        room: Layout,
        work: layout.Workspace,
        examples: layout.Examples,
        validation: layout.Examples,
        steps: int,
        rate: float,
        gradient: np.ndarray,
        update: int,
    ) -> layout.Records:
        """One step on all examples in their order, or with no step the loss over the validation examples."""
        records = layout.Records(
            order=NO_ORDER,
            state=np.zeros(3, np.int64),
            sums=np.zeros(3),
            history=np.zeros((1, 4)),
            rates=np.full(1, rate, self.dtype),
        )
        n = examples.n_rows + validation.n_rows
        rule = plain_sgd_rule(self._buffer)
        plan = layout.StepRange(0, steps, n, 0, 0, 0, update, 0)
        wanted = threads.max_threads() if n * self.n_parameters > WORTH_A_LAUNCH else 1
        pieces = kernel_table.pieces_for(rule, UNDISTURBED, (examples.kind, validation.kind))
        network = self._kernel_view(room, gradient, bool(update), pieces)
        given = (network, work, examples, validation, plan, rule, UNDISTURBED, records)
        threads.run_on_team(train_loop.train, train_loop.train_steps, wanted, *given)
        return records


Model.__init__.__qualname__ = "Network"  # what Python's own errors call it


class _Release:
    """Releases a lock that is held, at the end of a with block."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `Network.save` wrote, or the one in a checkpoint.

    Parameters
    ----------
    path : path
        The safetensors file.

    Returns
    -------
    Network

    Raises
    ------
    OSError
        If the file cannot be read.
    FileFormatError
        If it is damaged, not fastnn's, or of a later format. Nothing in it is executed.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> net = fastnn.Network([2, 1], seed=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "gate.safetensors")
    >>> net.save(path)
    >>> bool((fastnn.load(path).weights[0] == net.weights[0]).all())
    True
    """
    return Network._from_saved(model_file.read(path))


def from_torch(module: Any, loss: Any = None) -> Network:
    """Build a network with the layers and parameters of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Sequential or torch.nn.Linear
        Of Linear, activations, Dropout and Flatten, and of Sequentials of these. In `Network`'s words: Sigmoid, Tanh,
        ReLU, LeakyReLU (slope 0.01), ELU (alpha 1), Softplus (beta 1, threshold 20), SiLU, GELU (not approximated),
        SELU, Softsign, Hardsigmoid, Identity; Softmax or LogSoftmax at the end, whose outputs are probabilities here.
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
        For what fastnn lacks, naming its place in the module.
    ImportError
        Without PyTorch: pip install 'fastnn[torch]'.

    Examples
    --------
    >>> import fastnn, torch  # doctest: +SKIP
    >>> module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))  # doctest: +SKIP
    >>> fastnn.from_torch(module, loss="cross_entropy").activation  # doctest: +SKIP
    ('relu', 'softmax')
    """
    from .convert.torch import from_module

    return Network._from_saved(from_module(module, loss))


def from_sklearn(estimator: Any) -> Network:
    """Build a network with the layers and weights of a fitted scikit-learn perceptron.

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
    from .convert.sklearn import from_estimator

    return Network._from_saved(from_estimator(estimator))
