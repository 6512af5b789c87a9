# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Transport-free payloads: what processors see instead of ROS messages.

Every transport and the bag reader decode to these, so one processor runs behind all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLACE = re.compile(r"[\[@#]")  # where the place within a source begins

Floats = NDArray[np.float64]
"""An array of float64."""

NO_FLOATS: Floats = np.empty(0)
"""An empty array: what was not measured."""

NO_FLOATS.flags.writeable = False


@dataclass(slots=True, eq=False)
class Image:
    """An uncompressed image.

    Attributes:
        data: uint8 [height, width, channels], or [height, width] for one channel (encodings of 16 and 32 bits
            per value have that dtype); may be a read-only view on transport memory, strided where rows were
            padded.
        encoding: Name as in ROS `sensor_msgs/image_encodings`: rgb8, bgr8, mono8, ...
    """

    data: NDArray[Any]
    encoding: str

    @property
    def height(self) -> int:
        """Return the number of rows."""
        return int(self.data.shape[0])

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return int(self.data.shape[1])


@dataclass(slots=True, eq=False)
class CompressedImage:
    """An image file in memory.

    Attributes:
        data: uint8 [n], the bytes of the file.
        format: As in ROS: starts with or contains `jpeg` or `png`.
    """

    data: NDArray[np.uint8]
    format: str


@dataclass(slots=True, eq=False)
class Detections:
    """What was found in an image.

    Attributes:
        rows: float32 [n, 6], by falling score: left, top, right and bottom edge in px of the image, score
            from 0 to 1, number of the class.
        names: The names of the classes, by number.
        tracks: int64 [n], the same number for the same thing over frames, -1 for what is not tracked; None
            where nothing is.
    """

    rows: NDArray[np.float32]
    names: tuple[str, ...]
    tracks: NDArray[np.int64] | None = None


@dataclass(slots=True)
class Labels:
    """The classes that a detector knows.

    Attributes:
        names: By number.
        threshold: The least score of what it reports.
    """

    names: tuple[str, ...]
    threshold: float = 0.0


@dataclass(slots=True, eq=False)
class Joints:
    """One sample of joint states: float64 arrays in the order of `names`, or empty where not measured.

    Units: rad and rad/s for revolute joints, m and m/s for prismatic ones, effort in N m or N.
    """

    names: tuple[str, ...]
    position: Floats
    velocity: Floats
    effort: Floats


@dataclass(slots=True, eq=False)
class Trajectory:
    """Joint targets over time.

    Attributes:
        names: Joint names, one per column.
        start_ns: Time of row 0 in the clock of the stamps; 0 means now.
        time_from_start_ns: int64 [n], strictly increasing.
        positions: float64 [n, joints].
        velocities: float64 [n, joints], or empty where not given.
        accelerations: float64 [n, joints], or empty where not given.
    """

    names: tuple[str, ...]
    start_ns: int
    time_from_start_ns: NDArray[np.int64]
    positions: Floats
    velocities: Floats
    accelerations: Floats


@dataclass(slots=True)
class Text:
    """A piece of text, such as the task given to a policy."""

    data: str


@dataclass(slots=True, eq=False)
class Packet:
    """The bytes of a packet that another system made, as they came.

    Attributes:
        data: The packet; may be memory of the transport, which the packet keeps.
        key: The key that came with it, empty without one.
        origin: Where it came from, such as `ztf[3]@1207` for a Kafka topic, partition and offset or
            `night.avro#7` for a file and the record in it; empty where nothing tells packets apart.
    """

    data: bytes | memoryview
    key: bytes = b""
    origin: str = ""

    @property
    def source(self) -> str:
        """Return where others came from too: `origin` without the place there, `ztf` or `night.avro`."""
        return _PLACE.split(self.origin, maxsplit=1)[0]


@dataclass(slots=True, eq=False)
class DeadLetter:
    """A packet that could not be dealt with, whole, so that it can be looked at or sent again.

    Attributes:
        packet: As it came.
        reason: Why.
    """

    packet: Packet
    reason: str


@dataclass(slots=True, eq=False)
class Record:
    """Named values, as in a JSON object.

    Attributes:
        fields: Text, numbers, booleans, None, and lists and mappings of these.
        key: Tells records apart: a record with the key of an earlier one says the same; empty without one.
    """

    fields: dict[str, Any]
    key: bytes = b""


@dataclass(slots=True, eq=False)
class Structure:
    """A message of any ROS type, field by field.

    Attributes:
        type_name: As in `sensor_msgs/msg/JointState`.
        fields: By name: text, numbers, booleans, arrays of numbers as NumPy arrays, lists of text, and
            mappings and lists of mappings for nested messages.
        type_hash: Of the definition that the fields follow (`RIHS01_...`), empty where not known.
    """

    type_name: str
    fields: dict[str, Any]
    type_hash: str = ""


@dataclass(slots=True, eq=False)
class Serialised:
    """A message of any ROS type, as ROS sends it.

    Attributes:
        type_name: As in `sensor_msgs/msg/JointState`.
        data: CDR with its encapsulation header; may be memory of the transport.
        type_hash: Of the definition that it was written by (`RIHS01_...`), empty where not known.
    """

    type_name: str
    data: bytes | memoryview
    type_hash: str = ""
