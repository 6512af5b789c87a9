# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag, each message at its time, to wherever its topics came from: ROS, ZeroMQ or both."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lowlat_nodes.nodes.bag.read_ahead import ReadAhead
from lowlat_nodes.nodes.realtime import sleep_until
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.transport.bag import BagReader, Recorded, Tally, Topic
from lowlat_nodes.transport.bag.names import matching

FULL_SPEED = math.inf

_S = 1_000_000_000
_COARSE_NS = 2_000_000  # the last part of a wait is left to the kernel's precise timers
_CONFIRM_S = 5.0  # Fast DDS repeats a request for confirmation that was not heeded after 3 s
_POLL_S = 0.02
_SETTLE_S = 0.2  # a subscription may learn of us later than we of it


class Lane(Protocol):
    """The way out of one topic.

    Attributes:
        name: What the topic is called there.
    """

    name: str

    def publish(self, recorded: Recorded) -> str:
        """Publish a message; return why it was not, empty if it was."""
        ...

    def heard(self) -> bool:
        """Return whether somebody listens."""
        ...

    def confirmed(self, timeout_s: float) -> bool:
        """Wait until those who can confirm have everything, and return whether they do."""
        ...


class Outlet(Protocol):
    """Where topics of one kind go to."""

    def takes(self, topic: Topic) -> bool:
        """Return whether a topic is one of that kind."""
        ...

    def lane(self, topic: Topic, name: str, *, full_speed: bool) -> Lane | str:
        """Return the way out of a topic, or why there is none.

        Args:
            topic: As recorded.
            name: What to publish it as; empty for what it was.
            full_speed: Whether messages do not wait for their time.
        """
        ...

    def advance(self, stamp_ns: int, schedule: Schedule) -> bool:
        """Publish what else falls due up to a stamp; return False if playing is to stop."""
        ...


@dataclass(slots=True)
class PlayReport:
    """What was played.

    Attributes:
        tally: What became of the messages of the bag.
        late: By how much each message was published after its time, ns; empty at full speed.
        seconds: How long it took.
        unconfirmed: Topics with messages that a reliable subscription did not confirm in time.
    """

    tally: Tally
    late: Histogram = field(default_factory=Histogram)
    seconds: float = 0.0
    unconfirmed: list[str] = field(default_factory=list)


class BagPlayer:
    """Publishes the serialised messages of a bag as they are, in the order of their receipt, by one clock.

    Deadlines are absolute: a message that is late does not delay those after it. A topic that no outlet can
    publish is skipped.

    Args:
        bag: What to play.
        outlets: Where its topics go to, the first that takes one.
        rate: 2 plays twice as fast. `FULL_SPEED` does not wait for the time of a message, only for whoever
            falls behind and says so.
        topics: The topics to play; empty plays all.
        remap: Bag topic to the name to publish it as.

    Raises:
        ConfigurationError: For a rate that is not positive, or a topic that is not in the bag.
    """

    def __init__(
        self,
        bag: BagReader,
        outlets: Sequence[Outlet],
        *,
        rate: float = 1.0,
        topics: Collection[str] = (),
        remap: Mapping[str, str] | None = None,
    ) -> None:
        if not rate > 0.0:
            raise ConfigurationError(f"expected a rate above 0, got {rate:g}")
        self._bag = bag
        self._outlets = outlets
        self._rate = rate
        self._chosen = chosen(bag, topics)
        self._names: dict[str, str] = {}
        for name, target in (remap or {}).items():
            self._names |= {topic.name: target for topic in matching(name, bag.topics, str(bag.path))}
        self._lanes = {(topic.name, topic.type): self._lane(topic) for topic in bag.topics}

    @property
    def skipped(self) -> dict[str, str]:
        """Return why each topic that is not played is not."""
        return {name: lane for (name, _), lane in self._lanes.items() if isinstance(lane, str)}

    def wait_for_subscriptions(self, timeout_s: float, stop: StopRequest) -> list[str]:
        """Wait until somebody listens to every topic that will be played, so that its first message is heard.

        Returns:
            The topics that nobody listens to when the time is over.
        """
        deadline = time.monotonic() + timeout_s
        lanes = self._playing()
        while alone := [lane for lane in lanes if not lane.heard()]:
            if time.monotonic() >= deadline or stop.wait(_POLL_S):
                break
        if len(alone) < len(lanes):
            stop.wait(_SETTLE_S)
        return [lane.name for lane in alone]

    def play(self, stop: StopRequest, loops: int = 1) -> PlayReport:
        """Publish the bag until its end, so many times, or until `stop` is set.

        Raises:
            BagError: If none of the bag can be read.
        """
        report = PlayReport(Tally(self._bag.topics))
        begin_ns = time.monotonic_ns()
        for _ in range(loops):
            if stop.is_set():
                break
            self._play_once(report, stop)
        report.unconfirmed = [lane.name for lane in self._playing() if not lane.confirmed(_CONFIRM_S)]
        report.seconds = (time.monotonic_ns() - begin_ns) / _S
        return report

    def _play_once(self, report: PlayReport, stop: StopRequest) -> None:
        schedule: Schedule | None = None
        with ReadAhead(self._bag.messages()) as messages:
            for recorded in messages:
                if schedule is None:
                    schedule = Schedule(recorded.stamp_ns, self._rate, stop)
                if not all(outlet.advance(recorded.stamp_ns, schedule) for outlet in self._outlets):
                    return
                lane = self._lanes.get((recorded.topic, recorded.type), "the bag does not list it")
                if isinstance(lane, str):
                    report.tally.skip(recorded.topic, recorded.type, lane)
                    continue
                if not schedule.wait_until(recorded.stamp_ns):
                    return
                late_ns = schedule.late_ns(recorded.stamp_ns)
                if problem := lane.publish(recorded):
                    report.tally.skip(recorded.topic, recorded.type, problem)
                    continue
                report.tally.publish(recorded.topic, recorded.type)
                if late_ns is not None:
                    report.late.record(late_ns)

    def _playing(self) -> list[Lane]:
        return [lane for lane in self._lanes.values() if not isinstance(lane, str)]

    def _lane(self, topic: Topic) -> Lane | str:
        """Return the way out of a topic, or why there is none."""
        if topic not in self._chosen:
            return "not chosen"
        for outlet in self._outlets:
            if outlet.takes(topic):
                name = self._names.get(topic.name, "")
                return outlet.lane(topic, name, full_speed=math.isinf(self._rate))
        return f"nothing here publishes it: {'ZeroMQ' if topic.framed else 'ROS'}"


def chosen(bag: BagReader, topics: Collection[str]) -> tuple[Topic, ...]:
    """Return the topics that names stand for; all for none.

    Raises:
        ConfigurationError: If one is not in the bag.
    """
    if not topics:
        return bag.topics
    found = {topic for name in topics for topic in matching(name, bag.topics, str(bag.path))}
    return tuple(topic for topic in bag.topics if topic in found)


class Schedule:
    """When each stamp of the bag is due on CLOCK_MONOTONIC.

    Args:
        first_ns: The stamp that is due now.
        rate: As of `BagPlayer`.
        stop: Ends every wait.
    """

    def __init__(self, first_ns: int, rate: float, stop: StopRequest) -> None:
        self.first_ns = first_ns
        self.rate = rate
        self._stop = stop
        self._begin_ns = time.monotonic_ns()

    def wait_until(self, stamp_ns: int) -> bool:
        """Wait for the time of a stamp; return False if playing is to stop."""
        due_ns = self._due_ns(stamp_ns)
        while due_ns is not None and (left_ns := due_ns - time.monotonic_ns()) > 0:
            if left_ns <= _COARSE_NS:
                sleep_until(due_ns)
            elif self._stop.wait((left_ns - _COARSE_NS) / _S):
                break
        return not self._stop.is_set()

    def late_ns(self, stamp_ns: int) -> int | None:
        """Return how late it is for a stamp, None at full speed, where nothing is."""
        due_ns = self._due_ns(stamp_ns)
        return None if due_ns is None else time.monotonic_ns() - due_ns

    def _due_ns(self, stamp_ns: int) -> int | None:
        if math.isinf(self.rate):
            return None
        return self._begin_ns + round((stamp_ns - self.first_ns) / self.rate)
