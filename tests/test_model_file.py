"""The model file: everything comes back, nothing unsound comes in, and a write that fails leaves the old file."""

import json
import os
import pickle
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
from helpers import BOTH
from safetensors.numpy import load_file, save_file

import fastnn
from fastnn.errors import FileFormatError
from fastnn.io import model_file
from fastnn.preprocessing import MinMaxScaler, StandardScaler

LABELS = np.array([0, 1, 1, 0, 1])


def rows():
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def trained(dtype="float32"):
    net = fastnn.Network(
        [3, 4, 2],
        activation=["relu", "softmax"],
        loss="cross_entropy",
        dtype=dtype,
        seed=(1 << 63) - 1,
        input_scale=1 / 255,
    )
    net.column_names, net.class_names = ("length", "width", "größe"), ("no", "yes")
    net.fit(rows(), LABELS, epochs=3, batch_size=2, learning_rate=0.3)
    return net


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(path):
    trained().save(path)
    return path


# ---- Everything comes back


@BOTH
def test_a_network_is_restored_to_the_last_bit(dtype, path):
    net = trained(dtype)
    net.save(path)
    again = fastnn.load(path)
    assert again.parameters.tobytes() == net.parameters.tobytes()
    assert again.predict(rows()).tobytes() == net.predict(rows()).tobytes()


@BOTH
def test_the_description_of_a_network_is_restored(dtype, path):
    net = trained(dtype)
    net.save(path)
    again = fastnn.load(path)
    names = ("sizes", "activation", "loss_name", "dtype", "seed", "input_scale")
    names += ("epochs_trained", "column_names", "class_names")
    assert [getattr(again, name) for name in names] == [getattr(net, name) for name in names]


def test_the_state_of_the_optimizer_is_kept_by_checkpoints_and_pickles_alone(path, tmp_path):
    """As `Network.save` says: `fit` starts the optimizer anew on a network that is loaded."""

    def train(net, epochs, **given):
        net.fit(rows(), LABELS, epochs=epochs, optimizer="adam", learning_rate=0.01, **given)
        return net.parameters.tobytes()

    net, resumed = trained(), trained()
    train(net, 3)
    train(resumed, 3, checkpoint=tmp_path / "run")
    net.save(path)
    loaded, pickled = fastnn.load(path), pickle.loads(pickle.dumps(net))
    assert loaded.training_state.optimizer is None
    anew = net.copy()
    anew.training_state.optimizer = None
    goes_on = train(net, 2)
    assert train(pickled, 2) == goes_on
    assert train(trained(), 5, checkpoint=tmp_path / "run", resume=True) == goes_on
    assert train(loaded, 2) == train(anew, 2) != goes_on


@BOTH
def test_a_loaded_network_trains_on_as_the_saved_one_would(dtype, path):
    net = trained(dtype)
    net.save(path)
    again = fastnn.load(path)
    for each in (net, again):
        each.fit(rows(), LABELS, epochs=3, batch_size=2, learning_rate=lambda epoch: 0.1 / (1 + epoch))
    assert again.parameters.tobytes() == net.parameters.tobytes()
    assert again.epochs_trained == 6


def test_a_network_without_names_or_scaler_is_restored(path):
    fastnn.Network([2, 1], seed=0).save(path)
    again = fastnn.load(path)
    assert (again.scaler, again.column_names, again.class_names) == (None, None, None)


def test_a_standard_scaler_is_restored(path):
    net = fastnn.Network([3, 1], seed=0)
    net.scaler = StandardScaler().fit(rows())
    net.save(path)
    assert model_file.read(path).scaler.transform(rows()).tobytes() == net.scaler.transform(rows()).tobytes()


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler((-1.0, 1.0))])
def test_a_file_with_a_scaler_is_refused_by_load_and_read_by_load_model(path, scaler):
    net = trained("float64")
    net.scaler = scaler.fit(rows() / 3)
    net.save(path)
    with pytest.raises(FileFormatError, match=r"fastnn\.load_model\(path\) applies it"):
        fastnn.load(path)
    model = fastnn.load_model(path)
    expected = net.predict(net.scaler.transform(rows()))
    np.testing.assert_allclose(model.predict_proba(rows()), expected, rtol=1e-6)
    assert model.predict(rows()).tolist() == [net.class_names[label] for label in expected.argmax(axis=1)]
    assert model.network.parameters.tobytes() == net.parameters.tobytes()
    assert model.encoder.column_names == net.column_names


def kinds(labels):
    return [type(label) for label in labels]


@pytest.mark.parametrize(
    ("labels", "plain", "dtype"),
    [
        (("no", "yes"), ["no", "yes"], None),
        ((0, 1), [0, 1], None),
        ((-3, 2**70), [-3, 2**70], None),
        ((False, True), [False, True], None),
        ((0.1, 2.0), [0.1, 2.0], None),
        (tuple(np.array([3, 5], "int32")), [3, 5], "int32"),
        (tuple(np.array([0, 2**64 - 1], "uint64")), [0, 2**64 - 1], "uint64"),
        (tuple(np.array([0.1, 2.0], "float32")), [float(np.float32(0.1)), 2.0], "float32"),
    ],
)
def test_class_names_keep_their_types(labels, plain, dtype, path):
    net = fastnn.Network([3, 2], seed=0)
    net.class_names = labels
    net.save(path)
    config = json.loads(header(path)[0]["__metadata__"]["fastnn"])
    assert (config["class_names"], config.get("class_dtype")) == (plain, dtype)
    assert kinds(config["class_names"]) == kinds(plain)
    again = fastnn.load(path).class_names
    assert (again, kinds(again)) == (labels, kinds(labels))


def test_numpy_scalars_among_class_names_become_python_values(path):
    net = fastnn.Network([3, 2], seed=0)
    for labels in (np.array([3, 5]), np.array([False, True]), np.array([0.5, 1.5]), np.array(["a", "b"])):
        net.class_names = tuple(labels)
        net.save(path)
        again = fastnn.load(path).class_names
        assert again == tuple(labels.tolist())
        assert kinds(again) == kinds(labels.tolist())


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path], ids=["str", "fspath", "Path"])
def test_paths_of_every_kind(kind, path):
    net = fastnn.Network([2, 1], seed=0)
    net.save(kind(path))
    assert fastnn.load(kind(path)).parameters.tobytes() == net.parameters.tobytes()


def test_a_loaded_network_is_writable_and_independent(saved):
    first, second = fastnn.load(saved), fastnn.load(saved)
    before = second.parameters.tobytes()
    first.weights[0][...] = 0
    assert second.parameters.tobytes() == before


def test_safetensors_itself_reads_plain_names(saved):
    tensors, net = load_file(saved), fastnn.load(saved)
    assert sorted(tensors) == ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"]
    for number in range(2):
        assert tensors[f"layers.{number}.weight"].tolist() == net.weights[number].tolist()
        assert tensors[f"layers.{number}.bias"].tolist() == net.biases[number].tolist()


def header(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def test_the_description_is_json_with_a_format_number(saved):
    config = json.loads(header(saved)[0]["__metadata__"]["fastnn"])
    assert config["format"] == 1
    assert (config["sizes"], config["activation"], config["epochs"]) == ([3, 4, 2], ["relu", "softmax"], 3)


# ---- Nothing unsound comes in


def rewrite(path, change_config=lambda config: config, change_tensors=lambda tensors: tensors):
    """Write the file again with another description or other tensors."""
    tensors, config = load_file(path), json.loads(header(path)[0]["__metadata__"]["fastnn"])
    config = change_config(config)
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(change_tensors(tensors), path, {"fastnn": text})


def without(key):
    return lambda mapping: {name: value for name, value in mapping.items() if name != key}


def assert_refused(path, match=None):
    with pytest.raises(fastnn.FileFormatError, match=match) as caught:
        fastnn.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        fastnn.load(path)


def test_a_directory(tmp_path):
    with pytest.raises(OSError, match=tmp_path.name):
        fastnn.load(tmp_path)


def test_a_file_cut_short_anywhere(saved):
    content = saved.read_bytes()
    for length in {0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 100, len(content) - 1}:
        saved.write_bytes(content[:length])
        assert_refused(saved)


def test_a_file_with_more_than_it_should_hold(saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    assert_refused(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 100,
        b"\xff" * 100,
        b"epoch,loss\n1,0.5\n",
        b"\x89PNG\r\n\x1a\n",
        b"PK\3\4" + bytes(60),
        b"\2" + bytes(7) + b"{}",
    ],
    ids=["zeros", "ones", "csv", "png", "zip", "empty safetensors"],
)
def test_a_file_of_something_else(content, path):
    path.write_bytes(content)
    assert_refused(path)


def test_a_safetensors_file_of_another_program(path):
    save_file({"layers.0.weight": np.zeros((2, 3), np.float32)}, path)
    assert_refused(path, "not one that fastnn wrote")


def test_a_safetensors_file_of_another_program_with_metadata(path):
    save_file({"layers.0.weight": np.zeros((2, 3), np.float32)}, path, {"format": "pt"})
    assert_refused(path, "not one that fastnn wrote")


@pytest.mark.parametrize("number", [3, 0, "1", None, 1.5, [1]])
def test_another_format(number, saved):
    rewrite(saved, lambda config: {**config, "format": number})
    assert_refused(saved, r"has format .*; this fastnn reads formats 1 and 2")


@pytest.mark.parametrize("change", [{"format": 2}, {"format": 1, "table": {}}, {"format": 2, "table": []}])
def test_the_preprocessing_of_a_table_belongs_to_format_2(change, saved):
    rewrite(saved, lambda config: {**config, **change})
    assert_refused(saved, "belongs to format 2")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"text"', "{}", "[" * 100_000], ids=lambda text: text[:8])
def test_a_description_that_is_not_json(text, saved):
    rewrite(saved, lambda config: text)
    assert_refused(saved, "damaged description")


KEYS = [
    "format",
    "sizes",
    "activation",
    "loss",
    "input_scale",
    "seed",
    "epochs",
    "scaler",
    "column_names",
    "class_names",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_description_that_lacks_a_key(key, saved):
    rewrite(saved, without(key))
    assert_refused(saved, key)


@pytest.mark.parametrize("key", ["loss_setting", "dropout"])
def test_a_description_from_before_a_key_existed(key, saved):
    before = model_file.read(saved)
    rewrite(saved, without(key))
    again = model_file.read(saved)
    assert again.spec == before.spec
    assert (again.parameters == before.parameters).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", [3, 4, 0]),
        ("sizes", [3, 4.0, 2]),
        ("sizes", "342"),
        ("sizes", None),
        ("sizes", [3, 10**30, 2]),
        ("activation", ["relu"]),
        ("activation", ["relu", "softmaximum"]),
        ("activation", [["relu"], "softmax"]),
        ("activation", {"relu": 1, "softmax": 2}),
        ("activation", None),
        ("loss", "squared_error"),  # not with softmax
        ("loss", "mystery"),
        ("loss", None),
        ("input_scale", 0),
        ("input_scale", float("nan")),
        ("input_scale", "1"),
        ("input_scale", None),
        ("seed", -1),
        ("seed", 1 << 63),
        ("seed", 1.5),
        ("seed", None),
        ("epochs", -1),
        ("epochs", 1 << 63),
        ("epochs", 2.5),
        ("epochs", None),
        ("scaler", {}),
        ("scaler", 3),
        ("scaler", {"kind": "mystery"}),
        ("scaler", {"kind": "standard", "mean": [0.0], "std": [1.0]}),  # of 1 column, not 3
        ("column_names", "abc"),
        ("column_names", ["a", "b"]),
        ("column_names", ["a", "b", 3]),
        ("class_names", "no"),
        ("class_names", [0, "yes"]),
        ("class_names", [0, True]),
        ("class_names", [0, 0.5]),
        ("class_names", [0.5, float("nan")]),
        ("class_names", [["no"], ["yes"]]),
        ("class_names", [None, None]),
        ("class_names", []),
        ("class_names", [0, 1, 2]),  # of 3 classes, not 2
        ("class_names", ["no", "yes", "perhaps"]),
        ("class_dtype", "int8"),  # of texts
        ("class_dtype", ["int8"]),
    ],
)
def test_an_invalid_description(key, value, saved):
    rewrite(saved, lambda config: {**config, key: value})
    assert_refused(saved)


@pytest.mark.parametrize(
    ("names", "dtype"),
    [
        ([0, 300], "int8"),
        ([0, 1], "uint128"),
        ([0, 1], "float32"),
        ([0, 1], "object"),
        ([0, 1], 8),
        ([0.1, 1.0], "float32"),  # which float32 has not
        ([0.5, 1e6], "float16"),
        ([False, True], "int8"),
    ],
)
def test_labels_that_their_type_cannot_hold(names, dtype, saved):
    rewrite(saved, lambda config: {**config, "class_names": names, "class_dtype": dtype})
    assert_refused(saved, "damaged description")


REGISTER = """
import math, sys, fastnn
if sys.argv[1] == "write":
    fastnn.register_activation("cubed elsewhere", lambda z: z**3, lambda z: 3 * z**2)
    fastnn.register_activation("sine elsewhere", math.sin, math.cos)
    fastnn.register_loss("sixth elsewhere", lambda a, y: (a - y) ** 6, lambda a, y: 6 * (a - y) ** 5)
    names = ["cubed elsewhere", "sine elsewhere", "cubed elsewhere"]
    net = fastnn.Network([2, 3, 3, 1], activation=names, loss="sixth elsewhere", seed=0)
    net.save("model")
    net.fit([[0.0, 1.0], [1.0, 0.0]], [0.1, 0.2], epochs=1, checkpoint=".")
"""


def test_what_is_registered_in_another_process_is_named_not_called_damaged(tmp_path):
    command = [sys.executable, "-c", REGISTER, "write"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    for name in ("model", "checkpoint.safetensors"):
        with pytest.raises(fastnn.FileFormatError) as caught:
            fastnn.load(tmp_path / name)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / name} is of a network with ")
        assert "activation 'cubed elsewhere', activation 'sine elsewhere', loss 'sixth elsewhere'" in message
        assert "call fastnn.register_activation and fastnn.register_loss first" in message
        assert "damaged" not in message
    with pytest.raises(fastnn.FileFormatError, match="is of a network with activation"):
        fastnn.Network([2, 1], seed=0).fit([[0.0, 1.0]], [0.1], epochs=1, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"activation": ["softmaximum", "softmax"]}, "activation 'softmaximum', .*register_activation first"),
        ({"loss": "mystery"}, "loss 'mystery', .*register_loss first"),
    ],
)
def test_one_unknown_function_names_the_one_to_register(config, message, saved):
    rewrite(saved, lambda found: found | config)
    assert_refused(saved, message)


def replaced(name, change):
    return lambda tensors: {**tensors, name: change(tensors[name])}


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["layers.0.weight", "layers.1.bias"])
def test_numbers_that_are_not_finite(name, number, saved):
    def spoil(tensor):
        tensor = tensor.copy()
        tensor.flat[-1] = number
        return tensor

    rewrite(saved, change_tensors=replaced(name, spoil))
    assert_refused(saved, f"{name} holds numbers that are not finite")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layers.0.weight", np.transpose),
        ("layers.0.weight", np.ravel),
        ("layers.0.weight", lambda tensor: tensor[:, :2]),
        ("layers.1.bias", lambda tensor: tensor[:, None]),
        ("layers.1.bias", lambda tensor: np.zeros(3, np.float32)),
        ("layers.1.bias", lambda tensor: np.zeros(0, np.float32)),
    ],
)
def test_tensors_of_other_shapes(name, change, saved):
    rewrite(saved, change_tensors=replaced(name, lambda tensor: np.ascontiguousarray(change(tensor))))
    assert_refused(saved, f"{name} must have shape")


def test_a_tensor_too_few(saved):
    rewrite(saved, change_tensors=without("layers.0.bias"))
    assert_refused(saved, "must hold the tensors")


def test_a_tensor_too_many(saved):
    rewrite(saved, change_tensors=lambda tensors: {**tensors, "layers.2.bias": np.zeros(1, np.float32)})
    assert_refused(saved, "must hold the tensors")


def test_no_tensors(saved):
    rewrite(saved, change_tensors=lambda tensors: {"": np.zeros(0, np.float32)})
    assert_refused(saved, "must hold the tensors")


@pytest.mark.parametrize("kind", ["float16", "int32", "int64", "bool"])
def test_tensors_of_other_dtypes(kind, saved):
    rewrite(saved, change_tensors=lambda tensors: {name: tensor.astype(kind) for name, tensor in tensors.items()})
    assert_refused(saved, "must hold F32 or F64 tensors of one kind")


def test_tensors_of_mixed_dtypes(saved):
    rewrite(saved, change_tensors=replaced("layers.1.bias", lambda tensor: tensor.astype(np.float64)))
    assert_refused(saved, "must hold F32 or F64 tensors of one kind")


def test_any_damaged_byte_of_the_header_is_refused_or_harmless(saved):
    content = saved.read_bytes()
    length = 8 + struct.unpack("<Q", content[:8])[0]
    messages = []
    for place, change in np.random.default_rng(0).integers([0, 1], [length, 256], (300, 2)).tolist():
        damaged = bytearray(content)
        damaged[place] ^= change
        saved.write_bytes(damaged)
        try:
            net = fastnn.load(saved)
        except fastnn.FileFormatError as error:
            messages.append(str(error))
        else:
            assert np.isfinite(net.predict(np.zeros((1, net.sizes[0])))).all()
    assert len(messages) > 150
    assert [message for message in messages if str(saved) not in message] == []


# ---- What is not written


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_network_that_is_not_finite_is_not_saved(number, saved):
    before = saved.read_bytes()
    net = trained()
    net.weights[0][1, 2] = number
    with pytest.raises(ValueError, match="not finite"):
        net.save(saved)
    assert saved.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("column_names", ("a", "b")),
        ("column_names", ("a", "b", 3)),
        ("class_names", ("a", "b", "c")),
        ("class_names", (0, 1, 2)),
        ("class_names", (0, "b")),
        ("class_names", (0, True)),
        ("class_names", (0.0, float("inf"))),
        ("class_names", (None, "b")),
        ("class_names", (b"a", b"b")),
        ("class_names", tuple(np.array([0, 1], "longdouble"))),
        ("class_names", "no"),
        ("scaler", MinMaxScaler()),  # not fitted
        ("scaler", MinMaxScaler().fit([[0.0], [1.0]])),  # of 1 column, not 3
        ("scaler", lambda X: X),
    ],
)
def test_a_network_that_could_not_be_loaded_is_not_saved(name, value, saved):
    before = saved.read_bytes()
    net = trained()
    setattr(net, name, value)
    with pytest.raises((ValueError, TypeError), match="scaler|fitted" if name == "scaler" else name):
        net.save(saved)
    assert saved.read_bytes() == before


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(place, saved, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    before, net = saved.read_bytes(), trained("float64")
    monkeypatch.setattr(place, fail)
    with pytest.raises(OSError, match="No space left"):
        net.save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.skipif(os.name != "posix", reason="other systems give no access to a folder")
def test_the_file_is_synced_to_the_disk_before_its_directory(saved, monkeypatch):
    brought = []

    def keep(handle):
        brought.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")

    monkeypatch.setattr("os.fsync", keep)
    trained("float32").save(saved)
    assert brought == ["file", "folder"]


def test_a_second_save_replaces_the_first(saved):
    net = trained("float64")
    net.save(saved)
    assert fastnn.load(saved).dtype == np.float64
    assert os.listdir(saved.parent) == [saved.name]


def test_a_missing_directory(tmp_path):
    with pytest.raises(FileNotFoundError):
        trained().save(tmp_path / "nowhere" / "model.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    trained().save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_the_target_of_a_link_is_replaced_not_the_link(tmp_path):
    net = fastnn.Network([2, 1], seed=0)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    net.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (fastnn.load(tmp_path / "file").parameters == net.parameters).all()


@pytest.mark.skipif(os.name != "posix", reason="rights of files are a matter of POSIX")
def test_a_private_file_stays_private(tmp_path):
    path = tmp_path / "model"
    path.touch()
    path.chmod(0o600)
    fastnn.Network([2, 1], seed=0).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes by name")
def test_special_files_are_neither_replaced_nor_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        fastnn.Network([2, 1], seed=0).save(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(OSError, match="not a regular file"):
        fastnn.load(tmp_path / "pipe")


def test_a_file_descriptor_is_not_a_path():
    reading, writing = os.pipe()
    for wrong in (reading, b"model", None):
        with pytest.raises(TypeError, match="path must be a path"):
            fastnn.load(wrong)
    os.close(reading)
    os.close(writing)


def test_an_error_names_the_path_that_was_given(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        fastnn.Network([2, 1], seed=0).save(tmp_path / "nowhere" / "a.safetensors")
    assert error.value.filename == str(tmp_path / "nowhere" / "a.safetensors")
