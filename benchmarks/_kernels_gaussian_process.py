# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes of light curves: ours against george, on one thread each; on a GPU against its floor.

On the CPU a process whose BLAS has one thread interpolates the same light curves with both, in turns, with
the same fixed parameters. Times are those of its thread by its own clock, so that whatever else the machine
does counts little. george is used as fast as it goes: one `GP` with its `BasicSolver` for all curves, its
parameters set and `compute` called once for each, then `predict(return_var=True)`.

On a GPU a batch is timed by events and compared with the least that it can take: see `floor`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.benchmarks._gpu_clock import gpu_s
from lowlat_nodes.kernels.gaussian_process import Curves, Posterior, gaussian_process
from lowlat_nodes.stream.errors import MissingExtra

Floats = NDArray[np.float64]

FEWEST_EPOCHS, MOST_EPOCHS = 12, 150
STEPS, QUERY_WAVELENGTHS = 100, np.array([0.48, 0.64])
WAVELENGTH_SCALE = 0.6
LARGEST_DIFFERENCE = 1e-6  # of the amplitude, between results that count as equal
LARGEST_DIFFERENCE_IN_FLOAT32 = 5e-3
OPERATIONS_OF_A_KERNEL_VALUE = 10
GPU_CURVES = 10_000

_TIMED = 11  # times, on a GPU
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return the figures of a device.

    ======================== =======================================================================
    gp_speedup_vs_george     median of the ratios of all rounds; the bar is 3
    gp_us_per_curve          of ours by numba, median of all rounds; `_numpy` of ours without numba
    gp_george_us_per_curve   likewise
    gp_largest_difference    between both results, in amplitudes and squares of them
    gp_compile_s             what the first call takes longer: numba is imported, and compiles
    gp_curves, gp_queries    how many curves, and queries of each
    gp_gpu_vs_floor          on a GPU: the time of a batch over its floor; the bar is 2
    gp_gpu_ms                of a batch of `gp_curves`; `gp_gpu_floor_ms` its floor
    ======================== =======================================================================
    """
    if device == "cuda":
        return _measure_gpu(quick)
    program = (
        "import sys, lowlat_nodes.benchmarks._kernels_gaussian_process as own; own.compare(int(sys.argv[1]))"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(100 if quick else 1000)],
        env={**os.environ, **_ONE_THREAD},
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: dict[str, Any] = json.loads(child.stdout)
    return figures


@dataclass(frozen=True)
class Sample:
    """Light curves and the parameters of their kernels."""

    curves: Curves
    amplitudes: Floats
    time_scales: Floats

    @classmethod
    def of(cls, n: int, seed: int = 0) -> Sample:
        """Make noisy bumps, evenly of all lengths, in the passbands of the queries and one more."""
        random = np.random.default_rng(seed)
        counts = random.integers(FEWEST_EPOCHS, MOST_EPOCHS + 1, n)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        m = int(offsets[-1])
        times = 59000.0 + np.concatenate([np.sort(random.uniform(0.0, 150.0, count)) for count in counts])
        sigma = random.uniform(0.03, 0.3, m)
        values = 2.0 * np.exp(-0.5 * ((times - 59050.0) / 25.0) ** 2) + sigma * random.standard_normal(m)
        curves = Curves(offsets, times, random.choice([*QUERY_WAVELENGTHS, 0.8], m), values, sigma**2)
        return cls(curves, random.uniform(0.5, 2.0, n), random.uniform(5.0, 60.0, n))

    def ours(self, implementation: str) -> Callable[[], Posterior]:
        """Return a call of an implementation, checks included."""
        run = gaussian_process.on(implementation)
        return lambda: run(
            self.curves, self.amplitudes, self.time_scales, WAVELENGTH_SCALE, QUERY_WAVELENGTHS, steps=STEPS
        )

    def george(self) -> Callable[[], list[tuple[Floats, Floats]]]:
        """Return a call of george that returns mean and variance [STEPS * wavelengths] of each curve."""
        try:
            import george
        except ImportError as error:
            raise MissingExtra("george", "peers") from error
        process = george.GP(
            george.kernels.ConstantKernel(0.0, ndim=2) * george.kernels.Matern32Kernel([1.0, 1.0], ndim=2),
            solver=george.BasicSolver,
        )
        prepared = list(self._for_george())

        def interpolate() -> list[tuple[Floats, Floats]]:
            made = []
            for parameters, epochs, values, sigma, queries in prepared:
                process.set_parameter_vector(parameters)
                process.compute(epochs, sigma)
                made.append(process.predict(values, queries, return_cov=False, return_var=True))
            return made

        return interpolate

    def _for_george(self) -> Iterator[tuple[Floats, ...]]:
        curves = self.curves
        for number, (start, stop) in enumerate(zip(curves.offsets[:-1], curves.offsets[1:], strict=True)):
            times = curves.times[start:stop]
            at = np.linspace(times.min(), times.max(), STEPS)
            # Those of george are the logarithms of half the variance, as its kernels are sums over two
            # dimensions, and of the squares of both scales.
            yield (
                np.log(
                    [
                        self.amplitudes[number] ** 2 / 2.0,
                        self.time_scales[number] ** 2,
                        WAVELENGTH_SCALE**2,
                    ]
                ),
                np.stack([times, curves.wavelengths[start:stop]], axis=1),
                curves.values[start:stop],
                np.sqrt(curves.variances[start:stop]),
                np.stack([np.repeat(at, len(QUERY_WAVELENGTHS)), np.tile(QUERY_WAVELENGTHS, STEPS)], axis=1),
            )


def compare(n: int) -> None:
    """Print the figures of the CPU as JSON; in a process whose BLAS has one thread."""
    sample = Sample.of(n)
    imported_s, ours = _timed(lambda: sample.ours("cpu"))
    numpy, george = sample.ours("batched"), sample.george()
    difference = _largest_difference(ours(), george(), sample.amplitudes)
    if not difference < LARGEST_DIFFERENCE:
        raise AssertionError(f"ours and george differ by {difference:.2g} of the amplitude")
    rounds = [[_timed(each)[0] for each in (ours, george, numpy)] for _ in range(5)]
    per_curve = [1e6 * statistics.median(each) / n for each in zip(*rounds, strict=True)]
    figures = {
        "gp_speedup_vs_george": round(statistics.median(theirs / own for own, theirs, _ in rounds), 2),
        "gp_us_per_curve": round(per_curve[0], 1),
        "gp_us_per_curve_numpy": round(per_curve[2], 1),
        "gp_george_us_per_curve": round(per_curve[1], 1),
        "gp_largest_difference": float(f"{difference:.2g}"),
        "gp_compile_s": round(imported_s, 2),
        "gp_curves": n,
        "gp_queries": STEPS * len(QUERY_WAVELENGTHS),
    }
    print(json.dumps(figures))


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of this thread's clock, and what was returned."""
    start = time.thread_time()
    made = call()
    return time.thread_time() - start, made


def _largest_difference(ours: Posterior, theirs: list[tuple[Floats, Floats]], amplitudes: Floats) -> float:
    mean, variance = (np.stack(each) for each in zip(*theirs, strict=True))
    scale = amplitudes[:, None]
    return float(
        max(
            np.abs((ours.mean.reshape(mean.shape) - mean) / scale).max(),
            np.abs((ours.variance.reshape(mean.shape) - variance) / scale**2).max(),
        )
    )


def floor(counts: NDArray[np.int64], bytes_per_s: float, operations_per_s: float) -> float:
    """Return the least seconds that a batch can take on a GPU: the longer of moving it and computing it.

    Moved are the epochs in float64 once and the results in float32. Computed are, for m epochs and q queries,
    the factor (m^3 / 3 operations in float32), the solution with q right sides (m^2 q), two sums (4 m q) and
    m^2 / 2 + m q values of the kernel with `OPERATIONS_OF_A_KERNEL_VALUE` each, a square root and an
    exponential counting as one. The rates are what this GPU reaches in a large copy and a large product of
    matrices in float32 without TF32.
    """
    m, q = counts.astype(float), STEPS * len(QUERY_WAVELENGTHS)
    moved = (m * 4 * 8).sum() + len(m) * (q * 2 * 4 + 3 * 8 + 4)
    operations = m**3 / 3 + m**2 * q + 4 * m * q + OPERATIONS_OF_A_KERNEL_VALUE * (m**2 / 2 + m * q)
    return float(max(moved / bytes_per_s, operations.sum() / operations_per_s))


def _measure_gpu(quick: bool) -> dict[str, Any]:
    import torch

    sample = Sample.of(GPU_CURVES // 10 if quick else GPU_CURVES)
    curves = sample.curves
    on_gpu = [
        torch.from_numpy(each).cuda()
        for each in (curves.offsets, curves.times, curves.wavelengths, curves.values, curves.variances)
    ]
    parameters = [torch.from_numpy(each).cuda() for each in (sample.amplitudes, sample.time_scales)]
    wavelengths = torch.from_numpy(QUERY_WAVELENGTHS).cuda()

    def ours() -> Posterior:
        return gaussian_process(Curves(*on_gpu), *parameters, WAVELENGTH_SCALE, wavelengths, steps=STEPS)

    found = Posterior(*(each.double().cpu().numpy() for each in ours()))
    expected = sample.ours("batched")()
    difference = max(
        float(np.abs((one - other) / sample.amplitudes[:, None, None] ** power).max())
        for one, other, power in zip(found[:2], expected[:2], (1, 2), strict=True)
    )
    if not difference < LARGEST_DIFFERENCE_IN_FLOAT32:
        raise AssertionError(f"the GPU and the CPU differ by {difference:.2g} of the amplitude")
    copied = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(copied)
    torch.backends.cuda.matmul.allow_tf32 = False
    square = torch.rand(4096, 4096, device="cuda")
    bytes_per_s = 2 * copied.numel() / gpu_s(lambda: target.copy_(copied), _TIMED)
    operations_per_s = 2 * 4096**3 / gpu_s(lambda: torch.mm(square, square), _TIMED)
    least_s, taken_s = floor(np.diff(curves.offsets), bytes_per_s, operations_per_s), gpu_s(ours, _TIMED)
    return {
        "gp_gpu_vs_floor": round(taken_s / least_s, 2),
        "gp_gpu_ms": round(1e3 * taken_s, 3),
        "gp_gpu_floor_ms": round(1e3 * least_s, 3),
        "gp_gpu_copy_gb_per_s": round(bytes_per_s / 1e9, 1),
        "gp_gpu_fp32_tflop_per_s": round(operations_per_s / 1e12, 1),
        "gp_gpu_largest_difference": float(f"{difference:.2g}"),
        "gp_curves": len(sample.amplitudes),
        "gp_queries": STEPS * len(QUERY_WAVELENGTHS),
    }
