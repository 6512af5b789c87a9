# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat up` as a user runs it: real processes that crash, hang, leave children and are killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60.0

# A shell runs its traps between two commands, hence the short sleeps.
PROGRAMS = {
    "sleeper": 'trap "echo told; exit 0" INT TERM; echo ready; while :; do sleep 0.05; done',
    "finisher": "echo done",
    "crasher": "echo one more crash; exit 3",
    "refuser": "echo no such parameter; exit 78",
    "deaf_to_int": 'trap "" INT; trap "echo told; exit 0" TERM; echo ready; while :; do sleep 0.05; done',
    "deaf": 'trap "" INT TERM; echo ready; while :; do sleep 0.05; done',
    "bad_end": 'trap "exit 7" INT; echo ready; while :; do sleep 0.05; done',
    "parent": "sh -c 'echo child $$; exec sleep 1000' & echo ready; wait",
    "talker": 'yes 0123456789 & trap "kill $!; exit 0" INT; echo ready; wait; wait',
    "printer": 'env | sort; echo "arguments: $*"; printf unfinished',
}


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


class Up:
    """A running `lowlat up`, whose lines are read as they come."""

    def __init__(self, path: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lowlat_nodes.cli.main", "up", str(path), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.lines: list[str] = []
        self.errors = ""
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read_lines),
            threading.Thread(target=self._read_errors),
        ]
        for reader in self._readers:
            reader.start()

    def _read_lines(self) -> None:
        for line in self.process.stdout or ():
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def _read_errors(self) -> None:
        for line in self.process.stderr or ():
            self.errors += line

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until `count` lines match and return the last match."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.lines if (match := re.search(pattern, line))]

        with self._changed:
            done = self._changed.wait_for(lambda: len(found()) >= count, PATIENCE_S)
            assert done, f"no {pattern!r} in: {self.lines}"
            return found()[count - 1]

    def pid_of(self, name: str, run: int = 1) -> int:
        return int(self.wait_for(rf"^\[lowlat up\] {name}: started \(pid (\d+)\)", run)[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Any]:
    """Start `lowlat up` on a file with one node for each of these programs."""
    started: list[Up] = []

    def start(
        nodes: Sequence[str], *options: str, environment: Mapping[str, str] | None = None, **settings: object
    ) -> Up:
        executables = {}
        for name in nodes:
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{PROGRAMS[name]}\n")
            program.chmod(0o755)
            executables[name] = {"executable": f"./{name}"}
        settings = {"stop_grace_s": PATIENCE_S, **settings, "node": executables}
        path = tmp_path / "graph.yaml"
        sections = {name: {"ros__parameters": {}} for name in nodes}
        path.write_text(json.dumps({"lowlat_up": {"ros__parameters": settings}, **sections}))  # JSON is YAML
        started.append(Up(path, *options, environment=environment))
        return started[-1]

    yield start
    for running in started:
        with contextlib.suppress(ProcessLookupError):
            running.process.kill()
        running.end()


def test_nodes_that_finish_end_the_command_with_success(up: Any) -> None:
    running = up(["finisher"])
    assert running.end() == 0
    assert "[finisher] done" in running.lines
    assert "[lowlat up] finisher: finished" in running.lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_node_and_the_end_is_clean(up: Any, number: signal.Signals) -> None:
    running = up(["sleeper", "finisher"])
    pid = running.pid_of("sleeper")
    running.wait_for(r"^\[sleeper\] ready")
    running.wait_for("finisher: finished")
    running.signal(number)
    assert running.end() == 0
    assert "[sleeper] told" in running.lines
    assert f"[lowlat up] {number.name}: stopping" in running.lines
    assert not alive(pid)


def test_ctrl_z_does_not_put_the_supervisor_to_sleep(up: Any) -> None:
    running = up(["sleeper"])
    running.wait_for(r"^\[sleeper\] ready")
    running.signal(signal.SIGTSTP)
    running.signal(signal.SIGINT)
    assert running.end() == 0


def test_a_crash_is_followed_by_restarts_with_growing_delay_until_the_limit(up: Any) -> None:
    running = up(["crasher", "sleeper"], restart_limit=2)
    running.wait_for("crasher: given up: exit code 3, more than 2 crashes in 60 s; its last lines:")
    running.wait_for(r"^\[lowlat up\] crasher:   one more crash")
    assert [line for line in running.lines if "restart in" in line] == [
        "[lowlat up] crasher: crashed: exit code 3; restart in 0.5 s",
        "[lowlat up] crasher: crashed: exit code 3; restart in 1 s",
    ]
    assert running.lines.count("[crasher] one more crash") == 3
    running.wait_for(r"^\[sleeper\] ready")
    assert alive(running.pid_of("sleeper")), "the others go on"
    running.signal(signal.SIGINT)
    assert running.end() == 1


def test_a_node_that_is_given_up_can_stop_the_others(up: Any) -> None:
    running = up(["sleeper", "crasher"], "--on-failure", "stop", restart_limit=0)
    assert running.end() == 1
    assert running.said("crasher: given up")
    assert running.said("stopping the others")
    assert not alive(running.pid_of("sleeper"))


def test_a_node_that_is_killed_is_started_again(up: Any) -> None:
    running = up(["sleeper"])
    running.wait_for(r"^\[sleeper\] ready")
    first = running.pid_of("sleeper")
    os.kill(first, signal.SIGKILL)
    running.wait_for(r"sleeper: crashed: killed by SIGKILL; restart in 0\.5 s")
    running.wait_for(r"^\[sleeper\] ready", 2)
    second = running.pid_of("sleeper", 2)
    assert second != first
    assert alive(second)
    running.signal(signal.SIGINT)
    assert running.end() == 0


def test_a_node_that_refuses_its_configuration_is_not_started_again(up: Any) -> None:
    running = up(["refuser"])
    assert running.end() == 1
    assert "[refuser] no such parameter" in running.lines
    assert running.said("refuser: refused its configuration (exit code 78)")
    assert running.lines.count("[refuser] no such parameter") == 1


def test_a_program_that_cannot_be_started_is_given_up(up: Any, tmp_path: Path) -> None:
    up(["finisher"]).end()
    (tmp_path / "finisher").write_text("#!/no/such/interpreter\n")
    again = Up(tmp_path / "graph.yaml")
    assert again.end() == 1
    assert again.said("finisher: cannot be started")


def test_a_node_deaf_to_sigint_gets_sigterm_after_the_grace_time(up: Any) -> None:
    running = up(["deaf_to_int"], stop_grace_s=5.0)  # which it also has for what SIGTERM asks
    running.wait_for(r"^\[deaf_to_int\] ready")
    running.signal(signal.SIGINT)
    assert running.end() == 0
    assert running.said("deaf_to_int: still running, sending SIGTERM")


def test_a_node_deaf_to_everything_is_killed_and_the_end_is_not_clean(up: Any) -> None:
    running = up(["deaf"], "--json", stop_grace_s=0.2)
    deadline = time.monotonic() + PATIENCE_S
    while "ready" not in running.errors:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.signal(signal.SIGINT)
    assert running.end() == 1
    summary = json.loads("".join(running.lines))
    assert summary["clean"] is False
    assert summary["nodes"]["deaf"]["state"] == "killed"
    assert summary["nodes"]["deaf"]["exit_code"] == -signal.SIGKILL


def test_a_second_signal_does_not_wait_for_the_grace_time(up: Any) -> None:
    running = up(["deaf"], stop_grace_s=600)
    running.wait_for(r"^\[deaf\] ready")
    running.signal(signal.SIGINT)
    running.wait_for("SIGINT: stopping")
    running.signal(signal.SIGINT)
    running.wait_for("sending SIGTERM")
    running.signal(signal.SIGINT)
    assert running.end() == 1
    assert running.said("sending SIGKILL")


def test_a_node_that_fails_while_it_stops_is_not_clean(up: Any) -> None:
    running = up(["bad_end"])
    running.wait_for(r"^\[bad_end\] ready")
    running.signal(signal.SIGINT)
    assert running.end() == 1
    assert running.said("bad_end: did not stop cleanly: exit code 7")


def test_no_node_outlives_a_killed_supervisor(up: Any) -> None:
    running = up(["deaf", "sleeper"])
    running.wait_for(r"^\[deaf\] ready")
    running.wait_for(r"^\[sleeper\] ready")
    pids = [running.pid_of("deaf"), running.pid_of("sleeper")]
    running.signal(signal.SIGKILL)
    running.process.wait(PATIENCE_S)
    for pid in pids:
        wait_until_gone(pid)


def test_what_a_dead_node_leaves_in_its_group_is_gone_before_the_restart(up: Any) -> None:
    running = up(["parent"], stop_grace_s=0.3)
    running.wait_for(r"^\[parent\] ready")
    child = int(running.wait_for(r"^\[parent\] child (\d+)")[1])
    os.kill(running.pid_of("parent"), signal.SIGKILL)
    running.pid_of("parent", 2)
    assert not alive(child)
    second_child = int(running.wait_for(r"^\[parent\] child (\d+)", 2)[1])
    running.signal(signal.SIGTERM)
    running.end()
    wait_until_gone(second_child)


def test_a_flood_of_output_that_nobody_reads_holds_no_node_up(up: Any, tmp_path: Path) -> None:
    up(["talker"]).process.kill()
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "lowlat_nodes.cli.main", "up", str(tmp_path / "graph.yaml")],
        stdout=writer,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        first = b""
        while b"[talker] 0123456789" not in first:
            first += os.read(reader, 4096)
        talker = int(re.search(rb"talker: started \(pid (\d+)\)", first)[1])  # type: ignore[index]
        [flood] = [int(pid) for pid in Path(f"/proc/{talker}/task/{talker}/children").read_text().split()]
        written = _written(flood)
        deadline = time.monotonic() + PATIENCE_S
        while _written(flood) < written + (1 << 20):  # far more than all pipes hold
            assert time.monotonic() < deadline, "the node waits for a reader"
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)


def test_the_summary_is_the_only_thing_on_standard_output(up: Any) -> None:
    running = up(["finisher", "crasher"], "--json", restart_limit=1)
    assert running.end() == 1
    summary = json.loads("\n".join(running.lines))
    assert summary["clean"] is False
    finisher, crasher = summary["nodes"]["finisher"], summary["nodes"]["crasher"]
    assert (finisher["state"], finisher["restarts"], finisher["exit_code"]) == ("finished", 0, 0)
    assert (crasher["state"], crasher["restarts"], crasher["exit_code"]) == ("failed", 1, 3)
    assert crasher["uptime_s"] > 0
    assert "[finisher] done" in running.errors


def test_nodes_get_their_arguments_the_profile_and_the_log_folder(up: Any, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    unset = {"FASTRTPS_DEFAULT_PROFILES_FILE": "", "FASTDDS_DEFAULT_PROFILES_FILE": ""}
    running = up(["printer"], "--log-dir", str(logs), environment=unset)
    assert running.end() == 0
    path = tmp_path / "graph.yaml"
    arguments = f"--ros-args -r __ns:=/ -r __node:=printer --params-file {path}"
    assert f"[printer] arguments: {arguments}" in running.lines
    assert f"[printer] ROS_LOG_DIR={logs}" in running.lines
    assert logs.is_dir()
    profiles = [
        line
        for line in running.lines
        if re.search(r"DEFAULT_PROFILES_FILE=.*fastdds_shm(_small)?\.xml$", line)
    ]
    assert len(profiles) == 2
    assert "[printer] unfinished" in running.lines


def test_a_profile_of_the_user_wins(up: Any) -> None:
    running = up(["printer"], environment={"FASTRTPS_DEFAULT_PROFILES_FILE": "/my/profile.xml"})
    assert running.end() == 0
    assert "[printer] FASTRTPS_DEFAULT_PROFILES_FILE=/my/profile.xml" in running.lines
    assert not running.said("fastdds_shm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("polcy_node: {ros__parameters: {}}", "did you mean 'policy_node'?"),
        ("policy_node:\n  rate: 5", "graph.yaml, line 2: got no `ros__parameters:`"),
    ],
)
def test_a_wrong_file_starts_nothing(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text(text)
    running = Up(path)
    assert running.end() == 2
    assert message in running.errors
    assert running.lines == []


def test_a_file_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    running = Up(tmp_path / "nowhere.yaml")
    assert running.end() == 2
    assert "nor is there a parameter file 'nowhere.yaml' in this package" in running.errors


NODE = f"""#!{sys.executable}
import sys
from dataclasses import dataclass
from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.config import setting


@dataclass(frozen=True, kw_only=True)
class Config(NodeSettings):
    rate: float = setting(1.0, doc="Rate.", unit="Hz", low=0.1, high=100.0)


class Probe(LifecycleHost[Config]):
    def __init__(self):
        super().__init__("probe", Config)

    def setup(self, config):
        print("rate", config.rate, "as", self.get_fully_qualified_name())

    def begin(self):
        print("begun")

    def halt(self):
        print("halted")


sys.exit(run(Probe))
"""


@pytest.fixture
def ros_node(tmp_path: Path) -> Path:
    program = tmp_path / "probe"
    program.write_text(NODE)
    program.chmod(0o755)
    return tmp_path / "graph.yaml"


def graph_of(parameters: str) -> str:
    return textwrap.dedent(f"""
        lowlat_up:
          ros__parameters:
            node.left.executable: ./probe
        /**/left:
          ros__parameters: {{{parameters}}}
    """)


@pytest.mark.ros
def test_lifecycle_nodes_get_their_parameters_and_stop_in_order(ros_node: Path) -> None:
    ros_node.write_text(graph_of("rate: 7"))
    running = Up(ros_node, "--namespace", "robot")
    running.wait_for("begun")
    running.signal(signal.SIGINT)
    assert running.end() == 0
    assert "[robot/left] rate 7.0 as /robot/left" in running.lines
    assert "[robot/left] halted" in running.lines


@pytest.mark.ros
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("rat: 7", "there is no parameter 'rat'; did you mean 'rate'?"),
        ("rate: 700", "from 0.1 to 100 Hz, got 700"),
    ],
)
def test_a_node_with_a_wrong_parameter_says_so_and_is_given_up(
    ros_node: Path, parameters: str, message: str
) -> None:
    ros_node.write_text(graph_of(parameters))
    running = Up(ros_node)
    assert running.end() == 1
    assert running.said(message)
    assert running.said("left: refused its configuration")


@pytest.mark.ros
def test_shared_memory_of_a_killed_node_is_removed_before_its_restart(ros_node: Path) -> None:
    ros_node.write_text(graph_of("rate: 7"))
    running = Up(ros_node)
    running.wait_for("begun")
    pid = running.pid_of("left")
    segments = _segments_of(pid)
    assert segments
    # What is younger than two seconds is left alone.
    while time.time() - max(path.stat().st_ctime for path in segments) < 2.5:
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    running.wait_for("begun", 2)
    assert not any(path.exists() for path in segments)
    assert all(path.exists() for path in _segments_of(running.pid_of("left", 2)))
    running.signal(signal.SIGINT)
    assert running.end() == 0


def _segments_of(pid: int) -> list[Path]:
    """Return the segments whose lock file a process holds open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = descriptor.readlink()
            if re.fullmatch(r"(fastrtps|fastdds)_[0-9a-f]{16}_el", target.name):
                found.add(target.with_name(target.name.removesuffix("_el")))
    return sorted(found)


def _written(pid: int) -> int:
    """Return how many bytes a process has written so far."""
    return int(re.search(r"wchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[1])  # type: ignore[index]
