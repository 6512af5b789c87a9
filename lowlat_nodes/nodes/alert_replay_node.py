# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Sends a night of alerts, recorded or simulated, to an alert node, each alert when it is due."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack, nullcontext
from typing import Any

from lowlat_nodes.alerts.timetable import Timetable
from lowlat_nodes.nodes.alert.packet_targets import target
from lowlat_nodes.nodes.alert.replay import AlertReplay
from lowlat_nodes.nodes.alert.replay_config import AlertReplayConfig
from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.diagnostics import MS, NO_FIGURES, Level, Report, standard_values
from lowlat_nodes.nodes.run import run
from lowlat_nodes.nodes.stop import StopRequest

_PATIENCE_S = 0.5  # of one try, and so the longest time until it sees that it is to stop
_LINGER_S = 2.0
_MB = 1e6


class AlertReplayNode(LifecycleHost[AlertReplayConfig]):
    """Reads or simulates a night as it is configured, and sends it from each activation on.

    It has no topics but with `to: ros:TOPIC`, where it publishes a std_msgs/UInt8MultiArray per alert.
    """

    unit = "alert"

    def __init__(self, **ros: Any) -> None:
        self._config = AlertReplayConfig()
        self._table: Timetable | None = None
        self._missing = ""
        self._session: _Session | None = None
        super().__init__("alert_replay_node", AlertReplayConfig, **{"task": "alert replay", **ros})

    def setup(self, config: AlertReplayConfig) -> None:
        """Read or simulate the night, and load the keys."""
        self._config = config
        config.keys()
        self._table, self._missing = config.night(self.stopping)
        tell = self.get_logger()
        if self._missing:
            tell.warning(f"not all is in it: {self._missing}")
        if self._table.untimed:
            tell.warning(f"{self._table.untimed} alerts tell no time, and are sent with those before")
        kind = "recorded" if config.path else "simulated"
        tell.info(f"{len(self._table.packets)} {kind} alerts in {self._table.length_ns * 1e-9:.1f} s")

    def begin(self) -> None:
        """Begin the night."""
        assert self._table is not None
        self._session = _Session(self, self._config, self._table)

    def halt(self) -> None:
        """Send no more; what waits in a socket is sent for two more seconds."""
        session, self._session = self._session, None
        if session is not None:
            session.stop()

    def teardown(self) -> None:
        """Forget the night."""
        self._table = None

    def report(self) -> Report:
        """Return how many alerts were sent, how many are known to have arrived, and how late they were."""
        assert self._session is not None
        report = self._session.report(self.state)
        report.values["missing"] = self._missing
        return report


class _Session:
    """One activation: the target and the thread that sends."""

    def __init__(self, node: AlertReplayNode, config: AlertReplayConfig, table: Timetable) -> None:
        self._kind = "recorded" if config.path else "simulated"
        self._to = config.to
        self._night = len(table.packets)
        self._energy = node.energy
        self._say = node.get_logger().info
        client, server = config.keys()
        self._opened = ExitStack()
        where = self._opened.enter_context(
            target(
                config.to,
                patience_s=_PATIENCE_S,
                linger_s=_LINGER_S,
                client=client,
                server=server,
                node=lambda: nullcontext(node),
            )
        )
        self._replay = AlertReplay(table, where, config.loop, persistent=True)
        self._reported = (time.monotonic(), 0)
        self._failure = ""
        self._stopping = StopRequest()
        self._thread = threading.Thread(target=self._run, name="alert replay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and say what was sent."""
        self._stopping.set()
        self._thread.join()
        self._stopping.close()
        confirmed = self._replay.confirmed
        known = "" if confirmed is None else f", {confirmed} confirmed"
        self._say(f"{self._replay.alerts} alerts sent to {self._to}{known}")
        self._opened.close()

    def report(self, state: str) -> Report:
        """Return what was sent, in all, and how fast since the last report."""
        replay = self._replay
        sent, confirmed, late = replay.alerts, replay.confirmed, replay.late
        (since_s, former), now_s = self._reported, time.monotonic()
        self._reported = now_s, sent
        if sent > former:
            self._energy.begin()
            self._energy.done(sent - former)
        figures = {**NO_FIGURES, "rate_out_hz": (sent - former) / max(now_s - since_s, 1e-3)}
        values = standard_values(state, figures=figures, last_failure=self._failure or replay.waits)
        values |= {
            self._kind: "true",
            "to": self._to,
            "night": self._night,
            "sent": sent,
            "confirmed": "unknown" if confirmed is None else confirmed,
            "done": str(replay.done).lower(),
            "mb": replay.bytes / _MB,
        }
        for name, nanoseconds in zip(("p50", "p99", "max"), late.quantiles((0.5, 0.99, 1.0)), strict=True):
            values[f"late_{name}_ms"] = nanoseconds / MS if late.count else float("nan")
        level, summary = self._judge(sent > former)
        return Report(level, summary, values)

    def _judge(self, goes_on: bool) -> tuple[Level, str]:
        replay = self._replay
        if self._failure:
            return Level.ERROR, self._failure
        if replay.done:
            return Level.OK, f"all {replay.alerts} {self._kind} alerts are sent"
        if replay.waits and not goes_on:
            return Level.STALE if not replay.alerts else Level.WARN, f"waiting: {replay.waits}"
        return Level.OK, f"sending {self._kind} alerts"

    def _run(self) -> None:
        try:
            self._replay.run(self._stopping)
        except Exception as error:  # the thread ends; the node lives to tell
            self._failure = f"{type(error).__name__}: {error}"
            self._say(f"stopped sending: {self._failure}")
        else:
            if self._replay.done:
                self._say(f"all {self._replay.alerts} {self._kind} alerts are sent to {self._to}")


def main() -> int:
    """Run the node."""
    return run(AlertReplayNode)


if __name__ == "__main__":
    sys.exit(main())
