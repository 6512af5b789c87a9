# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One recorded run of the demo: its bag, read once and turned into arrays."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.executor import Outcome
from lowlat_nodes.sim.kinematics import JOINT_NAMES, forward
from lowlat_nodes.sim.score import CommandTrack, Target
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.payload import Floats
from lowlat_nodes.transport.bag import BagReader, Recorded
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.cdr import JointStateReader, decode

COMMANDS = "/arm/commands"
DIAGNOSTICS = "/diagnostics"
EVENTS = "/reaction/events"
IMAGES = "/camera/image"
INFERENCES = "/policy_node/inferences"
JOINTS = "/joint_states"
TASK = "/task"

TOPICS = (COMMANDS, DIAGNOSTICS, EVENTS, IMAGES, INFERENCES, JOINTS, TASK)
"""What the demo records."""


class RecordingError(LowlatError):
    """A bag that is not a complete run of the demo."""


@dataclass(frozen=True, slots=True)
class Inference:
    """One question to the policy; all times in ROS time, 0 for what never happened.

    Attributes:
        observed_ns: Capture of the image that went in.
        launched_ns: When the tick loop asked.
        received_ns: When the answer was there.
        switch_ns: The tick at which its chunk took over; 0 if it was refused.
        outcome: What became of the chunk.
    """

    observed_ns: int
    launched_ns: int
    received_ns: int
    switch_ns: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Status:
    """What a node said about itself at one time.

    Attributes:
        stamp_ns: When.
        node: Its name.
        values: Figures as text, by name.
    """

    stamp_ns: int
    node: str
    values: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Recording:
    """What a bag says about one run, from the start of the schedule to its end.

    Attributes:
        start_ns: When the schedule started.
        end_ns: When its last light had gone.
        targets: The lights that were to be touched, in order of onset, with their fates.
        wrong: How many decoys were touched.
        track: All published commands, also before the start.
        tip_stamp_ns: int64 [n]: stamps of the joint states.
        tip_m: float64 [n, 2]: where the fingertip really was.
        inferences: In order of launch.
        policy: Increase of the policy node's counters from its first chunk to the end.
        sim: Increase of the simulation's counters from the start to the end.
        messages: Number of messages by topic in the whole bag.
    """

    start_ns: int
    end_ns: int
    targets: tuple[Target, ...]
    wrong: int
    track: CommandTrack
    tip_stamp_ns: NDArray[np.int64]
    tip_m: Floats
    inferences: tuple[Inference, ...]
    policy: dict[str, int]
    sim: dict[str, int]
    messages: dict[str, int]

    @property
    def seconds(self) -> float:
        """Return the length of the schedule."""
        return (self.end_ns - self.start_ns) * 1e-9

    def commands(self) -> int:
        """Return how many commands were published during the schedule."""
        inside = (self.track.stamp_ns >= self.start_ns) & (self.track.stamp_ns < self.end_ns)
        return int(inside.sum())

    def command_gaps_ns(self) -> NDArray[np.int64]:
        """Return the times between successive commands during the schedule."""
        stamps = self.track.stamp_ns
        return np.diff(stamps[(stamps >= self.start_ns) & (stamps < self.end_ns)])


def read_bag(path: Path) -> Recording:
    """Read a run from its bag.

    Raises:
        BagError: If there is no bag, or a message of it is damaged.
        RecordingError: If messages are missing, or it is no complete run.
    """
    with BagReader(path) as bag:
        recording = read(bag.messages())
        if bag.damage:
            raise RecordingError(f"{path}: {'; '.join(bag.damage)}")
    return recording


def read(records: Iterable[Recorded]) -> Recording:
    """Read a run from its messages, in the order of their stamps.

    Raises:
        RecordingError: If the schedule did not start or end in it, or a node is not heard of.
        CdrError: If a message is damaged.
        BagError: The same, for diagnostics.
    """
    gathered = _Gathered()
    for record in records:
        gathered.take(record)
    return gathered.recording()


@dataclass
class _Gathered:
    types: MessageTypes = field(default_factory=MessageTypes)
    joint_reader: JointStateReader = field(default_factory=JointStateReader)
    messages: Counter[str] = field(default_factory=Counter)
    events: list[dict[str, Any]] = field(default_factory=list)
    inferences: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    command_ns: list[int] = field(default_factory=list)
    commands: list[Floats] = field(default_factory=list)
    joint_ns: list[int] = field(default_factory=list)
    joints: list[Floats] = field(default_factory=list)

    def take(self, record: Recorded) -> None:
        topic = record.topic
        self.messages[topic] += 1
        if topic == COMMANDS:
            self.command_ns.append(record.published_ns)
            self.commands.append(decode(record.type, record.data).payload)
        elif topic == JOINTS:
            state = self.joint_reader.read(record.data)
            self.joint_ns.append(state.stamp_ns or record.published_ns)
            self.joints.append(state.payload.position)
        elif topic in (EVENTS, INFERENCES):
            text = json.loads(decode(record.type, record.data).payload.data)
            (self.events if topic == EVENTS else self.inferences).append(text)
        elif topic == DIAGNOSTICS:
            self.statuses += _statuses(self.types.decode(record.type, record.data))

    def recording(self) -> Recording:
        start_ns, end_ns = self._event_ns("start"), self._event_ns("end")
        if not self.commands or not self.joints:
            raise RecordingError(f"expected messages on {COMMANDS} and {JOINTS}, got {dict(self.messages)}")
        # The transport's own stamps of two commands may be equal or swapped by a microsecond.
        command_ns = np.maximum.accumulate(np.array(self.command_ns, dtype=np.int64))
        inferences = tuple(sorted(map(_inference, self.inferences), key=lambda item: item.launched_ns))
        first_chunk_ns = min((item.switch_ns for item in inferences if item.switch_ns), default=0)
        if not first_chunk_ns:
            raise RecordingError(f"expected accepted chunks among {len(inferences)} inferences, got none")
        return Recording(
            start_ns,
            end_ns,
            self._targets(),
            sum(event["event"] == "wrong" for event in self.events),
            CommandTrack(command_ns, _tips(self.commands, COMMANDS)),
            np.array(self.joint_ns, dtype=np.int64),
            _tips(self.joints, JOINTS),
            inferences,
            self._counters("policy_node", first_chunk_ns, end_ns),
            self._counters("sim_arm_node", start_ns, end_ns),
            dict(self.messages),
        )

    def _event_ns(self, kind: str) -> int:
        found = [int(event["stamp_ns"]) for event in self.events if event["event"] == kind]
        if len(found) != 1:
            raise RecordingError(
                f"expected one {kind!r} among {len(self.events)} messages on {EVENTS}, got {len(found)}; "
                "the run was not recorded from its start to its end"
            )
        return found[0]

    def _targets(self) -> tuple[Target, ...]:
        ends = {event["id"]: event for event in self.events if event["event"] in ("hit", "miss")}
        targets = []
        for event in self.events:
            if event["event"] != "on" or not event["asked"]:
                continue
            end = ends.get(event["id"])
            if end is None:
                raise RecordingError(f"light {event['id']} went on and neither hit nor miss followed")
            place = float(event["x"]), float(event["y"])
            onset_ns, off_ns = int(event["stamp_ns"]), int(end["stamp_ns"])
            targets.append(Target(event["id"], onset_ns, off_ns, *place, end["event"] == "hit"))
        return tuple(targets)

    def _counters(self, node: str, start_ns: int, end_ns: int) -> dict[str, int]:
        """Return what a node counted in between; what it never reported before counts from 0."""
        before = _whole_numbers(self._last_values(node, start_ns))
        after = _whole_numbers(self._last_values(node, self._report_after_ns(node, end_ns)))
        return {name: count - before.get(name, 0) for name, count in after.items()}

    def _report_after_ns(self, node: str, end_ns: int) -> int:
        """Return when a node first spoke after the end: what it counted until then is in there."""
        later = [
            status.stamp_ns for status in self.statuses if status.node == node and status.stamp_ns >= end_ns
        ]
        if not later:
            raise RecordingError(f"{node} sent no diagnostics after the end of the schedule")
        return min(later)

    def _last_values(self, node: str, until_ns: int) -> dict[str, str]:
        values: dict[str, str] = {}
        for status in self.statuses:
            if status.node == node and status.stamp_ns <= until_ns:
                values |= status.values
        return values


def _statuses(message: Any) -> list[Status]:
    """Return what a diagnostic_msgs/DiagnosticArray says."""
    stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
    return [
        Status(
            stamp_ns,
            status.name.partition(":")[0].strip().lstrip("/"),
            {item.key: item.value for item in status.values},
        )
        for status in message.status
    ]


def _whole_numbers(values: Mapping[str, str]) -> dict[str, int]:
    return {name: int(text) for name, text in values.items() if text.lstrip("-").isdecimal()}


def _inference(text: dict[str, Any]) -> Inference:
    outcome = Outcome(text["outcome"])
    observed_ns, launched_ns, received_ns, switch_ns = (
        int(text[name]) for name in ("observed_ns", "launched_ns", "received_ns", "switch_ns")
    )
    return Inference(
        observed_ns, launched_ns, received_ns, switch_ns if outcome.accepted else 0, outcome.value
    )


def _tips(joints: list[Floats], topic: str) -> Floats:
    try:
        angles = np.array(joints, dtype=np.float64).reshape(len(joints), len(JOINT_NAMES))
    except ValueError as error:
        raise RecordingError(f"{topic}: expected {len(JOINT_NAMES)} joints in every message") from error
    return forward(angles)[:, -1]
