# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts of a simulated sky as they would come from ZTF, for whoever has no stream of them yet."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.sim.sky.population import generate, missing_classes
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.fleeting import Fleeting
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace

_BLOCK = 10  # alerts made at once: a tenth of a second
_LATE_S = 1.0  # what is later than that is left out of the timetable, not made up for
_ZTF = {"ztf": 1.0}


class SimulatedAlerts(Fleeting):
    """A source of packets of ZTF, one for each simulated object, evenly in time.

    Objects of all classes that can be drawn here are equally frequent. Each is named by what it truly is, and
    a number: `TDE 17`.

    Args:
        rate_hz: Alerts a second.
        clock: Stamps the receipt.
        topic: Of the messages.
        seed: The same seed gives the same alerts.
    """

    def __init__(self, rate_hz: float, clock: Clock, *, topic: str = "packets", seed: int = 0) -> None:
        self.drops = Counters()
        self.last_failure = ""
        self._clock = clock
        self._topic = topic
        self._period_s = 1.0 / rate_hz
        self._number = 0
        alerts = simulated_alerts(seed)
        self._alerts = itertools.chain([next(alerts)], alerts)  # what has to be loaded is loaded now
        self._due_s = time.monotonic()

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return up to `most` packets that are due, or the next one where it is due within the time."""
        if most <= 0:
            return []
        early_s = self._due_s - time.monotonic()
        if early_s > 0.0:
            time.sleep(min(early_s, timeout_s))
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s - _LATE_S)
        messages: list[Message] = []
        while len(messages) < most and self._due_s <= now_s:
            packet = next(self._alerts)
            messages.append(
                Message(self._topic, packet, Trace(received_ns=self._clock.now_ns()), self._number)
            )
            self._number += 1
            self._due_s += self._period_s
        return messages

    def close(self) -> None:
        """Do nothing."""


def simulated_alerts(seed: int, classes: Sequence[str] = ()) -> Iterator[Packet]:
    """Yield alerts of ZTF of a simulated sky without end, each of another object.

    Args:
        seed: The same seed gives the same alerts, where the classes are the same.
        classes: Of `alerts.classes.CLASSES`, all equally frequent; empty for all that can be drawn here.

    Raises:
        ConfigurationError: If a class has no such name.
        MissingExtra: If what a class that is named needs is not installed.
    """
    for name in classes:
        if name not in CLASSES:
            raise ConfigurationError(f"expected classes of {', '.join(CLASSES)}; got {name!r}")
    without = missing_classes()
    weights = dict.fromkeys(classes or (name for name in CLASSES if name not in without), 1.0)
    for first in itertools.count(step=_BLOCK):
        curves, labels, _ = generate(_BLOCK, seed, first=first, class_weights=weights, survey_shares=_ZTF)
        names = [CLASSES[label] for label in labels.tolist()]
        curves.object_id = [f"{name} {number}" for number, name in enumerate(names, first)]
        yield from ztf_packets(curves)


def without_classes() -> str:
    """Return what to tell of classes that the sky has not here, and why; empty where it has all."""
    without = missing_classes()
    return f"no {', '.join(without)}: pip install 'lowlat_nodes[sky]' brings them" if without else ""
