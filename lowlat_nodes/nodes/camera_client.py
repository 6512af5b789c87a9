# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The other end of `camera_server`; it knows no ROS."""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass

from lowlat_nodes.nodes.policy_messages import pack, unpack
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
    """Asks for the newest images.

    Args:
        channel: From `CameraServer.connect`.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = 0

    def look(self) -> dict[str, Sight]:
        """Return the images that have come since the last look, by camera; none if the server is silent."""
        self._number += 1
        deadline_s = time.monotonic() + _PATIENCE_S
        try:
            self._channel.send(pack("look", number=self._number))
            while self._channel.wait(max(0.0, deadline_s - time.monotonic())):
                data, descriptor = self._channel.receive_with_descriptor()
                if data is None:
                    continue
                _, content = unpack(data)
                images = _map(content["images"], descriptor)
                if content["number"] == self._number:  # not one that came too late
                    return images
        except ChannelClosedError:
            pass
        return {}


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
