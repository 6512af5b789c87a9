# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics of a bag that a command reads, and what they must be."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag import BagReader

COMMAND_TYPES = ("std_msgs/msg/Float64MultiArray", "trajectory_msgs/msg/JointTrajectory")
STATE_TYPES = ("sensor_msgs/msg/JointState",)


def check_topic(bag: BagReader, name: str, expected: Sequence[str]) -> None:
    """Check that a bag has a topic of one of these types.

    Raises:
        ConfigurationError: If it has not; the message lists the topics that would do.
    """
    types = {topic.name: topic.type for topic in bag.topics}
    if types.get(name) not in expected:
        fitting = ", ".join(topic for topic, kind in types.items() if kind in expected) or "none"
        raise ConfigurationError(
            f"{bag.path}: expected a topic {name} of type {' or '.join(expected)}, got "
            f"{types.get(name, 'no such topic')}; topics of that type: {fitting}"
        )
