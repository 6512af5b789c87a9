# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""LeRobot itself, in an environment of its own: its checkpoints give the same actions here as there.

python3.11 -m venv lerobot && lerobot/bin/pip install 'lerobot[smolvla]==0.4.4'
LOWLAT_LEROBOT_PYTHON=lerobot/bin/python pytest -m peers
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from lerobot_peer_values import GREY, IMAGES, STATES, TASK

from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, infer
from lowlat_nodes.stream.config import build
from lowlat_nodes.transport.policy.process_client import ProcessClient

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]


@pytest.fixture
def lerobot_python() -> str:
    """The interpreter that has LeRobot."""
    python = os.environ.get("LOWLAT_LEROBOT_PYTHON", "")
    if not python:
        pytest.skip("LOWLAT_LEROBOT_PYTHON names no interpreter that has LeRobot")
    return python


@pytest.mark.parametrize("kind", ["act", "smolvla"])
def test_a_checkpoint_gives_the_actions_that_lerobot_computes(
    kind: str, lerobot_python: str, tmp_path: Path
) -> None:
    program = Path(__file__).parent / "lerobot_peer.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [lerobot_python, program, kind, tmp_path / kind],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    expected = json.loads(result.stdout.splitlines()[-1])
    values = {
        "kind": "lerobot",
        "action_period_ms": 20.0,
        "noise_scale": 0.0,
        "load_timeout_ms": 600_000.0,
        "lerobot": {"directory": str(tmp_path / kind), "python": lerobot_python},
    }
    policy = load_policy(build(PolicyConfig, values), None, ProcessClient)
    try:
        assert policy.spec.images == {name: ImageSpec(*size) for name, size in IMAGES.items()}
        assert policy.spec.takes_task == (kind == "smolvla")
        for state, actions in zip(STATES, expected, strict=True):
            images = {name: np.full((*size, 3), GREY, np.uint8) for name, size in IMAGES.items()}
            found = infer(policy, Observation(np.float32(state), images, TASK))
            assert np.allclose(found, actions, atol=1e-5)
        assert not np.allclose(expected[0], expected[1])
    finally:
        policy.close()
