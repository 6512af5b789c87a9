# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Sends recorded alerts again, each when it is due."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

from lowlat_nodes.alerts.container import split
from lowlat_nodes.alerts.timetable import Timetable
from lowlat_nodes.nodes.alert.packet_targets import Target, failure_of
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.packet_files import PacketFiles

MAX_BYTES = 4 << 30
"""Of all packets, which are in memory before the first is sent, so that no disk makes one late."""

_BATCH = 256


def read_packets(paths: Sequence[str]) -> tuple[list[Packet], str]:
    """Return the packets in files, archives and folders, and what could not be read of them, if anything.

    Raises:
        ConfigurationError: If there are no such files, or more than 4 GiB in them.
    """
    recorded: list[Packet] = []
    size = 0
    with closing(PacketFiles(paths, SystemClock(), split=split)) as source:
        while messages := source.poll(_BATCH, 0.0):
            packets: list[Packet] = [message.payload for message in messages]
            recorded += packets
            size += sum(len(packet.data) for packet in packets)
            if size > MAX_BYTES:
                raise ConfigurationError(
                    f"expected at most {MAX_BYTES >> 30} GiB of alerts, got more; replay fewer files"
                )
        return recorded, source.last_failure


class AlertReplay:
    """Sends packets, each when it is due whatever became of those before; the first when somebody takes it.

    Args:
        table: The packets.
        where: Takes them.
        rounds: How many times; 0 until it is stopped.
        persistent: Whether one that is not taken is tried until it is stopped, and not once.

    Attributes:
        alerts: How many were sent.
        bytes: How large they were together.
        failure: Why it ended early, empty otherwise.
        waits: Why the next one could not be sent yet, empty while all goes well.
        done: Whether all were sent, and got there where the target can tell.
    """

    def __init__(self, table: Timetable, where: Target, rounds: int = 1, *, persistent: bool = False) -> None:
        self.alerts = 0
        self.bytes = 0
        self.failure = ""
        self.waits = ""
        self.done = False
        self._table = table
        self._where = where
        self._rounds = rounds
        self._persistent = persistent
        self._begin_ns = self._end_ns = 0
        self._late = Histogram()
        self._lock = threading.Lock()

    @property
    def confirmed(self) -> int | None:
        """Return how many are known to have got there; None where the target cannot tell."""
        return self._where.confirmed

    @property
    def late(self) -> Histogram:
        """Return how late each was, ns."""
        with self._lock:
            return self._late.copy()

    def run(self, stop: StopRequest) -> None:
        """Send all packets, and wait until they are there."""
        try:
            self.done = self._send_all(stop) and self._insist(self._where.finish, stop)
        except UndeliveredError as error:
            self.failure = str(error)
        finally:
            self._end_ns = time.monotonic_ns()

    @property
    def seconds(self) -> float:
        """Return how long it took from the first to the last, or takes so far."""
        return ((self._end_ns or time.monotonic_ns()) - self._begin_ns) * 1e-9 if self._begin_ns else 0.0

    def _send_all(self, stop: StopRequest) -> bool:
        """Send all packets; return False if it was told to stop before."""
        due_ns = self._table.due_ns.tolist()
        for number in range(self._rounds) if self._rounds else itertools.count():
            base_ns = number * self._table.length_ns
            for packet, after_ns in zip(self._table.packets, due_ns, strict=True):
                if self._begin_ns:
                    late_ns = self._wait(base_ns + after_ns, stop)
                if stop.is_set() or not self._insist(partial(self._where.send, packet), stop):
                    return False
                if not self._begin_ns:
                    self._begin_ns, late_ns = time.monotonic_ns(), 0
                with self._lock:
                    self._late.record(late_ns)
                self.alerts += 1
                self.bytes += len(packet.data)
        return True

    def _wait(self, after_ns: int, stop: StopRequest) -> int:
        """Wait until so long after the beginning; return how much later it is, ns."""
        early_ns = self._begin_ns + after_ns - time.monotonic_ns()
        if early_ns > 0:
            stop.wait(early_ns * 1e-9)
        return max(time.monotonic_ns() - self._begin_ns - after_ns, 0)

    def _insist(self, act: Callable[[], None], stop: StopRequest) -> bool:
        """Do something until it works; return False if it was told to stop before.

        Raises:
            UndeliveredError: If it does not work, and is not to be tried again.
        """
        while (failure := failure_of(act)) is not None:
            if not self._persistent:
                raise failure
            self.waits = str(failure)
            if stop.is_set():
                return False
        self.waits = ""
        return True
