# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages as payloads and payloads as ROS messages, for a bridge that reads no more than it must."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lowlat_nodes.images.compressed import decode as decode_image
from lowlat_nodes.images.compressed import read_head
from lowlat_nodes.images.jpeg import to_jpeg
from lowlat_nodes.nodes.bridge.config import Route
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
from lowlat_nodes.transport.bag.errors import TypeUnknown
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.cdr.wire import Reader
from lowlat_nodes.transport.records import as_text
from lowlat_nodes.transport.ros import message_type
from lowlat_nodes.transport.structures import Structures, TypeMismatch

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
JOINT_STATE = "sensor_msgs/msg/JointState"

_LONGEST_FRAME = 1024  # characters that a message on the wire has room for
_PLAIN = frozenset({IMAGE, COMPRESSED_IMAGE, JOINT_STATE, "std_msgs/msg/String"})
"""Types whose payloads say all that there is to say."""

_TYPES: dict[type, str] = {
    CompressedImage: COMPRESSED_IMAGE,
    Detections: "vision_msgs/msg/Detection2DArray",
    Image: IMAGE,
    Joints: JOINT_STATE,
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

    Images, joint states and texts become what any reader understands, where nothing is lost by it. What is
    left travels as it is, unread, unless it is to be read field by field.

    Args:
        type_name: As in `sensor_msgs/msg/Image`.
        route: Says which form is wanted.

    Raises:
        ConfigurationError: If the type is not installed.
    """

    def __init__(self, type_name: str, route: Route) -> None:
        self._type_name = type_name
        self._stamped = has_header(type_name)
        types = MessageTypes()
        self._hash = types.definition(type_name)[1] if type_name in types else ""
        self._structures = Structures(types)
        self._quality = route.jpeg_quality if route.image == "jpeg" and type_name == IMAGE else 0
        self._plain = type_name in _PLAIN and (route.form != "cdr" or bool(self._quality))
        self._decode: Callable[[cdr.Buffer], cdr.Decoded] = (
            cdr.JointStateReader().read if type_name == JOINT_STATE else partial(cdr.decode, type_name)
        )
        self._fields = route.form == "fields"

    def read(self, topic: str, data: cdr.Buffer) -> Message:
        """Return a message with stamp and frame of its header; the data is not copied.

        Raises:
            CdrError: If its fields are needed and it is not what it should be.
            BadImage: If it is to be compressed and is no picture.
        """
        if self._plain:
            try:
                decoded = self._decode(data)
            except cdr.CdrError:  # perhaps only by our reading: an encoding that we do not know
                if self._quality:
                    raise
            else:
                payload = decoded.payload
                if self._quality:
                    payload = to_jpeg(payload, self._quality)
                if self._quality or _whole(self._type_name, data, decoded):
                    return _message(topic, payload, decoded.stamp_ns or 0, decoded.frame_id)
        stamp_ns, frame_id = _header(data) if self._stamped else (0, "")
        payload = (
            self._structures.read(self._type_name, data)
            if self._fields
            else Serialised(self._type_name, data, self._hash)
        )
        return _message(topic, payload, stamp_ns, frame_id)


class Inward:
    """Turns what came over the wire into serialised messages, whole and valid ones only."""

    def __init__(self) -> None:
        self._structures = Structures(MessageTypes())

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
        if isinstance(payload, CompressedImage) and type_name == IMAGE:
            payload = decode_image(payload, read_head(payload))
        found = self.type_of(payload)
        if found != type_name:
            raise Unbridgeable(
                f"expected {type_name} on {message.topic!r}, got {found}; two publishers disagree, or set "
                "the type of the route"
            )
        try:
            if isinstance(payload, Serialised | Structure):
                data = bytes(self._structures.write(payload))
                if isinstance(payload, Serialised):
                    self._structures.check(type_name, data)
                return data
        except (TypeUnknown, TypeMismatch) as error:
            raise Unbridgeable(str(error)) from error
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


def _whole(type_name: str, data: cdr.Buffer, decoded: cdr.Decoded) -> bool:
    """Return whether the message can be made again of what goes over the wire."""
    return (decoded.stamp_ns or 0) >= 0 and cdr.says_all(type_name, data, decoded)


def _message(topic: str, payload: Any, stamp_ns: int, frame_id: str) -> Message:
    message = Message(topic, payload, frame_id=frame_id)
    message.trace.capture_ns = max(stamp_ns, 0)
    return message


def _header(data: cdr.Buffer) -> tuple[int, str]:
    """Return stamp and frame at the beginning of a message, as far as a message on the wire can have them.

    Where they cannot be read, 0 and nothing: whoever reads the message finds out.
    """
    try:
        reader = Reader(data)
        stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    except cdr.CdrError:
        return 0, ""
    return stamp_ns, frame_id if len(frame_id) <= _LONGEST_FRAME else ""
