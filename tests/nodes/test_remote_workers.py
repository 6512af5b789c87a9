# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Two workers of the policy node, each with a connection of its own to one policy server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("websockets")

from policy_rig import Rig, workers
from scripted_policy import ScriptedPolicy

from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.transport.policy.openpi_server import OpenpiServer

pytestmark = [pytest.mark.ros, pytest.mark.remote]


@pytest.fixture
def rig(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    form = RemoteConfig().request_form(ScriptedPolicy.spec.images)
    server = OpenpiServer(PolicyResponder(ScriptedPolicy(), form), address="ws://127.0.0.1:0")
    thread = threading.Thread(target=server.serve)
    thread.start()
    policy = {"kind": "remote", "workers": 2, "remote": {"address": server.address}}
    made = Rig(ros_domain_id, tmp_path, {"policy": policy, "execution": {"strategy": "pipelined"}})
    yield made
    made.close()
    server.close()
    thread.join(30)


def test_one_request_is_sent_before_the_one_before_it_is_answered(rig: Rig) -> None:
    def overlap() -> bool:
        by_id = {each["id"]: each for each in rig.robot.inferences}
        return any(
            number - 1 in by_id and each["launched_ns"] < by_id[number - 1]["received_ns"]
            for number, each in by_id.items()
        )

    rig.until_moving()
    rig.until(overlap, "two requests at a time")
    assert len(workers(rig.process.pid)) == 2
