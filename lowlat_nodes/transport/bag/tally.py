# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What became of the messages of a bag, by topic: every one is either handed on or skipped for a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.transport.bag.record import Topic


@dataclass(slots=True)
class Fate:
    """The counts of one topic.

    Attributes:
        type: Type of its messages.
        published: Messages handed on: to ROS, or to a processor.
        skipped: Messages not handed on.
        reason: Why the first of these was skipped; empty if none was.
    """

    type: str
    published: int = 0
    skipped: int = 0
    reason: str = ""

    @property
    def read(self) -> int:
        """Return how many messages were read."""
        return self.published + self.skipped


class Tally:
    """Counts by topic.

    Args:
        topics: The topics of the bag; those without messages are listed too.
    """

    def __init__(self, topics: Iterable[Topic] = ()) -> None:
        self.topics = {topic.name: Fate(topic.type) for topic in topics}

    def publish(self, topic: str, type_name: str) -> None:
        """Count a message that was handed on."""
        self._fate(topic, type_name).published += 1

    def skip(self, topic: str, type_name: str, reason: str) -> None:
        """Count a message that was not."""
        fate = self._fate(topic, type_name)
        fate.skipped += 1
        fate.reason = fate.reason or reason

    @property
    def published(self) -> int:
        """Return how many messages were handed on."""
        return sum(fate.published for fate in self.topics.values())

    @property
    def skipped(self) -> int:
        """Return how many messages were not."""
        return sum(fate.skipped for fate in self.topics.values())

    def as_json(self) -> dict[str, Any]:
        """Return the counts as `lowlat replay --json` prints them."""
        return {
            "read": self.published + self.skipped,
            "published": self.published,
            "skipped": self.skipped,
            "topics": {
                name: {
                    "type": fate.type,
                    "read": fate.read,
                    "published": fate.published,
                    "skipped": fate.skipped,
                    "reason": fate.reason,
                }
                for name, fate in self.topics.items()
            },
        }

    def _fate(self, topic: str, type_name: str) -> Fate:
        return self.topics.setdefault(topic, Fate(type_name))
