# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Hands messages to workers, each at least once: what a worker does not finish goes to another."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgpack
import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.endpoint import DurableSink, Sink, UndeliveredError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq import work
from lowlat_nodes.transport.zmq.curve import ServerKeys
from lowlat_nodes.transport.zmq.doorbell import Doorbell
from lowlat_nodes.transport.zmq.frames import decode, encode
from lowlat_nodes.transport.zmq.listening import listen, stop_listening
from lowlat_nodes.transport.zmq.options import give_up, probe, receive
from lowlat_nodes.transport.zmq.work_ledger import Dead, Item, Ledger, Worker

_PING_NS = 200_000_000
_LOOK_NS = 50_000_000  # how often the silent are looked for
_STOOD_STILL_NS = 500_000_000  # a pause of this length is ours, not theirs
_LINGER_MS = 200
_WORKERS = 1024
_TURN = 256  # notes that are read before something is sent


class WorkSink:
    """A `DurableSink` that listens for workers and gives each as many messages as it asks for.

    What is written waits here until a worker has committed it. The work of a worker that dies, stops, or
    whose loop is not heard goes to another, the oldest first. Nothing is kept on a disk: what is upstream
    must not be committed before `flush` has returned, as a `Delivery` does it. docs/work_protocol.md tells
    what passes between the two.

    `write`, `flush` and `close` are for one thread.

    Args:
        endpoint: Where to listen; port 0 takes a free one.
        topic: Of the messages on the wire.
        keys: Keys of CURVE and the workers that may come in; None listens in the clear, on this machine only.
        window: How many messages may be unfinished.
        window_mb: How much may be unfinished, beside the newest message.
        patience_s: How long `write` waits for room.
        deliveries: How many workers may die, or fall silent, with a message until it is a dead letter.
        dead_letters: Gets these messages, and those that no worker can read, as messages with a `DeadLetter`,
            within `write` and `flush`; closed with the sink. Without one the former are tried for ever,
            alone, and the latter keep `flush` from returning.

    Attributes:
        endpoint: Where it listens.
        counts: Messages that were `finished`, given to workers again (`redelivered`) or given up (`dead`);
            workers that were `lost` or fell `silent`, that said `bye`, or were too many (`crowded`); notes
            that were `malformed`; and workers that did not get in, see `Gate` for those.
        last_failure: Why the newest note was refused.

    Raises:
        ConfigurationError: If the endpoint cannot be had, or other machines could reach it without keys.
    """

    def __init__(
        self,
        endpoint: str,
        topic: str,
        *,
        keys: ServerKeys | None = None,
        window: int = 4096,
        window_mb: int = 256,
        patience_s: float = 0.5,
        deliveries: int = 5,
        dead_letters: Sink | None = None,
    ) -> None:
        self.counts = Counters()
        self.last_failure = ""
        self._topic = topic
        self._window = window
        self._window_bytes = window_mb << 20
        self._patience_s = patience_s
        self._dead_letters = dead_letters
        self._epoch = time.time_ns()
        self._ledger = Ledger(deliveries if dead_letters is not None else 0)
        self._changed = threading.Condition()  # guards the ledger and the workers
        self._workers: dict[bytes, Worker] = {}  # by route
        self._routes: dict[str, bytes] = {}  # by name
        self._closed = False
        self._broken = ""
        self._ping_ns = self._looked_ns = 0
        self._bell = Doorbell()
        self._socket = socket = zmq.Context().socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.SNDHWM, 0)  # what workers ask for bounds it
        probe(socket)
        give_up(socket)
        try:
            self.endpoint = listen(socket, endpoint, keys=keys, counts=self.counts, max_bytes=work.MAX_NOTE)
        except BaseException:
            stop_listening(socket)
            self._bell.close()
            raise
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """Return how many workers there are now."""
        return len(self._workers)

    @property
    def unfinished(self) -> int:
        """Return how many messages were written and are not done."""
        return len(self._ledger)

    def write(self, message: Message) -> None:
        """Let a message wait for a worker; it is copied.

        Raises:
            UndeliveredError: If there was no room for it in time; nothing was taken.
            WireError: If its payload has no form on the wire.
        """
        with self._changed:
            number = self._ledger.next_number  # only this thread adds
        frames = [bytes(frame) for frame in encode(message, self._topic, number, epoch=self._epoch)]
        self._bury_dead()
        with self._changed:
            if not self._changed.wait_for(self._has_room, self._patience_s):
                raise UndeliveredError(f"no room within {self._patience_s:g} s: {self._standing()}")
            self._ledger.add(frames)
        self._bell.ring()

    def flush(self, timeout_s: float) -> None:
        """Wait until workers have committed all that was written.

        Raises:
            UndeliveredError: If they have not within the time.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._bury_dead()
            with self._changed:
                left_s = deadline_s - time.monotonic()
                if not self._changed.wait_for(self._is_settled, max(0.0, left_s)):
                    raise UndeliveredError(self._standing())
                if not len(self._ledger):
                    break
        if isinstance(self._dead_letters, DurableSink):
            self._dead_letters.flush(max(0.0, deadline_s - time.monotonic()))

    def close(self) -> None:
        """Stop; what is not finished counts as not done."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
        self._bell.ring()
        self._thread.join()
        self._bell.close()
        if self._dead_letters is not None:
            self._dead_letters.close()

    def _has_room(self) -> bool:
        return len(self._ledger) < self._window and self._ledger.size < self._window_bytes

    def _is_settled(self) -> bool:
        """Return whether all is done, or something is for `_bury_dead` to do."""
        if not len(self._ledger):
            return True
        return self._dead_letters is not None and self._ledger.first_dead() is not None

    def _standing(self) -> str:
        dead = self._ledger.first_dead()
        return (
            f"{len(self._ledger)} messages are not finished, {self._ledger.waiting} of them wait for one of "
            f"{len(self._workers)} workers at {self.endpoint}"
            f"{f'; there are no dead letters for one: {dead.reason}' if dead else ''}{self._broken}"
        )

    def _bury_dead(self) -> None:
        """Write what is dead to its sink, in the thread that may have to wait for it.

        Raises:
            UndeliveredError: If the sink does not take it.
        """
        while True:
            with self._changed:
                dead = self._ledger.first_dead()
            if dead is None or self._dead_letters is None:
                return
            try:
                self._dead_letters.write(_dead_letter(dead))
            except Exception as error:  # whatever is wrong with the dead, what is to be written is not
                raise UndeliveredError(f"a dead letter was not taken: {error}") from error
            self.counts.add("dead")
            with self._changed:
                self._ledger.settle(dead.item)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._bell, zmq.POLLIN)
        poller.register(self._socket, zmq.POLLIN)
        try:
            while not self._closed:
                ready = dict(poller.poll(_LOOK_NS // 1_000_000))
                if self._bell.fileno() in ready:
                    self._bell.answer()
                with self._changed:
                    if self._socket in ready:
                        self._read()
                    now_ns = time.monotonic_ns()
                    if now_ns - self._looked_ns >= _LOOK_NS:
                        self._look_after(now_ns)
                    self._hand_out()
        except Exception as error:  # a defect in here; `flush` must tell that nothing goes on
            self._broken = f"; the sink has broken: {type(error).__name__}: {error}"
            raise
        finally:
            stop_listening(self._socket)

    def _read(self) -> None:
        finished = self._ledger.next_number - len(self._ledger)
        for _ in range(_TURN):  # a flood must not keep work from going out
            frames = receive(self._socket, 2)
            if frames is None:
                break
            try:
                self._hear(frames[0].bytes, *work.decode_note(frames[1]))
            except WireError as error:
                self.counts.add("malformed")
                self.last_failure = str(error)
        if self._ledger.next_number - len(self._ledger) > finished or self._ledger.first_dead() is not None:
            self._changed.notify_all()

    def _hear(self, route: bytes, kind: str, fields: dict[str, Any]) -> None:
        worker = self._workers.get(route)
        if kind == work.HELLO:
            return self._welcome(route, fields)
        # What is done is done, whoever says so: a worker may come back after others took it for dead.
        if kind == work.DONE:
            for epoch, first, last in fields["ids"]:
                if epoch == self._epoch:
                    self.counts.add("finished", self._ledger.finish(first, last))
        elif kind == work.REFUSE:
            if fields["epoch"] == self._epoch:
                self._ledger.refuse(fields["seq"], fields["reason"])
        elif kind == work.BYE:
            if worker is not None:
                self.counts.add("bye")
                self._ledger.release(worker)
                self._forget(route)
            return None
        elif kind != work.WANT:
            raise WireError(f"expected a note of a worker, got {kind!r}")
        if worker is None:
            self._send(route, [work.encode_note(work.WHO)])
            return None
        worker.heard_ns = time.monotonic_ns()
        if kind == work.WANT and fields["session"] == worker.session:
            worker.limit = min(fields["limit"], worker.sent + work.MAX_CREDIT)
        return None

    def _welcome(self, route: bytes, fields: dict[str, Any]) -> None:
        name = fields["worker"]
        former = self._workers.get(self._routes.get(name, b""))
        if former is None and len(self._workers) >= _WORKERS:
            self.counts.add("crowded")
            return
        if former is not None:
            self._forget(self._routes[name])
        if route in self._workers:  # it has another name now
            self._ledger.release(self._workers[route])
            self._forget(route)
        worker = Worker(
            name,
            fields["session"],
            min(fields["limit"], work.MAX_CREDIT),
            fields["silent_ns"],
            time.monotonic_ns(),
        )
        held = [(first, last) for epoch, first, last in fields["held"] if epoch == self._epoch]
        self._ledger.resume(worker, former, held)
        self._workers[route] = worker
        self._routes[name] = route
        self._send(route, [self._ping()])

    def _look_after(self, now_ns: int) -> None:
        """Ping the workers, and give the work of those that are dead to others."""
        if now_ns - self._looked_ns > _STOOD_STILL_NS:
            for worker in self._workers.values():  # what they said meanwhile is yet to be read
                worker.heard_ns = now_ns
        self._looked_ns = now_ns
        for route, worker in list(self._workers.items()):
            if now_ns - worker.heard_ns > worker.silent_ns:
                self._lose(route, "silent")
        if now_ns >= self._ping_ns:
            self._ping_ns = now_ns + _PING_NS
            ping = self._ping()
            for route in list(self._workers):
                if not self._send(route, [ping]):
                    self._lose(route, "lost")

    def _hand_out(self) -> None:
        """Give what waits to workers that have asked for it, to whoever got its last one longest ago."""
        takers = list(self._workers.items())
        while takers and self._ledger.waiting:
            hungry = []
            for route, worker in takers:
                item = self._ledger.give(worker)
                if item is None:
                    continue
                if self._send(route, [self._note(item, worker), *item.frames]):
                    if item.failures:
                        self.counts.add("redelivered")
                    # Behind the others also for what comes later, or a fast worker would get all of it.
                    self._workers[route] = self._workers.pop(route)
                    hungry.append((route, worker))
                else:
                    self._lose(route, "lost")
            takers = hungry

    def _note(self, item: Item, worker: Worker) -> bytes:
        return work.encode_note(
            work.WORK,
            epoch=self._epoch,
            seq=item.number,
            session=worker.session,
            failures=item.failures,
        )

    def _ping(self) -> bytes:
        return work.encode_note(work.PING, epoch=self._epoch, waiting=self._ledger.waiting)

    def _send(self, route: bytes, frames: list[bytes]) -> bool:
        """Send to a worker and return whether its connection stands."""
        try:
            self._socket.send_multipart([route, *frames], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError:
            return False
        return True

    def _lose(self, route: bytes, why: str) -> None:
        worker = self._workers[route]
        self._forget(route)
        self.counts.add(why)
        self._ledger.lose(worker)
        if self._ledger.first_dead() is not None:
            self._changed.notify_all()

    def _forget(self, route: bytes) -> None:
        worker = self._workers.pop(route)
        if self._routes.get(worker.name) == route:
            del self._routes[worker.name]


def _dead_letter(dead: Dead) -> Message:
    """Return a message with a `DeadLetter`; what was no packet is one of its frames, as a msgpack list."""
    frames = dead.item.frames
    message = decode(frames).message
    packet = message.payload
    if not isinstance(packet, Packet):
        origin = f"{message.topic}@{message.sequence}"
        packet = Packet(msgpack.packb(frames), origin=origin)
    return message.derive(DEAD_LETTERS, DeadLetter(packet, dead.reason))
