# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The energy of one node: counts for the sampler of the host, hears what it says, and tells ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.budget import Budget, Leeway, Order
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.energy.headline import Headline, cost_of, headline
from lowlat_nodes.energy.settings import EnergySettings
from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.nodes.diagnostics import Level, Report, to_status
from lowlat_nodes.nodes.energy.reports import own_report
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.transport.ros.topics import overridable

TOPIC = "~/energy"

_PERIOD_S = 1.0
_DISABLED = Headline(Kind.UNAVAILABLE, why="energy.enabled is false")


class NodeEnergy:
    """Counts what a node makes from `open` to `close`, and publishes once a second what that cost.

    What cannot be counted is said, and costs the node nothing: `begin` and `done` never raise.

    Args:
        node: Owns publisher and timer.
        tells: Whether there is a topic; a node that says the same of the whole host needs none.

    Attributes:
        headline: What the node uses, as it was last known.
        budget: What that is held to; None until `hold_to`.
        order: What the node is to do about it.
    """

    def __init__(self, node: LifecycleNode, *, tells: bool = True) -> None:
        self._node = node
        self._tells = tells
        self._tally: Tally | None = None
        self._board: Board | None = None
        self._unit = ""
        self._publisher = None
        self._timer = None
        self.headline = _DISABLED
        self.budget: Budget | None = None
        self.order = Order()
        self._leeway: Callable[[], Leeway] = Leeway
        self._obey: Callable[[Order], None] = _ignore

    def open(self, settings: EnergySettings, unit: str) -> None:
        """Begin to count.

        Args:
            settings: What the node was told.
            unit: What it makes.
        """
        self.headline, self._unit = _DISABLED, unit
        if not settings.enabled:
            return
        node = self._node
        self.headline = Headline(Kind.UNAVAILABLE, why="no figures yet")
        try:
            folder = energy_folder()
            self._tally = Tally(node.get_fully_qualified_name(), unit, folder)
            self._board = Board(folder)
        except ConfigurationError as error:  # no room, or a folder of somebody else
            self.headline = Headline(Kind.UNAVAILABLE, why=f"results are not counted: {error}")
            node.get_logger().warning(self.headline.why)
        if self._tells:
            self._publisher = node.create_publisher(
                DiagnosticArray, TOPIC, QoSProfile(depth=1), qos_overriding_options=overridable()
            )
        self._timer = node.create_timer(_PERIOD_S, self._turn, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def hold_to(self, budget: Budget, leeway: Callable[[], Leeway], obey: Callable[[Order], None]) -> None:
        """Judge once a second, from now on, what the node uses.

        Args:
            budget: Judges.
            leeway: Asked each time what the node can do.
            obey: Called with an order that is another one than before, in the thread that spins the node.
        """
        self.budget, self.order, self._leeway, self._obey = budget, Order(), leeway, obey

    def begin(self, bucket: str = "") -> None:
        """Note that work on a result begins; for any thread."""
        if self._tally is not None:
            self._tally.begin(bucket)

    def done(self, results: int = 1, bucket: str = "") -> None:
        """Note that it is over, and how many results went out; for any thread."""
        if self._tally is not None:
            self._tally.done(results, bucket)

    def cpu(self, ns: int, bucket: str = "") -> None:
        """Note CPU time that the node used, which tells nodes apart that share a process; for any thread."""
        if self._tally is not None:
            self._tally.cpu(ns, bucket)

    def values(self) -> dict[str, str | int | float]:
        """Return what the node's own diagnostics say; nothing unless it counts.

        They are those of `Headline.values`, and `energy.budget`: how the budget is kept, empty without one.
        """
        if self._timer is None:
            return {}
        return {**self.headline.values(self._unit), "energy.budget": self.order.summary}

    def judge(self, report: Report) -> Report:
        """Return a report of the node with `values`; it is no better than its budget is kept."""
        report.values |= self.values()
        if report.level is Level.OK and self.order.level:
            report.level = Level(self.order.level)
            report.summary += f"; energy: {self.order.summary}"
        return report

    def close(self) -> None:
        """Count and tell no more."""
        timer, publisher, tally = self._timer, self._publisher, self._tally
        self._timer = self._publisher = self._tally = self._board = None
        self.headline, self.budget, self.order = _DISABLED, None, Order()
        self._leeway, self._obey = Leeway, _ignore
        if timer is not None:
            self._node.destroy_timer(timer)
        if publisher is not None:
            self._node.destroy_publisher(publisher)
        if tally is not None:
            tally.close()

    def _turn(self) -> None:
        """Hear what the sampler said last, and tell."""
        figures = None
        name = self._node.get_fully_qualified_name()
        if self._board is not None:
            figures = self._board.read()
            self.headline = headline(figures, name, self._board.why)
        self._hold()
        if self._publisher is None:
            return
        host = "" if figures is None else figures.host
        statuses = [
            to_status(f"{self._node.get_name()}: {task}", report, host)
            for task, report in _reports(figures, name, self.headline, self.order)
        ]
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _hold(self) -> None:
        """Have the budget judge, and the node obey."""
        if self.budget is None:
            return
        former = self.order
        self.order = self.budget.judge(self.headline, self._leeway(), time.monotonic_ns())
        if (self.order.max_hz, self.order.model) != (former.max_hz, former.model):
            self._obey(self.order)
        if self.order.level > former.level:
            self._node.get_logger().warning(f"energy: {self.order.summary}")


def _ignore(_order: Order) -> None:
    """Do nothing: there is no budget."""


def _reports(
    figures: Figures | None, name: str, found: Headline, order: Order
) -> Iterator[tuple[str, Report]]:
    """Yield a task and its report for each meter that saw the node, or one that says why there is none.

    Those of the meters that the budget is judged by say how it is kept.
    """
    node = None if figures is None else figures.node(name)
    meters = () if figures is None or node is None else figures.meters
    seen = 0
    for meter in meters:
        assert node is not None
        if meter.name in node.joules or cost_of(node, meter.name) is not None:
            seen += 1
            report = own_report(node, meter)
            yield f"energy {meter.name}", _judged(report, order) if meter.name in found.meters else report
    if not seen:
        values: dict[str, str | int | float] = {"kind": Kind.UNAVAILABLE.value, "why": found.why}
        yield "energy", _judged(Report(Level.OK, found.why, values), order)


def _judged(report: Report, order: Order) -> Report:
    if order.summary:
        report.values["budget"] = order.summary
    if order.level:
        report.level, report.summary = Level(order.level), f"{report.summary}; {order.summary}"
    return report
