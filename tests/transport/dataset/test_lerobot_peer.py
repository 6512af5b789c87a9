# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot reads our dataset, and we one of LeRobot's. It weighs gigabytes and has an environment of its own:

python3.11 -m venv lerobot && lerobot/bin/pip install lerobot==0.4.4
LOWLAT_LEROBOT_PYTHON=lerobot/bin/python pytest -m peers tests/transport/dataset
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.transport.dataset import DatasetReader, DatasetWriter, Layout, png

pytestmark = [pytest.mark.peers, pytest.mark.dataset]


@pytest.fixture
def lerobot_python() -> str:
    """The interpreter that has LeRobot."""
    python = os.environ.get("LOWLAT_LEROBOT_PYTHON", "")
    if not python:
        pytest.skip("LOWLAT_LEROBOT_PYTHON names no interpreter that has LeRobot")
    return python


def test_frames_survive_lerobot(lerobot_python: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    layout = Layout(30, ("a.pos", "b.pos"), ("a.pos", "b.pos"), {"front": (24, 32)}, "arm")
    frames = [
        (
            random.normal(size=2).astype(np.float32),
            random.normal(size=2).astype(np.float32),
            {"front": random.integers(0, 256, (24, 32, 3), np.uint8)},
            ("pick", "place")[number // 4 % 2],
        )
        for number in range(20)
    ]
    with DatasetWriter(tmp_path / "ours", layout, group_bytes=10_000) as writer:
        for number, frame in enumerate(frames):
            if number in (0, 7):
                writer.begin()
            writer.add(*frame)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    program = Path(__file__).parent / "lerobot_peer.py"
    result = subprocess.run(
        [lerobot_python, program, tmp_path / "ours", tmp_path / "theirs"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=250,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    for number, (seen, (_, action, images, task)) in enumerate(zip(found["frames"], frames, strict=True)):
        assert seen["action"] == action.tolist()
        assert seen["image"] == images["front"].sum()
        assert seen["task"] == task
        assert seen["timestamp"] == np.float32((number if number < 7 else number - 7) / 30)
    reader = DatasetReader(tmp_path / "theirs")
    assert reader.layout.images == layout.images
    assert reader.layout.state == layout.state
    assert [episode.length for episode in reader.episodes] == [7, 13]
    again = [frame for episode in reader.episodes for frame in reader.frames(episode)]
    for frame, (state, action, images, task) in zip(again, frames, strict=True):
        np.testing.assert_array_equal(frame.state, state)
        np.testing.assert_array_equal(frame.action, action)
        np.testing.assert_array_equal(png.decode(frame.images["front"], 24, 32), images["front"])
        assert frame.task == task
    # Whatever LeRobot knows of its own features, it finds of ours.
    for name, figures in json.loads((tmp_path / "theirs/meta/stats.json").read_text()).items():
        assert set(figures) <= set(found["stats"][name])
