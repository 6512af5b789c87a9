# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of memory that the nodes at one device share: a file of 16384 bytes in the folder of their user.

It holds 64-bit words in the byte order of the host:

| word | what |
|---|---|
| 0 | `LLTURNS1` |
| 1 | version of this layout, 1 |
| 2 | earliest deadline of those that wait, steady clock, ns; 2**63 - 1 if none has one |
| 3 | number of the last request |
| 4 | 1 + the slot whose client decides now; 0 for none |
| 64 + 64 f + s | field f of slot s, see `Field`; there are 64 slots |
| 1088 + 12 s | name of the client in slot s, UTF-8, zeros to the end of 96 bytes |

Who changes anything but the fields of its own costs holds flock(2) on the file. Besides there are exclusive
open-file-description locks (fcntl(2)) on bytes of it: a client has that of the number of its slot as long as
it lives, and that of byte 64 while it has the device. All these locks end with their process, however that
ends. Nothing in the page is trusted: whatever somebody writes into it, one client has the device at a time,
and all go on, at worst in a wrong order until each of them has written its own slot again.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lowlat_nodes.inference.turns.futex import Futex
from lowlat_nodes.stream.byte_lock import ByteLock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.process_id import ProcessId

MAGIC = int.from_bytes(b"LLTURNS1", "little")
VERSION = 1
PAGE_BYTES = 16384
SLOTS = 64
_NAME_BYTES = 96
_NAMES_AT = 8 * 1088
SUFFIX = ".turns"

NEVER = (1 << 63) - 1
"""The deadline of a job that has none."""

MAGIC_WORD, VERSION_WORD, EARLIEST_WORD, REQUEST_WORD, DECIDER_WORD = range(5)

_PATIENCE_S = 5.0  # for the lock of a page that is to be opened
_YIELDS = 4
_SHORTEST_NAP_S, _LONGEST_NAP_S = 20e-6, 1e-3
_SLOT_LOCKS = tuple(ByteLock(slot) for slot in range(SLOTS))
_DEVICE_LOCK = ByteLock(SLOTS)


class Field:
    """What a slot holds, as the first word of that field of all slots; plain numbers, read at each turn."""

    STATE: Final = 64
    DEADLINE: Final = 128
    """Of its job, steady clock, ns."""
    REQUEST: Final = 192
    """Number of its request: of two jobs with one deadline the earlier goes first."""
    SINCE: Final = 256
    """When it began to wait, was called, or got the device; steady clock, ns."""
    PASSED: Final = 320
    """1 for a client that did not come when it was called, until it does."""
    BELL: Final = 384
    """A futex in the first four bytes, which changes when the client is called."""
    PID: Final = 448
    START: Final = 512
    PERIOD: Final = 576
    """Shortest time between two of its jobs, ns; 0 for none."""
    RELATIVE_DEADLINE: Final = 640
    """From a request to its deadline, ns; `NEVER` for none."""
    COST: Final = 704
    """Longest time that a job had the device of late, ns."""
    SEGMENT: Final = 768
    """The same of a segment."""
    DECLARED_COST: Final = 832
    """Longest time that a job is said to have the device, ns; 0 until that is said."""
    DECLARED_SEGMENT: Final = 896
    """The same of a segment."""


class State:
    """What the client of a slot does."""

    FREE: Final = 0
    IDLE: Final = 1
    WAITING: Final = 2
    CALLED: Final = 3
    """The device is its, but it has not come yet."""
    HOLDING: Final = 4


@dataclass(frozen=True, slots=True)
class Client:
    """A client as its slot says.

    Attributes:
        slot: Its number.
        name: Of the node.
        pid: In the process id namespace of the client.
        state: What it does, a number of `State`.
        since_ns: Since when, steady clock.
        period_ns: Shortest time between two jobs, 0 for none.
        deadline_ns: From a request to its deadline, `NEVER` for none.
        cost_ns: Longest time that a job had the device of late.
        segment_ns: The same of a segment.
        declared_cost_ns: What it was let in with, 0 if it was not yet.
        declared_segment_ns: The same of a segment.
    """

    slot: int
    name: str
    pid: int
    state: int
    since_ns: int
    period_ns: int
    deadline_ns: int
    cost_ns: int
    segment_ns: int
    declared_cost_ns: int
    declared_segment_ns: int


class Page:
    """The mapped page of a device, with a slot of our own.

    Args:
        folder: As `turns.folder.turn_folder` gives it.
        device: Name of the device.
        name: Of the client.

    Attributes:
        words: The page.
        slot: Our own slot.
        bells: The futex of each slot.

    Raises:
        ConfigurationError: If the file cannot be had or is not ours alone, or all slots are taken.
    """

    def __init__(self, folder: Path, device: str, name: str) -> None:
        self.path = folder / f"{device}{SUFFIX}"
        self.slot = -1
        self._descriptor = _open_locked(self.path)
        try:
            self._map()
            self._take_slot(device, name)
        except OSError as error:
            raise ConfigurationError(f"turn: {self.path}: no room for it: {error.strerror}") from error
        finally:
            if self.slot < 0:
                os.close(self._descriptor)
            else:
                self.unlock()

    def _map(self) -> None:
        if os.fstat(self._descriptor).st_size != PAGE_BYTES:
            os.ftruncate(self._descriptor, PAGE_BYTES)
            os.posix_fallocate(self._descriptor, 0, PAGE_BYTES)  # or a full disk would kill us at a store
        self._memory = mmap.mmap(self._descriptor, PAGE_BYTES)
        self._bytes = memoryview(self._memory)
        self.words = self._bytes.cast("Q")
        if self.words[MAGIC_WORD] != MAGIC or self.words[VERSION_WORD] != VERSION:
            self._bytes[:] = bytes(PAGE_BYTES)
            self.words[VERSION_WORD] = VERSION
            self.words[EARLIEST_WORD] = NEVER
            self.words[MAGIC_WORD] = MAGIC

    def _take_slot(self, device: str, name: str) -> None:
        free = (slot for slot in range(SLOTS) if _SLOT_LOCKS[slot].take(self._descriptor))
        slot = next(free, -1)
        if slot < 0:
            self._unmap()
            raise ConfigurationError(
                f"turn: {device}: expected at most {SLOTS} nodes at one device, and {name} is one more"
            )
        for field in range(Field.STATE, Field.DECLARED_SEGMENT + SLOTS, SLOTS):
            if field != Field.BELL:
                self.words[field + slot] = 0
        self.bells = tuple(Futex(self._memory, 8 * (Field.BELL + each)) for each in range(SLOTS))
        process = ProcessId.of(os.getpid())
        self.words[Field.PID + slot] = os.getpid()
        self.words[Field.START + slot] = process.start if process else 0
        self.words[Field.RELATIVE_DEADLINE + slot] = NEVER
        at = _NAMES_AT + _NAME_BYTES * slot
        self._bytes[at : at + _NAME_BYTES] = _zero_ended(name)
        self.words[Field.STATE + slot] = State.IDLE
        self.slot = slot

    def lock(self, give_up_ns: int = NEVER) -> bool:
        """Lock the page for a decision of some microseconds.

        Args:
            give_up_ns: When to, steady clock.

        Returns:
            Whether it is locked.
        """
        if not _lock(self._descriptor, give_up_ns):
            return False
        self.words[DECIDER_WORD] = self.slot + 1
        return True

    def unlock(self) -> None:
        """Let others decide."""
        self.words[DECIDER_WORD] = 0
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def alive(self, slot: int) -> bool:
        """Return whether the client of a slot lives."""
        return slot == self.slot or _SLOT_LOCKS[slot].held(self._descriptor)

    def wake(self, slot: int) -> None:
        """Wake the client of a slot if it waits."""
        self.bells[slot].advance()

    def take_device(self) -> bool:
        """Lock the device, and return whether nobody else had it."""
        return _DEVICE_LOCK.take(self._descriptor)

    def leave_device(self) -> None:
        """Unlock the device if it was ours."""
        _DEVICE_LOCK.release(self._descriptor)

    def device_taken(self) -> bool:
        """Return whether somebody else has the device locked."""
        return _DEVICE_LOCK.held(self._descriptor)

    def moved(self) -> bool:
        """Return whether the file is gone or another one: who comes now does not see us."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - half as long
        except OSError:
            return True
        return status.st_ino != os.fstat(self._descriptor).st_ino

    def clients(self) -> list[Client]:
        """Return all clients that live, ourselves among them."""
        states = self.words[Field.STATE : Field.STATE + SLOTS].tolist()
        return [
            self.client(slot) for slot, state in enumerate(states) if state != State.FREE and self.alive(slot)
        ]

    def client(self, slot: int) -> Client:
        """Return what a slot says, within bounds."""
        at = _NAMES_AT + _NAME_BYTES * slot
        state = self.words[Field.STATE + slot]
        return Client(
            slot,
            _text(bytes(self._bytes[at : at + _NAME_BYTES])),
            self._bounded(Field.PID, slot),
            state if state <= State.HOLDING else State.IDLE,
            self._bounded(Field.SINCE, slot),
            self._bounded(Field.PERIOD, slot),
            self._bounded(Field.RELATIVE_DEADLINE, slot) or NEVER,
            self._bounded(Field.COST, slot),
            self._bounded(Field.SEGMENT, slot),
            self._bounded(Field.DECLARED_COST, slot),
            self._bounded(Field.DECLARED_SEGMENT, slot),
        )

    def _bounded(self, field: int, slot: int) -> int:
        return min(self.words[field + slot], NEVER)

    def close(self) -> None:
        """Leave the page, and remove it if we are the last."""
        if self.lock(time.monotonic_ns() + round(_PATIENCE_S * 1e9)):
            self.words[Field.STATE + self.slot] = State.FREE
            _SLOT_LOCKS[self.slot].release(self._descriptor)  # or two who leave at once find each other
            others = any(lock.held(self._descriptor) for lock in _SLOT_LOCKS)
            if not others and not self.moved():
                with contextlib.suppress(OSError):
                    self.path.unlink()
            self.unlock()
        self.disown()

    def disown(self) -> None:
        """Let go of the page without a word: it is that of the process that forked this one."""
        for bell in self.bells:
            bell.release()
        self._unmap()
        os.close(self._descriptor)
        self._descriptor = -1

    def _unmap(self) -> None:
        self.words.release()
        self._bytes.release()
        self._memory.close()


def remove_abandoned(folder: Path) -> None:
    """Remove the pages in a folder whose clients have all been killed; those of other users stay."""
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                    continue
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                used = any(lock.held(descriptor) for lock in _SLOT_LOCKS)
                if not used and path.lstat().st_ino == status.st_ino:
                    path.unlink()
            finally:
                os.close(descriptor)


def _open_locked(path: Path) -> int:
    """Return a descriptor of the page at a path, which is made where it is missing; locked.

    Raises:
        ConfigurationError: If it cannot be had, others may write it, or somebody has it locked for seconds.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    give_up_ns = time.monotonic_ns() + round(_PATIENCE_S * 1e9)
    while True:
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise ConfigurationError(f"turn: cannot open {path}: {error.strerror}; remove it") from error
        status = os.fstat(descriptor)
        problem = ""
        if not stat.S_ISREG(status.st_mode):
            problem = "expected a file"
        elif status.st_uid != os.geteuid() or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            problem = (
                f"expected a file of this user (uid {os.geteuid()}) alone, it belongs to uid {status.st_uid} "
                f"(mode {stat.S_IMODE(status.st_mode):04o}); nodes that share a device run as one user"
            )
        elif not _lock(descriptor, give_up_ns):
            problem = f"some process has locked it for {_PATIENCE_S:g} s; end it"
        if problem:
            os.close(descriptor)
            raise ConfigurationError(f"turn: {path}: {problem}; or remove it")
        with contextlib.suppress(OSError):
            if path.lstat().st_ino == status.st_ino:
                return descriptor
        os.close(descriptor)  # whoever was the last there has removed it meanwhile


def _lock(descriptor: int, give_up_ns: int) -> bool:
    # Never in the kernel's queue, which knows no timeout: whoever has it may have been stopped.
    attempt = 0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic_ns() > give_up_ns:
                return False
        else:
            return True
        attempt += 1
        if attempt <= _YIELDS:
            os.sched_yield()
        else:
            time.sleep(min(_SHORTEST_NAP_S * (attempt - _YIELDS), _LONGEST_NAP_S))


def _zero_ended(name: str) -> bytes:
    printable = "".join(letter if letter.isprintable() else "?" for letter in name[:_NAME_BYTES])
    cut = printable.encode("utf-8", "replace")[: _NAME_BYTES - 1].decode("utf-8", "ignore")
    return cut.encode().ljust(_NAME_BYTES, b"\0")


def _text(name: bytes) -> str:
    text = name.partition(b"\0")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
