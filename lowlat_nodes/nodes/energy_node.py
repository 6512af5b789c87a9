# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples the energy meters of its host once for all nodes, and says who used how much."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import BatteryState

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.energy.gpu_processes import GpuProcesses
from lowlat_nodes.energy.meters.battery import BatteryMeter
from lowlat_nodes.energy.meters.discovery import MeterSettings, find_meters
from lowlat_nodes.energy.plain import to_plain
from lowlat_nodes.energy.sampler import RATE_HZ, Sampler
from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.nodes.diagnostics import Level, Report, judge_loop, standard_values, to_status
from lowlat_nodes.nodes.energy.host_energy import HostEnergy
from lowlat_nodes.nodes.energy.metrics import energy_metrics
from lowlat_nodes.nodes.energy.node_energy import TOPIC
from lowlat_nodes.nodes.energy.reports import host_reports
from lowlat_nodes.nodes.metrics import MetricsEndpoint, MetricsSettings
from lowlat_nodes.nodes.run import run
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.stream.payload import Record
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.ros.topics import overridable
from lowlat_nodes.transport.zmq.publisher import Publisher

_WIRE = "energy"  # the topic over ZeroMQ
_S = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class EnergyNodeConfig(NodeSettings):
    """Everything that the energy node can be told."""

    rate_hz: float = setting(
        RATE_HZ, unit="Hz", low=1.0, high=100.0, doc="How often meters are read; figures come once a second."
    )
    half_life_s: float = setting(
        120.0,
        unit="s",
        low=5.0,
        high=3600.0,
        doc="How soon the cost of a result forgets: shorter follows a node that changes, longer errs less.",
    )
    meters: MeterSettings = section(MeterSettings, doc="What is read.")
    zmq: ZmqSettings = section(
        ZmqSettings, doc="The figures over ZeroMQ as well, under the topic `energy`, the last one latched."
    )
    metrics: MetricsSettings = section(MetricsSettings, doc="The figures for Prometheus.")


class EnergyNode(LifecycleHost[EnergyNodeConfig]):
    """Samples, or where another process samples this host already, tells what that one found.

    ================ =============================== ======================================================
    topic            type                            content
    ================ =============================== ======================================================
    ~/energy         diagnostic_msgs/DiagnosticArray once a second: a status per meter and per node
    `meters.battery` sensor_msgs/BatteryState        subscribed, where configured: the battery as a meter
    ================ =============================== ======================================================
    """

    unit = "window"
    tells_energy = False

    def __init__(self, **ros: Any) -> None:
        self._config = EnergyNodeConfig()
        self._battery: BatteryMeter | None = None
        self._board: Board | None = None
        self._zmq: Publisher | None = None
        self._endpoint: MetricsEndpoint | None = None
        self._host: HostEnergy | None = None
        self._pulse = Pulse("energy")
        self._reported = (0, 0.0)
        self._published = 0
        self._lost = 0
        super().__init__("energy_node", EnergyNodeConfig, **{"task": "energy", **ros})

    def setup(self, config: EnergyNodeConfig) -> None:
        """Find the folder where nodes count, and listen where figures are asked for."""
        self._config = config
        self._board = Board(energy_folder())
        self._publisher = self.create_publisher(
            DiagnosticArray, TOPIC, QoSProfile(depth=1), qos_overriding_options=overridable()
        )
        self._zmq = config.zmq.publisher({_WIRE: _WIRE}, latched=[_WIRE])
        self._endpoint = config.metrics.endpoint(self._metrics)

    def begin(self) -> None:
        """Begin to sample, or to read."""
        config, board = self._config, self._board
        assert board is not None
        if config.meters.battery:
            simulated = bool(self.get_parameter("use_sim_time").value)
            self._battery = BatteryMeter(fake="simulated or recorded" if simulated else "")
            self._subscription = self.create_subscription(
                BatteryState,
                config.meters.battery,
                partial(_hear, self._battery),
                qos_profile_sensor_data,
                qos_overriding_options=overridable(),
            )
        self._published, self._lost, self._reported = 0, 0, (0, time.monotonic())
        beat = None if self._zmq is None else self._zmq.beat
        self._pulse = Pulse(self.get_fully_qualified_name(), beat)
        self._host = HostEnergy(self._make_sampler, board, self._tell, self._pulse, config.rate_hz)
        self._host.start()

    def halt(self) -> None:
        """Sample no more, so that another process may."""
        host, self._host = self._host, None
        if host is not None:
            host.stop()
        if self._battery is not None:
            self._battery = None
            self.destroy_subscription(self._subscription)

    def teardown(self) -> None:
        """Withdraw the topics."""
        for each in (self._zmq, self._endpoint):
            if each is not None:
                each.close()
        self._zmq = self._endpoint = None
        if self._board is not None:
            self._board = None
            self.destroy_publisher(self._publisher)

    def report(self) -> Report:
        """Return who samples, what is measured, and what is wrong with it."""
        host = self._host
        assert host is not None
        figures, failures = host.newest, host.failures.snapshot()
        former, since_s = self._reported
        self._reported = self._published, time.monotonic()
        rate_hz = (self._published - former) / max(self._reported[1] - since_s, 1e-3)
        values = standard_values(self.state, failures=failures, last_failure=host.last_failure)
        values |= {
            "rate_out_hz": rate_hz,
            "samples": str(host.samples).lower(),
            "sampler": host.other,
            "meters": 0 if figures is None else len(figures.meters),
            "nodes": 0 if figures is None else len(figures.nodes),
        }
        if self._battery is not None:
            refused = self._battery.refused.snapshot()
            values |= {f"battery.refused.{why}": count for why, count in refused.items()}
        if self._zmq is not None:
            values |= {f"zmq.{name}": count for name, count in self._zmq.counts.snapshot().items()}
        level, summary = self._judge(host, figures, sum(failures.values()))
        return judge_loop(Report(level, summary, values), self._pulse)

    def _judge(self, host: HostEnergy, figures: Figures | None, lost: int) -> tuple[Level, str]:
        former, self._lost = self._lost, lost
        if lost > former:
            return Level.WARN, host.last_failure
        if figures is None and host.last_failure:
            return Level.ERROR, f"no figures: {host.last_failure}"
        if figures is None:
            return Level.STALE, f"no figures yet. {host.other}".strip()
        wrong = [task for task, report in host_reports(figures) if report.level is Level.ERROR]
        if wrong:
            return Level.ERROR, f"parts that do not add up: {', '.join(wrong)}"
        known = Counter(meter.kind.value for meter in figures.meters if meter.kind is not Kind.UNAVAILABLE)
        meters = ", ".join(f"{count} {kind}" for kind, count in known.items()) or "no meter"
        fake = " (fake)" if any(meter.fake for meter in figures.meters) else ""
        who = "samples" if host.samples else "reads what another process samples"
        return Level.OK, f"{who}: {meters}{fake}"

    def _make_sampler(self) -> Sampler:
        config = self._config
        found = find_meters(config.meters, battery=self._battery)
        return Sampler(
            found.meters,
            found.missing,
            gpu_processes=GpuProcesses(),
            name=self.get_fully_qualified_name(),
            half_life_s=config.half_life_s,
        )

    def _tell(self, figures: Figures) -> None:
        """Publish figures; called in the thread that gets them."""
        self.energy.begin()
        statuses = [
            to_status(f"{self.get_name()}: {task}", report, figures.host)
            for task, report in host_reports(figures)
        ]
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(message)
        if self._zmq is not None:
            trace = Trace(capture_ns=figures.time_ns, published_ns=time.time_ns())
            self._zmq.write(Message(_WIRE, Record(to_plain(figures)), trace))
        self._published += 1
        self.energy.done()

    def _metrics(self) -> Any:
        host = self._host
        return energy_metrics(None if host is None else host.newest)


def _hear(battery: BatteryMeter, message: BatteryState) -> None:
    """Take over a report; one that cannot be true is counted by the meter, and changes nothing."""
    stamp_ns = message.header.stamp.sec * _S + message.header.stamp.nanosec
    battery.hear(message.voltage, message.current, max(0, stamp_ns), message.power_supply_status)


def main() -> int:
    """Run the node."""
    return run(EnergyNode)


if __name__ == "__main__":
    sys.exit(main())
