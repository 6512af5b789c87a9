# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One bag while it is recorded: from ROS topics, from ZeroMQ publishers, or from both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowlat_nodes.nodes.bag.disk import CACHE_BYTES, NO_BOUNDS, Bounds, Disk, TopicCount
from lowlat_nodes.nodes.bag.zmq_recorder import ZmqRecorder, same
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.transport.bag import BagError, BagWriter
from lowlat_nodes.transport.zmq.tap import Tap

if TYPE_CHECKING:
    from lowlat_nodes.nodes.bag.recorder import BagRecorder

_POLL_S = 0.1


@dataclass(frozen=True)
class BagForm:
    """How a bag is written.

    Attributes:
        compression: One of `COMPRESSIONS` of the writer.
        file_bytes: A new file is begun at this size; 0 keeps to one.
        cache_bytes: How much may wait for the disk.
        bounds: Where the recording ends by itself.
    """

    compression: str = "none"
    file_bytes: int = 0
    cache_bytes: int = CACHE_BYTES
    bounds: Bounds = NO_BOUNDS


class BagRecording:
    """Makes a bag, records into it while `run` runs, and counts all that does not get there.

    Args:
        path: A new directory or `.mcap` file.
        form: How it is written.
        ros: Makes the recorder of ROS topics; None where there are none to record.
        taps: ZeroMQ publishers, by the label that stands before their topics in the bag.
        announce: Takes a line of text whenever something happens that the user should know.

    Attributes:
        path: As given.
        disk: Takes the messages.
        ros: Records ROS topics; None where there are none to record.
        zmq: Record ZeroMQ publishers.
        problem: Why it ended by itself, empty if it did not.

    Raises:
        BagError: If there is something at the path, nothing can be written there, or there is no room.
        ConfigurationError: If the recorder of ROS topics cannot be made.
    """

    def __init__(
        self,
        path: Path,
        form: BagForm,
        *,
        ros: Callable[[Disk], BagRecorder] | None = None,
        taps: Sequence[tuple[str, Tap]] = (),
        announce: Callable[[str], None] = print,
    ) -> None:
        form.bounds.check(path)
        self.path = path
        self.problem = ""
        self._writer = BagWriter(path, compression=form.compression, max_file_bytes=form.file_bytes)
        try:
            self.disk = Disk(self._writer, form.cache_bytes, form.bounds)
            self.ros = ros(self.disk) if ros is not None else None
        except BaseException:
            self._writer.close()
            raise
        stamp = self.ros.stamp if self.ros is not None else same
        self.zmq = [ZmqRecorder(label, tap, self.disk, stamp=stamp, announce=announce) for label, tap in taps]

    def run(self, stop: StopRequest, duration_s: float = float("inf")) -> None:
        """Record until `stop` is set, the time is over or the disk takes no more; then complete the bag.

        Raises:
            ConfigurationError: If a publisher's endpoint cannot be connected to.
        """
        try:
            with self._writer, self.disk:
                self._record(stop, duration_s)
        except BagError as error:
            self.problem = str(error)

    @property
    def topics(self) -> dict[str, TopicCount]:
        """Return what became of the messages by topic in the bag, from any thread."""
        counts = [recorder.counts for recorder in self.zmq]
        if self.ros is not None:
            counts.append(self.ros.counts)
        return {name: count for each in counts for name, count in each.copy().items()}

    @property
    def malformed(self) -> int:
        """Return how many messages of ZeroMQ could not be read, and are not in the bag."""
        return sum(recorder.tap.counts["malformed"] for recorder in self.zmq)

    def report(self) -> dict[str, Any]:
        """Return what became of everything, plain for JSON."""
        topics, written = self.topics, self._writer.counts
        skipped = self.ros.skipped.copy() if self.ros is not None else {}
        for recorder in self.zmq:
            skipped |= recorder.missing()
        return {
            "bag": str(self.path),
            "messages": sum(written.values()),
            "dropped": sum(count.dropped for count in topics.values()),
            "lost": sum(count.lost for count in topics.values()),
            "malformed": self.malformed,
            "topics": {
                name: {
                    "type": count.type,
                    "messages": written.get(name, 0),
                    "dropped": count.dropped,
                    "lost": count.lost,
                }
                for name, count in sorted(topics.items())
            },
            "zmq": {recorder.label: _publisher(recorder) for recorder in self.zmq},
            "skipped": skipped,
            "error": self.problem,
        }

    def _record(self, stop: StopRequest, duration_s: float) -> None:
        try:
            for recorder in self.zmq:
                recorder.start()
            if self.ros is not None:
                self.ros.run(stop, duration_s)
                return
            end = time.monotonic() + duration_s
            while self.disk.error is None and (left_s := end - time.monotonic()) > 0:
                if stop.wait(min(left_s, _POLL_S)):
                    break
        finally:
            for recorder in self.zmq:
                recorder.stop()


def _publisher(recorder: ZmqRecorder) -> dict[str, Any]:
    counts = recorder.tap.counts
    return {
        "endpoint": recorder.tap.endpoint,
        "malformed": counts["malformed"],
        "repeated": counts["repeated"],
        "beyond": counts["beyond"],
        "last_failure": recorder.tap.last_failure,
        "clock_offset": recorder.offset.as_json(),
    }
