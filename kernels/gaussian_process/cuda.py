# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes in float32 on an NVIDIA GPU, in Triton: one block works on one light curve at a time.

The covariance is made in squares of `SIDE` epochs, one at a time in registers, and never stored; what is
stored is its Cholesky factor. That lies in scratch memory of the block, as Triton has no index into registers
or shared memory at run time. There are as many blocks as run at once, and each takes one curve after another
into the same scratch: 100 KiB for 160 epochs, which L1 holds, and L2 that of all blocks. Only epochs and
results need come from and go to device memory. Products of squares are those of tensor cores, three of TF32
for one of float32.

Squares on the diagonal are eliminated column by column, as many steps as there are epochs, one after another,
with one exchange between warps in each. The other block of the multiprocessor has that time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, STEPS, Curves, Posterior
from lowlat_nodes.kernels.launching import beside

SIDE = 32
"""Epochs of a square."""

LEAST_FLOOR = 1e-4
"""Of the noise, in units of the squared amplitude: with less, float32 loses the mean of dense epochs."""

_QUERIES = 64  # at a time
_OPTIONS = {"num_warps": 4, "num_stages": 2, "enable_fp_fusion": True}
_BLOCKS_OF_A_MULTIPROCESSOR = 2  # as many as its registers suffice for
_HALF_LN_2_PI = tl.constexpr(0.5 * math.log(2.0 * math.pi))


def run(
    curves: Curves,
    amplitudes: Any,
    time_scales: Any,
    wavelength_scale: float,
    query_wavelengths: Any,
    *,
    steps: int = STEPS,
    query_times: Any = None,
    floor: float = FLOOR,
    out: Posterior | None = None,
) -> Posterior:
    """Compute the operation `gaussian_process`; waits for the GPU once, for the lengths of the curves."""
    n, colours = len(curves), len(query_wavelengths)
    steps = steps if query_times is None else query_times.shape[1]
    if out is None:
        mean = amplitudes.new_empty((n, steps, colours), dtype=torch.float32)
        out = Posterior(mean, torch.empty_like(mean), mean.new_empty(n))
    # The longest first, so that no block begins one when all others are about to end.
    counts = curves.counts
    order = torch.argsort(counts, descending=True)
    most = max(1, -(-int(counts.max()) // SIDE))
    blocks = min(n, _blocks(amplitudes.device))
    scratch = out.mean.new_empty((blocks, _scratch(most)))
    with beside(amplitudes):
        _interpolate[(blocks,)](
            order,
            curves.offsets,
            curves.times,
            curves.wavelengths,
            curves.values,
            curves.variances,
            amplitudes,
            time_scales,
            amplitudes if query_times is None else query_times,
            query_wavelengths,
            *out,
            scratch,
            scratch.stride(0),
            n,
            1.0 / wavelength_scale,
            max(floor, LEAST_FLOOR),
            steps,
            colours,
            int(query_times is not None),
            side=SIDE,
            queries=_QUERIES,
            **_OPTIONS,
        )
    return out


def _blocks(device: torch.device) -> int:
    """Return how many blocks run at once; in Triton's interpreter two, each with several curves."""
    if device.type != "cuda":
        return 2
    return _BLOCKS_OF_A_MULTIPROCESSOR * int(torch.cuda.get_device_properties(device).multi_processor_count)


def _scratch(squares: int) -> int:
    """Return how many numbers a curve with so many squares along the diagonal is worked on in."""
    return squares * (squares + 1) // 2 * SIDE * SIDE + squares * SIDE * (_QUERIES + 1)


@triton.jit  # type: ignore[untyped-decorator]
def _interpolate(
    order: tl.tensor,
    offsets: tl.tensor,
    times: tl.tensor,
    wavelengths: tl.tensor,
    values: tl.tensor,
    variances: tl.tensor,
    amplitudes: tl.tensor,
    time_scales: tl.tensor,
    query_times: tl.tensor,
    query_wavelengths: tl.tensor,
    mean: tl.tensor,
    variance: tl.tensor,
    log_likelihood: tl.tensor,
    scratch: tl.tensor,
    scratch_stride: tl.tensor,
    curves: tl.tensor,
    per_wavelength: tl.tensor,
    floor: tl.tensor,
    steps: tl.tensor,
    colours: tl.tensor,
    times_given: tl.tensor,
    side: tl.constexpr,
    queries: tl.constexpr,
) -> None:
    """Interpolate every so many-th curve of `order`."""
    factor = scratch + tl.program_id(0).to(tl.int64) * scratch_stride
    for number in range(tl.program_id(0), curves, tl.num_programs(0)):
        curve = tl.load(order + number)
        start = tl.load(offsets + curve)
        count = (tl.load(offsets + curve + 1) - start).to(tl.int32)
        squares = tl.maximum((count + side - 1) // side, 1)
        solved = factor + squares * (squares + 1) // 2 * side * side
        whitened = solved + squares * side * queries
        amplitude = tl.load(amplitudes + curve)
        per_value = 1.0 / amplitude
        per_time = (1.0 / tl.load(time_scales + curve)).to(tl.float32)
        tl.debug_barrier()  # what the curve before left in scratch was read by all
        likelihood = _factorise(
            factor, whitened, times + start, wavelengths + start, values + start, variances + start,
            count, squares, per_value, per_time, per_wavelength, floor, side,
        )  # fmt: skip
        scale = amplitude.to(tl.float32)
        tl.store(log_likelihood + curve, likelihood - count * (tl.log(scale) + _HALF_LN_2_PI))
        origin = tl.load(times + start, mask=count > 0, other=0.0)
        first, span = _span(times + start, origin, count, squares, side)
        for begin in range(0, steps * colours, queries):
            query = begin + tl.arange(0, queries)
            asked = query < steps * colours
            step = query // colours
            if times_given != 0:
                time = tl.load(query_times + curve * steps + step, mask=asked, other=0.0) - origin
                time = time.to(tl.float32)
            else:
                time = first + span * (step.to(tl.float32) / tl.maximum(steps - 1, 1).to(tl.float32))
            wavelength = tl.load(query_wavelengths + query - step * colours, mask=asked, other=0.0)
            found, explained = _project(
                factor, whitened, solved, times + start, wavelengths + start,
                time * per_time, wavelength.to(tl.float32) * per_wavelength,
                count, squares, per_time, per_wavelength, side, queries,
            )  # fmt: skip
            place = curve * steps * colours + query
            tl.store(mean + place, scale * found, mask=asked)
            tl.store(variance + place, scale * scale * tl.maximum(1.0 - explained, 0.0), mask=asked)


@triton.jit  # type: ignore[untyped-decorator]
def _factorise(
    factor: tl.tensor,
    whitened: tl.tensor,
    times: tl.tensor,
    wavelengths: tl.tensor,
    values: tl.tensor,
    variances: tl.tensor,
    count: tl.tensor,
    squares: tl.tensor,
    per_value: tl.tensor,
    per_time: tl.tensor,
    per_wavelength: tl.tensor,
    floor: tl.tensor,
    side: tl.constexpr,
) -> tl.tensor:
    """Store the Cholesky factor L, for squares on its diagonal the transposed inverses, and L^-1 values.

    Returns:
        The logarithm of the likelihood in units of the amplitude, without factors of 2 pi.
    """
    index = tl.arange(0, side)
    likelihood = tl.zeros((), tl.float32)
    for j in range(squares):
        time, hue = _epochs(times, wavelengths, j, count, per_time, per_wavelength, side)
        real = j * side + index < count
        noise = tl.load(variances + j * side + index, mask=real, other=0.0) * per_value * per_value
        noise = tl.where(real, tl.minimum(tl.maximum(noise, floor), 1e30), 1.0).to(tl.float32)
        rest = tl.load(values + j * side + index, mask=real, other=0.0) * per_value
        rest = rest.to(tl.float32)
        square = _kernel(time, hue, real, time, hue, real)
        square += tl.where(index[:, None] == index[None, :], noise[:, None], 0.0)
        for k in range(j):
            left = tl.load(_square(factor, j, k, side))
            square -= tl.dot(left, tl.trans(left), input_precision="tf32x3")
            rest -= tl.sum(left * tl.load(whitened + k * side + index)[None, :], 1)
        # Through memory, so that rows lie within warps again and not as products of squares leave them.
        tl.store(_square(factor, j, j, side), square)
        tl.debug_barrier()
        square = tl.load(_square(factor, j, j, side))
        tl.debug_barrier()
        inverse, logarithm = _inverse_factor(square, floor, side)
        rest = tl.sum(inverse * rest[:, None], 0)
        likelihood -= 0.5 * tl.sum(rest * rest, 0) + logarithm
        tl.store(whitened + j * side + index, rest)
        tl.store(_square(factor, j, j, side), inverse)
        for i in range(j + 1, squares):
            low_time, low_hue = _epochs(times, wavelengths, i, count, per_time, per_wavelength, side)
            square = _kernel(low_time, low_hue, i * side + index < count, time, hue, real)
            for k in range(j):
                left, right = tl.load(_square(factor, i, k, side)), tl.load(_square(factor, j, k, side))
                square -= tl.dot(left, tl.trans(right), input_precision="tf32x3")
            square = tl.dot(square, inverse, input_precision="tf32x3")
            tl.store(_square(factor, i, j, side), square)
        tl.debug_barrier()
    return likelihood


@triton.jit  # type: ignore[untyped-decorator]
def _project(
    factor: tl.tensor,
    whitened: tl.tensor,
    solved: tl.tensor,
    times: tl.tensor,
    wavelengths: tl.tensor,
    query_time: tl.tensor,
    query_hue: tl.tensor,
    count: tl.tensor,
    squares: tl.tensor,
    per_time: tl.tensor,
    per_wavelength: tl.tensor,
    side: tl.constexpr,
    queries: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return mean and explained variance of some queries, in units of the amplitude."""
    index, query = tl.arange(0, side), tl.arange(0, queries)
    found = tl.zeros([queries], tl.float32)
    explained = tl.zeros([queries], tl.float32)
    for i in range(squares):
        time, hue = _epochs(times, wavelengths, i, count, per_time, per_wavelength, side)
        part = _kernel(time, hue, i * side + index < count, query_time, query_hue, query < queries)
        for k in range(i):
            above = tl.load(solved + (k * side + index)[:, None] * queries + query[None, :])
            part -= tl.dot(tl.load(_square(factor, i, k, side)), above, input_precision="tf32x3")
        inverse = tl.load(_square(factor, i, i, side))
        part = tl.dot(tl.trans(inverse), part, input_precision="tf32x3")
        tl.store(solved + (i * side + index)[:, None] * queries + query[None, :], part)
        found += tl.sum(tl.load(whitened + i * side + index)[:, None] * part, 0)
        explained += tl.sum(part * part, 0)
        tl.debug_barrier()
    return found, explained


@triton.jit  # type: ignore[untyped-decorator]
def _inverse_factor(
    square: tl.tensor,
    floor: tl.tensor,
    side: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return the transposed inverse of the Cholesky factor of a square, and the logarithm of its determinant.

    Rows lie within warps, so that in each step only one sum, that down the columns, has to cross them.
    """
    index = tl.arange(0, side)
    row, column = index[:, None], index[None, :]
    inverse = tl.where(row == column, 1.0, 0.0)
    logarithm = tl.zeros((), tl.float32)
    for k in range(side):
        down = tl.sum(tl.where(column == k, square, 0.0), 1)
        own = tl.sum(tl.where(column == k, inverse, 0.0), 1)
        across = tl.sum(tl.where(row == k, square, 0.0), 0)
        # No pivot is less than the noise of its epoch, in exact arithmetic.
        pivot = tl.maximum(tl.sum(tl.where(index == k, across, 0.0), 0), floor)
        share = tl.where(index > k, across / pivot, 0.0)[None, :]
        square -= down[:, None] * share
        inverse -= own[:, None] * share
        inverse = tl.where(column == k, inverse * tl.rsqrt(pivot), inverse)
        logarithm += 0.5 * tl.log(pivot)
    return inverse, logarithm


@triton.jit  # type: ignore[untyped-decorator]
def _span(
    times: tl.tensor,
    origin: tl.tensor,
    count: tl.tensor,
    squares: tl.tensor,
    side: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return the least time of a curve, and how much later the last is; both 0 without epochs."""
    first, last = tl.zeros((), tl.float32), tl.zeros((), tl.float32)  # those of the epoch at the origin
    for i in range(squares):
        epoch = i * side + tl.arange(0, side)
        time = (tl.load(times + epoch, mask=epoch < count, other=origin) - origin).to(tl.float32)
        first = tl.minimum(first, tl.min(time, 0))
        last = tl.maximum(last, tl.max(time, 0))
    return first, last - first


@triton.jit  # type: ignore[untyped-decorator]
def _epochs(
    times: tl.tensor,
    wavelengths: tl.tensor,
    i: tl.tensor,
    count: tl.tensor,
    per_time: tl.tensor,
    per_wavelength: tl.tensor,
    side: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor]:
    """Return times and wavelengths of the epochs of a square, in units of the scales."""
    epoch = i * side + tl.arange(0, side)
    origin = tl.load(times, mask=count > 0, other=0.0)
    time = (tl.load(times + epoch, mask=epoch < count, other=0.0) - origin).to(tl.float32)
    wavelength = tl.load(wavelengths + epoch, mask=epoch < count, other=0.0).to(tl.float32)
    return time * per_time, wavelength * per_wavelength


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(
    time: tl.tensor,
    hue: tl.tensor,
    real: tl.tensor,
    other_time: tl.tensor,
    other_hue: tl.tensor,
    other_real: tl.tensor,
) -> tl.tensor:
    """Return the Matern 3/2 function between points, 0 where one is not real."""
    days = time[:, None] - other_time[None, :]
    colours = hue[:, None] - other_hue[None, :]
    distance = tl.minimum(
        tl.sqrt(3.0 * (days * days + colours * colours)), 100.0
    )  # exp(-100) is 0, inf no number
    return tl.where(real[:, None] & other_real[None, :], (1.0 + distance) * tl.exp(-distance), 0.0)


@triton.jit  # type: ignore[untyped-decorator]
def _square(
    factor: tl.tensor,
    i: tl.tensor,
    j: tl.tensor,
    side: tl.constexpr,
) -> tl.tensor:
    """Return the addresses of a square of the factor, on or below its diagonal."""
    index = tl.arange(0, side)
    return factor + (i * (i + 1) // 2 + j) * side * side + index[:, None] * side + index[None, :]


def _compilation() -> Compilation:
    doubles = (
        "times", "wavelengths", "values", "variances", "amplitudes", "time_scales", "query_times",
        "query_wavelengths",
    )  # fmt: skip
    numbers = ("mean", "variance", "log_likelihood", "scratch")
    return Compilation(
        _interpolate,
        {
            **dict.fromkeys(("order", "offsets"), "*i64"),
            **dict.fromkeys(doubles, "*fp64"),
            **dict.fromkeys(numbers, "*fp32"),
            **dict.fromkeys(("per_wavelength", "floor"), "fp32"),
            **dict.fromkeys(("scratch_stride", "curves", "steps", "colours", "times_given"), "i32"),
        },
        {"side": SIDE, "queries": _QUERIES},
        _OPTIONS,
        aligned=("order", "offsets", *doubles, *numbers, "scratch_stride"),
    )


COMPILATIONS = (_compilation(),)
