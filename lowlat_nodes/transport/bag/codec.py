# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded bytes <-> messages of a stream.

Types with a payload of their own in `stream.payload` become that; every other known type becomes an object
with a field for each of the message's, so that a processor can take any message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import (
    CompressedImage,
    Detections,
    Image,
    Joints,
    Labels,
    Serialised,
    Text,
    Trajectory,
)
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag.errors import BagError
from lowlat_nodes.transport.bag.framing import is_framed, unpack
from lowlat_nodes.transport.bag.record import Recorded
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.zmq import frames

TYPES_OF_PAYLOADS: dict[type, str] = {
    CompressedImage: "sensor_msgs/msg/CompressedImage",
    Detections: "vision_msgs/msg/Detection2DArray",
    Image: "sensor_msgs/msg/Image",
    Joints: "sensor_msgs/msg/JointState",
    Labels: "vision_msgs/msg/LabelInfo",
    Text: "std_msgs/msg/String",
    Trajectory: "trajectory_msgs/msg/JointTrajectory",
    np.ndarray: "std_msgs/msg/Float64MultiArray",
}
"""Which ROS type a payload is written as."""

_Read = tuple[Any, int, str]  # payload, capture time, frame

_S = 1_000_000_000


class Codec:
    """Decodes recorded messages and encodes results."""

    def __init__(self) -> None:
        self.types = MessageTypes()

    def known(self, type_name: str) -> bool:
        """Return whether messages of a type can be decoded."""
        return is_framed(type_name) or type_name in cdr.READABLE or type_name in self.types

    def decode(self, stream: str, recorded: Recorded, sequence: int) -> Message:
        """Return a recorded message as it enters a processor.

        Its `received_ns` and `dequeued_ns` are the time of the bag, its `capture_ns` the header stamp, or the
        capture stamp that came over ZeroMQ.

        Raises:
            LowlatError: If its bytes are not what its type says.
        """
        read = self._read_framed if is_framed(recorded.type) else self._read
        payload, capture_ns, frame_id = read(recorded.type, recorded.data)
        trace = Trace(capture_ns=capture_ns, received_ns=recorded.stamp_ns, dequeued_ns=recorded.stamp_ns)
        return Message(stream, payload, trace, sequence, frame_id)

    def _read(self, type_name: str, data: bytes) -> _Read:
        if type_name in cdr.READABLE:
            decoded = cdr.decode(type_name, data)
            return decoded.payload, decoded.stamp_ns or 0, decoded.frame_id
        payload = self.types.decode(type_name, data)
        return payload, *header_of(payload)

    def _read_framed(self, _type_name: str, data: bytes) -> _Read:
        message = decode_frames(data)
        found = (message.payload, message.trace.capture_ns, message.frame_id)
        if not isinstance(message.payload, Serialised) or not self.known(message.payload.type_name):
            return found
        # A message of ROS that was bridged: the processor gets it as if it had come from there.
        payload, stamp_ns, frame_id = self._read(message.payload.type_name, bytes(message.payload.data))
        return payload, message.trace.capture_ns or stamp_ns, message.frame_id or frame_id

    def encode(self, message: Message) -> tuple[str, bytes]:
        """Return the type and the bytes of a result, stamped with its `capture_ns`.

        Raises:
            LowlatError: If there is no type for its payload, or the payload contradicts itself.
        """
        payload = message.payload
        type_name = TYPES_OF_PAYLOADS.get(type(payload))
        if type_name is not None:
            return type_name, cdr.encode(type_name, message.trace.capture_ns, message.frame_id, payload)
        type_name = getattr(payload, "__msgtype__", None)
        if not isinstance(type_name, str):
            names = ", ".join(sorted(kind.__name__ for kind in TYPES_OF_PAYLOADS))
            raise BagError(
                f"{message.topic}: expected a payload that is {names} or a message object, "
                f"got {type(payload).__name__}"
            )
        return type_name, self.types.encode(type_name, payload)


def decode_frames(data: bytes) -> Message:
    """Return a message that was recorded from ZeroMQ, as it was published.

    Raises:
        LowlatError: If it is none.
    """
    return frames.decode(unpack(data)).message


def header_of(payload: Any) -> tuple[int, str]:
    """Return stamp in ns and frame of a message object; 0 and nothing where it has no header."""
    header = getattr(payload, "header", None)
    stamp = getattr(header, "stamp", None)
    if header is None or stamp is None:
        return 0, ""
    return stamp.sec * _S + stamp.nanosec, header.frame_id
