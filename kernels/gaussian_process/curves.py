# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Ragged batches of light curves, what a Gaussian process makes of them, and the checks of both."""

from __future__ import annotations

import functools
import math
import operator
import sys
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, check_array, is_tensor, same_device
from lowlat_nodes.kernels.errors import BadArgument

FLOOR: Final = 1e-10
"""Least noise variance, in units of the squared amplitude: rounding would show below that."""

STEPS: Final = 100
"""How many times a curve is interpolated at."""


class Limits(NamedTuple):
    """What depends on whether arrays are those of NumPy or tensors of torch.

    Attributes:
        epochs: The most of a curve.
        amplitude: The largest; the smallest is one by that. Their squares must be numbers too.
        dtype: Of the results of `gaussian_process`.
    """

    epochs: int
    amplitude: float
    dtype: str


IN_NUMPY: Final = Limits(4096, 1e100, "float64")
"""The work grows with the third power of the epochs: those of 4096 take seconds."""

IN_TORCH: Final = Limits(512, 1e15, "float32")
"""The factors of some 200 epochs stay in the caches of a large GPU, and in its memory still those of 512."""

SCALES: Final = (1e-30, 1e30)
"""Between which time and wavelength scales must be, for their squares to be numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """n light curves with m epochs in all: curve i has the epochs offsets[i] to offsets[i + 1].

    Arrays of NumPy, or tensors of torch on one GPU; contiguous.

    Attributes:
        offsets: int64 [n + 1], from 0 to m, rising; a curve may have no epochs.
        times: float64 [m], in any order within a curve, repeated or not.
        wavelengths: float64 [m].
        values: float64 [m], such as fluxes.
        variances: float64 [m], of the noise of each value, above 0.
    """

    offsets: Any
    times: Any
    wavelengths: Any
    values: Any
    variances: Any

    def __len__(self) -> int:
        """Return the number of light curves."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Any:
        """How many epochs each curve has, int64 [n]."""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def limits(self) -> Limits:
        """What arrays of their kind are limited to."""
        return IN_TORCH if is_tensor(self.offsets) else IN_NUMPY


class Posterior(NamedTuple):
    """What a Gaussian process says of n light curves; float64, in tensors float32.

    Attributes:
        mean: [n, steps, query wavelengths], in units of the values.
        variance: [n, steps, query wavelengths], of the process, without noise.
        log_likelihood: [n], of the values, natural, with the factors of 2 pi; 0 without epochs.
    """

    mean: Any
    variance: Any
    log_likelihood: Any


def check_curves(curves: Curves) -> str:
    """Return the device of light curves.

    Raises:
        BadArgument: If an array is not as `Curves` says, but for values, or a curve is longer than its limit.
    """
    devices = {"offsets": check_array("offsets", curves.offsets, dtypes=["int64"], shape=[None])}
    if len(curves.offsets) < 2:
        raise BadArgument(f"offsets: expected those of at least one curve, got {len(curves.offsets)} numbers")
    epochs = None
    for name in ("times", "wavelengths", "values", "variances"):
        array = getattr(curves, name)
        devices[name] = check_array(name, array, dtypes=["float64"], shape=[epochs], empty=True)
        epochs = int(array.shape[0])
    device = same_device(devices)
    offsets = curves.offsets.cpu().numpy() if is_tensor(curves.offsets) else curves.offsets
    counts = offsets[1:] - offsets[:-1]
    if offsets[0] != 0 or offsets[-1] != epochs or counts.min() < 0:
        fall = f" with a fall at curve {int(counts.argmin())}" if counts.min() < 0 else ""
        raise BadArgument(
            f"offsets: expected numbers that rise from 0 to the {epochs} epochs, got {offsets[0]} to "
            f"{offsets[-1]}{fall}"
        )
    if counts.max() > curves.limits.epochs:
        elsewhere = ", or give arrays of NumPy" if curves.limits is IN_TORCH else ""
        raise BadArgument(
            f"offsets: expected curves of at most {curves.limits.epochs} epochs, got one of {counts.max()} "
            f"(curve {int(counts.argmax())}); bin its epochs or keep the newest{elsewhere}"
        )
    return device


class Range(NamedTuple):
    """What the elements of an array must be: from `least` to `most`."""

    name: str
    array: Any
    least: float = -sys.float_info.max
    most: float = sys.float_info.max
    wanted: str = "finite numbers"

    def holds_of(self, array: Any) -> bool:
        """Return whether all elements of an array of NumPy are so; NaN never is."""
        return not array.size or bool(self.least <= array.min() and array.max() <= self.most)


def ranges(
    curves: Curves, amplitudes: Any, time_scales: Any, query_wavelengths: Any = None, query_times: Any = None
) -> list[Range]:
    """Return what all arrays must be."""
    limits, (least, most) = curves.limits, SCALES
    smallest = 1.0 / limits.amplitude
    further = {"query_wavelengths": query_wavelengths, "query_times": query_times}
    return [
        *(Range(name, getattr(curves, name)) for name in ("times", "wavelengths", "values")),
        Range("variances", curves.variances, math.ulp(0.0), wanted="finite numbers above 0"),
        Range(
            "amplitudes",
            amplitudes,
            smallest,
            limits.amplitude,
            f"{smallest:g} to {limits.amplitude:g}, in a suitable unit",
        ),
        Range("time_scales", time_scales, least, most, f"{least:g} to {most:g}, in a suitable unit"),
        *(Range(name, array) for name, array in further.items() if array is not None),
    ]


def check_values(every: list[Range], wavelength_scale: float, floor: float) -> None:
    """Check the values of arrays, of tensors with one wait for the GPU, and the other parameters.

    Raises:
        BadArgument: If one is not as it must be.
    """
    if not SCALES[0] <= wavelength_scale <= SCALES[1]:
        raise BadArgument(
            f"wavelength_scale: expected {SCALES[0]:g} to {SCALES[1]:g}, got {wavelength_scale}"
        )
    if not 0.0 <= floor < 1.0:
        raise BadArgument(f"floor: expected at least 0 and less than 1, got {floor}")
    if is_tensor(every[0].array):
        sound = [((each.array >= each.least) & (each.array <= each.most)).all() for each in every]
        if bool(functools.reduce(operator.and_, sound)):
            return
    for each in every:
        array = np.asarray(each.array.cpu() if is_tensor(each.array) else each.array)
        if not each.holds_of(array):
            place = np.argwhere(~((array >= each.least) & (array <= each.most)))[0].tolist()
            raise BadArgument(f"{each.name}: expected {each.wanted}, got {array[tuple(place)]:g} at {place}")


def check_size(shape: tuple[int, ...]) -> None:
    """Check that a result of a shape can be counted in int32.

    Raises:
        BadArgument: If it cannot.
    """
    if math.prod(shape) > MOST_ELEMENTS:
        raise BadArgument(
            f"expected at most {MOST_ELEMENTS} results, got the shape {list(shape)}; split the batch"
        )
