"""`fastnn train`, `predict` and `info` on tables: what is said, how rows are held out, what is kept."""

import csv
import re

import numpy as np
import pytest

import fastnn
from fastnn.cli import main
from fastnn.cli.splits import split_rows
from fastnn.cli.table_reading import resolve_names
from fastnn.tables.columns import columns_of

pytest.importorskip("pandas")
RNG = np.random.default_rng(0)
N = 200
SHORT = ["--hidden", "4", "--epochs", "3"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


def write_csv(path, columns, rows=slice(None), header=True):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if header:
            writer.writerow(columns)
        writer.writerows(list(zip(*columns.values(), strict=True))[rows])


def people(n=N):
    age = RNG.integers(18, 80, n)
    place = RNG.choice(["north", "south", "west"], n)
    return {
        "id": [f"P-{i}" for i in range(n)],
        "age, in years": [*map(str, age[:-1]), "12O"],
        "zip code": RNG.choice(["01234", "98001"], n),
        "place": ["?" if i % 9 == 0 else text for i, text in enumerate(place)],
        "day": [f"{1 + i % 28:02d}.{1 + i // 28:02d}.2020" for i in range(n)],
        "ill": np.where(age > 50, "yes", "no"),
    }


def train(capsys, *arguments, code=0):
    assert main(["train", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_what_is_said(capsys):
    write_csv("people.csv", people())
    said = train(capsys, "people.csv", *SHORT).out
    lines = {line.split("  ")[0]: " ".join(line.split()) for line in said.splitlines()}
    assert "people.csv: separated by commas; the first row holds the names" in said
    assert lines["id"] == "id identifier left out 200 different texts in 200 rows"
    assert re.match(r"age, in years quantity [12] 1 \d+ values", lines["age, in years"])
    assert lines["zip code"].startswith("zip code category 1")
    assert lines["place"].startswith("place category 4 23 3 values")
    assert lines["day"].startswith("day date")
    assert "target 'ill': 2 classes (no, yes), because it holds texts" in said
    assert "warning: column 'age, in years', line 201: '12O' is not a number; taken as a missing value" in said
    assert "held-out rows are chosen at random, in the proportions of the classes" in said
    assert re.search(r"held-out accuracy [\d.]+% .*; always (no|yes): [\d.]+%, a linear model: [\d.]+%", said)


def test_the_epoch_that_is_kept_is_named(capsys):
    write_csv("people.csv", people())
    said = train(capsys, "people.csv", "--hidden", "4", "--epochs", "9").out
    with open("runs/people/history.csv", newline="") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert f"epoch {np.argmin(losses) + 1} was the best on the validation rows" in said
    assert np.argmin(losses) + 1 > 1


def test_the_model_keeps_where_it_comes_from(capsys):
    write_csv("people.csv", people())
    train(capsys, "people.csv", "--drop", "place", *SHORT)
    model = fastnn.load_model("runs/people/model.safetensors")
    assert model.info["fastnn"] == fastnn.__version__
    assert model.info["options"]["drop"] == ["place"]
    assert set(model.ranges) == {column.name for column in model.encoder.columns if column.kind != "category"}
    assert model.info["rows"] == {"training": 128, "validation": 32, "held out": 40}
    assert main(["info", "runs/people"]) == 0
    said = capsys.readouterr().out
    for text in (f"sha256: {model.info['sha256']}", "data: people.csv", "options drop: place", "dropped: as given"):
        assert text in said
    assert re.search(r"^date: \d{4}-\d\d-\d\dT", said, re.MULTILINE)
    assert re.search(r"^place +left out +dropped: as given", said, re.MULTILINE)


def test_a_model_of_the_command_answers_in_python_as_in_the_command(capsys):
    columns = people()
    write_csv("people.csv", columns)
    train(capsys, "people.csv", *SHORT)
    model = fastnn.load_model("runs/people/model.safetensors")
    with pytest.warns(RuntimeWarning, match="'12O' is not a number"):
        expected = model.predict(columns)
    assert main(["predict", "runs/people", "people.csv"]) == 0
    printed = capsys.readouterr()
    assert [row.split(",")[0] for row in printed.out.splitlines()[1:]] == expected.tolist()
    assert "line 201: '12O' is not a number" in printed.err


@pytest.mark.parametrize("text", ["zip code", "age, in years"])
def test_columns_are_named_exactly_as_in_the_file(text, capsys):
    write_csv("people.csv", people())
    train(capsys, "people.csv", "--categorical", text, *SHORT)
    model = fastnn.load_model("runs/people/model.safetensors")
    kinds = {column.name: column.kind for column in model.encoder.columns}
    assert kinds[text] == "category"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a, b"], ["a, b"]),
        (["c,d"], ["c", "d"]),
        (["c", "d "], ["c", "d"]),
        (["0"], ["0"]),
        (["1"], ["c"]),
        (["-1"], ["0"]),
    ],
)
def test_names_are_resolved(given, expected):
    assert resolve_names(given, ["a, b", "c", "d", "0"], "--drop") == expected


def test_a_name_that_is_none_gets_a_hint():
    with pytest.raises(ValueError, match="--drop: no column 'zipcode'; did you mean 'zip code'"):
        resolve_names(["zipcode"], ["zip code", "b"], "--drop")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 2], (1, 2)),
        ([-1, 1], (-1, 1)),
        ([1, 2, 3], (1, 2, 3)),
        (["a", "b"], ("a", "b")),
        (["01", "02"], ("01", "02")),
        (["True", "False"], ("False", "True")),
        ([0.0, 1.0], (0, 1)),
    ],
)
def test_labels_are_answered_in_their_own_type(labels, classes, capsys):
    write_csv("t.csv", {"x": RNG.normal(size=60), "z": RNG.normal(size=60), "y": [*labels * 60][:60]})
    train(capsys, "t.csv", *SHORT)
    model = fastnn.load_model("runs/t/model.safetensors")
    assert model.classes == classes
    assert set(model.predict({"x": [0.0], "z": [1.0]}).tolist()) <= set(classes)


def test_a_formatted_target_is_a_quantity(capsys):
    x = RNG.normal(size=N)
    write_csv("t.csv", {"x": x, "price": [f"${1500 + 100 * value:,.2f}" for value in x]})
    said = train(capsys, "t.csv", "--hidden", "4", "--epochs", "60").out
    assert "target 'price': a quantity" in said
    found = fastnn.load_model("runs/t/model.safetensors").predict({"x": x})
    assert found.mean() == pytest.approx(1500, rel=0.05)


class TestHeldOut:
    def test_another_file(self, capsys):
        columns = people()
        write_csv("train.csv", columns, slice(0, 150))
        write_csv("test.csv", dict(reversed(columns.items())), slice(150, 199))
        said = train(capsys, "train.csv", "--target", "ill", "--test", "test.csv", *SHORT).out
        assert "evaluated on 49 rows of test.csv" in said
        assert "train: 120 examples to train on, 49 held out" in said

    def test_another_file_whose_labels_end_in_a_full_stop(self, capsys):
        x = RNG.normal(size=60)
        write_csv("train.csv", {"a": x, "b": x, "c": ["<=50K", ">50K"] * 30}, header=False)
        write_csv("test.csv", {"a": x, "b": x, "c": ["<=50K.", ">50K."] * 30}, header=False)
        assert "evaluated on 60 rows" in train(capsys, "train.csv", "--test", "test.csv", *SHORT).out

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"x": [1.0, 2], "y": ["a", "q"]}, "line 3, column 'y': 'q' is no class of the training: a, b"),
            ({"x": [1.0, 2], "z": ["a", "b"]}, "no column 'y', the target"),
            ({"z": [1.0, 2], "y": ["a", "b"]}, "no column 'x'"),
            ({"x": [1.0, 2], "y": ["?", "?"]}, "no row has a value of the target 'y'"),
        ],
    )
    def test_another_file_that_does_not_fit(self, columns, message, capsys):
        write_csv("train.csv", {"x": RNG.normal(size=40), "y": ["a", "b"] * 20})
        write_csv("test.csv", columns)
        assert message in train(capsys, "train.csv", "--test", "test.csv", *SHORT, code=2).err

    def test_the_last_dates(self, capsys):
        columns = people()
        write_csv("people.csv", columns)
        said = train(capsys, "people.csv", "--split-by", "day", *SHORT).out
        assert "held-out rows are the last dates of 'day'" in said
        split = split_rows(None, N, 0.2, 0, ("day", columns_of(columns)["day"]))
        assert set(range(N)) == {*split.train, *split.validation, *split.held}
        days = [tuple(reversed(text.split("."))) for text in columns["day"]]
        assert max(days[i] for i in split.train) < min(days[i] for i in split.validation)
        assert max(days[i] for i in split.validation) < min(days[i] for i in split.held)

    def test_whole_groups(self, capsys):
        columns = people()
        columns["group"] = [f"g{i % 17}" for i in range(N)]
        split = split_rows(None, N, 0.2, 3, ("group", columns_of(columns)["group"]))
        parts = [{columns["group"][i] for i in rows} for rows in (split.train, split.validation, split.held)]
        assert all(parts)
        assert sum(map(len, parts)) == len(set.union(*parts))
        write_csv("people.csv", columns)
        said = train(capsys, "people.csv", "--target", "ill", "--split-by", "group", *SHORT).out
        assert "held-out rows are whole groups of 'group'" in said
        assert re.search(r"^group +split +left out +its groups are held out", said, re.MULTILINE)

    def test_the_largest_numbers_stay_together(self):
        years = np.repeat(np.arange(2000, 2010), 20)
        split = split_rows(None, N, 0.25, 0, ("year", years))
        assert set(years[split.held]) in ({2008, 2009}, {2007, 2008, 2009})
        assert len({*split.held} | {*split.train} | {*split.validation}) == N

    def test_in_the_proportions_of_the_classes(self):
        labels = np.repeat([0, 1], [180, 20])
        split = split_rows(labels, N, 0.2, 0)
        assert [labels[rows].sum() for rows in (split.held, split.validation, split.train)] == [4, 3, 13]

    def test_few_rows_are_all_trained_on(self):
        split = split_rows(None, 20, 0.2, 0)
        assert (len(split.train), len(split.validation), len(split.held)) == (16, 0, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "nothing"], "--target: no column 'nothing'"),
        (["--drop", "ill"], "--drop names 'ill', which is the target"),
        (["--split-by", "nowhere"], "--split-by: no column 'nowhere'"),
        (["--split-by", "one"], "--split-by 'one': the column has one value"),
        (["--target", "id"], "200 distinct values in 200 rows"),
        (
            ["--target", "age, in years"],
            "line 201, column 'age, in years': '12O' is not a number, and the column is the",
        ),
        (["--test", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--columns", "one"], "no column is left to learn from"),
    ],
)
def test_errors(options, message, capsys):
    write_csv("people.csv", {"one": ["x"] * N, **people()})
    assert message in train(capsys, "people.csv", *SHORT, *options, code=2).err


def test_rows_without_a_target_are_left_out_and_said(capsys):
    write_csv("t.csv", {"x": RNG.normal(size=50), "y": ["a", "b", "?", "b", "a"] * 10})
    said = train(capsys, "t.csv", *SHORT).out
    assert "10 rows without a value of 'y' left out, the first in line 4" in said


def test_predict_keeps_the_place_of_rows_in_which_all_is_missing(capsys):
    write_csv("t.csv", {"x": RNG.normal(size=50), "z": RNG.normal(size=50), "y": ["a", "b"] * 25})
    train(capsys, "t.csv", *SHORT)
    with open("rows.csv", "w") as file:
        file.write("x,z\n1,2\n,\n3,4\n")
    assert main(["predict", "runs/t", "rows.csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 3


def test_predict_names_a_lacking_column(capsys):
    write_csv("t.csv", {"x": RNG.normal(size=50), "z": RNG.normal(size=50), "y": ["a", "b"] * 25})
    train(capsys, "t.csv", *SHORT)
    write_csv("rows.csv", {"x": [1, 2], "w": [3, 4]})
    assert main(["predict", "runs/t", "rows.csv"]) == 2
    assert "rows.csv: no column 'z'; the table has 'x', 'w'" in capsys.readouterr().err


def test_unseen_categories_are_told(capsys):
    write_csv("t.csv", {"k": ["u", "v"] * 25, "z": RNG.normal(size=50), "y": ["a", "b"] * 25})
    train(capsys, "t.csv", *SHORT)
    write_csv("rows.csv", {"k": ["u", "w"], "z": [3, 4]})
    assert main(["predict", "runs/t", "rows.csv"]) == 0
    assert "column 'k', line 3: 'w' was not seen, or rarely, in training" in capsys.readouterr().err


class TestQuantiles:
    LEVELS = ("--quantiles", ".1,.9,.5")

    def write(self, target=None):
        size = RNG.uniform(0, 1, N)
        price = 100 + 50 * size * RNG.normal(size=N) if target is None else target
        write_csv("houses.csv", {"size": size, "rooms": RNG.uniform(1, 9, N), "price": price})

    def test_what_is_said_and_kept(self, capsys):
        self.write()
        said = train(capsys, "houses.csv", *self.LEVELS, *SHORT).out
        assert "target 'price': the quantiles 0.1, 0.9, 0.5 of a quantity" in said
        assert "2-4-3 (mish, identity; quantile)" in said
        assert re.search(
            r"held-out quantile loss of price: [\d.]+; quantiles of the training rows: [\d.]+; epoch", said
        )
        assert re.search(r"held-out rows below price_q0\.1: [\d.]+%, price_q0\.9: [\d.]+%, price_q0\.5: ", said)
        model = fastnn.load_model("runs/houses/model.safetensors")
        scores = model.info["scores"]["price"]
        assert set(scores) == {"network", "quantiles of the training rows", "rows below"}
        assert model.target.levels == (0.1, 0.9, 0.5)
        assert main(["info", "runs/houses"]) == 0
        assert "target    price: quantiles 0.1, 0.9, 0.5" in capsys.readouterr().out

    def test_scores_are_those_of_the_rows_held_out(self, capsys):
        self.write()
        train(capsys, "houses.csv", *self.LEVELS, *SHORT, "--test", "houses.csv")
        model = fastnn.load_model("runs/houses/model.safetensors")
        with open("houses.csv", newline="", encoding="utf-8") as file:
            rows = np.array(list(csv.reader(file))[1:], float)
        values = model.predict({"size": rows[:, 0], "rooms": rows[:, 1]})
        error = rows[:, 2:] - values
        loss = np.maximum(np.array([0.1, 0.9, 0.5]) * error, (np.array([0.1, 0.9, 0.5]) - 1) * error).mean()
        scores = model.info["scores"]["price"]
        assert scores["network"]["pinball_loss"] == pytest.approx(loss, rel=1e-5)
        assert list(scores["rows below"].values()) == pytest.approx((error < 0).mean(axis=0).tolist(), abs=0.011)

    def test_predict_has_a_column_for_each(self, capsys):
        self.write()
        train(capsys, "houses.csv", *self.LEVELS, *SHORT)
        assert main(["predict", "runs/houses", "houses.csv", "-o", "answers.csv"]) == 0
        with open("answers.csv", newline="", encoding="utf-8") as file:
            names, *rows = csv.reader(file)
        assert names == ["price_q0.1", "price_q0.9", "price_q0.5"]
        low, high, middle = np.array(rows, float).T
        assert ((low <= middle) & (middle <= high)).all()

    @pytest.mark.parametrize("levels", ["0.9", "0.1,0.9"])
    def test_a_curve_of_one_input(self, levels, capsys):
        size = RNG.uniform(0, 1, N)
        write_csv("curve.csv", {"size": size, "price": size + RNG.normal(size=N)})
        train(capsys, "curve.csv", "--quantiles", levels, *SHORT)
        assert fastnn.load_model("runs/curve/model.safetensors").predict([[0.5]]).size == levels.count(",") + 1

    def test_classes_are_refused(self, capsys):
        self.write(RNG.choice(["dear", "cheap"], N))
        said = train(capsys, "houses.csv", *self.LEVELS, code=2).err
        assert "--quantiles: the target 'price' is taken for classes, because it holds texts" in said
        assert "add --task regression" in said

    def test_several_targets_are_refused(self, capsys):
        np.savez("rows.npz", X=RNG.normal(size=(N, 2)), y=RNG.normal(size=(N, 2)))
        assert "--quantiles: for one target column, got 2" in train(capsys, "rows.npz", *self.LEVELS, code=2).err

    def test_sizes_must_end_with_the_quantiles(self, capsys):
        self.write()
        said = train(capsys, "houses.csv", *self.LEVELS, "--sizes", "2,4,1", code=2).err
        assert "end with its 3 outputs" in said
