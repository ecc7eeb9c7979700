"""The textbook's networks against plain NumPy ones of the same interface."""

import copy
import importlib.util
import io
import json
import pickle
import random
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.compat.textbook import network, network2

PROGRAMS = Path(__file__).parent / "programs"
CLOSE = {"rtol": 1e-9, "atol": 1e-12}  # hundreds of steps in float64, each within a few 1e-16


def plain(name):
    found = importlib.util.spec_from_file_location(f"plain_{name}", PROGRAMS / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


def examples(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(5, 1)), np.eye(3)[:, [rng.integers(3)]]) for _ in range(n)]


def labelled(n=30):
    return [(x, int(y.argmax())) for x, y in examples(n, seed=1)]


def pair(kind, sizes=(5, 4, 3), **arguments):
    nets = []
    for module in (plain(kind), {"network": network, "network2": network2}[kind]):
        np.random.seed(5)
        nets.append(module.Network(list(sizes), **arguments))
    return nets


def assert_same(theirs, mine):
    for a, b in zip(theirs.weights + theirs.biases, mine.weights + mine.biases, strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b, **CLOSE)


@pytest.mark.parametrize("kind", ["network", "network2"])
def test_the_first_weights_are_the_books_draws(kind):
    theirs, mine = pair(kind)
    assert all((a == b).all() for a, b in zip(theirs.weights + theirs.biases, mine.weights + mine.biases, strict=True))


@pytest.mark.parametrize("kind", ["network", "network2"])
@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 7, 6, 3)])
def test_the_slopes_of_one_example(kind, sizes):
    theirs, mine = pair(kind, sizes)
    for found, wanted in zip(mine.backprop(*examples()[0]), theirs.backprop(*examples()[0]), strict=True):
        assert all(a.shape == b.shape and np.allclose(a, b, **CLOSE) for a, b in zip(found, wanted, strict=True))


def test_one_hand_worked_step():
    # one neuron, weight 1 and bias 0, input 0, wanted 0: a = 1/2, delta = 1/2 * 1/4
    net = network.Network([1, 1])
    net.weights, net.biases = [np.array([[1.0]])], [np.array([[0.0]])]
    net.update_mini_batch([(np.array([[0.0]]), np.array([[0.0]]))], 8.0)
    assert net.biases[0].tolist() == [[-1.0]]
    assert net.weights[0].tolist() == [[1.0]]


@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_training_and_what_it_prints(size):
    outcome = []
    for net in pair("network"):
        random.seed(9)
        data = examples()
        with redirect_stdout(io.StringIO()) as text:
            net.SGD(data, 3, size, 2.0, test_data=labelled())
            net.SGD(data, 1, size, 2.0)
        outcome.append((net, text.getvalue(), [x.tolist() for x, _ in data], random.random()))
    assert_same(outcome[0][0], outcome[1][0])
    assert outcome[0][1:] == outcome[1][1:]  # the text, the list as it was left, the next draw


@pytest.mark.parametrize("cost", ["CrossEntropyCost", "QuadraticCost"])
@pytest.mark.parametrize("lmbda", [0.0, 3.0])
def test_the_four_lists(cost, lmbda):
    outcome = []
    for module in (plain("network2"), network2):
        np.random.seed(1)
        random.seed(2)
        net = module.Network([5, 4, 10], cost=getattr(module, cost))
        data = [(x, network2.vectorized_result(int(y.argmax()))) for x, y in examples()]
        flags = {f"monitor_{what}_{of}": True for what in ("training", "evaluation") for of in ("cost", "accuracy")}
        with redirect_stdout(io.StringIO()) as text:
            lists = net.SGD(data, 4, 6, 0.7, lmbda=lmbda, evaluation_data=labelled(), **flags)
        outcome.append((lists, text.getvalue().splitlines()))
    assert all(np.allclose(a, b, **CLOSE) for a, b in zip(outcome[0][0], outcome[1][0], strict=True))
    assert [line.split(":")[0] for line in outcome[0][1]] == [line.split(":")[0] for line in outcome[1][1]]


def test_what_is_not_monitored_is_empty():
    with redirect_stdout(io.StringIO()):
        assert network2.Network([5, 3]).SGD(examples(), 1, 10, 0.1) == ([], [], [], [])


def test_weights_that_a_user_assigns_count():
    theirs, mine = pair("network")
    for net in (theirs, mine):
        net.feedforward(np.ones((5, 1)))
        net.weights = [2 * w for w in net.weights]
        net.biases[0][1] = 7
    assert np.allclose(theirs.feedforward(np.ones((5, 1))), mine.feedforward(np.ones((5, 1))), **CLOSE)


def test_old_lists_keep_their_numbers():
    net = network.Network([5, 3])
    kept, numbers = net.weights, net.weights[0].copy()
    with redirect_stdout(io.StringIO()):
        net.SGD(examples(), 1, 10, 1.0)
    assert (kept[0] == numbers).all()
    assert not np.allclose(net.weights[0], numbers)


def test_several_columns_at_once():
    theirs, mine = pair("network")
    a = np.random.default_rng(0).normal(size=(5, 8))
    assert np.allclose(theirs.feedforward(a), mine.feedforward(a), **CLOSE)


def subclass(base):
    class Cubic(base):
        def cost_derivative(self, output_activations, y):
            return (output_activations - y) ** 3

    return Cubic


def test_a_cost_of_ones_own_is_heard():
    outcome = []
    for module in (plain("network"), network):
        np.random.seed(0)
        random.seed(0)
        net = subclass(module.Network)([5, 4, 6, 3])
        with redirect_stdout(io.StringIO()):
            net.SGD(examples(), 2, 5, 1.0)
        outcome.append(net)
    assert_same(*outcome)


class Absolute:
    @staticmethod
    def fn(a, y):
        return np.abs(a - y).sum()

    @staticmethod
    def delta(z, a, y):
        return np.sign(a - y) * a * (1 - a)


def test_a_cost_class_of_ones_own_is_heard():
    outcome = []
    for net in pair("network2", (5, 4, 6, 3), cost=Absolute):
        random.seed(0)
        with redirect_stdout(io.StringIO()):
            net.SGD(examples(), 2, 5, 0.5, lmbda=1.0)
        outcome.append(net)
    assert_same(*outcome)
    assert outcome[0].total_cost(examples(), 0.5) == pytest.approx(outcome[1].total_cost(examples(), 0.5))


def test_saturated_outputs_cost_what_they_cost_there():
    mine = network2.Network([5, 3])
    mine.weights = [1e6 * w for w in mine.weights]
    with np.errstate(all="ignore"):
        wanted = plain("network2").Network.total_cost(mine, examples(), 0.0)
    assert mine.total_cost(examples(), 0.0) == pytest.approx(wanted)


def test_files_go_both_ways(tmp_path):
    theirs, mine = pair("network2")
    mine.save(tmp_path / "mine.json")
    theirs.save(tmp_path / "theirs.json")
    assert json.loads((tmp_path / "mine.json").read_text()) == json.loads((tmp_path / "theirs.json").read_text())
    again = network2.load(tmp_path / "theirs.json")
    assert_same(theirs, again)
    assert again.cost is network2.CrossEntropyCost
    plain("network2").load(tmp_path / "mine.json")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"sizes": [2, 1], "weights": [[[1]]], "biases": [[[0]]], "cost": "CrossEntropyCost"}',
     '{"sizes": [1, 1], "weights": [[[1]]], "biases": [[[0]]], "cost": "system"}',
     '{"sizes": [], "weights": [], "biases": [], "cost": "QuadraticCost"}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_says_so(tmp_path, content):
    (tmp_path / "net.json").write_text(content)
    with pytest.raises(fastnn.FileFormatError, match=r"net\.json"):
        network2.load(tmp_path / "net.json")


@pytest.mark.parametrize("kind", ["QuadraticCost", "CrossEntropyCost"])
def test_the_cost_classes_have_the_books_numbers(kind):
    z = np.array([[-1.0], [0.0], [2.0]])
    a, y = 1 / (1 + np.exp(-z)), np.array([[0.0], [1.0], [0.5]])
    theirs, mine = (getattr(module, kind) for module in (plain("network2"), network2))
    assert mine.fn(a, y) == pytest.approx(theirs.fn(a, y), rel=1e-14)
    np.testing.assert_allclose(mine.delta(z, a, y), theirs.delta(z, a, y), rtol=1e-14)
    assert (network.Network([5, 3]).cost_derivative(a, y) == a - y).all()


def test_nothing_to_evaluate():
    assert network.Network([5, 3]).evaluate([]) == 0
    net = network2.Network([5, 3])
    with pytest.raises(ValueError, match="data must have at least one example"):
        net.total_cost([], 0.0)
    with pytest.raises(ValueError, match="evaluation_data must be given where it is monitored"):
        net.SGD(examples(), 1, 10, 1.0, monitor_evaluation_cost=True)


def test_a_way_forward_of_ones_own_is_heard():
    class Swapped(network.Network):
        def feedforward(self, a):
            return super().feedforward(a)[::-1]

    np.random.seed(1)
    net = Swapped([5, 3])
    expected = sum(int(np.argmax(net.feedforward(x)) == y) for x, y in labelled())
    assert net.evaluate(labelled()) == expected


def test_it_pickles_and_copies():
    net = network.Network([5, 3])
    a = net.feedforward(np.ones((5, 1)))
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert (other.feedforward(np.ones((5, 1))) == a).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.SGD([], 1, 1, 1.0), "training_data must have at least one"),
        (lambda net: net.SGD(examples(), 1, 0, 1.0), "mini_batch_size must be 1 or more"),
        (lambda net: net.SGD(examples(), -1, 1, 1.0), "epochs must be 0 or more"),
        (lambda net: net.SGD([(np.ones((4, 1)), np.ones((3, 1)))], 1, 1, 1.0), r"inputs must be columns \(5, 1\)"),
        (lambda net: net.SGD([(np.ones((5, 1)), np.ones((2, 1)))], 1, 1, 1.0), r"outputs wanted must be columns \(3"),
        (lambda net: net.SGD([*examples(1), (np.ones((4, 1)), np.ones((3, 1)))], 1, 1, 1.0), "columns .* all alike"),
        (lambda net: net.update_mini_batch([], 1.0), "training data must have at least one"),
        (lambda net: net.feedforward(np.ones(5)), r"a must have shape \(5, 1\)"),
        (lambda net: net.SGD([(np.full((5, 1), np.nan), np.ones((3, 1)))], 1, 1, 1.0), "must hold finite numbers"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(network.Network([5, 3]))


@pytest.mark.slow
def test_a_program_runs_unchanged_but_for_the_import(tmp_path, monkeypatch):
    text = (PROGRAMS / "textbook_digits.py").read_text(encoding="utf-8")
    changed = text.replace(
        "import network\nimport network2\n", "from fastnn.compat.textbook import network, network2\n"
    )
    assert changed != text
    (tmp_path / "program.py").write_text(changed, encoding="utf-8")
    monkeypatch.syspath_prepend(str(PROGRAMS))
    with redirect_stdout(io.StringIO()) as theirs_text:
        theirs = runpy.run_path(str(PROGRAMS / "textbook_digits.py"))["main"]()
    with redirect_stdout(io.StringIO()) as mine_text:
        mine = runpy.run_path(str(tmp_path / "program.py"))["main"]()
    assert len(theirs) == len(mine) > 20
    assert all(np.allclose(a, b, rtol=1e-7, atol=1e-10) for a, b in zip(theirs, mine, strict=True))
    assert len(theirs_text.getvalue().splitlines()) == len(mine_text.getvalue().splitlines())
