# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of everybody, as the server wants it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lowlat_nodes.cli.dash.events import Events
from lowlat_nodes.cli.dash.feed import Feed
from lowlat_nodes.cli.dash.history import History
from lowlat_nodes.cli.dash.rows import figures, key
from lowlat_nodes.cli.dash.snapshot import snapshot
from lowlat_nodes.cli.processes import Processes, report
from lowlat_nodes.cli.reports import Report, Reports
from lowlat_nodes.cli.top_energy import HostBoard
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.nodes.watch.graph import Graph
from lowlat_nodes.stream.clock import SteadyClock

if TYPE_CHECKING:
    from lowlat_nodes.cli.dash.pictures import Picture, Pictures
    from lowlat_nodes.nodes.watch.watch import Watch

_MOST_NODES = 100
_FORGOTTEN_S = 600.0


class View:
    """Collects, remembers and tells; `history` and `picture` are for any thread, the rest for one.

    Args:
        reports: Of ROS nodes.
        processes: Heard over ZeroMQ.
        feed: Gets the snapshots.
        history: Of the figures.
        events: What changed.
    """

    def __init__(
        self, reports: Reports, processes: Processes, feed: Feed, history: History, events: Events
    ) -> None:
        self._reports = reports
        self._processes = processes
        self._feed = feed
        self._history = history
        self._events = events
        self._board = HostBoard()
        self._watch: Watch | None = None
        self._pictures: Pictures | None = None
        self._sequence = 0
        self._clock = SteadyClock()
        self._lock = threading.Lock()
        self._remembered: bytes | None = None

    def look_through(self, watch: Watch) -> None:
        """See the ROS graph from now on."""
        from lowlat_nodes.cli.dash.pictures import Pictures

        self._watch, self._pictures = watch, Pictures(watch.frame)

    def listen(self, duration_s: float, stop: StopRequest) -> None:
        """Hear everybody for this long, or until `stop` is set, and take what has come."""
        if self._watch is None:
            stop.wait(duration_s)
        else:
            self._watch.listen(duration_s, stop)
            self._watch.poll(watched=self._feed.watched)

    def remember(self) -> None:
        """Add a point to the history, and what has changed to the events."""
        newest, now_s = self._look(), time.time()
        with self._lock:
            self._history.tick(now_s, {key(each): figures(each) for each in newest if not each.lost})
            self._remembered = None

    def tell(self) -> None:
        """Make a snapshot where anybody looks."""
        if not self._feed.watched:
            return
        self._sequence += 1
        watch, newest = self._watch, self._look()
        self._feed.publish(
            snapshot(
                self._sequence,
                domain=None if watch is None else int(os.environ.get("ROS_DOMAIN_ID") or 0),
                reports=newest,
                graph=Graph() if watch is None else watch.graph(),
                cameras=() if watch is None else watch.cameras(),
                arms=() if watch is None else watch.arms(),
                alerts=() if watch is None else watch.alerts(),
                events=self._events.newest(),
                now_ns=self._clock.now_ns(),
            )
        )

    def history(self) -> bytes:
        """Return the history as JSON."""
        with self._lock:
            if self._remembered is None:
                self._remembered = self._history.as_json()
            return self._remembered

    def picture(self, index: int) -> Picture | None:
        """Return the newest picture of a camera, which is wanted from now on; None without one.

        Raises:
            BadImage: If the frame cannot be read.
        """
        if self._watch is None or self._pictures is None:
            return None
        self._watch.want(index)
        return self._pictures.get(index)

    def _look(self) -> list[Report]:
        """Return the newest reports, once what has changed in them is among the events."""
        present = None if self._watch is None else self._watch.present()
        states = self._processes.states()
        energies = self._board.values([(endpoint, state.name) for endpoint, state in states])
        heard = [report(*state, energy) for state, energy in zip(states, energies, strict=True)]
        newest, now_s = chosen(self._reports.newest(present) + heard), time.time()
        if self._watch is not None:
            self._events.see_lives(now_s, self._watch.reporters())
        self._events.see(now_s, newest)
        return newest


def chosen(reports: Sequence[Report]) -> list[Report]:
    """Return the reports that are shown, in their order.

    Who is lost is forgotten when its history is; of too many, those go that were silent longest.
    """
    found = [report for report in reports if not report.lost or report.silent_s < _FORGOTTEN_S]
    if len(found) <= _MOST_NODES:
        return found
    first = sorted(range(len(found)), key=lambda place: (found[place].lost, found[place].silent_s))
    return [found[place] for place in sorted(first[:_MOST_NODES])]
