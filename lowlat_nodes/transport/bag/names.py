# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Topic names that users give, and what they stand for in a bag of ROS and ZeroMQ topics."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag.record import Topic

CLOCK_TOPIC = "/clock"
CLOCK_TYPE = "rosgraph_msgs/msg/Clock"


def absolute(name: str, node: str = "") -> str:
    """Return a topic name as ROS resolves it for a node without a namespace."""
    if name.startswith("~/"):
        return f"/{node}/{name[2:]}"
    return name if name.startswith("/") else f"/{name}"


def matching(name: str, topics: Sequence[Topic], where: str, node: str = "") -> list[Topic]:
    """Return the topics that a name stands for.

    Args:
        name: As in the bag (`/camera`, `zmq:camera`), a ROS name that is not absolute, or a topic of ZeroMQ.
        topics: Those of the bag.
        where: What they are in, for the message of an error.
        node: What `~` stands for.

    Raises:
        ConfigurationError: If there is none; the message suggests the nearest one.
    """
    found = [topic for topic in topics if name in (topic.name, topic.wire_name)]
    found += [topic for topic in topics if topic.name == absolute(name, node) and topic not in found]
    if not found:
        known = [topic.name for topic in topics]
        require(name if ":" in name else absolute(name, node), known, f"{where}: there is no topic")
    return found


def as_stream(topic: Topic, topics: Sequence[Topic]) -> str:
    """Return the absolute ROS name under which a processor gets a topic.

    A topic of ZeroMQ is called as it was there, unless a ROS topic or that of a publisher before it has the
    name: what both say would be mixed up.
    """
    if not topic.framed:
        return topic.name
    name = absolute(topic.wire_name)
    namesakes = [other for other in topics if name == absolute(other.wire_name)]
    first = min(namesakes, key=lambda other: (other.framed, len(other.name), other.name))
    return name if topic == first else absolute(topic.name.replace(":", "/", 1))


def require(name: str, known: Iterable[str], what: str) -> None:
    """Check that a name is among the known ones.

    Raises:
        ConfigurationError: If it is not; the message suggests the nearest one.
    """
    names = list(known)
    if name not in names:
        nearest = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(names) or 'none'}"
        raise ConfigurationError(f"{what} {name!r}; {hint}")
