"""Converters of the estimators for skl2onnx, registered when a program imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ...caller import warn_caller

LIBRARY = "skl2onnx"
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
"""Activations that skl2onnx writes."""


def register_when_imported(classifier: type, regressor: type) -> None:
    """Register converters of both classes now if skl2onnx has been imported, or as soon as it is."""
    register = partial(_register, classifier, regressor)
    if LIBRARY in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _Finder(register))


class _Finder(MetaPathFinder):
    """Find skl2onnx as others do, and call a function once it has been imported: it has no entry point."""

    def __init__(self, register: Callable[[], None]) -> None:
        self.register = register

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != LIBRARY:
            return None
        others = (finder for finder in list(sys.meta_path) if not isinstance(finder, _Finder))
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = partial(self._execute, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        execute(module)
        self.register()


def _register(classifier: type, regressor: type) -> None:
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common import shape_calculator
        from skl2onnx.operator_converters import multilayer_perceptron as converters

        shapes = shape_calculator.calculate_linear_classifier_output_shapes
        convert = partial(_convert, converters.convert_sklearn_mlp_classifier)
        options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
        update_registered_converter(classifier, "FastnnMLPClassifier", shapes, convert, options=options)
        shapes = shape_calculator.calculate_linear_regressor_output_shapes
        convert = partial(_convert, converters.convert_sklearn_mlp_regressor)
        update_registered_converter(regressor, "FastnnMLPRegressor", shapes, convert)
    except (ImportError, AttributeError) as error:
        warn_caller(f"fastnn.sklearn has no converters for this version of skl2onnx: {error}")


def _convert(convert: Callable[..., None], scope: Any, operator: Any, container: Any) -> None:
    """Convert as skl2onnx does; raise ValueError for what it would write wrongly or cannot write."""
    estimator = operator.raw_operator
    remedy = "write fastnn.from_sklearn(estimator).to_onnx(path) instead"
    if estimator.activation not in ACTIVATIONS:
        raise ValueError(f"skl2onnx writes activation {', '.join(ACTIVATIONS)}, got {estimator.activation!r}; {remedy}")
    binarizer = getattr(estimator, "_label_binarizer", None)
    if binarizer is None and estimator.n_outputs_ > 1:
        raise ValueError(f"skl2onnx writes regressors of one output, got {estimator.n_outputs_}; {remedy}")
    if binarizer is not None and binarizer.y_type_ == "multiclass" and estimator.out_activation_ != "softmax":
        raise ValueError(f"skl2onnx writes several classes for loss 'log_loss', got {estimator.loss!r}; {remedy}")
    convert(scope, operator, container)
