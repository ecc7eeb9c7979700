"""What the page shows of a model: its neurons, its answer, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plots import brightest
from ..table_model import TableModel
from ..tables.encoded import EncodedColumn, QuantityColumn
from ..tables.targets import ClassTarget
from .live import TrainingWatcher
from .picture_inputs import PictureInputs
from .request import check_fields, integer
from .table_inputs import TableInputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CONNECTIONS, MOST_LINES = 25_000, 400
"""Connections between two layers up to which they are drawn, and how many of them, the strongest."""


class ModelPage:
    """Answer the page's questions about a model.

    Parameters
    ----------
    model : TableModel
    inputs : PictureInputs or TableInputs
        How what is drawn or chosen becomes inputs.
    title : str
        What the model is called.
    watcher : TrainingWatcher, optional
        Of the running training; answers are those of its last snapshot.
    """

    def __init__(
        self,
        model: TableModel,
        inputs: PictureInputs | TableInputs,
        title: str,
        watcher: TrainingWatcher | None = None,
    ) -> None:
        self.model, self.inputs, self.title, self.watcher = model, inputs, title, watcher
        self._seen: object = None
        self._as_they_are = all(takes_as_it_is(column) for column in model.encoder.columns)

    def prepare(self) -> None:
        """Compile or load the kernels, so that the first answer is as quick as the others."""
        net = self.model.network
        nothing = np.zeros((1, net.sizes[0]), net.dtype)
        net.activations(nothing)
        if self.inputs.kind == "picture":
            self._gradient(nothing, net.predict(nothing))

    @property
    def questions(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return the function that answers each question."""
        own: dict[str, Any] = {"model": self.describe, "answer": self.answer, "neuron": self.neuron}
        if self.watcher is not None:
            own |= {"live": self.watcher.news, "first_layer": self.watcher.first_layer}
        return {name: self._with_newest(function) for name, function in (own | self.inputs.questions).items()}

    def _with_newest(self, function: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Return the function on the network as it is now."""

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            newest = None if self.watcher is None else self.watcher.snapshot
            if newest is not None and newest is not self._seen:
                self.model.network.engine.set_parameters(newest.parameters)
                self._seen = newest
            return function(request)

        return ask

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what the page needs to know once."""
        check_fields(request)
        net, target = self.model.network, self.model.target
        return {
            "title": self.title,
            "sizes": net.engine.spec.widths,
            "activation": net.activation,
            "loss": net.loss_name,
            "n_parameters": net.n_parameters,
            "epochs": net.epochs_trained,
            "classes": target.class_names if isinstance(target, ClassTarget) else None,
            "target": target.names[0],
            "targets": target.names if isinstance(target, ClassTarget) else target.output_names,
            "kind": self.inputs.kind,
            "live": self.watcher is not None,
            **self.inputs.describe(),
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return every neuron's activation, the answer, and the gradient of the strongest output by the inputs."""
        columns, shown = self.inputs.read(request)
        net = self.model.network
        x = columns.astype(net.dtype) if self._as_they_are else self.model.encoder.encode(columns, net.dtype)
        activations, outputs = net.activations(x), net.predict(x)
        found: dict[str, Any] = {
            **shown,
            "activations": [layer[0] for layer in activations],
            "connections": self._connections(activations),
            "outputs": outputs[0],
        }
        if isinstance(self.model.target, ClassTarget):
            labels, confidence = brightest(outputs)
            shares = outputs[0] if outputs.shape[1] > 1 else [1 - outputs[0, 0], outputs[0, 0]]
            found |= {"label": labels[0], "confidence": confidence[0], "shares": shares}
        else:
            found |= {"values": self.model.target.values(outputs)[0]}
        if self.inputs.kind == "picture":
            found["gradient"] = self._gradient(x, outputs)
        return found

    def _connections(self, activations: list[NDArray[Any]]) -> list[dict[str, NDArray[Any]] | None]:
        """Return, for each layer, weight times activation of its strongest connections; None where there are many."""
        pairs = zip(self.model.network.weights, activations[:-1], strict=True)
        return [strongest(weight * below[0]) if weight.size <= MOST_CONNECTIONS else None for weight, below in pairs]

    def _gradient(self, x: NDArray[Any], outputs: NDArray[Any]) -> NDArray[Any] | None:
        """Return how much the answer's output grows with each input; None where it is not computed."""
        net = self.model.network
        if "step" in net.activation or net.embedding or net.category_embedding:
            return None
        gradient = net.input_gradients(x, output=int(outputs[0].argmax()))
        against = outputs.shape[1] == 1 and outputs[0, 0] < 0.5
        of_answer: NDArray[Any] = -gradient[0] if against else gradient[0]
        return of_answer

    def neuron(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the incoming weights of neuron `neuron` of layer `layer`, counted from 1, the first hidden one."""
        check_fields(request, "layer", "neuron")
        net = self.model.network
        layer = integer(request, "layer", 1, len(net.sizes))
        neuron = integer(request, "neuron", 0, net.sizes[layer])
        weights = np.array(net.weights[layer - 1][neuron])
        return {"weights": weights, "bias": net.biases[layer - 1][neuron]}


def takes_as_it_is(column: EncodedColumn) -> bool:
    """Tell whether a column's number is the network's input: the thousand pixels of a picture need no encoder."""
    if not isinstance(column, QuantityColumn) or column.clip or column.indicator:
        return False
    return (column.centre, column.scale, column.offset) == (0.0, 1.0, 0.0)


def strongest(contributions: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the connections of the largest magnitude, the largest first; `contributions` is (n_out, n_in)."""
    magnitudes = np.abs(contributions).ravel()
    count = min(MOST_LINES, magnitudes.size)
    kept = np.argpartition(-magnitudes, count - 1)[:count]
    kept = kept[np.argsort(-magnitudes[kept], kind="stable")]
    to, source = np.divmod(kept, contributions.shape[1])
    return {"from": source, "to": to, "values": contributions.ravel()[kept]}
