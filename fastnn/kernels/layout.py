"""What the kernels work on: the layer table, and the bundles of arguments, each field with its type.

A layer is one row of the layer table, int64, whose columns are named here. Offsets and strides count numbers, not
bytes, in the parameter buffer and in the workspace's buffer. A range first..last ends before `last`.
"""

from __future__ import annotations

from typing import NamedTuple

from .argument_types import (
    Float64Matrix,
    Float64s,
    Floats,
    Int64Matrix,
    Int64s,
    KernelTable,
    ReadOnlyBytes,
    ReadOnlyFloats,
    ReadOnlyInt32s,
    ReadOnlyInt64s,
)
from .jit import kernel
from .simd import CACHE_LINE, PANEL, TILE_VECTORS, VECTOR_BYTES
from .target import TARGET

N_IN = 0  # neurons of the layer below
N_OUT = 1  # neurons of this layer
COLUMNS = 2  # n_out rounded up to whole vectors: what the products compute
LD = 3  # leading dimension: stride between rows of the weights, and between examples in activations and deltas
WEIGHTS = 4  # parameters: row k holds the weights from input k
BIASES = 5  # parameters
ACTIVATION = 6  # code, see activations.py
LD_IN = 7  # stride between examples in the activations of the layer below
INPUTS = 8  # workspace: activations of the layer below
OUTPUTS = 9  # workspace: activations of this layer
DELTAS = 10  # workspace: derivatives of the activation, then deltas
COST = 11  # multiply-adds of the layers below whose rows of W are dealt out by them, for one example
FROZEN = 12  # 1: weights and biases are not updated
DROPPED = 13  # dropout rate of this layer's neurons, in units of 2^-24
DROPPED_IN = 14  # as DROPPED, of the layer below; for the first layer only
GRADIENT_INPUTS = 15  # workspace: what the weight gradient multiplies with the deltas, INPUTS without input scales
INPUT_SCALES = 16  # parameters: a learned factor of each input, for the first layer only; -1: none
BY_COLUMNS = 17  # 1: threads share columns of W, not examples and rows of W, see layer_by_layer.py
PAIRS = 18  # workspace: W in bfloat16, two rows beside one another, see bfloat16_products.py; -1: products in float32
TRANSPOSED_PAIRS = 19  # workspace: W^T likewise
ROW_PAIRS = 20  # workspace: rows of activations or deltas in bfloat16, two numbers beside one another, one layer's
LD_ROW_PAIRS = 21  # stride between them
EXAMPLE_PAIRS = 22  # workspace: GRADIENT_INPUTS transposed, in bfloat16, two examples beside one another
LD_EXAMPLE_PAIRS = 23  # stride between inputs there
DELTA_PAIRS = 24  # workspace: DELTAS in bfloat16, two examples beside one another
ALPHAS = 25  # parameters: how much of the activation, and not of z, each neuron gives; -1: all of it
ALPHA_DELTAS = 26  # workspace: f(z) - z, then times the delta of the activations
N_GATHERED = 27  # numbers of an example; N_IN without what embeddings add
EMBEDDING = 28  # parameters of the embedded inputs, see embedding.py, for the first layer only; -1: none
EMBEDDING_STRIDE = 29  # from those of one input to those of the next
N_EMBEDDED = 30
N_FREQUENCIES = 31
N_FUNCTIONS = 32  # that each embedded input becomes, besides itself
EMBEDDING_COSINES = 33  # workspace: two numbers for each frequency and row
EMBEDDING_DELTAS = 34  # workspace: rows of LD_IN numbers
VECTORS = 35  # parameters: vectors of categories, see embedding.py, for the first layer only; -1: none
N_VECTORS = 36  # of all embedded columns together
VECTOR_SIZE = 37  # numbers of a vector
N_CODES = 38  # columns that hold codes of categories
VECTOR_NUMBERS = 39  # workspace: for each row the numbers of its N_CODES vectors; -1: none
PIECEWISE = 40  # 1: embedded numbers become piecewise linear functions, of bins that are not learned; 0: periodic ones
PARTIAL_SUMS = 41  # workspace: products of the chunks of inputs behind the first, see forward.py; -1: one chunk
PARTIAL_STRIDE = 42  # from those of one chunk to those of the next; behind the last are COLUMNS zeros
N_FIELDS = 43  # follow: columns of embedded numbers; column, first vector and the one after the last of each code
DROP_UNIT = 1 << 24

ZEROS = 64  # numbers at the start of a thread's scratch that are kept 0
GROUP_TILES = 32  # tiles of the weights' rows that share packed activations
INPUT_CHUNKS = 4  # into which a long sum over a first layer's inputs is cut: two threads or four share it
INNER_BLOCK = 256  # rows of a panel, along the inner dimension, that stay in the first-level cache


class Examples(NamedTuple):
    """Examples to train or evaluate on; `inputs` are the raw bytes of the caller's rows."""

    inputs: ReadOnlyBytes
    kind: int  # type of the numbers in `inputs`, see gather.py
    stride: int  # numbers from one row to the next
    scale: float  # factor of every input
    n_rows: int
    prefetch_distance: int  # positions in the order from a row that is read to the one that is prefetched meanwhile
    targets: ReadOnlyFloats  # rows of n_out numbers, or empty
    labels: ReadOnlyInt64s  # or empty
    weights: ReadOnlyFloats  # one for each row, or empty
    values: ReadOnlyFloats  # of sparse rows, see sparse.py, times scale; else empty
    columns: ReadOnlyInt32s
    starts: ReadOnlyInt64s


class NetworkView(NamedTuple):
    """The network as the kernels see it."""

    table: Int64Matrix  # (layers, N_FIELDS), the layer table
    loss: int  # code, see losses.py
    loss_parameters: ReadOnlyFloats  # (n_out,) Huber's delta, the level of each output's quantile; else 0
    parameters: Floats
    gradient: Floats  # laid out as the parameters, or empty if no step needs it
    kernel_table: KernelTable


class Workspace(NamedTuple):
    """Preallocated memory for one block of rows; nothing in it outlives a block."""

    buffer: Floats  # activations and deltas, layer by layer
    targets: Floats  # (block, ld of the last layer)
    scratch: Floats  # (threads, scratch_size)
    scratch_size: int
    row_factor: Floats  # (block,) weight of the example over the sum of its batch's weights
    row_loss: Floats  # (block,)
    row_correct: Floats  # (block,) 1 where the largest output is the right one
    block: int  # rows


class UpdateRule(NamedTuple):
    """How a step uses the gradient, see optimizer_steps.py; arrays that a rule does not need are empty."""

    method: int
    plain: int  # 1: w - learning_rate * gradient and nothing else, applied where the gradient is summed
    beta_1: float  # momentum, or Adam's beta_1
    beta_2: float
    epsilon: float
    nesterov: int
    epsilon_before_correction: int  # 1: Adam adds epsilon before the bias is corrected
    weight_decay: float  # decoupled from the gradient: w (1 - learning_rate * weight_decay)
    decay_factors: Float64s  # of the weight decay, in the place of rate_factors; empty: biases and scales do not decay
    decay_schedule: Float64s  # of the weight decay: a factor for each step from first_scheduled on; empty: 1
    first_scheduled: int
    l1: float
    l2: float
    penalty_per_batch: float  # above 0: l2 counts once for a batch, divided by its weight; the loss adds it this often
    clip_norm: float  # upper bound of the norm of the whole gradient; 0: none
    max_norm: float  # upper bound of the norm of the weights into a neuron; 0: none
    ema_decay: float  # of the exponential moving average of the parameters
    rate_factors: Float64s  # of the learning rate: for each layer those of its weights and its biases, then that of the
    # input scales; empty: 1
    steps_before: int  # steps that the state has seen before step 0
    norms: Float64s  # sums of squares: of the gradient's rows, layer by layer, each layer's biases last, for clip_norm;
    # of chunks of the weights, for penalty_per_batch
    moment1: Floats  # state, laid out as the parameters
    moment2: Floats
    ema: Floats


class StochasticRegularization(NamedTuple):
    """The random perturbations of training, see stochastic_regularization.py; of images, see image_distortion.py."""

    dropout: int  # 1: neurons are dropped at the rates in the layer table
    dropout_schedule: Floats  # of those rates: a factor for each step from that epoch on; empty: 1
    first_epoch: int
    steps_per_epoch: int
    batch_size: int
    input_noise: float  # standard deviation of the noise added to the inputs
    label_smoothing: float  # part of every target that is spread over the classes
    seed: int
    image_height: int  # 0: inputs are no images to distort
    image_width: int
    field_ld: int  # stride between rows of an image's field
    field_ld_transposed: int  # stride between rows of a transposed field
    shift: float  # upper bounds of what is drawn: pixels
    rotation: float  # degrees
    scale: float  # part of the size
    shear: float  # degrees
    flip: int  # 1: half of the images are mirrored
    elastic_alpha: float  # factor of the elastic field
    background: float  # of the scaled inputs
    taps: Floats  # of the Gaussian that smooths the field
    image_scratch: Floats  # (rows of a block, image_scratch_size)
    image_scratch_size: int


class StepRange(NamedTuple):
    """What one call does: steps first..last of the training, counted from its start."""

    first: int
    last: int
    batch_size: int
    start_epoch: int  # epochs trained before step 0
    steps_per_epoch: int
    shuffle: int
    seed: int
    update: int  # 0: leave the gradient of the step in `gradient`
    stop_on_nan: int


class Records(NamedTuple):
    """What a training leaves for Python to read."""

    order: Int64s  # (n,) the epoch's order of the examples; empty: 0, 1, 2, ...
    state: Int64s  # [epoch that `order` belongs to or -1, next step, stopped]
    sums: Float64s  # loss, weight and correct answers since the epoch began
    history: Float64Matrix  # (epochs of the call, 4): loss, accuracy, validation loss, validation accuracy
    learning_rates: Floats  # one for each step of the call


ORDER_EPOCH, NEXT_STEP, STOPPED = 0, 1, 2  # places in Records.state


@kernel
def contiguous_runs(layer, first, last, left, right):
    """Return the runs of adjacent numbers in rows first..last, columns left..right of W, as numbers in memory.

    Where the first begins, how many they are, their length, and the distance from one to the next. All columns are one
    run, with what lies between the rows.
    """
    ld = layer[LD]
    if right - left == layer[COLUMNS]:
        return layer[WEIGHTS] + first * ld, 1, (last - first) * ld, (last - first) * ld
    return layer[WEIGHTS] + first * ld + left, last - first, right - left, ld


@kernel
def chunk_start(n_in, chunk):
    """Return the first input of a chunk; inputs of two chunks share no cache line."""
    line = CACHE_LINE // 4
    return n_in if chunk == INPUT_CHUNKS else (n_in * chunk // INPUT_CHUNKS + line // 2) // line * line


@kernel
def chunk_of(n_in, k):
    """Return the chunk of input k."""
    chunk = 0
    while k >= chunk_start(n_in, chunk + 1):
        chunk += 1
    return chunk


def columns_of(n_out: int, itemsize: int) -> int:
    """Return `n_out` rounded up to whole vectors."""
    lanes = TARGET.lanes(itemsize)
    return -(-n_out // lanes) * lanes


def stride_of(columns: int, itemsize: int) -> int:
    """Return a row stride that spreads rows over the cache's sets.

    Rows a multiple of 512 bytes apart share an eighth of a first-level cache; one more line spreads them.
    """
    return columns + CACHE_LINE // itemsize if columns * itemsize % 512 == 0 else columns


def scratch_size(block: int, itemsize: int) -> int:
    """Return how many numbers of scratch one thread needs.

    Zeros; then a panel of W^T and the sums of its products with a block of rows, or packed panels of a group of A^T and
    one of deltas.
    """
    width = TILE_VECTORS * VECTOR_BYTES // itemsize
    panels = max((INNER_BLOCK + block) * width, block * (GROUP_TILES * PANEL + width))
    return -(-(ZEROS + panels) // CACHE_LINE) * CACHE_LINE
