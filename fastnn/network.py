"""Network: the public methods of a multilayer perceptron, over an engine and the state of its training."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self, overload

import numpy as np

from . import inputs
from .augmentation import Images
from .callbacks.runner import CallbackRunner
from .checks import check_bool, check_learning_rate, check_seed
from .convert import c_source, onnx
from .embeddings import CategoryEmbedding, NumberEmbedding
from .errors import DivergenceError, FileFormatError
from .history import History
from .initialisers import as_bias_initialisers, as_initialisers, initialise, initialise_embeddings
from .io import model_file
from .io.model_file import SavedModel
from .kernels.njit_api import Compiled
from .optimizers import Optimizer
from .parameters import buffer_to_vector, make_layout, views
from .schedules import Schedule
from .spec import Spec, make_spec
from .training import data_parallel, lr_finder, streaming, trainer
from .training.checkpointing import DEFAULT_SECONDS, make_checkpointer
from .training.data_parallel import RankCallbacks, RankGroup
from .training.dataset import NAMES, make_dataset
from .training.engine import Engine
from .training.lr_finder import RateSearch
from .training.options import make_fit_options
from .training.state import TrainingState

__all__ = ["Network", "from_sklearn", "from_torch", "load"]


class Network:
    """A multilayer perceptron: a^l = f(W^l a^(l-1) + b^l), trained by backpropagation.

    Parameters
    ----------
    sizes : sequence of int
        Neurons of each layer, the number of inputs first.
    activation : str or sequence of str, default "sigmoid"
        One name for every layer, or one name per layer of weights: identity, step, sigmoid, tanh, arctan, relu,
        leaky_relu (slope 0.01 below zero), elu (alpha 1), softplus, silu, gelu, selu, mish, softsign, hard_sigmoid,
        exponential, softmax (output layer only), or one added by `fastnn.register_activation`.
    loss : str or object, default "squared_error"
        Summed over outputs, averaged over examples. "squared_error": (a - y)^2, no factor 1/2, any outputs;
        "half_squared_error": with it; "cross_entropy": softmax outputs; "binary_cross_entropy": sigmoid outputs;
        "perceptron": step outputs; "absolute_error", "huber", "quantile": any outputs; "poisson": exponential outputs.
        `fastnn.losses` has their formulas, those with a parameter, and `register_loss`.
    init : None, str, function, or a sequence of one for each layer of weights
        None: weights normal with standard deviation 1/sqrt(n_in). "auto" chooses by the activation; see
        `fastnn.initialisers` for the others.
    dtype : {"float32", "float64"}
        Type of parameters, activations and results.
    seed : int, optional
        Of the weights and of the shuffles; None draws one from the system.
    input_scale : float, default 1
        Every input is multiplied by it: 1/255 for images of bytes. It is saved with the network.
    dropout : float or sequence of float, default 0
        Fraction of the neurons that each training step leaves out, drawn anew for every example; the others are scaled
        up so that predictions need no change. A number: of every hidden layer; a sequence: of each hidden layer, or of
        the inputs and each hidden layer.
    learned_input_scale : bool, default False
        Multiply every input by a factor of its own that starts at 1 and is learned with the weights, `input_scales`.
    bias_init : None, function, or a sequence of one for each layer of weights
        None: biases 0. A function f(generator, (n_out, 1)) returns an array of that shape, as
        `fastnn.initialisers.Normal(1.0)` does.
    precision : {None, "float32", "bfloat16"}
        What the operands of the products are rounded to while training. None: not at all, they are of `dtype`.
        "bfloat16" (8 bits of precision, the range of float32) is for wide layers on processors that multiply such
        numbers faster; see the guide. Weights, sums, updates and predictions stay float32.
    learned_activation : bool, default False
        Let each hidden neuron learn how much of its activation it gives: z + alpha (f(z) - z), with an alpha of its own
        that starts at 1, `alphas`.
    embedding : PeriodicEmbedding or PiecewiseLinearEmbedding, optional
        Give the first layer learned functions of inputs, beside these.
    category_embedding : CategoryEmbedding, optional
        Replace inputs that hold codes of categories by vectors that are learned.

    Attributes
    ----------
    sizes, activation, loss_name, dtype, seed, input_scale, dropout, learned_input_scale, precision
        What it was built with; `activation` is a tuple with one name per layer.
    learned_activation, embedding, category_embedding
        Likewise; the columns of embeddings are written out.
    weights, biases : tuple of ndarray
        `weights[l]` has shape (n_out, n_in), row j the weights into neuron j; `biases[l]` (n_out,). Writable views
        of the network's own memory.
    input_scales : ndarray, (n_inputs,)
        The learned factors of the inputs, a writable view; empty without `learned_input_scale`. With embeddings
        those of what they give: as many as `weights[0]` has columns.
    alphas : tuple of ndarray, (n_out,)
        Of each hidden layer how much of the activation its neurons give, writable views; empty without
        `learned_activation`.
    embedding_parameters : dict of ndarray
        "frequencies", "phases", "weights" and "biases" of the embedding, "slopes" and "offsets" in place of the first
        two if it is piecewise linear; writable views, empty without one.
    category_vectors : dict of ndarray
        The vectors of the categories, (n_categories, n_outputs), by the column that holds their codes, writable views;
        empty without `category_embedding`.
    scaler : MinMaxScaler or StandardScaler or None
        Saved in the model file for the program that prepares the inputs; the network itself does not apply it.
    column_names : tuple of str or None
        Names of the inputs, saved in the model file.
    class_names : tuple of str, int, bool or float, or None
        Labels of the classes, all of one kind, saved in the model file.
    engine : Engine
        Spec, parameters and kernel calls, for code that builds on the network.
    training_state : TrainingState
        Seed, epochs, optimizer state and frozen layers.

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
        learned_input_scale: bool = False,
        bias_init: Any = None,
        precision: str | None = None,
        learned_activation: bool = False,
        embedding: NumberEmbedding | None = None,
        category_embedding: CategoryEmbedding | None = None,
    ) -> None:
        spec = make_spec(
            sizes, activation, loss, dtype, input_scale, dropout, learned_input_scale, precision, learned_activation,
            embedding, category_embedding,
        )  # fmt: skip
        draws = as_initialisers(init, spec.activation), as_bias_initialisers(bias_init, len(spec.activation))
        if seed is None:
            seed = int(np.random.default_rng().integers(1 << 63))
        seed = check_seed(seed)
        self._attach(Engine(spec), TrainingState(len(spec.activation), seed))
        self.scaler: Any = None
        self.column_names: tuple[str, ...] | None = None
        self.class_names: tuple[Any, ...] | None = None
        initialise(self.weights, self.biases, *draws, seed)
        initialise_embeddings(self.engine.further, spec.embedding, spec.category_embedding, seed)

    def _attach(self, engine: Engine, state: TrainingState) -> None:
        self.engine, self.training_state = engine, state

    @property
    def seed(self) -> int:
        """Seed of the shuffles, of dropout and of noise; it drew the first weights."""
        return self.training_state.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self.training_state.seed = check_seed(value)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons of each layer, the inputs first."""
        return self.engine.spec.sizes

    @property
    def activation(self) -> tuple[str, ...]:
        """Name of the activation of each layer of weights."""
        return self.engine.spec.activation

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self.engine.spec.loss

    @property
    def dtype(self) -> np.dtype:
        """Type of the parameters and results."""
        return self.engine.dtype

    @property
    def input_scale(self) -> float:
        """Factor on every input."""
        return self.engine.spec.input_scale

    @property
    def dropout(self) -> tuple[float, ...]:
        """Fraction of the inputs, then of each hidden layer, that a training step leaves out."""
        return self.engine.spec.dropout

    @property
    def n_parameters(self) -> int:
        """Number of weights, biases and all other parameters."""
        return self.engine.spec.n_parameters

    @property
    def epochs_trained(self) -> int:
        """Epochs that `fit` has completed so far; the next `fit` continues from there."""
        return self.training_state.epochs

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """Views (n_out, n_in), one per layer."""
        return self.engine.weights

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        """Views (n_out,), one per layer."""
        return self.engine.biases

    @property
    def learned_input_scale(self) -> bool:
        """Whether each input has a learned factor."""
        return self.engine.spec.learned_input_scale

    @property
    def precision(self) -> str:
        """What the operands of a training's products are rounded to: "bfloat16", or the dtype's name."""
        return self.engine.spec.precision

    @property
    def input_scales(self) -> np.ndarray:
        """View (n_inputs,) of the learned factors of the inputs; empty if there are none."""
        return self.engine.further.get("input_scales", self.engine.buffer[:0])

    @property
    def learned_activation(self) -> bool:
        """Whether each hidden neuron learns how much of its activation it gives."""
        return self.engine.spec.learned_activation

    @property
    def alphas(self) -> tuple[np.ndarray, ...]:
        """Views (n_out,) of how much of the activation the neurons of each hidden layer give; empty if not learned."""
        return tuple(part for name, part in self.engine.further.items() if name.endswith(".alpha"))

    @property
    def embedding(self) -> NumberEmbedding | None:
        """What takes inputs apart before the first layer."""
        return self.engine.spec.embedding

    @property
    def embedding_parameters(self) -> dict[str, np.ndarray]:
        """Views of the embedding's parameters by their names; empty if there is none."""
        views_by_name = self.engine.further.items()
        prefix = "embedding."
        return {name.removeprefix(prefix): part for name, part in views_by_name if name.startswith(prefix)}

    @property
    def category_embedding(self) -> CategoryEmbedding | None:
        """What replaces codes of categories by vectors before the first layer."""
        return self.engine.spec.category_embedding

    @property
    def category_vectors(self) -> dict[int, np.ndarray]:
        """Views (n_categories, n_outputs) of the vectors of the categories, by column; empty if there are none."""
        embedding = self.category_embedding
        columns = embedding.counts if embedding else ()
        return {column: self.engine.further[f"category_embedding.{column}"] for column in columns}

    @property
    def parameters(self) -> np.ndarray:
        """All parameters in one vector, a copy; assign to it to set them.

        Layer by layer: the weights row by row, (n_out, n_in), then the biases. Then the learned input scales, the
        alphas of each hidden layer, the embedding's parameters, and the vectors of categories, if any.
        """
        return self.engine.parameters

    @parameters.setter
    def parameters(self, vector: Any) -> None:
        array = inputs.as_numeric_array("parameters", vector)
        if array.shape != (self.n_parameters,):
            raise ValueError(f"parameters must have shape ({self.n_parameters},), got {array.shape}")
        if not (np.abs(array) <= np.finfo(self.dtype).max).all():
            raise ValueError(f"parameters must be finite within {self.dtype}")
        self.engine.set_parameters(array)

    def predict(self, X: Any, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the activations of the output layer.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row. float32, float64, float16, uint8 and bool are read without a copy; rows of
            `scipy.sparse` at the cost of their stored numbers.
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
        if type(X) is not np.ndarray:
            self._check_columns(X)
        return self.engine.predict(X, out)

    def classify(self, X: Any) -> np.ndarray:
        """Return the index of the largest output; with one output 0 or 1, split at 0.5.

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
        labels: np.ndarray = outputs.argmax(axis=1).astype(np.int64)
        return labels

    def activations(self, X: Any) -> list[np.ndarray]:
        """Return every neuron's activation: one array (n, neurons) per layer, the scaled input first.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row.
        """
        return self.engine.activations(X)

    def loss(self, X: Any, y: Any, *, sample_weight: Any = None) -> float:
        """Return the loss on the examples: summed over outputs, averaged over examples by weight.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row.
        y : array_like
            (n, n_outputs) numbers, or (n,) integer labels that stand for one-hot rows; with one output (n,) numbers.
        sample_weight : array_like, (n,), optional
            Weights of the examples.
        """
        examples, _ = inputs.as_examples(X, y, sample_weight, self.engine.spec, NAMES)
        return self.engine.evaluate(examples)[0]

    @overload
    def gradients(
        self, X: Any, y: Any, *, sample_weight: Any = None, flat: Literal[False] = False
    ) -> tuple[list[np.ndarray], list[np.ndarray]]: ...

    @overload
    def gradients(self, X: Any, y: Any, *, sample_weight: Any = None, flat: Literal[True]) -> np.ndarray: ...

    def gradients(
        self, X: Any, y: Any, *, sample_weight: Any = None, flat: bool = False
    ) -> tuple[list[np.ndarray], list[np.ndarray]] | np.ndarray:
        """Return the gradient of the loss with respect to every weight and bias.

        Parameters
        ----------
        X, y, sample_weight
            As in `loss`.
        flat : bool, default False
            One vector in the order of `parameters` instead of arrays by layer.

        Returns
        -------
        (weight gradients, bias gradients), shaped like `weights` and `biases`; or with `flat` one vector
        """
        engine, as_vector = self.engine, check_bool("flat", flat)
        examples, _ = inputs.as_examples(X, y, sample_weight, engine.spec, NAMES)
        engine.check_trainable()
        gradient = np.zeros_like(engine.buffer)
        engine.gradient(examples, gradient)
        if as_vector:
            return buffer_to_vector(gradient, engine.spec)
        weights, biases = views(gradient, make_layout(engine.spec).table)
        return [np.ascontiguousarray(weight) for weight in weights], [bias.copy() for bias in biases]

    def input_gradients(self, X: Any, y: Any = None, *, output: Any = None) -> np.ndarray:
        """Return the gradient of an output, or of the loss, with respect to the inputs of each row.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row, as `predict` takes them: `input_scale` and learned input scales are part of what is
            differentiated, a `scaler` that the caller applies is not. Dense rows alone.
        y : array_like, optional
            Targets as in `loss`: differentiate each row's own loss, not the mean of all.
        output : int, or array_like of int, (n,), optional
            The output that is differentiated, one for all rows or one for each, -n_outputs to n_outputs - 1. Default,
            without `y`: the only one.

        Returns
        -------
        ndarray, (n, n_inputs)
            Of the network's dtype. A row has the same bits whatever rows stand beside it.

        Raises
        ------
        ValueError, TypeError
            For the wrong shape, kind, or numbers that are not finite; for sparse rows; if both `y` and `output` are
            given, or neither where there are several outputs; for "step" activations, which have no gradient.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], activation="identity", input_scale=0.5, seed=0)
        >>> bool((net.input_gradients([[1.0, 2.0]]) == 0.5 * net.weights[0]).all())
        True
        """
        spec = self.engine.spec
        if inputs.is_sparse(X):
            raise TypeError("X must be dense rows, since its gradient is dense; give X.toarray()")
        if y is not None and output is not None:
            raise ValueError("give y, for the gradient of the loss, or output, for that of an output, not both")
        self._check_columns(X)
        if y is not None:
            self.engine.check_trainable()
            examples, _ = inputs.as_examples(X, y, None, spec, NAMES)
            return self.engine.input_gradients(examples, np.empty(0, np.int64))
        if "step" in spec.activation:
            raise ValueError("input_gradients needs activations that have a gradient, got 'step'")
        examples = inputs.without_targets(inputs.as_rows("X", X, spec), spec)._replace(scale=spec.input_scale)
        outputs = inputs.as_outputs("output", output, examples.n_rows, spec.sizes[-1])
        return self.engine.input_gradients(examples, outputs)

    def step(self, X: Any, y: Any, learning_rate: float, *, sample_weight: Any = None) -> float:
        """Make one update of gradient descent on the batch: W = W - rate * gradient, b = b - rate * gradient.

        The same bits as a one-batch `fit`, but without dropout, whose draws `fit` counts by epochs.

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
        examples, _ = inputs.as_examples(X, y, sample_weight, self.engine.spec, NAMES)
        self.engine.check_trainable()
        with self.training_state.exclusive():
            return self.engine.step(examples, rate, self.training_state.frozen)

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int | None = None,
        learning_rate: float | Schedule | Callable[[int], float] | None = None,
        optimizer: str | Optimizer = "sgd",
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float | None = None,
        shuffle: bool | None = None,
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
        ema_decay: float | None = None,
        augmentation: Images | None = None,
        lr_factors: Mapping[str, Any] | None = None,
        decay_factors: Mapping[str, Any] | None = None,
        decay_schedule: Schedule | None = None,
        dropout_schedule: Schedule | None = None,
        drop_last: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        checkpoint_seconds: float = DEFAULT_SECONDS,
        comm: Any = None,
        data: str = "replicated",
    ) -> History:
        """Train by mini-batch gradient descent.

        Calling `fit` again continues from the current parameters and optimizer state.

        Parameters
        ----------
        X : array_like, (n, n_inputs)
            Examples, one in a row. float32, float64, float16, uint8 and bool are read in place, even in a file
            (`numpy.memmap`); rows of `scipy.sparse` cost their stored numbers. The names of a table's columns become
            `column_names` if those are not set; otherwise they must be the same.
        y : array_like
            (n, n_outputs) numbers, or (n,) integer labels that stand for one-hot rows; with one output (n,) numbers.
        epochs : int
            Passes over the data.
        batch_size : int, optional
            Examples per update, 32 unless given; a ragged last batch counts in full, averaged over its own rows.
            "lbfgs", which takes all examples at once, refuses it.
        learning_rate : float, schedule or callable, optional
            A number, one of `fastnn.schedules`, or a function of the epoch (0, 1, ... over all calls of `fit`) that
            returns a number. None takes the optimizer's default: 0.1 for "sgd", 0.001 for "adam" and "adamw", 0.01
            for "rmsprop" and "adagrad".
        optimizer : str or Optimizer, default "sgd"
            "sgd", "adam", "adamw", "rmsprop", "adagrad", "lbfgs", or an object such as `fastnn.Adam(beta_1=0.8)`; see
            `fastnn.optimizers`. Its state stays with the network: a second `fit` with the same kind continues it.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after every epoch.
        validation_split : float, optional
            Fraction of the examples, drawn with the network's seed, that is held out for validation.
        shuffle : bool, optional
            Draw a new order of the examples for each epoch, which is done unless it is False. "lbfgs" refuses it.
        sample_weight : array_like, (n,), optional
            Weights of the examples in loss and gradient.
        callbacks : sequence of callables
            Each is called as callback(network, history) after every epoch; a true result ends the training. See
            `fastnn.callbacks` for early stopping, checkpoints, logs.
        progress : bool, optional
            Show a progress bar. None: where stderr is a terminal and the training takes longer than a second.
        n_threads : int, optional
            Threads to use at most. None measures the first steps and keeps the fastest; the results are the same bits.
        on_divergence : {"raise", "continue"}
            What to do when the loss or a parameter is not finite, or an epoch's loss exceeds 10,000 times that of
            the first.
        class_weight : dict or "balanced", optional
            Weight of each class, by label, on top of `sample_weight`; "balanced" gives every class present the same
            total weight: n / (classes * examples of the class). Takes labels or one-hot rows.
        l1, l2 : float, default 0
            Penalties on the weights, not the biases: l1 * sum |w| + l2 / 2 * sum w^2 is added to the loss that is
            minimized (the history's loss is without them).
        clip_norm : float, optional
            A gradient (all layers, penalties included) whose Euclidean norm is larger is scaled down to it.
        max_norm : float, optional
            After each step, the weights into a neuron whose Euclidean norm is larger are scaled down to it.
        label_smoothing : float, default 0
            Fraction of a target that is spread evenly over the classes, while training; for cross-entropies.
        input_noise : float, default 0
            Standard deviation of normal noise on the (scaled) inputs, while training.
        ema_decay : float, optional
            Keep an exponential moving average of the parameters, of which each step keeps this fraction (0.999, say):
            `averaged()` returns a network that has it.
        augmentation : fastnn.augmentation.Images, optional
            Distort the examples, as images, anew in every epoch.
        lr_factors : dict, optional
            Factors of the learning rate by kind of parameter: "weights" and "biases", each a number or one for each
            layer, "alphas", likewise for each hidden layer, and "input_scales", "embedding" and "category_embedding", a
            number. 0 keeps them as they are.
        decay_factors : dict, optional
            Factors of the weight decay of `fastnn.AdamW`, by kind as in `lr_factors`: each step multiplies a parameter
            by 1 - learning_rate * weight_decay * factor, whatever its `lr_factors`. Kinds that are left out: 1 for
            weights, 0 for all others. None: weights decay at their own learning rate.
        decay_schedule : schedule, optional
            One of `fastnn.schedules`, whose rate multiplies the weight decay in each step:
            `FlatCosine(1.0, epochs)`, say.
        dropout_schedule : schedule, optional
            Likewise for the dropout rates; its rates are at most 1.
        drop_last : bool, default False
            Leave out the last batch of an epoch if it is incomplete; with `shuffle` it is another one in each epoch.
        checkpoint : path, optional
            Directory for the training's checkpoint: written every `checkpoint_seconds`, at Ctrl-C and at the end, the
            previous one kept beside it. `fastnn.load(directory / "checkpoint.safetensors")` reads the network in it.
        resume : bool, default False
            Continue from the checkpoint, if there is one, with the bits of a training that was never interrupted: the
            same data, network, batch size, optimizer and callbacks; `epochs` may be larger.
        checkpoint_seconds : float, default 10
            Seconds between two checkpoints, at least twenty times what one takes; 0: after every compiled call.
        comm : mpi4py.MPI.Comm, optional
            Train on all its ranks together, each on one thread: `batch_size` is then a rank's part of a batch, rank 0's
            parameters are the start, rank 0 calls the callbacks and writes the checkpoint (in a directory that all
            ranks see), and all end with the same bits. An error on one rank before the training is raised on all;
            a later one ends all.
        data : {"replicated", "sharded"}
            With `comm`: whether every rank is given all examples, of which it takes its part of each batch, or a part
            of its own.

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
            For bad input, and for an option that the optimizer or another option rules out, before anything is
            computed or written.
        RuntimeError
            If another thread is training this network.
        """

        def run(group: RankGroup | None, seed: int) -> History:
            engine, state = self.engine, self.training_state
            engine.check_trainable()
            options = make_fit_options(
                engine.spec, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, optimizer=optimizer,
                shuffle=shuffle, n_threads=n_threads, on_divergence=on_divergence, progress=progress, l1=l1, l2=l2,
                clip_norm=clip_norm, max_norm=max_norm, label_smoothing=label_smoothing, input_noise=input_noise,
                ema_decay=ema_decay, augmentation=augmentation, lr_factors=lr_factors, decay_factors=decay_factors,
                decay_schedule=decay_schedule, dropout_schedule=dropout_schedule, drop_last=drop_last,
            )  # fmt: skip
            if group is not None:
                data_parallel.check_options(group, options, class_weight)
            checkpointer = make_checkpointer(checkpoint, resume, checkpoint_seconds, options.optimizer, self.describe)
            self._check_columns(X)
            dataset = make_dataset(
                engine.spec, X, y, sample_weight, class_weight=class_weight, validation_data=validation_data,
                validation_split=validation_split,
                split_seed=checkpointer.saved.model.seed if checkpointer.saved else seed,
            )  # fmt: skip
            trainer.check_fit(engine.spec, dataset, options, callbacks)
            with self._column_names_of(X):
                if group is None:
                    runner = CallbackRunner(callbacks, self, checkpointer.history)
                    return trainer.fit(engine, state, dataset, options, runner, checkpointer)
                state.seed = seed
                on_ranks = RankCallbacks(callbacks, self, checkpointer.history, group, state)
                return data_parallel.fit(engine, state, dataset, options, on_ranks, checkpointer, group)

        data_parallel.check_data(data, comm)
        if comm is None:
            return run(None, self.seed)
        group = RankGroup(comm, data)
        seed = group.comm.bcast(self.seed)
        return group.run_collectively(lambda: run(group, seed))

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
        """Train on batches that come one after the other, prefetched by a thread.

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
            Batches fetched early: so many and the one that is being learned are in memory.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after every epoch.
        callbacks : sequence of callables
            As in `fit`.
        **options
            Of `fit`: optimizer, n_threads, on_divergence, class_weight, l1, l2, clip_norm, max_norm, label_smoothing,
            input_noise, ema_decay, augmentation, lr_factors, decay_factors.

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
        stream_options = streaming.make_stream_options(
            self.engine, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, prefetch=prefetch,
            validation_data=validation_data, callbacks=callbacks, options=options,
        )  # fmt: skip
        streaming.check_batches(batches, epochs)
        training = streaming.StreamTraining(self.engine, self.training_state, batches, stream_options)
        return training.run(CallbackRunner(callbacks, self, training.history))

    def find_learning_rate(
        self,
        X: Any,
        y: Any,
        *,
        batch_size: int = 32,
        min_lr: float = 1e-5,
        max_lr: float = 10.0,
        steps: int = 100,
        optimizer: str | Optimizer = "sgd",
    ) -> RateSearch:
        """Train a copy for a while with growing learning rates, and see where the loss falls fastest.

        Parameters
        ----------
        X, y
            As in `fit`.
        batch_size : int, default 32
            As the training to come will have it.
        min_lr, max_lr : float
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
        self.engine.check_trainable()
        trial = self.copy()
        return lr_finder.find_learning_rate(
            trial.engine, trial.training_state, X, y, batch_size=batch_size, min_lr=min_lr, max_lr=max_lr,
            steps=steps, optimizer=optimizer,
        )  # fmt: skip

    def averaged(self) -> Network:
        """Return a copy whose parameters are the exponential moving average that `fit(..., ema_decay=...)` kept.

        Raises
        ------
        ValueError
            If the last `fit` kept none, or the network was loaded from a file since, which does not hold it.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([1, 1], activation="identity", seed=0)
        >>> history = net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=9, ema_decay=0.9)
        >>> net.averaged().predict([[0.0]]).shape
        (1, 1)
        """
        optimizer = self.training_state.optimizer
        if optimizer is None or not optimizer.ema.size:
            raise ValueError(
                "there is no average: the last fit had no ema_decay=, or the network is from a file, which keeps none"
            )
        other = self.copy()
        other.engine.set_parameters(buffer_to_vector(optimizer.ema, self.engine.spec))
        return other

    def freeze(self, *layers: int) -> None:
        """Keep the weights and biases of these layers as they are in `fit` and `step`; layer 0 is the first.

        In a callback it takes effect from the next epoch on.

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
        state = self.training_state
        state.freeze(state.frozen | self._layers(layers))

    def unfreeze(self, *layers: int) -> None:
        """Let these layers learn again; without an argument, all.

        Parameters
        ----------
        *layers : int
            As in `freeze`.
        """
        state = self.training_state
        state.freeze(state.frozen - self._layers(layers) if layers else frozenset())

    @property
    def frozen(self) -> tuple[int, ...]:
        """Layers that do not learn."""
        return tuple(sorted(self.training_state.frozen))

    def _layers(self, numbers: tuple[int, ...]) -> frozenset[int]:
        count = len(self.sizes) - 1
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | np.integer) or not -count <= number < count:
                raise ValueError(f"layers must be numbers of layers of weights, 0..{count - 1}, got {number!r}")
        return frozenset(int(number) % count for number in numbers)

    def _check_columns(self, X: Any) -> None:
        """Raise ValueError where a table's columns are not those, in their order, whose names the network carries."""
        names = inputs.column_names_of(X)
        if names is not None and self.column_names is not None and names != tuple(self.column_names):
            raise ValueError(f"X must have the columns {list(self.column_names)} in this order, got {list(names)}")

    @contextmanager
    def _column_names_of(self, X: Any) -> Iterator[None]:
        """Take over a table's column names if there are none; a training that did not begin leaves none."""
        before, epochs = self.column_names, self.epochs_trained
        if before is None:
            self.column_names = inputs.column_names_of(X)
        try:
            yield
        except BaseException as error:
            if self.epochs_trained == epochs and not isinstance(error, DivergenceError):
                self.column_names = before
            raise

    def compiled(self) -> Compiled:
        """Return the network for functions that you compile with Numba, see `fastnn.compiled.predict`.

        Returns
        -------
        Compiled
            It shares the network's parameters: what training changes is seen there. Each thread needs one of its own.
        """
        return self.engine.compiled()

    def describe(self) -> SavedModel:
        """Return what a file keeps of the network: spec, a copy of the parameters, seed, epochs, names."""
        return SavedModel(
            spec=self.engine.spec,
            parameters=self.parameters,
            seed=self.seed,
            epochs=self.epochs_trained,
            scaler=self.scaler,
            column_names=self.column_names,
            class_names=self.class_names,
        )

    @classmethod
    def from_description(cls, model: SavedModel) -> Self:
        """Build a network from what `describe` or a file says.

        Parameters
        ----------
        model : SavedModel
        """
        net = cls.__new__(cls)
        net._attach(Engine(model.spec), TrainingState(len(model.spec.activation), model.seed))
        net.training_state.epochs = model.epochs
        net.engine.set_parameters(model.parameters)
        net.scaler, net.column_names, net.class_names = model.scaler, model.column_names, model.class_names
        return net

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, which `fastnn.load` reads.

        It holds the parameters, what the network was built with, its seed and its epochs, `scaler`, `column_names` and
        `class_names`: the model, not its training. Not in the file are the state of the optimizer (momentum, Adam's
        averages, the moving average of `ema_decay`) and which layers are frozen; `fit` starts the optimizer anew on
        the network that is loaded. To continue a training bit for bit, use `fit(checkpoint=..., resume=True)` or
        `pickle`, which keep all of it.

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
        model_file.write(path, self.describe())

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
            For a registered activation, and for parameters that are not finite.

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
        c_source.write(path, self.describe(), name)

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
            For a registered activation, and for parameters that are not finite.
        ImportError
            Without the package onnx: pip install 'fastnn[onnx]'.
        """
        onnx.write(path, self.describe())

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
            For an activation of which PyTorch has no module: "step", or a registered one.
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
        check_bool("logits", logits)
        from .convert.torch import to_module

        return to_module(self.describe(), logits)

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

        return to_estimator(self.describe(), classes)

    def copy(self) -> Self:
        """Return an independent network with the same parameters, names and position in its training."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        spec: Spec = self.engine.spec
        attributes = {name: value for name, value in self.__dict__.items() if name not in ("engine", "training_state")}
        return attributes | {
            "spec": spec, "parameters": self.parameters, "training_state": self.training_state.dump(spec)
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state)
        spec, parameters = attributes.pop("spec"), attributes.pop("parameters")
        self._attach(Engine(spec), TrainingState.restored(spec, attributes.pop("training_state")))
        self.engine.set_parameters(parameters)
        self.__dict__.update(attributes)

    def __repr__(self) -> str:
        return self.engine.spec.network_text(self.seed)


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `Network.save` wrote, or the one in a checkpoint.

    It predicts at once, and can be trained further: `fit` counts its epochs from those of the file, but starts the
    optimizer anew, since a model file does not hold its state; all layers learn. `fit(checkpoint=..., resume=True)`
    continues a checkpoint bit for bit.

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
        If it is damaged, not fastnn's, or of a later format, or if its inputs need preprocessing, which `load_model`
        applies. Nothing in it is executed.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> net = fastnn.Network([2, 1], seed=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "gate.safetensors")
    >>> net.save(path)
    >>> bool((fastnn.load(path).weights[0] == net.weights[0]).all())
    True
    """
    model = model_file.read(path)
    if model.table is not None or model.scaler is not None:
        raise FileFormatError(
            f"{path} holds a network whose inputs need preprocessing: fastnn.load_model(path) applies it, and its "
            "attribute network is the network alone"
        )
    return Network.from_description(model)


def from_torch(module: Any, loss: Any = None) -> Network:
    """Build a network with the layers and parameters of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module
        A Linear, a Sequential, or any module that does nothing but apply its submodules one after the other, which is
        seen by running a copy of it on random rows. They may be Linear, Dropout, Flatten, BatchNorm1d and activations,
        in `Network`'s words: Sigmoid, Tanh, ReLU, LeakyReLU (slope 0.01), ELU and CELU (alpha 1), Softplus (beta 1,
        threshold 20), SiLU, GELU (not approximated), SELU, Softsign, Hardsigmoid, Identity; Softmax or LogSoftmax at
        the end, whose outputs are probabilities here. Mish, Hardtanh and others are taken once they are registered:
        the error says how.
    loss : str or object, optional
        As in `Network`. "cross_entropy", "binary_cross_entropy" and "poisson" put their outputs behind a last Linear,
        as PyTorch's losses on logits do. None: "cross_entropy" after Softmax and LogSoftmax, "binary_cross_entropy"
        after Sigmoid, else "squared_error". A module that ends in a Linear of one output needs it, as that can be a
        logit, which `classify` must not split at 0.5; where an Identity follows, as in what `to_torch` returns, it
        is a number.

    Returns
    -------
    Network
        Of the module's dtype; a copy. A Linear without bias has biases 0, which learn; one that is applied several
        times becomes as many layers, which learn apart. BatchNorm1d, with its statistics as in `eval` mode, becomes
        part of the Linear before it, or else behind it.

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

    return Network.from_description(from_module(module, loss))


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

    return Network.from_description(from_estimator(estimator))
