"""A network as an ONNX model: Gemm and standard operators, opset 17."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.files import write_bytes

if TYPE_CHECKING:
    from ..model import Model

OPSET, IR_VERSION = 17, 8
INPUT, OUTPUT = "X", "outputs"

SINGLE: dict[str, tuple[str, dict[str, Any]]] = {
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


def save(net: Model, path: str | os.PathLike[str]) -> None:
    """Write the model; see `Network.to_onnx`."""
    write_bytes(path, model_of(net).SerializeToString())


def model_of(net: Model) -> Any:
    """The model as onnx has it in memory."""
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install 'fastnn[onnx]'") from error
    if not np.isfinite(net.parameters).all():
        raise ValueError("this network has parameters that are not finite; it is not written")
    constants: dict[str, np.ndarray] = {}
    nodes: list[Any] = []

    def constant(name: str, value: Any) -> str:
        constants[name] = np.asarray(value, net.dtype)
        return name

    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def activate(name: str, z: str, output: str) -> None:
        if name in SINGLE:
            operator, attributes = SINGLE[name]
            node(operator, [z], output, **attributes)
        elif name == "identity":
            node("Identity", [z], output)
        elif name == "silu":
            node("Mul", [z, node("Sigmoid", [z], f"{z}.sigmoid")], output)
        elif name == "step":
            chosen = node("GreaterOrEqual", [z, constant("zero", 0.0)], f"{z}.right")
            node("Cast", [chosen], output, to=number)
        elif name == "gelu":
            root = node("Mul", [z, constant("root half", np.sqrt(0.5))], f"{z}.scaled")
            below = node("Add", [node("Erf", [root], f"{z}.erf"), constant("one", 1.0)], f"{z}.share")
            node("Mul", [node("Mul", [z, constant("half", 0.5)], f"{z}.half"), below], output)
        else:
            raise ValueError(f"activation {name!r} is one of your own, of which ONNX knows nothing")

    number = helper.np_dtype_to_tensor_dtype(net.dtype)
    a = INPUT
    if net.input_scale != 1:
        a = node("Mul", [a, constant("input_scale", net.input_scale)], "scaled")
    for layer, (weight, bias, name) in enumerate(zip(net.weights, net.biases, net.activation, strict=True)):
        given = [a, constant(f"layers.{layer}.weight", weight), constant(f"layers.{layer}.bias", bias)]
        z = node("Gemm", given, f"layers.{layer}.z", transB=1)
        a = OUTPUT if layer == len(net.weights) - 1 else f"layers.{layer}.a"
        activate(name, z, a)
    graph = helper.make_graph(
        nodes,
        "fastnn",
        [helper.make_tensor_value_info(INPUT, number, ["rows", net.sizes[0]])],
        [helper.make_tensor_value_info(OUTPUT, number, ["rows", net.sizes[-1]])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, producer_name="fastnn", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    for key in ("column_names", "class_names"):
        names = getattr(net, key)
        if names is not None:
            helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, key: "\n".join(names)})
    onnx.checker.check_model(model, full_check=True)
    return model
