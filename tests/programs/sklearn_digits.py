"""Handwritten digits with scikit-learn: scaling, a grid search, probabilities, a regression beside it."""

import warnings

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    results = {}

    pipeline = make_pipeline(MinMaxScaler(), MLPClassifier(random_state=1, max_iter=15))
    grid = GridSearchCV(
        pipeline,
        {"mlpclassifier__hidden_layer_sizes": [(8,), (32,)], "mlpclassifier__alpha": [1e-4, 1e-1]},
        cv=3,
    ).fit(X_train, y_train)
    results["best"] = str(grid.best_params_)
    results["grid scores"] = grid.cv_results_["mean_test_score"]
    results["accuracy"] = accuracy_score(y_test, grid.predict(X_test))
    results["log loss"] = log_loss(y_test, grid.predict_proba(X_test))

    early = MLPClassifier(
        (20,), early_stopping=True, solver="sgd", learning_rate="adaptive", random_state=2, max_iter=30
    )
    results["cross validation"] = cross_val_score(early, X_train / 16, y_train, cv=3)
    calibrated = CalibratedClassifierCV(MLPClassifier((10,), random_state=0, max_iter=10), cv=2)
    results["calibrated"] = calibrated.fit(X_train / 16, y_train).predict_proba(X_test / 16)

    stream = MLPClassifier((16,), random_state=3)
    for start in range(0, len(X_train), 200):
        stream.partial_fit(X_train[start : start + 200] / 16, y_train[start : start + 200], classes=np.arange(10))
    results["stream"] = stream.predict_proba(X_test / 16)

    ink = X.sum(axis=1)
    scaled = StandardScaler().fit_transform(X)
    for solver in ("adam", "lbfgs"):
        model = MLPRegressor(hidden_layer_sizes=(10,), solver=solver, random_state=0, max_iter=40)
        model.fit(scaled[:1200], ink[:1200] / 100)
        results[f"ink, {solver}"] = r2_score(ink[1200:] / 100, model.predict(scaled[1200:]))
    return results


if __name__ == "__main__":
    for name, value in main().items():
        print(name, value)
