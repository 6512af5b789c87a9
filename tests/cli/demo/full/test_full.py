# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole graph as processes on real DDS, for a few seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lowlat_nodes import resources
from lowlat_nodes.cli.graph import load

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("matplotlib")

pytestmark = [pytest.mark.ros, pytest.mark.sim, pytest.mark.slow]


def test_the_shipped_parameters_are_right_for_every_node() -> None:
    load(resources.path("config", "full.yaml")).check()


def test_all_nodes_work_together_and_no_alert_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "demo", "--full", "--seconds", "6", "--json"]

    ended = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, timeout=280, check=False
    )

    # How soon, is for an idle machine to say; that all of it was done, and nothing lost, is for this test.
    outcome = json.loads(ended.stdout)
    assert ended.returncode == (0 if outcome["ok"] else 1), ended.stderr
    assert outcome.get("nodes"), ended.stderr
    assert all(node["state"] == "active" for node in outcome["nodes"].values()), outcome["nodes"]
    assert all(node["restarts"] == 0 for node in outcome["nodes"].values())
    assert all(node["exit_code"] == 0 for node in outcome["nodes"].values()), ended.stderr
    assert all(node["cpu"] > 0.0 and node["memory_mb"] > 1.0 for node in outcome["nodes"].values())
    assert set(outcome["energy"]["kind"]) == set(outcome["nodes"])
    assert set(outcome["energy"]["kind"].values()) <= {"measured", "modelled", "unavailable"}
    assert outcome["control"]["ticks"] > 100
    assert outcome["control"]["inferences"] > 0
    assert outcome["control"]["lights"] == outcome["settings"]["lights"] == 2
    assert outcome["detector"]["frames"] > 0
    alerts = outcome["alerts"]
    assert (alerts["sent"], alerts["results"], alerts["lost"]) == (25, 25, 0)
    bag = outcome["bag"]
    assert bag["damage"] == ""
    assert bag["topics"]["/alert_node/results"] > 0
    assert bag["topics"]["/detector_node/shapes/detections"] > 0
    assert (out / "picture.jpg").is_file()
    assert "data:image/jpeg" in (out / "report.html").read_text(encoding="utf-8")
