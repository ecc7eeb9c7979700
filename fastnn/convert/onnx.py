"""Write a network as an ONNX model: Gemm and standard operators, opset 17."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..embeddings import NumberEmbedding, PiecewiseLinearEmbedding
from ..io.files import write_bytes
from ..io.model_file import SavedModel

OPSET, IR_VERSION = 17, 8
INPUT, OUTPUT = "X", "outputs"

SINGLE: dict[str, tuple[str, dict[str, Any]]] = {
    "identity": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "arctan": ("Atan", {}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {"alpha": 1.0}),
    "softplus": ("Softplus", {}),
    "softmax": ("Softmax", {"axis": 1}),
    "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "softsign": ("Softsign", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "exponential": ("Exp", {}),
}
"""Activations that are one operator."""


def write(path: str | os.PathLike[str], model: SavedModel) -> None:
    """Write the model; `Network.to_onnx` documents it."""
    write_bytes(path, to_model(model).SerializeToString())


def to_model(model: SavedModel) -> Any:
    """Return the network as an `onnx.ModelProto`."""
    try:
        import onnx
        from onnx import helper
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install 'fastnn[onnx]'") from error
    model.check_finite("this network has parameters that are not finite; it is not written")
    made = helper.make_model(
        _Graph(model).build(),
        producer_name="fastnn",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    names = {"column_names": model.column_names, "class_names": model.class_names}
    texts = {key: "\n".join(map(str, found)) for key, found in names.items() if found is not None}
    if texts:
        helper.set_model_props(made, texts)
    onnx.checker.check_model(made, full_check=True)
    return made


class _Graph:
    """The nodes and constants of a network's graph."""

    def __init__(self, model: SavedModel) -> None:
        from onnx import helper

        self.model, self.helper = model, helper
        self.number = helper.np_dtype_to_tensor_dtype(np.dtype(model.spec.dtype))
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[Any] = []

    def build(self) -> Any:
        """Return the graph."""
        from onnx import numpy_helper

        spec, value_info = self.model.spec, self.helper.make_tensor_value_info
        a = INPUT
        if spec.input_scale != 1:
            a = self.node("Mul", [a, self.constant("input_scale", spec.input_scale)], "scaled")
        layers = self.model.scaled_layers()
        if spec.embedding or spec.category_embedding:
            a, order = self.embed(a)
            layers[0] = layers[0][0][:, order], layers[0][1]
        for layer, ((weight, bias), name) in enumerate(zip(layers, spec.activation, strict=True)):
            weight_name = self.constant(f"layers.{layer}.weight", weight)
            bias_name = self.constant(f"layers.{layer}.bias", bias)
            z = self.node("Gemm", [a, weight_name, bias_name], f"layers.{layer}.z", transB=1)
            a = OUTPUT if layer == len(spec.activation) - 1 else f"layers.{layer}.a"
            if f"layers.{layer}.alpha" in spec.further_shapes:
                self.mix(name, z, a, f"layers.{layer}.alpha")
            else:
                self.activate(name, z, a)
        return self.helper.make_graph(
            self.nodes,
            "fastnn",
            [value_info(INPUT, self.number, ["rows", spec.sizes[0]])],
            [value_info(OUTPUT, self.number, ["rows", spec.sizes[-1]])],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in self.constants.items()],
        )

    def constant(self, name: str, value: Any) -> str:
        """Add a constant and return its name."""
        self.constants[name] = np.asarray(value, self.model.spec.dtype)
        return name

    def indices(self, name: str, value: Any) -> str:
        """Add a constant of whole numbers and return its name."""
        self.constants[name] = np.asarray(value, np.int64)
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node, named after its output, and return that name."""
        self.nodes.append(self.helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def embed(self, x: str) -> tuple[str, list[int]]:
        """Add what embeddings give; return what the first layer takes, and which of its columns each number is."""
        spec = self.model.spec
        counts = spec.category_embedding.counts if spec.category_embedding else {}
        order = [column for column in range(spec.sizes[0]) if column not in counts]
        parts = [self.node("Gather", [x, self.indices("numbers", order)], "numbers of X", axis=1)] if order else []
        behind = spec.sizes[0]
        if spec.embedding:
            parts.append(self.functions(x, spec.embedding))
            order += range(behind, behind + spec.embedding.n_embedded * spec.embedding.n_outputs)
            behind = order[-1] + 1
        for column in counts:
            parts.append(self.vectors(x, column))
            size = self.model.further()[f"category_embedding.{column}"].shape[1]
            order += [column, *range(behind, behind + size - 1)]
            behind += size - 1
        return self.node("Concat", parts, "embedded", axis=1) if len(parts) > 1 else parts[0], order

    def functions(self, x: str, embedding: NumberEmbedding) -> str:
        """Return W cos(2 pi f x + p) + c of the embedded numbers, or W clip(f x + p) + c."""
        parameters = self.model.further()
        f, p, w, c = (parameters[f"embedding.{name}"] for name in embedding.shapes())
        chosen = self.node("Gather", [x, self.indices("embedded columns", embedding.inputs)], "functions.x", axis=1)
        chosen = self.node("Unsqueeze", [chosen, self.indices("last axes", [2, 3])], "functions.columns")
        inner = self.constant("embedding.factors", f[:, np.newaxis])
        scaled = self.node("Mul", [chosen, inner], "functions.scaled")
        inner = self.pieces(scaled, p) if isinstance(embedding, PiecewiseLinearEmbedding) else self.waves(scaled, p)
        sums = self.node("MatMul", [inner, self.constant("embedding.weights", w.transpose(0, 2, 1))], "functions.sums")
        biased = self.node("Add", [sums, self.constant("embedding.biases", c[:, np.newaxis])], "functions.biased")
        return self.node("Flatten", [biased], "functions", axis=1)

    def waves(self, scaled: str, phases: np.ndarray) -> str:
        """Return cos(2 pi f x + p) from f x: the turns are reduced to one, as `predict` does."""
        constant = self.constant("embedding.phases", phases[:, np.newaxis].astype(np.float64) / (2 * np.pi))
        turns = self.node("Add", [scaled, constant], "functions.turns")
        part = self.node("Sub", [turns, self.node("Floor", [turns], "functions.whole")], "functions.part")
        return self.node(
            "Cos", [self.node("Mul", [part, self.constant("turn", 2 * np.pi)], "functions.angles")], "waves"
        )

    def pieces(self, scaled: str, offsets: np.ndarray) -> str:
        """Return how far x has come through each bin, from f x."""
        n_bins = offsets.shape[1]
        lowest, highest = np.zeros(n_bins), np.ones(n_bins)
        lowest[0], highest[-1] = -np.inf, np.inf
        constant = self.constant("embedding.offsets", offsets[:, np.newaxis])
        free = self.node("Add", [scaled, constant], "functions.free")
        above = self.node("Max", [free, self.constant("lowest", lowest)], "functions.above")
        return self.node("Min", [above, self.constant("highest", highest)], "pieces")

    def vectors(self, x: str, column: int) -> str:
        """Return the vectors of the codes in a column; a row of zeros behind the table is that of all others."""
        name = f"category_embedding.{column}"
        table = self.model.further()[name]
        count = self.constant(f"{name}.count", len(table))
        code = self.node("Gather", [x, self.indices(f"{name}.column", [column])], f"{name}.code", axis=1)
        above = self.node("GreaterOrEqual", [code, self.constant("no code", 0.0)], f"{name}.above")
        below = self.node("Less", [code, count], f"{name}.below")
        known = self.node("And", [above, below], f"{name}.known")
        place = self.node("Where", [known, code, count], f"{name}.place")
        place = self.node("Cast", [place], f"{name}.index", to=self.helper.np_dtype_to_tensor_dtype(np.dtype(np.int64)))
        padded = self.constant(name, np.vstack([table, np.zeros_like(table[:1])]))
        return self.node("Flatten", [self.node("Gather", [padded, place], f"{name}.vector")], f"{name}.flat", axis=1)

    def mix(self, name: str, z: str, output: str, alpha: str) -> None:
        """Add z + alpha (f(z) - z), a learned activation."""
        self.activate(name, z, f"{z}.f")
        difference = self.node("Sub", [f"{z}.f", z], f"{z}.difference")
        shares = self.constant(alpha, self.model.further()[alpha])
        self.node("Add", [z, self.node("Mul", [difference, shares], f"{z}.learned")], output)

    def activate(self, name: str, z: str, output: str) -> None:
        """Add the nodes of an activation."""
        if name in SINGLE:
            operator, attributes = SINGLE[name]
            self.node(operator, [z], output, **attributes)
        elif name == "silu":
            self.node("Mul", [z, self.node("Sigmoid", [z], f"{z}.sigmoid")], output)
        elif name == "mish":
            softplus = self.node("Softplus", [z], f"{z}.softplus")
            self.node("Mul", [z, self.node("Tanh", [softplus], f"{z}.tanh")], output)
        elif name == "step":
            chosen = self.node("GreaterOrEqual", [z, self.constant("zero", 0.0)], f"{z}.right")
            self.node("Cast", [chosen], output, to=self.number)
        elif name == "gelu":  # z (1 + erf(z / sqrt 2)) / 2
            scaled = self.node("Mul", [z, self.constant("root half", np.sqrt(0.5))], f"{z}.scaled")
            erf = self.node("Erf", [scaled], f"{z}.erf")
            share = self.node("Add", [erf, self.constant("one", 1.0)], f"{z}.share")
            half = self.node("Mul", [z, self.constant("half", 0.5)], f"{z}.half")
            self.node("Mul", [half, share], output)
        else:
            raise ValueError(f"activation {name!r} is a registered one, for which ONNX has no operator")
