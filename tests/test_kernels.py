"""The kernels against exact arithmetic around every edge of the tiles and blocks, and on every kind of input.

With identity activations and small whole numbers every product and sum is exact in float32, in whatever order it is
taken: the results must then be equal, not close.
"""

import numpy as np
import pytest

import fastnn
from fastnn import reference
from fastnn.kernels import weight_gradient
from fastnn.kernels.jit import COMPILED, from_python
from fastnn.kernels.layout import COLUMNS, INNER_BLOCK, N_IN
from fastnn.kernels.simd import TILE_ROWS, TILE_VECTORS, VECTOR_BYTES
from fastnn.parameters import BLOCK_ROWS

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def lanes(dtype):
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def whole_numbers(sizes, n_rows, dtype, seed=0):
    """A network, rows, targets and weights of small whole numbers; the weights add up to a power of two."""
    rng = np.random.default_rng(seed)
    net = fastnn.Network(sizes, activation="identity", dtype=dtype, seed=0)
    net.parameters = rng.choice([-1, 0, 0, 1], net.n_parameters)
    X = rng.choice([-1, 0, 0, 1], (n_rows, sizes[0])).astype(dtype)
    y = rng.integers(-2, 3, (n_rows, sizes[-1])).astype(dtype)
    weight = np.ones(n_rows)
    weight[: (1 << n_rows.bit_length()) - n_rows] = 2
    return net, X, y, weight


def exact_gradients(net, X, y, weight):
    """Outputs and gradients in float64, and the largest number that any order of the sums can reach."""
    (W0, W1), (b0, b1) = ([part.astype(np.float64) for part in parts] for parts in (net.weights, net.biases))
    X, y, share = X.astype(np.float64), y.astype(np.float64), (weight / weight.sum())[:, None]
    hidden = X @ W0.T + b0
    output = hidden @ W1.T + b1
    delta1 = 2 * (output - y) * share
    delta0 = delta1 @ W1
    gradients = [delta0.T @ X, delta1.T @ hidden, delta0.sum(axis=0), delta1.sum(axis=0)]
    big_hidden = abs(X) @ abs(W0.T) + abs(b0)
    big_delta1 = 2 * (big_hidden @ abs(W1.T) + abs(b1) + abs(y)) * share
    big_delta0 = big_delta1 @ abs(W1)
    largest = max((big_delta1.T @ big_hidden).max(), (big_delta0.T @ abs(X)).max(), big_delta0.max())
    return output, gradients, largest * weight.sum()


def check_exactly(sizes, n_rows, dtype, seed=0):
    net, X, y, weight = whole_numbers(sizes, n_rows, dtype, seed)
    output, gradients, largest = exact_gradients(net, X, y, weight)
    assert largest < 2**24  # exact in float32, too
    np.testing.assert_array_equal(net.predict(X), output)
    got = net.gradients(X, y, sample_weight=weight)
    for name, part, wanted in zip(("W0", "W1", "b0", "b1"), (*got[0], *got[1]), gradients, strict=True):
        np.testing.assert_array_equal(part, wanted, err_msg=f"gradient of {name}")


# ---- Shapes: each dimension in turn through every edge, then many at once


def around(*edges, most):
    """1, and the numbers next to each edge."""
    near = {edge + step for edge in (0, *edges) for step in (-1, 0, 1)}
    return sorted(number for number in near if 1 <= number <= most)


ROWS = range(1, 2 * TILE_ROWS + 2)


@BOTH
@pytest.mark.parametrize("n_rows", ROWS)
def test_every_number_of_rows_to_past_two_tiles(n_rows, dtype):
    check_exactly([5, 7, 3], n_rows, dtype)


@BOTH
@pytest.mark.parametrize("n_in", range(1, 2 * TILE_ROWS + 2))
def test_every_number_of_inputs_to_past_two_tiles(n_in, dtype):
    check_exactly([n_in, 3, 2], TILE_ROWS + 1, dtype)


@BOTH
@pytest.mark.parametrize("edge", range(8))
def test_outputs_and_hidden_neurons_around_whole_vectors_and_tiles(edge, dtype):
    width = lanes(dtype)
    full = TILE_VECTORS * width
    counts = around(width, full, 2 * full, most=2 * full + 1)
    for count in counts[edge::8]:
        check_exactly([3, count, 2], TILE_ROWS + 1, dtype)
        check_exactly([2, 3, count], TILE_ROWS + 1, dtype)
        check_exactly([2, count, count], 3, dtype)


@BOTH
@pytest.mark.parametrize("n_in", around(INNER_BLOCK, 2 * INNER_BLOCK, most=2 * INNER_BLOCK + 1)[2:])
def test_inner_dimensions_around_the_blocks_they_are_cut_into(n_in, dtype):
    check_exactly([n_in, 5, 2], TILE_ROWS + 1, dtype)
    check_exactly([2, 5, n_in], TILE_ROWS + 1, dtype)


@BOTH
@pytest.mark.parametrize("n_rows", [47, 48, 49, 97, 129])
def test_more_rows_than_the_caches_are_cut_for(n_rows, dtype):
    check_exactly([3, 5, 4], n_rows, dtype)
    check_exactly([2, 5, 40], n_rows, dtype)


@BOTH
@pytest.mark.parametrize("size", [64, 128, 129])  # rows of 512 bytes are spread by a line
def test_widths_whose_rows_would_share_cache_sets(size, dtype):
    check_exactly([4, size, 3], TILE_ROWS + 1, dtype)
    check_exactly([4, 3, size], 3, dtype)
    check_exactly([size, 3, 2], 3, dtype)


@pytest.mark.parametrize("sizes", [(784, 30, 10), (13, 64, 64, 1), (5, 300, 7)], ids=str)
@pytest.mark.parametrize("team_size", [1, 2, 3, 8])
def test_threads_own_all_weights_in_even_parts(sizes, team_size):
    table = fastnn.Network(sizes, seed=0).engine.memory(1).table
    costs = np.zeros(team_size)
    for index, layer in enumerate(table):
        owned = [
            from_python(weight_gradient.owned_rows)(table, index, thread, team_size) for thread in range(team_size)
        ]
        assert [first for first, _ in owned] == [0, *(last for _, last in owned[:-1])]
        assert owned[-1][1] == layer[N_IN]
        costs += [(last - first) * layer[COLUMNS] for first, last in owned]
    # a border is moved down to a whole tile of its layer, or to a cache line of inputs: 16 of them
    assert abs(costs - costs.mean()).max() <= max(TILE_ROWS, 16) * table[:, COLUMNS].max()


@BOTH
@pytest.mark.parametrize("n_rows", [1, 2])
def test_one_row_or_two_of_every_width(n_rows, dtype):
    for width in range(1, 150, 1 if COMPILED else 11):
        check_exactly([2, width, 3], n_rows, dtype)
        check_exactly([2, 3, width], n_rows, dtype)


@BOTH
@pytest.mark.parametrize("n_rows", [63, 64, 65, 130])
@pytest.mark.parametrize("sizes", [[5, 40, 3], [3, 5, 49], [120, 40, 1], [9, 70, 40], [4, 200, 3]], ids=str)
def test_blocks_large_enough_to_be_packed(sizes, n_rows, dtype):
    check_exactly(sizes, n_rows, dtype)


@BOTH
def test_random_shapes(dtype):
    rng = np.random.default_rng(0)
    most = 2 * TILE_VECTORS * lanes(dtype) + 2
    for seed in range(40 if COMPILED else 5):
        sizes = rng.integers(1, most, 3).tolist()
        check_exactly(sizes, int(rng.integers(1, len(ROWS) + 1)), dtype, seed)


@BOTH
@pytest.mark.parametrize("sizes", [[9, 1], [1, 1, 1, 1], [17, 33, 9, 65, 10]], ids=str)
def test_other_depths_against_the_specification(sizes, dtype):
    net = fastnn.Network(sizes, activation="tanh", dtype=dtype, seed=1)
    rng = np.random.default_rng(0)
    X, y = (rng.normal(size=(11, size)).astype(dtype) for size in (sizes[0], sizes[-1]))
    double = reference.Network(
        [w.astype(np.float64) for w in net.weights], [b.astype(np.float64) for b in net.biases], net.activation
    )
    eps = np.finfo(dtype).eps  # sums of up to 65 products of numbers of about 1
    np.testing.assert_allclose(net.predict(X), double.predict(X), rtol=0, atol=20 * eps)
    got, wanted = net.gradients(X, y), double.gradients(X, y)
    for part, exact in zip((*got[0], *got[1]), (*wanted[0], *wanted[1]), strict=True):
        np.testing.assert_allclose(part, exact, rtol=0, atol=40 * eps * max(1, np.abs(exact).max()))


@BOTH
def test_the_update_subtracts_the_rate_times_the_gradient(dtype):
    net, X, y, weight = whole_numbers([17, 33, 9], 2 * TILE_ROWS + 1, dtype)
    _, gradients, largest = exact_gradients(net, X, y, weight)
    assert largest < 2**22
    before = [part.astype(np.float64) for part in (*net.weights, *net.biases)]
    net.step(X, y, 0.5, sample_weight=weight)
    for part, start, gradient in zip((*net.weights, *net.biases), before, gradients, strict=True):
        np.testing.assert_array_equal(part, start - 0.5 * gradient)


# ---- More rows than a block


@BOTH
@pytest.mark.parametrize("n_rows", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 7])
def test_gradients_of_more_rows_than_a_block(n_rows, dtype):
    check_exactly([2, 3, 1], n_rows, dtype)


@pytest.mark.parametrize("batch_size", [BLOCK_ROWS + 7, 3 * BLOCK_ROWS])
def test_fit_of_batches_of_more_rows_than_a_block(batch_size):
    n_rows = 2 * BLOCK_ROWS + 5
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 2)), rng.normal(size=(n_rows, 1))
    net = fastnn.Network([2, 3, 1], activation="tanh", dtype="float64", seed=1)
    specification = reference.Network(net.weights, net.biases, net.activation)
    options = {"epochs": 2, "batch_size": batch_size, "learning_rate": 0.1}
    history = net.fit(X, y, shuffle=False, **options)
    np.testing.assert_allclose(history["loss"], specification.train(X, y, **options), rtol=1e-12)
    for got, wanted in zip((*net.weights, *net.biases), specification.weights + specification.biases, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13)  # sums of 3,000 numbers below 1


def test_a_batch_of_several_blocks_takes_one_step_not_several():
    n_rows = BLOCK_ROWS + 3
    net, X, y, weight = whole_numbers([2, 3, 1], n_rows, "float64")
    _, gradients, _ = exact_gradients(net, X, y, weight)
    before = [part.copy() for part in (*net.weights, *net.biases)]
    net.fit(X, y, epochs=1, batch_size=n_rows, learning_rate=0.5, sample_weight=weight, shuffle=False)
    for part, start, gradient in zip((*net.weights, *net.biases), before, gradients, strict=True):
        np.testing.assert_array_equal(part, start - 0.5 * gradient)


@pytest.mark.parametrize("n_rows", [255, 256, 257, 2 * BLOCK_ROWS + 7])
def test_predict_of_more_rows_than_a_block(n_rows):
    net, X, y, weight = whole_numbers([3, 2, 2], n_rows, "float32")
    np.testing.assert_array_equal(net.predict(X), exact_gradients(net, X, y, weight)[0])


def test_loss_of_more_rows_than_a_block():
    net, X, y, weight = whole_numbers([3, 2, 2], BLOCK_ROWS + 9, "float64")
    output = exact_gradients(net, X, y, weight)[0]
    assert net.loss(X, y, sample_weight=weight) == (((output - y) ** 2).sum(axis=1) * weight).sum() / weight.sum()


# ---- Kinds and layouts of inputs

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
KINDS = ["float16", "float32", "float64", "bool", *INTEGERS]
HIDDEN = {"activation": "tanh", "seed": 2}


def numbers(kind, n_rows=7, n_columns=5):
    values = np.random.default_rng(0).integers(0, 120, (n_rows, n_columns))
    return (values % 2 if kind == "bool" else values / 7 if kind.startswith("float") else values).astype(kind)


def everything(net, X, y, batch_size=3):
    """All that a network says of these rows, as bytes."""
    trained = net.copy()
    trained.fit(X, y, epochs=2, batch_size=batch_size, learning_rate=0.1)
    parts = (net.predict(X), net.gradients(X, y, flat=True), *net.activations(X), trained.parameters)
    return [part.tobytes() for part in parts]


@BOTH
@pytest.mark.parametrize("scale", [1.0, 1 / 120])
@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_every_kind_stand_for_their_values(kind, scale, dtype):
    net = fastnn.Network([5, 4, 2], dtype=dtype, input_scale=scale, **HIDDEN)
    X = numbers(kind)
    y = np.arange(7) % 2
    assert everything(net, X, y) == everything(net, X.astype(dtype), y)


@BOTH
def test_every_finite_half_precision_number_is_read(dtype):
    X = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    X = X[np.isfinite(X)][:: 1 if COMPILED else 31, None]
    net = fastnn.Network([1, 1], activation="identity", dtype=dtype, seed=0)
    net.weights[0][0, 0] = 1
    np.testing.assert_array_equal(net.predict(X), X.astype(dtype))


@BOTH
def test_every_byte_is_read(dtype):
    X = np.arange(256, dtype=np.uint8)[:, None]
    net = fastnn.Network([1, 1], activation="identity", dtype=dtype, seed=0)
    net.weights[0][0, 0] = 1
    assert net.predict(X)[:, 0].tolist() == list(range(256))


def misaligned(X):
    raw = np.zeros(X.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(X.tobytes(), np.uint8)
    return raw[1:].view(X.dtype).reshape(X.shape)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def padded(X):
    return np.pad(X, ((2, 1), (3, 4)), constant_values=99)[2:-1, 3:-4]


LAYOUTS = {
    "fortran": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "rows reversed": lambda X: X[::-1].copy()[::-1],
    "columns reversed": lambda X: X[:, ::-1].copy()[:, ::-1],
    "both reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "inside a larger array": padded,
    "read-only": read_only,
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "byte-swapped inside": lambda X: padded(X.astype(X.dtype.newbyteorder())),
    "misaligned": misaligned,
    "misaligned rows": lambda X: misaligned(np.pad(X, ((0, 0), (0, 3))))[:, :-3],
    "nested lists": lambda X: X.tolist(),
}


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "uint8", "int32"])
@pytest.mark.parametrize("how", LAYOUTS)
def test_inputs_of_every_layout_stand_for_their_values(how, kind):
    net = fastnn.Network([5, 4, 2], dtype="float32", **HIDDEN)
    X = numbers(kind)
    laid_out = LAYOUTS[how](X)
    np.testing.assert_array_equal(laid_out, X)
    y = np.arange(7) % 2
    assert everything(net, laid_out, y) == everything(net, X, y)


@pytest.mark.parametrize("kind", ["float32", "uint8", "float64"])
def test_more_rows_than_a_block_inside_a_larger_array(kind):
    net = fastnn.Network([5, 4, 2], **HIDDEN)
    X = numbers(kind, 600)
    y = np.arange(600) % 2
    assert everything(net, padded(X), y, 150) == everything(net, X, y, 150)


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_inputs_that_share_memory_between_rows(kind):
    net = fastnn.Network([5, 4, 2], **HIDDEN)
    y = np.arange(7) % 2
    for X in (
        np.broadcast_to(numbers(kind)[:1], (7, 5)),
        np.lib.stride_tricks.sliding_window_view(numbers(kind).ravel()[:11], 5),
    ):
        assert everything(net, X, y) == everything(net, X.copy(), y)


@pytest.mark.parametrize("n_rows", [1, 7])
def test_one_column_of_a_larger_array(n_rows):
    net = fastnn.Network([1, 4, 2], **HIDDEN)
    X = numbers("float32", n_rows)[:, 2:3]
    y = np.arange(n_rows) % 2
    assert everything(net, X, y) == everything(net, X.copy(), y)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("how", [how for how in LAYOUTS if "column" not in how])
def test_labels_of_every_kind_and_layout_stand_for_their_values(how, kind):
    net = fastnn.Network([5, 4, 3], **HIDDEN)
    labels = (np.arange(7) % 3).astype(kind)
    laid_out = LAYOUTS[how](labels[:, None])
    laid_out = [label for (label,) in laid_out] if how == "nested lists" else laid_out[:, 0]
    X = numbers("float32")
    assert net.gradients(X, laid_out, flat=True).tobytes() == net.gradients(X, labels, flat=True).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", LAYOUTS)
def test_targets_of_every_kind_and_layout_stand_for_their_values(how, kind):
    net = fastnn.Network([5, 4, 3], **HIDDEN)
    X, y = numbers("float32"), numbers(kind, 7, 3)
    plain = y.astype(np.float32)
    assert net.gradients(X, LAYOUTS[how](y), flat=True).tobytes() == net.gradients(X, plain, flat=True).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weights_of_every_kind_stand_for_their_values(kind):
    net = fastnn.Network([5, 4, 3], **HIDDEN)
    X, y = numbers("float32"), np.arange(7) % 3
    weight = np.repeat(np.array([1, 0, 1, 1, 0, 0, 1]).astype(kind), 2)[::2]
    got = net.gradients(X, y, sample_weight=weight, flat=True)
    assert got.tobytes() == net.gradients(X, y, sample_weight=weight.astype(np.float32), flat=True).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_one_output_takes_numbers_of_every_kind_flat_or_in_a_column(kind):
    net = fastnn.Network([5, 4, 1], **HIDDEN)
    X, y = numbers("float32"), numbers(kind)[:, 0]
    column = net.gradients(X, y[:, None].astype(np.float32), flat=True)
    assert net.gradients(X, y, flat=True).tobytes() == column.tobytes()


# ---- Padding


@BOTH
@pytest.mark.parametrize(
    ("activation", "loss"),
    [("sigmoid", "squared_error"), (["softplus", "softmax"], "cross_entropy"), (["elu", "step"], "perceptron")],
)
@pytest.mark.parametrize("batch_size", [5, pytest.param(2000, id="several-blocks")])
def test_padding_of_the_parameters_stays_plus_zero(batch_size, activation, loss, dtype):
    n_rows = 1100 if batch_size > BLOCK_ROWS else 13
    sizes = [3, lanes(dtype) + 1, 2]
    net = fastnn.Network(sizes, activation=activation, loss=loss, dtype=dtype, seed=0)
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    net.fit(X, np.arange(n_rows) % 2, epochs=2, batch_size=batch_size, learning_rate=0.5)
    assert net.engine.buffer.size > net.n_parameters
    for part in (*net.weights, *net.biases):
        assert part.any()
        part[...] = 0
    assert not net.engine.buffer.view(np.uint8).any()
