# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat dash` as a user runs it, and as a browser reads it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.cli.dash.view import chosen
from lowlat_nodes.cli.reports import Report
from lowlat_nodes.stream.heartbeat import RUNNING
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.transport.zmq.publisher import Publisher

PATIENCE_S = 60.0
TOKEN = "a-token-of-24-characters"

ARM = """
/**:
  ros__parameters:
    priority: 0
    joint_rate_hz: 50.0
    image_rate_hz: 10.0
"""


class Dash:
    """A running `lowlat dash`."""

    def __init__(self, folder: Path, *options: str) -> None:
        (folder / "index.html").write_text("<!doctype html>")
        command = [
            sys.executable,
            "-m",
            "lowlat_nodes.cli.main",
            "dash",
            "--port",
            "0",
            "--page",
            str(folder),
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        found = re.fullmatch(r"lowlat dash: http://([^/]+):(\d+)/(\?token=(.*))?\n", self.greeting)
        assert found, self.greeting + self.process.communicate()[1]
        self.host, self.port, self.token = found[1], int(found[2]), found[4] or ""

    def get(self, path: str) -> tuple[int, bytes]:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        ) as client:
            client.request("GET", f"{path}?token={self.token}")
            response = client.getresponse()
            return response.status, response.read()

    def snapshots(self) -> Iterator[dict[str, Any]]:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        ) as client:
            client.request("GET", f"/events?token={self.token}")
            for line in iter(client.getresponse().readline, b""):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def until(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Return the first snapshot for which a condition holds."""
        deadline = time.monotonic() + PATIENCE_S
        with contextlib.closing(self.snapshots()) as snapshots:
            for snapshot in snapshots:
                if condition(snapshot):
                    return snapshot
                assert time.monotonic() < deadline, snapshot
        raise AssertionError("the stream ended")

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


Start = Callable[..., Dash]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as cleanup:

        def run(*options: str) -> Dash:
            dash = Dash(tmp_path, *options)
            cleanup.callback(dash.process.communicate)
            cleanup.callback(dash.process.kill)
            return dash

        yield run


@contextlib.contextmanager
def node(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", f"lowlat_nodes.nodes.{module}", "--ros-args", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def beating(endpoint: str, name: str) -> Iterator[None]:
    """Publish heartbeats of a loop that goes round inside the `with` block."""
    ended = threading.Event()
    with contextlib.closing(Publisher(endpoint, {})) as publisher:
        pulse = Pulse(name, publisher.beat)
        pulse.begin(lambda _error: None)

        def loop() -> None:
            while not ended.wait(0.05):
                pulse.turn(RUNNING, 17, 2_500_000)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def told(snapshot: dict[str, Any]) -> list[str]:
    return [event["text"] for event in snapshot["events"]]


def levels(snapshot: dict[str, Any]) -> dict[str, str]:
    return {node["name"]: node["level"] for node in snapshot["nodes"]}


@pytest.mark.ros
@pytest.mark.sim
def test_a_graph_is_seen_from_end_to_end_and_a_node_that_dies_and_comes_again(
    start: Start, tmp_path: Path, ros_domain_id: int
) -> None:
    pytest.importorskip("mujoco")
    parameters = tmp_path / "arm.yaml"
    parameters.write_text(ARM)
    arm = ("sim_arm_node", "-r", "__ns:=/left", "--params-file", str(parameters))
    dash = start()

    def is_seen(snapshot: dict[str, Any]) -> bool:
        arms, cameras = snapshot["arms"], snapshot["cameras"]
        return levels(snapshot).get("/left/sim_arm_node") in {"ok", "warn"} and bool(
            arms and arms[0]["outline"] and cameras and cameras[0]["sequence"]
        )

    with node(*arm) as process:
        seen = dash.until(is_seen)
        assert (seen["version"], seen["domain"]) == (1, ros_domain_id)
        assert {"name": "/left/sim_arm_node", "ours": True} in seen["graph"]["nodes"]
        [row] = seen["nodes"]
        assert (row["part"], row["state"]) == ("simulated arm", "active")
        assert row["rate_out_hz"] > 0
        [found] = seen["arms"]
        assert (found["topic"], found["names"]) == ("/left/joint_states", ["shoulder", "elbow", "wrist"])
        assert len(found["outline"]) == 4
        [camera] = seen["cameras"]
        assert (camera["topic"], camera["width"], camera["height"]) == ("/left/camera/image", 160, 120)
        status, picture = dash.get("/camera/0.jpg")
        assert (status, picture[:3]) == (200, b"\xff\xd8\xff")
        process.kill()
        process.wait()
        lost = dash.until(lambda snapshot: levels(snapshot)["/left/sim_arm_node"] in {"silent", "gone"})
        assert "went from active to" in lost["events"][0]["text"]
    with node(*arm):
        # Reports may come before the graph knows whose they are.
        back = dash.until(lambda snapshot: is_seen(snapshot) and "was started again" in told(snapshot))
    assert [row["name"] for row in back["nodes"]] == ["/left/sim_arm_node"]
    history = json.loads(dash.get("/history.json")[1])
    [rates] = [series["rate_out_hz"] for name, series in history["nodes"].items() if "sim_arm" in name]
    assert len(rates) == len(history["at"])
    assert None in rates
    assert any(rates)
    assert dash.end() == (0, "")


def test_processes_without_ros_are_seen_over_zeromq(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module that cannot be imported stands for a machine without ROS.
    (tmp_path / "rclpy.py").write_text("raise ModuleNotFoundError('no rclpy here', name='rclpy')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    endpoint = f"ipc://{tmp_path}/alerts"
    with beating(endpoint, "/alerts"):
        dash = start("--zmq", endpoint)
        seen = dash.until(lambda snapshot: levels(snapshot).get("/alerts") == "ok")
        assert seen["domain"] is None
        assert seen["graph"] == {"nodes": [], "streams": []}
        [row] = seen["nodes"]
        assert (row["part"], row["state"], row["latency_ms"]) == ("loop", "running", None)
        assert dash.get("/camera/0.jpg")[0] == 204
    gone = dash.until(lambda snapshot: levels(snapshot).get("/alerts") == "gone")
    assert "to gone" in gone["events"][0]["text"]
    assert dash.end() == (0, "")


@pytest.mark.ros
def test_beyond_this_machine_a_token_is_made_and_asked_for(start: Start) -> None:
    dash = start("--host", "0.0.0.0")  # noqa: S104
    assert len(dash.token) >= 24
    assert dash.get("/")[0] == 200
    dash.token = "another"
    assert dash.get("/")[0] == 403
    assert dash.end() == (0, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "192.0.2.1", "--token", ""], "expected a token to listen at 192.0.2.1"),
        (["--token", "short"], "expected at least 16 letters"),
        (["--host", "192.0.2.1"], "expected an address of this machine"),
        (["--page", "/no/such/folder"], "the page cannot be read"),
        (["--zmq", "rubbish"], "expected an address like tcp://"),
    ],
)
def test_what_cannot_be_done_is_told(
    options: Sequence[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").write_text("")
    assert lowlat.main(["dash", "--port", "0", "--page", str(tmp_path), *options]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("lowlat dash: ")
    assert message in errors


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "index.html").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert lowlat.main(["dash", "--port", str(port), "--page", str(tmp_path)]) == 2
    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        lowlat.main(["dash", "--port", port])
    assert "expected a port from 0 to 65535" in capsys.readouterr().err


def test_who_has_long_gone_is_forgotten_and_of_too_many_the_most_silent_are_left_out() -> None:
    here = [Report(f"/z{number}", "", "ok", "", 0.5, {}) for number in range(60)]
    lost = [Report(f"/a{number}", "", "gone", "", 10.0 * number, {}) for number in range(80)]
    assert len(chosen([*lost[:61], *here])) == 100
    found = chosen([*lost, *here])
    assert found[40:] == here
    assert found[:40] == lost[:40]
    assert chosen([Report("/a", "", "silent", "", 601.0, {})]) == []
