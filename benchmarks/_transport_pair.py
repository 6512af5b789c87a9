# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publisher and subscriber of one link, in two processes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._transport_cases import CASES

WARM_UP: Final = 4
"""Messages at the beginning of a turn that do not count."""

_MEETINGS: Final = 100


def address_of(link: str, folder: Path) -> str:
    """Return where the publisher of a link is: an endpoint, or a topic of ROS."""
    if link.startswith("rclpy"):
        return link
    return "tcp://127.0.0.1:0" if link.endswith("tcp") else f"ipc://{folder}/{link}"


class Pair:
    """Two processes that end with a stack.

    Args:
        link: What is between them, as `_transport_end` knows it.
        folder: For sockets.
        environment: Of the processes; that of this one unless given.
        stack: Ends them.

    Attributes:
        publisher: Answers `send CASE COUNT [RATE]`.
        subscriber: Answers `taken SINCE COUNT`.
        schedulers: What the kernel granted them.
    """

    def __init__(
        self, link: str, folder: Path, stack: ExitStack, environment: Mapping[str, str] | None = None
    ) -> None:
        def start(role: str, address: str) -> tuple[Instrument, Any]:
            end = Instrument("_transport_end", environment=environment, role=role, link=link, address=address)
            stack.callback(end.end)
            return end, end.hear()

        address = address_of(link, folder)
        self.publisher, about = start("publisher", address)
        self.subscriber, subscriber_about = start("subscriber", about["endpoint"] or address)
        self.schedulers = {about["scheduler"], subscriber_about["scheduler"]}

    def meet(self) -> None:
        """Return when messages arrive.

        Raises:
            RuntimeError: If they never do.
        """
        for _ in range(_MEETINGS):
            self.publisher.ask("send 10kb 10")
            if self.subscriber.ask("taken 0 1")["latencies_ns"]:
                return
        raise RuntimeError("no message arrives")

    def turn(self, case: str, count: int) -> tuple[dict[str, Any], int]:
        """Return what the subscriber tells of so many messages, and how many were sent."""
        sent = self.publisher.ask(f"send {case} {WARM_UP + count}")
        period_ns = round(1e9 / CASES[case].rate_hz)
        first_ns = sent["first_ns"] + WARM_UP * period_ns
        return self.subscriber.ask(f"taken {first_ns} {sent['sent']}"), count
