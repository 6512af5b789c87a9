# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The other end of `camera_server`; it knows no ROS."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Collection
from dataclasses import dataclass

from lowlat_nodes.nodes.policy.messages import pack, unpack
from lowlat_nodes.transport.channel import Channel, ChannelClosedError

_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A serialised image message.

    Attributes:
        data: Its bytes, read-only; they live as long as somebody refers to them.
        sent_ns: When the publisher handed it over, system time; 0 if not known.
    """

    data: memoryview
    sent_ns: int


class CameraClient:
    """Asks for the newest images: now with `look`, or for the next ones with `ask` and `receive`.

    Args:
        channel: From `CameraServer.connect`.
        only: The cameras of interest; empty for all.
    """

    def __init__(self, channel: Channel, *, only: Collection[str] = ()) -> None:
        self._channel = channel
        self._only = sorted(only)
        self._number = 0

    def fileno(self) -> int:
        """Return the descriptor that is ready to read when an answer has come."""
        return self._channel.fileno()

    def look(self) -> dict[str, Sight]:
        """Return the images that have come since the last look, by camera; none if the server is silent."""
        deadline_s = time.monotonic() + _PATIENCE_S
        try:
            self._send(wait=False)
            while self._channel.wait(max(0.0, deadline_s - time.monotonic())):
                number, images = self._receive()
                if number == self._number:  # not one that came too late
                    return images
        except ChannelClosedError:
            pass
        return {}

    def ask(self) -> None:
        """Ask for images once there are some that have not been seen; `receive` brings them."""
        with contextlib.suppress(ChannelClosedError):  # `receive` says so
            self._send(wait=True)

    def receive(self) -> dict[str, Sight] | None:
        """Return the images that have come upon `ask`, none while none have; None if the server is gone."""
        try:
            return self._receive()[1]
        except ChannelClosedError:
            return None

    def _send(self, *, wait: bool) -> None:
        self._number += 1
        self._channel.send(pack("look", number=self._number, wait=wait, cameras=self._only))

    def _receive(self) -> tuple[int, dict[str, Sight]]:
        data, descriptor = self._channel.receive_with_descriptor()
        if data is None:
            return 0, {}
        _, content = unpack(data)
        return content["number"], _map(content["images"], descriptor)


def _map(sizes: dict[str, tuple[int, int]], descriptor: int | None) -> dict[str, Sight]:
    if descriptor is None:
        return {}
    try:
        memory = memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
    finally:
        os.close(descriptor)
    images, start = {}, 0
    for camera, (size, sent_ns) in sizes.items():
        images[camera] = Sight(memory[start : start + size], sent_ns)
        start += size
    return images
