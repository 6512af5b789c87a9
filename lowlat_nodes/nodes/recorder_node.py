# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Records ROS topics and ZeroMQ publishers, a bag for each activation."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from lowlat_nodes.nodes.bag.disk import Disk, free_bytes
from lowlat_nodes.nodes.bag.recorder import BagRecorder, Selection
from lowlat_nodes.nodes.bag.recorder_config import RecorderConfig
from lowlat_nodes.nodes.bag.recording import BagRecording
from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.diagnostics import NO_FIGURES, Level, Report, standard_values
from lowlat_nodes.nodes.run import run
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag import DiskError
from lowlat_nodes.transport.zmq.tap import Tap

_MB = 1e6


class RecorderNode(LifecycleHost[RecorderConfig]):
    """Begins a bag when it is activated, and completes it when it is deactivated.

    It subscribes to the topics that it records, with the quality of service of their publishers, and
    publishes none. With `use_sim_time` messages are stamped with the time on /clock.
    """

    unit = "message"

    def __init__(self, **ros: Any) -> None:
        self._config = RecorderConfig()
        self._selection = Selection()
        self._session: _Session | None = None
        super().__init__("recorder_node", RecorderConfig, **{"task": "recorder", **ros})

    def setup(self, config: RecorderConfig) -> None:
        """Check what is to be recorded, and that there is room for it."""
        self._config = config
        self._selection = Selection(config.topics, config.exclude)
        self._taps()
        config.bag.form().bounds.check(config.new_path())

    def begin(self) -> None:
        """Begin a bag."""
        self._session = _Session(self, self._config, self._selection, self._taps())
        self.get_logger().info(f"recording into {self._session.recording.path}")
        self._session.start()

    def halt(self) -> None:
        """Complete the bag."""
        session, self._session = self._session, None
        if session is None:
            return
        session.stop()
        report = session.recording.report()
        self.get_logger().info(
            f"{report['messages']} messages in {report['bag']}, {report['dropped']} dropped, "
            f"{report['lost']} lost"
        )

    def report(self) -> Report:
        """Return how fast messages come in and go to the disk, and what did not get there."""
        assert self._session is not None
        return self._session.report(self.state)

    def _taps(self) -> list[tuple[str, Tap]]:
        """Return what listens to the publishers, by the label of their topics; each is started once."""
        return [(label, publisher.tap()) for label, publisher in self._config.zmq.items()]


class _Session:
    """The recording of one activation and its thread."""

    def __init__(
        self, node: RecorderNode, config: RecorderConfig, selection: Selection, taps: list[tuple[str, Tap]]
    ) -> None:
        self._energy = node.energy
        sim_time = bool(node.get_parameter("use_sim_time").value)
        tell = node.get_logger().info

        def ros(disk: Disk) -> BagRecorder:
            return BagRecorder(node, disk, selection, sim_time=sim_time, announce=tell)

        self.recording = BagRecording(config.new_path(), config.bag.form(), ros=ros, taps=taps, announce=tell)
        self._tell = node.get_logger().error
        self._stopping = StopRequest()
        self._reported = _Reached(time.monotonic(), 0, 0, 0, 0)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Record from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Complete the bag."""
        self._stopping.set()
        self._thread.join()
        self._stopping.close()

    def report(self, state: str) -> Report:
        """Return what came, what went to the disk and what did not, since the last report and in all."""
        recording = self.recording
        disk, counts = recording.disk, recording.topics
        drops = {
            "slow_disk": sum(count.dropped for count in counts.values()),
            "lost": sum(count.lost for count in counts.values()),
            "malformed": recording.malformed,
        }
        received = sum(count.messages for count in counts.values()) + drops["slow_disk"]
        former, now = (
            self._reported,
            _Reached(time.monotonic(), received, disk.written, disk.written_bytes, sum(drops.values())),
        )
        self._reported = now
        elapsed_s = max(now.at_s - former.at_s, 1e-3)
        mb_per_s = (now.written_bytes - former.written_bytes) / _MB / elapsed_s
        figures = {
            **NO_FIGURES,
            "rate_in_hz": (received - former.received) / elapsed_s,
            "rate_out_hz": (now.written - former.written) / elapsed_s,
        }
        if now.written > former.written:
            self._energy.begin()
            self._energy.done(now.written - former.written)
        values = standard_values(
            state,
            figures=figures,
            drops={why: count for why, count in drops.items() if count},
            last_failure=recording.problem,
        )
        values |= {
            "file": str(recording.path),
            "topics": len(counts),
            "messages": now.written,
            "mb": now.written_bytes / _MB,
            "mb_per_s": mb_per_s,
            "disk_free_mb": _free_mb(recording.path),
        }
        if recording.problem:
            return Report(Level.ERROR, f"stopped: {recording.problem}", values)
        if now.missing > former.missing:
            what = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in drops.items() if count)
            return Report(Level.WARN, f"not all is in the bag: {what}", values)
        if recording.ros is not None and recording.ros.waits:
            return Report(Level.STALE, "waiting for /clock", values)
        if received == former.received:
            return Report(Level.STALE, "nothing came", values)
        return Report(Level.OK, f"recording {len(counts)} topics, {mb_per_s:.3g} MB/s", values)

    def _run(self) -> None:
        recording = self.recording
        try:
            recording.run(self._stopping)
        except ConfigurationError as error:
            recording.problem = str(error)
        except Exception as error:  # the thread ends; the node lives to tell
            recording.problem = f"{type(error).__name__}: {error}"
        if recording.problem:
            self._tell(f"stopped recording: {recording.problem}")


def _free_mb(path: Path) -> int | float:
    """Return the room on the disk of a path, NaN where the disk does not say."""
    try:
        return round(free_bytes(path) / _MB)
    except DiskError:
        return float("nan")


class _Reached(NamedTuple):
    """How far a recording was at a report: steady time, s; messages, bytes; and what is not in the bag."""

    at_s: float
    received: int
    written: int
    written_bytes: int
    missing: int


def main() -> int:
    """Run the node."""
    return run(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
