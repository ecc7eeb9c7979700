"""Permutation importance and partial dependence of networks, table models and anything that predicts."""

import numpy as np
import pytest

import fastnn
from fastnn.inspection import partial_dependence, permutation_importance
from fastnn.tables import ClassTarget, QuantityTarget, TableEncoder

N = 60
RNG = np.random.default_rng(0)
TABLE = {
    "age": RNG.uniform(20, 60, N),
    "colour": RNG.choice(["red", "green", "blue"], N),
    "noise": RNG.normal(size=N),
}
TABLE["age"][3] = np.nan
BOUGHT = np.where(np.nan_to_num(TABLE["age"], nan=40.0) > 40, "yes", "no")


def table_model(target=None):
    encoder = TableEncoder.fit(TABLE)
    target = target or ClassTarget("bought", ("no", "yes"))
    n = len(target.classes) if isinstance(target, ClassTarget) else 1
    ends = {"activation": ["tanh", "softmax"], "loss": "cross_entropy"} if n > 1 else {"activation": "identity"}
    sizes = [len(encoder.feature_names), 6, 2] if n > 1 else [len(encoder.feature_names), 1]
    return fastnn.TableModel(fastnn.Network(sizes, seed=1, **ends), encoder, target)


def price_model():
    return table_model(QuantityTarget(("price",), np.array([100.0]), np.array([20.0])))


class Estimator:
    """What is known of the model of somebody else."""

    def __init__(self, model):
        self.model = model
        if model.classes is not None:
            self.classes_ = np.array(model.classes)

    def predict(self, X):
        return self.model.predict(X)

    def predict_proba(self, X):
        return self.model.predict_proba(X)


class OnlyClasses:
    classes_ = np.array([0, 1])

    def predict(self, X):
        return (X[:, 0] > 0).astype(int)


def linear():
    net = fastnn.Network([3, 1], activation="identity", init="zeros", dtype="float64", seed=0)
    net.weights[0][0] = 2.0, -1.0, 0.0
    return net, np.random.default_rng(1).normal(size=(50, 3))


def test_importance_is_that_of_a_linear_function():
    net, X = linear()
    y = net.predict(X)[:, 0]
    found = permutation_importance(net, X, y, metric="mean_squared_error", n_repeats=2, seed=5)
    for column in range(3):
        order = np.random.default_rng([5, column, 1]).permutation(50)
        expected = np.square(net.weights[0][0, column] * (X[order, column] - X[:, column])).mean()
        assert found.values[column, 1] == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert found.score == 0
    assert found.order.tolist() == [0, 1, 2]
    assert found.names == ("column 1", "column 2", "column 3")
    assert repr(found).startswith("Importance(mean_squared_error 0; column 1: ")


def test_r2_of_quantities_is_the_default():
    net, X = linear()
    y = net.predict(X)[:, 0] + 0.5
    found = permutation_importance(net, X, y)
    assert found.metric == "r2"
    assert found.score == pytest.approx(1 - 0.25 / y.var())
    np.testing.assert_allclose(found.mean, found.values.mean(axis=1))
    np.testing.assert_allclose(found.std, found.values.std(axis=1))


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", None, lambda y, answers: (y == answers).mean()])
def test_a_table_model_is_asked_as_its_own_predict_would_be(metric):
    model = table_model()
    quick = permutation_importance(model, TABLE, BOUGHT, metric=metric)
    slow = permutation_importance(Estimator(model), TABLE, BOUGHT, metric=metric)
    np.testing.assert_array_equal(quick.values, slow.values)
    assert quick.score == slow.score
    assert quick.names == slow.names == ("age", "colour", "noise")


def test_quantities_of_a_table_are_in_their_own_units():
    model, y = price_model(), np.linspace(50, 150, N)
    quick = permutation_importance(model, TABLE, y, metric="mean_squared_error")
    slow = permutation_importance(Estimator(model), TABLE, y, metric="mean_squared_error")
    np.testing.assert_allclose(quick.values, slow.values, rtol=1e-9, atol=1e-9)
    assert quick.score == pytest.approx(np.square(model.predict(TABLE) - y).mean())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_of_other_libraries(library):
    module = pytest.importorskip(library)
    frame = module.DataFrame({name: column.tolist() for name, column in TABLE.items()})
    model = Estimator(table_model())
    expected = permutation_importance(model, TABLE, BOUGHT)
    np.testing.assert_array_equal(permutation_importance(model, frame, BOUGHT).values, expected.values)
    assert frame["noise"].to_list() == TABLE["noise"].tolist()
    found = partial_dependence(model, frame, "colour")
    np.testing.assert_array_equal(found.values, partial_dependence(model, TABLE, "colour").values)


def test_a_model_that_only_names_classes():
    X = np.random.default_rng(0).normal(size=(40, 2))
    found = permutation_importance(OnlyClasses(), X, (X[:, 0] > 0).astype(int))
    assert found.score == 1
    assert found.mean[0] > 0.2
    assert found.mean[1] == 0


@pytest.mark.parametrize(("n_outputs", "output", "loss"), [(3, "softmax", "cross_entropy"), (1, "sigmoid", None)])
def test_classes_of_a_network(n_outputs, output, loss):
    net = fastnn.Network([4, n_outputs], activation=output, loss=loss or "binary_cross_entropy", seed=0)
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    y = net.classify(X)
    assert permutation_importance(net, X, y).score == 1
    net.class_names = ("a", "b", "c")[: max(2, n_outputs)]
    named = permutation_importance(net, X, np.array(net.class_names)[y], metric="log_loss")
    outputs = net.predict(X)
    outputs = np.hstack([1 - outputs, outputs]) if n_outputs == 1 else outputs
    assert named.score == pytest.approx(-np.log(outputs[np.arange(30), y]).mean(), rel=1e-6)


def test_dependence_of_a_linear_function_is_the_function():
    net, X = linear()
    found = partial_dependence(net, X, 0, grid_size=7)
    others = (X[:, 1] * -1.0).mean()
    np.testing.assert_allclose(found.grids[0], np.linspace(*np.percentile(X[:, 0], (1, 99)), 7))
    np.testing.assert_allclose(found.values[:, 0], 2 * found.grids[0] + others)
    both = partial_dependence(net, X, [0, -1], grid_size=3)
    assert both.values.shape == (3, 3, 1)
    np.testing.assert_allclose(both.values[:, 2, 0], 2 * both.grids[0] + others)
    assert repr(both) == "PartialDependence(column 1, column 3: 3 x 3 values, 1 outputs)"


@pytest.mark.parametrize("columns", ["age", "colour", ["colour", "noise"]])
def test_dependence_of_a_table_model_is_that_of_its_predict(columns):
    model = table_model()
    quick = partial_dependence(model, TABLE, columns, grid_size=4)
    assert quick.output_names == ("no", "yes")
    table = {name: np.array(column) for name, column in TABLE.items()}
    for name, grid, levels in zip(quick.names, quick.grids, quick.levels, strict=True):
        value = grid[1] if levels is None else levels[1]
        table[name] = np.full(N, value)
    place = (1,) * len(quick.grids)
    np.testing.assert_allclose(quick.values[place], model.predict_proba(table).mean(axis=0), rtol=1e-6)


def test_dependence_names_the_levels_and_quantities():
    found = partial_dependence(price_model(), TABLE, "colour")
    assert sorted(found.levels[0]) == ["blue", "green", "red"]
    assert found.output_names == ("price",)
    assert partial_dependence(OnlyClasses(), np.eye(4), 0).grids[0].tolist() == [0, 1]


def test_a_grid_of_a_constant_and_of_a_nearly_constant_column():
    net, X = linear()
    X[:, 0] = 3.0
    assert partial_dependence(net, X, 0).grids[0].tolist() == [3]
    X = np.vstack([X] * 10)
    X[:, 0] = 0
    X[:3, 0] = 1, 2, 3
    found = partial_dependence(net, X, 0, grid_size=2)
    assert found.grids[0].tolist() == [0, 3]


def test_what_is_refused():
    net, X = linear()
    with pytest.raises(ValueError, match="y must have 50 rows, as X, got 49"):
        permutation_importance(net, X, np.zeros(49))
    with pytest.raises(ValueError, match="must not be constant"):
        permutation_importance(net, X, np.zeros(50))
    with pytest.raises(ValueError, match="'r2', 'mean_squared_error' or a function"):
        permutation_importance(net, X, X[:, 0], metric="accuracy")
    with pytest.raises(ValueError, match="classes of the model, got 'maybe'"):
        permutation_importance(table_model(), TABLE, ["maybe"] * N)
    with pytest.raises(TypeError, match="must have predict, got int"):
        permutation_importance(3, X, X[:, 0])
    with pytest.raises(ValueError, match="column must be one of column 1, column 2, column 3, or its number, got 3"):
        partial_dependence(net, X, 3)
    with pytest.raises(ValueError, match="one or two different ones"):
        partial_dependence(net, X, [1, 1])
    with pytest.raises(ValueError, match="two numbers from 0 to 100"):
        partial_dependence(net, X, 0, percentiles=(9, 1))
    with pytest.raises(ValueError, match="'age' has no value"):
        partial_dependence(table_model(), TABLE | {"age": np.full(N, np.nan)}, "age")


def test_sparse_rows_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"X\.toarray"):
        partial_dependence(linear()[0], sparse.eye(3).tocsr(), 0)


@pytest.mark.parametrize("metric", ["r2", "mean_squared_error"])
def test_targets_of_other_columns_than_the_answers_are_refused(metric):
    net = fastnn.Network([2, 3], activation="identity", loss=fastnn.losses.Quantile([0.1, 0.5, 0.9]), seed=0)
    with pytest.raises(ValueError, match="y must have the 3 columns that the model answers, got 1"):
        fastnn.inspection.permutation_importance(net, np.eye(2), [1.0, 2.0], metric=metric)
