"""Compare scores on real tables: python -m benchmarks.tabular FOLDER [--tables adult,...] [--models ...] [--json FILE].

FOLDER holds the tables as public repositories have them (`TABLES` names the files). Every model learns the same four
fifths of a table's rows, drawn by scikit-learn's `train_test_split` with the seed, classes in their proportions, and is
measured on the others: accuracy of classes, R2 of quantities. Libraries that are not installed are left out. Results
that the JSON file has already are not measured again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.peers import machine
from fastnn.sklearn import TabularClassifier, TabularRegressor


@dataclass(frozen=True)
class Table:
    """A file, its target, whether that is classes, columns to leave out, and how pandas reads it."""

    file: str
    target: str
    classes: bool
    left_out: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def read(self, folder: Path) -> tuple[pd.DataFrame, pd.Series]:
        """Return the columns to learn from, and labels 0, 1, ... or quantities."""
        frame = pd.read_csv(folder / self.file, **self.options)
        if "header" in self.options:
            frame = frame.set_axis([f"c{number}" for number in range(frame.shape[1])], axis=1)
        frame = frame.rename(columns=str.strip).drop(columns=list(self.left_out))
        if "TotalCharges" in frame:
            frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
        frame = frame.dropna(subset=[self.target]).reset_index(drop=True)
        y = frame.pop(self.target)
        return frame, pd.Series(pd.factorize(y.astype(str), sort=True)[0]) if self.classes else y.astype(float)


NAMELESS = {"header": None}
TABLES = {
    "adult": Table("adult.data", "c14", True, (), NAMELESS | {"skipinitialspace": True, "na_values": "?"}),
    "bank": Table("bank-full.csv", "deposit", True, (), {"sep": ";"}),
    "telco": Table("telco.csv", "Churn", True, ("customerID",)),
    "german": Table("german.csv", "c20", True, (), NAMELESS),
    "phoneme": Table("phoneme.csv", "c5", True, (), NAMELESS),
    "letter": Table("LetterRecognition.csv", "lettr", True),
    "penguins": Table("penguins.csv", "Species", True),
    "titanic": Table("titanic.csv", "Survived", True, ("PassengerId", "Name", "Ticket", "Cabin")),
    "abalone": Table("abalone.data", "Class", False),
    "bike": Table("SeoulBikeData.csv", "Rented Bike Count", False, ("Date",), {"encoding": "latin-1"}),
    "kc": Table("kc_house.csv", "price", False, ("id", "date")),
    "ames": Table("AmesHousing.txt", "SalePrice", False, ("Order", "PID"), {"sep": "\t"}),
}


def categories_of(X: pd.DataFrame) -> list[str]:
    """Return the columns that are no numbers."""
    return [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]


def prepared(estimator: Any, X: pd.DataFrame, classes: bool) -> Any:
    """Return an estimator behind imputation, standardisation and one-hot encoding; a target of quantities likewise."""
    categories = categories_of(X)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [n for n in X if n not in categories]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    )
    pipeline = make_pipeline(columns, estimator)
    return pipeline if classes else TransformedTargetRegressor(pipeline, transformer=StandardScaler())


def linear(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return logistic or ridge regression."""
    return prepared(LogisticRegression(max_iter=1000) if classes else Ridge(), X, classes)


def perceptron(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return scikit-learn's perceptron as it is by default, with early stopping."""
    kind = MLPClassifier if classes else MLPRegressor
    return prepared(kind(random_state=seed, early_stopping=True), X, classes)


def boosting(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return scikit-learn's boosting with early stopping."""
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return kind(categorical_features="from_dtype", early_stopping=True, random_state=seed, max_iter=1000)


def catboost(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return CatBoost."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if classes else CatBoostRegressor
    return kind(cat_features=categories_of(X), verbose=0, random_seed=seed, allow_writing_files=False)


def lightgbm(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return LightGBM."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if classes else LGBMRegressor)(random_state=seed, verbose=-1)


def realmlp(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return pytabkit's RealMLP-TD."""
    import pytabkit

    kind = pytabkit.RealMLP_TD_Classifier if classes else pytabkit.RealMLP_TD_Regressor
    return kind(device="cpu", random_state=seed, verbosity=0)


def simple_realmlp(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return pytabkit's RealMLP-TD-S."""
    import pytabkit

    kind = pytabkit.RealMLP_TD_S_Classifier if classes else pytabkit.RealMLP_TD_S_Regressor
    return kind(device="cpu", random_state=seed, verbosity=0)


def ours(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return fastnn's estimator."""
    return (TabularClassifier if classes else TabularRegressor)(random_state=seed)


def averaged(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return fastnn's estimator of five networks, whose outputs are averaged."""
    return ours(X, classes, seed).set_params(n_ensemble=5)


def rounded(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return fastnn's estimator of the simple variant with products in bfloat16."""
    return ours(X, classes, seed).set_params(precision="bfloat16")


def simple(X: pd.DataFrame, classes: bool, seed: int) -> Any:
    """Return fastnn's estimator of the simple variant."""
    return ours(X, classes, seed).set_params(variant="td_s")


MODELS: dict[str, tuple[str, Callable[[pd.DataFrame, bool, int], Any]]] = {
    "fastnn": ("fastnn", ours),
    "fastnn x5": ("fastnn", averaged),
    "fastnn bfloat16": ("fastnn", rounded),
    "fastnn td_s": ("fastnn", simple),
    "linear": ("sklearn", linear),
    "scikit-learn MLP": ("sklearn", perceptron),
    "HistGradientBoosting": ("sklearn", boosting),
    "LightGBM": ("lightgbm", lightgbm),
    "CatBoost": ("catboost", catboost),
    "RealMLP-TD": ("pytabkit", realmlp),
    "RealMLP-TD-S": ("pytabkit", simple_realmlp),
}
"""Name -> the package that it needs, and what builds it."""


def dressed(name: str, train: pd.DataFrame, test: pd.DataFrame) -> list[pd.DataFrame]:
    """Return both parts as the model wants them: missing categories as one of their own, numbers imputed if need be."""
    parts = [train.copy(), test.copy()]
    categories = categories_of(train)
    numbers = [column for column in train if column not in categories]
    if name.startswith("RealMLP"):
        for part in parts:
            part[numbers] = part[numbers].fillna(train[numbers].median())
    for column in categories:
        texts = [part[column].astype(object).fillna("missing").astype(str) for part in parts]
        known = texts[0].unique()
        if name == "HistGradientBoosting":
            known = known[:254]
        typed = name not in ("linear", "scikit-learn MLP", "CatBoost")
        for part, values in zip(parts, texts, strict=True):
            part[column] = values.where(values.isin(known)).astype(pd.CategoricalDtype(known)) if typed else values
    return parts


def measure(name: str, table: Table, X: pd.DataFrame, y: pd.Series, seed: int) -> dict[str, Any]:
    """Fit one model on one split; return its scores and seconds."""
    train, test, a, b = train_test_split(X, y, test_size=0.2, random_state=seed, stratify=y if table.classes else None)
    A, B = dressed(name, train, test)
    truth = b.to_numpy()
    model = MODELS[name][1](A, table.classes, seed)
    began = time.perf_counter()
    model.fit(A, a)
    fitted = time.perf_counter()
    answers = np.asarray(model.predict(B)).ravel()
    ended = time.perf_counter()
    found: dict[str, Any] = {"rows": len(A), "columns": A.shape[1], "model": name, "seed": seed}
    if table.classes:
        found["score"] = float((answers == truth).mean())
        p = np.clip(model.predict_proba(B), 1e-7, 1)[np.arange(len(truth)), truth]
        found["log_loss"] = float(-np.log(p).mean())
    else:
        found["score"] = float(1 - np.square(answers - truth).sum() / np.square(truth - truth.mean()).sum())
    return found | {"fit_seconds": round(fitted - began, 3), "predict_seconds": round(ended - fitted, 3)}


def installed(names: list[str]) -> list[str]:
    """Return the models whose packages are there; name the others."""
    found = [name for name in names if importlib.util.find_spec(MODELS[name][0])]
    for name in set(names) - set(found):
        print(f"{name} is left out: {MODELS[name][0]} is not installed")
    return found


def versions() -> dict[str, str]:
    """Return the versions of the libraries that may take part."""
    packages = ("fastnn", "scikit-learn", "pandas", "lightgbm", "catboost", "pytabkit", "torch")
    return {
        name: metadata.version(name) for name in packages if importlib.util.find_spec(name.replace("scikit-", "sk"))
    }


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", default="0", help="of split and model")
    parser.add_argument("--json", type=Path, help="write the results here, after every fit")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")
    content: dict[str, Any] = {"results": []}
    if arguments.json and arguments.json.exists():
        content = json.loads(arguments.json.read_text("utf-8"))
    known = {(result["table"], result["model"], result["seed"]) for result in content["results"]}
    content["machine"] = machine() | {"versions": versions()}
    models = installed(arguments.models.split(","))
    if "fastnn" in models:
        ours(pd.DataFrame(), True, 0).set_params(max_iter=9).fit(np.eye(60), np.arange(60) % 2)  # loads the kernels
    for name in arguments.tables.split(","):
        X, y = TABLES[name].read(arguments.folder)
        for seed in map(int, arguments.seeds.split(",")):
            for model in models:
                if (name, model, seed) in known:
                    continue
                result = {"table": name, "classes": TABLES[name].classes} | measure(model, TABLES[name], X, y, seed)
                print(json.dumps(result), flush=True)
                content["results"].append(result)
                if arguments.json:
                    arguments.json.parent.mkdir(parents=True, exist_ok=True)
                    arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
