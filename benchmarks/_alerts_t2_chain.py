# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts classified the way that FINK ran t2: decode everything, fit a Gaussian process, run the network.

The steps and their order are those of fink-broker and astronet, one alert at a time, without what makes these
slower than they need be: no Spark, no pandas, no astropy table, no Keras; schemas are parsed once. What is
left is fastavro, george with the L-BFGS-B fit of t2, and ONNX Runtime on one thread.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT

STAGES = ("decode", "light_curve", "gaussian_process", "network", "serialise")

_WAVELENGTHS_A = {1: 4804.79, 2: 6436.92, 3: 7968.22}
_WAVELENGTH_SCALE_A = 6000.0
_TIME_SCALE_DAYS = 20.0
_STEPS = 100
_QUERIED = (1, 2)


class T2Chain:
    """Classifies ZTF packets one by one.

    Args:
        path: A model of `lowlat train t2`.
        schema: The writer's schema of schemaless packets; None for packets that are Avro containers.

    Attributes:
        stages_ns: Time spent so far in each of `STAGES`.
        packets: How many packets that was.
    """

    def __init__(self, path: Path, schema: dict[str, Any] | None = None) -> None:
        import fastavro
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._read_container, self._read_record = fastavro.reader, fastavro.schemaless_reader
        self._schema = None if schema is None else fastavro.parse_schema(schema)
        self.stages_ns: Counter[str] = Counter()
        self.packets = 0

    def classify_packet(self, packet: bytes) -> dict[str, Any]:
        """Return what a broker publishes about an alert; without detections it has no probabilities."""
        times = [time.perf_counter_ns()]
        alert = self._decode(packet)
        times.append(time.perf_counter_ns())
        curve = light_curve(alert)
        times.append(time.perf_counter_ns())
        process = interpolate(*curve) if len(curve[0]) else None
        times.append(time.perf_counter_ns())
        probabilities: list[float] | None = None
        if process is not None:
            mean, error, span = process
            feed = {
                "flux_njy": mean.astype(np.float32)[None],
                "error_njy": error.astype(np.float32)[None],
                "span_days": np.array([span], np.float32),
            }
            probabilities = self._session.run(["probabilities"], feed)[0][0].tolist()
        times.append(time.perf_counter_ns())
        result: dict[str, Any] = {
            "candid": alert["candid"],
            "object_id": alert["objectId"],
            "detections": len(curve[0]),
            "probabilities": None
            if probabilities is None
            else dict(zip(CLASSES, probabilities, strict=True)),
        }
        result["serialised"] = json.dumps(result).encode()
        times.append(time.perf_counter_ns())
        for stage, start, end in zip(STAGES, times, times[1:], strict=False):
            self.stages_ns[stage] += end - start
        self.packets += 1
        return result

    def stages_us(self) -> dict[str, float]:
        """Return the mean time of a packet in each stage."""
        return {stage: self.stages_ns[stage] / 1000.0 / max(1, self.packets) for stage in STAGES}

    def _decode(self, packet: bytes) -> dict[str, Any]:
        stream = io.BytesIO(packet)
        if self._schema is None:
            return next(self._read_container(stream))
        return self._read_record(stream, self._schema, None)


def light_curve(alert: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the detections of a ZTF alert by time: days, wavelength in Angstrom, flux and error in nJy."""
    rows = []
    for epoch in [*(alert["prv_candidates"] or ()), alert["candidate"]]:
        magnitude = epoch["magpsf"]
        if magnitude is None:
            continue
        flux = 10.0 ** (0.4 * (AB_ZERO_POINT - magnitude))
        error = flux * epoch["sigmapsf"] * 0.4 * math.log(10.0)
        if epoch["isdiffpos"] not in {"t", "1"}:
            flux = -flux
        rows.append((epoch["jd"], _WAVELENGTHS_A[epoch["fid"]], flux, error))
    rows.sort()
    table = np.array(rows).reshape(-1, 4)
    return table[:, 0] - (table[0, 0] if rows else 0.0), table[:, 1], table[:, 2], table[:, 3]


def interpolate(
    days: np.ndarray, wavelength_a: np.ndarray, flux: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit t2's Gaussian process to a light curve, with its bounds and tolerance.

    Returns:
        Mean and standard deviation in nJy, float64 [100, 2], in g and r, oldest first; span of time in days.
    """
    import george
    from scipy import optimize

    significance = np.abs(flux) / np.sqrt(error**2 + (0.01 * flux.max()) ** 2)
    scale = abs(flux[significance.argmax()])
    kernel = (0.5 * scale) ** 2 * george.kernels.Matern32Kernel(
        [_TIME_SCALE_DAYS**2, _WAVELENGTH_SCALE_A**2], ndim=2
    )
    kernel.freeze_parameter("k2:metric:log_M_1_1")
    process = george.GP(kernel)
    start = process.get_parameter_vector()
    process.compute(np.stack([days, wavelength_a], axis=1), error)

    def loss(at: np.ndarray) -> float:
        process.set_parameter_vector(at)
        value = process.log_likelihood(flux, quiet=True)
        return -value if np.isfinite(value) else 1e25

    def gradient(at: np.ndarray) -> np.ndarray:
        process.set_parameter_vector(at)
        return np.asarray(-process.grad_log_likelihood(flux, quiet=True))

    bounds = [(start[0] - 10.0, start[0] + 10.0), (0.0, math.log(1000.0**2))]
    found = optimize.minimize(loss, start, jac=gradient, method="L-BFGS-B", bounds=bounds, tol=1e-6)
    process.set_parameter_vector(found.x if found.success else start)
    times = np.linspace(days[0], days[-1], _STEPS)
    queries = np.stack(
        [np.repeat(times, len(_QUERIED)), np.tile([_WAVELENGTHS_A[fid] for fid in _QUERIED], _STEPS)], axis=1
    )
    mean, variance = process.predict(flux, queries, return_var=True)
    shape = (_STEPS, len(_QUERIED))
    return mean.reshape(shape), np.sqrt(np.maximum(variance, 0.0)).reshape(shape), float(days[-1])
