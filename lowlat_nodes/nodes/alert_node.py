# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Classifies astronomical alerts as they come, and loses none."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from lowlat_nodes.alerts.alert_classifier import ALERTS, RESULTS, AlertClassifier
from lowlat_nodes.alerts.filters import Filters
from lowlat_nodes.energy.budget import LEAST_HZ, Leeway, Order
from lowlat_nodes.energy.guard import Guard
from lowlat_nodes.inference.segments.sharing import open_sharing
from lowlat_nodes.inference.turn import UNSHARED, Turn
from lowlat_nodes.nodes.alert.config import AlertNodeConfig
from lowlat_nodes.nodes.alert.light_curve_topic import LIGHT_CURVES, LightCurveTopic
from lowlat_nodes.nodes.alert.service import AlertService, load_alert_classifier
from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.diagnostics import (
    Level,
    Report,
    Window,
    judge_clock,
    judge_guard,
    judge_loop,
    judge_turn,
    standard_values,
)
from lowlat_nodes.nodes.guards import EPOCHS, epoch_guard
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.endpoint import PullSource, Sink
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.records import as_text
from lowlat_nodes.transport.ros import Output, RosClock, RosSink
from lowlat_nodes.transport.ros.packets import RosPackets

_DEPTH = 1000  # a burst of results waits for slow readers
_LEAST_SHARE = 0.1  # of alerts that have a result: fewer tell nothing of what one costs
_QUIET_S = 10.0  # between two warnings of what fails
_TOPIC = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*\Z", re.ASCII)


class AlertNode(LifecycleHost[AlertNodeConfig]):
    """Asks a source for alerts, classifies them in batches, publishes, and only then commits.

    ================= ========================= =======================================================
    topic             type                      content
    ================= ========================= =======================================================
    alerts            std_msgs/UInt8MultiArray  subscribed with `source.kind: ros`: a packet per message
    ~/results         std_msgs/String           JSON per alert, see docs/alert_results.md
    ~/<filter>        std_msgs/String           the same for what a filter keeps
    ~/light_curves    std_msgs/String           a few results a second with their light curves
    ================= ========================= =======================================================

    The same goes to Kafka, ZeroMQ and Parquet files as configured. What cannot be read goes to the dead
    letters with the reason. A deactivated node asks for nothing: alerts wait where they come from.
    """

    unit = "alert"

    def __init__(self, **ros: Any) -> None:
        self._config: AlertNodeConfig | None = None
        self._processor: AlertClassifier | None = None
        self._guard: Guard | None = None
        self._turn: Turn = UNSHARED
        self._ros: RosSink | None = None
        self._service: AlertService | None = None
        self._window = Window()
        self._lost: dict[str, int] = {}
        self._failure = ""
        super().__init__("alert_node", AlertNodeConfig, **{"task": "alerts", **ros})

    def setup(self, config: AlertNodeConfig) -> None:
        """Load the model, check filters and schemas, and advertise the topics."""
        self._config = config
        self._guard = epoch_guard(config.energy.guard)
        sharing = open_sharing(config.turn, self.get_fully_qualified_name())
        self._turn = sharing.turn
        self._processor = load_alert_classifier(config, self._guard, sharing)
        self._turn.declare()
        if config.publish:
            outputs = {
                output: Output(topic=f"~/{topic}", type_name="std_msgs/msg/String", depth=_DEPTH)
                for output, topic in _topics(config)
            }
            outputs[LIGHT_CURVES] = Output(
                topic=f"~/{LIGHT_CURVES}", type_name="std_msgs/msg/String", on_demand=True
            )
            self._ros = RosSink(self, outputs)
            self._processor.show = LightCurveTopic(self._ros, SteadyClock()).show
        classifier = self._processor.classifier
        self.get_logger().info(f"model {classifier.name} ({classifier.sha256[:12]})")

    def begin(self) -> None:
        """Begin to ask for alerts."""
        config, processor = self._config, self._processor
        assert config is not None
        assert processor is not None
        clock = RosClock(self)
        self._window, self._lost, self._failure = Window(), {}, ""

        def packets() -> PullSource:
            return RosPackets(self, config.source.topic, clock, topic=ALERTS)

        ros: dict[str, list[Sink]] = {RESULTS: [_Meter(self._window)]}
        if self._ros is not None:
            texts = _Texts(self._ros)
            for output in (RESULTS, *processor.filters.names):
                ros.setdefault(output, []).append(texts)
        tell = self.get_logger().warning
        name = self.get_fully_qualified_name()
        self._service = AlertService(
            config, processor, clock, tell=tell, name=name, ros=ros, packets=packets, counts=self.energy
        )
        self.obey(self.energy.order)
        self._service.start()

    def halt(self) -> None:
        """Finish and commit the batch in hand."""
        service, self._service = self._service, None
        if service is not None:
            service.stop()

    def teardown(self) -> None:
        """Release the model and withdraw the topics."""
        sink, self._ros = self._ros, None
        self._processor = self._guard = None
        self._turn.close()
        self._turn = UNSHARED
        if sink is not None:
            sink.close()

    def check(self, config: AlertNodeConfig) -> None:
        """Refuse filters that make no sense."""
        Filters(config.filter)

    def changed(self, config: AlertNodeConfig) -> None:
        """Take over threshold and filters from the next batch on."""
        assert self._config is not None
        assert self._processor is not None
        self._processor.abstain_below(config.threshold)
        if config.filter != self._config.filter:
            self._processor.filters = Filters(config.filter)
        self._config = config

    def leeway(self) -> Leeway:
        """Return that alerts may be asked for more slowly, where they wait until they are."""
        waits = self._config is not None and self._config.source.waits
        return Leeway(LEAST_HZ) if waits else Leeway()

    def obey(self, order: Order) -> None:
        """Ask for fewer alerts a second, in about one batch a second."""
        if self._service is None:
            return
        stats = self._service.delivery.stats()
        # The order is of results, and not every alert has one.
        without = (stats.repeated + stats.dead_letters) / max(stats.processed, 1)
        self._service.delivery.pace(order.max_hz / max(1.0 - without, _LEAST_SHARE))

    def report(self) -> Report:
        """Return rates, latencies, lag, dead letters and failures."""
        service, processor = self._service, self._processor
        assert service is not None
        assert processor is not None
        assert self._guard is not None
        stats = service.delivery.stats()
        lost = stats.lost or {}
        unprocessed = sum(count for kind, count in stats.failures.items() if kind.startswith("process:"))
        values = standard_values(
            self.state,
            figures=self._window.turn(stats.processed + unprocessed),
            drops=lost,
            failures=stats.failures,
            last_failure=stats.last_failure or processor.filters.last_failure,
        )
        letters = service.dead_letters.counts.snapshot()
        values |= {
            "dead_letters": stats.dead_letters,
            **{f"dead_letters.{kind}": count for kind, count in letters.items()},
            "repeated": stats.repeated,
            "uncommitted": stats.uncommitted,
            "filter_failures": processor.filters.failures.total,
        }
        if stats.lag is not None:
            values["lag"] = stats.lag
        if service.results:
            values["zmq.endpoint"] = service.results
        level, summary = self._judge(service, values)
        report = judge_guard(Report(level, summary, values), self._guard.state(), EPOCHS)
        return judge_turn(judge_loop(judge_clock(report), service.delivery.pulse), self._turn.figures())

    def _judge(self, service: AlertService, values: dict[str, Any]) -> tuple[Level, str]:
        """Return what the figures mean, and warn of what has grown since the last report."""
        counted = {name: values[name] for name in ("dead_letters", "drops", "failures", "filter_failures")}
        grown = [name for name, count in counted.items() if count > self._lost.get(name, 0)]
        self._lost = counted
        trouble = service.trouble()
        if trouble:
            self.get_logger().error(trouble, throttle_duration_sec=_QUIET_S)
            return Level.ERROR, trouble
        failure = values["last_failure"]
        if failure != self._failure:
            self._failure = failure
            self.get_logger().warning(failure, throttle_duration_sec=_QUIET_S)
        if grown:
            what = ", ".join(f"{counted[name]} {name.replace('_', ' ')}" for name in grown)
            return Level.WARN, f"in all {what}"
        if service.delivery.wait(0.0):
            return Level.OK, "all files are done"
        if not values["rate_in_hz"]:
            return Level.STALE, f"no alerts; newest error: {failure}" if failure else "no alerts"
        return Level.OK, "running" if values["rate_out_hz"] else "running, all of it published before"


def _topics(config: AlertNodeConfig) -> Iterator[tuple[str, str]]:
    """Yield each output and its topic below the name of the node.

    Raises:
        ConfigurationError: If a filter has a topic that ROS has not, or that of all results.
    """
    yield RESULTS, RESULTS
    for name, settings in config.filter.items():
        topic = settings.topic or name
        if not _TOPIC.match(topic) or topic in {RESULTS, LIGHT_CURVES}:
            raise ConfigurationError(
                f"filter.{name}.topic: expected the name of a ROS topic below that of the node, other than "
                f"{RESULTS} and {LIGHT_CURVES}, got {topic!r}; or set publish: false"
            )
        yield name, topic


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
