# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Services that cross, and what their callers hear when there is no answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from bridge_rig import PATIENCE_S, Rig, rig
from rcl_interfaces.srv import GetParameters
from std_srvs.srv import SetBool, Trigger

from lowlat_nodes.stream.requester import RequestRefused
from lowlat_nodes.transport.zmq.caller import Caller, CallFailed
from lowlat_nodes.transport.zmq.responder import Call, Responder

pytestmark = pytest.mark.ros

SET_BOOL = "std_srvs/srv/SetBool"


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def to_zmq(world: Rig, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge that offers /switch on ROS and has a peer answer."""
    service = {"ros": "/switch", "zmq": "switch", "direction": "to_zmq", "type": SET_BOOL, **more}
    return {"services": {"switch": service}, "peers": {"there": {"services": world.endpoint("calls")}}}


def to_ros(world: Rig, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge that has /switch on ROS answer its peers."""
    service = {"ros": "/switch", "zmq": "switch", "direction": "to_ros", "type": SET_BOOL, **more}
    return {"services": {"switch": service}, "zmq": {"services": world.endpoint("calls")}}


def serve(node: Any, kind: Any = SetBool, name: str = "/switch") -> list[Any]:
    requests: list[Any] = []

    def answer(request: Any, response: Any) -> Any:
        requests.append(request)
        response.success, response.message = True, f"switched {request.data}"
        return response

    node.create_service(kind, name, answer)
    return requests


@pytest.fixture
def call(world: Rig) -> Iterator[Callable[..., Any]]:
    """Call a method over ZeroMQ while the nodes work; return its content, or raise what it raised."""
    caller = Caller(world.endpoint("calls"))

    def run(content: list[bytes], method: str = "switch", timeout_s: float = PATIENCE_S) -> list[bytes]:
        results: list[Any] = []

        def work() -> None:
            try:
                caller.connect(PATIENCE_S)
                results.append([bytes(part) for part in caller.call(method, content, timeout_s)])
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        world.spin_until(lambda: results)
        thread.join()
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    yield run
    caller.close()


def as_json(fields: dict[str, Any], kind: str = SET_BOOL) -> list[bytes]:
    return [f"json {kind}".encode(), json.dumps(fields).encode()]


def ask(world: Rig, client: Any, *, data: bool) -> Any:
    """Call until there is an answer: a server that has not heard of a client yet drops its response."""
    futures: list[Any] = []

    def answered() -> bool:
        if not futures or futures[-1].done() or time.monotonic() > asked[0] + 5.0:
            asked[0] = time.monotonic()
            futures.append(client.call_async(SetBool.Request(data=data)))
        return any(future.done() and future.result().success for future in futures)

    asked = [0.0]
    world.spin_until(answered)
    return next(future.result() for future in futures if future.done() and future.result().success)


def test_a_service_is_called_across_two_bridges(world: Rig, module_ros_domain_id: int) -> None:
    other = module_ros_domain_id
    here, there = world.node("here"), world.node("there", other)
    requests = serve(there)
    world.bridge(**to_zmq(world))
    client = here.create_client(SetBool, "/switch")
    world.spin(0.3)
    assert not client.service_is_ready()  # as without a bridge, while nobody answers
    far = world.bridge(domain=other, **to_ros(world))
    world.spin_until(client.service_is_ready)
    for data in (True, False):
        assert ask(world, client, data=data).message == f"switched {data}"
    assert {request.data for request in requests} == {True, False}
    world.end(far)
    world.spin_until(lambda: not client.service_is_ready())
    world.bridge(domain=other, **to_ros(world))
    world.spin_until(client.service_is_ready)
    ask(world, client, data=True)


def test_a_process_without_ros_calls_with_json(world: Rig, call: Any) -> None:
    requests = serve(world.node("server"))
    bridge = world.bridge(**to_ros(world, timeout_ms=60_000.0))
    world.spin_until(lambda: bridge.report().values["switch.state"] == "there")
    world.spin(0.5)  # the server must have heard of the client, too
    kind, reply = call(as_json({"data": True}))
    assert kind == b"json std_srvs/srv/SetBool"
    assert json.loads(reply) == {"success": True, "message": "switched True"}
    assert requests[0].data is True


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "expected two frames"),
        ([b"json std_srvs/srv/Trigger", b"{}"], "expected 'cdr std_srvs/srv/SetBool' or"),
        ([b"pickle std_srvs/srv/SetBool", b"{}"], "expected 'cdr std_srvs/srv/SetBool' or"),
        ([b"cdr std_srvs/srv/SetBool", b"\0\1"], "got 2 bytes that are none"),
        ([b"json std_srvs/srv/SetBool", b"["], "expected a JSON object"),
        (as_json({"date": True}), "there is no field 'date'; there are data"),
        (as_json({"data": "yes"}), "SetBool_Request.data: expected boolean, got yes"),
    ],
)
def test_a_call_that_is_none_is_refused_with_the_reason(
    world: Rig, call: Any, content: list[bytes], reason: str
) -> None:
    requests = serve(world.node("server"))
    bridge = world.bridge(**to_ros(world))
    with pytest.raises(CallFailed, match=reason):
        call(content)
    assert bridge.report().values["switch.failed"] == 1
    assert not requests


def test_a_caller_hears_that_nobody_serves_or_answers(world: Rig, call: Any) -> None:
    bridge = world.bridge(**to_ros(world, timeout_ms=200.0))
    with pytest.raises(CallFailed, match="nobody serves /switch on ROS: start its server"):
        call(as_json({"data": True}))
    silent = world.node("silent")
    silent.create_service(SetBool, "/switch", lambda request, response: response)
    (side,) = [side for side in world.sides if silent in side.nodes]
    side.executor.remove_node(silent)  # it is there and never gets to answer
    world.spin_until(lambda: bridge.report().values["switch.state"] == "there")
    with pytest.raises(CallFailed, match=r"the server of /switch did not answer within 0\.2 s"):
        call(as_json({"data": True}))


def test_a_client_on_ros_is_told_why_where_the_response_has_room_for_it(world: Rig) -> None:
    def refuse(_call: Call) -> list[bytes]:
        raise RequestRefused("the door is locked")

    responder = Responder(world.endpoint("calls"), {"switch": refuse})
    responder.start()
    try:
        bridge = world.bridge(**to_zmq(world))
        client = world.node("here").create_client(SetBool, "/switch")
        world.spin_until(client.service_is_ready)
        world.spin(0.5)
        future = client.call_async(SetBool.Request(data=True))
        world.spin_until(future.done)
        assert future.result().success is False
        assert "the door is locked" in future.result().message
        assert bridge.report().values["switch.failed"] == 1
    finally:
        responder.close()


def test_a_client_whose_response_has_no_room_gets_none(world: Rig) -> None:
    responder = Responder(world.endpoint("calls"), {})
    responder.start()
    try:
        bridge = world.bridge(**to_zmq(world, type="rcl_interfaces/srv/GetParameters"))
        client = world.node("here").create_client(GetParameters, "/switch")
        world.spin_until(client.service_is_ready)
        future = client.call_async(GetParameters.Request(names=["a"]))
        world.spin_until(lambda: bridge.report().values.get("switch.failed"))
        world.spin(0.2)
        assert not future.done()
        assert "there is no method 'switch'" in bridge.report().values["switch.last_failure"]
    finally:
        responder.close()


def test_a_responder_without_ros_is_sent_json(world: Rig) -> None:
    calls: list[Any] = []

    def answer(made: Call) -> list[bytes]:
        calls.append([bytes(part) for part in made.content])
        return as_json({"success": True, "message": "as you wish"})

    responder = Responder(world.endpoint("calls"), {"switch": answer})
    responder.start()
    try:
        world.bridge(**to_zmq(world, form="json"))
        client = world.node("here").create_client(SetBool, "/switch")
        world.spin_until(client.service_is_ready)
        assert ask(world, client, data=True).message == "as you wish"
        assert calls[0] == [b"json std_srvs/srv/SetBool", b'{"data": true}']
    finally:
        responder.close()


def test_services_that_cannot_be_are_refused(world: Rig) -> None:
    for values, reason in (
        (to_zmq(world, type="std_srvs/srv/SetBol"), "expected an installed service type"),
        (to_zmq(world, ros="/a b"), "services.switch.ros: expected the name of a ROS service"),
        ({**to_zmq(world), "peers": {}}, "services.switch.peer: expected the name of a peer"),
        (
            {**to_zmq(world), "peers": {"there": {"endpoint": world.endpoint("x")}}},
            "needs peers.there.services",
        ),
        ({**to_ros(world), "zmq": {"services": ""}}, "zmq.services does not say where"),
    ):
        bridge = world.make(**values)
        assert not bridge.start()
        assert reason in bridge.problem
        world.end(bridge)


def test_a_bridge_does_not_answer_what_it_calls(world: Rig) -> None:
    values = to_zmq(world)
    values["services"]["back"] = to_ros(world)["services"]["switch"]
    bridge = world.make(zmq={"services": world.endpoint("own")}, **values)
    assert not bridge.start()
    assert "services.switch and services.back are a loop" in bridge.problem


def test_triggers_need_no_fields(world: Rig, call: Any) -> None:
    node = world.node("server")

    def answer(_request: Any, response: Any) -> Any:
        response.success = True
        return response

    node.create_service(Trigger, "/switch", answer)
    bridge = world.bridge(**to_ros(world, type="std_srvs/srv/Trigger"))
    world.spin_until(lambda: bridge.report().values["switch.state"] == "there")
    _, reply = call([b"json std_srvs/srv/Trigger", b"{}"])
    assert json.loads(reply)["success"] is True
