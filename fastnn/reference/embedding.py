"""Embeddings of numbers and of categories, and the gradients by their parameters."""

from __future__ import annotations

import numpy as np

from .activations import Array


def periodic_embedding(X: Array, frequencies: Array, phases: Array, weights: Array, biases: Array) -> Array:
    """Return W cos(2 pi f x + p) + c of every embedded input, those of the first before those of the second.

    Parameters
    ----------
    X : ndarray (n, count)
    frequencies, phases : ndarray (count, n_frequencies)
    weights : ndarray (count, n_outputs, n_frequencies)
    biases : ndarray (count, n_outputs)

    Returns
    -------
    ndarray (n, count * n_outputs)
    """
    angles = 2 * np.pi * X[:, :, None] * frequencies + phases
    functions: Array = np.einsum("ekh,reh->rek", weights, np.cos(angles)) + biases
    return functions.reshape(len(X), -1)


def periodic_embedding_gradients(
    X: Array, delta: Array, frequencies: Array, phases: Array, weights: Array
) -> tuple[Array, Array, Array, Array]:
    """Return the gradients by frequencies, phases, weights and biases, summed over the rows.

    With q_h = -sin(2 pi f_h x + p_h) sum_k W_kh delta_k: df_h = 2 pi x q_h, dp_h = q_h, dW_kh = delta_k cos(...),
    dc_k = delta_k.

    Parameters
    ----------
    X, frequencies, phases, weights
        As of `periodic_embedding`.
    delta : ndarray (n, count * n_outputs)
        Derivative by what that returns.
    """
    delta = delta.reshape(len(X), *weights.shape[:2])
    angles = 2 * np.pi * X[:, :, None] * frequencies + phases
    q = -np.sin(angles) * np.einsum("ekh,rek->reh", weights, delta)
    by_weights = np.einsum("rek,reh->ekh", delta, np.cos(angles))
    return 2 * np.pi * np.einsum("re,reh->eh", X, q), q.sum(axis=0), by_weights, delta.sum(axis=0)


def piecewise_linear_encoding(X: Array, slopes: Array, offsets: Array) -> Array:
    """Return how far each x has come through each of its bins, (n, count, n_bins).

    It is 0 before and 1 behind a bin, but for the first and the last, which go on.

    Parameters
    ----------
    X : ndarray (n, count)
    slopes, offsets : ndarray (count, n_bins)
        1 / (upper - lower), and -lower / (upper - lower); 0 for a bin that is not used.
    """
    pieces: Array = X[:, :, None] * slopes + offsets
    n_bins = slopes.shape[1]
    lowest, highest = np.zeros(n_bins), np.ones(n_bins)
    lowest[0], highest[-1] = -np.inf, np.inf
    return np.clip(pieces, lowest, highest)


def piecewise_linear_embedding(X: Array, slopes: Array, offsets: Array, weights: Array, biases: Array) -> Array:
    """Return W e(x) + c of every embedded input, (n, count * n_outputs), e as `piecewise_linear_encoding`.

    Parameters
    ----------
    X, slopes, offsets
        As of that.
    weights : ndarray (count, n_outputs, n_bins)
    biases : ndarray (count, n_outputs)
    """
    functions: Array = np.einsum("ekh,reh->rek", weights, piecewise_linear_encoding(X, slopes, offsets)) + biases
    return functions.reshape(len(X), -1)


def piecewise_linear_embedding_gradients(
    X: Array, delta: Array, slopes: Array, offsets: Array, n_outputs: int
) -> tuple[Array, Array]:
    """Return the gradients by weights and biases, summed over the rows: dW_kh = delta_k e_h, dc_k = delta_k.

    Parameters
    ----------
    X, slopes, offsets
        As of `piecewise_linear_encoding`.
    delta : ndarray (n, count * n_outputs)
        Derivative by what `piecewise_linear_embedding` returns.
    n_outputs : int
    """
    delta = delta.reshape(len(X), -1, n_outputs)
    return np.einsum("rek,reh->ekh", delta, piecewise_linear_encoding(X, slopes, offsets)), delta.sum(axis=0)


def category_embedding(codes: Array, vectors: Array) -> Array:
    """Return the vector of each code of one column, 0 for a code that has none.

    Parameters
    ----------
    codes : ndarray (n,)
        From 0 to n_categories - 1; others have no vector.
    vectors : ndarray (n_categories, n_outputs)

    Returns
    -------
    ndarray (n, n_outputs)
    """
    found: Array = (codes[:, None] == np.arange(len(vectors))).astype(vectors.dtype) @ vectors
    return found


def category_embedding_gradient(codes: Array, delta: Array, n_categories: int) -> Array:
    """Return the gradient by the vectors, (n_categories, n_outputs): for each the sum of the deltas of its rows.

    Parameters
    ----------
    codes : ndarray (n,)
    delta : ndarray (n, n_outputs)
        Derivative by what `category_embedding` returns.
    n_categories : int
    """
    gradient: Array = (codes[:, None] == np.arange(n_categories)).astype(delta.dtype).T @ delta
    return gradient
