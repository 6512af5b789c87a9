# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts that tests of the alert node send, good ones and bad ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.stream.payload import Packet

PATIENCE_S = 60.0
MJD = 60000.0


def curves(
    *days: Sequence[float],
    first: int = 0,
    band: str = "ztf_g",
    flux_njy: float = 1e5,
    error_njy: float = 1e3,
) -> LightCurves:
    """Return light curves with a detection at each of these days."""
    counts = [len(times) for times in days]
    total = sum(counts)
    return LightCurves(
        np.arange(first, first + len(days)),
        [f"ZTF{first + number}" for number in range(len(days))],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        MJD + np.concatenate([np.asarray(times, float) for times in days]),
        np.full(total, CODES[band], np.uint8),
        np.full(total, flux_njy),
        np.full(total, error_njy),
        np.ones(total, np.bool_),
    )


def alerts(count: int, *, first: int = 0) -> list[Packet]:
    """Return alerts of one, two, three, four, one, ... detections."""
    made = curves(*[range(1 + number % 4) for number in range(count)], first=first)
    return list(ztf_packets(made, cutout_bytes=10))


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)
