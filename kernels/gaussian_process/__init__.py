# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes over time and wavelength: many short, irregular light curves at once.

Both operations have the kernel of t2 (Allam Jr. and McEwen, arXiv 2105.06178, after Boone 2019,
arXiv 1907.04690): the squared amplitude times the Matern 3/2 function (1 + d) exp(-d) of the distance
d = sqrt(3) |(time / time scale, wavelength / wavelength scale)|, plus the noise of each epoch.
"""

from __future__ import annotations

from typing import Any

from lowlat_nodes.kernels.arguments import check_array, same_device
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.gaussian_process.curves import (
    FLOOR,
    IN_NUMPY,
    IN_TORCH,
    STEPS,
    Curves,
    Posterior,
    check_curves,
    check_size,
    check_values,
    ranges,
)
from lowlat_nodes.kernels.registry import of, op

__all__ = [
    "FLOOR",
    "IN_NUMPY",
    "IN_TORCH",
    "STEPS",
    "Curves",
    "Posterior",
    "gaussian_process",
    "gaussian_process_likelihood",
]


@op(
    "gaussian_process",
    ref=of("reference"),
    cpu=[of("cpu", needs="numba"), of("batched")],
    cuda=of("cuda", needs="torch triton"),
)
def gaussian_process(
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
) -> str:
    """Interpolate light curves with a Gaussian process of given parameters.

    Units are the caller's: one of time, one of wavelength, one of values. On a GPU all is computed in
    float32 after times were counted from the first of each curve.

    Args:
        curves: At least one. One without epochs has mean 0 and the variance of the process.
        amplitudes: float64 [n], the standard deviation of the process far from all epochs, above 0.
        time_scales: float64 [n], above 0.
        wavelength_scale: Of all curves, above 0.
        query_wavelengths: float64 [w], where to evaluate, at each of the times.
        steps: How many times, equally spaced from the first epoch of a curve to its last.
        query_times: float64 [n, steps], other times than those; `steps` is then not looked at.
        floor: Noise variances are taken as at least this part of the squared amplitude. On a GPU it is never
            less than 1e-4: a noise of 1 % of the amplitude.
        out: Where the result goes; made if None.

    Returns:
        `Posterior`.

    Raises:
        BadArgument: If an array has another dtype, shape or device, is not finite or out of range, or a curve
            is longer than `IN_NUMPY` or `IN_TORCH` allow; nothing was written.
    """
    devices = {
        "curves": check_curves(curves),
        "amplitudes": check_array("amplitudes", amplitudes, dtypes=["float64"], shape=[len(curves)]),
        "time_scales": check_array("time_scales", time_scales, dtypes=["float64"], shape=[len(curves)]),
        "query_wavelengths": check_array(
            "query_wavelengths", query_wavelengths, dtypes=["float64"], shape=[None]
        ),
    }
    if query_times is not None:
        devices["query_times"] = check_array(
            "query_times", query_times, dtypes=["float64"], shape=[len(curves), None]
        )
        steps = int(query_times.shape[1])
    elif type(steps) is not int or steps < 1:
        raise BadArgument(f"steps: expected a whole number of at least 1, got {steps!r}")
    shape = (len(curves), steps, int(query_wavelengths.shape[0]))
    check_size(shape)
    if out is not None:
        for name, array, of_array in zip(Posterior._fields, out, (shape, shape, shape[:1]), strict=True):
            devices[f"out.{name}"] = check_array(
                f"out.{name}", array, dtypes=[curves.limits.dtype], shape=of_array
            )
    device = same_device(devices)
    every = ranges(curves, amplitudes, time_scales, query_wavelengths, query_times)
    check_values(every, wavelength_scale, floor)
    return device


@op(
    "gaussian_process_likelihood",
    ref=of("likelihood_reference"),
    cpu=[of("likelihood_cpu", needs="numba"), of("likelihood_batched")],
)
def gaussian_process_likelihood(
    curves: Curves,
    amplitudes: Any,
    time_scales: Any,
    wavelength_scale: float,
    *,
    floor: float = FLOOR,
    out: Any = None,
) -> str:
    """Return how likely light curves are, for each pair of an amplitude and a time scale.

    For fits: the kernel is evaluated once for each time scale.

    Args:
        curves: At least one, of NumPy.
        amplitudes: float64 [n, a], above 0.
        time_scales: float64 [n, t], above 0.
        wavelength_scale: Of all curves, above 0.
        floor: As for `gaussian_process`.
        out: float64 [n, t, a], where the result goes; made if None.

    Returns:
        float64 [n, t, a]: the natural logarithm of the likelihood, with the factors of 2 pi.

    Raises:
        BadArgument: As for `gaussian_process`.
    """
    devices = {
        "curves": check_curves(curves),
        "amplitudes": check_array("amplitudes", amplitudes, dtypes=["float64"], shape=[len(curves), None]),
        "time_scales": check_array("time_scales", time_scales, dtypes=["float64"], shape=[len(curves), None]),
    }
    shape = (len(curves), int(time_scales.shape[1]), int(amplitudes.shape[1]))
    check_size(shape)
    if out is not None:
        devices["out"] = check_array("out", out, dtypes=["float64"], shape=shape)
    device = same_device(devices)
    check_values(ranges(curves, amplitudes, time_scales), wavelength_scale, floor)
    return device
