# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench sky` with few objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.benchmarks import sky
from lowlat_nodes.sim.sky.surveys import SURVEYS


def test_figures_of_every_class_and_survey(capsys: pytest.CaptureFixture[str]) -> None:
    assert sky.main(["--json", "--count", "400", "--seed", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["objects_per_cpu_s"] > 0
    assert tuple(found["detections"]) == CLASSES
    rows = [row for by_survey in found["detections"].values() for row in by_survey.values()]
    assert len(rows) == len(CLASSES) * len(SURVEYS)
    assert sum(row["objects"] for row in rows) == 400
    assert all(min(row["percentiles"]) >= 1 for row in rows if row["objects"])


def test_a_picture_of_every_class(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert sky.main(["--count", "50", "--plots", str(tmp_path)]) == 0
    picture = (tmp_path / "sky_classes.svg").read_text()
    assert all(name in picture for name in CLASSES)
