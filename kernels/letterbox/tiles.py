# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What each block of the letterbox does on a GPU, in Triton, and the table that tells it of the images.

Neighbouring threads make neighbouring pixels, so that a warp reads and writes runs of memory. A thread that
stored 16 bytes would read pixels far from those of its neighbours, or exchange them through shared memory,
which takes as long as the stores that it saves; so only tiles without any of an image are stored so. Places
are counted in 1 / 2 ** 32 of a pixel, which needs no division and has no error that anyone could see on
images of any size. All that is read lies in the image, whatever the tile; a neighbour without weight is not
read, so that a reduction by a whole factor reads no row for nothing.
"""

# What is compiled has no types of Python, constants in capitals, and conditions on those apart from others.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# ruff: noqa: N803, SIM102

import triton
import triton.language as tl

# The fields of a row of the table, int64.
ADDRESS, STRIDE, PIXEL, KIND, SWAPPED = (tl.constexpr(field) for field in range(5))
LEFT, TOP, RIGHT, BOTTOM, LAST_X, LAST_Y = (tl.constexpr(field) for field in range(5, 11))
START_X, STEP_X, START_Y, STEP_Y = (tl.constexpr(field) for field in range(11, 15))
EXACT = tl.constexpr(15)  # whether each place is a pixel, and no neighbour has a weight
# Of YUV: the bytes from the first to the first luma and U, from U to V, and how chroma's rows are numbered.
LUMA, CHROMA, TO_V, HALVED = (tl.constexpr(field) for field in range(16, 20))
# Of mosaics: the first red pixel.
RED_ROW, RED_COLUMN = (tl.constexpr(field) for field in range(20, 22))
FIELDS = tl.constexpr(24)

COLOURS, GREY, YUV, MOSAIC = (tl.constexpr(kind) for kind in (1, 2, 4, 8))
"""Kinds of encodings; sums are sets of them."""

_EVEN = tl.constexpr(12582912.0)  # 1.5 * 2 ** 23: a float32 beside it has no place for a fraction


@triton.jit(do_not_specialize=["height", "width", "zero_point"])
def place(
    table,
    out,
    height,
    width,
    gain_0,
    gain_1,
    gain_2,
    offset_0,
    offset_1,
    offset_2,
    fill,
    zero_point,
    KINDS: tl.constexpr,
    FILLED: tl.constexpr,
    PIECE: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Make one tile of all three planes of one image.

    `KINDS` are those that there are among the images; with `FILLED` only what an image covers is written; a
    row of the target is a multiple of `PIECE` values.
    """
    row = table + tl.program_id(2) * FIELDS
    first_x, first_y = tl.program_id(0) * COLUMNS, tl.program_id(1) * ROWS
    left, right = tl.load(row + LEFT).to(tl.int32), tl.load(row + RIGHT).to(tl.int32)
    top, bottom = tl.load(row + TOP).to(tl.int32), tl.load(row + BOTTOM).to(tl.int32)
    x, y = first_x + tl.arange(0, COLUMNS), first_y + tl.arange(0, ROWS)
    if (first_x >= right) | (first_x + COLUMNS <= left) | (first_y >= bottom) | (first_y + ROWS <= top):
        if not FILLED:
            channel = tl.arange(0, 4)[:, None, None]
            gain = tl.where(channel == 0, gain_0, tl.where(channel == 1, gain_1, gain_2))
            offset = tl.where(channel == 0, offset_0, tl.where(channel == 1, offset_1, offset_2))
            # Written so that the compiler sees that rows begin at multiples of `PIECE`.
            length = width // PIECE * PIECE
            start = (
                (tl.program_id(2) * 3 + channel) * (height * length)
                + (y * length)[None, :, None]
                + x[None, None, :]
            )
            whole = (channel < 3) & (y < height)[None, :, None] & (x < length)[None, None, :]
            _write(
                out + start, tl.full((4, ROWS, COLUMNS), fill, tl.float32), gain, offset, zero_point, whole
            )
    else:
        inside = ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))[None, :]
        image = tl.load(row + ADDRESS).to(tl.pointer_type(tl.uint8))
        stride = tl.load(row + STRIDE).to(tl.int32)
        last_x, last_y = tl.load(row + LAST_X).to(tl.int32), tl.load(row + LAST_Y).to(tl.int32)
        before, after, to_right = _around(x - left, tl.load(row + START_X), tl.load(row + STEP_X), last_x)
        upper, lower, down = _around(y - top, tl.load(row + START_Y), tl.load(row + STEP_Y), last_y)
        pixel = tl.load(row + PIXEL).to(tl.int32)
        kind = tl.load(row + KIND)
        exact = tl.load(row + EXACT) != 0
        first = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
        second = first
        third = first
        if COLOURS & KINDS:
            if kind == COLOURS:
                first, second, third = _of_colours(
                    image, stride, pixel, before, after, to_right, upper, lower, down, exact
                )
        if GREY & KINDS:
            if kind == GREY:
                first = _of_grey(image, stride, before, after, to_right, upper, lower, down, exact)
                second = first
                third = first
        if YUV & KINDS:
            if kind == YUV:
                first, second, third = _of_yuv(
                    image, stride, pixel, before, after, to_right, upper, lower, down, exact,
                    tl.load(row + LUMA).to(tl.int32), tl.load(row + CHROMA).to(tl.int32),
                    tl.load(row + TO_V).to(tl.int32), tl.load(row + HALVED).to(tl.int32),
                )  # fmt: skip
        if MOSAIC & KINDS:
            if kind == MOSAIC:
                first, second, third = _of_mosaic(
                    image, stride, before, after, to_right, upper, lower, down, last_x, last_y,
                    tl.load(row + RED_ROW).to(tl.int32), tl.load(row + RED_COLUMN).to(tl.int32),
                )  # fmt: skip
        if tl.load(row + SWAPPED) != 0:
            plane_0, plane_2 = 2, 0
            gain_0, gain_2 = gain_2, gain_0
            offset_0, offset_2 = offset_2, offset_0
        else:
            plane_0, plane_2 = 0, 2
        plane = height * width
        at = tl.program_id(2) * 3 * plane + (y * width)[:, None] + x[None, :]
        within = inside if FILLED else (y < height)[:, None] & (x < width)[None, :]
        _write(
            out + at + plane_0 * plane, tl.where(inside, first, fill), gain_0, offset_0, zero_point, within
        )
        _write(out + at + plane, tl.where(inside, second, fill), gain_1, offset_1, zero_point, within)
        _write(
            out + at + plane_2 * plane, tl.where(inside, third, fill), gain_2, offset_2, zero_point, within
        )


@triton.jit
def _around(index, start, step, last):
    """Return the source pixels before and after the places of target ones, and the weights of the latter."""
    place = start + index.to(tl.int64) * step
    before = (place >> 32).to(tl.int32)
    weight = ((place >> 8).to(tl.int32) & 0xFFFFFF).to(tl.float32) * (1.0 / (1 << 24))
    weight = tl.where(before < 0, 0.0, weight)
    before = tl.minimum(tl.maximum(before, 0), last)
    return before, tl.where(weight > 0, tl.minimum(before + 1, last), before), weight


@triton.jit
def _write(pointers, pixels, gain, offset, zero_point, mask):
    """Normalise pixels, cast them and store them."""
    values = pixels * gain + offset
    if pointers.dtype.element_ty == tl.int8:
        values = tl.minimum(tl.maximum(values, -512.0), 512.0)
        values = (values + _EVEN) - _EVEN
        values = tl.minimum(tl.maximum(values + zero_point, -128.0), 127.0)
    tl.store(pointers, values.to(pointers.dtype.element_ty), mask=mask)


@triton.jit
def _between(nearer, farther, weight):
    return nearer + (farther - nearer) * weight


@triton.jit
def _mean(a, b, c, d, to_right, down):
    """Return the weighted mean of four neighbours: above left and right, below left and right."""
    return _between(_between(a, b, to_right[None, :]), _between(c, d, to_right[None, :]), down[:, None])


@triton.jit
def _of_colours(image, stride, pixel, before, after, to_right, upper, lower, down, exact):
    """Return the first three bytes of the target's pixels, from those of an image of interleaved ones."""
    above, below = image + (upper * stride)[:, None], image + (lower * stride)[:, None]
    before, after = (before * pixel)[None, :], (after * pixel)[None, :]
    a, b, c, d = above + before, above + after, below + before, below + after
    if exact:
        first, second, third = _byte(a), _byte(a + 1), _byte(a + 2)
    else:
        first = _mean(_byte(a), _byte(b), _byte(c), _byte(d), to_right, down)
        second = _mean(_byte(a + 1), _byte(b + 1), _byte(c + 1), _byte(d + 1), to_right, down)
        third = _mean(_byte(a + 2), _byte(b + 2), _byte(c + 2), _byte(d + 2), to_right, down)
    return first, second, third


@triton.jit
def _of_grey(image, stride, before, after, to_right, upper, lower, down, exact):
    """Return the target's pixels from those of an image of one byte each."""
    above, below = image + (upper * stride)[:, None], image + (lower * stride)[:, None]
    before, after = before[None, :], after[None, :]
    grey = _byte(above + before)
    if not exact:
        b, c, d = _byte(above + after), _byte(below + before), _byte(below + after)
        grey = _mean(grey, b, c, d, to_right, down)
    return grey


@triton.jit
def _byte(pointers):
    return tl.load(pointers).to(tl.float32)


@triton.jit
def _whole(pointers):
    return tl.load(pointers).to(tl.int32)


@triton.jit
def _of_yuv(
    image, stride, pixel, before, after, to_right, upper, lower, down, exact, luma, chroma, to_v, halved
):  # fmt: skip
    """Return red, green and blue of the target's pixels from luma, and chroma that pairs of pixels share."""
    lights, pairs = image + luma, image + chroma
    red, green, blue = _from_yuv(lights, pairs, stride, pixel, upper, before, to_v, halved)
    if not exact:
        red_b, green_b, blue_b = _from_yuv(lights, pairs, stride, pixel, upper, after, to_v, halved)
        red_c, green_c, blue_c = _from_yuv(lights, pairs, stride, pixel, lower, before, to_v, halved)
        red_d, green_d, blue_d = _from_yuv(lights, pairs, stride, pixel, lower, after, to_v, halved)
        red = _mean(red, red_b, red_c, red_d, to_right, down)
        green = _mean(green, green_b, green_c, green_d, to_right, down)
        blue = _mean(blue, blue_b, blue_c, blue_d, to_right, down)
    return red, green, blue


@triton.jit
def _from_yuv(lights, pairs, stride, pixel, y, x, to_v, halved):
    """Return red, green and blue of source pixels, in the integers of OpenCV."""
    luma = _whole(lights + (y * stride)[:, None] + (x * pixel)[None, :])
    pair = pairs + ((y >> halved) * stride)[:, None] + ((x & -2) * pixel)[None, :]
    light = tl.maximum(luma - 16, 0) * 1220542 + (1 << 19)
    u, v = _whole(pair) - 128, _whole(pair + to_v) - 128
    red = (light + 1673527 * v) >> 20
    green = (light - 852492 * v - 409993 * u) >> 20
    blue = (light + 2116026 * u) >> 20
    return _clipped(red), _clipped(green), _clipped(blue)


@triton.jit
def _clipped(whole):
    return tl.minimum(tl.maximum(whole, 0), 255).to(tl.float32)


@triton.jit
def _of_mosaic(
    image, stride, before, after, to_right, upper, lower, down, last_x, last_y, red_row, red_column
):
    """Return red, green and blue of the target's pixels from a mosaic.

    The four neighbours of a place lie in the middle of 4 x 4 source pixels. One on the edge has the colours
    of the next one inwards.
    """
    x, y = _inwards(before, last_x), _inwards(upper, last_y)
    to_right = tl.where(_inwards(after, last_x) > x, to_right, 0.0)
    down = tl.where(_inwards(lower, last_y) > y, down, 0.0)
    r_0, r_1 = image + ((y - 1) * stride)[:, None], image + (y * stride)[:, None]
    r_2, r_3 = image + ((y + 1) * stride)[:, None], image + (tl.minimum(y + 2, last_y) * stride)[:, None]
    c_0, c_3 = (x - 1)[None, :], tl.minimum(x + 2, last_x)[None, :]
    p_00, p_01, p_02, p_03 = _four(r_0, c_0, c_3)
    p_10, p_11, p_12, p_13 = _four(r_1, c_0, c_3)
    p_20, p_21, p_22, p_23 = _four(r_2, c_0, c_3)
    p_30, p_31, p_32, p_33 = _four(r_3, c_0, c_3)
    red_y, red_x = ((y & 1) == red_row)[:, None], ((x & 1) == red_column)[None, :]
    red_a, green_a, blue_a = _from_mosaic(p_00, p_01, p_02, p_10, p_11, p_12, p_20, p_21, p_22, red_y, red_x)
    red_b, green_b, blue_b = _from_mosaic(p_01, p_02, p_03, p_11, p_12, p_13, p_21, p_22, p_23, red_y, ~red_x)
    red_c, green_c, blue_c = _from_mosaic(p_10, p_11, p_12, p_20, p_21, p_22, p_30, p_31, p_32, ~red_y, red_x)
    red_d, green_d, blue_d = _from_mosaic(
        p_11, p_12, p_13, p_21, p_22, p_23, p_31, p_32, p_33, ~red_y, ~red_x
    )
    return (
        _mean(red_a, red_b, red_c, red_d, to_right, down),
        _mean(green_a, green_b, green_c, green_d, to_right, down),
        _mean(blue_a, blue_b, blue_c, blue_d, to_right, down),
    )


@triton.jit
def _inwards(index, last):
    return tl.minimum(tl.maximum(index, 1), last - 1)


@triton.jit
def _four(row, c_0, c_3):
    """Return four bytes of a row, the last one perhaps the third again."""
    at = row + c_0
    return _whole(at), _whole(at + 1), _whole(at + 2), _whole(row + c_3)


@triton.jit
def _from_mosaic(p_00, p_01, p_02, p_10, p_11, p_12, p_20, p_21, p_22, red_row, red_column):
    """Return red, green and blue of the pixel in the middle of nine."""
    beside = (p_10 + p_12 + 1) >> 1
    above_and_below = (p_01 + p_21 + 1) >> 1
    across = (p_01 + p_21 + p_10 + p_12 + 2) >> 2
    diagonal = (p_00 + p_02 + p_20 + p_22 + 2) >> 2
    in_red_row = tl.where(red_column, p_11, beside)
    in_other_row = tl.where(red_column, above_and_below, diagonal)
    red = tl.where(red_row, in_red_row, in_other_row)
    # Blue is where red is not, in both directions.
    in_red_row = tl.where(red_column, diagonal, above_and_below)
    in_other_row = tl.where(red_column, beside, p_11)
    blue = tl.where(red_row, in_red_row, in_other_row)
    green = tl.where(red_row == red_column, across, p_11)
    return red.to(tl.float32), green.to(tl.float32), blue.to(tl.float32)
