# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Services that are called from the other side.

Content of calls and replies: two frames, `cdr std_srvs/srv/SetBool` or `json std_srvs/srv/SetBool`, and the
request or response in that form. A reply has the form of its call.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.node import Node

from lowlat_nodes.nodes.bridge.config import TO_ROS, BridgeConfig, Service
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.requester import RequestError, RequestRefused, ServerGone
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.ros.services import (
    ServiceError,
    deserialise,
    from_plain,
    serialise,
    service_type,
    to_plain,
)
from lowlat_nodes.transport.ros.waiting import OutsideExecutor, ServiceThread
from lowlat_nodes.transport.zmq.call import Content
from lowlat_nodes.transport.zmq.caller import Caller
from lowlat_nodes.transport.zmq.responder import Call, Responder

CDR, JSON = "cdr", "json"

_LONGEST_KIND = 300
_CONNECT_S = 0.2  # how late the end of the node may be noticed
_DISCOVERY_S = 2.0  # in which ROS finds the servers that are there
_POLL_S = 0.01
_THREADS = 8  # at most, that call ROS services side by side
_QUIET_S = 5.0


def encode(form: str, type_name: str, message: Any) -> Content:
    """Return the two frames of a request or response."""
    body = serialise(message) if form == CDR else json.dumps(to_plain(message)).encode()
    return [f"{form} {type_name}".encode(), body]


def decode(type_name: str, kind: Any, content: Sequence[memoryview]) -> tuple[str, Any]:
    """Return form and message of two frames.

    Args:
        type_name: Of the service.
        kind: Class of the request or response.
        content: The frames.

    Raises:
        ServiceError: If they are anything else.
    """
    if len(content) != 2 or len(content[0]) > _LONGEST_KIND:
        raise ServiceError(f"expected two frames, the first '{CDR} {type_name}', got {len(content)}")
    form, _, found = bytes(content[0]).decode(errors="replace").partition(" ")
    if found != type_name or form not in (CDR, JSON):
        raise ServiceError(f"expected '{CDR} {type_name}' or '{JSON} {type_name}', got {f'{form} {found}'!r}")
    if form == CDR:
        return form, deserialise(kind, bytes(content[1]))
    try:
        fields = json.loads(bytes(content[1]))
    except (ValueError, RecursionError) as error:
        raise ServiceError(f"expected a JSON object: {error}") from error
    return form, from_plain(kind, fields)


class AnsweredByPeer:
    """A ROS service whose requests a peer answers, one at a time.

    It is advertised while the peer is connected: `wait_for_service` tells as it would without a bridge. ROS
    services know no errors. Where there is no answer, a response with the fields `success` and `message` says
    why; of any other type none is sent, for a response of defaults would look like an answer, and the
    client's own time-out ends its wait.

    Args:
        node: Owns the service.
        name: In the configuration.
        service: Its settings.
        ros: Its full name on ROS.
        caller: Calls the peer.

    Raises:
        ConfigurationError: If the type is not installed.
    """

    def __init__(self, node: Node, name: str, service: Service, ros: str, caller: Caller) -> None:
        self.counts = Counters()
        self.last_failure = ""
        self._node = node
        self._name = name
        self._service = service
        self._ros = ros
        self._method = service.zmq or ros.lstrip("/")
        self._kind = service_type(service.type)
        self._caller = caller
        self._stopped = threading.Event()
        self._lost = threading.Event()
        self._advertised: Any = None
        self._thread = threading.Thread(target=self._run, name=f"service {name}", daemon=True)

    def start(self) -> None:
        """Begin to look for the peer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; a call in hand is finished."""
        self._stopped.set()
        self._lost.set()
        if self._thread.is_alive():
            self._thread.join()

    def values(self) -> dict[str, str | int | float]:
        """Return what the diagnostics say of the service."""
        told: dict[str, str | int | float] = {
            "state": "there" if self._advertised is not None else "waiting for the peer",
            "last_failure": self.last_failure,
            **self.counts.snapshot(),
        }
        return {f"{self._name}.{key}": value for key, value in told.items()}

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._caller.connect(_CONNECT_S)
            except RequestError as error:
                self.last_failure = str(error)
                self._stopped.wait(_CONNECT_S)
                continue
            self._serve()

    def _serve(self) -> None:
        """Answer until the peer has gone."""
        self._lost.clear()
        self._advertised = self._node.create_service(
            self._kind, self._ros, _never_called, callback_group=OutsideExecutor()
        )
        thread = ServiceThread(self._node, self._answer, name=f"requests {self._name}")
        thread.follow(self._advertised)
        while self._stands() and not self._lost.wait(_CONNECT_S):
            pass
        thread.stop()
        service, self._advertised = self._advertised, None
        self._node.destroy_service(service)

    def _stands(self) -> bool:
        """Return whether the peer is connected, as far as can be told without waiting."""
        try:
            self._caller.connect(0.0)
        except ServerGone as error:
            self.last_failure = str(error)
            return False
        except RequestError:  # a call is under way, and finds out
            pass
        return True

    def _answer(self, taken: tuple[Any, Any]) -> None:
        request, header = taken
        try:
            content = encode(self._service.form, self._service.type, request)
            reply = self._caller.call(self._method, content, self._service.timeout_ms * 1e-3)
            _, response = decode(self._service.type, self._kind.Response, reply)
        except (RequestError, ServiceError, WireError) as error:
            if isinstance(error, ServerGone):
                self._lost.set()
            self.counts.add("failed")
            self.last_failure = str(error)
            self._node.get_logger().warning(
                f"services.{self._name}: no answer: {error}", throttle_duration_sec=_QUIET_S
            )
            response = _told(self._kind.Response(), str(error))
        else:
            self.counts.add("answered")
        if response is not None and self._advertised is not None:
            self._advertised.send_response(response, header)


class AnsweredByRos:
    """A method for peers that a ROS server answers.

    Args:
        node: Owns the client, and is spun.
        name: In the configuration.
        service: Its settings.
        ros: Its full name on ROS.

    Raises:
        ConfigurationError: If the type is not installed.
    """

    def __init__(self, node: Node, name: str, service: Service, ros: str) -> None:
        self.counts = Counters()
        self.last_failure = ""
        self.method = service.zmq or ros.lstrip("/")
        self._node = node
        self._name = name
        self._service = service
        self._ros = ros
        self._kind = service_type(service.type)
        self._client = node.create_client(self._kind, ros)
        self._settled = time.monotonic() + _DISCOVERY_S

    def stop(self) -> None:
        """Call no more."""
        self._node.destroy_client(self._client)

    def values(self) -> dict[str, str | int | float]:
        """Return what the diagnostics say of the service."""
        told: dict[str, str | int | float] = {
            "state": "there" if self._client.service_is_ready() else "waiting for a server on ROS",
            "last_failure": self.last_failure,
            **self.counts.snapshot(),
        }
        return {f"{self._name}.{key}": value for key, value in told.items()}

    def answer(self, call: Call) -> Content:
        """Have the ROS server answer a call, in the thread of the responder.

        Raises:
            RequestRefused: If it does not.
        """
        try:
            form, request = decode(self._service.type, self._kind.Request, call.content)
            response = self._call(request, call.deadline_ns)
        except (ServiceError, RequestRefused) as error:
            self.counts.add("failed")
            self.last_failure = str(error)
            raise RequestRefused(str(error)) from error
        self.counts.add("answered")
        return encode(form, self._service.type, response)

    def _call(self, request: Any, deadline_ns: int) -> Any:
        timeout_s = self._service.timeout_ms * 1e-3
        if deadline_ns:
            timeout_s = min(timeout_s, max(0.0, (deadline_ns - time.monotonic_ns()) * 1e-9))
        deadline = time.monotonic() + timeout_s
        while not self._client.service_is_ready() and time.monotonic() < min(deadline, self._settled):
            time.sleep(_POLL_S)
        if not self._client.service_is_ready():
            raise RequestRefused(f"nobody serves {self._ros} on ROS: start its server, or correct the name")
        done = threading.Event()
        future = self._client.call_async(request)
        future.add_done_callback(lambda _future: done.set())
        if not done.wait(max(0.0, deadline - time.monotonic())):
            self._client.remove_pending_request(future)
            raise RequestRefused(f"the server of {self._ros} did not answer within {timeout_s:.3g} s")
        return future.result()


class BridgedServices:
    """All services of a bridge.

    Args:
        node: Owns their ends on ROS.
        config: Of the bridge.
        names: The full name on ROS of each, by its name in the configuration.

    Raises:
        ConfigurationError: If a type is not installed.
    """

    def __init__(self, node: Node, config: BridgeConfig, names: Mapping[str, str]) -> None:
        self._node = node
        self._config = config
        self._names = names
        self._callers: dict[str, Caller] = {}
        self._by_peers: list[AnsweredByPeer] = []
        self._by_ros: list[AnsweredByRos] = []
        self._responder: Responder | None = None
        for service in config.services.values():
            service_type(service.type)

    def start(self) -> None:
        """Begin to answer and to call.

        Raises:
            ConfigurationError: If an address or keys cannot be had.
        """
        for name, service in self._config.services.items():
            if service.direction == TO_ROS:
                self._by_ros.append(AnsweredByRos(self._node, name, service, self._names[name]))
            else:
                self._by_peers.append(
                    AnsweredByPeer(self._node, name, service, self._names[name], self._caller(name, service))
                )
        if self._by_ros:
            methods = {service.method: service.answer for service in self._by_ros}
            zmq = self._config.zmq
            threads = min(len(methods), _THREADS)
            self._responder = Responder(zmq.services, methods, keys=zmq.keys(), threads=threads)
            self._responder.start()
        for answered in self._by_peers:
            answered.start()

    def stop(self) -> None:
        """Answer no more; calls in hand are finished."""
        if self._responder is not None:
            self._responder.close()
            self._responder = None
        for part in (*self._by_peers, *self._by_ros):
            part.stop()
        for caller in self._callers.values():
            caller.close()
        self._callers, self._by_peers, self._by_ros = {}, [], []

    def values(self) -> dict[str, str | int | float]:
        """Return what the diagnostics say of the services."""
        values: dict[str, str | int | float] = {}
        for service in (*self._by_peers, *self._by_ros):
            values |= service.values()
        if self._responder is not None:
            counts = self._responder.counts.snapshot()
            values |= {f"zmq.services.{name}": count for name, count in counts.items()}
        return values

    def _caller(self, name: str, service: Service) -> Caller:
        peer = self._config.peer_of(f"services.{name}", service.peer, "services")
        if peer not in self._callers:
            settings = self._config.peers[peer]
            self._callers[peer] = Caller(settings.services, keys=settings.keys())
        return self._callers[peer]


def _told(response: Any, why: str) -> Any | None:
    """Return a response that says that there is no answer; None where it has no field for that."""
    fields = response.get_fields_and_field_types()
    if fields.get("success") != "boolean" or fields.get("message") != "string":
        return None
    response.success, response.message = False, f"bridge: {why}"
    return response


def _never_called(_request: Any, _response: Any) -> Any:
    raise AssertionError
