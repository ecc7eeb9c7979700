"""Products of bfloat16 operands: rounding, exact sums around every edge of the tiles, and training through them."""

import os
import platform
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from helpers import bits, classification, differences_by_layer, regression

import fastnn
from fastnn import reference
from fastnn.kernels import target
from fastnn.kernels.bfloat16 import PAIR_VECTORS
from fastnn.kernels.bfloat16_products import pair_columns
from fastnn.kernels.jit import COMPILED, from_python
from fastnn.kernels.layout import INNER_BLOCK
from fastnn.kernels.simd import TILE_ROWS, VECTOR_BYTES
from fastnn.parameters import BLOCK_ROWS
from fastnn.reference.rounding import round_to_bfloat16

pytestmark = pytest.mark.filterwarnings("ignore:this processor does not multiply bfloat16:UserWarning")
LANES = VECTOR_BYTES // 4


# ---- Rounding


def pair_of(*numbers):
    """The two numbers of a pair, as float32."""
    out = np.zeros(1, np.float32)
    pair = from_python(pair_columns) if COMPILED else pair_columns
    pair(out, 0, 1, np.array(numbers, np.float32), 0, 2, 1, 2)
    word = out.view(np.uint32)[0]
    return (word << np.uint32(16)).view(np.float32), (word & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (1.0, 1.0),
        (1 + 2**-8, 1.0),  # a tie goes to the even neighbour, below
        (1 + 3 * 2**-8, 1 + 2**-6),  # and above
        (1 + 2**-8 + 2**-20, 1 + 2**-7),
        (-(1 + 2**-8 + 2**-20), -(1 + 2**-7)),
        (0.0, 0.0),
        (np.inf, np.inf),
        (np.float32(3.4028e38), np.inf),  # beyond the largest bfloat16, by more than half of its last bit
    ],
)
def test_numbers_are_rounded_to_the_nearest_with_ties_to_even(value, rounded):
    assert pair_of(value, 0.5) == (rounded, 0.5)
    assert pair_of(0.5, value) == (0.5, rounded)
    assert round_to_bfloat16(np.array([value]))[0] == rounded


def test_rounding_keeps_nan():
    for word in (0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000):  # payloads that would carry into infinity or 0
        value = np.uint32(word).view(np.float32)
        first, second = pair_of(value, value)
        assert np.isnan(first)
        assert np.isnan(second)


# ---- Products: whole numbers, rounded where the operands are, have exact sums


def exact_gradients(net, X, y):
    """Gradients of a network of two layers with identity activations, the operands rounded, in float64."""
    operand = round_to_bfloat16
    (W0, W1), (b0, b1) = ([part.astype(np.float64) for part in parts] for parts in (net.weights, net.biases))
    hidden = operand(X) @ operand(W0).T + b0
    delta1 = (operand(hidden) @ operand(W1).T + b1 - y) * (2 / len(X))
    delta0 = operand(delta1) @ operand(W1)
    largest = max((abs(operand(delta1)).T @ abs(operand(hidden))).max(), (abs(operand(delta0)).T @ abs(X)).max())
    gradients = operand(delta1).T @ operand(hidden), operand(delta0).T @ X, delta1.sum(axis=0), delta0.sum(axis=0)
    return gradients, largest * len(X)


def check_exactly(sizes, n_rows, seed=0):
    rng = np.random.default_rng(seed)
    net = fastnn.Network(sizes, activation="identity", seed=0, precision="bfloat16")
    net.parameters = rng.choice([-1, 0, 0, 1], net.n_parameters)
    X, y = rng.choice([-1.0, 0, 0, 1], (n_rows, sizes[0])), rng.integers(-2, 3, (n_rows, sizes[-1])).astype(float)
    (W1, W0, b1, b0), largest = exact_gradients(net, X, y)
    assert largest < 2**24  # exact in float32
    (got0, got1), (bias0, bias1) = net.gradients(X, y)
    for got, wanted in ((got1, W1), (got0, W0), (bias1, b1), (bias0, b0)):
        np.testing.assert_array_equal(got, wanted)


POWERS = [1, 2, 4, 8, 16, 32, 64]  # numbers of rows by which every number can be divided exactly


@pytest.mark.parametrize("n_rows", POWERS)
def test_every_number_of_rows(n_rows):
    check_exactly([5, 7, 3], n_rows)


WIDTH = PAIR_VECTORS * LANES
EDGES = sorted(
    {1, 2, 3, TILE_ROWS, TILE_ROWS + 1, LANES - 1, LANES, LANES + 1, WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH + 3}
)


@pytest.mark.parametrize("size", sorted(EDGES))
@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_edge_of_the_tiles(place, size):
    sizes = [6, 5, 4]
    sizes[place] = size
    check_exactly(sizes, 8)


@pytest.mark.parametrize("inner", [2 * INNER_BLOCK - 1, 2 * INNER_BLOCK, 2 * INNER_BLOCK + 1, 4 * INNER_BLOCK + 3])
@pytest.mark.parametrize("place", [0, 1])
def test_sums_longer_than_a_block(place, inner):
    sizes = [3, 3, 2]
    sizes[place] = inner
    check_exactly(sizes, 4)


def test_more_rows_than_a_block():
    check_exactly([5, 4, 3], 4 * BLOCK_ROWS)


def test_rows_that_make_no_pairs():
    net, X, y = two_layers("bfloat16"), *regression(n_rows=7, n_inputs=4, n_outputs=2)
    compare_gradients(net, X, y)


# ---- Against the reference, which rounds the same operands


def two_layers(precision, **options):
    return fastnn.Network([4, 33, 17, 2], activation="tanh", seed=0, precision=precision, **options)


def compare_gradients(net, X, y):
    twin = reference.Network(net.weights, net.biases, net.activation, net.loss_name, net.precision)
    for got, wanted in zip(net.gradients(X, y), twin.gradients(X, y), strict=True):
        for ours, theirs in zip(got, wanted, strict=True):
            # sums in another order round a few activations to the other neighbour, 2^-8 away
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3 * abs(theirs).max())
            assert np.median(abs(ours - theirs)) < 1e-5 * abs(theirs).max()


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_gradients_are_those_of_the_reference(activation):
    net = fastnn.Network([4, 33, 17, 2], activation=activation, seed=0, precision="bfloat16")
    compare_gradients(net, *regression(n_rows=40, n_inputs=4, n_outputs=2))


def test_gradients_are_near_the_differences_of_the_loss():
    net, (X, y) = two_layers("bfloat16"), regression(n_rows=40, n_inputs=4, n_outputs=2)
    exact = fastnn.Network([4, 33, 17, 2], activation="tanh", dtype="float64", seed=0)
    exact.parameters = net.parameters
    differences = differences_by_layer(lambda: exact.loss(X, y), exact)
    for got, wanted in zip(
        (*net.gradients(X, y)[0], *net.gradients(X, y)[1]), (*differences[0], *differences[1]), strict=True
    ):
        # three operands in a row are rounded by at most 2^-9 each, and errors of many terms cancel
        assert np.linalg.norm(got - wanted) < 0.01 * np.linalg.norm(wanted)


def test_float32_networks_do_not_round():
    X, y = regression(n_rows=40, n_inputs=4, n_outputs=2)
    plain, named = two_layers(None), two_layers("float32")
    assert bits(*plain.gradients(X, y)[0]) == bits(*named.gradients(X, y)[0])
    assert bits(*plain.gradients(X, y)[0]) != bits(*two_layers("bfloat16").gradients(X, y)[0])


# ---- Training


WAYS = {
    "plain": {},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "clipped": {"clip_norm": 0.1},
    "max norm": {"max_norm": 0.5},
    "large batch": {"batch_size": 400},
    "dropped": {"l2": 0.01, "label_smoothing": 0.1},
}


@pytest.mark.parametrize("way", WAYS)
def test_training_follows_the_rounded_steps_for_any_number_of_threads(way):
    """A stale copy of the weights in bfloat16 would leave the trajectory that small steps of their own take."""
    X, y = classification(n_rows=500, n_classes=3)
    options = {"batch_size": 50, "learning_rate": 0.1, "progress": False, "shuffle": False} | WAYS[way]
    nets = [make_classifier(X.shape[1]) for _ in range(4)]
    for n_threads, net in zip((1, 2, 3), nets, strict=False):
        net.fit(X, y, epochs=3, n_threads=n_threads, **options)
    for _ in range(3):  # packs the weights anew at every call
        nets[3].fit(X, y, epochs=1, n_threads=1, **options)
    assert all(bits(net.parameters) == bits(nets[0].parameters) for net in nets)


def make_classifier(n_inputs, **options):
    return fastnn.Network(
        [n_inputs, 65, 34, 3], activation=["relu", "relu", "softmax"], loss="cross_entropy", seed=0,
        precision="bfloat16", **options,
    )  # fmt: skip


def test_weights_of_every_step_are_packed():
    X, y = classification(n_rows=60, n_classes=3)
    together, apart = make_classifier(X.shape[1]), make_classifier(X.shape[1])
    together.fit(X, y, epochs=1, batch_size=20, learning_rate=0.5, shuffle=False, progress=False)
    for start in range(0, 60, 20):
        apart.step(X[start : start + 20], y[start : start + 20], 0.5)
    assert bits(together.parameters) == bits(apart.parameters)


def test_sparse_rows_keep_the_first_layer_in_float32():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = classification(n_rows=60, n_classes=3)
    by_sparse, by_dense = make_classifier(X.shape[1]), make_classifier(X.shape[1])
    by_sparse.fit(sparse.csr_array(X), y, epochs=2, validation_data=(X, y), progress=False)
    by_dense.fit(X, y, epochs=2, progress=False)
    np.testing.assert_allclose(by_sparse.parameters, by_dense.parameters, atol=0.02)
    assert bits(by_sparse.parameters) != bits(by_dense.parameters)


def test_learned_input_scales_are_trained():
    X, y = classification(n_rows=60, n_classes=3)
    net = make_classifier(X.shape[1], learned_input_scale=True)
    net.fit(X, y, epochs=2, optimizer="adam", progress=False)
    assert (net.input_scales != 1).all()


def test_predictions_and_losses_are_those_of_float32():
    X, y = classification(n_rows=60, n_classes=3)
    net = make_classifier(X.shape[1])
    net.fit(X, y, epochs=2, progress=False)
    plain = fastnn.Network(net.sizes, activation=net.activation, loss="cross_entropy", seed=0)
    plain.parameters = net.parameters
    assert bits(net.predict(X)) == bits(plain.predict(X))
    assert net.loss(X, y) == plain.loss(X, y)
    assert bits(net.input_gradients(X, y)) == bits(plain.input_gradients(X, y))


# ---- The option


def test_precision_is_saved_copied_and_shown(tmp_path):
    net = two_layers("bfloat16")
    net.save(tmp_path / "net.safetensors")
    assert fastnn.load(tmp_path / "net.safetensors").precision == "bfloat16"
    assert net.copy().precision == "bfloat16"
    assert "precision='bfloat16'" in repr(net)
    assert two_layers(None).precision == "float32"


def test_a_checkpoint_resumes_to_the_same_bits(tmp_path):
    X, y = classification(n_rows=60, n_classes=3)
    whole, parts = make_classifier(X.shape[1]), make_classifier(X.shape[1])
    options = {"optimizer": "adam", "batch_size": 16, "progress": False}
    whole.fit(X, y, epochs=4, **options)
    parts.fit(X, y, epochs=2, checkpoint=tmp_path, **options)
    resumed = make_classifier(X.shape[1])
    resumed.fit(X, y, epochs=4, checkpoint=tmp_path, resume=True, **options)
    assert bits(resumed.parameters) == bits(whole.parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, "precision must be None, 'float32' as the dtype, or 'bfloat16'; got 'float16'"),
        ({"precision": "float64"}, "precision must be None, 'float32' as the dtype"),
        ({"precision": 16}, "precision must be"),
        ({"precision": "bfloat16", "dtype": "float64"}, "precision 'bfloat16' takes parameters of dtype 'float32'"),
    ],
)
def test_other_precisions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fastnn.Network([2, 2], **options)


TILES = {"amx-tile": True, "amx-bf16": True, "avx512bf16": True}


@pytest.mark.parametrize(
    ("name", "features", "tiles", "limit", "path"),
    [
        ("avx512", TILES, True, None, "amx"),
        ("avx512", TILES, False, None, "avx512_bf16"),  # the system does not save the tiles
        ("avx512", TILES | {"amx-bf16": False}, True, None, "avx512_bf16"),
        ("avx512", TILES | {"amx-tile": False}, True, None, "avx512_bf16"),
        ("avx512", {"avx512bf16": False}, True, None, "emulated"),
        ("avx2", TILES, True, None, "emulated"),
        ("neon", {}, False, None, "emulated"),
        ("avx512", TILES, True, "amx", "amx"),
        ("avx512", TILES, True, "avx512_bf16", "avx512_bf16"),
        ("avx512", TILES, True, "emulated", "emulated"),
        ("avx2", {}, False, "amx", "emulated"),  # a limit, no promise
    ],
)
def test_the_path_is_chosen_by_processor_and_system(name, features, tiles, limit, path):
    assert target.detect_bfloat16(target.Target(name, 64, 32, True), features, tiles, limit) == path


def test_a_path_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="FASTNN_BFLOAT16 must be one of amx, avx512_bf16, emulated; got 'fast'"):
        target.detect_bfloat16(target.TARGET, {}, False, "fast")


def test_other_systems_have_no_tiles(monkeypatch):
    monkeypatch.setattr(target.sys, "platform", "darwin")
    assert not target.system_has_tiles()


def test_a_system_that_knows_no_tiles_gives_none(monkeypatch):
    monkeypatch.setattr(target, "arch_prctl", lambda request, argument: -1)
    assert not target.system_has_tiles()


def test_tiles_that_the_system_refuses_are_an_error(monkeypatch):
    monkeypatch.setattr(target, "arch_prctl", lambda request, argument: -1)
    with pytest.raises(RuntimeError, match=r"refuses the AMX tiles.*FASTNN_BFLOAT16=avx512_bf16"):
        target.request_tiles()


PROGRAM = """
import sys
import numpy as np
import fastnn

X = np.random.default_rng(0).random((100, 70), np.float32)
y = np.random.default_rng(1).integers(0, 3, 100)
net = fastnn.Network([70, 65, 34, 3], activation=["relu", "relu", "softmax"], loss="cross_entropy", seed=0,
                     precision="bfloat16")
net.fit(X, y, epochs=2, batch_size=37, learning_rate=0.1, progress=False)
np.save(sys.argv[1], net.parameters)
"""


@pytest.mark.slow
@pytest.mark.skipif(not COMPILED, reason="compares compiled code")
def test_paths_agree(tmp_path):
    """Paths sum the products of a pair in other orders, which rounds a few operands to the other neighbour."""
    found = {}
    for path in target.BFLOAT16_PATHS:
        out = tmp_path / f"{path}.npy"
        environment = os.environ | {"FASTNN_BFLOAT16": path}
        subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM, str(out)], check=True, env=environment)
        found[path] = np.load(out)
    for path in target.BFLOAT16_PATHS[:2]:
        assert np.linalg.norm(found[path] - found["emulated"]) < 1e-3 * np.linalg.norm(found["emulated"])
    if target.BFLOAT16_PATH == "amx":
        assert bits(found["amx"]) != bits(found["emulated"])  # so another path was taken


ASSEMBLY = """
import numpy as np
from numba import njit, types
from fastnn.kernels.amx import amx_product_column

array, number = types.Array(types.float32, 1, "C"), types.int64
product = njit(amx_product_column.py_func)
product.compile((array, number, number) * 4 + (number,) * 3)
print(next(iter(product.inspect_asm().values())))
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="tiles of x86")
@pytest.mark.skipif(not COMPILED, reason="looks at compiled code")
def test_code_for_tiles_can_be_generated_on_any_processor():
    environment = os.environ | {"NUMBA_CPU_NAME": "sapphirerapids"}
    environment["NUMBA_CPU_FEATURES"] = "+avx512f,+avx512bw,+avx512vl,+avx512dq,+amx-tile,+amx-bf16"
    code = subprocess.run(
        [sys.executable, "-c", ASSEMBLY], check=True, capture_output=True, text=True, env=environment
    ).stdout
    for rows in (0, 1):
        for columns in (0, 1):
            assert re.search(rf"tdpbf16ps\s+%tmm{6 + columns}, %tmm{4 + rows}, %tmm{2 * rows + columns}", code)
    assert code.index("ldtilecfg") < code.index("tilerelease")


def test_a_processor_without_such_products_is_told_of_once(monkeypatch):
    monkeypatch.setattr("fastnn.training.health.BFLOAT16_PATH", "emulated")
    X, y = regression(n_rows=8, n_inputs=4, n_outputs=2)
    with pytest.warns(fastnn.TrainingWarning, match="does not multiply bfloat16"):
        two_layers("bfloat16").fit(X, np.tanh(y), epochs=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        two_layers(None).fit(X, np.tanh(y), epochs=1, progress=False)
