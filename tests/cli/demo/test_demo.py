# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole demo: arm, policy and recorder as processes on real DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from lowlat_nodes import resources
from lowlat_nodes.cli.demo.recording import TOPICS, read_bag

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("matplotlib")

pytestmark = [pytest.mark.ros, pytest.mark.sim, pytest.mark.slow]


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lowlat_nodes.cli.main", "demo", *arguments]


def processes_that_mention(text: str) -> list[str]:
    """Return the command lines of running processes that contain a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in command and int(path.parent.name) != os.getpid():
            found.append(command)
    return found


def test_the_loop_is_closed_over_ros_and_leaves_a_scored_bag(tmp_path: Path) -> None:
    out = tmp_path / "run"
    # Lights that burn so long that a loaded machine, which may stand still for a second, touches some.
    parameters = yaml.safe_load(resources.path("config", "demo.yaml").read_text(encoding="utf-8"))
    parameters["/**/sim_arm_node"]["ros__parameters"]["lights"]["window_ms"] = 2500.0
    patient = tmp_path / "patient.yaml"
    patient.write_text(yaml.safe_dump(parameters))
    command = demo("--json", "--strategies", "vlash", "--targets", "8", "--out", str(out))

    ended = subprocess.run(
        [*command, "--params-file", str(patient)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    # How well it did is for a benchmark to say, on an idle machine; that it was done is for this test.
    outcome = json.loads(ended.stdout)
    assert ended.returncode == (0 if outcome["ok"] else 1), ended.stderr
    figures = outcome["strategies"]["vlash"]
    assert figures["targets"] == 8, ended.stderr
    assert figures["hits"] > 0
    assert figures["inferences"] > 0
    assert figures["commands"] > 100
    recording = read_bag(out / "vlash" / "bag")
    assert set(recording.messages) == set(TOPICS)
    assert recording.targets[-1].off_ns <= recording.end_ns
    accepted = [inference for inference in recording.inferences if inference.switch_ns]
    assert accepted
    for inference in accepted:  # the image may be one that came after the question
        assert max(inference.observed_ns, inference.launched_ns) < inference.received_ns
    assert "<svg" in (out / "report.html").read_text(encoding="utf-8")
    assert not processes_that_mention(str(out))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        demo("--strategies", "sync", "--out", str(out)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 120
        while not list(out.glob("sync/bag/*.mcap")):  # the recorder runs, the others start
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == 130
    assert not processes_that_mention(str(out))
