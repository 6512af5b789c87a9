# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Records what a ZeroMQ publisher says into a bag, beside ROS topics or without them."""

from __future__ import annotations

from collections.abc import Callable

from lowlat_nodes.nodes.bag.disk import Disk, TopicCount
from lowlat_nodes.transport.bag import Recorded, Topic
from lowlat_nodes.transport.bag.clock_offset import ClockOffset
from lowlat_nodes.transport.bag.framing import ENCODING, TYPE_PREFIX, pack
from lowlat_nodes.transport.zmq.tap import Tap, Tapped


def same(received_ns: int) -> int:
    """Return the time of the bag at a system time: where it is the system's."""
    return received_ns


class ZmqRecorder:
    """Hands every message of a tap to a bag as it came, frames and all.

    The stamp of a message in the bag is its receipt, and its publish time what the publisher's clock said.

    Args:
        label: Stands before the topics in the bag, with a colon: two publishers may use one topic.
        tap: Listens to the publisher; its clock is the system's.
        disk: Takes the messages.
        stamp: Returns the time of the bag at a system time, None before the bag begins.
        announce: Takes a line of text whenever something happens that the user should know.

    Attributes:
        label: As given.
        tap: As given; its counts say what did not even get here.
        counts: What became of the messages, by topic in the bag.
        offset: How far the publisher's clock is from ours.
    """

    def __init__(
        self,
        label: str,
        tap: Tap,
        disk: Disk,
        *,
        stamp: Callable[[int], int | None] = same,
        announce: Callable[[str], None] = print,
    ) -> None:
        self.label = label
        self.tap = tap
        self.counts: dict[str, TopicCount] = {}
        self.offset = ClockOffset()
        self._disk = disk
        self._stamp = stamp
        self._announce = announce

    def start(self) -> None:
        """Listen and record, in a thread.

        Raises:
            ConfigurationError: If the endpoint cannot be connected to.
        """
        self.tap.start(self._take)

    def stop(self) -> None:
        """Record nothing any more once this returns."""
        self.tap.stop()

    def missing(self) -> dict[str, str]:
        """Return why there is nothing of a topic that was asked for, or of the whole publisher."""
        trouble = self.tap.link.trouble
        reason = f"nothing came: {trouble}" if trouble and not self.counts else "nothing came"
        if not self.tap.topics:
            return {} if self.counts else {f"{self.label}: {self.tap.endpoint}": reason}
        names = (f"{self.label}:{topic}" for topic in sorted(self.tap.topics))
        return {name: reason for name in names if name not in self.counts}

    def _take(self, tapped: Tapped) -> None:
        stamp_ns = self._stamp(tapped.received_ns)
        if stamp_ns is None:
            return
        name = f"{self.label}:{tapped.topic}"
        count = self.counts.get(name)
        if count is None:
            count = self._begin(name, tapped)
        count.lost += tapped.lost
        published_ns = tapped.header.trace.published_ns
        self.offset.add(tapped.received_ns, published_ns)
        data = pack([frame.buffer for frame in tapped.frames])
        if self._disk.put(Recorded(name, count.type, stamp_ns, data, published_ns)):
            count.messages += 1
        else:
            count.dropped += 1

    def _begin(self, name: str, tapped: Tapped) -> TopicCount:
        count = self.counts[name] = TopicCount(f"{TYPE_PREFIX}{tapped.header.schema}")
        self._disk.put(Topic(name, count.type, encoding=ENCODING, endpoint=self.tap.endpoint))
        self._announce(f"recording {name} [{count.type}] from {self.tap.endpoint}")
        return count
