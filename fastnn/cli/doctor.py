"""`fastnn doctor`: versions, processor, threads and cache, each tried out."""

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
from ..kernels.target import TARGET
from ..network import Network
from ..warmup import warmup

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "safetensors", "tqdm")
OPTIONAL = {"matplotlib": "pip install fastnn[plot]", "scikit-learn": "pip install fastnn[sklearn]"}
TOLERANCE = 1e-5
"""Largest difference of float32 parameters from those of the reference in float64 after a few updates."""


class ShortfallError(Exception):
    """Something does not work; the message says what is lost and what to do."""


def run(arguments: argparse.Namespace) -> int:
    """Check everything; exit code 0 if all works, 1 otherwise."""
    if arguments.warmup:
        warmup(progress=True)
    for name, version in versions().items():
        print(f"{name:14}{version}")
    all_work = True
    for name, check in CHECKS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                verdict = f"OK    {check()}"
        except ShortfallError as loss:
            verdict, all_work = f"LOST  {loss}", False
        except Exception as error:  # whatever breaks here is what the command is there to tell
            verdict, all_work = f"LOST  {type(error).__name__}: {' '.join(str(error).split())}", False
        print(f"{name:14}{verdict}")
    print("everything works" if all_work else "something does not work: see LOST above")
    return 0 if all_work else 1


def versions() -> dict[str, str]:
    """Version of everything that takes part."""
    found = {"fastnn": __version__, "python": f"{platform.python_version()} on {platform.platform(terse=True)}"}
    for package in (*PACKAGES, *OPTIONAL):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = f"not installed ({OPTIONAL.get(package, 'needed')})"
    return found


def check_processor() -> str:
    """The vectors for which code is generated."""
    text = (
        f"{platform.machine()}, {TARGET.name}: vectors of {8 * TARGET.vector_bytes} bits, "
        f"{'fused' if TARGET.fused else 'no fused'} multiply-add"
    )
    if TARGET.name == "baseline":
        raise ShortfallError(f"{text}; speed: no wide vectors were found, training is several times slower")
    return text


def check_compiler() -> str:
    """Whether kernels are compiled at all."""
    if not COMPILED:
        raise ShortfallError("speed: NUMBA_DISABLE_JIT is set, so kernels run as plain Python; unset it")
    return "kernels are compiled"


def check_training() -> str:
    """A tiny network, trained with the kernels and in plain NumPy."""
    net, X, y = tiny_problem()
    twin = reference.Network(
        [w.astype(np.float64) for w in net.weights],
        [b.astype(np.float64) for b in net.biases],
        net.activation,
        net.loss_name,
    )
    net.fit(X, y, epochs=3, batch_size=8, learning_rate=0.1, shuffle=False, n_threads=1)
    twin.train(X, y, epochs=3, batch_size=8, learning_rate=0.1)
    pairs = zip((*net.weights, *net.biases), (*twin.weights, *twin.biases), strict=True)
    difference = max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    difference = max(difference, float(np.abs(net.predict(X) - twin.predict(X)).max()))
    if not difference <= TOLERANCE:
        raise ShortfallError(f"correctness: a network differs from the reference by {difference:.2g}; please report it")
    return f"a network agrees with the reference within {difference:.1g}"


def check_threads() -> str:
    """Whether several threads can be used, and give the same bits as one."""
    layer, most = threads.layer(), threads.max_threads()
    if most == 1 and layer not in ("omp", "tbb"):
        raise ShortfallError(
            f"all threads but one: Numba's layer here is {layer!r}, with which fastnn uses one thread; "
            "install an OpenMP runtime (Linux: libgomp, macOS: libomp) or tbb"
        )
    alone, X, y = tiny_problem()
    together = alone.copy()
    alone.fit(X, y, epochs=2, batch_size=8, learning_rate=0.1, n_threads=1)
    together.fit(X, y, epochs=2, batch_size=8, learning_rate=0.1, n_threads=most)
    if not np.array_equal(alone.parameters, together.parameters):
        raise ShortfallError(f"correctness: {most} threads give other bits than one; please report it")
    return f"{layer}, {most} thread{'s give the same bits as one' if most > 1 else ''}"


def check_cache() -> str:
    """Whether compiled kernels are kept."""
    folder = cache.folder_in_use()
    if folder is None:
        raise ShortfallError(
            "start-up time: no folder can be written, so every process compiles for some 20 seconds; "
            "set FASTNN_CACHE_DIR to a folder that only you can write"
        )
    kept = [file.stat().st_size for file in folder.glob("*.kernel")]
    if COMPILED and not kept:
        raise ShortfallError(f"start-up time: {folder} can be written, but no kernel was kept in it")
    return f"{folder}: {len(kept)} kernels, {sum(kept) / 1e6:.1f} MB"


def tiny_problem() -> tuple[Network, np.ndarray, np.ndarray]:
    """A network and examples, with sizes that fill no vector evenly and a ragged last batch."""
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
