"""Files of released versions stay readable. `python -m tools.keep_files X.Y.Z` adds those of a version."""

import json
import re
import shutil

import numpy as np
import pytest

import fastnn
from fastnn.io import model_file
from tools import keep_files

VERSIONS = sorted(folder.name for folder in keep_files.FOLDER.iterdir())
KEPT = [(version, name) for version in VERSIONS for name in ("scaled", "dropped", "quantile")]
# other processors multiply and add with other roundings: a few in each of some ten steps
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def expected(version):
    return json.loads((keep_files.FOLDER / version / "expected.json").read_text("utf-8"))


def test_a_release_has_files():
    released = re.fullmatch(r"\d+\.\d+\.\d+", fastnn.__version__)  # versions between two tags have more in them
    assert fastnn.__version__ in VERSIONS or not released


@pytest.mark.parametrize(("version", "name"), KEPT)
def test_a_model_file_loads_and_predicts_as_it_did(version, name):
    path = keep_files.FOLDER / version / f"{name}.safetensors"
    net = fastnn.load_model(path).network
    X, _ = keep_files.rows()
    np.testing.assert_allclose(net.predict(X), expected(version)[name], **CLOSE)
    assert net.epochs_trained == {"scaled": 3, "dropped": 2, "quantile": 1}[name]
    if name == "scaled":
        assert net.dtype == np.float64
        assert (net.column_names, net.class_names) == (("a", "b", "c"), ("first", "second", "third"))
        np.testing.assert_allclose(model_file.read(path).scaler.mean, X.mean(axis=0), rtol=1e-12)
    if name == "dropped":
        assert (net.dropout, net.input_scale) == ((0.1, 0.2, 0.3), 0.5)
    if name == "quantile":
        assert model_file.read(path).spec.loss_setting == 0.8


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_resumes_as_it_would_have(version, tmp_path):
    shutil.copytree(keep_files.FOLDER / version, tmp_path, dirs_exist_ok=True)
    X, y = keep_files.rows()
    net = keep_files.training_network()
    history = net.fit(X, y, checkpoint=tmp_path, resume=True, **keep_files.TRAINING | {"epochs": 5})
    np.testing.assert_allclose([history["loss"], history["val_loss"]], expected(version)["losses"], **CLOSE)
    np.testing.assert_allclose(net.predict(X), expected(version)["trained"], **CLOSE)
