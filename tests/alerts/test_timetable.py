# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When alerts are due: as far apart as they were observed, or evenly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.timetable import as_recorded, evenly
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.stream.payload import Packet

SECOND = 1_000_000_000


def observed(*seconds: float) -> list[Packet]:
    """Return alerts whose newest epochs are so many seconds after a night began."""
    pytest.importorskip("fastavro")
    count = len(seconds)
    times = np.array(seconds) / 86_400
    return list(
        ztf_packets(
            LightCurves(
                np.arange(count),
                [f"ZTF{number}" for number in range(count)],
                np.arange(0, 2 * count + 1, 2),
                (60000.0 + np.stack([times - 3.0, times], 1)).reshape(-1),
                np.full(2 * count, CODES["ztf_g"], np.uint8),
                np.full(2 * count, 1e5),
                np.full(2 * count, 1e3),
                np.ones(2 * count, np.bool_),
            ),
            cutout_bytes=1,
        )
    )


def test_so_many_a_second() -> None:
    packets = [Packet(b"%d" % number) for number in range(4)]
    table = evenly(packets, 200.0)
    assert table.packets == packets
    assert table.due_ns.tolist() == [0, 5_000_000, 10_000_000, 15_000_000]
    assert table.length_ns == 20_000_000
    assert evenly(packets, math.inf).due_ns.tolist() == [0, 0, 0, 0]


@pytest.mark.alerts
@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_as_far_apart_as_observed(speed: float) -> None:
    packets = observed(40, 0, 0, 100)
    table = as_recorded(packets, Ingest(), speed)
    assert list(table.packets) == [packets[index] for index in (1, 2, 0, 3)]
    assert table.due_ns / SECOND * speed == pytest.approx([0, 0, 40, 100], abs=1e-3)
    assert table.length_ns == pytest.approx(400 / 3 * SECOND / speed, rel=1e-3)
    assert table.untimed == 0


@pytest.mark.alerts
@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 315_360_000.0), (1e-6, 2.0**62 / SECOND)])
def test_ten_years_of_alerts_fit(speed: float, seconds: float) -> None:
    count = 73
    table = as_recorded(observed(*np.linspace(0, 315_360_000, count)), Ingest(), speed)
    assert (np.diff(table.due_ns) >= 0).all()
    assert table.due_ns[-1] / SECOND == pytest.approx(seconds)
    assert table.length_ns / SECOND == pytest.approx(seconds * count / (count - 1))


@pytest.mark.alerts
def test_what_tells_no_time_goes_with_the_one_before() -> None:
    packets = observed(0, 50)
    broken = [Packet(b"broken %d" % number) for number in range(3)]
    mixed = [broken[0], packets[1], broken[1], packets[0], broken[2]]
    table = as_recorded(mixed, Ingest(), 1.0)
    assert list(table.packets) == [packets[0], broken[2], broken[0], packets[1], broken[1]]
    assert table.due_ns / SECOND == pytest.approx([0, 0, 50, 50, 50], abs=1e-3)
    assert table.untimed == 3


def test_nothing_tells_a_time_or_there_is_nothing() -> None:
    packets = [Packet(b"a"), Packet(b"b")]
    table = as_recorded(packets, Ingest(), 1.0)
    assert (list(table.packets), table.due_ns.tolist(), table.untimed) == (packets, [0, 0], 2)
    assert as_recorded([], Ingest(), 1.0).length_ns == 0


@pytest.mark.alerts
def test_one_alert_is_due_at_once_again_and_again() -> None:
    table = as_recorded(observed(5), Ingest(), 1.0)
    assert (table.due_ns.tolist(), table.length_ns) == ([0], 0)
