# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Classifies astronomical alerts as they come, and loses none."""

from __future__ import annotations

import sys
from typing import Any

from lowlat_nodes.alerts.alert_classifier import ALERTS, RESULTS, AlertClassifier
from lowlat_nodes.nodes.alert_config import AlertNodeConfig
from lowlat_nodes.nodes.alert_service import AlertService, load_alert_classifier
from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.diagnostics import Level, Report, Window, standard_values
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.endpoint import PullSource, Sink
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.records import as_text
from lowlat_nodes.transport.ros import Output, RosClock, RosSink
from lowlat_nodes.transport.ros.packets import RosPackets

_DEPTH = 1000  # a burst of results waits for slow readers


class AlertNode(LifecycleHost[AlertNodeConfig]):
    """Asks a source for alerts, classifies them in batches, publishes, and only then commits.

    ================= ========================= =======================================================
    topic             type                      content
    ================= ========================= =======================================================
    alerts            std_msgs/UInt8MultiArray  subscribed with `source.kind: ros`: a packet per message
    ~/results         std_msgs/String           JSON per alert, see docs/alert_results.md
    ~/<filter>        std_msgs/String           the same for what a filter keeps
    ================= ========================= =======================================================

    The same goes to Kafka, ZeroMQ and Parquet files as configured. What cannot be read goes to the dead
    letters with the reason. A deactivated node asks for nothing: alerts wait where they come from.
    """

    def __init__(self, **ros: Any) -> None:
        self._config: AlertNodeConfig | None = None
        self._processor: AlertClassifier | None = None
        self._ros: RosSink | None = None
        self._service: AlertService | None = None
        self._window = Window()
        self._lost = 0
        super().__init__("alert_node", AlertNodeConfig, **{"task": "alerts", **ros})

    def setup(self, config: AlertNodeConfig) -> None:
        """Load the model, check filters and schemas, and advertise the topics."""
        self._config = config
        self._processor = load_alert_classifier(config)
        if config.publish:
            names = {RESULTS: RESULTS}
            names |= {name: settings.topic or name for name, settings in config.filter.items()}
            self._ros = RosSink(
                self,
                {
                    output: Output(topic=f"~/{topic}", type_name="std_msgs/msg/String", depth=_DEPTH)
                    for output, topic in names.items()
                },
            )
        classifier = self._processor.classifier
        self.get_logger().info(f"model {classifier.name} ({classifier.sha256[:12]})")

    def begin(self) -> None:
        """Begin to ask for alerts."""
        config, processor = self._config, self._processor
        assert config is not None
        assert processor is not None
        clock = RosClock(self)
        self._window, self._lost = Window(), 0

        def packets() -> PullSource:
            return RosPackets(self, config.source.topic, clock, topic=ALERTS)

        ros: dict[str, list[Sink]] = {}
        if self._ros is not None:
            ros = {output: [_Texts(self._ros)] for output in (RESULTS, *processor.filters.names)}
        meter = _Meter(self._window)
        ros.setdefault(RESULTS, []).append(meter)
        self._service = AlertService(config, processor, clock, ros=ros, packets=packets)
        self._service.start()

    def halt(self) -> None:
        """Finish and commit the batch in hand."""
        service, self._service = self._service, None
        if service is not None:
            service.stop()

    def teardown(self) -> None:
        """Release the model and withdraw the topics."""
        sink, self._ros = self._ros, None
        self._processor = None
        if sink is not None:
            sink.close()

    def report(self) -> Report:
        """Return rates, latencies, lag, dead letters and failures."""
        assert self._service is not None
        stats = self._service.delivery.stats()
        lost = stats.lost or {}
        received = stats.processed + sum(stats.failures.values())
        values = standard_values(
            self.state,
            figures=self._window.turn(received),
            drops=lost,
            failures=stats.failures,
            last_failure=stats.last_failure,
        )
        values |= {
            "dead_letters": stats.dead_letters,
            "repeated": stats.repeated,
            "uncommitted": stats.uncommitted,
        }
        if stats.lag is not None:
            values["lag"] = stats.lag
        total = sum(lost.values()) + sum(stats.failures.values())
        former, self._lost = self._lost, total
        if total > former:
            which = ", ".join(f"{reason} {count}" for reason, count in (lost | stats.failures).items())
            self.get_logger().warning(f"{total - former} failures (in all: {which}). {stats.last_failure}")
            return Report(Level.WARN, f"failing: {which}", values)
        if not values["rate_in_hz"]:
            return Report(Level.STALE, "no alerts", values)
        return Report(Level.OK, "running", values)


class _Texts(Sink):
    """Writes records to ROS topics as JSON; the node closes what is behind it."""

    def __init__(self, sink: RosSink) -> None:
        self._sink = sink

    def write(self, message: Message) -> None:
        self._sink.write(as_text(message))

    def close(self) -> None:
        """Leave the sink open; an inactive node still advertises its outputs."""


class _Meter(Sink):
    """Measures what goes out between two reports."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def write(self, message: Message) -> None:
        self._window.give(message.trace)

    def close(self) -> None:
        """Do nothing."""


def main() -> int:
    """Run the node."""
    return run(AlertNode)


if __name__ == "__main__":
    sys.exit(main())
