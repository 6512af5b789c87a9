# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests of streams listen with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from lowlat_nodes.stream.message import Message

PATIENCE_S = 60.0


class Heard:
    """Keeps what is delivered."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._condition = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self._condition:
            self.messages.append(message)
            self._condition.notify_all()

    def wait(self, count: int, timeout_s: float = PATIENCE_S) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: len(self.messages) >= count, timeout_s)


def until(done: Callable[[], Any], act: Callable[[], None] = lambda: None) -> None:
    """Act until it is done: a subscription takes a while to arrive, and nothing tells when."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        act()
        time.sleep(0.005)
