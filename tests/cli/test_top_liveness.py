# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat top` shows who works, hangs, is gone or never came, with ROS and without."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.processes import plain, report
from lowlat_nodes.cli.top_energy import HostBoard
from lowlat_nodes.cli.top_table import table
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, NodeFigures
from lowlat_nodes.stream.meter import Kind
from lowlat_nodes.stream.peer import PeerState

PATIENCE_S = 90.0
ROOT = Path(__file__).resolve().parents[2]
BEATING = ROOT / "tests" / "transport" / "zmq" / "beating_process.py"
TOP = [sys.executable, "-m", "lowlat_nodes.cli.main", "top"]
NO_ROS = """
import sys
sys.modules["rclpy"] = None
from lowlat_nodes.cli.main import main
sys.exit(main(["top", *sys.argv[1:]]))
"""
WITHOUT_ROS = [sys.executable, "-c", NO_ROS]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

# A node whose processor does as the newest text says, which it gets from a thread of the same process.
HANGING = """
import re, sys, threading, time
import rclpy
from std_msgs.msg import String
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.processor_node import Hosted, ProcessorNode
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.transport.ros import Input

class Obedient(Processor):
    inputs = ("orders",)
    def process(self, message):
        order = message.payload.data
        while order == "spin":
            pass
        if order == "hold":  # the interpreter's lock, in C
            re.match(r"(a+)+$", "a" * 64 + "b")
        return ()

rclpy.init()
orders = Input(topic="orders", type_name="std_msgs/msg/String")
node = ProcessorNode("obedient", NodeSettings, lambda _config: Hosted(Obedient(), {"orders": orders}, {}))
assert node.start(), node.problem
publisher = node.create_publisher(String, "orders", 1)

def obey():
    order = "work"
    while True:
        publisher.publish(String(data=order))
        if order != "work":
            return
        time.sleep(0.05)
        while lines:
            order = lines.pop(0).strip()

lines = []
threading.Thread(target=obey, daemon=True).start()
threading.Thread(target=lambda: [lines.append(line) for line in sys.stdin], daemon=True).start()
print("ready", flush=True)
rclpy.spin(node)
"""


@pytest.fixture
def endpoint() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def beating(endpoint: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    return running(sys.executable, str(BEATING), endpoint)


class Table:
    """`lowlat top --json`, running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def until(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Read on until a table is as wanted."""
        deadline = time.monotonic() + PATIENCE_S
        assert self._process.stdout is not None
        last = ""
        while time.monotonic() < deadline:
            last = self._process.stdout.readline()
            assert last, "it ended"
            if last.startswith("{"):
                table: dict[str, Any] = json.loads(last)
                if condition(table):
                    return table
        raise AssertionError(f"what was waited for did not happen: {last}")

    def until_process(self, state: str) -> dict[str, Any]:
        """Return the only process once it is in a state."""
        found: dict[str, Any] = self.until(lambda table: table["processes"][0]["state"] == state)
        assert len(found["processes"]) == 1
        process: dict[str, Any] = found["processes"][0]
        return process


@contextlib.contextmanager
def watching(*options: str, top: list[str] = TOP) -> Iterator[Table]:
    with running(*top, "--json", "--interval", "0.2", *options) as process:
        yield Table(process)


def tell(process: subprocess.Popen[str], order: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{order}\n")
    process.stdin.flush()


def test_a_process_without_ros_is_followed_through_its_life(endpoint: str) -> None:
    with watching("--zmq", endpoint, top=WITHOUT_ROS) as top:
        never = top.until_process("never seen")
        assert (never["level"], never["name"], never["sequence"]) == ("stale", "", None)
        with beating(endpoint) as process:
            top.until_process("idle")
            tell(process, "work")
            worked = top.until(lambda table: table["processes"][0]["sequence"] == 1)
            assert worked["domain_id"] is None
            assert worked["nodes"] == []
            assert worked["processes"][0]["latency_ms"] > 0.0
            tell(process, "spin")
            hangs = top.until_process("silent")
            assert (hangs["level"], hangs["name"], hangs["sequence"]) == ("silent", "/obedient", 1)
            assert hangs["for_s"] > 0.75
            assert "its loop has not gone round" in hangs["message"]
            process.send_signal(signal.SIGKILL)
            gone = top.until_process("gone")
            assert (gone["level"], gone["sequence"]) == ("gone", 1)
        with beating(endpoint):
            assert top.until_process("idle")["level"] == "ok"


def test_who_comes_late_sees_since_when_a_process_hangs(endpoint: str) -> None:
    with beating(endpoint) as process:
        with watching("--zmq", endpoint, top=WITHOUT_ROS) as top:
            top.until_process("idle")
            tell(process, "spin")
            top.until_process("silent")
        result = subprocess.run(
            [*WITHOUT_ROS, "--once", "--wait", "60", "--zmq", endpoint],
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT,
        )
    head, row = result.stdout.splitlines()
    assert head.split()[:4] == ["node", "level", "state", "done"]
    assert row.split()[:2] == ["/obedient", "silent"]
    assert "its loop has not gone round" in row


def test_once_names_the_process_that_was_not_heard(endpoint: str) -> None:
    with beating(endpoint) as process:
        assert process.stdout is not None
        process.stdout.readline()
        nobody = "tcp://127.0.0.1:9"
        result = subprocess.run(
            [*WITHOUT_ROS, "--once", "--wait", "10", "--zmq", endpoint, "--zmq", nobody],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
    assert result.returncode == 1
    assert nobody in result.stderr
    assert endpoint not in result.stderr
    assert "/obedient" in result.stdout


def test_without_ros_and_endpoints_it_says_what_to_install() -> None:
    result = subprocess.run(WITHOUT_ROS, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert result.returncode == 2
    assert "lowlat_nodes[ros]" in result.stderr


@pytest.mark.ros
def test_a_node_whose_processor_spins_is_stuck_although_its_diagnostics_go_on(ros_domain_id: int) -> None:
    with running(sys.executable, "-c", HANGING) as node, watching() as top:

        def level(wanted: str) -> Callable[[dict[str, Any]], bool]:
            return lambda table: any(
                (each["node"], each["level"]) == ("/obedient", wanted) for each in table["nodes"]
            )

        top.until(level("ok"))
        tell(node, "spin")
        found = top.until(level("error"))
        [stuck] = [each for each in found["nodes"] if each["node"] == "/obedient"]
        assert stuck["message"].startswith("stuck: its loop has not gone round for")
        assert float(stuck["values"]["loop_age_ms"]) > 750.0


@pytest.mark.slow  # Fast DDS misses a process after 20 s
@pytest.mark.ros
def test_a_node_that_holds_the_lock_hangs_and_one_that_was_killed_has_ended(ros_domain_id: int) -> None:
    with running(sys.executable, "-c", HANGING) as node, watching() as top:

        def level(wanted: str) -> Callable[[dict[str, Any]], list[str]]:
            return lambda table: [each["message"] for each in table["nodes"] if each["level"] == wanted]

        top.until(level("ok"))
        tell(node, "hold")
        [message] = level("silent")(top.until(level("silent")))
        assert message.startswith("hangs: its process is in the ROS graph")
        node.kill()
        [message] = level("gone")(top.until(level("gone")))  # once the middleware misses it
        assert message.startswith("ended: it has left the ROS graph")


def test_processes_and_nodes_share_one_table() -> None:
    process = PeerState("/alerts", "running", 10**9, 4123, 2_500_000, 17.25, "running")
    node = report("tcp://h:1", PeerState("", "never seen", 7 * 10**9, trouble="nobody listens there"))
    head, first, second = (line.text for line in table([report("tcp://h:2", process), node], 200))
    assert head.split()[:4] == ["node", "level", "state", "done"]
    assert first.split()[:5] == ["/alerts", "ok", "running", "4123", "-"]
    assert " 17.2" in first
    assert " 2.50 " in first
    assert "at tcp://h:2" in first
    assert second.startswith("tcp://h:1  stale  never seen")
    assert "nobody listens there" in second


def test_the_energy_of_a_process_is_that_of_the_sampler_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    meter = MeterFigures(
        "model/cpu", "cpu", ("cpu",), "", "", Kind.MODELLED, 0.01, 0.03, 5.0, 50.0, 1.0, 10.0, 30.0, 10.0,
        0.0, 0.0,
    )  # fmt: skip
    cost = Cost("model/cpu", "", 0.02, 0.0, "share")
    watts, joules = {"model/cpu": 2.0}, {"model/cpu": 20.0}
    used = NodeFigures("/alerts", "alert", 9, 3.0, 1.0, math.nan, watts, joules, (cost,))
    Board(tmp_path).publish(Figures("host", 0, time.monotonic_ns(), 1.0, (meter,), (), (used,)))
    named = [
        ("tcp://127.0.0.1:1", "/alerts"),
        ("tcp://elsewhere:1", "/alerts"),
        ("ipc:///a/socket", "/others"),
    ]
    here, elsewhere, unknown = HostBoard().values(named)
    assert (here["energy.kind"], here["energy.unit"]) == ("modelled", "alert")
    assert here["energy.j_per_result"] == "0.02"
    assert elsewhere == unknown == {}
    process = PeerState("/alerts", "running", 10**9, 4123, 2_500_000, 17.25, "running")
    assert "  ~0.02 J/alert  " in table([report("tcp://127.0.0.1:1", process, here)], 200)[1].text
    assert plain("tcp://127.0.0.1:1", process, here)["values"]["energy.w"] == "2.0"


def test_a_loop_that_is_kept_from_going_on_is_a_warning() -> None:
    state = PeerState("a", "waits for flush: no broker", 10**9, 1, said="waits for flush: no broker")
    assert plain("tcp://h:1", state)["level"] == "warn"
    assert "waits for flush: no broker" in report("tcp://h:1", state).message


def test_what_a_process_calls_itself_cannot_command_the_terminal() -> None:
    state = PeerState("a\x1b[2J", "\x1b[31mbad\n", 10**9, 1, said="x")
    assert all(line.text.isprintable() for line in table([report("tcp://h:1", state)], 200))
