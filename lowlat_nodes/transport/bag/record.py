# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of bag file holds: topics and stamped, serialised messages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rosbags.interfaces import Qos

from lowlat_nodes.transport.bag.framing import ENCODING

CDR = "cdr"


@dataclass(frozen=True, slots=True)
class Topic:
    """One recorded topic.

    Attributes:
        name: Absolute ROS name; of ZeroMQ, a label of the endpoint, a colon and the topic.
        type: As in `sensor_msgs/msg/Image`; of ZeroMQ, `lowlat/` and the schema of the first message.
        qos: What each publisher offered while it was recorded; empty where that was not kept.
        type_hash: RIHS01 hash of the type, empty where not kept.
        encoding: How messages are serialised: `cdr`, or the frames of `framing`; everything else is skipped.
        endpoint: Where it was published over ZeroMQ; empty for ROS.
    """

    name: str
    type: str
    qos: tuple[Qos, ...] = ()
    type_hash: str = ""
    encoding: str = CDR
    endpoint: str = ""

    @property
    def framed(self) -> bool:
        """Return whether it is a topic of ZeroMQ."""
        return self.encoding == ENCODING

    @property
    def wire_name(self) -> str:
        """Return the topic of ZeroMQ that it was; of ROS, its name."""
        return self.name.partition(":")[2] if self.framed else self.name


class Recorded(NamedTuple):
    """One message as it lies in a bag.

    Attributes:
        topic: Name of its topic.
        type: Its type, as in `std_msgs/msg/String`.
        stamp_ns: When the recorder received it: the time of the bag.
        data: The serialised message, encapsulation header included.
        published_ns: When it was sent, in the clock of its publisher where the bag says so; the same as
            `stamp_ns` otherwise.
    """

    topic: str
    type: str
    stamp_ns: int
    data: bytes
    published_ns: int


class Storage(Protocol):
    """One open bag file.

    Attributes:
        topics: What it holds.
        counts: Messages by topic, as its index says or as were found.
        damage: One sentence for everything that could not be read so far.
        start_ns: Stamp of the first message, 0 if there is none.
    """

    topics: list[Topic]
    counts: dict[str, int]
    damage: list[str]
    start_ns: int

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Recorded]:
        """Yield the messages of these topics (None: of all) in the order of their stamps."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
