# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""openpi's own client against our server. It wants NumPy 1, so it runs in an environment of its own:

python3.11 -m venv peers && peers/bin/pip install openpi-client==0.1.2 typing_extensions
LOWLAT_PEERS_PYTHON=peers/bin/python pytest -m peers
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from openpi_peers import serving

from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import Observation
from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.transport.policy import openpi

pytestmark = [pytest.mark.peers, pytest.mark.remote]


@pytest.fixture
def peers_python() -> str:
    """The interpreter that has openpi-client."""
    python = os.environ.get("LOWLAT_PEERS_PYTHON", "")
    if not python:
        pytest.skip("LOWLAT_PEERS_PYTHON names no interpreter that has openpi-client")
    return python


@pytest.mark.parametrize("token", ["", "s3cret"])
def test_openpi_client_gets_the_actions_of_our_policy(peers_python: str, token: str) -> None:
    policy = load_policy(PolicyConfig())
    responder = PolicyResponder(policy, RemoteConfig().request_form(policy.spec.images))
    with serving(responder, token=token) as server:
        parts = openpi.split_address(server.address)
        program = Path(__file__).parent / "openpi_peer.py"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        result = subprocess.run(
            [peers_python, program, str(parts.hostname), str(parts.port), token],
            capture_output=True,
            text=True,
            env=environment,
            timeout=100,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        counts = server.counts()
    found = json.loads(result.stdout)
    assert found["numpy"].startswith("1.")
    size = policy.spec.images["image"]
    image = np.arange(size.height * size.width * 3, dtype=np.uint8).reshape(size.height, size.width, 3)
    state = np.linspace(-0.5, 0.5, 6).astype(np.float32)
    for request, actions in enumerate(found["actions"]):
        near = policy.infer(Observation(state, {"image": image}, "touch the red light", request))
        assert np.array_equal(np.array(actions), near)
    assert found["timings"] == [["infer_ms"], ["infer_ms", "prev_total_ms"], ["infer_ms", "prev_total_ms"]]
    assert "observation/state: expected a vector of numbers, got nothing" in found["error"]
    assert counts == {"connections": 1, "requests": 4, "refused": 1}
