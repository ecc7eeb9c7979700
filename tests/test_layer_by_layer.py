"""Wide layers that threads split by columns of W: the bits of every training are those of the split by examples."""

import numpy as np
import pytest
from helpers import BOTH, bits, team_of_python_threads
from scipy import sparse
from test_kernels import check_exactly

import fastnn
from fastnn import parameters
from fastnn.kernels import barrier, layout, threads, weight_gradient
from fastnn.kernels.jit import from_python
from fastnn.parameters import BLOCK_ROWS, split_wide_layers

SIZES = [6, 40, 7, 35, 3]


@pytest.fixture
def split(monkeypatch):
    """Splits every hidden layer of more than 20 neurons."""
    monkeypatch.setattr(parameters, "MIN_SPLIT_COLUMNS", 20)
    monkeypatch.setattr(parameters, "COLUMNS_PER_ROW", 0)


def table_of(sizes, **options):
    return fastnn.Network(sizes, seed=0, **options).engine.memory(1).table


def layers_split(*arguments):
    return np.flatnonzero(split_wide_layers(*arguments)[:, layout.BY_COLUMNS]).tolist()


def test_wide_hidden_layers_are_split_by_layer_and_rows():
    table = table_of([784, 512, 511, 1024, 2000])
    assert layers_split(table, 128) == [0, 1, 2]  # 511 columns in whole vectors are 512
    assert layers_split(table, 129) == [2]
    assert layers_split(table, 257) == []
    assert layers_split(table, 32, True) == [1, 2]
    assert layers_split(table_of([784, 512, 600, 2], learned_input_scale=True), 64) == [1]
    assert split_wide_layers(table, 257) is table
    assert not table[:, layout.BY_COLUMNS].any()


def test_what_is_not_split_by_columns_is_split_evenly_by_rows():
    table = split_wide_layers(table_of([100, 64, 600, 48, 10]), 8)
    columns = table[:, layout.COLUMNS]
    assert layers_split(table, 8) == [1]
    assert table[:, layout.COST].tolist() == [0, 100 * 64, 100 * 64, 100 * 64 + 600 * columns[2]]


def test_costs_leave_out_what_is_not_dealt_out_by_them():
    """Neither the first layer, whose inputs are shared in chunks, nor one that is split by columns."""
    table = split_wide_layers(table_of([300, 64, 600, 48, 10]), 8)
    assert (table[0, layout.PARTIAL_SUMS] >= 0, table[1, layout.BY_COLUMNS]) == (True, 1)
    assert table[:, layout.COST].tolist() == [0, 0, 0, 600 * table[2, layout.COLUMNS]]


@pytest.mark.parametrize("team_size", [1, 2, 3, 50])
def test_threads_own_all_columns_in_whole_vectors(team_size):
    table = split_wide_layers(table_of([9, 600, 10]), 8)
    owned = [from_python(weight_gradient.owned_part)(table, 0, 4, thread, team_size) for thread in range(team_size)]
    assert [left for _, _, left, _ in owned] == [0, *(right for _, _, _, right in owned[:-1])]
    assert owned[-1][3] == table[0, layout.COLUMNS]
    assert all((first, last) == (0, 9 if left < right else 0) for first, last, left, right in owned)
    assert all(left % (parameters.CACHE_LINE // 4) == 0 for _, _, left, _ in owned)


@BOTH
@pytest.mark.parametrize("hidden", [21, 32, 33, 65, 130])
@pytest.mark.parametrize("team_size", [1, 3])
def test_gradients_of_whole_numbers_are_exact(hidden, team_size, dtype, split, monkeypatch):
    monkeypatch.setattr(threads, "run_on_team", team_of_python_threads(team_size))
    monkeypatch.setattr(threads, "max_threads", lambda: team_size)
    check_exactly([5, hidden, 3], 11, dtype)


OPTIONS = {
    "plain": {},
    "adam": {"optimizer": "adam", "ema_decay": 0.9},
    "l1 and decay": {"l1": 0.01, "optimizer": fastnn.optimizers.AdamW(weight_decay=0.1)},
    "clipped": {"clip_norm": 0.05, "l2": 0.1},
    "clipped momentum": {"clip_norm": 0.05, "l1": 0.01, "optimizer": fastnn.optimizers.SGD(momentum=0.9)},
    "limits": {"max_norm": 0.3, "label_smoothing": 0.1, "input_noise": 0.2},
    "blocks": {"batch_size": BLOCK_ROWS + 9, "clip_norm": 0.05},
    "weighted": {"sample_weight": np.arange(300) % 3, "batch_size": 13},
    "factors": {"lr_factors": {"weights": [1.0, 0.5, 2.0, 0.1], "biases": 0.1}},
    "adagrad": {"optimizer": "adagrad"},
    "frozen": {"callbacks": [lambda net, history: net.freeze(0)], "optimizer": "rmsprop"},
}


def train(kind, options, **network):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, SIZES[0])), rng.integers(0, SIZES[-1], 300)
    net = fastnn.Network(
        SIZES, activation=["relu", "tanh", "sigmoid", "softmax"], loss="cross_entropy", seed=1, **network
    )
    given = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, "validation_data": (kind(X[:40]), y[:40])}
    history = net.fit(kind(X), y, n_threads=3, **given | options)
    return bits(net.parameters, net.gradients(kind(X), y, flat=True), *(history[name] for name in history))


@pytest.mark.parametrize("team_size", [1, 3])
@pytest.mark.parametrize(
    ("name", "kind", "network"),
    [(name, np.asarray, {}) for name in OPTIONS]
    + [
        ("plain", np.asarray, {"dropout": 0.3}),
        ("limits", np.asarray, {"dropout": 0.3, "dtype": "float64"}),
        ("clipped", np.asarray, {"learned_input_scale": True}),
        ("clipped", np.asarray, {"learned_activation": True, "dropout": 0.3}),
        ("factors", np.asarray, {"embedding": fastnn.PeriodicEmbedding((1, 0))}),
        ("plain", sparse.csr_array, {}),
        ("clipped", sparse.csr_array, {"dropout": [0.0, 0.3, 0.0, 0.3]}),
    ],
)
def test_a_training_has_the_bits_of_the_split_by_examples(name, kind, network, team_size, monkeypatch):
    by_examples = train(kind, OPTIONS[name], **network)
    split, seen = parameters.split_wide_layers, []

    def split_all(table, *arguments):
        seen.append(split(table, *arguments))
        return seen[-1]

    monkeypatch.setattr(parameters, "MIN_SPLIT_COLUMNS", 20)
    monkeypatch.setattr(parameters, "COLUMNS_PER_ROW", 0)
    monkeypatch.setattr("fastnn.training.trainer.split_wide_layers", split_all)
    monkeypatch.setattr(threads, "run_on_team", team_of_python_threads(team_size))
    monkeypatch.setattr(threads, "max_threads", lambda: team_size)
    monkeypatch.setattr(barrier, "SPINS", 3)
    assert train(kind, OPTIONS[name], **network) == by_examples
    assert all(table[2, layout.BY_COLUMNS] for table in seen)
    assert seen
