"""Distorted images, drawn anew for every example of every epoch: one affine map and one elastic field for each.

Every draw depends on (seed, epoch, position in the epoch's order) alone: the same for any number of threads, and after
a resume. The arithmetic is that of `fastnn.reference.distort_image`.
"""

from __future__ import annotations

import math

from .argument_types import Floats, Int64Matrix
from .intrinsics import random_below
from .jit import entry, kernel
from .layout import DROP_UNIT, GRADIENT_INPUTS, LD_IN, N_GATHERED, StochasticRegularization
from .registry import Slot, linked_kernel
from .stochastic_regularization import STREAMS

AFFINE_DRAWS = 8  # of an image, before those of its field
FIELD_UNIT = 1 << 24
DISTORTION_STREAM = STREAMS - 2


@kernel
def uniform(limit, seed, stream, index):
    """Return a number of -limit..limit."""
    return limit * (2 * random_below(seed, stream, index, DROP_UNIT) / DROP_UNIT - 1)


@kernel
def draw_fields(u, v, seed, stream, start, height, width, ld):
    """Write u, v: (height, ld) independent uniform numbers of -1..1; columns past `width` stay as they are."""
    unit = u.dtype.type(2.0 / FIELD_UNIT)
    one = u.dtype.type(1)
    for y in range(height):
        row_u, row_v = u[y * ld : y * ld + width], v[y * ld : y * ld + width]
        for x in range(width):
            bits = random_below(seed, stream, start + y * width + x, FIELD_UNIT * FIELD_UNIT)
            row_u[x] = u.dtype.type(bits // FIELD_UNIT) * unit - one
            row_v[x] = u.dtype.type(bits % FIELD_UNIT) * unit - one


@kernel
def smooth_columns(out, source, taps, height, ld):
    """Compute out: (height, ld), out[y] = sum over t of taps[t] source[y + t - radius], rows outside being 0."""
    radius = len(taps) // 2
    for y in range(height):
        dst = out[y * ld : (y + 1) * ld]
        dst[:] = 0
        for t in range(max(0, radius - y), min(len(taps), height + radius - y)):
            tap, row = taps[t], source[(y + t - radius) * ld : (y + t - radius + 1) * ld]
            for x in range(ld):
                dst[x] += tap * row[x]


@kernel
def transpose(out, source, height, width, ld_out, ld):
    """Write out: (width, ld_out) the transpose of source: (height, ld); columns past `height` are 0."""
    out[: width * ld_out] = 0
    for y in range(height):
        for x in range(width):
            out[x * ld_out + y] = source[y * ld + x]


@kernel
def sample_bilinear(out, bordered, field_y, field_x, maps, alpha, height, width, ld_field):
    """Compute out: (height, width), each pixel read from where the map and the field point to.

    bordered: (height + 3, width + 3), the image with a border of background, one pixel before it and two behind;
    field_y, field_x: (width, ld_field), transposed; maps: (m_yy, m_yx, m_xy, m_xx, shift_y, shift_x) about the centre.
    """
    number = out.dtype.type
    m_yy, m_yx, m_xy, m_xx = number(maps[0]), number(maps[1]), number(maps[2]), number(maps[3])
    center_y, center_x = number(0.5 * (height - 1)), number(0.5 * (width - 1))
    zero, one, factor = number(0), number(1), number(alpha)
    from_y, from_x = center_y + number(maps[4]) + one, center_x + number(maps[5]) + one  # in the bordered image
    last_y, last_x = number(height + 1), number(width + 1)
    ld = width + 3
    elastic = len(field_y) > 0
    for y in range(height):
        for x in range(width):
            dy, dx = number(y) - center_y, number(x) - center_x
            at_y, at_x = from_y + (m_yy * dy + m_yx * dx), from_x + (m_xy * dy + m_xx * dx)
            if elastic:
                at_y += factor * field_y[x * ld_field + y]
                at_x += factor * field_x[x * ld_field + y]
            at_y, at_x = min(max(at_y, zero), last_y), min(max(at_x, zero), last_x)
            row, column = int(at_y), int(at_x)
            below, right = at_y - number(row), at_x - number(column)
            corner = row * ld + column
            upper = (one - right) * bordered[corner] + right * bordered[corner + 1]
            lower = (one - right) * bordered[corner + ld] + right * bordered[corner + ld + 1]
            out[y * width + x] = (one - below) * upper + below * lower


@kernel
def affine_map(settings, stream, start):
    """Return (m_yy, m_yx, m_xy, m_xx, shift_y, shift_x): pixel p, from the centre, is read at m p + shift.

    m = rotation . shear . diag(1 / scale_y, 1 / scale_x), the angles drawn in degrees.
    """
    seed = settings.seed
    shift_y, shift_x = uniform(settings.shift, seed, stream, start), uniform(settings.shift, seed, stream, start + 1)
    angle = uniform(settings.rotation, seed, stream, start + 2) * (math.pi / 180)
    shear = math.tan(uniform(settings.shear, seed, stream, start + 3) * (math.pi / 180))
    inverse_y = 1 / (1 + uniform(settings.scale, seed, stream, start + 4))
    inverse_x = 1 / (1 + uniform(settings.scale, seed, stream, start + 5))
    if settings.flip and random_below(seed, stream, start + 6, 2) == 1:
        inverse_x = -inverse_x
    cosine, sine = math.cos(angle), math.sin(angle)
    return (
        cosine * inverse_y,
        (cosine * shear - sine) * inverse_x,
        sine * inverse_y,
        (sine * shear + cosine) * inverse_x,
        shift_y,
        shift_x,
    )


@kernel
def distort_row(row, scratch, settings, stream, position):
    """Update row: (height * width,), one image, with the distortion of a position; scratch: (image_scratch_size,)."""
    height, width, ld, ld_field = (
        settings.image_height, settings.image_width, settings.field_ld, settings.field_ld_transposed
    )  # fmt: skip
    seed = settings.seed
    start = position * (AFFINE_DRAWS + height * width)
    size = max(height * ld, width * ld_field)
    u, v, w = scratch[:size], scratch[size : 2 * size], scratch[2 * size : 3 * size]
    field_y, field_x = scratch[3 * size : 3 * size], scratch[4 * size : 4 * size]
    if settings.elastic_alpha > 0:
        field_y, field_x = scratch[3 * size : 4 * size], scratch[4 * size : 5 * size]
        draw_fields(u, v, seed, stream, start + AFFINE_DRAWS, height, width, ld)
        smooth_columns(w, u, settings.taps, height, ld)
        transpose(u, w, height, width, ld_field, ld)
        smooth_columns(field_y, u, settings.taps, width, ld_field)
        smooth_columns(w, v, settings.taps, height, ld)
        transpose(u, w, height, width, ld_field, ld)
        smooth_columns(field_x, u, settings.taps, width, ld_field)
    bordered = scratch[5 * size : 5 * size + (height + 3) * (width + 3)]
    bordered[:] = row.dtype.type(settings.background)
    for y in range(height):
        dst = bordered[(y + 1) * (width + 3) + 1 : (y + 1) * (width + 3) + 1 + width]
        source = row[y * width : (y + 1) * width]
        for x in range(width):
            dst[x] = source[x]
    maps = affine_map(settings, stream, start)
    sample_bilinear(row, bordered, field_y, field_x, maps, settings.elastic_alpha, height, width, ld_field)


@linked_kernel(Slot.DISTORT_EXAMPLES, (Floats, Int64Matrix, StochasticRegularization, int, int, int, int))
def distort_examples(buffer, table, stochastic_regularization, epoch, position, first, last):
    """Update buffer[GRADIENT_INPUTS]: rows first..last, each distorted. Row `first` is at `position` of the order."""
    settings, layer = stochastic_regularization, table[0]
    # rows of different threads never share scratch: each range has the rows' own part
    scratch = settings.image_scratch[first * settings.image_scratch_size : (first + 1) * settings.image_scratch_size]
    for r in range(first, last):
        row = layer[GRADIENT_INPUTS] + r * layer[LD_IN]
        distort_row(
            buffer[row : row + layer[N_GATHERED]], scratch, settings, epoch * STREAMS + DISTORTION_STREAM,
            position + r - first,
        )  # fmt: skip


@entry
def distort_images(out, settings, epoch, n_rows):
    """Update out: (n_rows, height * width), the image in row r with the distortion of position r of an epoch."""
    size = settings.image_height * settings.image_width
    for r in range(n_rows):
        row = out[r * size : (r + 1) * size]
        distort_row(row, settings.image_scratch, settings, epoch * STREAMS + DISTORTION_STREAM, r)
