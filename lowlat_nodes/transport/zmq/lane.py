# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What did not come, as the sequence numbers of a topic tell."""

from __future__ import annotations


class Lane:
    """One topic of a publisher as somebody follows it, and the newest message of it that came.

    Args:
        name: Of the input that it goes to.
        topic: On the wire.
    """

    __slots__ = ("epoch", "live", "name", "newest", "topic")

    def __init__(self, name: str, topic: bytes) -> None:
        self.name = name
        self.topic = topic
        self.forget()

    def forget(self) -> None:
        """Take what comes next for the first message."""
        self.epoch = -1
        self.newest = -1
        self.live = False  # whether anything came that was not kept for newcomers

    def lost(self, epoch: int, sequence: int, *, kept: bool) -> int:
        """Note a message and return how many before it did not come; -1 if it came already.

        Those between messages that were kept for newcomers, and before the first that was not, are not lost:
        nobody here was to get them.
        """
        known = epoch == self.epoch and self.newest >= 0
        if known and epoch and sequence <= self.newest:
            return -1
        # With a new publisher numbers begin anew.
        missing = sequence - self.newest - 1 if known and self.live and not kept else 0
        self.live = (known and self.live) or not kept
        self.epoch, self.newest = epoch, sequence
        return max(missing, 0)

    def skip(self) -> None:
        """Note that a message came whose number nobody has read."""
        if self.newest >= 0:
            self.newest += 1
