# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever fails, and however often: nothing is committed before it is safe, and everything is in the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import pytest

from lowlat_nodes.stream import delivery as delivery_module
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.delivery import DEAD_LETTERS, Delivery
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet, Record
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.trace import Trace

PATIENCE_S = 60.0
PACKETS = 200


class Sink:
    """A durable sink that fails now and then in every way, and forgets what is not safe when told to."""

    def __init__(self, dice: random.Random, *, refuses: bool) -> None:
        self.safe: list[bytes] = []
        self._written: list[bytes] = []
        self._dice = dice
        self._refuses = refuses

    def write(self, message: Message) -> None:
        payload = message.payload
        name = payload.packet.data if isinstance(payload, DeadLetter) else payload.key
        if self._refuses and int(name) % 29 == 0:
            raise TypeError("never that one")
        if self._dice.random() < 0.05:
            raise self._dice.choice([OSError, UndeliveredError])("not now")
        self._written.append(name)

    def flush(self, timeout_s: float) -> None:
        assert timeout_s > 0.0
        if self._dice.random() < 0.3:
            raise UndeliveredError("not yet")
        self.safe += self._written
        self._written.clear()

    def close(self) -> None:
        pass


class Source:
    """A source that fails, hands over, and gives again what was not committed, as a group does.

    Args:
        dice: Decides.
        safe: Returns the packets of which something is safe.
    """

    def __init__(self, dice: random.Random, safe: Callable[[], set[bytes]]) -> None:
        self.drops = Counters()
        self.last_failure = ""
        self.committed = 0
        self.too_early: set[bytes] = set()
        self._next = 0
        self._dice = dice
        self._safe = safe
        self._settle: Callable[[], None] = lambda: None

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        assert timeout_s >= 0.0
        if self._dice.random() < 0.1:
            raise OSError("the broker is away")
        if self._dice.random() < 0.1:  # the partition moves, and comes back
            self._settle()
            self._next = self.committed
        if not most:
            return []
        numbers = range(self._next, min(self._next + self._dice.randint(1, most), PACKETS))
        self._next = numbers.stop
        return [
            Message("packets", Packet(b"%d" % number, origin=f"file#{number}"), Trace(), number)
            for number in numbers
        ]

    def commit(self) -> None:
        if self._dice.random() < 0.2:
            raise UndeliveredError("the group moves")
        self.too_early |= {b"%d" % number for number in range(self._next)} - self._safe()
        self.committed = self._next

    def before_handover(self, settle: Callable[[], None]) -> None:
        self._settle = settle

    @property
    def exhausted(self) -> bool:
        return self._next == PACKETS

    @property
    def lag(self) -> int | None:
        return PACKETS - self._next

    def close(self) -> None:
        pass


class Names(Processor):
    """Makes a record of each packet, and cannot stand some."""

    outputs = ("names",)

    def process(self, message: Message) -> Iterable[Message]:
        if int(message.payload.data) % 31 == 0:
            raise ValueError("poison")
        return [message.derive("names", Record({}, message.payload.data))]

    def process_batch(self, messages: Sequence[Message]) -> Iterable[Message]:
        return super().process_batch(messages)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_committed_that_is_not_safe(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BACK_OFF_S", "_BACK_OFF_MAX_S", "_IDLE_S"):
        monkeypatch.setattr(delivery_module, name, 0.0005)
    dice = random.Random(seed)
    results, letters = Sink(dice, refuses=True), Sink(dice, refuses=False)
    source = Source(dice, lambda: {*results.safe, *letters.safe})
    delivery = Delivery(
        source,
        Names(),
        {"names": [results], DEAD_LETTERS: [letters]},
        SystemClock(),
        batch=dice.choice([1, 7, 64]),
        commit_interval_s=dice.choice([0.0, 0.002]),
    )
    delivery.start()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()
    dead = {b"%d" % number for number in range(PACKETS) if number % 31 == 0 or number % 29 == 0}
    assert not source.too_early
    assert source.committed == PACKETS
    assert set(letters.safe) == dead
    assert set(results.safe) == {b"%d" % number for number in range(PACKETS)} - dead
    assert len(results.safe) == len(set(results.safe)), "each once: it remembers what it has published"
    assert len(letters.safe) == len(dead)
