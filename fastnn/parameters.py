"""Memory of a network: one aligned parameter buffer, its table of offsets, views into it, and the workspace.

Layer l stores W as (inputs, ld): row k holds the weights out of input k, so that `weights[l]`, (n_out, n_in), is its
transpose without the padding. All padding is 0 and stays 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .embeddings import PiecewiseLinearEmbedding
from .kernels import layout
from .kernels.bfloat16 import PAIR_STEP
from .kernels.layout import columns_of, stride_of
from .kernels.simd import CACHE_LINE
from .kernels.target import BFLOAT16_PATH, request_tiles
from .spec import Spec, activation_code

BLOCK_ROWS = 256
"""Rows of a batch that are processed at once, at most: bounds the workspace for any batch size.

It is part of the order of sums, so it is one number for all networks and threads.
"""


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """Return a 1-D array of zeros that starts at a cache line."""
    raw = np.zeros(count * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + count * dtype.itemsize].view(dtype)


@dataclass(frozen=True)
class MemoryLayout:
    """Where each layer lies in the parameter buffer and in the workspace.

    Attributes
    ----------
    table : ndarray of int64, (layers, N_FIELDS)
        Columns as `fastnn.kernels.layout` names them; the workspace's offsets are those of `block` rows. Shared and
        cached: copy before modifying.
    n_parameters : int
        Length of the parameter buffer, padding included.
    n_workspace : int
        Length of the workspace.
    block : int
        Rows that the workspace holds.
    """

    table: np.ndarray
    n_parameters: int
    n_workspace: int
    block: int


def make_layout(
    spec: Spec, block: int = 1, sparse: bool = False, strides: tuple[int | None, ...] = (), rounded: bool = False
) -> MemoryLayout:
    """Place every layer for a workspace of `block` rows, each part at the start of a cache line.

    Parameters
    ----------
    spec : Spec
    block : int, default 1
        Rows of the workspace. The parameters' part does not depend on it.
    sparse : bool, default False
        Sparse inputs take no workspace: they are read in place.
    strides : tuple of (int or None), optional
        Strides between the rows of W where they are prescribed, one for each layer.
    rounded : bool, default False
        The products' operands are rounded to bfloat16: the workspace holds the weights as pairs, too.
    """
    # the codes are part of the key: a name can be registered anew, and a stale code would call a missing kernel
    codes = tuple(activation_code(name) for name in spec.activation)
    if rounded and BFLOAT16_PATH == "amx":
        request_tiles()
    return _make_layout(spec, codes, block, sparse, strides, rounded)


@lru_cache(maxsize=128)
def _make_layout(
    spec: Spec, codes: tuple[int, ...], block: int, sparse: bool, strides: tuple[int | None, ...], rounded: bool
) -> MemoryLayout:
    itemsize = np.dtype(spec.dtype).itemsize
    whole_lines = _whole_lines(itemsize)
    n_embedded = spec.embedding.n_embedded if spec.embedding else 0
    counts = spec.category_embedding.counts if spec.category_embedding else {}
    table = np.zeros((len(spec.sizes) - 1, layout.N_FIELDS + n_embedded + 3 * len(counts)), np.int64)
    columns_in = columns_of(spec.widths[0], itemsize)
    ld_in, inputs = stride_of(columns_in, itemsize), 0
    workspace = 0 if sparse else whole_lines(block * ld_in)
    before_scales = workspace
    workspace += before_scales if spec.learned_input_scale else 0
    n_inputs, parameters = columns_in, 0
    for number, row in enumerate(table):
        n_in, n_out = spec.widths[number : number + 2]
        columns = columns_of(n_out, itemsize)
        ld = (strides[number] if strides else None) or stride_of(columns, itemsize)
        row[layout.N_IN], row[layout.N_OUT], row[layout.COLUMNS], row[layout.LD] = n_in, n_out, columns, ld
        row[layout.ACTIVATION] = codes[number]
        row[layout.LD_IN], row[layout.INPUTS] = ld_in, inputs
        row[layout.WEIGHTS] = parameters
        row[layout.BIASES] = parameters + whole_lines(columns_in * ld)
        parameters = int(row[layout.BIASES]) + whole_lines(ld)
        row[layout.OUTPUTS] = inputs = workspace
        row[layout.DELTAS] = workspace + whole_lines(block * ld)
        workspace = int(row[layout.DELTAS]) + whole_lines(block * ld)
        columns_in, ld_in = columns, ld
    table[:, layout.GRADIENT_INPUTS], table[:, layout.INPUT_SCALES] = table[:, layout.INPUTS], -1
    if spec.learned_input_scale:
        table[0, layout.GRADIENT_INPUTS], table[0, layout.INPUT_SCALES] = before_scales, parameters
        parameters += whole_lines(n_inputs)
    table[:, layout.N_GATHERED] = table[:, layout.N_IN]
    table[:, layout.PARTIAL_SUMS] = -1
    if table[0, layout.N_IN] >= MIN_CHUNKED_INPUTS and table[0, layout.COLUMNS] <= MAX_CHUNKED_COLUMNS:
        stride = whole_lines(block * int(table[0, layout.LD]))
        table[0, layout.PARTIAL_SUMS], table[0, layout.PARTIAL_STRIDE] = workspace, stride
        workspace += (layout.INPUT_CHUNKS - 1) * stride + whole_lines(int(table[0, layout.COLUMNS]))
    _set_costs(table)
    for field in (layout.ALPHAS, layout.ALPHA_DELTAS, layout.EMBEDDING, layout.VECTORS):
        table[:, field] = -1
    for row in table[: -1 if spec.learned_activation else 0]:
        row[layout.ALPHAS], row[layout.ALPHA_DELTAS] = parameters, workspace
        parameters += whole_lines(int(row[layout.COLUMNS]))
        workspace += whole_lines(block * int(row[layout.LD]))
    parameters, workspace = _place_embeddings(table[0], spec, parameters, workspace, block)
    table[:, layout.PAIRS] = table[:, layout.TRANSPOSED_PAIRS] = -1
    if rounded:
        workspace = _place_pairs(table, workspace, block, sparse, itemsize)
    dropped = [round(rate * layout.DROP_UNIT) for rate in spec.dropout]
    table[0, layout.DROPPED_IN], table[:-1, layout.DROPPED] = dropped[0], dropped[1:]
    return MemoryLayout(table, parameters, workspace, block)


def _set_costs(table: np.ndarray) -> None:
    """Set the costs of the layers below each, of those whose rows of W are dealt out by cost."""
    dealt = (table[:, layout.BY_COLUMNS] == 0) & (table[:, layout.PARTIAL_SUMS] < 0)
    costs = table[:, layout.N_IN] * table[:, layout.COLUMNS] * dealt
    table[:, layout.COST] = np.cumsum(costs) - costs


def _whole_lines(itemsize: int) -> Callable[[int], int]:
    """Return what rounds a count of numbers up to whole cache lines."""
    line = CACHE_LINE // itemsize
    return lambda count: -(-count // line) * line


def _place_embeddings(first: np.ndarray, spec: Spec, parameters: int, workspace: int, block: int) -> tuple[int, int]:
    """Place what embeddings need in parameters and workspace, in the first layer's row; return where both end."""
    whole_lines = _whole_lines(np.dtype(spec.dtype).itemsize)
    numbers, categories = spec.embedding, spec.category_embedding
    if numbers:
        stride = whole_lines(sum(math.prod(shape[1:]) for shape in numbers.shapes().values()))
        first[layout.EMBEDDING], first[layout.EMBEDDING_STRIDE] = parameters, stride
        first[layout.N_EMBEDDED], first[layout.N_FREQUENCIES] = numbers.n_embedded, numbers.n_inner
        first[layout.N_FUNCTIONS] = numbers.n_outputs
        first[layout.PIECEWISE] = isinstance(numbers, PiecewiseLinearEmbedding)
        first[layout.N_FIELDS : layout.N_FIELDS + numbers.n_embedded] = numbers.inputs or ()
        parameters += numbers.n_embedded * stride
        first[layout.EMBEDDING_COSINES] = workspace
        workspace += whole_lines(2 * block * numbers.n_inner)
    if categories:
        counts = np.array(list(categories.counts.values()))
        ends = np.cumsum(counts)
        of_codes = np.column_stack([list(categories.counts), ends - counts, ends])
        first[layout.N_FIELDS + first[layout.N_EMBEDDED] :] = of_codes.ravel()
        first[layout.VECTORS], first[layout.VECTOR_SIZE] = parameters, categories.n_outputs
        first[layout.N_VECTORS], first[layout.N_CODES] = ends[-1], len(counts)
        parameters += whole_lines(int(ends[-1]) * categories.n_outputs)
        first[layout.VECTOR_NUMBERS] = workspace
        workspace += whole_lines(block * len(counts))
    if numbers or categories:
        first[layout.N_GATHERED], first[layout.EMBEDDING_DELTAS] = spec.sizes[0], workspace
        workspace += whole_lines(block * int(first[layout.LD_IN]))
    return parameters, workspace


def _place_pairs(table: np.ndarray, workspace: int, block: int, sparse: bool, itemsize: int) -> int:
    """Place the pairs of every layer, but the first of sparse rows, in the workspace; return where it ends.

    Operands have whole steps of pairs along the inner dimension, whose surplus stays 0.
    """

    def place(n_rows: int, stride: int) -> int:
        nonlocal workspace
        start = workspace
        workspace += n_rows * stride
        workspace += -workspace % (CACHE_LINE // itemsize)
        return start

    def pairs_of(count: int) -> int:
        """Return how many pairs `count` numbers are: whole steps, and whole squares, which are transposed."""
        return -(-columns_of(-(-count // 2), itemsize) // PAIR_STEP) * PAIR_STEP

    table[:, layout.LD_EXAMPLE_PAIRS] = stride_of(pairs_of(block), itemsize)
    for number, row in enumerate(table[int(sparse) :], int(sparse)):
        row[layout.PAIRS] = place(pairs_of(int(row[layout.N_IN])), int(row[layout.LD]))
        if number:
            row[layout.TRANSPOSED_PAIRS] = place(pairs_of(int(row[layout.COLUMNS])), int(row[layout.LD_IN]))
        columns_in = columns_of(int(row[layout.N_IN]), itemsize)
        row[layout.EXAMPLE_PAIRS] = place(columns_in, int(row[layout.LD_EXAMPLE_PAIRS]))
        row[layout.DELTA_PAIRS] = place(pairs_of(block), int(row[layout.LD]))
    widest = max(int(table[:, layout.N_IN].max()), int(table[:, layout.N_OUT].max()))
    table[:, layout.LD_ROW_PAIRS] = stride_of(pairs_of(widest), itemsize)
    table[:, layout.ROW_PAIRS] = place(block, int(table[0, layout.LD_ROW_PAIRS]))
    return workspace


def with_float32_products(table: np.ndarray, lowest: int | None = None) -> np.ndarray:
    """Return a layer table whose layers below `lowest`, or all if None, multiply in float32."""
    below = table[:lowest, layout.PAIRS]
    if not (below >= 0).any():
        return table
    table = table.copy()
    table[:lowest, layout.PAIRS] = -1
    return table


MIN_CHUNKED_INPUTS = 256
"""Inputs of a first layer from which the sums over them are cut into chunks, so that threads may share the inputs."""

MAX_CHUNKED_COLUMNS = 256
"""Neurons of a first layer up to which they are cut: with more, their sums are as much as the weights."""

MIN_SPLIT_COLUMNS = 512
"""Neurons of a layer from which threads may share its columns: the parts of fewer, whole vectors, are less even."""

COLUMNS_PER_ROW = 4
"""Neurons for each row of a block from which threads share them: what crosses is then far less than half of W."""


def split_wide_layers(table: np.ndarray, n_rows: int, sparse: bool = False) -> np.ndarray:
    """Return a layer table that says which layers threads split by columns of W in blocks of `n_rows` rows.

    Wide hidden layers, but the first of sparse rows, one with learned scales, whose sums go along rows of W, and those
    that multiply in bfloat16, whose weights are packed by rows. The choice depends on the layer and the batch alone,
    see `fastnn.kernels.layer_by_layer`.

    Parameters
    ----------
    table : ndarray of int64, (layers, N_FIELDS)
    n_rows : int
        Rows of a batch, or of a block if that is less.
    sparse : bool, default False
        Whether inputs are sparse.
    """
    hidden = table[:-1]
    columns = hidden[:, layout.COLUMNS]
    enough = max(MIN_SPLIT_COLUMNS, COLUMNS_PER_ROW * n_rows)
    if max(columns.tolist(), default=0) < enough:
        return table
    whole_rows = (hidden[:, [layout.INPUT_SCALES, layout.EMBEDDING, layout.VECTORS]] >= 0).any(axis=1)
    wide = (columns >= enough) & ~whole_rows & (hidden[:, layout.PAIRS] < 0) & (hidden[:, layout.PARTIAL_SUMS] < 0)
    wide[: int(sparse)] = False
    table = table.copy()
    table[:-1, layout.BY_COLUMNS] = wide
    _set_costs(table)
    return table


def make_workspace(memory: MemoryLayout, dtype: str, n_threads: int = 1) -> layout.Workspace:
    """Allocate the workspace of `memory.block` rows and the scratch of `n_threads` threads, aligned and zeroed."""
    number = np.dtype(dtype)
    scratch = layout.scratch_size(memory.block, number.itemsize)
    return layout.Workspace(
        buffer=aligned_zeros(memory.n_workspace, number),
        scratch=aligned_zeros(n_threads * scratch, number),
        scratch_size=scratch,
        targets=aligned_zeros(memory.block * int(memory.table[-1][layout.LD]), number),
        row_factor=aligned_zeros(memory.block, number),
        row_loss=aligned_zeros(memory.block, number),
        row_correct=aligned_zeros(memory.block, number),
        block=memory.block,
    )


def views(buffer: np.ndarray, table: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Return the weights (n_out, n_in) and biases (n_out,) of each layer as views of the buffer."""
    weights, biases = [], []
    for row in table:
        n_in, n_out, ld = int(row[layout.N_IN]), int(row[layout.N_OUT]), int(row[layout.LD])
        start, bias = int(row[layout.WEIGHTS]), int(row[layout.BIASES])
        weights.append(buffer[start : start + n_in * ld].reshape(n_in, ld)[:, :n_out].T)
        biases.append(buffer[bias : bias + n_out])
    return tuple(weights), tuple(biases)


def further_views(buffer: np.ndarray, table: np.ndarray, spec: Spec) -> dict[str, np.ndarray]:
    """Return the parameters beside weights and biases, as views of the buffer, by their names in `further_shapes`."""
    found = {}
    first = table[0]
    part = 0  # where those of an embedded input begin
    vectors = int(first[layout.VECTORS])
    for name, shape in spec.further_shapes.items():
        if name.startswith("embedding"):
            start, stride = int(first[layout.EMBEDDING]), int(first[layout.EMBEDDING_STRIDE])
            rows = buffer[start : start + shape[0] * stride].reshape(shape[0], stride)
            size = math.prod(shape[1:])
            found[name] = rows[:, part : part + size].reshape(shape)
            part += size
            continue
        if name.startswith("category_embedding"):
            found[name] = buffer[vectors : vectors + math.prod(shape)].reshape(shape)
            vectors += math.prod(shape)
            continue
        start = first[layout.INPUT_SCALES] if name == "input_scales" else table[int(name.split(".")[1]), layout.ALPHAS]
        found[name] = buffer[int(start) : int(start) + shape[0]]
    return found


def flatten(
    weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], further: Iterable[np.ndarray] = ()
) -> np.ndarray:
    """Return one vector: layer by layer, the weights row by row, then the biases; the further parameters last."""
    pairs = zip(weights, biases, strict=True)
    return np.concatenate([*(part.ravel() for pair in pairs for part in pair), *(part.ravel() for part in further)])


def unflatten(
    vector: np.ndarray,
    weights: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    further: Iterable[np.ndarray] = (),
) -> None:
    """Write a vector in the order of `flatten` into the views."""
    start = 0
    for part in (*(part for pair in zip(weights, biases, strict=True) for part in pair), *further):
        part[...] = vector[start : start + part.size].reshape(part.shape)
        start += part.size


def buffer_to_vector(buffer: np.ndarray, spec: Spec) -> np.ndarray:
    """Return a buffer that is laid out as the parameters as a vector in the order of `flatten`; empty stays empty."""
    table = make_layout(spec).table
    return flatten(*views(buffer, table), further_views(buffer, table, spec).values()) if buffer.size else buffer


def vector_to_buffer(vector: np.ndarray, spec: Spec) -> np.ndarray:
    """Return the buffer, laid out as the parameters, whose numbers in order are `vector`; empty stays empty."""
    memory = make_layout(spec)
    buffer = aligned_zeros(memory.n_parameters if vector.size else 0, np.dtype(spec.dtype))
    if vector.size:
        unflatten(vector, *views(buffer, memory.table), further_views(buffer, memory.table, spec).values())
    return buffer
