# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What waits between a source and a processor: `Newest`, `NewestOfEach`, `Fifo` or `Batch`, always bounded.

Every message that does not come out again is counted in `drops` under its reason:

========== =================================================================================
superseded a newer message took its place before anybody looked (`Newest`, `NewestOfEach`)
budget     the same, while the pace let nobody look (`NewestOfEach`)
unexpected of a topic that has no place here (`NewestOfEach`)
overflow   the mailbox was full and this was the oldest (`Fifo`, `Batch`)
refused    the mailbox was full and the producer would not wait any longer (`Fifo` that blocks)
stale      older than `max_age_ns` when its turn came
closed     put after, or still inside at, the close
========== =================================================================================
"""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Iterable

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.throttle import Pace


class Mailbox(ABC):
    """A bounded waiting room between producers and one consumer; all methods are thread-safe.

    Args:
        clock: The clock of the messages' stamps; also stamps `dequeued_ns`.
        max_age_ns: Messages older than this when their turn comes are dropped; 0 keeps all.
    """

    def __init__(self, clock: Clock, *, max_age_ns: int = 0) -> None:
        self.drops = Counters()
        self.accepted = 0
        self._clock = clock
        self._max_age_ns = max_age_ns
        self._condition = threading.Condition(threading.Lock())
        self._closed = False

    @abstractmethod
    def put(self, message: Message) -> None:
        """Leave a message; it waits, replaces or is dropped as the kind of mailbox has it."""

    @abstractmethod
    def get(self, timeout_s: float | None = None) -> list[Message]:
        """Wait for messages and take them.

        Args:
            timeout_s: How long to wait; None waits until something comes or the mailbox is closed.

        Returns:
            One message (several from a `Batch`), oldest first; an empty list on time-out or when closed.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return how many messages wait."""

    def close(self) -> None:
        """Wake the consumer and every waiting producer; what still waits counts as dropped."""
        with self._condition:
            if self._closed:
                return
            self._closed = True
            if left := self._discard():
                self.drops.add("closed", left)
            self._condition.notify_all()

    @property
    def closed(self) -> bool:
        """Return whether `close` was called."""
        return self._closed

    @abstractmethod
    def _discard(self) -> int:
        """Empty the mailbox under the lock and return how many messages that were."""

    def _fresh(self, message: Message, now_ns: int) -> bool:
        if self._max_age_ns and message.trace.age_ns(now_ns) > self._max_age_ns:
            self.drops.add("stale")
            return False
        message.trace.dequeued_ns = now_ns
        return True


class Newest(Mailbox):
    """One slot that always holds the newest message: the default wherever something moves."""

    def __init__(self, clock: Clock, *, max_age_ns: int = 0) -> None:
        super().__init__(clock, max_age_ns=max_age_ns)
        self._slot: Message | None = None

    def put(self, message: Message) -> None:
        """Take the slot; the message that was there counts as superseded."""
        with self._condition:
            if self._closed:
                self.drops.add("closed")
                return
            if self._slot is not None:
                self.drops.add("superseded")
            self._slot = message
            self.accepted += 1
            self._condition.notify()

    def get(self, timeout_s: float | None = None) -> list[Message]:
        """Wait for a message and take it; empty on time-out, when closed, or when it was stale."""
        with self._condition:
            self._condition.wait_for(lambda: self._slot is not None or self._closed, timeout_s)
            message, self._slot = self._slot, None
        if message is None or not self._fresh(message, self._clock.now_ns()):
            return []
        return [message]

    def __len__(self) -> int:
        """Return 1 while a message waits."""
        return int(self._slot is not None)

    def _discard(self) -> int:
        left, self._slot = len(self), None
        return left


class NewestOfEach(Mailbox):
    """One slot per topic, so that none displaces another; each holds the newest message of its topic.

    The topic that was served longest ago comes first: under overload all are served equally often, however
    much faster one of them delivers. A `pace` holds all of them back together; what comes out then is as new
    as without.

    Args:
        clock: As in `Mailbox`.
        topics: The topics that messages may have.
        max_age_ns: As in `Mailbox`.

    Attributes:
        drops_of: The drops of each topic, by reason.
    """

    def __init__(self, clock: Clock, topics: Iterable[str], *, max_age_ns: int = 0) -> None:
        super().__init__(clock, max_age_ns=max_age_ns)
        self.drops_of = {topic: Counters() for topic in topics}
        self._slots: OrderedDict[str, Message | None] = OrderedDict.fromkeys(self.drops_of)  # next turn first
        self._waiting = 0
        self._pace: Pace | None = None

    def pace(self, max_hz: float) -> None:
        """Give out at most so many messages a second, all topics together; infinite for as many as come."""
        with self._condition:
            if math.isinf(max_hz):
                self._pace = None
            elif self._pace is None:
                self._pace = Pace(max_hz)
            else:
                self._pace.change(max_hz)
            self._condition.notify_all()

    def put(self, message: Message) -> None:
        """Take the slot of the topic; the message that was there counts as superseded."""
        topic = message.topic
        with self._condition:
            if topic not in self._slots:
                self.drops.add("unexpected")
                return
            if self._closed:
                self._drop(topic, "closed")
                return
            if self._slots[topic] is None:
                self._waiting += 1
            else:
                self._drop(topic, "budget" if self._early_s() else "superseded")
            self._slots[topic] = message
            self.accepted += 1
            self._condition.notify()

    def get(self, timeout_s: float | None = None) -> list[Message]:
        """Wait for a message and take the first fresh one in turn; empty on time-out or when closed."""
        with self._condition:
            if not self._await_turn(timeout_s):
                return []
            now_ns = self._clock.now_ns()
            for topic, message in self._slots.items():
                if message is None:
                    continue
                self._slots[topic] = None
                self._waiting -= 1
                if self._fresh(message, now_ns):
                    if self._pace is not None:
                        self._pace.admits(time.monotonic_ns())
                    self._slots.move_to_end(topic)
                    return [message]
                self.drops_of[topic].add("stale")
        return []

    def __len__(self) -> int:
        """Return how many topics have a message waiting."""
        return self._waiting

    def _discard(self) -> int:
        for topic, message in self._slots.items():
            if message is not None:
                self._slots[topic] = None
                self.drops_of[topic].add("closed")
        left, self._waiting = self._waiting, 0
        return left

    def _early_s(self) -> float:
        """Return for how long the pace still holds back."""
        return 0.0 if self._pace is None else self._pace.wait_ns(time.monotonic_ns()) * 1e-9

    def _await_turn(self, timeout_s: float | None) -> bool:
        """Wait for a message whose time has come; return whether there is one."""
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed:
            early_s = self._early_s()
            if self._waiting and not early_s:
                return True
            left_s = until_s - time.monotonic()
            if left_s <= 0.0:
                return False
            wait_s = min(left_s, early_s) if self._waiting else left_s
            self._condition.wait(None if math.isinf(wait_s) else wait_s)
        return False

    def _drop(self, topic: str, reason: str) -> None:
        self.drops.add(reason)
        self.drops_of[topic].add(reason)


class Fifo(Mailbox):
    """First in, first out, up to `capacity` messages.

    Args:
        clock: As in `Mailbox`.
        capacity: How many messages may wait.
        block_s: 0 drops the oldest message when full. Otherwise the producer waits this long for room and
            the new message counts as refused when there is none: for files and logs, never for sensors.
        max_age_ns: As in `Mailbox`.

    Raises:
        ValueError: If `capacity` is below 1.
    """

    def __init__(self, clock: Clock, capacity: int, *, block_s: float = 0.0, max_age_ns: int = 0) -> None:
        super().__init__(clock, max_age_ns=max_age_ns)
        if capacity < 1:
            raise ValueError(f"expected a capacity of at least 1 message, got {capacity}")
        self._capacity = capacity
        self._block_s = block_s
        self._queue: deque[Message] = deque()

    def put(self, message: Message) -> None:
        """Join the queue; when full, drop the oldest or wait, as configured."""
        with self._condition:
            if self._block_s and len(self._queue) >= self._capacity:
                self._condition.wait_for(
                    lambda: len(self._queue) < self._capacity or self._closed, self._block_s
                )
            if self._closed:
                self.drops.add("closed")
                return
            if len(self._queue) >= self._capacity:
                if self._block_s:
                    self.drops.add("refused")
                    return
                self._queue.popleft()
                self.drops.add("overflow")
            self._queue.append(message)
            self.accepted += 1
            self._condition.notify_all()

    def get(self, timeout_s: float | None = None) -> list[Message]:
        """Wait for the oldest fresh message and take it; empty on time-out or when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._queue or self._closed, timeout_s)
            now_ns = self._clock.now_ns()
            while self._queue:
                message = self._queue.popleft()
                self._condition.notify_all()
                if self._fresh(message, now_ns):
                    return [message]
        return []

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._queue)

    def _discard(self) -> int:
        left = len(self._queue)
        self._queue.clear()
        return left


class Batch(Mailbox):
    """Collects messages until `size` are there or the first has waited for `linger_s`.

    Args:
        clock: As in `Mailbox`.
        size: The largest batch.
        linger_s: How long the first message of a batch waits for company.
        capacity: How many messages may wait; the oldest is dropped beyond. Default: four batches.
        max_age_ns: As in `Mailbox`.

    Raises:
        ValueError: If `size` is below 1 or `capacity` below `size`.
    """

    def __init__(
        self, clock: Clock, size: int, linger_s: float, *, capacity: int = 0, max_age_ns: int = 0
    ) -> None:
        super().__init__(clock, max_age_ns=max_age_ns)
        capacity = capacity or 4 * size
        if size < 1 or capacity < size:
            raise ValueError(f"expected 1 <= size <= capacity, got size {size} and capacity {capacity}")
        self._size = size
        self._linger_s = linger_s
        self._queue: deque[tuple[int, Message]] = deque(maxlen=capacity)

    def put(self, message: Message) -> None:
        """Join the queue; when full, the oldest message goes."""
        with self._condition:
            if self._closed:
                self.drops.add("closed")
                return
            if len(self._queue) == self._queue.maxlen:
                self.drops.add("overflow")
            self._queue.append((self._clock.now_ns(), message))
            self.accepted += 1
            self._condition.notify()

    def get(self, timeout_s: float | None = None) -> list[Message]:
        """Wait for a batch and take its fresh messages, oldest first."""
        with self._condition:
            if not self._condition.wait_for(lambda: self._queue or self._closed, timeout_s):
                return []
            self._condition.wait_for(
                lambda: len(self._queue) >= self._size or self._closed, self._patience_s()
            )
            taken = [self._queue.popleft()[1] for _ in range(min(self._size, len(self._queue)))]
        now_ns = self._clock.now_ns()
        return [message for message in taken if self._fresh(message, now_ns)]

    def _patience_s(self) -> float:
        """Return how much longer the first message may wait; a clock that jumps back adds nothing."""
        if not self._queue:
            return 0.0
        waited_s = (self._clock.now_ns() - self._queue[0][0]) * 1e-9
        return self._linger_s - max(0.0, min(waited_s, self._linger_s))

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._queue)

    def _discard(self) -> int:
        left = len(self._queue)
        self._queue.clear()
        return left
