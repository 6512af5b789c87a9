# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The server of `lowlat dash` with snapshots that a test makes, and a browser that looks at them."""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lowlat_nodes.benchmarks._chromium import Chromium
from lowlat_nodes.cli.dash.assets import read_assets
from lowlat_nodes.cli.dash.feed import Feed
from lowlat_nodes.cli.dash.server import DashServer

GREEN = (40, 160, 60)  # of the picture, red, green, blue


@dataclass(frozen=True)
class _Picture:
    data: bytes


class Shown:
    """A server whose snapshots a test tells.

    Attributes:
        pictures: How many pictures it was asked for.
    """

    def __init__(
        self, *, port: int = 0, token: str = "", history: dict[str, Any] | None = None, first: int = 0
    ) -> None:
        image = np.full((48, 64, 3), GREEN[::-1], np.uint8)
        self._jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        self._history = json.dumps(history or {"at": [], "nodes": {}}).encode()
        self._sequence = first
        self.pictures = 0
        self.feed = Feed()
        self.server = DashServer(
            "127.0.0.1",
            port,
            token,
            assets=read_assets(),
            feed=self.feed,
            history=lambda: self._history,
            picture=self._picture,
        )
        self.server.start()
        self._told = b""
        self._speaks = threading.Event()
        self._ended = threading.Event()
        self._speaks.set()
        self._repeater = threading.Thread(target=self._repeat, daemon=True)
        self._repeater.start()
        self.port = self.server.port
        self.url = f"http://127.0.0.1:{self.port}/" + (f"?token={token}" if token else "")

    def tell(self, snapshot: dict[str, Any]) -> int:
        """Send a snapshot and return its number."""
        self._sequence += 1
        self._told = json.dumps(snapshot | {"sequence": self._sequence}).encode()
        self.feed.publish(self._told)
        return self._sequence

    def show(self, browser: Chromium, snapshot: dict[str, Any]) -> None:
        """Send a snapshot and wait until the page shows it."""
        number = self.tell(snapshot)
        browser.wait(f"document.body.dataset.sequence === '{number}'")

    def hush(self) -> None:
        """Send what is told once, and then nothing more, as a server that hangs."""
        self._speaks.clear()

    def close(self) -> None:
        self._ended.set()
        self._repeater.join()
        self.server.close()

    def _repeat(self) -> None:
        """Send the newest snapshot over and over, as a server does: a test takes the time it takes."""
        while not self._ended.wait(0.5):
            if self._told and self._speaks.is_set():
                self.feed.publish(self._told)

    def _picture(self, index: int) -> _Picture | None:
        self.pictures += 1
        return _Picture(self._jpeg) if index == 0 else None


def node(name: str, part: str = "part", **changes: Any) -> dict[str, Any]:
    """Return a node that is well."""
    return {
        "name": name,
        "part": part,
        "level": "ok",
        "message": "running",
        "state": "active",
        "silent_s": 0.2,
        "rate_in_hz": 100.0,
        "rate_out_hz": 50.0,
        "latency_ms": {"p50": 20.0, "p99": 31.0},
        "age_ms": {"p50": 40.0, "p99": 55.0},
        "latency_newest_ms": None,
        "drops": {},
        "failures": {},
        "energy": None,
        "values": {},
    } | changes


def stream(source: str, target: str, topic: str, transport: str = "ros") -> dict[str, str]:
    """Return a stream of the graph."""
    return {
        "from": source,
        "to": target,
        "topic": topic,
        "type": "std_msgs/msg/String",
        "transport": transport,
    }


def energy(kind: str, **changes: Any) -> dict[str, Any]:
    """Return what a node's results cost."""
    return {"kind": kind, "fake": False, "watts": 0.25, "j_per_result": 0.0068, "unit": "action"} | changes


def camera(topic: str, **changes: Any) -> dict[str, Any]:
    """Return a camera whose picture is green, and whose detector sees nothing."""
    return {
        "index": 0,
        "topic": topic,
        "sequence": 1,
        "width": 64,
        "height": 48,
        "age_ms": 31.0,
        "detector": "/detector_node",
        "detections": [],
        "detections_age_ms": 44.0,
        "trouble": "",
    } | changes


def detection(label: str, x: float, track: str = "3") -> dict[str, Any]:
    """Return a box of 16 by 12 px."""
    return {"label": label, "score": 0.9, "x": x, "y": 20.0, "width": 16.0, "height": 12.0, "track": track}


def arm(positions: list[float], **changes: Any) -> dict[str, Any]:
    """Return an arm of two joints, the first of which is behind its command."""
    return {
        "topic": "/joint_states",
        "names": ["shoulder", "elbow"],
        "positions": positions,
        "commands": [positions[0] + 0.1, *positions[1:]],
        "outline": None,
        "age_ms": 4.0,
    } | changes


def alert(name: str, *, at: float, curve: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an alert that is taken for a supernova."""
    shares = {"SN Ia": 0.9, "SN II": 0.05, "TDE": 0.03, "AGN": 0.01, "CV": 0.01}
    return {"object": name, "best": "SN Ia", "p": shares, "at": at, "cost": 0.02, "light_curve": curve}


def snapshot(*, step: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a snapshot of a small robot; with `step`, its figures, arm and detections move."""
    now = time.time()
    turn = math.sin(step / 5)
    square = detection("square", 10.0 + 5 * turn)
    nodes = [
        node("/policy_node", "control", rate_out_hz=100.0 + step, energy=energy("modelled")),
        node(
            "/detector_node", "detector", level="warn", message="losing messages: stale 12",
            drops={"superseded": 3 + step, "stale": 12}, failures={"bad_image": 1},
            energy=energy("measured", fake=True),
        ),
        node("/bridge_node", "bridge", energy=energy("unavailable", watts=None, j_per_result=None)),
        node("/arm_node", "robot", latency_ms=None, age_ms=None),
    ]  # fmt: skip
    names = ["/arm_node", "/policy_node", "/detector_node", "/bridge_node", "/wall"]
    curve = {"g": [[60000.0, 19.0, 0.1], [60010.0, 18.0, 0.1]], "r": [[60005.0, 18.5, 0.2]]}
    return {
        "version": 1,
        "at": now,
        "host": "robot-7",
        "domain": 12,
        "nodes": nodes,
        "graph": {
            "nodes": [{"name": name, "ours": name != "/wall"} for name in names],
            "streams": [
                stream("/arm_node", "/policy_node", "/joint_states"),
                stream("/policy_node", "/arm_node", "/arm/commands"),
                stream("/arm_node", "/detector_node", "/camera/image", "shm"),
                stream("/bridge_node", "/wall", "detections", "zmq"),
            ],
        },
        "cameras": [camera("/camera/image", sequence=step + 1, detections=[square])],
        "arms": [arm([0.5 * turn, -0.25], outline=[[0, 0, 0], [0.3, 0.1 * turn, 0.1], [0.5, 0.1, 0.3]])],
        "alerts": [alert(f"ZTF26{step:04d}", at=now, curve=curve), alert("ZTF25old", at=now - 1)],
        "events": [{"at": now, "node": "/arm_node", "text": f"went from inactive to active {step}"}],
    } | changes  # fmt: skip
