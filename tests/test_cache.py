"""The store of compiled kernels: private, never stale, and no error whatever becomes of it."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config

import fastnn
from fastnn.kernels import cache
from fastnn.kernels.jit import COMPILED

compiled_only = pytest.mark.skipif(not COMPILED, reason="without compilation nothing is kept")
posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders of other users are a matter of POSIX")

CHILD = """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import fastnn
    net = fastnn.Network([3, 2], seed=0)
    if %(fit)d:
        net.fit([[1.0, 2.0, 3.0]] * 4, [0, 1, 1, 0], epochs=2, learning_rate=0.1)
    numbers = net.predict([[1.0, 2.0, 3.0]])
print(numbers.tobytes().hex(), *[str(warning.message)[:40].replace(" ", "_") for warning in seen])
"""
DROP_FROM_BOUNDING_SET, OVERRIDE_PERMISSIONS, READ_ANYTHING = 24, 1, 2


def unprivileged():
    """In a child: the superuser's right to write everywhere is given up."""
    if os.getuid() == 0:
        library = ctypes.CDLL(None)
        for right in (OVERRIDE_PERMISSIONS, READ_ANYTHING):
            if library.prctl(DROP_FROM_BOUNDING_SET, right, 0, 0, 0) != 0:
                os._exit(77)


def start(folder=None, before=None, fit=False, **settings):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME")
    }
    environment |= {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)} | settings
    if folder is not None:
        environment["FASTNN_CACHE_DIR"] = str(folder)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD % {"fit": fit}], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, preexec_fn=before,
    )  # fmt: skip


def run(*given, **settings):
    child = start(*given, **settings)
    out, error = child.communicate(timeout=300)
    if child.returncode == 77:
        pytest.skip("this system does not let the test give up its rights")
    assert child.returncode == 0, error
    numbers, *warnings = out.split()
    return numbers, warnings


@pytest.fixture(scope="module")
def right():
    """What the child prints with the cache of this test run."""
    return run(cache.default_folder())[0]


@pytest.fixture(scope="module")
def fitted():
    """What the child prints that also trains."""
    return run(cache.default_folder(), fit=True)[0]


@pytest.fixture(scope="module")
def kept(right, tmp_path_factory):
    """A cache that one child filled."""
    folder = tmp_path_factory.mktemp("filled") / "kernels"
    assert run(folder) == (right, [])
    return folder


def no_room():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


@compiled_only
@posix
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read-only", "no home", "another's", "full", "a file"])
def test_without_a_folder_it_works_and_says_so_once(kind, right, fitted, tmp_path):
    folder, before, settings = tmp_path / "kernels", unprivileged, {}
    folder.mkdir()
    if kind == "read-only":
        folder.chmod(0o555)
    elif kind == "no home":
        folder, settings = None, {"HOME": str(tmp_path / "nowhere" / "at all")}
        (tmp_path / "nowhere").mkdir(mode=0o555)
    elif kind == "another's":
        if os.getuid() != 0:
            pytest.skip("only the superuser can make a folder that is another's")
        folder = tmp_path / "kernels"
        inner = folder / cache.code_key()
        inner.mkdir(mode=0o777)
        inner.chmod(0o777)
        os.chown(inner, 12345, 12345)
    elif kind == "full":
        before = no_room
    else:
        folder = tmp_path / "kernels" / "file"
        folder.write_text("not a folder")
    fit = kind in ("read-only", "full")  # which compiles much without a cache
    numbers, warnings = run(folder, before, fit=fit, **settings)
    assert numbers == (fitted if fit else right)
    assert len(warnings) == 1
    assert warnings[0].startswith("fastnn_could_not_keep" if kind == "full" else "fastnn_cannot_keep")


@compiled_only
@posix
@pytest.mark.slow
def test_an_installation_that_cannot_be_written_is_left_as_it_is(right, tmp_path):
    package = tmp_path / "site-packages" / "fastnn"
    shutil.copytree(Path(fastnn.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(package.rglob("*"))
    for path in [package.parent, package, *before]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    settings = {"PYTHONPATH": os.pathsep.join([str(package.parent), *filter(None, sys.path)])}
    assert run(tmp_path / "kernels", unprivileged, **settings) == (right, [])
    assert sorted(package.rglob("*")) == before
    assert list((tmp_path / "kernels").rglob("*.kernel"))


@compiled_only
@posix
@pytest.mark.slow
def test_what_another_user_put_into_the_folder_is_not_run(right, kept, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only the superuser can make files that are another's")
    shutil.copytree(kept, tmp_path / "kernels")
    files = sorted((tmp_path / "kernels").rglob("*.kernel"))
    for path in files:
        os.chown(path, 12345, 12345)
    assert run(tmp_path / "kernels") == (right, [])
    assert {path.stat().st_uid for path in files} == {os.getuid()}


@compiled_only
def test_kept_kernels_load_without_what_only_compiling_needs(right):
    code = (
        "import sys, fastnn; fastnn.Network([3, 2], seed=0).predict([[1.0, 2.0, 3.0]]); "
        "print([name for name in ('numba.np.arraymath', 'scipy.linalg') if name in sys.modules])"
    )
    settings = os.environ | {
        "FASTNN_CACHE_DIR": str(cache.default_folder()),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=settings, timeout=300, check=True
    )
    assert found.stdout.strip() == "[]"


def test_a_file_is_sound_in_its_place_alone(tmp_path):
    place = tmp_path / "key" / "a.kernel"
    found = cache.checksum(place, b"code")
    others = [place.with_name("b.kernel"), tmp_path / "other" / "a.kernel"]
    assert found == cache.checksum(tmp_path / "moved" / "key" / "a.kernel", b"code")
    assert found not in [cache.checksum(path, b"code") for path in others] + [cache.checksum(place, b"codes")]


@compiled_only
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "another kernel's"])
def test_damaged_files_are_compiled_anew(damage, right, kept, tmp_path):
    shutil.copytree(kept, tmp_path / "kernels")
    files = sorted((tmp_path / "kernels").rglob("*.kernel"))
    assert len(files) > 3
    contents = [path.read_bytes() for path in files]
    for number, (path, content) in enumerate(zip(files, contents, strict=True)):
        if damage == "empty":
            path.write_bytes(b"")
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "garbage":
            path.write_bytes(content[:100] + bytes(50) + content[150:])
        else:
            path.write_bytes(contents[number - 1])
    assert run(tmp_path / "kernels") == (right, [])
    again = [path.read_bytes() for path in files]
    assert [content[:32] for content in again] == [
        cache.checksum(path, content[32:]) for path, content in zip(files, again, strict=True)
    ]


@compiled_only
@pytest.mark.slow
def test_cold_processes_at_once_have_the_same_results(right, tmp_path):
    children = [start(tmp_path / "kernels") for _ in range(int(os.environ.get("FASTNN_COLD", "3")))]
    for child in children:
        out, error = child.communicate(timeout=900)
        assert (child.returncode, out.split()) == (0, [right]), error
    assert not list((tmp_path / "kernels").rglob("writing-*"))


@posix
def test_the_folder_is_private(tmp_path):
    folder = tmp_path / "kernels"
    cache.prepare(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    cache.prepare(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("platform", "settings", "parts"),
    [
        ("win32", {"LOCALAPPDATA": "data"}, ("data",)),
        ("win32", {}, ("home", "AppData", "Local")),
        ("darwin", {}, ("home", "Library", "Caches")),
        ("linux", {}, ("home", ".cache")),
        ("linux", {"XDG_CACHE_HOME": "caches"}, ("caches",)),
    ],
)
def test_the_folder_is_where_the_system_keeps_caches(platform, settings, parts, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    monkeypatch.setattr(cache.sys, "platform", platform)
    for name in ("FASTNN_CACHE_DIR", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert cache.default_folder() == Path(*parts, "fastnn", "kernels")


def test_where_users_have_no_numbers_the_folder_is_made_all_the_same(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "getuid", raising=False)
    cache.prepare(tmp_path / "kernels")
    assert (tmp_path / "kernels").is_dir()


def test_a_kernel_that_cannot_be_written_is_a_warning(monkeypatch, tmp_path):
    class Compiled:
        def _reduce(self):
            return ("code",)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "folder_in_use", lambda: tmp_path)
    monkeypatch.setattr(cache.KernelCache, "gave_up", False)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.warns(RuntimeWarning, match="could not keep a compiled kernel .*No space left"):
        cache.KernelCache(test_versions_are_in_the_key).save_overload("signature", Compiled())
    cache.KernelCache(test_versions_are_in_the_key).save_overload("another", Compiled())  # without a second warning
    assert not list(tmp_path.iterdir())


@pytest.fixture
def key(monkeypatch, tmp_path):
    """The key of a copy of the kernels, computed anew at each call."""
    copied = tmp_path / "kernels"
    shutil.copytree(Path(cache.__file__).parent, copied)
    monkeypatch.setattr(cache, "__file__", str(copied / "cache.py"))
    monkeypatch.setattr(cache, "sources", cache.sources.__wrapped__)
    return cache.code_key


def test_every_source_is_in_the_key_wherever_it_is(key, tmp_path):
    inner = tmp_path / "kernels" / "inner" / "deeper"
    inner.mkdir(parents=True)
    (inner / "some.py").write_text("A = 1\n")
    before = key()
    assert key() == before
    sources = sorted((tmp_path / "kernels").rglob("*.py"))
    assert {inner / "some.py", tmp_path / "kernels" / "layout.py"} < set(sources)
    for source in sources:
        text = source.read_text()
        source.write_text(text + "# changed\n")
        assert key() != before, source.name
        source.write_text(text)
    assert key() == before
    (inner / "some.py").rename(inner.parent / "some.py")
    assert key() != before


def test_the_check_of_calls_is_in_the_key(key, monkeypatch):
    before = key()
    monkeypatch.setattr(cache, "DEBUG_KERNELS", True)
    assert key() != before


SETTINGS = [
    "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "ENABLE_AVX", "CPU_NAME", "CPU_FEATURES",
    "DISABLE_INTEL_SVML", "DEBUGINFO_DEFAULT", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS", "DEBUG_NRT", "NRT_STATS",
    "EXTEND_VARIABLE_LIFETIMES", "PARFOR_MAX_TUPLE_SIZE", "USING_SVML", "SOME_SETTING_TO_COME",
]  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_the_code_is_in_the_key(name, key, monkeypatch):
    before = key()
    monkeypatch.setattr(config, name, "another", raising=False)
    assert key() != before


@pytest.mark.parametrize("name", ["NUMBA_NUM_THREADS", "THREADING_LAYER", "CACHE_DIR", "COLOR_SCHEME"])
def test_a_setting_of_something_else_compiles_nothing_anew(name, key, monkeypatch):
    before = key()
    monkeypatch.setattr(config, name, "another")
    assert key() == before


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_versions_are_in_the_key(package, key, monkeypatch):
    before = key()
    monkeypatch.setattr(getattr(cache, package), "__version__", "0.0")
    assert key() != before


def test_the_processor_is_in_the_key(key, monkeypatch):
    from numba.core.registry import cpu_target

    before = key()
    kind = type(cpu_target.target_context.codegen())
    monkeypatch.setattr(kind, "magic_tuple", lambda self: ("x86_64", "another", "+avx2"))
    assert key() != before


@compiled_only
def test_a_second_call_compiles_nothing():
    code = """
import numpy as np, fastnn
from fastnn.kernels import kernel_table, predict, train_loop
kept = [*kernel_table.every_kernel()]
kept += [train_loop.train, train_loop.train_steps, predict.predict, predict.predict_few, predict.predict_rows]
counts = lambda: [len(dispatcher.overloads) for dispatcher in kept]
def use(sizes, n, kind):
    net = fastnn.Network(sizes, seed=0)
    X, y = np.ones((n, sizes[0]), kind), np.zeros((n, sizes[-1]))
    net.fit(X, y, epochs=2, batch_size=4, learning_rate=0.1, n_threads=1)
    net.fit(np.asfortranarray(X), y, epochs=1, learning_rate=0.1, n_threads=1, sample_weight=np.ones(n))
    net.predict(X), net.predict(X[:1]), net.loss(X, y), net.gradients(X, y), net.step(X, y, 0.1)
use([3, 2], 10, "float32")
before = counts()
others = [([5, 7, 3], 40, "float32"), ([3, 2], 10, "uint8"), ([2, 2, 2, 1], 9, "float64"), ([9, 4], 3, "?")]
for sizes, n, kind in others:
    use(sizes, n, kind)
assert counts() == before, (before, counts())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr
