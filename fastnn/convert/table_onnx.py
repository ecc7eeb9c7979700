"""Write a network with the preprocessing of its table as one ONNX model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..io.files import write_bytes
from ..io.model_file import SavedModel
from ..tables.encoded import YEAR, CategoryColumn, DateColumn, QuantityColumn
from ..tables.encoder import TableEncoder
from ..tables.quantiles import ranks
from ..tables.scaling import BEYOND
from ..tables.targets import ClassTarget, QuantityTarget
from .onnx import INPUT, IR_VERSION, OPSET, OUTPUT, to_model

__all__ = ["to_table_model", "write"]

PREFIX = "network/"


def write(
    path: str | os.PathLike[str], model: SavedModel, encoder: TableEncoder, target: ClassTarget | QuantityTarget
) -> None:
    """Write the model; `TableModel.to_onnx` documents it."""
    write_bytes(path, to_table_model(model, encoder, target).SerializeToString())


def to_table_model(model: SavedModel, encoder: TableEncoder, target: ClassTarget | QuantityTarget) -> Any:
    """Return the model as an `onnx.ModelProto`."""
    network = to_model(replace(model, table=None))
    import onnx
    from onnx import compose, helper

    network = compose.add_prefix(network, PREFIX)
    graph = _Graph(model, encoder, target)
    graph.encode()
    graph.nodes += network.graph.node
    graph.answer()
    made = helper.make_model(
        graph.build(network.graph.initializer),
        producer_name="fastnn",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    outputs = target.class_names if isinstance(target, ClassTarget) else target.output_names
    texts = {"column_names": encoder.column_names, "output_names": outputs}
    for position, column in enumerate(encoder.columns):
        if isinstance(column, CategoryColumn):
            texts[f"levels_{position}"] = column.levels
    helper.set_model_props(made, {key: "\n".join(found) for key, found in texts.items()})
    onnx.checker.check_model(made, full_check=True)
    return made


class _Graph:
    """Nodes and constants before and after those of the network."""

    def __init__(self, model: SavedModel, encoder: TableEncoder, target: ClassTarget | QuantityTarget) -> None:
        from onnx import TensorProto, helper

        self.model, self.encoder, self.target = model, encoder, target
        self.helper, self.double = helper, TensorProto.DOUBLE
        self.number = helper.np_dtype_to_tensor_dtype(np.dtype(model.spec.dtype))
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """Add a constant and return its name."""
        name = f"constant {len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or f"{operator} {len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def columns(self, positions: Sequence[int]) -> str:
        """Return some columns of the input, (rows, len(positions))."""
        return self.node("Gather", [INPUT, self.constant(positions, np.int64)], axis=1)

    def encode(self) -> None:
        """Add what turns the columns into the network's inputs."""
        parts: list[str] = []
        places: list[int] = []
        widths = [len(column.feature_names) for column in self.encoder.columns]
        starts = np.cumsum([0, *widths]).tolist()
        quantities = [i for i, column in enumerate(self.encoder.columns) if isinstance(column, QuantityColumn)]
        if quantities:
            found, missing = self.quantities(quantities)
            parts.append(found)
            places += [starts[i] for i in quantities]
            flagged = [k for k, i in enumerate(quantities) if widths[i] == 2]
            if flagged:
                parts.append(self.node("Gather", [missing, self.constant(flagged, np.int64)], axis=1))
                places += [starts[quantities[k]] + 1 for k in flagged]
        for i, column in enumerate(self.encoder.columns):
            if isinstance(column, CategoryColumn) and widths[i]:
                parts.append(self.category(column, i))
            elif isinstance(column, DateColumn) and widths[i]:
                parts += self.date(column, i)
            else:
                continue
            places += range(starts[i], starts[i] + widths[i])
        joined = self.node("Concat", parts, axis=1) if len(parts) > 1 else parts[0]
        ordered = self.node("Gather", [joined, self.constant(np.argsort(places), np.int64)], axis=1)
        self.node("Identity", [self.indicators(ordered, sum(widths))], PREFIX + INPUT)

    def indicators(self, inputs: str, n_inputs: int) -> str:
        """Return the inputs, those that say yes or no scaled."""
        scaling = self.encoder.indicators
        if not scaling.places:
            return inputs
        centre, scale, scaled = np.zeros(n_inputs), np.ones(n_inputs), np.zeros(n_inputs)
        places = list(scaling.places)
        centre[places], scale[places], scaled[places] = scaling.centre, scaling.scale, 1
        z = self.node("Cast", [inputs], to=self.double)
        z = self.node("Mul", [self.node("Sub", [z, self.constant(centre)]), self.constant(scale)])
        return self.as_number(self.softened(z, scaled))

    def softened(self, z: str, clips: Any) -> str:
        """Return z / sqrt(1 + (z / 3)^2) of the columns where `clips` is 1, z where it is 0."""
        third = self.node("Div", [z, self.constant(3.0)])
        square = self.node("Mul", [self.node("Mul", [third, third]), self.constant(clips)])
        return self.node("Div", [z, self.node("Sqrt", [self.node("Add", [square, self.constant(1.0)])])])

    def as_number(self, value: str) -> str:
        """Return a value in the network's type."""
        return self.node("Cast", [value], to=self.number)

    def quantities(self, positions: list[int]) -> tuple[str, str]:
        """Return the inputs of quantities, and 1 where one is missing."""
        columns = [self.encoder.columns[i] for i in positions]
        known = [column for column in columns if isinstance(column, QuantityColumn)]
        x = self.columns(positions)
        missing = self.node("IsNaN", [x])
        z = self.node("Sub", [x, self.constant([column.centre for column in known])])
        z = self.node("Mul", [z, self.constant([column.scale for column in known])])
        z = self.node("Where", [missing, self.constant(0.0), z])
        limits = [[BEYOND if column.clip else np.inf for column in known]]
        z = self.node("Max", [self.node("Min", [z, self.constant(limits)]), self.constant(np.negative(limits))])
        z = self.softened(z, [float(column.clip) for column in known])
        z = self.node("Add", [z, self.constant([column.offset for column in known])])
        return self.as_number(z), self.as_number(missing)

    def category(self, column: CategoryColumn, position: int) -> str:
        """Return the inputs of a category: its code compared with the code of each level, or the code if embedded."""
        x = self.columns([position])
        n = len(column.levels)
        code = self.node("Floor", [x])
        if column.embedded:
            inside = [self.node("GreaterOrEqual", [x, self.constant(0.0)]), self.node("Less", [x, self.constant(n)])]
            code = self.node("Where", [self.node("And", inside), code, self.constant(column.code_of_others)])
            of_missing = self.constant(column.code_of_missing)
            return self.as_number(self.node("Where", [self.node("IsNaN", [x]), of_missing, code]))
        if column.is_binary:
            signs = [self.as_number(self.node("Equal", [code, self.constant(float(k))])) for k in (1, 0)]
            return self.node("Sub", signs)
        parts = [self.as_number(self.node("Equal", [code, self.constant(np.arange(n))]))] if n else []
        absent = self.node("IsNaN", [x])
        if column.rare:
            below = self.node("Less", [x, self.constant(0.0)])
            above = self.node("GreaterOrEqual", [x, self.constant(float(n))])
            parts.append(self.as_number(self.node("Or", [below, above])))
        if column.missing:
            parts.append(self.as_number(absent))
        return self.node("Concat", parts, axis=1) if len(parts) > 1 else parts[0]

    def date(self, column: DateColumn, position: int) -> list[str]:
        """Return the inputs of a date, part by part."""
        x = self.columns([position])
        missing = self.node("IsNaN", [x])
        t = self.node("Where", [missing, self.constant(0.0), x])
        found = []
        for part in column.parts:
            if part == "elapsed":
                since = self.node("Sub", [t, self.constant(column.centre)])
                found.append(self.as_number(self.node("Mul", [since, self.constant(column.scale)])))
            elif part == "week":
                day = self.node("Add", [self.node("Floor", [t]), self.constant(3.0)])
                weeks = self.node("Floor", [self.node("Div", [day, self.constant(7.0)])])
                weekday = self.node("Sub", [day, self.node("Mul", [weeks, self.constant(7.0)])])
                found.append(self.as_number(self.node("Equal", [weekday, self.constant(np.arange(7.0))])))
            else:
                turns = self.node("Div", [t, self.constant(YEAR)]) if part == "year" else t
                rest = self.node("Sub", [turns, self.node("Floor", [turns])])
                angle = self.node("Mul", [rest, self.constant(2 * np.pi)])
                single = self.node("Cast", [angle], to=self.helper.np_dtype_to_tensor_dtype(np.dtype(np.float32)))
                found += [self.as_number(self.node(operator, [single])) for operator in ("Sin", "Cos")]
        present = self.as_number(self.node("Not", [missing]))
        found = [self.node("Mul", [value, present]) for value in found]
        return found + [self.as_number(missing)] * column.indicator

    def answer(self) -> None:
        """Add what turns the network's outputs into probabilities or quantities."""
        a = PREFIX + OUTPUT
        if isinstance(self.target, QuantityTarget):
            scaled = self.node("Mul", [self.node("Cast", [a], to=self.double), self.constant(self.target.std)])
            numbers = self.node("Add", [scaled, self.constant(self.target.mean)])
            if self.target.limits is not None:
                low, high = map(self.constant, self.target.limits)
                numbers = self.node("Min", [self.node("Max", [numbers, low]), high])
            if self.target.levels:
                ordered = self.sorted_rows(numbers, len(self.target.levels))
                numbers = self.node("Gather", [ordered, self.constant(ranks(self.target.levels), np.int64)], axis=1)
            self.node("Identity", [numbers], OUTPUT)
            return
        n = self.model.spec.sizes[-1]
        if n == 1:
            one = self.constant(1.0, self.model.spec.dtype)
            a = self.node("Concat", [self.node("Sub", [one, a]), a], axis=1)
        elif self.model.spec.activation[-1] != "softmax":
            zero, share = self.constant(0.0, self.model.spec.dtype), self.constant(1 / n, self.model.spec.dtype)
            positive = self.node("Relu", [a])
            total = self.node("ReduceSum", [positive, self.constant([1], np.int64)], keepdims=1)
            some = self.node("Greater", [total, zero])
            divisor = self.node("Where", [some, total, self.constant(1.0, self.model.spec.dtype)])
            a = self.node("Where", [some, self.node("Div", [positive, divisor]), share])
        self.node("Identity", [a], OUTPUT)

    def sorted_rows(self, values: str, n: int) -> str:
        """Return the n values of each row, the least first."""
        count = self.constant([n], np.int64)
        names = [f"TopK {len(self.nodes)}", f"TopK {len(self.nodes)} places"]
        self.nodes.append(self.helper.make_node("TopK", [values, count], names, name=names[0], axis=1, largest=0))
        return names[0]

    def build(self, network_constants: Sequence[Any]) -> Any:
        """Return the graph."""
        from onnx import numpy_helper

        value_info = self.helper.make_tensor_value_info
        classes = isinstance(self.target, ClassTarget)
        n = len(self.target.classes) if isinstance(self.target, ClassTarget) else len(self.target.output_names)
        return self.helper.make_graph(
            self.nodes,
            "fastnn",
            [value_info(INPUT, self.double, ["rows", len(self.encoder.columns)])],
            [value_info(OUTPUT, self.number if classes else self.double, ["rows", n])],
            [*[numpy_helper.from_array(value, name) for name, value in self.constants.items()], *network_constants],
        )
