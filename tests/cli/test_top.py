# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat top` lays out what nodes report for every width, and leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lowlat_nodes.cli.reports import Report
from lowlat_nodes.cli.top_table import summary, table

PATIENCE_S = 60.0
TOP = [sys.executable, "-m", "lowlat_nodes.cli.main", "top"]
LEAVE_SCREEN = b"\x1b[?1049l"

FIGURES = {
    "rate_in_hz": "102.4",
    "rate_out_hz": "99.96",
    "latency_p50_ms": "150.5",
    "latency_p99_ms": "1557",
    "age_p50_ms": "0.4219",
    "age_p99_ms": "nan",
    "drops": "12",
    "failures": "0",
    "state": "active",
    "last_failure": "",
}

# Ctrl-C and changes of size are told to the processes of the session that a terminal belongs to.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

NODE = """
import sys, rclpy
from lowlat_nodes.nodes.diagnostics import DiagnosticSettings, DiagnosticsPublisher, Level, Report
rclpy.init()
nodes = [rclpy.create_node("arm", namespace=namespace) for namespace in ("left", "right")]
values = {"rate_in_hz": 30.0, "latency_p50_ms": float("nan"), "drops": 4, "state": "active"}
report = lambda: Report(Level.WARN, "slow", values)
publishers = [
    DiagnosticsPublisher(node, "motion", report, DiagnosticSettings(period=0.1))
    for node in nodes
]
executor = rclpy.executors.SingleThreadedExecutor()
for node in nodes:
    executor.add_node(node)
print("ready", flush=True)
executor.spin()
"""


def report(node: str = "/policy_node", level: str = "ok", **values: str) -> Report:
    return Report(node, "policy", level, "running", 0.2, {**FIGURES, **values})


def test_every_figure_has_its_column() -> None:
    head, row = (line.text for line in table([report()], 160))
    titles = "node level state in Hz out Hz latency p50/p99 ms age p50/p99 ms drops fail message"
    assert head.split() == titles.split()
    figures = "/policy_node ok active 102.4 100.0 150.5/1557 0.42/- 12 0 running"
    assert row.split() == figures.split()


def test_cells_stand_below_their_titles() -> None:
    head, short, long = (
        line.text for line in table([report(), report("/robot/policy_node", drops="123456")], 160)
    )
    for title in ("in Hz", "out Hz", "latency p50/p99 ms", "age p50/p99 ms", "drops", "fail"):
        end = head.index(title) + len(title)
        assert short[end - 1] != " " != long[end - 1]
        assert short[end : end + 2] == long[end : end + 2] == "  "


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (130, "node level state in Hz out Hz latency p50/p99 ms age p50/p99 ms drops fail message"),
        (95, "node level state in Hz out Hz latency p50/p99 ms age p50/p99 ms drops fail"),
        (80, "node level state out Hz latency p50/p99 ms age p50/p99 ms drops"),
        (60, "node level state out Hz latency p50/p99 ms"),
        (40, "node level latency p50/p99 ms"),
        (20, "node level"),
    ],
)
def test_a_narrow_terminal_keeps_the_columns_that_matter_most(width: int, titles: str) -> None:
    lines = [line.text for line in table([report(), report("/arm", "error")], width)]
    assert lines[0].split() == titles.split()
    assert all(len(line) <= width for line in lines)
    assert "error" in lines[2]


@pytest.mark.parametrize("width", range(1, 200, 7))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    reports = [report("/" + "n" * 80), report(), Report("/x", "", "silent", "m" * 500, 1e6, {})]
    assert all(len(line.text) <= width for line in table(reports, width))


def test_a_silent_node_shows_since_when() -> None:
    silent = Report("/arm", "motion", "silent", "last report: running", 63.4, FIGURES)
    line = table([silent], 160)[1]
    assert line.style == "silent"
    assert "silent  63 s ago" in line.text
    assert line.text.endswith("last report: running")


def test_the_newest_failure_stands_beside_the_message() -> None:
    line = table([report(level="warn", last_failure="process: ValueError: no joint 'wrist'")], 200)[1]
    assert line.text.endswith("running: process: ValueError: no joint 'wrist'")


def test_reports_of_other_peoples_nodes_have_no_figures() -> None:
    line = table([Report("cpu usage", "", "ok", "12 %", 0.1, {"load": "0.5"})], 160)[1]
    assert line.text.split() == ["cpu", "usage", "ok", "-", "-", "-/-", "-/-", "-", "-", "12", "%"]


ENERGY = {
    "energy.kind": "measured",
    "energy.unit": "detection",
    "energy.j_per_result": "0.4123",
    "energy.fake": "",
}


@pytest.mark.parametrize(
    ("changes", "cell"),
    [
        ({}, "0.412 J/detection"),
        ({"energy.kind": "modelled"}, "~0.412 J/detection"),
        ({"energy.fake": "fake sysfs"}, "fake 0.412 J/detection"),
        ({"energy.kind": "unavailable"}, "-"),
        ({"energy.j_per_result": "nan"}, "-"),
        ({"energy.unit": "chunk", "energy.j_per_action": "0.0051"}, "0.0051 J/action"),
        ({"energy.unit": "chunk", "energy.j_per_action": "nan"}, "0.412 J/chunk"),
        ({"energy.j_per_result": "123456"}, "123456 J/detection"),
        ({"energy.unit": "\x1b[2J" + "x" * 99}, "0.412 J/ [2Jxxxxxxxxx..."),
    ],
)
def test_what_a_result_costs_says_how_that_is_known(changes: dict[str, str], cell: str) -> None:
    head, row, other = (line.text for line in table([report(**ENERGY | changes), report("/arm")], 200))
    end = head.index("energy") + len("energy")
    assert row[:end].endswith(f"  {cell}")
    assert other[end - 2 : end] == "  "


def test_control_characters_in_a_message_cannot_reach_the_terminal() -> None:
    line = table([Report("/arm\x1b[2J", "", "ok", "a\nb\x1b[31mc", 0.1, {"state": "\x07"})], 160)[1]
    assert line.text.isprintable()


def test_the_summary_is_json_with_null_where_there_is_no_figure() -> None:
    [node] = json.loads(json.dumps(summary([report()]), allow_nan=False))
    assert (node["node"], node["part"], node["level"], node["state"]) == (
        "/policy_node",
        "policy",
        "ok",
        "active",
    )
    assert (node["latency_p50_ms"], node["age_p99_ms"], node["drops"]) == (150.5, None, 12)
    assert node["values"]["age_p99_ms"] == "nan"


@pytest.fixture
def arms() -> Iterator[subprocess.Popen[str]]:
    """Two nodes of one name in two namespaces."""
    process = subprocess.Popen([sys.executable, "-c", NODE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "ready\n" in process.stdout  # after what Fast DDS logs
    yield process
    process.kill()
    process.communicate()


@pytest.mark.ros
def test_once_prints_one_object(arms: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    nodes: dict[str, Any] = {}
    while len(nodes) < 2:  # it waits a moment for the second one, which a busy machine may miss
        assert time.monotonic() < deadline, nodes
        result = subprocess.run(
            [*TOP, "--once", "--json", "--wait", "60"], capture_output=True, text=True, check=True
        )
        last = result.stdout.splitlines()[-1]  # after what Fast DDS logs
        nodes = {node["node"]: node for node in json.loads(last)["nodes"]}
    assert set(nodes) == {"/left/arm", "/right/arm"}
    for node in nodes.values():
        assert (node["part"], node["level"], node["message"], node["state"]) == (
            "motion",
            "warn",
            "slow",
            "active",
        )
        assert (node["rate_in_hz"], node["latency_p50_ms"], node["drops"]) == (30.0, None, 4)


@pytest.mark.ros
def test_without_a_terminal_it_prints_lines(arms: Any) -> None:
    process = subprocess.Popen([*TOP, "--interval", "0.2"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        seen: set[str] = set()
        while not {"/left/arm", "/right/arm"} <= seen:
            line = process.stdout.readline()
            assert line, f"it ended after {seen}"
            seen |= set(line.split()[:1])
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.ros
def test_nobody_to_hear_is_told_with_the_domain(ros_domain_id: int) -> None:
    result = subprocess.run([*TOP, "--once", "--wait", "0.5"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"no node has reported on /diagnostics in ROS domain {ros_domain_id} for 0.5 s" in result.stderr


class Terminal:
    """`lowlat top` on a pseudo-terminal."""

    def __init__(self, *options: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(40, 160, slave)
        environment = {**os.environ, "TERM": "xterm", "LINES": "24", "COLUMNS": "80"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *TOP, *options],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
        )
        os.close(slave)
        self.output = b""

    def resize(self, rows: int, columns: int, terminal: int | None = None) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master if terminal is None else terminal, termios.TIOCSWINSZ, size)

    def read_until(self, text: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            assert self._read(0.1), self.output

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self._read(0.1):
            assert time.monotonic() < deadline, self.output
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self, timeout_s: float) -> bool:
        """Read what comes; return false when there is no more because the other side is closed."""
        if select.select([self._master], [], [], timeout_s)[0]:
            try:
                self.output += os.read(self._master, 1 << 16)
            except OSError:
                return False
        return True


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    running = Terminal("--interval", "0.1")
    yield running
    running.close()


@pytest.mark.ros
@pytest.mark.parametrize("way", ["q", "ctrl-c", "SIGTERM"])
def test_however_it_ends_the_terminal_is_left_as_it_was(terminal: Terminal, way: str) -> None:
    terminal.read_until(b"q quits")
    if way == "SIGTERM":
        terminal.process.send_signal(signal.SIGTERM)
    else:
        terminal.press({"q": b"q", "ctrl-c": b"\x03"}[way])
    assert terminal.end() == 0
    assert LEAVE_SCREEN in terminal.output
    assert b"Traceback" not in terminal.output


@pytest.mark.ros
def test_the_live_table_shows_the_nodes_and_follows_the_size_of_the_terminal(
    arms: Any, terminal: Terminal
) -> None:
    terminal.read_until(b"/left/arm")
    terminal.read_until(b"/right/arm")
    terminal.output = b""
    terminal.resize(3, 60)
    terminal.read_until(b"2 more: make the terminal taller")
    terminal.press(b"q")
    assert terminal.end() == 0
