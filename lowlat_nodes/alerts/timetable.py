# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When recorded alerts are to be sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.stream.payload import Packet

_DAY_NS = 86_400e9
_BATCH = 256
_NEVER_NS = float(1 << 62)  # 146 years from now


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """Packets in the order in which they are to be sent.

    Attributes:
        packets: n packets.
        due_ns: int64 [n], when each is due, from the first at 0; never falls.
        length_ns: From the first of one round to the first of the next.
        untimed: How many told no time, and are due with the one before.
    """

    packets: Sequence[Packet]
    due_ns: NDArray[np.int64]
    length_ns: int
    untimed: int = 0


def evenly(packets: Sequence[Packet], rate_hz: float) -> Timetable:
    """Return packets in the order given, so many a second; all at once with an infinite rate."""
    times = np.arange(len(packets) + 1) * (1e9 / rate_hz)
    return Timetable(packets, times[:-1].astype(np.int64), int(times[-1]))


def as_recorded(packets: Sequence[Packet], ingest: Ingest, speed: float) -> Timetable:
    """Return packets in the order of their newest epochs, as far apart as these, or nearer by the speed.

    A survey sends the alerts of one exposure together, and so does this.

    Args:
        packets: Of any survey.
        ingest: Reads when the newest epochs were.
        speed: 2 makes the intervals half as long.
    """
    if not packets:
        return Timetable(packets, np.empty(0, np.int64), 0)
    mjd = np.full(len(packets), np.nan)
    for start in range(0, len(packets), _BATCH):
        read = ingest.read(packets[start : start + _BATCH])
        last = read.light_curves.offsets[1:] - 1
        mjd[start + read.packets] = read.light_curves.mjd[last]
    timed = np.isfinite(mjd)
    # What tells no time goes with the one before it, the first ones with the first that tells one.
    before = np.maximum.accumulate(np.where(timed, np.arange(len(mjd)), -1))
    before[before < 0] = timed.argmax()
    mjd = np.where(timed.any(), mjd[before], 0.0)
    order = np.argsort(mjd, kind="stable")
    due_ns = np.minimum((mjd[order] - mjd.min()) * (_DAY_NS / speed), _NEVER_NS).astype(np.int64)
    length_ns = int(due_ns[-1]) * len(due_ns) // max(len(due_ns) - 1, 1)
    return Timetable([packets[index] for index in order], due_ns, length_ns, int(np.count_nonzero(~timed)))
