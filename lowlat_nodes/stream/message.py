# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A payload with its topic, sequence number, frame and trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lowlat_nodes.stream.trace import Trace


@dataclass(slots=True)
class Message:
    """What sources deliver, mailboxes keep, processors turn into other messages and sinks write.

    Attributes:
        topic: The name of the stream within the graph (a processor's input or output name).
        payload: Plain data: arrays, or a type of `lowlat_nodes.stream.payload`. Treat it as read-only.
        trace: The stamps of this message.
        sequence: Counts the messages of one stream, from 0.
        frame_id: The coordinate frame, carried through from input to output.
    """

    topic: str
    payload: Any
    trace: Trace = field(default_factory=Trace)
    sequence: int = 0
    frame_id: str = ""

    def derive(self, topic: str, payload: Any) -> Message:
        """Return a result of this message: other topic and payload, same frame, number and history."""
        return Message(topic, payload, self.trace.copy(), self.sequence, self.frame_id)
