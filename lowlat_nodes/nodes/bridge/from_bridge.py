# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of ROS that a bridge has sent over ZeroMQ, to a processor that knows no bridge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Serialised
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.transport.ros.forms import Read, reader


class FromBridge(Processor):
    """Gives a processor what was serialised as if it had come from ROS, as a replay does."""

    def __init__(self, processor: Processor) -> None:
        self.inputs, self.outputs = processor.inputs, processor.outputs
        self._processor = processor
        self._readers: dict[str, Read] = {}

    def open(self) -> None:
        """Open the processor."""
        self._processor.open()

    def process(self, message: Message) -> Iterable[Message]:
        """Process a message.

        Raises:
            TypeUnknown: If it is of a type that is not known here.
            CdrError: If it is not one of its type.
        """
        return self._processor.process(self._plain(message))

    def process_batch(self, messages: Sequence[Message]) -> Iterable[Message]:
        """Process several messages at once."""
        return self._processor.process_batch([self._plain(message) for message in messages])

    def close(self) -> None:
        """Close the processor."""
        self._processor.close()

    def _plain(self, message: Message) -> Message:
        payload = message.payload
        if not isinstance(payload, Serialised):
            return message
        read = self._readers.get(payload.type_name)
        if read is None:
            read = self._readers[payload.type_name] = reader(payload.type_name)
        decoded = read(payload.data)
        plain = replace(message, payload=decoded.payload, frame_id=message.frame_id or decoded.frame_id)
        plain.trace.capture_ns = plain.trace.capture_ns or decoded.stamp_ns or 0
        return plain
