"""The C file, compiled by the system's compiler and run beside `predict`."""

import shutil
import subprocess

import numpy as np
import pytest
from helpers import BOTH

import fastnn

COMPILER = shutil.which("gcc") or shutil.which("cc")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2"]
MAIN = """
#include <stdio.h>
int main(void) {
    NUMBER inputs[NET_INPUTS], outputs[NET_OUTPUTS];
    while (fread(inputs, sizeof inputs, 1, stdin) == 1) {
        int best = net_classify(inputs);
        net_predict(inputs, outputs);
        fwrite(outputs, sizeof outputs, 1, stdout);
        fwrite(&best, sizeof best, 1, stdout);
    }
    return 0;
}
"""
HIDDEN = [
    "identity", "step", "sigmoid", "tanh", "arctan", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "selu",
    "mish", "softsign", "hard_sigmoid", "exponential",
]  # fmt: skip
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler here")


def run(net, X, folder, standard="c99"):
    """Outputs and classes of the compiled file."""
    path = folder / "net.c"
    net.to_c(path)
    number = "float" if net.dtype == np.float32 else "double"
    path.write_text(path.read_text() + MAIN.replace("NUMBER", number))
    command = [COMPILER, f"-std={standard}", *STRICT, str(path), "-o", str(folder / "net"), "-lm"]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run([folder / "net"], input=X.astype(net.dtype).tobytes(), capture_output=True, check=True)
    kind = np.dtype([("outputs", net.dtype, net.sizes[-1]), ("best", np.int32)])
    found = np.frombuffer(done.stdout, kind)
    return found["outputs"].reshape(len(X), -1), found["best"]


def inputs(n_in, rows=1000, seed=0):
    """Mostly usual numbers; some rows so large that exponentials saturate."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, n_in)) * np.where(np.arange(rows) % 10 == 0, 30.0, 1.0)[:, None]


@BOTH
@pytest.mark.parametrize("activation", HIDDEN)
def test_a_thousand_outputs_are_those_of_predict(activation, dtype, tmp_path):
    net = fastnn.Network([6, 9, 4], activation=[activation, "tanh"], dtype=dtype, seed=3, input_scale=0.25)
    X = inputs(6)
    with np.errstate(all="ignore"):
        wanted = net.predict(X.astype(dtype))
    found, best = run(net, X, tmp_path)
    # sums of 9 products in another rounding, and a C library within 2 ulp: some 20 eps of numbers of at most 1; z of
    # the exponential's layer are up to e^5 as large, and so is what tanh makes of their rounding
    assert np.abs(found - wanted).max() <= (200 if activation in ("exponential", "step") else 40) * np.finfo(dtype).eps
    clear = np.sort(wanted, axis=1)[:, -1] - np.sort(wanted, axis=1)[:, -2] > 1e-4
    assert (best[clear] == net.classify(X.astype(dtype))[clear]).all()


@pytest.mark.parametrize("outputs", [(3, "softmax", "cross_entropy"), (1, "sigmoid", "squared_error")])
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_probabilities_and_classes(outputs, standard, tmp_path):
    n_out, name, loss = outputs
    net = fastnn.Network([5, 8, n_out], activation=["relu", name], loss=loss, seed=1)
    X = 40 * inputs(5)
    found, best = run(net, X, tmp_path, standard)
    wanted = net.predict(X.astype("float32"))
    assert np.isfinite(found).all()
    assert np.abs(found - wanted).max() < 2e-4  # z of some thousands, of which float32 has 1e-4
    sure = np.abs(wanted - 0.5).min(axis=1) > 1e-3
    assert (best[sure] == net.classify(X.astype("float32"))[sure]).all()


@pytest.mark.parametrize("sizes", [(4, 3), (2, 1), (3, 50, 2, 40, 1)])
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_any_depth(sizes, scale, tmp_path):
    net = fastnn.Network(sizes, seed=0, input_scale=scale)
    found, _ = run(net, inputs(sizes[0], 50), tmp_path)
    assert np.abs(found - net.predict(inputs(sizes[0], 50).astype("float32"))).max() < 1e-6


EMBEDDED = {
    "learned activations": {"learned_activation": True},
    "embedded numbers": {"embedding": fastnn.PeriodicEmbedding((4, 1), n_frequencies=5, deviation=2.0)},
    "categories": {"category_embedding": fastnn.CategoryEmbedding((3, 5), (2, 0), n_outputs=4)},
    "one number for each category": {"category_embedding": fastnn.CategoryEmbedding((3, 5), (2, 0), n_outputs=1)},
    "all": {
        "learned_activation": True,
        "learned_input_scale": True,
        "embedding": fastnn.PeriodicEmbedding((1, 3), n_frequencies=7, n_outputs=2),
        "category_embedding": fastnn.CategoryEmbedding((3, 5), (2, 0), n_outputs=4),
    },
}


@BOTH
@pytest.mark.parametrize("sizes", [(5, 3), (5, 9, 6, 3)])
@pytest.mark.parametrize("kind", EMBEDDED.values(), ids=EMBEDDED)
def test_embeddings_and_learned_activations(kind, sizes, dtype, tmp_path):
    names = [*["mish", "identity", "selu"][: len(sizes) - 2], "identity"]
    net = fastnn.Network(sizes, activation=names, dtype=dtype, seed=3, **kind)
    rng = np.random.default_rng(0)
    net.parameters = net.parameters + 0.1 * rng.normal(size=net.n_parameters)
    X = rng.normal(size=(200, 5))
    X[:, 0], X[:, 2] = rng.integers(-1, 5, 200), rng.integers(-1, 3, 200)
    found, _ = run(net, X, tmp_path)
    assert np.abs(found - net.predict(X.astype(dtype))).max() < 100 * np.finfo(dtype).eps


MORE = {
    "embedding": {"embedding": fastnn.PeriodicEmbedding((3, 1), n_frequencies=5, n_outputs=2, deviation=0.5)},
    "activation": {"learned_activation": True},
    "all": {
        "embedding": fastnn.PeriodicEmbedding(n_frequencies=3, n_outputs=4), "learned_activation": True,
        "learned_input_scale": True, "input_scale": 0.5,
    },
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("options", MORE.values(), ids=MORE)
def test_embeddings_learned_activations_and_input_scales(options, dtype, tmp_path):
    rng = np.random.default_rng(0)
    net = fastnn.Network([4, 9, 7, 3], activation=["mish", "selu", "identity"], dtype=dtype, seed=0, **options)
    net.parameters = net.parameters + 0.3 * rng.normal(size=net.n_parameters)
    X = rng.normal(size=(200, 4)).astype(dtype)
    found, _ = run(net, X, tmp_path)
    # sums of 20 products in another rounding, three layers deep
    assert np.abs(found - net.predict(X)).max() <= 200 * np.finfo(dtype).eps * np.abs(found).max()


def test_numbers_are_written_exactly(tmp_path):
    net = fastnn.Network([4, 2], activation="identity", dtype="float32", seed=0)
    net.weights[0][:] = [[0.1, 1e-42, -0.0, 3.0], [1e30, 1 / 3, 16777217.0, -2.5]]
    found, _ = run(net, np.eye(4), tmp_path)
    assert np.array_equal(found, net.weights[0].T)


def test_names_are_written_and_the_prefix_can_be_chosen(tmp_path):
    net = fastnn.Network([2, 2], seed=0)
    net.class_names = ('a "quoted"', "b\\??/")
    path = tmp_path / "7 gates.c"
    net.to_c(path)
    assert "void net_7_gates_predict(" in path.read_text()
    assert (
        subprocess.run([COMPILER, "-std=c99", *STRICT, "-c", path, "-o", tmp_path / "o"], check=False).returncode == 0
    )
    net.to_c(path, name="gate")
    assert "int gate_classify(" in path.read_text()
    with pytest.raises(ValueError, match="name must be an identifier"):
        net.to_c(path, name="a gate")


@pytest.mark.parametrize(
    "names", [("ä", "\U0001f600"), ("a\nb", "\x01\x7f\x85"), ("trigraph ??/", "\u2028\ud800"), (3, 5), (False, True)]
)
def test_class_names_of_any_type_become_c_strings(names, tmp_path):
    net = fastnn.Network([2, 2], seed=0)
    net.class_names = names
    net.to_c(tmp_path / "net.c")
    main = '#include <stdio.h>\nint main(void) { printf("%s\\n%s", net_class_names[0], net_class_names[1]); return 0; }'
    (tmp_path / "net.c").write_text((tmp_path / "net.c").read_text() + main)
    command = [COMPILER, "-std=c99", *STRICT, str(tmp_path / "net.c"), "-o", str(tmp_path / "net"), "-lm"]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    assert compiled.returncode == 0, compiled.stderr
    printed = subprocess.run([tmp_path / "net"], capture_output=True, check=True).stdout
    assert printed == "\n".join(map(str, names)).encode("utf-8", "surrogatepass")


def test_the_code_allocates_nothing(tmp_path):
    net = fastnn.Network([2, 3, 2], seed=0)
    net.to_c(tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    assert "alloc" not in text.replace("allocation", "")
    assert [line for line in text.splitlines() if line.startswith("#include")] == ["#include <math.h>"]


def test_the_file_says_that_it_does_not_contain_the_scaler(tmp_path):
    net = fastnn.Network([2, 2], seed=0)
    net.to_c(tmp_path / "plain.c")
    net.scaler = fastnn.preprocessing.StandardScaler().fit([[0.0, 1.0], [2.0, 5.0]])
    net.to_c(tmp_path / "scaled.c")
    found = ["those after the network's scaler" in (tmp_path / name).read_text() for name in ("plain.c", "scaled.c")]
    assert found == [False, True]


def test_a_network_that_cannot_be_exported_says_why(tmp_path):
    fastnn.register_activation("cubed", lambda z: z**3, lambda z: 3 * z**2)
    with pytest.raises(ValueError, match="'cubed' is a registered one"):
        fastnn.Network([2, 2], activation="cubed", seed=0).to_c(tmp_path / "net.c")
    net = fastnn.Network([2, 2], seed=0)
    net.weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        net.to_c(tmp_path / "net.c")
    assert not list(tmp_path.iterdir())
