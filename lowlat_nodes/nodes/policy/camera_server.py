# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images for a process without ROS: subscribed here, handed over through memory that nobody else knows of.

A process that reads images from the shared memory of Fast DDS must not be killed: it may hold the lock that
its publishers need, or leave them writing into a queue that nobody reads any more, and then the camera is
lost to everybody (eProsima/Fast-DDS#5469). A policy may crash at any time, so it gets its images from here.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter

from lowlat_nodes.control.change import ChangeDetector
from lowlat_nodes.nodes.policy.messages import pack, unpack
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.channel import Channel, ChannelClosedError
from lowlat_nodes.transport.ros.polled import PolledSubscription, Taken
from lowlat_nodes.transport.ros.topics import Input

_FOLLOW_S = 0.5
_POLL_S = 0.002
_SERVE, _ALARM = b"serve", b"alarm"


@dataclass(slots=True)
class _Client:
    """A process that looks.

    Attributes:
        channel: To it.
        seen: Numbers of the images that it got, by camera.
        look: What it asked for last, empty once it has its answer.
    """

    channel: Channel
    seen: dict[str, int] = field(default_factory=dict)
    look: dict[str, Any] = field(default_factory=dict)


class CameraServer:
    """Subscribes to images, and gives the newest ones to clients that ask.

    A thread takes an image from the middleware when it is asked for, so nothing is copied for nothing, and
    the depth-1 history of the subscription is the mailbox. While a client waits for the next image, or
    changes are watched for, the thread looks every two milliseconds: rclpy has no way to wait for a message
    and a socket at a time.

    Args:
        name: Name of the ROS node that subscribes.
        namespace: Its namespace.
        inputs: What to subscribe to, by camera; full topic names.
        context: The ROS context of the process.
        qos: The `qos_overrides.*` parameters.
        change_threshold: Of `control.change.ChangeDetector`, to watch every frame; 0 not to.

    Raises:
        ConfigurationError: If a message type is not installed.
    """

    def __init__(
        self,
        name: str,
        namespace: str,
        inputs: Mapping[str, Input],
        context: Context | None = None,
        qos: Mapping[str, Any] = MappingProxyType({}),
        change_threshold: float = 0.0,
    ) -> None:
        self._node = rclpy.create_node(
            name,
            namespace=namespace,
            context=context,
            use_global_arguments=False,  # a remapped node name would be given to this node too
            parameter_overrides=[Parameter(name, value=value) for name, value in qos.items()],
            automatically_declare_parameters_from_overrides=True,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._cameras = {camera: PolledSubscription(self._node, config) for camera, config in inputs.items()}
        self._newest: dict[str, tuple[int, Taken]] = {}  # with its number, by camera
        self._types = {camera: config.type_name for camera, config in inputs.items()}
        self._detectors: dict[str, ChangeDetector] = {}
        if change_threshold:
            self._detectors = {camera: ChangeDetector(change_threshold) for camera in inputs}
        self._listener: Channel | None = None  # to abrupt changes
        self._orders, orders = Channel.pair()
        self._thread = threading.Thread(target=self._run, args=[orders], name="cameras", daemon=True)
        self._thread.start()

    def connect(self) -> Channel:
        """Return the end of a channel for a new `CameraClient`."""
        return self._order(_SERVE)

    def alarm(self) -> Channel:
        """Return the end of a channel, one at a time, on which abrupt changes of a scene are told."""
        return self._order(_ALARM)

    def close(self) -> None:
        """Stop serving and unsubscribe."""
        self._orders.close()
        self._thread.join()
        self._node.destroy_node()

    def _order(self, kind: bytes) -> Channel:
        ours, theirs = Channel.pair()
        self._orders.send(kind, descriptor=ours.fileno())
        ours.close()
        return theirs

    def _run(self, orders: Channel) -> None:
        clients: list[_Client] = []
        follow_s = 0.0
        try:
            while True:
                waits = bool(self._detectors) or any(client.look for client in clients)
                watched = [orders, *(client.channel for client in clients)]
                ready, _, _ = select.select(watched, [], [], _POLL_S if waits else _FOLLOW_S)
                if time.monotonic() >= follow_s:
                    follow_s = time.monotonic() + _FOLLOW_S
                    for subscription in self._cameras.values():
                        subscription.follow_publishers()
                if waits or len(ready) > (orders in ready):
                    self._take()
                clients = [client for client in clients if self._serve(client, client.channel in ready)]
                if orders in ready:
                    kind, descriptor = orders.receive_with_descriptor()
                    if descriptor is not None and kind == _ALARM:
                        self._listener = Channel.from_fd(descriptor)
                    elif descriptor is not None:
                        clients.append(_Client(Channel.from_fd(descriptor)))
        except ChannelClosedError:
            pass
        finally:
            for channel in (orders, *(client.channel for client in clients)):
                channel.close()

    def _take(self) -> None:
        """Take what the middleware has."""
        for camera, subscription in self._cameras.items():
            taken = subscription.take()
            if taken is not None:
                self._newest[camera] = (subscription.received, taken)
                if camera in self._detectors:
                    self._watch(camera, taken)

    def _watch(self, camera: str, taken: Taken) -> None:
        """Tell the listener if the scene changed with an image."""
        with contextlib.suppress(cdr.CdrError):  # whoever looks at the image counts that
            payload = cdr.decode(self._types[camera], taken.data).payload
            if self._detectors[camera].see(payload) and self._listener is not None:
                with contextlib.suppress(ChannelClosedError):  # the tick has ended, and so will the node
                    self._listener.send(pack("changed", camera=camera))

    def _serve(self, client: _Client, asks: bool) -> bool:
        """Hear and answer a client; return false, with the channel closed, when it is gone."""
        try:
            if asks:
                request = client.channel.receive()
                client.look = {} if request is None else unpack(request)[1]
            if client.look:
                self._answer(client)
        except ChannelClosedError:
            client.channel.close()
            return False
        return True

    def _answer(self, client: _Client) -> None:
        """Send what the client has not seen, or nothing as long as it waits for something."""
        look = client.look
        news = {
            camera: (number, taken)
            for camera, (number, taken) in self._newest.items()
            if number != client.seen.get(camera) and (not look["cameras"] or camera in look["cameras"])
        }
        if look["wait"] and not news:
            return
        client.look = {}
        client.seen |= {camera: number for camera, (number, _) in news.items()}
        images = {camera: (len(taken.data), taken.sent_ns) for camera, (_, taken) in news.items()}
        reply = pack("images", number=look["number"], images=images)
        if not news:
            client.channel.send(reply)
            return
        # Memory of its own for each answer: the client may keep it, and no lock is needed.
        descriptor = os.memfd_create("images", os.MFD_CLOEXEC)
        try:
            for _, taken in news.values():
                _write(descriptor, taken.data)
            client.channel.send(reply, descriptor=descriptor)
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
