# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages as payloads and payloads as ROS messages, for a bridge that reads no more than it must."""

from __future__ import annotations

from typing import Any

import numpy as np

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import (
    CompressedImage,
    Detections,
    Image,
    Joints,
    Labels,
    Packet,
    Record,
    Serialised,
    Structure,
    Text,
    Trajectory,
)
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.bag import BagError
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.cdr.wire import Reader
from lowlat_nodes.transport.records import as_text
from lowlat_nodes.transport.ros import message_type

_LONGEST_FRAME = 1024  # characters that a message on the wire has room for

_TYPES: dict[type, str] = {
    CompressedImage: "sensor_msgs/msg/CompressedImage",
    Detections: "vision_msgs/msg/Detection2DArray",
    Image: "sensor_msgs/msg/Image",
    Joints: "sensor_msgs/msg/JointState",
    Labels: "vision_msgs/msg/LabelInfo",
    Packet: "std_msgs/msg/UInt8MultiArray",
    Record: "std_msgs/msg/String",
    Text: "std_msgs/msg/String",
    Trajectory: "trajectory_msgs/msg/JointTrajectory",
    np.ndarray: "std_msgs/msg/Float64MultiArray",
}
"""What a payload is on ROS, where it does not say so itself."""


class Unbridgeable(WireError):
    """A message that has no place on the other side."""


class Outward:
    """Turns the serialised messages of one type into what goes over the wire.

    Args:
        type_name: As in `sensor_msgs/msg/Image`.

    Raises:
        ConfigurationError: If the type is not installed.
    """

    def __init__(self, type_name: str) -> None:
        self._type_name = type_name
        self._stamped = has_header(type_name)

    def read(self, topic: str, data: cdr.Buffer) -> Message:
        """Return a message with stamp and frame of its header; the data is not copied."""
        stamp_ns, frame_id = _header(data) if self._stamped else (0, "")
        payload = Serialised(self._type_name, np.frombuffer(data, np.uint8))
        message = Message(topic, payload, frame_id=frame_id)
        message.trace.capture_ns = stamp_ns
        return message


class Inward:
    """Turns what came over the wire into serialised messages, whole and valid ones only."""

    def __init__(self) -> None:
        self._types = MessageTypes()

    def type_of(self, payload: Any) -> str:
        """Return the type that a payload has on ROS.

        Raises:
            Unbridgeable: If it has none.
        """
        if isinstance(payload, Serialised | Structure):
            return payload.type_name
        name = _TYPES.get(type(payload))
        if name is None:
            raise Unbridgeable(f"a payload of type {type(payload).__name__} has no message on ROS")
        return name

    def write(self, type_name: str, message: Message) -> bytes:
        """Return a message of this type, serialised.

        Raises:
            Unbridgeable: If it is of another type.
            CdrError: If it is not one whole message of its type.
        """
        payload = message.payload
        found = self.type_of(payload)
        if found != type_name:
            raise Unbridgeable(
                f"expected {type_name} on {message.topic!r}, got {found}; two publishers disagree, or set "
                "the type of the route"
            )
        try:
            if isinstance(payload, Serialised):
                data = payload.data.tobytes()
                self._types.decode(type_name, data)
                return data
            if isinstance(payload, Structure):
                return self._types.encode(type_name, payload.fields)
        except BagError as error:
            raise cdr.CdrError(str(error)) from error
        if isinstance(payload, Record):
            payload = as_text(message).payload
        elif isinstance(payload, np.ndarray):
            payload = np.asarray(payload, np.float64).reshape(-1)
        return cdr.encode(type_name, message.trace.capture_ns, message.frame_id, payload)


def has_header(type_name: str) -> bool:
    """Return whether messages of a type begin with a std_msgs/Header.

    Raises:
        ConfigurationError: If the type is not installed.
    """
    fields = message_type(type_name).get_fields_and_field_types()
    return next(iter(fields.items()), None) == ("header", "std_msgs/Header")


def type_problem(type_name: str) -> str:
    """Return why messages of a type cannot be had here, and the remedy; empty if they can."""
    try:
        message_type(type_name)
    except ConfigurationError:
        package = type_name.partition("/")[0]
        return (
            f"the type {type_name} is not installed here: install ros-$ROS_DISTRO-"
            f"{package.replace('_', '-')}, or source the workspace that has it, and start the bridge again"
        )
    return ""


def _header(data: cdr.Buffer) -> tuple[int, str]:
    """Return stamp and frame at the beginning of a message, as far as a message on the wire can have them.

    Where they cannot be read, 0 and nothing: whoever reads the message finds out.
    """
    try:
        reader = Reader(data)
        stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    except cdr.CdrError:
        return 0, ""
    return max(stamp_ns, 0), frame_id if len(frame_id) <= _LONGEST_FRAME else ""
