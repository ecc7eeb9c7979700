"""TableModel: a network with the preprocessing of its table, answering in the target's own classes and units."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import FileFormatError
from .io import model_file
from .io.model_file import SavedModel
from .network import Network
from .preprocessing import MinMaxScaler
from .tables.columns import default_name
from .tables.encoded import QuantityColumn
from .tables.encoder import TableEncoder
from .tables.numbers import PLAIN
from .tables.scaling import BEYOND
from .tables.targets import ClassTarget, QuantityTarget, target_from_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TableModel", "load_model"]


class TableModel:
    """A network that takes the rows of a table as they are.

    Parameters
    ----------
    network : Network
        Takes the encoder's features; gives a probability for each class, or standardised quantities.
    encoder : TableEncoder
        Fitted on the training rows.
    target : ClassTarget or QuantityTarget
        What is learned.
    info : mapping, optional
        The provenance of the model, as plain data: version, date, digest of the data, options, scores.

    Attributes
    ----------
    network, encoder, target
        As given.
    info : dict
        As given.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from fastnn.tables import TableEncoder, make_target
    >>> table = {"x": [0.0, 1.0, 2.0, 3.0], "colour": ["red", "red", "blue", "blue"]}
    >>> encoder = TableEncoder.fit(table)
    >>> net = fastnn.Network([len(encoder.feature_names), 2], activation="softmax", loss="cross_entropy", seed=0)
    >>> model = fastnn.TableModel(net, encoder, fastnn.tables.ClassTarget("size", ("large", "small")))
    >>> model.predict({"x": [5.0], "colour": ["green"]}).shape
    (1,)
    """

    def __init__(
        self,
        network: Network,
        encoder: TableEncoder,
        target: ClassTarget | QuantityTarget,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        n_inputs, n_outputs = len(encoder.feature_names), network.sizes[-1]
        if network.sizes[0] != n_inputs:
            raise ValueError(f"network must take the encoder's {n_inputs} inputs, got {network.sizes[0]}")
        embedding = network.category_embedding
        embedded = embedding.counts if embedding else {}
        if not encoder.category_counts.items() <= embedded.items():
            raise ValueError(
                f"network must embed the encoder's categories, {encoder.category_counts} by input, got {embedded}"
            )
        if isinstance(target, ClassTarget):
            wanted: tuple[int, ...] = (1, 2) if len(target.classes) == 2 else (len(target.classes),)
        else:
            wanted = (len(target.output_names),)
        if n_outputs not in wanted:
            raise ValueError(f"network must have {wanted[-1]} outputs for the target, got {n_outputs}")
        self.network, self.encoder, self.target = network, encoder, target
        self.info = dict(info or {})

    def __repr__(self) -> str:
        what = f"{len(self.target.classes)} classes" if isinstance(self.target, ClassTarget) else "quantities"
        names = ", ".join(self.target.names if isinstance(self.target, ClassTarget) else self.target.output_names)
        return f"TableModel({len(self.encoder.columns)} columns, {what} of {names}, {self.network!r})"

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes in their own type, in the order of `predict_proba`; None for quantities."""
        return self.target.classes if isinstance(self.target, ClassTarget) else None

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The smallest and largest value in training of columns that hold quantities or dates, as far as it is known.

        `fastnn train` notes them in `info`; dates are days since 1970-01-01. A column of one value has none.
        """
        noted = self.info.get("ranges")
        found = {}
        for name, limits in noted.items() if isinstance(noted, dict) else ():
            if isinstance(limits, list) and len(limits) == 2 and all(type(limit) in (int, float) for limit in limits):
                low, high = limits
                if -BEYOND < low < high < BEYOND:
                    found[name] = (float(low), float(high))
        return found

    def outputs(self, X: Any) -> NDArray[Any]:
        """Return the network's outputs for the rows of a table.

        Parameters
        ----------
        X : DataFrame, mapping or array_like
            A table of pandas or polars, a mapping of names to columns, or an array, (n, n_columns). Columns are found
            by their names, other columns are ignored; where a table or the model has no names, by their order, with or
            without the target.

        Returns
        -------
        ndarray, (n, n_outputs)

        Raises
        ------
        ValueError
            If a column is lacking.

        Warns
        -----
        RuntimeWarning
            For each text that is no number or date where one is expected: it is taken as a missing value. Missing
            values count as the middle of the training rows; a category that was not seen in training counts as those
            rare there.
        """
        return self.network.predict(self.encoder.transform(X, self.network.dtype))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row in its own type, or its quantity in its own unit.

        Parameters
        ----------
        X : DataFrame, mapping or array_like
            See `outputs`.

        Returns
        -------
        ndarray
            (n,); (n, n_outputs) for several quantities; (n, n_levels) for quantiles, sorted so that they do not cross.
        """
        return self.answers(self.outputs(X))

    def answers(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return what the network's outputs say, as `predict` does."""
        if isinstance(self.target, ClassTarget):
            return self.target.values(self.probabilities(outputs).argmax(axis=1))
        values = self.target.values(outputs)
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame, mapping or array_like
            See `outputs`.

        Returns
        -------
        ndarray, (n, n_classes)
            In the order of `classes`.

        Raises
        ------
        ValueError
            For quantities.
        """
        if not isinstance(self.target, ClassTarget):
            raise ValueError("predict_proba is for classes; this model predicts quantities")
        return self.probabilities(self.outputs(X))

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the network's outputs for classes as probabilities: a sum of 1 in each row."""
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        if self.network.activation[-1] == "softmax":
            return outputs
        positive = np.maximum(outputs, 0)
        total = positive.sum(axis=1, keepdims=True)
        shares: NDArray[Any] = np.where(total > 0, positive / np.where(total > 0, total, 1), 1 / outputs.shape[1])
        return shares.astype(outputs.dtype)

    def describe(self) -> SavedModel:
        """Return what a file keeps of the model."""
        table = {"encoder": self.encoder.state(), "target": self.target.state(), "info": self.info}
        found = vars(self.network.describe()) | {
            "column_names": None,
            "class_names": None,
            "scaler": None,
            "table": table,
        }
        return SavedModel(**found)

    @classmethod
    def from_description(cls, saved: SavedModel) -> TableModel:
        """Build a model from what `describe` says, or from what `Network.describe` says of a network.

        Parameters
        ----------
        saved : SavedModel
            Of a network: its scaler, if it has one, is applied, its inputs are the columns, its class names the
            answers.

        Raises
        ------
        FileFormatError
            If no model can have that description.

        Examples
        --------
        >>> import fastnn
        >>> net = fastnn.Network([2, 1], loss="binary_cross_entropy", seed=0)
        >>> fastnn.TableModel.from_description(net.describe()).classes
        (0, 1)
        """
        network = Network.from_description(saved)
        network.scaler = None
        if saved.table is None:
            return cls(network, _plain_encoder(saved), _plain_target(saved), {})
        try:
            encoder = TableEncoder.from_state(saved.table["encoder"])
            target = target_from_state(saved.table["target"])
            info = saved.table["info"]
            if not isinstance(info, dict):
                raise ValueError(f"info must be a mapping, got {info!r:.80}")
            return cls(network, encoder, target, info)
        except (KeyError, ValueError) as error:
            raise FileFormatError(str(error) if isinstance(error, ValueError) else repr(error)) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which `fastnn.load_model` reads. It holds data alone, never code.

        Parameters
        ----------
        path : path
            A file that exists is replaced in one step.
        """
        model_file.write(path, self.describe())

    def to_c(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Write the model as one C99 file that takes a row of the table as numbers.

        Parameters
        ----------
        path : path
            "prices.c", say; a file that exists is replaced in one step.
        name : str, optional
            Prefix of the functions' names. None: the name of the file.

        Notes
        -----
        `NAME_predict(const double *inputs, double *outputs)` takes one number for each of `encoder.column_names`:
        quantities as they are; of a category the place of its value in the list that the file gives, any other number
        for a value not listed; of a date the days since 1970-01-01; NAN where a value is missing: what `encoder.raw`
        returns. Its outputs are the probabilities of the classes, or the quantities.
        """
        from .convert import table_c

        table_c.write(path, self.describe(), self.encoder, self.target, name)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ONNX model (opset 17) that takes rows of the table as numbers.

        Parameters
        ----------
        path : path
            "prices.onnx", say. The model's input is "X", (rows, n_columns) of float64, as `to_c` describes; its output
            "outputs": the probabilities of the classes, or the quantities. The lists of the categories' values are in
            its metadata.

        Raises
        ------
        ImportError
            Without the package onnx: pip install 'fastnn[onnx]'.
        """
        from .convert import table_onnx

        table_onnx.write(path, self.describe(), self.encoder, self.target)


def load_model(path: str | os.PathLike[str]) -> TableModel:
    """Read a model that takes the rows of a table, from any file that fastnn wrote.

    Parameters
    ----------
    path : path
        The safetensors file of a `TableModel`, or of a `Network`: its scaler, if it has one, is applied, its inputs are
        the columns, its class names the answers.

    Returns
    -------
    TableModel

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
    >>> bool((fastnn.load_model(path).predict([[0.0, 1.0]]) == net.predict([[0.0, 1.0]])[0]).all())
    True
    """
    saved = model_file.read(path)
    try:
        return TableModel.from_description(saved)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _plain_encoder(saved: SavedModel) -> TableEncoder:
    """Return the encoder that does what the scaler of a network's file does."""
    n = saved.spec.sizes[0]
    names = saved.column_names or tuple(default_name(position) for position in range(n))
    centre, scale, offset = np.zeros(n), np.ones(n), 0.0
    if saved.scaler is not None:
        state, gain = saved.scaler.state(), 1.0
        if isinstance(saved.scaler, MinMaxScaler):
            offset, high = state["feature_range"]
            centre, gain = np.array(state["minimum"]), high - offset
            spread = np.array(state["maximum"]) - centre
        else:
            centre, spread = np.array(state["mean"]), np.array(state["std"])
        scale = np.where(spread > 0, gain / np.where(spread > 0, spread, 1), 0)
    columns = [
        QuantityColumn(name, PLAIN, float(centre[i]), float(scale[i]), float(offset), clip=False)
        for i, name in enumerate(names)
    ]
    return TableEncoder(columns)


def _plain_target(saved: SavedModel) -> ClassTarget | QuantityTarget:
    n_outputs = saved.spec.sizes[-1]
    if saved.class_names is not None:
        return ClassTarget("class", tuple(saved.class_names))
    if saved.spec.classifies:
        return ClassTarget("class", tuple(range(max(2, n_outputs))))
    names = ("prediction",) if n_outputs == 1 else tuple(f"prediction {number + 1}" for number in range(n_outputs))
    return QuantityTarget(names, np.zeros(n_outputs), np.ones(n_outputs))
