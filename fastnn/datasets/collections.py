"""Data sets in the four files of MNIST: find them, or download them, and read them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FileFormatError
from .download import PublishedFile, download
from .idx import read_idx

if TYPE_CHECKING:
    from numpy.typing import NDArray

Examples = tuple["NDArray[np.uint8]", "NDArray[np.int64]"]


@dataclass(frozen=True)
class Collection:
    """A data set in MNIST's four files: its name, its folder, where they are published."""

    title: str
    folder: str
    mirrors: tuple[str, ...]
    files: tuple[PublishedFile, ...]


MNIST = Collection(
    "MNIST",
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    (
        PublishedFile("train-images-idx3-ubyte", 47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
        PublishedFile("train-labels-idx1-ubyte", 60_008, "a25bea736e30d166cdddb491f175f624"),
        PublishedFile("t10k-images-idx3-ubyte", 7_840_016, "2646ac647ad5339dbf082846283269ea"),
        PublishedFile("t10k-labels-idx1-ubyte", 10_008, "27ae3e4e09519cfbb04c329615203637"),
    ),
)
FASHION_MNIST = Collection(
    "Fashion-MNIST",
    "fashion_mnist",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    (
        PublishedFile("train-images-idx3-ubyte", 47_040_016, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", of_gzip=True),
        PublishedFile("train-labels-idx1-ubyte", 60_008, "25c81989df183df01b3e8a0aad5dffbe", of_gzip=True),
        PublishedFile("t10k-images-idx3-ubyte", 7_840_016, "bef4ecab320f06d8554ea6380940ec79", of_gzip=True),
        PublishedFile("t10k-labels-idx1-ubyte", 10_008, "bb300cfdad3c16e7a12a480ee83cd310", of_gzip=True),
    ),
)


def data_folders(*subfolders: str) -> list[Path]:
    """Return these subfolders of the folder that ``FASTNN_DATA`` names, if it is set."""
    named = os.environ.get("FASTNN_DATA")
    return [Path(named) / subfolder for subfolder in subfolders] if named else []


def load_collection(
    collection: Collection, path: str | os.PathLike[str] | None, data_folders: list[Path]
) -> tuple[Examples, Examples]:
    """Return a collection from `path`, else from the first folder that holds it, else from its mirrors."""
    files = collection.files
    if path is not None:
        paths = find_files(files, Path(path))
        if missing := [file.name for file in files if file.name not in paths]:
            raise FileNotFoundError(f"the folder {path} lacks {', '.join(missing)} (each may end in .gz)")
        return _read(files, paths)
    folder = local_folder(collection, data_folders)
    if folder is not None:
        return _read(files, find_files(files, folder))
    cache = cache_folder() / collection.folder
    try:
        for file in files:
            if file.name not in find_files(files, cache):
                download(file, cache, collection.mirrors)
    except OSError as error:
        if not data_folders:
            raise
        raise OSError(
            f"FASTNN_DATA, {data_folders[0]}, does not hold the four files of {collection.title}, and {error}"
        ) from None
    return _read(files, find_files(files, cache))


def local_folder(collection: Collection, data_folders: list[Path]) -> Path | None:
    """Return the first of these folders, and the cache, that holds a collection; None if it must be downloaded."""
    folders = (*data_folders, cache_folder() / collection.folder)
    return next(
        (folder for folder in folders if len(find_files(collection.files, folder)) == len(collection.files)), None
    )


def find_files(files: tuple[PublishedFile, ...], folder: Path) -> dict[str, Path]:
    """Return the paths of those files that `folder` holds, by their names."""
    paths = {}
    for file in files:
        for candidate in (folder / file.name, folder / f"{file.name}.gz"):
            if candidate.is_file():
                paths[file.name] = candidate
                break
    return paths


def _read(files: tuple[PublishedFile, ...], paths: dict[str, Path]) -> tuple[Examples, Examples]:
    arrays = []
    for file in files:
        path = paths[file.name]
        array = read_idx(path)
        image = (28, 28) if "images" in file.name else ()
        if array.dtype != np.uint8 or array.shape[1:] != image:
            raise FileFormatError(
                f"{path}: expected uint8 of shape {('n', *image)}, got {array.dtype} of shape {array.shape}"
            )
        if not image and array.size and array.max() > 9:
            raise FileFormatError(f"{path}: labels must lie in 0..9, got {array.max()}")
        arrays.append(array)
    X_train, y_train, X_test, y_test = arrays
    for part, X, y in (("train", X_train, y_train), ("t10k", X_test, y_test)):
        if len(X) != len(y):
            folder = paths[f"{part}-images-idx3-ubyte"].parent
            raise FileFormatError(f"{folder}: the {part} files hold {len(X)} images, but {len(y)} labels")
    return (
        (X_train.reshape(-1, 784), y_train.astype(np.int64)),
        (X_test.reshape(-1, 784), y_test.astype(np.int64)),
    )


def cache_folder() -> Path:
    """Return the folder in which this system keeps a user's caches, fastnn's own in it."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fastnn"
