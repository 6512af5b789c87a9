# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether host or device bounds the inferences of a running node, for next to nothing.

Where the host keeps up, the device is at work long after the last launch has returned. Where it does not,
the device waits for it again and again, and is done as soon as the last kernel was launched. So the host's
time to submit and the device's time between two events tell what a trace would.

A host that is far ahead, by about a thousand launches, is made to wait by the driver, which looks as if it
were slow; `lowlat profile` tells that apart.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from lowlat_nodes.inference.model import LaunchTimes

SHARE = 0.8
"""Of the device's time: a host that takes as long or longer to submit bounds it."""

_RECENT = 64


def bound(times: LaunchTimes) -> str:
    """Return what bounds an inference: cpu or gpu."""
    return "cpu" if times.submit_us >= SHARE * times.device_us else "gpu"


class LaunchMeter:
    """Medians of the newest inferences; used by one thread.

    Args:
        recent: Of how many inferences.
    """

    def __init__(self, recent: int = _RECENT) -> None:
        self._submit_us: deque[float] = deque(maxlen=recent)
        self._device_us: deque[float] = deque(maxlen=recent)

    def record(self, submit_us: float, device_us: float) -> None:
        """Take note of an inference; what is no time counts as not known."""
        if 0.0 <= submit_us < math.inf and 0.0 < device_us < math.inf:
            self._submit_us.append(submit_us)
            self._device_us.append(device_us)

    def clear(self) -> None:
        """Begin anew."""
        self._submit_us.clear()
        self._device_us.clear()

    def values(self) -> dict[str, float | str]:
        """Return `launch.submit_us`, `launch.device_us`, `launch.bound`; nothing while nothing is known."""
        if not self._submit_us:
            return {}
        times = LaunchTimes(median(self._submit_us), median(self._device_us))
        return {
            "launch.submit_us": times.submit_us,
            "launch.device_us": times.device_us,
            "launch.bound": bound(times),
        }
