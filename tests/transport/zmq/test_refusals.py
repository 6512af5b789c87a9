# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The log of refusals: one line for each address and reason in a while, and never a flood."""

from __future__ import annotations

import pytest

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.transport.zmq.refusals import QUIET_NS, RefusalLog


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1)


@pytest.fixture
def log(clock: ManualClock) -> RefusalLog:
    return RefusalLog(clock.now_ns, "tcp://here")


def test_the_same_is_told_once_in_a_while_and_counted(
    log: RefusalLog, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        log.server("10.0.0.1", "keys", "no keys")
    log.server("10.0.0.1", "silence", "too slow")
    assert [record.getMessage() for record in caplog.records] == [
        "tcp://here: refused 10.0.0.1: no keys",
        "tcp://here: refused 10.0.0.1: too slow",
    ]
    clock.advance(QUIET_NS)
    log.server("10.0.0.1", "keys", "no keys")
    assert caplog.records[-1].getMessage().endswith("no keys (4 more of these since the last line)")


def test_many_addresses_are_a_few_lines(
    log: RefusalLog, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(100_000):
        log.server(f"10.0.{number >> 8}.{number & 255}", "keys", "no keys")
    assert len(caplog.records) == 32
    for _ in range(20):
        clock.advance(QUIET_NS)
        for number in range(1000):
            log.server(f"10.1.{number >> 8}.{number & 255}", "keys", "no keys")
    assert len(log._told) <= 256
