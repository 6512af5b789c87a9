# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The one interface that everything useful implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from lowlat_nodes.stream.message import Message


class Processor(ABC):
    """Plain Python over arrays: turns messages into messages and knows no transport and no clock.

    The same object runs in a ROS node, behind a socket, in a bag replay and in a unit test. It is used by
    one thread at a time. `inputs` and `outputs` name the streams that it takes and makes.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def open(self) -> None:
        """Load models and warm up; whatever is wrong is raised here, before anything moves.

        Raises:
            ConfigurationError: If it cannot work as configured.
        """

    @abstractmethod
    def process(self, message: Message) -> Iterable[Message]:
        """Turn one input into any number of outputs, made with `message.derive`.

        A generator's results go out as it yields them, before it makes the next.

        An exception concerns this message alone: the pipeline counts and reports it and goes on.
        """

    def process_batch(self, messages: Sequence[Message]) -> Iterable[Message]:
        """Turn a batch into outputs; override where a batch is cheaper than its messages one by one."""
        return [result for message in messages for result in self.process(message)]

    def close(self) -> None:
        """Release what `open` took; called once, also after a failed `open`."""


@runtime_checkable
class TimedProcessor(Protocol):
    """A processor that also makes results between its inputs, such as a tick loop.

    Each result has its own `trace.published_ns` in the time of the messages, such as that of a bag.
    """

    def advance(self, now_ns: int) -> Iterable[Message]:
        """Give what fell due since the last call, up to `now_ns`.

        Called before each `process`, with the `trace.received_ns` of its message, and after the last message.
        What was given before it raises counts all the same.
        """
        ...
