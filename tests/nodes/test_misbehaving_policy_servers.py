# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node before servers that misbehave, in each protocol: it holds, counts, and goes on."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("websockets")

sys.path.insert(0, str(Path(__file__).parents[1] / "transport" / "policy"))

import openpi_peers
import zmq
import zmq_peers
from policy_rig import Rig, children
from scripted_policy import HORIZON, PERIOD_NS, ScriptedPolicy

from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.stream.config import build
from lowlat_nodes.transport.policy import gr00t, lowlat, openpi

pytestmark = [pytest.mark.ros, pytest.mark.remote]

TIMEOUT_MS = 700.0
MANY = 1_000_000_000
NAMES: Mapping[str, Mapping[str, Any]] = {
    "openpi": {},
    "lowlat": {},
    "gr00t": {"form": "gr00t", "state_keys": ["state:arm"], "action_keys": ["action:arm"]},
}
"""How the server of each protocol names things."""


class Misbehaving:
    """Does with the actions what the task of the request says; the rest is up to the protocol."""

    def __init__(self, protocol: str) -> None:
        form = build(RemoteConfig, NAMES[protocol]).request_form(ScriptedPolicy.spec.images)
        self._form = form

    def answer(self, request: Mapping[str, Any], task: str) -> Mapping[str, Any]:
        """Return an answer."""
        actions = ScriptedPolicy().infer(self._form.read_request(request, ScriptedPolicy.spec, 0))
        if task == "nan":
            actions[1] = np.nan
        if task == "shape":
            actions = actions[:, :1]
        if task == "late":
            time.sleep(2 * TIMEOUT_MS * 1e-3)
        return self._form.write_answer(actions)


@contextlib.contextmanager
def openpi_server() -> Iterator[str]:
    server = Misbehaving("openpi")
    array = {b"__ndarray__": True, b"data": b"1234", b"dtype": "<f4", b"shape": [MANY]}

    def converse(connection: Any) -> None:
        for message in connection:
            request = openpi.decode(message)
            task = request["prompt"]
            good = openpi.encode(server.answer(request, task))
            for reply in {
                "never": [],
                "twice": [good, good],
                "claim": [msgpack.packb({"actions": array})],
                "text": ["Traceback: I am afraid I cannot do that"],
            }.get(task, [good]):
                connection.send(reply)

    with openpi_peers.scripted(converse) as address:
        yield address


@contextlib.contextmanager
def zmq_server(protocol: str, read: Callable[[list[bytes]], Any], claim: Any) -> Iterator[str]:
    server = Misbehaving(protocol)

    def script(frames: list[bytes]) -> list[list[bytes]]:
        request, task = read(frames)
        good = zmq_peers.envelope(protocol, frames, server.answer(request, task))
        return {
            "never": [],
            "twice": [good, good],
            "claim": [claim(frames)],
            "text": [[*good[:-1], b"I am afraid I cannot do that"]],
        }.get(task, [good])

    scripted = zmq_peers.Scripted(protocol, script)
    with scripted.running():
        yield scripted.address


def gr00t_server() -> contextlib.AbstractContextManager[str]:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({MANY},)}}".encode()
    array = {
        "__ndarray_class__": True,
        "as_npy": b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header,
    }

    def read(frames: list[bytes]) -> tuple[Any, str]:
        request = gr00t.decode(frames[2])["data"]["observation"]
        ((task,),) = request["language"]["annotation.human.task_description"]
        return request, task

    return zmq_server("gr00t", read, lambda frames: [*frames[:2], msgpack.packb([{"arm": array}, {}])])


def lowlat_server() -> contextlib.AbstractContextManager[str]:
    def read(frames: list[bytes]) -> tuple[Any, str]:
        parts = [zmq.Frame(frame) for frame in frames]
        request = lowlat.decode_body(lowlat.decode_header(parts), parts)
        return request, request["prompt"]

    def claim(frames: list[bytes]) -> list[bytes]:
        number = lowlat.decode_header([zmq.Frame(frame) for frame in frames]).number
        header = {"v": 1, "kind": "answer", "id": number, "arrays": [["<f4", [MANY]]]}
        return [msgpack.packb(header), msgpack.packb({"actions": {"$array": 0}}), b"1234"]

    return zmq_server("lowlat", read, claim)


SERVERS = {"openpi": openpi_server, "gr00t": gr00t_server, "lowlat": lowlat_server}


@pytest.fixture(scope="module", params=SERVERS)
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def shared_rig(
    protocol: str, module_ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    size = ScriptedPolicy.spec.images["image"]
    with SERVERS[protocol]() as address:
        remote = {
            "protocol": protocol,
            "address": address,
            "timeout_ms": TIMEOUT_MS,
            "first_timeout_ms": 10 * TIMEOUT_MS,
            "horizon": HORIZON,
            "action_width": 2,
            "image": {"image": {"height": size.height, "width": size.width}},
            **NAMES[protocol],
        }
        policy = {
            "kind": "remote",
            "action_kind": "absolute",
            "action_period_ms": PERIOD_NS * 1e-6,
            "timeout_ms": 20 * TIMEOUT_MS,
            "remote": remote,
        }
        made = Rig(module_ros_domain_id, tmp_path_factory.mktemp(protocol), {"policy": policy})
        yield made
        made.close()


@pytest.mark.parametrize(
    ("task", "counted"),
    [
        ("late", "failures_late"),
        ("never", "failures_late"),
        ("nan", "failures_answer_refused"),
        ("shape", "failures_answer_refused"),
        ("claim", "failures_answer_refused"),
        ("text", "failures_answer_refused"),
    ],
)
def test_the_robot_is_held_and_the_miss_counted(rig: Rig, protocol: str, task: str, counted: str) -> None:
    worker = children(rig.process.pid)["policy_worker"]
    if (protocol, task) == ("openpi", "text"):  # where text is what a server says when it fails
        counted = "failures_server_error"
    rig.robot.set_task(task)
    rig.until_counted(counted, 3)
    rig.until_held()
    rig.robot.set_task("move")
    rig.until_moving()
    assert children(rig.process.pid)["policy_worker"] == worker


def test_a_second_answer_is_never_followed(rig: Rig, protocol: str) -> None:
    rig.robot.set_task("twice")
    if protocol == "openpi":  # whose answers have no number
        rig.until_counted("failures_answer_refused", 3)
        rig.robot.set_task("move")
    before = rig.robot.values.get("failures_answer_refused")
    heard = len(rig.robot.inferences)
    rig.until(lambda: len(rig.robot.inferences) > heard + 5, "more inferences")
    rig.until_moving()
    if protocol != "openpi":
        assert rig.robot.values.get("failures_answer_refused") == before
