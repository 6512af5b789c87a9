# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images for a process without ROS: subscribed here, handed over through memory that nobody else knows of.

A process that reads images from the shared memory of Fast DDS must not be killed: it may hold the lock that
its publishers need, or leave them writing into a queue that nobody reads any more, and then the camera is
lost to everybody (eProsima/Fast-DDS#5469). A policy may crash at any time, so it gets its images from here.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter

from lowlat_nodes.nodes.policy_messages import pack, unpack
from lowlat_nodes.transport.channel import Channel, ChannelClosedError
from lowlat_nodes.transport.ros.polled import PolledSubscription
from lowlat_nodes.transport.ros.topics import Input

_FOLLOW_S = 0.5


class CameraServer:
    """Subscribes to images, and gives the newest ones to one client at a time when it asks.

    A thread takes an image from the middleware at the moment it is asked for, so nothing is copied for
    nothing, and the depth-1 history of the subscription is the mailbox.

    Args:
        name: Name of the ROS node that subscribes.
        namespace: Its namespace.
        inputs: What to subscribe to, by camera; full topic names.
        context: The ROS context of the process.
        qos: The `qos_overrides.*` parameters.

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
        self._orders, orders = Channel.pair()
        self._thread = threading.Thread(target=self._run, args=[orders], name="cameras", daemon=True)
        self._thread.start()

    def connect(self) -> Channel:
        """Return the end of a channel for a new `CameraClient`; the former one is not served any more."""
        ours, theirs = Channel.pair()
        self._orders.send(b"serve", descriptor=ours.fileno())
        ours.close()
        return theirs

    def close(self) -> None:
        """Stop serving and unsubscribe."""
        self._orders.close()
        self._thread.join()
        self._node.destroy_node()

    def _run(self, orders: Channel) -> None:
        client: Channel | None = None
        follow_s = 0.0
        try:
            while True:
                watched = [end for end in (orders, client) if end is not None]
                ready, _, _ = select.select(watched, [], [], _FOLLOW_S)
                if time.monotonic() >= follow_s:
                    follow_s = time.monotonic() + _FOLLOW_S
                    for subscription in self._cameras.values():
                        subscription.follow_publishers()
                if client is not None and client in ready and not self._serve(client):
                    client = None
                if orders in ready:
                    client = _newer(client, orders)
        except ChannelClosedError:
            pass
        finally:
            orders.close()
            if client is not None:
                client.close()

    def _serve(self, client: Channel) -> bool:
        """Answer a client; return false, with the channel closed, when it is gone."""
        try:
            self._answer(client)
        except ChannelClosedError:
            client.close()
            return False
        return True

    def _answer(self, client: Channel) -> None:
        request = client.receive()
        if request is None:
            return
        _, content = unpack(request)
        images: dict[str, Any] = {}
        contents = []
        for camera, subscription in self._cameras.items():
            taken = subscription.take()
            if taken is not None:
                images[camera] = (len(taken.data), taken.sent_ns)
                contents.append(taken.data)
        reply = pack("images", number=content["number"], images=images)
        if not contents:
            client.send(reply)
            return
        # Memory of its own for each answer: the client may keep it, and no lock is needed.
        descriptor = os.memfd_create("images", os.MFD_CLOEXEC)
        try:
            for data in contents:
                _write(descriptor, data)
            client.send(reply, descriptor=descriptor)
        finally:
            os.close(descriptor)


def _newer(client: Channel | None, orders: Channel) -> Channel | None:
    """Return the client that was ordered to be served, in the place of the former."""
    _, descriptor = orders.receive_with_descriptor()
    if descriptor is None:
        return client
    if client is not None:
        client.close()
    return Channel.from_fd(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
