"""Images to learn from: digits that come with fastnn; MNIST and Fashion-MNIST, downloaded on first use."""

from __future__ import annotations

import os
from importlib import resources
from io import BytesIO

import numpy as np

from .collections import FASHION_MNIST, MNIST, Examples, data_folders, load_collection
from .idx import read_idx

__all__ = ["load_digits", "load_fashion_mnist", "load_mnist", "read_idx"]


def load_digits() -> Examples:
    """Return 1,797 handwritten digits of 8 x 8 pixels, which are part of the package.

    This is the test set of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, as distributed with scikit-learn. Licence: CC BY 4.0.

    Returns
    -------
    X : ndarray of uint8, shape (1797, 64)
        One image per row, row by row from the top left, from 0 (background) to 16 (ink).
    y : ndarray of int64, shape (1797,)
        The digits, 0 to 9.

    Examples
    --------
    >>> from fastnn.datasets import load_digits
    >>> X, y = load_digits()
    >>> X.shape, y[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    content = resources.files("fastnn").joinpath("data", "digits.npz").read_bytes()  # also from a zipped package
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return arrays["X"], arrays["y"].astype(np.int64)


def load_mnist(path: str | os.PathLike[str] | None = None) -> tuple[Examples, Examples]:
    """Return MNIST, handwritten digits of 28 x 28 pixels: 60,000 for training and 10,000 for testing.

    With `path`, the four files, gzipped or not, are read from that folder. Otherwise they are read from the first of
    these folders that holds all four: the one named by the environment variable ``FASTNN_DATA``, its subfolder
    ``mnist``, and the user's cache (``$XDG_CACHE_HOME/fastnn/mnist``, usually ``~/.cache/fastnn/mnist``;
    ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows). If there is none, they are downloaded into the
    cache: 11 MB, verified by the published checksums.

    Parameters
    ----------
    path : str or os.PathLike, optional
        Folder that holds the files. If it is given, nothing is downloaded.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        Images, uint8 of shape (60000, 784) and (10000, 784), one per row, row by row from the top left,
        from 0 (background) to 255 (ink); labels, int64 of shape (60000,) and (10000,), from 0 to 9.

    Raises
    ------
    FileNotFoundError
        If `path` is given and lacks one of the files.
    FileFormatError
        If a file is damaged or holds something other than digits; delete it, so that it is downloaded again.
    OSError
        If a file cannot be read, downloaded or written to the cache.

    Notes
    -----
    Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits". With `path`, other data sets
    whose files have the same names and shapes can be read too.

    Examples
    --------
    >>> from fastnn.datasets import load_mnist
    >>> (X_train, y_train), (X_test, y_test) = load_mnist()  # doctest: +SKIP
    >>> X_train.shape, y_train[:5].tolist()  # doctest: +SKIP
    ((60000, 784), [5, 0, 4, 1, 9])
    """
    return load_collection(MNIST, path, data_folders("", MNIST.folder))


def load_fashion_mnist(path: str | os.PathLike[str] | None = None) -> tuple[Examples, Examples]:
    """Return Fashion-MNIST, articles of clothing of 28 x 28 pixels: 60,000 for training and 10,000 for testing.

    The files are looked for, downloaded and checked as those of `load_mnist`; as they have the same names, in the
    subfolder ``fashion_mnist`` of ``FASTNN_DATA`` and of the user's cache.

    Parameters
    ----------
    path : str or os.PathLike, optional
        Folder that holds the files. If it is given, nothing is downloaded.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        As `load_mnist` returns them. The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker,
        bag and ankle boot.

    Raises
    ------
    FileNotFoundError, FileFormatError, OSError
        As `load_mnist`.

    Notes
    -----
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", 2017. Licence: MIT.

    Examples
    --------
    >>> from fastnn.datasets import load_fashion_mnist
    >>> (X_train, y_train), (X_test, y_test) = load_fashion_mnist()  # doctest: +SKIP
    """
    return load_collection(FASHION_MNIST, path, data_folders(FASHION_MNIST.folder))
