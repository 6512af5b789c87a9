# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Some of the classified alerts with their light curves, for whoever looks on."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.magnitudes import magnitudes
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record
from lowlat_nodes.transport.records import as_text
from lowlat_nodes.transport.ros import RosSink

LIGHT_CURVES = "light_curves"
"""The output, and its topic below the name of the node."""

_PERIOD_NS = 200_000_000


class LightCurveTopic:
    """Publishes a result with its light curve at most five times a second, and only while somebody listens.

    Args:
        sink: Has the output `LIGHT_CURVES`; its owner closes it.
        clock: Steady.
    """

    def __init__(self, sink: RosSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._due_ns = 0

    def show(self, records: Sequence[Record], curves: LightCurves) -> None:
        """Publish the last of some results."""
        now_ns = self._clock.now_ns()
        if now_ns < self._due_ns or not self._sink.wanted(LIGHT_CURVES):
            return
        self._due_ns = now_ns + _PERIOD_NS
        fields = {**records[-1].fields, "light_curve": magnitudes(curves, len(records) - 1)}
        self._sink.write(as_text(Message(LIGHT_CURVES, Record(fields))))
