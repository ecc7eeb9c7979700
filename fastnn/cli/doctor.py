"""`fastnn doctor`: checks of versions, processor, threads and cache."""

from __future__ import annotations

import argparse
import platform
import warnings
from collections.abc import Callable
from importlib import metadata

import numpy as np

from .. import __version__, reference
from ..kernels import cache, threads
from ..kernels.jit import COMPILED
from ..kernels.target import BFLOAT16_PATH, TARGET
from ..network import Network
from ..warmup import warmup

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "safetensors", "tqdm")
OPTIONAL = {"matplotlib": "pip install fastnn[plot]", "scikit-learn": "pip install fastnn[sklearn]"}
BFLOAT16_WORDS = {
    "amx": "in AMX tiles",
    "avx512_bf16": "by vdpbf16ps",
    "emulated": "in float32 arithmetic, which is slower than float32",
}
TOLERANCE = 1e-5
"""Largest difference allowed between float32 parameters and the float64 reference after a few updates."""


class CheckFailedError(Exception):
    """A check failed; the message says what is lost, and what to do about it."""


def run(arguments: argparse.Namespace) -> int:
    """Run all checks; return 0 if everything works, else 1."""
    if arguments.warmup:
        warmup(progress=True)
    for name, version in versions().items():
        print(f"{name:14}{version}")
    all_work = True
    for name, check in CHECKS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = f"OK    {check()}"
        except CheckFailedError as error:
            result, all_work = f"LOST  {error}", False
        except Exception as error:  # any error of a check is a finding
            result, all_work = f"LOST  {type(error).__name__}: {' '.join(str(error).split())}", False
        print(f"{name:14}{result}")
    print("everything works" if all_work else "something does not work: see LOST above")
    return 0 if all_work else 1


def versions() -> dict[str, str]:
    """Return the version of Python, of fastnn and of every package that it uses."""
    result = {"fastnn": __version__, "python": f"{platform.python_version()} on {platform.platform(terse=True)}"}
    for package in (*PACKAGES, *OPTIONAL):
        try:
            result[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            result[package] = f"not installed ({OPTIONAL.get(package, 'needed')})"
    return result


def check_processor() -> str:
    """Describe the vector instructions for which code is generated."""
    text = (
        f"{platform.machine()}, {TARGET.name}: vectors of {8 * TARGET.vector_bytes} bits, "
        f"{'fused' if TARGET.fused else 'no fused'} multiply-add; bfloat16 {BFLOAT16_WORDS[BFLOAT16_PATH]}"
    )
    if TARGET.name == "baseline":
        raise CheckFailedError(f"{text}; speed: no wide vectors were found, training is several times slower")
    return text


def check_compiler() -> str:
    """Check that kernels are compiled."""
    if not COMPILED:
        raise CheckFailedError("speed: NUMBA_DISABLE_JIT is set, so kernels run as plain Python; unset it")
    return "kernels are compiled"


def check_training() -> str:
    """Train a tiny network with the kernels and with the reference, and compare."""
    net, X, y = tiny_problem()
    expected = reference.Network(
        [w.astype(np.float64) for w in net.weights],
        [b.astype(np.float64) for b in net.biases],
        net.activation,
        net.loss_name,
    )
    net.fit(X, y, epochs=3, batch_size=8, learning_rate=0.1, shuffle=False, n_threads=1)
    expected.train(X, y, epochs=3, batch_size=8, learning_rate=0.1)
    pairs = zip((*net.weights, *net.biases), (*expected.weights, *expected.biases), strict=True)
    difference = max(float(np.abs(got - right).max()) for got, right in pairs)
    difference = max(difference, float(np.abs(net.predict(X) - expected.predict(X)).max()))
    if not difference <= TOLERANCE:
        raise CheckFailedError(
            f"correctness: a network differs from the reference by {difference:.2g}; please report it"
        )
    return f"a network agrees with the reference within {difference:.1g}"


def check_threads() -> str:
    """Check that several threads can be used, and that they give the same bits as one."""
    layer, n_threads = threads.layer(), threads.max_threads()
    serial, X, y = tiny_problem()
    threaded = serial.copy()
    serial.fit(X, y, epochs=2, batch_size=8, learning_rate=0.1, n_threads=1)
    threaded.fit(X, y, epochs=2, batch_size=8, learning_rate=0.1, n_threads=n_threads)
    if not np.array_equal(serial.parameters, threaded.parameters):
        raise CheckFailedError(f"correctness: {n_threads} threads give other bits than one; please report it")
    return f"{layer}, {n_threads} thread{'s give the same bits as one' if n_threads > 1 else ''}"


def check_cache() -> str:
    """Check that compiled kernels are cached."""
    folder = cache.folder_in_use()
    if folder is None:
        raise CheckFailedError(
            "start-up time: no folder can be written, so every process compiles for about 20 seconds; "
            "set FASTNN_CACHE_DIR to a folder that only you can write"
        )
    sizes = [file.stat().st_size for file in folder.glob("*.kernel")]
    if COMPILED and not sizes:
        raise CheckFailedError(f"start-up time: {folder} can be written, but no kernel was kept in it")
    return f"{folder}: {len(sizes)} kernels, {sum(sizes) / 1e6:.1f} MB"


def tiny_problem() -> tuple[Network, np.ndarray, np.ndarray]:
    """Return a network and examples whose sizes are no multiples of vectors, with a ragged last batch."""
    rng = np.random.default_rng(0)
    net = Network([5, 19, 3], activation=["tanh", "softmax"], loss="cross_entropy", seed=0)
    return net, rng.normal(size=(29, 5)).astype(np.float32), rng.integers(0, 3, 29)


CHECKS: dict[str, Callable[[], str]] = {
    "processor": check_processor,
    "compiler": check_compiler,
    "training": check_training,
    "threads": check_threads,
    "cache": check_cache,
}
