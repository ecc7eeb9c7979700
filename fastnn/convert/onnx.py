"""Write a network as an ONNX model: Gemm and standard operators, opset 17."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..embeddings import PeriodicEmbedding
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
        further = self.model.further()
        if spec.embedding is not None:
            a = self.embed(spec.embedding, further, a)
        for layer, ((weight, bias), name) in enumerate(zip(self.model.scaled_layers(), spec.activation, strict=True)):
            weight_name = self.constant(f"layers.{layer}.weight", weight)
            bias_name = self.constant(f"layers.{layer}.bias", bias)
            z = self.node("Gemm", [a, weight_name, bias_name], f"layers.{layer}.z", transB=1)
            a = OUTPUT if layer == len(spec.activation) - 1 else f"layers.{layer}.a"
            alpha = f"layers.{layer}.alpha"
            if alpha in further:
                self.mix(z, name, self.constant(alpha, further[alpha]), a)
            else:
                self.activate(name, z, a)
        return self.helper.make_graph(
            self.nodes,
            "fastnn",
            [value_info(INPUT, self.number, ["rows", spec.sizes[0]])],
            [value_info(OUTPUT, self.number, ["rows", spec.sizes[-1]])],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in self.constants.items()],
        )

    def embed(self, embedding: PeriodicEmbedding, parameters: dict[str, np.ndarray], x: str) -> str:
        """Add (x, W cos(2 pi f x + p) + c): (rows, inputs of the first layer)."""
        values = {name: parameters[f"embedding.{name}"] for name in embedding.shapes()}
        turns = self.constant("embedding.turns", 2 * np.pi * values["frequencies"])
        phases, weights, biases = (
            self.constant(f"embedding.{name}", values[name]) for name in ("phases", "weights", "biases")
        )
        columns = self.constant("embedding.inputs", np.array(embedding.inputs, np.int64), np.int64)
        chosen = self.node("Gather", [x, columns], "embedding.x", axis=1)
        apart = self.node("Unsqueeze", [chosen, self.constant("axis 2", [2], np.int64)], "embedding.apart")
        angles = self.node("Add", [self.node("Mul", [apart, turns], "embedding.angle"), phases], "embedding.phased")
        cosines = self.node("Cos", [angles], "embedding.cosines")
        second_last, last = (self.constant(f"axis {axis}", [axis], np.int64) for axis in (2, 3))
        shared = self.node("Unsqueeze", [cosines, second_last], "embedding.shared")
        terms = self.node("Mul", [shared, weights], "embedding.terms")  # (rows, inputs, functions, frequencies)
        sums = self.node("ReduceSum", [terms, last], "embedding.sums", keepdims=0)
        functions = self.node("Add", [sums, biases], "embedding.functions")
        shape = self.constant("embedding.shape", [0, values["biases"].size], np.int64)  # 0: the number of rows
        return self.node("Concat", [x, self.node("Reshape", [functions, shape], "embedding.flat")], "embedded", axis=1)

    def mix(self, z: str, name: str, alpha: str, output: str) -> None:
        """Add z + alpha (f(z) - z)."""
        f = f"{z}.f"
        self.activate(name, z, f)
        change = self.node("Mul", [self.node("Sub", [f, z], f"{z}.change"), alpha], f"{z}.part")
        self.node("Add", [z, change], output)

    def constant(self, name: str, value: Any, dtype: Any = None) -> str:
        """Add a constant, of the network's dtype unless another is given, and return its name."""
        self.constants[name] = np.asarray(value, dtype or self.model.spec.dtype)
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node, named after its output, and return that name."""
        self.nodes.append(self.helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

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
