# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Ragged batches of light curves, what a Gaussian process makes of them, and the checks of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, check_array, is_tensor, same_device
from lowlat_nodes.kernels.errors import BadArgument

FLOOR: Final = 1e-10
"""Least noise variance, in units of the squared amplitude: rounding would show below that."""

STEPS: Final = 100

MOST_EPOCHS: Final = {"cpu": 4096, "cuda": 160}
"""Of a curve, by device: the work grows with the third power, and on a GPU the factor stays in one block."""

LARGEST_AMPLITUDE: Final = {"cpu": 1e100, "cuda": 1e15}
"""By device; the smallest is one by that. Their squares must be numbers too."""

RESULT_DTYPE: Final = {"cpu": "float64", "cuda": "float32"}


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


class Posterior(NamedTuple):
    """What a Gaussian process says of n light curves; float64, on a GPU float32.

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
        BadArgument: If an array is not as `Curves` says, or a curve is longer than `MOST_EPOCHS`.
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
    counts = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != epochs or counts.min() < 0:
        fall = f" with a fall at curve {int(counts.argmin())}" if counts.min() < 0 else ""
        raise BadArgument(
            f"offsets: expected numbers that rise from 0 to the {epochs} epochs, got {offsets[0]} to "
            f"{offsets[-1]}{fall}"
        )
    if counts.max() > MOST_EPOCHS[device]:
        elsewhere = ", or compute on the CPU" if device == "cuda" else ""
        raise BadArgument(
            f"offsets: expected curves of at most {MOST_EPOCHS[device]} epochs on the {device}, got one of "
            f"{counts.max()} (curve {int(counts.argmax())}); bin its epochs or keep the newest{elsewhere}"
        )
    for name in ("times", "wavelengths", "values", "variances"):
        check_finite(name, getattr(curves, name), above_zero=name == "variances")
    return device


def check_finite(name: str, array: Any, *, above_zero: bool = False) -> None:
    """Check that all elements of an array are finite, and above 0 where that is asked for.

    Raises:
        BadArgument: If one is not.
    """
    sound = array.isfinite() if is_tensor(array) else np.isfinite(array)
    if above_zero:
        sound &= array > 0.0
    if not bool(sound.all()):
        place = np.argwhere(~np.asarray(sound.cpu() if is_tensor(sound) else sound))[0].tolist()
        wanted = "finite numbers above 0" if above_zero else "finite numbers"
        raise BadArgument(f"{name}: expected {wanted}, got {float(array[tuple(place)])} at {place}")


def check_kernel(
    device: str, amplitudes: Any, time_scales: Any, wavelength_scale: float, floor: float
) -> None:
    """Check the values of the parameters of the kernel.

    Raises:
        BadArgument: If one is not finite or out of range.
    """
    for name, array in (("amplitudes", amplitudes), ("time_scales", time_scales)):
        check_finite(name, array, above_zero=True)
    most = LARGEST_AMPLITUDE[device]
    if bool((amplitudes > most).any()) or bool((amplitudes < 1.0 / most).any()):
        raise BadArgument(
            f"amplitudes: expected {1.0 / most:g} to {most:g}, got {float(amplitudes.min()):g} to "
            f"{float(amplitudes.max()):g}; choose another unit of the values"
        )
    if not (math.isfinite(wavelength_scale) and wavelength_scale > 0.0):
        raise BadArgument(f"wavelength_scale: expected a finite number above 0, got {wavelength_scale}")
    if not 0.0 <= floor < 1.0:
        raise BadArgument(f"floor: expected at least 0 and less than 1, got {floor}")


def check_size(shape: tuple[int, ...]) -> None:
    """Check that a result of a shape can be counted in int32.

    Raises:
        BadArgument: If it cannot.
    """
    if math.prod(shape) > MOST_ELEMENTS:
        raise BadArgument(
            f"expected at most {MOST_ELEMENTS} results, got the shape {list(shape)}; split the batch"
        )
