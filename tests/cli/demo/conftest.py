# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded runs of the demo with reactions that are known because they were made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.sim.kinematics import JOINT_NAMES, inverse
from lowlat_nodes.stream.payload import NO_FLOATS, Image, Joints, Text
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import Recorded
from lowlat_nodes.transport.bag.types import MessageTypes

MS = 1_000_000
S = 1000 * MS
EPOCH_NS = 1_790_000_000 * S
STRING = "std_msgs/msg/String"
IMAGE = "sensor_msgs/msg/Image"
TYPES = MessageTypes()
PIXELS = np.zeros((3, 4, 3), dtype=np.uint8)

Place = tuple[float, float]


@dataclass
class FakeRun:
    """Writes down what a run would publish: lights left and right in turn, each answered after `reaction_ms`.

    Attributes:
        records: The messages, in the order in which they were added.
    """

    targets: int = 12
    reaction_ms: float = 200.0
    hits: int = 12
    stalled_ticks: int = 0
    stalls: int = 0
    steps_skipped: int = 0
    records: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        period_ns, window_ns = 1800 * MS, 900 * MS
        self.end_ns = S + self.targets * period_ns
        self.event(0, "start", targets=self.targets, seed=1, task="touch the red light")
        places = [(0.3 * (-1) ** k, 0.4) for k in range(self.targets)]
        onsets = [S + k * period_ns + 3 * k * MS for k in range(self.targets)]
        for k, (onset_ns, place) in enumerate(zip(onsets, places, strict=True)):
            light = {"id": k, "x": place[0], "y": place[1], "asked": True, "colour": "red"}
            self.event(onset_ns, "on", **light, window_ns=window_ns)
            hit = k < self.hits
            off_ns = onset_ns + (600 * MS if hit else window_ns)
            self.event(off_ns, "hit" if hit else "miss", **light, window_ns=window_ns)
        self.event(self.end_ns, "end", hits=self.hits, misses=self.targets - self.hits)
        self._commands(onsets, places)
        self._inferences()
        for stamp_ns in range(-S // 2, self.end_ns + 2 * S, S):
            self._status(stamp_ns)
        for stamp_ns in range(0, self.end_ns, 33 * MS):
            self.add("/camera/image", IMAGE, stamp_ns, Image(PIXELS, "rgb8"))

    def event(self, stamp_ns: int, kind: str, **values: Any) -> None:
        text = json.dumps({"event": kind, "stamp_ns": EPOCH_NS + stamp_ns, **values})
        self.add("/reaction/events", STRING, stamp_ns, Text(text))

    def add(self, topic: str, type_name: str, stamp_ns: int, payload: Any) -> None:
        data = cdr.encode(type_name, EPOCH_NS + stamp_ns, "", payload)
        stamp_ns += EPOCH_NS
        self.records.append(Recorded(topic, type_name, stamp_ns + MS, data, stamp_ns))

    def status(self, stamp_ns: int, node: str, values: dict[str, object]) -> None:
        seconds, nanoseconds = divmod(EPOCH_NS + stamp_ns, S)
        stamp = SimpleNamespace(sec=seconds, nanosec=nanoseconds)
        pairs = [SimpleNamespace(key=name, value=str(value)) for name, value in values.items()]
        status = SimpleNamespace(level=0, name=f"{node}: task", message="", hardware_id="", values=pairs)
        message = SimpleNamespace(header=SimpleNamespace(stamp=stamp, frame_id=""), status=[status])
        type_name = "diagnostic_msgs/msg/DiagnosticArray"
        data = TYPES.encode(type_name, message)
        stamp_ns += EPOCH_NS
        self.records.append(Recorded("/diagnostics", type_name, stamp_ns + MS, data, stamp_ns))

    def in_order(self) -> list[Recorded]:
        return sorted(self.records, key=lambda record: record.stamp_ns)

    def _commands(self, onsets: list[int], places: list[Place]) -> None:
        tip = np.array([0.0, 0.4])
        goal = tip
        reactions = [onset + round(self.reaction_ms * MS) for onset in onsets]
        following = 0
        for stamp_ns in range(0, self.end_ns + S // 2, 10 * MS):
            if following < len(places) and stamp_ns >= reactions[following]:
                goal, following = np.array(places[following]), following + 1
            way = goal - tip
            distance = float(np.linalg.norm(way))
            tip = goal if distance < 0.04 else tip + 0.04 * way / distance  # 4 m/s
            q = inverse(tip)
            self.add("/arm/commands", "std_msgs/msg/Float64MultiArray", stamp_ns, q)
            for lag_ns in (0, 5 * MS):
                joints = Joints(JOINT_NAMES, q, np.zeros(3), NO_FLOATS)
                self.add("/joint_states", "sensor_msgs/msg/JointState", stamp_ns + lag_ns, joints)

    def _inferences(self) -> None:
        for number, launched_ns in enumerate(range(0, self.end_ns, 160 * MS)):
            words = {
                "id": number,
                "observed_ns": EPOCH_NS + launched_ns - 20 * MS,
                "launched_ns": EPOCH_NS + launched_ns,
                "received_ns": EPOCH_NS + launched_ns + 150 * MS,
                "switch_ns": EPOCH_NS + launched_ns + 160 * MS,
                "outcome": "scheduled" if number % 10 else "late",
            }
            self.add("/policy_node/inferences", STRING, launched_ns + 150 * MS, Text(json.dumps(words)))

    def _status(self, stamp_ns: int) -> None:
        share = min(1.0, max(0.0, stamp_ns / self.end_ns))
        policy = {
            "ticks": 50 + stamp_ns // (10 * MS),
            # Those before the start are not the run's.
            "stalled_ticks": 7 + round(share * self.stalled_ticks),
            "stalls": 3 + round(share * self.stalls),
            "inferences": 4 + max(0, stamp_ns) // (160 * MS),
            "state": "active",
            "age_p50_ms": "12.5",
        }
        self.status(stamp_ns, "policy_node", policy)
        steps = {"steps": 100 + stamp_ns // (5 * MS), "steps_skipped": round(share * self.steps_skipped)}
        self.status(stamp_ns, "sim_arm_node", steps)


@pytest.fixture
def fake_run() -> Callable[..., FakeRun]:
    """The class of made-up runs."""
    return FakeRun
