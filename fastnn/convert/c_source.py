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
WAVES = """
/* z_k = c_k + sum_h w_kh cos(2 pi (f_h x + p_h)) */
static void {name}_waves({number} *z, {number} x, const {number} *f, const {number} *p, const {number} *w,
                         const {number} *c) {{
    int h, k;
    for (k = 0; k < {n_functions}; k++) z[k] = c[k];
    for (h = 0; h < {n_frequencies}; h++) {{
        const {number} turns = f[h] * x + p[h];
        const {number} wave = F(cos)(L(6.283185307179586477) * (turns - F(floor)(turns)));
        for (k = 0; k < {n_functions}; k++) z[k] += w[k * {n_frequencies} + h] * wave;
    }}
}}
"""
PIECES = """
/* z_k = c_k + sum_h w_kh e_h, e_h = f_h x + p_h from 0 to 1, but for the first and the last bin */
static void {name}_pieces({number} *z, {number} x, const {number} *f, const {number} *p, const {number} *w,
                          const {number} *c) {{
    int h, k;
    for (k = 0; k < {n_functions}; k++) z[k] = c[k];
    for (h = 0; h < {n_frequencies}; h++) {{
        {number} piece = f[h] * x + p[h];
        if (h > 0 && piece < L(0.0)) piece = L(0.0);
        if (h + 1 < {n_frequencies} && piece > L(1.0)) piece = L(1.0);
        for (k = 0; k < {n_functions}; k++) z[k] += w[k * {n_frequencies} + h] * piece;
    }}
}}
"""
VECTOR = """
/* the code at z[0] becomes the first number of its vector, the others stand in `others`; all 0 for an unknown code */
static void {name}_vector({number} *z, {number} *others, const {number} *vectors, int n_categories) {{
    const int known = *z >= L(0.0) && *z < ({number})n_categories;
    int k;
    if (known) vectors += {size} * (int)*z;
    *z = known ? vectors[0] : L(0.0);
    for (k = 1; k < {size}; k++) others[k - 1] = known ? vectors[k] : L(0.0);
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
    for number, (weight, bias) in enumerate(model.scaled_layers()):
        parts.append(_constants(f"{name}_w{number}", weight.T.ravel(), names["number"]))
        parts.append(_constants(f"{name}_b{number}", bias, names["number"]))
    further = model.further()
    for number in _learned_activations(model):
        parts.append(_constants(f"{name}_a{number}", further[f"layers.{number}.alpha"], names["number"]))
    parts += _embeddings(model, **names)
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


def _learned_activations(model: SavedModel) -> list[int]:
    """Return the layers whose activation differs from what is learned of it."""
    n_hidden = len(model.spec.activation) - 1
    learned = range(n_hidden if model.spec.learned_activation else 0)
    return [number for number in learned if model.spec.activation[number] != "identity"]


def _embeddings(model: SavedModel, number: str, name: str, macro: str) -> list[str]:
    """Return the constants of the embeddings, and the function that widens the inputs, in place; none without them."""
    spec, further = model.spec, model.further()
    parts, calls, behind = [], [], spec.sizes[0]
    if spec.embedding:
        f, p, w, c = (further[f"embedding.{part}"] for part in spec.embedding.shapes())
        waves = isinstance(spec.embedding, PeriodicEmbedding)
        function, text = (f"{name}_waves", WAVES) if waves else (f"{name}_pieces", PIECES)
        p = (p.astype(np.float64) / (2 * np.pi)).astype(spec.dtype) if waves else p
        for letter, values in zip("fpwc", (f, p, w, c), strict=True):
            parts.append(_constants(f"{function}_{letter}", values.ravel(), number))
        n_functions, n_frequencies = w.shape[1:]
        parts.append(text.format(name=name, number=number, n_functions=n_functions, n_frequencies=n_frequencies))
        for place, column in enumerate(spec.embedding.inputs or ()):
            starts = {"f": n_frequencies, "p": n_frequencies, "w": n_functions * n_frequencies, "c": n_functions}
            constants = ", ".join(f"{function}_{letter} + {place * size}" for letter, size in starts.items())
            calls.append(f"    {function}(z + {behind}, z[{column}], {constants});")
            behind += n_functions
    if spec.category_embedding:
        size = spec.category_embedding.n_outputs
        parts.append(VECTOR.format(name=name, number=number, size=size))
        for column, count in spec.category_embedding.counts.items():
            vectors = f"{name}_vectors{column}"
            parts.append(_constants(vectors, further[f"category_embedding.{column}"].ravel(), number))
            calls.append(f"    {name}_vector(z + {column}, z + {behind}, {vectors}, {count});")
            behind += size - 1
    if not calls:
        return []
    head = f"/* what the first layer takes, in place */\nstatic void {name}_embed({number} *z) {{"
    return [*parts, "\n" + "\n".join([head, *calls, "}", ""])]


def _predict(model: SavedModel, number: str, name: str, macro: str) -> str:
    spec = model.spec
    n_layers = len(spec.sizes) - 1
    lines = [f"void {name}_predict(const {number} *inputs, {number} *outputs) {{"]
    embeds = bool(spec.embedding or spec.category_embedding)
    copies = spec.input_scale != 1 or embeds
    buffers = ["a", "b"][: n_layers if copies else n_layers - 1]
    for buffer in buffers:
        lines.append(f"    {number} {buffer}[{max(spec.widths)}];")
    if copies or any(activation not in ("identity", "softmax") for activation in spec.activation):
        lines.append("    int j;")
    source = "inputs"
    if copies:
        scale = f"{np.asarray(spec.input_scale, spec.dtype).item():.17g}"
        scale = f"({number})({scale if '.' in scale or 'e' in scale else scale + '.0'})"
        lines.append(f"    for (j = 0; j < {spec.sizes[0]}; j++) a[j] = inputs[j] * {scale};")
        source = "a"
    if embeds:
        lines.append(f"    {name}_embed(a);")
    learned = _learned_activations(model)
    for layer, activation in enumerate(spec.activation):
        n_in, n_out = spec.widths[layer : layer + 2]
        target = "outputs" if layer == n_layers - 1 else ("b" if source == "a" else "a")
        lines.append(f"    {name}_layer({target}, {source}, {name}_w{layer}, {name}_b{layer}, {n_in}, {n_out});")
        if activation == "softmax":
            lines.append(f"    {name}_softmax({target}, {n_out});")
        elif layer in learned:
            mixed = f"{name}_a{layer}[j] * ({name}_{activation}({target}[j]) - {target}[j])"
            lines.append(f"    for (j = 0; j < {n_out}; j++) {target}[j] += {mixed};")
        elif activation != "identity":
            lines.append(f"    for (j = 0; j < {n_out}; j++) {target}[j] = {name}_{activation}({target}[j]);")
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
