# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What an alert service tells of its work to whoever counts the energy of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from lowlat_nodes.nodes.counting import Counts
from lowlat_nodes.stream.endpoint import Sink
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor


class CountedProcessor(Processor):
    """A processor whose inputs are counted when their turn comes, with the time that it takes.

    Args:
        processor: Does the work.
        counts: Where to.
    """

    def __init__(self, processor: Processor, counts: Counts) -> None:
        self.inputs, self.outputs = processor.inputs, processor.outputs
        self._processor = processor
        self._counts = counts

    def open(self) -> None:
        """Open the processor."""
        self._processor.open()

    def process(self, message: Message) -> Iterable[Message]:
        """Process one input."""
        return self.process_batch([message])

    def process_batch(self, messages: Sequence[Message]) -> Iterable[Message]:
        """Process a batch."""
        for _ in messages:
            self._counts.begin()
        began_ns = time.thread_time_ns()
        try:
            return list(self._processor.process_batch(messages))
        finally:
            self._counts.cpu(time.thread_time_ns() - began_ns)

    def close(self) -> None:
        """Close the processor."""
        self._processor.close()


class CountedSink(Sink):
    """Counts what went out; stands after the sinks that it went to.

    Args:
        counts: Where to.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def write(self, message: Message) -> None:  # noqa: ARG002
        """Count one."""
        self._counts.done()

    def close(self) -> None:
        """Leave the counts to their owner."""
