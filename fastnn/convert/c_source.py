"""Write a network as one C99 file: constant weights and two functions, for programs without Python."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np

from ..embeddings import PeriodicEmbedding
from ..io.files import write_bytes
from ..io.model_file import SavedModel

NUMBERS_PER_LINE = 8

# F(x) is a literal or function of the network's type: 1.0f and expf(x), or 1.0 and exp(x)
ACTIVATIONS = {
    "identity": "z",
    "step": "z >= L(0.0) ? L(1.0) : L(0.0)",
    "sigmoid": "logistic(z)",
    "tanh": "F(tanh)(z)",
    "arctan": "F(atan)(z)",
    "relu": "z <= L(0.0) ? L(0.0) : z",
    "leaky_relu": "z > L(0.0) ? z : L(0.01) * z",
    "elu": "z > L(0.0) ? z : F(expm1)(z)",
    "softplus": "(z > L(0.0) ? z : L(0.0)) + F(log1p)(F(exp)(-F(fabs)(z)))",
    "silu": "z * logistic(z)",
    "gelu": "z * (L(0.5) * F(erfc)(-z * L(0.7071067811865475244)))",
    "selu": "z > L(0.0) ? L(1.0507009873554804934) * z : L(1.7580993408473768599) * F(expm1)(z)",
    "mish": "z * F(tanh)((z > L(0.0) ? z : L(0.0)) + F(log1p)(F(exp)(-F(fabs)(z))))",
    "softsign": "z / (L(1.0) + F(fabs)(z))",
    "hard_sigmoid": "z <= L(-3.0) ? L(0.0) : (z >= L(3.0) ? L(1.0) : z * L(0.16666666666666666667) + L(0.5))",
    "exponential": "F(exp)(z)",
}
LOGISTIC = """
static {number} {name}_logistic({number} z) {{
    const {number} e = F(exp)(-F(fabs)(z));
    return (z >= L(0.0) ? L(1.0) : e) / (L(1.0) + e);
}}
"""
FUNCTION = """
static {number} {name}_{activation}({number} z) {{
    return {formula};
}}
"""
SOFTMAX = """
static void {name}_softmax({number} *a, int n) {{
    {number} most = a[0], total = L(0.0);
    int j;
    for (j = 1; j < n; j++) most = a[j] > most ? a[j] : most;
    for (j = 0; j < n; j++) {{
        a[j] = F(exp)(a[j] - most);
        total += a[j];
    }}
    for (j = 0; j < n; j++) a[j] /= total;
}}
"""
LAYER = """
/* z = b + W^T x; w holds, input by input, the weights to each of the n_out neurons */
static void {name}_layer({number} *z, const {number} *x, const {number} *w, const {number} *b, int n_in, int n_out) {{
    int j, k;
    for (j = 0; j < n_out; j++) z[j] = b[j];
    for (k = 0; k < n_in; k++) {{
        const {number} input = x[k];
        for (j = 0; j < n_out; j++) z[j] += input * w[j];
        w += n_out;
    }}
}}
"""
EMBED = """
/* a holds the inputs; behind them it gets W cos(2 pi f x + p) + c for each of the embedded ones */
static void {name}_embed({number} *a) {{
    static const int columns[{count}] = {{{columns}}};
    {number} cosines[{n_frequencies}];
    int e, h, k;
    for (e = 0; e < {count}; e++) {{
        const {number} *turns = {name}_turns + e * {n_frequencies}, *phases = {name}_phases + e * {n_frequencies};
        for (h = 0; h < {n_frequencies}; h++) cosines[h] = F(cos)(a[columns[e]] * turns[h] + phases[h]);
        for (k = 0; k < {n_outputs}; k++) {{
            const int place = e * {n_outputs} + k;
            {number} total = {name}_functions_c[place];
            for (h = 0; h < {n_frequencies}; h++) total += {name}_functions_w[place * {n_frequencies} + h] * cosines[h];
            a[{n_inputs} + place] = total;
        }}
    }}
}}
"""
CLASSIFY = """
int {name}_classify(const {number} *inputs) {{
    {number} outputs[{macro}_OUTPUTS];
    {name}_predict(inputs, outputs);
{choice}
}}
"""
ONE_OUTPUT = "    return outputs[0] >= L(0.5);"
BRIGHTEST = """    {
        int best = 0, j;
        for (j = 1; j < MACRO_OUTPUTS; j++) best = outputs[j] > outputs[best] ? j : best;
        return best;
    }"""


def write(path: str | os.PathLike[str], model: SavedModel, name: str | None = None) -> None:
    """Write the file; `Network.to_c` documents it.

    Parameters
    ----------
    path : path
        The C file.
    model : SavedModel
        The network.
    name : str, optional
        Prefix of the functions; None takes the file's name.
    """
    prefix = identifier_of(Path(path).stem) if name is None else check_identifier(name)
    write_bytes(path, source(model, prefix).encode())


def source(model: SavedModel, name: str) -> str:
    """Return the text of the file, whose functions' names begin with `name`."""
    activation = model.spec.activation
    unknown = set(activation) - ACTIVATIONS.keys() - {"softmax"}
    if unknown:
        raise ValueError(f"activation {sorted(unknown)[0]!r} is a registered one, for which there is no C source")
    model.check_finite("this network has parameters that are not finite; it is not written")
    single = model.spec.dtype == "float32"
    names = {"number": "float" if single else "double", "name": name, "macro": name.upper()}
    parts = [_head(model, **names)]
    further = model.further()
    for number, (weight, bias) in enumerate(model.scaled_layers()):
        parts.append(_constants(f"{name}_w{number}", weight.T.ravel(), names["number"]))
        parts.append(_constants(f"{name}_b{number}", bias, names["number"]))
        if f"layers.{number}.alpha" in further:
            parts.append(_constants(f"{name}_alpha{number}", further[f"layers.{number}.alpha"], names["number"]))
    if model.spec.embedding is not None:
        parts += _embedding(model.spec.embedding, further, model.spec.sizes[0], names)
    parts.append(LAYER.format(**names))
    formulas = {key: ACTIVATIONS[key] for key in activation if key in ACTIVATIONS}
    if any("logistic" in formula for formula in formulas.values()):
        parts.append(LOGISTIC.format(**names))
    for key, formula in formulas.items():
        if key != "identity":
            formula = formula.replace("logistic(", f"{name}_logistic(")
            parts.append(FUNCTION.format(activation=key, formula=formula, **names))
    if activation[-1] == "softmax":
        parts.append(SOFTMAX.format(**names))
    parts.append(_predict(model, **names))
    choice = ONE_OUTPUT if model.spec.sizes[-1] == 1 else BRIGHTEST.replace("MACRO", names["macro"])
    parts.append(CLASSIFY.format(choice=choice, **names))
    return _typed("".join(parts), single)


def _embedding(
    embedding: PeriodicEmbedding, further: dict[str, np.ndarray], n_inputs: int, names: dict[str, str]
) -> list[str]:
    """Return the parameters of an embedding and its function."""
    turns = 2 * np.pi * further["embedding.frequencies"]
    arrays = {
        "turns": turns,
        "phases": further["embedding.phases"],
        "functions_w": further["embedding.weights"],
        "functions_c": further["embedding.biases"],
    }
    constants = [_constants(f"{names['name']}_{key}", value.ravel(), names["number"]) for key, value in arrays.items()]
    columns = ", ".join(map(str, embedding.inputs or ()))
    sizes = {"n_frequencies": embedding.n_frequencies, "n_outputs": embedding.n_outputs, "n_inputs": n_inputs}
    return [*constants, EMBED.format(columns=columns, count=embedding.n_embedded, **sizes, **names)]


def _typed(text: str, single: bool) -> str:
    """Replace F(exp) by expf or exp, and L(1.0) by 1.0f or 1.0."""
    text = re.sub(r"\bF\((\w+)\)", r"\1f" if single else r"\1", text)
    return re.sub(r"\bL\(([-.\w]+)\)", r"\1f" if single else r"\1", text)


def _head(model: SavedModel, number: str, name: str, macro: str) -> str:
    sizes, activation = model.spec.sizes, model.spec.activation
    layers = " - ".join(map(str, sizes))
    lines = [
        f"/* A network of {layers} neurons ({', '.join(activation)}), written by fastnn. C99; link with -lm.",
        "   No allocation and no state: every function may be called by many threads at once.",
        "",
        f"   void {name}_predict(const {number} *inputs, {number} *outputs): the outputs for one example.",
        f"   int {name}_classify(const {number} *inputs): "
        + ("1 where the output is 0.5 or more, else 0. */" if sizes[-1] == 1 else "the brightest output. */"),
    ]
    if model.scaler is not None:
        lines.append("/* The inputs are those after the network's scaler, which is not in this file. */")
    lines += ["", "#include <math.h>", "", f"#define {macro}_INPUTS {sizes[0]}"]
    lines += [f"#define {macro}_OUTPUTS {sizes[-1]}", ""]
    lines += [f"void {name}_predict(const {number} *inputs, {number} *outputs);"]
    lines += [f"int {name}_classify(const {number} *inputs);", ""]
    if model.class_names is not None:
        names = ", ".join(c_string(str(label)) for label in model.class_names)
        lines += [f"extern const char *const {name}_class_names[{len(model.class_names)}];"]
        lines += [f"const char *const {name}_class_names[{len(model.class_names)}] = {{{names}}};", ""]
    return "\n".join(lines)


def c_string(text: str) -> str:
    """Return a text as a literal of C99."""
    return '"' + "".join(map(_escaped, text)).replace("??", "?\\?") + '"'


def _escaped(character: str) -> str:
    code, escaped = ord(character), json.dumps(character)[1:-1]
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    if escaped.startswith("\\u") and (code < 0xA0 or 0xD800 <= code < 0xE000):  # of which C99 has no such name
        return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))
    return escaped


def _constants(name: str, values: np.ndarray, number: str) -> str:
    digits, suffix = (9, "f") if number == "float" else (17, "")
    texts = [f"{value:.{digits}g}" for value in values.tolist()]
    texts = [(text if "." in text or "e" in text else text + ".0") + suffix for text in texts]
    lines = [", ".join(texts[at : at + NUMBERS_PER_LINE]) for at in range(0, len(texts), NUMBERS_PER_LINE)]
    return f"\nstatic const {number} {name}[{len(texts)}] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def _predict(model: SavedModel, number: str, name: str, macro: str) -> str:
    spec = model.spec
    n_layers = len(spec.sizes) - 1
    copied = spec.input_scale != 1 or spec.embedding is not None
    lines = [f"void {name}_predict(const {number} *inputs, {number} *outputs) {{"]
    buffers = ["a", "b"][: n_layers if copied else n_layers - 1]
    for buffer in buffers:
        lines.append(f"    {number} {buffer}[{max(spec.widths)}];")
    if copied or any(activation not in ("identity", "softmax") for activation in spec.activation):
        lines.append("    int j;")
    source = "inputs"
    if copied:
        scale = f"{np.asarray(spec.input_scale, spec.dtype).item():.17g}"
        scale = f"({number})({scale if '.' in scale or 'e' in scale else scale + '.0'})"
        lines.append(f"    for (j = 0; j < {spec.sizes[0]}; j++) a[j] = inputs[j] * {scale};")
        source = "a"
    if spec.embedding is not None:
        lines.append(f"    {name}_embed(a);")
    for layer, activation in enumerate(spec.activation):
        n_in, n_out = spec.widths[layer : layer + 2]
        target = "outputs" if layer == n_layers - 1 else ("b" if source == "a" else "a")
        lines.append(f"    {name}_layer({target}, {source}, {name}_w{layer}, {name}_b{layer}, {n_in}, {n_out});")
        if activation == "softmax":
            lines.append(f"    {name}_softmax({target}, {n_out});")
        elif activation != "identity":
            z = f"{target}[j]"
            value = f"{name}_{activation}({z})"
            if f"layers.{layer}.alpha" in spec.further_shapes:
                value = f"{z} + {name}_alpha{layer}[j] * ({value} - {z})"
            lines.append(f"    for (j = 0; j < {n_out}; j++) {z} = {value};")
        source = target
    return "\n" + "\n".join([*lines, "}", ""])


def identifier_of(text: str) -> str:
    """Return an identifier of C that is close to a text."""
    found = re.sub(r"\W", "_", text, flags=re.ASCII).strip("_") or "net"
    return f"net_{found}" if found[0].isdigit() else found


def check_identifier(name: str) -> str:
    """Return the name if it is an identifier of C that starts with a letter."""
    if identifier_of(name) != name:
        raise ValueError(f"name must be an identifier of C that starts with a letter, got {name!r}")
    return name
