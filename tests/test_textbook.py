"""The textbook's networks against plain NumPy ones of the same interface."""

import copy
import functools
import importlib.util
import io
import json
import pickle
import random
import runpy
import sys
import time
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
def test_the_gradient_of_one_example(kind, sizes):
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


def test_an_overridden_cost_derivative_is_followed():
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


def test_another_cost_class_is_followed():
    outcome = []
    for net in pair("network2", (5, 4, 6, 3), cost=Absolute):
        random.seed(0)
        with redirect_stdout(io.StringIO()):
            net.SGD(examples(), 2, 5, 0.5, lmbda=1.0)
        outcome.append(net)
    assert_same(*outcome)
    assert outcome[0].total_cost(examples(), 0.5) == pytest.approx(outcome[1].total_cost(examples(), 0.5))


# ---- What a program replaces: the module's functions, methods of a class or of an object, costs


def tanh(z):
    return np.tanh(z)


def tanh_prime(z):
    return 1 - np.tanh(z) ** 2


def trained(module, kind, change=lambda module, net: None, **arguments):
    """A network after two epochs and one update by hand, with what one column gives."""
    np.random.seed(0)
    random.seed(0)
    net = module.Network([5, 4, 6, 3], **arguments)
    change(module, net)
    with redirect_stdout(io.StringIO()):
        net.SGD(examples(), 2, 5, 0.3)
    more = (1.0, 40) if kind == "network2" else ()
    net.update_mini_batch(examples(7, seed=2), 0.5, *more)
    return net


def same_outcome(kind, change, **arguments):
    outcome = [trained(module, kind, change, **arguments) for module in (plain(kind), MODULES[kind])]
    assert_same(*outcome)
    x, y = examples(1, seed=3)[0]
    assert np.allclose(outcome[0].feedforward(x), outcome[1].feedforward(x), **CLOSE)
    for found, wanted in zip(outcome[1].backprop(x, y), outcome[0].backprop(x, y), strict=True):
        assert all(np.allclose(a, b, **CLOSE) for a, b in zip(found, wanted, strict=True))
    evaluate = "evaluate" if kind == "network" else "accuracy"
    assert getattr(outcome[1], evaluate)(labelled()) == getattr(outcome[0], evaluate)(labelled())
    return outcome


MODULES = {"network": network, "network2": network2}
KINDS = pytest.mark.parametrize("kind", ["network", "network2"])


@KINDS
@pytest.mark.parametrize("names", [("sigmoid", "sigmoid_prime"), ("sigmoid",), ("sigmoid_prime",)], ids="+".join)
def test_another_activation_in_the_module_is_followed(kind, names, monkeypatch):
    def change(module, net):
        for name in names:
            monkeypatch.setattr(module, name, {"sigmoid": tanh, "sigmoid_prime": tanh_prime}[name])

    with_sigmoid = trained(MODULES[kind], kind)
    followed = same_outcome(kind, change)[1]
    assert not np.allclose(followed.weights[0], with_sigmoid.weights[0])


@KINDS
def test_another_activation_is_followed_from_the_call_on(kind, monkeypatch):
    net, x = MODULES[kind].Network([5, 3]), examples()[0][0]
    before = net.feedforward(x)
    with monkeypatch.context() as patched:
        patched.setattr(MODULES[kind], "sigmoid", tanh)
        np.testing.assert_allclose(net.feedforward(x), np.tanh(net.weights[0] @ x + net.biases[0]))
        many = np.hstack([x for x, _ in examples(100)])
        np.testing.assert_allclose(net.feedforward(many), np.tanh(net.weights[0] @ many + net.biases[0]))
    np.testing.assert_array_equal(net.feedforward(x), before)


@KINDS
@pytest.mark.parametrize("place", ["class", "object", "wrapped"])
@pytest.mark.parametrize("method", ["backprop", "feedforward", "update_mini_batch"])
def test_a_replaced_method_is_followed(kind, method, place, monkeypatch):
    calls = {}

    def change(module, net):
        original = getattr(module.Network, method)
        calls[module] = 0

        def replaced(self, *arguments):
            calls[module] += 1
            result = original(self, *arguments)
            return result[::-1] if method == "feedforward" else result

        if place == "object":
            monkeypatch.setattr(net, method, functools.partial(replaced, net), raising=False)
        else:
            wrapper = functools.wraps(original)(replaced) if place == "wrapped" else replaced
            monkeypatch.setattr(module.Network, method, wrapper)

    theirs, mine = same_outcome(kind, change)
    assert len(set(calls.values())) == 1
    assert calls[MODULES[kind]] > 0
    assert type(theirs) is not type(mine)


def test_a_replaced_cost_derivative_is_followed(monkeypatch):
    def change(module, net):
        monkeypatch.setattr(module.Network, "cost_derivative", lambda self, a, y: 3 * (a - y))

    same_outcome("network", change)


@pytest.mark.parametrize("name", ["QuadraticCost", "CrossEntropyCost"])
@pytest.mark.parametrize("function", ["fn", "delta"])
def test_a_replaced_cost_function_is_followed(name, function, monkeypatch):
    replaced = {"fn": lambda a, y: 7 * np.abs(a - y).sum(), "delta": lambda z, a, y: 2 * (a - y)}[function]

    def change(module, net):
        monkeypatch.setattr(getattr(module, name), function, staticmethod(replaced))
        net.cost = getattr(module, name)

    theirs, mine = same_outcome("network2", change)
    assert mine.total_cost(examples(), 0.5) == pytest.approx(theirs.total_cost(examples(), 0.5))


def test_another_form_of_the_targets_in_the_module_is_followed(monkeypatch):
    def spread(j):
        return np.where(np.arange(3) == j, 0.9, 0.05).reshape(-1, 1)

    nets = pair("network2")
    for module in (sys.modules["plain_network2"], network2):
        monkeypatch.setattr(module, "vectorized_result", spread)
    theirs, mine = (net.total_cost(labelled(), 0.1, convert=True) for net in nets)
    assert mine == pytest.approx(theirs)


@pytest.mark.parametrize("name", ["QuadraticCost", "CrossEntropyCost"])
def test_a_cost_given_as_an_object_is_that_of_its_class(name, tmp_path):
    class Renamed(getattr(network2, name)):
        pass

    costs = [getattr(network2, name), getattr(network2, name)(), Renamed, Renamed()]
    nets = [trained(network2, "network2", cost=cost) for cost in costs]
    for net in nets[1:]:  # the kernels' bits, not NumPy's
        assert all(np.array_equal(a, b) for a, b in zip(net.weights, nets[0].weights, strict=True))
    nets[1].save(tmp_path / "net.json")
    assert network2.load(tmp_path / "net.json").cost is costs[0]


def test_an_object_with_a_cost_function_of_its_own_is_followed():
    cost = network2.QuadraticCost()
    cost.delta = Absolute.delta
    theirs, mine = (trained(module, "network2", cost=cost) for module in (plain("network2"), network2))
    assert_same(theirs, mine)


def test_a_cost_that_the_program_adds_to_the_module_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(network2, "Absolute", Absolute, raising=False)
    network2.Network([5, 3], cost=Absolute).save(tmp_path / "net.json")
    assert network2.load(tmp_path / "net.json").cost is Absolute


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
     '{"sizes": [1, true], "weights": [[[1]]], "biases": [[[0]]], "cost": "QuadraticCost"}',
     '{"sizes": [1, 1.5], "weights": [[[1]]], "biases": [[[0]]], "cost": "QuadraticCost"}',
     '{"sizes": [1, 1], "weights": [[[1]]], "biases": [[[0]]], "cost": "Network"}',
     '{"sizes": [1, 1], "weights": [[[1]]], "biases": [[[0]]], "cost": ["QuadraticCost"]}',
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


def test_an_overridden_feedforward_is_followed_by_evaluate():
    class Swapped(network.Network):
        def feedforward(self, a):
            return super().feedforward(a)[::-1]

    np.random.seed(1)
    net = Swapped([5, 3])
    expected = sum(int(np.argmax(net.feedforward(x)) == y) for x, y in labelled())
    assert net.evaluate(labelled()) == expected


# ---- Targets of another form, and early stopping


def columns(n=30):
    return examples(n, seed=1)


@pytest.mark.parametrize(
    ("tests", "error", "message"),
    [
        (columns(), ValueError, r"labels of test_data must be integers, got arrays of shape \(3, 1\)"),
        ([(x, y[:, 0]) for x, y in columns()], ValueError, r"got arrays of shape \(3,\)"),
        ([*labelled(3), columns(1)[0]], ValueError, "labels of test_data must be integers, all alike"),
        ([(x, str(y)) for x, y in labelled()], TypeError, "labels of test_data must be integers, got '"),
        ([(x, y == 1) for x, y in labelled()], TypeError, "labels of test_data must be integers, got"),
        ([(x, y + 0.5) for x, y in labelled()], TypeError, "labels of test_data must be integers, got"),
        ([(x, None) for x, y in labelled()], TypeError, "labels of test_data must be integers, got None"),
        ([(x, y + 1) for x, y in labelled()], ValueError, r"must lie in 0\.\.2, one for each output; got 3"),
        ([(x, y - 1) for x, y in labelled()], ValueError, r"must lie in 0\.\.2, one for each output; got -1"),
    ],
    ids=["columns", "rows", "mixed", "texts", "booleans", "fractions", "None", "too large", "negative"],
)
def test_labels_of_another_form_are_refused_before_the_first_epoch(tests, error, message):
    net = network.Network([5, 3])
    before = net.weights
    random.seed(4)
    state = random.getstate()
    with pytest.raises(error, match=message):
        net.evaluate(tests)
    with redirect_stdout(io.StringIO()) as text, pytest.raises(error, match=message):
        net.SGD(examples(), 1, 10, 1.0, test_data=tests)
    assert net.weights is before
    assert (text.getvalue(), random.getstate()) == ("", state)


@pytest.mark.parametrize("form", [int, float, np.int64, np.uint8, lambda y: np.array([y]), lambda y: np.array([[y]])])
def test_labels_may_be_numbers_of_any_type(form):
    theirs, mine = pair("network")
    tests = [(x, form(y)) for x, y in labelled()]
    assert mine.evaluate(tests) == mine.evaluate(labelled())
    assert mine.evaluate(tests) == theirs.evaluate(labelled())


@pytest.mark.parametrize(
    ("flags", "tests", "message"),
    [
        ({"monitor_evaluation_accuracy": True}, columns(), "labels of evaluation_data must be integers"),
        ({"monitor_evaluation_cost": True}, columns(), "labels of evaluation_data must be integers"),
        ({"monitor_training_accuracy": True}, labelled(), "outputs wanted .* must be columns"),
        ({"monitor_training_cost": True}, labelled(), "outputs wanted .* must be columns"),
    ],
)
@pytest.mark.parametrize("cost", [network2.CrossEntropyCost, Absolute])
def test_monitored_targets_of_another_form_are_refused_before_the_first_epoch(flags, tests, message, cost):
    net = network2.Network([5, 3], cost=cost)
    before, training = net.weights, next(iter(flags)).startswith("monitor_training")
    with redirect_stdout(io.StringIO()), pytest.raises(ValueError, match=message):
        net.SGD(tests if training else examples(), 1, 10, 1.0, evaluation_data=tests, **flags)
    assert net.weights is before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.accuracy(columns()), "labels of data must be integers"),
        (lambda net: net.accuracy(labelled(), convert=True), "y must be columns"),
        (lambda net: net.total_cost(columns(), 0.0, convert=True), "labels of data must be integers"),
        (lambda net: net.total_cost(labelled(), 0.0), "y must be columns"),
    ],
)
def test_the_flag_convert_must_fit_the_targets(call, message):
    with pytest.raises(ValueError, match=message):
        call(network2.Network([5, 3]))


def test_a_program_with_an_evaluation_of_its_own_may_have_other_targets():
    class Distances(network.Network):
        def evaluate(self, test_data):
            return sum(float(np.abs(self.feedforward(x) - y).sum()) for x, y in test_data)

    with redirect_stdout(io.StringIO()) as text:
        Distances([5, 3]).SGD(examples(), 1, 10, 1.0, test_data=columns())
    assert text.getvalue().startswith("Epoch 0: ")


def accuracies(net, values):
    """Let the network report these accuracies, one after the other."""
    sequence = iter(values)
    net.accuracy = lambda data, convert=False: next(sequence)


@pytest.mark.parametrize(
    ("values", "patience", "epochs"),
    [
        ([1, 2, 2, 2, 5], 2, 4),  # two epochs without a new best
        ([1, 2, 1, 3, 1, 1], 2, 6),  # each best starts the count anew
        ([0, 0, 9], 2, 2),  # an accuracy of 0 is no progress
        ([1, 1, 1, 1], 0, 4),  # 0: never
        ([3, 1], 5, 2),
    ],
)
@pytest.mark.parametrize("monitor", ["monitor_evaluation_accuracy", "monitor_training_accuracy"])
def test_early_stopping_counts_epochs_without_a_better_accuracy(values, patience, epochs, monitor):
    net = network2.Network([5, 3])
    accuracies(net, values)
    with redirect_stdout(io.StringIO()) as text:
        lists = net.SGD(
            examples(), len(values), 10, 0.1, evaluation_data=labelled(), early_stopping_n=patience, **{monitor: True}
        )
    assert lists[1] + lists[3] == values[:epochs]
    assert text.getvalue().count("training complete") == epochs


def test_early_stopping_watches_the_evaluation_data_first():
    net = network2.Network([5, 3])
    accuracies(net, [1, 9, 2, 9, 3, 9])  # training, evaluation, training, ...
    with redirect_stdout(io.StringIO()):
        lists = net.SGD(
            examples(), 3, 10, 0.1, 0.0, labelled(), False, True, False, True, 1
        )  # by position, as in the ports
    assert lists[1] == [9, 9]


def test_early_stopping_needs_an_accuracy_that_is_monitored():
    with pytest.raises(ValueError, match="early_stopping_n watches an accuracy"):
        network2.Network([5, 3]).SGD(examples(), 1, 10, 0.1, early_stopping_n=2)


@KINDS
def test_few_examples_and_many_have_the_same_gradient(kind):
    theirs, mine = pair(kind)
    more = (0.5, 30) if kind == "network2" else ()
    for count in (1, 2, 3, 30):
        for net in (theirs, mine):
            net.update_mini_batch(examples(count), 0.7, *more)
        assert_same(theirs, mine)


@KINDS
def test_flat_biases_are_columns(kind):
    mine = pair(kind)[1]
    x, y = examples()[0]
    wanted, gradient = mine.feedforward(x), mine.backprop(x, y)
    mine.biases = [b.reshape(-1) for b in mine.biases]
    np.testing.assert_allclose(mine.feedforward(x), wanted, rtol=1e-13)
    for found, expected in zip(mine.backprop(x, y), gradient, strict=True):
        assert all(np.allclose(a, b, **CLOSE) for a, b in zip(found, expected, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[784, 30, 10], [2, 3, 1]], ids=str)
@KINDS
def test_one_column_takes_no_longer_than_numpy(kind, sizes):
    nets = pair(kind, sizes)
    x, y = np.ones((sizes[0], 1)), np.ones((sizes[-1], 1))
    for method, arguments in (("feedforward", (x,)), ("backprop", (x, y))):
        best = [np.inf, np.inf]
        for _ in range(40):  # in turns, so that other programs slow both down
            for number, net in enumerate(nets):
                call = getattr(net, method)
                began = time.perf_counter()
                for _ in range(50):
                    call(*arguments)
                best[number] = min(best[number], time.perf_counter() - began)
        assert best[1] < 1.3 * best[0], method  # about 0.8 where nothing else runs


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
        (lambda net: net.feedforward(np.full((5, 1), np.nan)), "must hold finite numbers"),
        (lambda net: net.backprop(np.full((5, 1), np.nan), np.ones((3, 1))), "must hold finite numbers"),
        (lambda net: net.backprop(np.ones((5, 1)), np.full((3, 1), np.nan)), "must hold finite numbers"),
        (lambda net: net.backprop(np.ones((4, 1)), np.ones((3, 1))), r"inputs must be columns \(5, 1\)"),
        (lambda net: net.backprop(np.ones((5, 1)), 2), r"outputs wanted must be columns \(3, 1\), got numbers"),
        (lambda net: net.SGD([(np.full((5, 1), np.nan), np.ones((3, 1)))], 1, 1, 1.0), "must hold finite numbers"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(network.Network([5, 3]))


@pytest.mark.parametrize("size", [True, np.True_, 3.0, "3", None], ids=repr)
@pytest.mark.parametrize("module", [network, network2])
def test_sizes_are_integers(module, size):
    with pytest.raises(TypeError, match="sizes must hold integers"):
        module.Network([5, size])


@pytest.mark.parametrize("j", [True, np.True_, 1.0, "1", None, np.eye(3)[0]], ids=repr)
def test_a_label_is_an_integer(j):
    with pytest.raises(TypeError, match="j must be an integer"):
        network2.vectorized_result(j)


def test_a_label_lies_within_the_outputs():
    assert network2.vectorized_result(2, 3).tolist() == [[0], [0], [1]]
    for j in (3, -1):
        with pytest.raises(ValueError, match="j must be"):
            network2.vectorized_result(j, 3)


@pytest.mark.parametrize("arguments", [{"lmbda": "1"}, {"lmbda": True}, {"early_stopping_n": True}, {"eta": None}])
def test_numbers_of_sgd_are_named(arguments):
    given = {"epochs": 1, "mini_batch_size": 10, "eta": 0.1} | arguments
    with pytest.raises(TypeError, match=f"{next(iter(arguments))} must be"):
        network2.Network([5, 3]).SGD(examples(), **given)


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
