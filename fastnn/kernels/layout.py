"""What the kernels are given: the layer table, the examples, the plan of a call, the threads' meeting place.

A layer is one row of the table, int64, its columns named here. Offsets and strides count numbers, not bytes, in the
flat parameter vector and the flat workspace.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .simd import CACHE_LINE, PANEL, TILE_VECTORS, VECTOR_BYTES
from .target import TARGET

N_IN = 0  # neurons below
N_OUT = 1  # neurons of this layer
COLUMNS = 2  # n_out rounded up to whole vectors: what the products compute
LD = 3  # stride between rows of the weights, and between examples in activations and deltas
WEIGHTS = 4  # parameters: row k holds the weights out of input k
BIASES = 5  # parameters
ACTIVATION = 6  # code, see activations.py
LD_IN = 7  # stride between examples of the activations below
INPUTS = 8  # workspace: activations below
OUTPUTS = 9  # workspace: activations of this layer
DELTAS = 10  # workspace: slopes of the activation, then deltas
COST = 11  # multiply-adds of all layers below, for one example
FROZEN = 12  # 1: weights and biases stay
DROPPED = 13  # share of this layer's neurons that dropout leaves out, in units of 2^-24
DROPPED_IN = 14  # as DROPPED, of the neurons below; for the first layer only
N_FIELDS = 15
DROP_UNIT = 1 << 24

ZEROS = 64  # numbers at the start of a thread's scratch that are kept 0
GROUP_TILES = 16  # tiles of W's rows that share packed activations
INNER_BLOCK = 256  # of the inner dimension: so many rows of a panel stay in the first-level cache
SYNC_STRIDE = CACHE_LINE // 8


class Examples(NamedTuple):
    """Data to learn from. The 1-D arrays are read-only; `inputs` are the raw bytes of the caller's rows."""

    inputs: np.ndarray  # uint8
    kind: int  # of number in `inputs`, see gather.py
    stride: int  # numbers from one row to the next
    scale: float  # each input is multiplied by it
    n_rows: int
    prefetch_distance: int  # places in the order after which a thread comes to its next rows: fetched in time
    targets: np.ndarray  # rows of n_out numbers, or empty
    labels: np.ndarray  # int64, or empty
    weights: np.ndarray  # one for each row, or empty
    values: np.ndarray  # of sparse rows, see sparse.py, times scale; else empty
    columns: np.ndarray  # int32
    starts: np.ndarray  # int64


class NetworkView(NamedTuple):
    """The network as the kernels see it."""

    table: np.ndarray  # (layers, N_FIELDS) int64
    loss: int  # code, see losses.py
    loss_parameter: float  # huber's limit, the quantile
    parameters: np.ndarray
    gradient: np.ndarray  # laid out as the parameters, or empty where no step needs it
    kernel_table: np.ndarray  # int64: addresses of the separately compiled kernels, see linking.py


class Workspace(NamedTuple):
    """Preallocated room for one block of rows; nothing in it outlives a block."""

    buffer: np.ndarray  # activations and deltas, layer by layer
    targets: np.ndarray  # (block, ld of the last layer)
    scratch: np.ndarray  # (threads, scratch_size)
    scratch_size: int
    row_factor: np.ndarray  # (block,) weight of the example over its batch's sum
    row_loss: np.ndarray  # (block,)
    row_correct: np.ndarray  # (block,) 1 where the brightest output is the right one
    block: int  # rows


class UpdateRule(NamedTuple):
    """How a step uses the slope, see rules.py; arrays that a rule does not need are empty."""

    method: int
    plain: int  # 1: w - rate * slope and nothing else, done where the slope is summed
    beta_1: float  # momentum, or Adam's first
    beta_2: float
    epsilon: float
    nesterov: int
    epsilon_before_correction: int  # 1: Adam adds epsilon before the bias is corrected
    weight_decay: float  # decoupled from the slope: w (1 - rate * decay)
    l1: float
    l2: float
    penalty_per_batch: (
        float  # above 0: l2 counts once for a batch, shared out over its examples, and enters the loss times this
    )
    clip_norm: float  # most that the norm of the whole slope may be; 0: any
    max_norm: float  # most that the norm of the weights into a neuron may be; 0: any
    ema_decay: float  # share of the average that a step keeps
    steps_before: int  # steps that the state has seen before step 0
    norms: np.ndarray  # float64: sums of squares of the slope's rows, layer by layer, each followed by its biases';
    # where l2 is shared, of stretches of the weights
    moment1: np.ndarray  # state, laid out as the parameters
    moment2: np.ndarray
    ema: np.ndarray


class StochasticRegularization(NamedTuple):
    """What is disturbed on purpose while training, see distortion.py."""

    dropout: int  # 1: neurons are dropped as the layer table says
    input_noise: float  # standard deviation added to the inputs
    label_smoothing: float  # share of a target that is spread over the classes
    seed: int


class StepRange(NamedTuple):
    """What one call does: steps first..last of the training, counted from its start."""

    first: int
    last: int
    batch_size: int
    start_epoch: int  # epochs trained before step 0
    shuffle: int
    seed: int
    update: int  # 0: leave the slope of the step in `gradient`
    stop_on_nan: int


class Records(NamedTuple):
    """What a training leaves for Python to read."""

    order: np.ndarray  # (n,) int64, the epoch's order of examples; empty: as they stand
    state: np.ndarray  # int64: [epoch that `order` belongs to or -1, next step, stopped]
    sums: np.ndarray  # float64: loss, weight and hits since the epoch began
    history: np.ndarray  # (epochs of the call, 4) float64: loss, accuracy, validation loss, validation accuracy
    learning_rates: np.ndarray  # one learning rate for each step of the call


ORDER_EPOCH, NEXT_STEP, STOPPED = 0, 1, 2


def columns_of(n_out: int, itemsize: int) -> int:
    """`n_out` rounded up to whole vectors."""
    lanes = TARGET.lanes(itemsize)
    return -(-n_out // lanes) * lanes


def stride_of(columns: int, itemsize: int) -> int:
    """A row stride that spreads rows over the cache's sets.

    Rows a multiple of 512 bytes apart share an eighth of a first-level cache; one more line spreads them.
    """
    return columns + CACHE_LINE // itemsize if columns * itemsize % 512 == 0 else columns


N_PIECES = 18
GATHER, ACTIVATE, OUTPUT, EXAMPLES, BACKWARD, WEIGHT_PASS, STEPS, PREDICT, FORWARD = range(9)
DESCEND, RULE_PASS, CLIPPED_PASS, LIMITS_PASS, DISTORT, DROP, SPARSE_FORWARD, SPARSE_PASS, PENALTY_PASS = range(9, 18)


def scratch_size(block: int, itemsize: int) -> int:
    """Numbers of scratch that one thread needs.

    Zeros; then a panel of W^T and the sums of its products with a block of rows, or packed panels of a group of A^T and
    one of deltas.
    """
    width = TILE_VECTORS * VECTOR_BYTES // itemsize
    panels = max((INNER_BLOCK + block) * width, block * (GROUP_TILES * PANEL + width))
    return -(-(ZEROS + panels) // CACHE_LINE) * CACHE_LINE
