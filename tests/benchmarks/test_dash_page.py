# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench dash_page` for a few seconds, with one node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lowlat_nodes.benchmarks import dash_page
from lowlat_nodes.benchmarks._chromium import installed

pytestmark = [
    pytest.mark.ros,
    pytest.mark.remote,
    pytest.mark.slow,
    pytest.mark.skipif(installed() is None, reason="no Chromium is installed"),
]

CAMERA = (
    "/**/shapes_camera_node:\n  ros__parameters: {rate_hz: 10.0, width_px: 64, height_px: 48, shapes: 1}\n"
)


def test_figures_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "camera.yaml"
    file.write_text(CAMERA)
    arguments = ["--json", "--file", str(file), "--seconds", "3", "--settle", "1", "--restart", "1"]
    assert dash_page.main([*arguments, "--pictures", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["nodes"], found["nodes_at_end"]) == (1, 1)
    assert found["snapshots"] > 0
    assert found["restarts"] >= 1
    assert len(found["heap_mb"]) >= 2
    assert found["growth_mb"] == pytest.approx(found["heap_end_mb"] - found["heap_start_mb"], abs=0.002)
    assert (found["console_errors"], found["origins"]) == (0, 1)
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {"dash_wide.png", "dash_wide_dark.png", "dash_narrow.png", "dash_narrow_dark.png"}
