"""Loops over short rows: against NumPy, with numbers around that must stay as they are."""

import numpy as np
import pytest

from fastnn.kernels import row_loops
from fastnn.kernels.jit import from_python, kernel
from fastnn.kernels.simd import PANEL, TILE_VECTORS, VECTOR_BYTES

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ROWS = pytest.mark.parametrize("n_rows", [0, 1, 5])
LD = 100


@from_python
@kernel
def copy_vectors(vectors, c, c0, a, a0, n_rows):
    row_loops.copy_vectors(vectors, c, c0, LD, a, a0, LD, n_rows)


@from_python
@kernel
def copy_panel(c, c0, a, a0, n_rows):
    row_loops.copy_panel(c, c0, LD, a, a0, LD, n_rows)


@from_python
@kernel
def multiply_vectors(vectors, c, c0, a, a0, n_rows):
    row_loops.multiply_vectors(vectors, c, c0, LD, a, a0, LD, n_rows)


@from_python
@kernel
def clear_padding(rows, n_rows, n_out, columns, ld):
    row_loops.clear_padding(rows, n_rows, n_out, columns, ld)


@from_python
@kernel
def column_squares(vectors, c, a, a0, n_rows):
    row_loops.column_squares(vectors, c, 1, a, a0, LD, n_rows)


@from_python
@kernel
def row_squares(c, a, a0, n_rows, vectors):
    row_loops.row_squares(c, 1, a, a0, LD, n_rows, vectors)


def blocks(dtype):
    """Two blocks of rows of LD numbers, none of them 0 or 1."""
    return np.random.default_rng(0).uniform(2, 3, (2, 8, LD)).astype(dtype)


@BOTH
@ROWS
@pytest.mark.parametrize("vectors", range(1, TILE_VECTORS + 1))
def test_vectors_are_copied_and_multiplied_and_nothing_else(dtype, n_rows, vectors):
    width = vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    for function, update in ((copy_vectors, lambda c, a: a), (multiply_vectors, lambda c, a: c * a)):
        c, a = blocks(dtype)
        expected = c.copy()
        rows = slice(1, 1 + n_rows)
        expected[rows, 3 : 3 + width] = update(c[rows, 3 : 3 + width], a[:n_rows, 5 : 5 + width])
        function(vectors, c.reshape(-1), LD + 3, a.reshape(-1), 5, n_rows)
        np.testing.assert_array_equal(c, expected)


@BOTH
@ROWS
def test_a_panel_is_copied_and_nothing_else(dtype, n_rows):
    c, a = blocks(dtype)
    expected = c.copy()
    expected[1 : 1 + n_rows, 3 : 3 + PANEL] = a[:n_rows, 5 : 5 + PANEL]
    copy_panel(c.reshape(-1), LD + 3, a.reshape(-1), 5, n_rows)
    np.testing.assert_array_equal(c, expected)


@BOTH
@ROWS
@pytest.mark.parametrize("vectors", [1, 2, 4])
def test_the_padding_is_cleared_and_nothing_else(dtype, n_rows, vectors):
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    columns, ld = vectors * lanes, (vectors + 1) * lanes
    for n_out in range(1, columns + 1):
        rows = np.full((8, ld), np.nan, dtype)
        rows[:, :n_out] = 7
        expected = rows.copy()
        expected[:n_rows, n_out:columns] = 0
        clear_padding(rows.reshape(-1), n_rows, n_out, columns, ld)
        np.testing.assert_array_equal(rows, expected)


@BOTH
@ROWS
@pytest.mark.parametrize("vectors", range(1, TILE_VECTORS + 1))
def test_squares_are_summed_by_columns_and_by_rows(dtype, n_rows, vectors):
    width = vectors * VECTOR_BYTES // np.dtype(dtype).itemsize
    _, a = blocks(dtype)
    squares = np.square(a[:n_rows, 5 : 5 + width], dtype=np.float64)
    by_column, by_row = np.full(width + 2, 7, dtype), np.full(n_rows + 2, 7.0)
    column_squares(vectors, by_column, a.reshape(-1), 5, n_rows)
    row_squares(by_row, a.reshape(-1), 5, n_rows, vectors)
    np.testing.assert_allclose(by_column, [7, *squares.sum(axis=0), 7], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(by_row, [7, *squares.sum(axis=1), 7], rtol=1e-14)  # a rounding for each lane and half
