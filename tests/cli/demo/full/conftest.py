# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A run of the whole graph whose figures are known because they were made up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.demo.full.settings import FullSettings
from lowlat_nodes.stream.payload import Text
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagWriter

MS, S = 1_000_000, 1_000_000_000
START_NS = 1_790_000_000 * S
STRING = "std_msgs/msg/String"
NODES = ("sim_arm_node", "policy_node", "detector_node", "alert_node", "alert_replay_node", "recorder_node")


@dataclass
class FakeRun:
    """Writes down what a good run leaves behind; tests make it worse before they save it.

    Attributes:
        said: What the driver heard, in order.
        identities: Of the alerts.
        used: Use, energy and ends of the nodes.
        seconds: Its length.
    """

    said: list[dict[str, Any]] = field(default_factory=list)
    identities: list[str] = field(default_factory=lambda: [f"ztf:{number}" for number in range(20)])
    used: dict[str, Any] = field(default_factory=dict)
    seconds: float = 10.0

    def __post_init__(self) -> None:
        self.say_phase("starting", -2.0)
        self.say_node("policy_node", -1.0, stalled_ticks=5, inferences=3, stalls=0)
        self.say_phase("playing", 0.0)
        for number in range(5):
            place = {"id": number, "asked": True}
            self.said.append({"event": "on", "stamp_ns": at_ns(2.0 * number), **place})
            if number:
                self.said.append({"event": "hit", "stamp_ns": at_ns(2.0 * number + 0.3), **place})
        for number in range(100):
            published_ns = at_ns(0.05 + 0.1 * number)
            frame = {"capture_ns": published_ns - (20 + number) * MS, "published_ns": published_ns}
            self.said.append({"frame": {**frame, "model_ns": 15 * MS, "detections": 4}})
        for number in range(20):
            self.say_result(number)
        for second in range(1, 10):
            self.say_node("policy_node", second, age_p50_ms=180, age_p99_ms=200)
            self.say_node("detector_node", second, age_p50_ms=30, age_p99_ms=40, rate_out_hz=10)
            self.say_node("alert_node", second, latency_p50_ms=5, latency_p99_ms=9)
        self.say_phase("settling", self.seconds)
        self.say_node(
            "policy_node", 11.0, stalls=0, ticks=1200, tick_late_p50_ms=0.06, tick_late_p99_ms=0.2,
            stalled_ticks=5, inferences=63, inference_p50_ms=150, sched="SCHED_FIFO 40",
        )  # fmt: skip
        self.say_node("alert_replay_node", 11.0, sent=20, done="true")
        self.say_node("recorder_node", 11.0, drops=0)
        self.say_node("detector_node", 11.0, backend="onnxruntime", **{"drops.superseded": 2})
        self.say_phase("done", 12.0)
        energy = {
            "kind": "modelled",
            "watts": 0.5,
            "meters": ["model/cpu"],
            "why": "a model",
            "seconds": 10.0,
        }
        self.used = {
            "use": {name: {"cpu": 0.1, "memory_mb": 50.0, "processes": 1} for name in NODES},
            "energy": {name: {**energy, "unit": "result", "results": 10} for name in NODES},
            "up": {name: {"state": "stopped", "restarts": 0, "exit_code": 0} for name in NODES},
        }

    def say_phase(self, phase: str, second: float) -> None:
        self.said.append({"phase": phase, "at_ns": at_ns(second)})

    def say_node(self, node: str, second: float, **values: Any) -> None:
        texts = {name: str(value) for name, value in {"state": "active", **values}.items()}
        said = {"node": node, "part": "x", "level": 0, "message": "running", "values": texts}
        self.said.append({**said, "at_ns": at_ns(second)})

    def say_result(self, number: int) -> None:
        """Say the result of an alert: every second one is given its class, the others none."""
        received_ns = at_ns(0.4 * number)
        result = {"survey": "ztf", "alert_id": number, "object_id": f"TDE {number}"}
        times = {"received_ns": received_ns, "published_ns": received_ns + 6 * MS}
        self.said.append({"result": {**result, "best": "abstained" if number % 2 else "TDE", **times}})

    def last(self, node: str) -> dict[str, str]:
        """Return the values of what a node said last."""
        values: dict[str, str] = [each for each in self.said if each.get("node") == node][-1]["values"]
        return values

    def save(self, folder: Path) -> Path:
        """Make the folder that a run leaves behind."""
        folder.mkdir()
        FullSettings(self.seconds, 5, 20, NODES).save(folder)
        (folder / "heard.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in self.said))
        (folder / "used.json").write_text(json.dumps(self.used))
        (folder / "night.json").write_text(json.dumps(self.identities))
        (folder / "machine.json").write_text('{"cores": "2"}')
        with BagWriter(folder / "bag") as writer:
            data = cdr.encode(STRING, START_NS, "", Text("touch the red light"))
            writer.write("/task", STRING, START_NS, data, START_NS)
        return folder


def at_ns(second: float) -> int:
    return START_NS + round(second * S)


@pytest.fixture
def fake_full_run() -> FakeRun:
    return FakeRun()
