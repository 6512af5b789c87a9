# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A look at a whole ROS graph: what nodes report, how they are connected, and what passes between them."""

from __future__ import annotations

from lowlat_nodes.nodes.diagnostics_monitor import DiagnosticsMonitor, Hear
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.nodes.watch.alerts import AlertWatch
from lowlat_nodes.nodes.watch.arms import ArmWatch
from lowlat_nodes.nodes.watch.cameras import CameraWatch
from lowlat_nodes.nodes.watch.graph import Graph
from lowlat_nodes.nodes.watch.graph_reader import GraphReader
from lowlat_nodes.nodes.watch.seen import Alert, Arm, Camera, Frame
from lowlat_nodes.stream.clock import SteadyClock

_GRAPH_NS = 1_000_000_000  # between two looks at who is there


class Watch:
    """A node that only reads: diagnostics always, everything else while somebody looks.

    Except for `want` and `frame` it is for one thread.

    Args:
        hear: Called for each status, in the thread that calls `listen`.
        diagnostics: The topic on which nodes report.
    """

    def __init__(self, hear: Hear, diagnostics: str = "/diagnostics") -> None:
        self._monitor = DiagnosticsMonitor(hear, diagnostics, name="lowlat_dash")
        node, self._clock = self._monitor.node, SteadyClock()
        self._reader = GraphReader(node, diagnostics)
        self._cameras = CameraWatch(node, self._clock)
        self._arms = ArmWatch(node, self._clock)
        self._alerts = AlertWatch(node)
        self._graph = Graph()
        self._watched = False
        self._due_ns = 0

    def listen(self, duration_s: float, stop: StopRequest) -> None:
        """Hear what nodes report for this long, or until `stop` is set."""
        self._monitor.listen(duration_s, stop)

    def poll(self, *, watched: bool) -> None:
        """Take what is new.

        Args:
            watched: Whether anybody looks; if not, nothing but diagnostics is subscribed to.
        """
        now_ns = self._clock.now_ns()
        if watched and (not self._watched or now_ns >= self._due_ns):
            self._due_ns = now_ns + _GRAPH_NS
            self._graph = self._reader.read()
            for part in (self._cameras, self._arms, self._alerts):
                part.follow(self._graph)
        if watched and not self._watched:
            self._cameras.want()
        self._cameras.poll(watched=watched)
        if watched:
            self._arms.poll()
            self._alerts.poll()
        elif self._watched:
            self._arms.rest()
            self._alerts.rest()
        self._watched = watched

    def present(self) -> set[str]:
        """Return the full names of the nodes in the graph."""
        return self._monitor.present()

    def reporters(self) -> dict[str, frozenset[bytes]]:
        """Return what tells the nodes that report from those of the same names before them."""
        return self._reader.reporters()

    def want(self, index: int | None = None) -> None:
        """Show a camera, or all, for the next 10 s; from any thread."""
        self._cameras.want(index)

    def frame(self, index: int) -> Frame | None:
        """Return the newest frame of a camera; from any thread."""
        return self._cameras.frame(index)

    def graph(self) -> Graph:
        """Return the graph as it was while somebody looked last."""
        return self._graph

    def cameras(self) -> list[Camera]:
        """Return the cameras by index."""
        return self._cameras.seen()

    def arms(self) -> list[Arm]:
        """Return the arms by topic."""
        return self._arms.seen()

    def alerts(self) -> list[Alert]:
        """Return the newest alerts, the newest first."""
        return self._alerts.seen()

    def close(self) -> None:
        """Leave the graph."""
        self._cameras.close()
        self._arms.rest()
        self._alerts.rest()
        self._monitor.close()
