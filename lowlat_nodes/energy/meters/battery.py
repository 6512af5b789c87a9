# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot's battery as a meter: its voltage and current, as somebody hears them."""

from __future__ import annotations

import threading

from lowlat_nodes.energy.meters.integral import Integral
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.meter import Kind, Reading

GAP_NS = 5_000_000_000
"""Batteries report about once a second; what one gave in a longer silence is not counted."""

DISCHARGING = 2
"""POWER_SUPPLY_STATUS_DISCHARGING of sensor_msgs/BatteryState."""

_HIGHEST_V, _HIGHEST_A = 1500.0, 5000.0


class BatteryMeter:
    """Integrates what a battery gives, of which everything on the robot is a part.

    Current is as in sensor_msgs/BatteryState: negative while the battery discharges. While it is charged, the
    charger feeds the robot too, and nobody knows how much that takes: the meter is unavailable then, which is
    a break. Reports that cannot be true are refused and counted, and change nothing. Thread-safe: reports may
    come from another thread than the one that reads.

    Args:
        fake: What stands behind it where that is no hardware, such as `simulated`.
        clock: Steady.

    Attributes:
        refused: Reports that were not used, by reason.
    """

    def __init__(self, *, fake: str = "", clock: Clock | None = None) -> None:
        self.name, self.device, self.part_of, self.fake = "battery", "battery", "", fake
        self.covers: tuple[str, ...] = ("robot",)
        self.refused = Counters()
        self._now_ns = (clock or SteadyClock()).now_ns
        self._lock = threading.Lock()
        self._integral = Integral(GAP_NS, _HIGHEST_V * _HIGHEST_A)
        self._heard_ns = self._period_ns = self._stamp_ns = 0
        self._why = "nothing was heard of the battery yet"

    def hear(self, voltage_v: float, current_a: float, stamp_ns: int = 0, status: int = 0) -> bool:
        """Take over a report.

        Args:
            voltage_v: Between the poles.
            current_a: Negative while it discharges.
            stamp_ns: When it was measured, by the clock of the message; 0 takes the time of the call.
            status: `power_supply_status` of the message; 0 if it is unknown.

        Returns:
            Whether it could be used.
        """
        problem = _problem(voltage_v, current_a, status)
        with self._lock:
            now_ns = self._now_ns()
            if not problem and stamp_ns and stamp_ns == self._stamp_ns:
                problem = "repeated"
            if problem:
                self.refused.add(problem)
                return False
            if bool(stamp_ns) != bool(self._stamp_ns):  # from here on it goes by another clock
                self._integral.interrupt()
            self._period_ns = now_ns - self._heard_ns if self._heard_ns else 0
            self._heard_ns, self._stamp_ns = now_ns, stamp_ns
            if current_a > 0.0:
                self._integral.interrupt()
                self._why = (
                    f"the battery is charged, with {current_a:.1f} A, and does not feed the robot alone"
                )
            else:
                self._integral.hear(-voltage_v * current_a * 1e6, stamp_ns or now_ns)
                self._why = ""
        return True

    def read(self) -> Reading:
        """Return what the battery gave up to its last report."""
        with self._lock:
            why, silent_ns = self._why, self._now_ns() - self._heard_ns
            if self._heard_ns and silent_ns > GAP_NS:
                why = f"nothing was heard of the battery for {silent_ns * 1e-9:.0f} s"
            if why and self.refused.total:
                why += f"; refused reports: {self.refused.snapshot()}"
            return Reading(
                self._integral.microjoules * 1e-6,
                self._heard_ns,
                Kind.UNAVAILABLE if why else Kind.MEASURED,
                self._period_ns * 1e-9,
                0.0,
                self._integral.breaks,
                why,
            )

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _problem(voltage_v: float, current_a: float, status: int) -> str:
    """Return why a report cannot be true, in one word; NaN is what the message has for unknown."""
    if not 0.0 < voltage_v < _HIGHEST_V:
        return "voltage"
    if not -_HIGHEST_A < current_a < _HIGHEST_A:
        return "current"
    if status == DISCHARGING and current_a > 0.0:  # some drivers count the other way round
        return "sign"
    return ""
