# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node with its policy in a server: it moves, and holds and counts whatever the server does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("websockets")

from policy_rig import Rig, children
from scripted_policy import HORIZON, PERIOD_NS, ScriptedPolicy

from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.transport.policy.openpi_server import OpenpiServer

pytestmark = [pytest.mark.ros, pytest.mark.remote]

TIMEOUT_MS = 700.0


class MoodyResponder(PolicyResponder):
    """Serves the scripted policy, and does with an answer what the task says."""

    def describe(self) -> Mapping[str, Any]:
        return {}  # as other projects' servers do

    def respond(self, request: Mapping[str, Any], _client: str = "") -> Mapping[str, Any]:
        task = request["prompt"]
        if task == "late":
            time.sleep(2 * TIMEOUT_MS * 1e-3)
        answer = dict(super().respond({**request, "prompt": "move"}))
        if task == "nan":
            answer["actions"] = np.full((HORIZON, 2), np.nan)
        elif task == "shape":
            answer["actions"] = answer["actions"][:, :1]
        elif task == "text":
            answer["actions"] = "forward"
        elif task == "raise":
            raise ValueError("the camera shows a cat")
        return answer


class Server:
    """The server of the tests, which can go and come back."""

    def __init__(self) -> None:
        self.address = "ws://127.0.0.1:0"

    def start(self) -> None:
        responder = MoodyResponder(ScriptedPolicy(), RemoteConfig().request_form(ScriptedPolicy.spec.images))
        self._server = OpenpiServer(responder, address=self.address)
        self.address = self._server.address
        self._thread = threading.Thread(target=self._server.serve)
        self._thread.start()

    def stop(self) -> None:
        self._server.close()
        self._thread.join(30)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_rig(
    server: Server, module_ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    size = ScriptedPolicy.spec.images["image"]
    remote = {
        "address": server.address,
        "timeout_ms": TIMEOUT_MS,
        "horizon": HORIZON,
        "action_width": 2,
        "image": {"image": {"height": size.height, "width": size.width}},
    }
    policy = {
        "kind": "remote",
        "action_kind": "absolute",
        "action_period_ms": PERIOD_NS * 1e-6,
        "remote": remote,
    }
    made = Rig(module_ros_domain_id, tmp_path_factory.mktemp("remote_policy"), {"policy": policy})
    yield made
    made.close()


@pytest.mark.parametrize(
    ("task", "counted", "reason"),
    [
        ("late", "failures_late", "did not answer in time"),
        ("nan", "failures_answer_refused", "expected finite actions, got NaN or infinity"),
        ("shape", "failures_answer_refused", f"rows of 2 actions, got {HORIZON} of 1"),
        ("text", "failures_answer_refused", "actions: expected an array of numbers, got str"),
        ("raise", "failures_server_error", "the policy failed with ValueError"),
    ],
)
def test_what_is_wrong_is_counted_and_the_robot_held(rig: Rig, task: str, counted: str, reason: str) -> None:
    worker = children(rig.process.pid)["policy_worker"]
    rig.robot.set_task(task)
    rig.until_counted(counted, 3)
    rig.until_held()
    rig.until(lambda: reason in rig.robot.values["last_failure"], f"the failure {reason!r}")
    rig.until(lambda: rig.robot.status.level == bytes([Level.WARN]), "a warning")
    rig.robot.set_task("move")
    rig.until_moving()
    assert children(rig.process.pid)["policy_worker"] == worker


def test_a_server_that_goes_and_comes_back(rig: Rig, server: Server) -> None:
    worker = children(rig.process.pid)["policy_worker"]
    server.stop()
    rig.until_counted("failures_server_gone", 3)
    rig.until_held()
    rig.until(lambda: "no connection" in rig.robot.values["last_failure"], "the failure")
    server.start()
    rig.until_moving()
    assert children(rig.process.pid)["policy_worker"] == worker


def test_without_a_server_the_node_is_not_configured(robot: Any) -> None:
    from policy_rig import PARAMETERS, merged
    from rclpy.parameter import Parameter

    from lowlat_nodes.nodes.policy_node import PolicyNode
    from lowlat_nodes.stream.config import flatten

    policy = {"kind": "remote", "remote": {"address": "ws://127.0.0.1:9", "wait_ms": 1.0}}
    parameters = flatten(merged(PARAMETERS, {"policy": policy}))
    node = robot.add(PolicyNode(overrides=[Parameter(name, value=v) for name, v in parameters.items()]))
    assert not node.start()
    assert "no connection to ws://127.0.0.1:9" in node.problem
