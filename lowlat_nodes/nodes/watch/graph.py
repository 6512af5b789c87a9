# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes there are and which topics connect them, and what that says about who does what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
JOINTS = "sensor_msgs/msg/JointState"
POSITIONS, TRAJECTORY = "std_msgs/msg/Float64MultiArray", "trajectory_msgs/msg/JointTrajectory"
TEXT = "std_msgs/msg/String"

_PICTURES = frozenset({IMAGE, COMPRESSED})
_COMMANDS = frozenset({POSITIONS, TRAJECTORY})


@dataclass(frozen=True)
class Topic:
    """A topic with those at its ends.

    Attributes:
        name: With its namespace.
        type_name: As in `sensor_msgs/msg/Image`.
        publishers: Full names of nodes, each once.
        subscribers: The same.
    """

    name: str
    type_name: str
    publishers: tuple[str, ...] = ()
    subscribers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A topic from one node to another."""

    source: str
    target: str
    topic: str
    type_name: str


@dataclass(frozen=True)
class Graph:
    """A ROS graph at one moment, without who looks at it.

    Attributes:
        nodes: Full names, sorted.
        topics: By name, those that only serve ROS itself left out.
    """

    nodes: tuple[str, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)

    def streams(self) -> Iterator[Stream]:
        """Yield each topic from each of its publishers to each of its subscribers, by topic."""
        for topic in self.topics.values():
            for source in topic.publishers:
                for target in topic.subscribers:
                    if source != target:
                        yield Stream(source, target, topic.name, topic.type_name)

    def of_type(self, *type_names: str) -> list[Topic]:
        """Return the topics of some types that somebody publishes, by name."""
        return [topic for topic in self.topics.values() if topic.type_name in type_names and topic.publishers]

    def cameras(self) -> list[Topic]:
        """Return the topics with images of cameras.

        Not among them are what detectors draw, which they draw only for who subscribes, distances, and the
        compressed form of what comes uncompressed, too.
        """
        drawers = {
            node
            for topic in self.of_type(DETECTIONS)
            for node in topic.publishers
            if any(node in image.subscribers for image in self.of_type(*_PICTURES))
        }
        return [
            topic
            for topic in self.of_type(*_PICTURES)
            if not drawers.issuperset(topic.publishers) and not self._is_another_form(topic)
        ]

    def detectors(self, camera: str) -> list[str]:
        """Return the nodes that read a camera's topic and publish detections, by name."""
        topic = self.topics.get(camera)
        if topic is None:
            return []
        finders = {node for found in self.of_type(DETECTIONS) for node in found.publishers}
        return sorted(finders.intersection(topic.subscribers))

    def detections(self, detector: str) -> list[Topic]:
        """Return the topics on which a node publishes detections."""
        return [topic for topic in self.of_type(DETECTIONS) if detector in topic.publishers]

    def commands(self, joints: str) -> Topic | None:
        """Return the topic on which the joints of some joint states are commanded, as far as one can tell.

        It goes to a node that publishes those joint states, or comes from one that reads them; best both.
        """
        states = self.topics.get(joints)
        if states is None:
            return None

        def evidence(topic: Topic) -> int:
            taken = not set(states.publishers).isdisjoint(topic.subscribers)
            given = not set(states.subscribers).isdisjoint(topic.publishers)
            return 2 * taken + given

        best = max(self.of_type(*_COMMANDS), key=evidence, default=None)
        return best if best is not None and evidence(best) else None

    def ending_in(self, last: str) -> list[Topic]:
        """Return the topics of text whose names end in a word."""
        return [topic for topic in self.of_type(TEXT) if topic.name.rpartition("/")[2] == last]

    def _is_another_form(self, topic: Topic) -> bool:
        base, _, form = topic.name.rpartition("/")
        if form == "compressedDepth":
            return True
        plain = self.topics.get(base)
        return (
            form == "compressed" and plain is not None and bool(plain.publishers) and plain.type_name == IMAGE
        )
