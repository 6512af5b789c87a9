# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A node counts its results in a page of memory, which the sampler of its host reads: nothing to wait for.

A page is a file of 4096 bytes in the energy folder (`energy.folder`), of 64-bit words in the byte order of
the host:

| byte | what |
|---|---|
| 0 | `LLTALLY1` |
| 8 | version of this layout, 1 |
| 16 | how many buckets there are |
| 24 | inode of the namespace that the process ids are of |
| 32 | when the page was made, steady clock, ns |
| 40 | 1 once the node has closed it |
| 48 | 32 pairs of process id and start time (field 22 of /proc/PID/stat); the node's own first; 0 for none |
| 560 | name of the node, UTF-8, zeros to the end of 256 bytes |
| 816 | what it makes, UTF-8, 64 bytes |
| 1024 | 32 buckets of 96 bytes: started, finished, CPU ns, GPU ns, and the name, UTF-8, 64 bytes |

The node writes each word in one store, and a bucket's name before it counts the bucket. It holds an exclusive
open-file-description lock (fcntl(2)) on the page as long as it lives: who can read the page can tell that it
is dead, whatever its process id means there.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import threading
import time
import weakref
from pathlib import Path

from lowlat_nodes.energy.figures import MAX_BUCKETS
from lowlat_nodes.energy.folder import checked, energy_folder, lock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.process_id import ProcessId

MAGIC = b"LLTALLY1"
VERSION = 1
PAGE_BYTES = 4096
MAX_PROCESSES = 32
SUFFIX = ".tally"
UNFINISHED = ".new"
"""Ends the name of a page that its node has not written yet."""

OTHER = "other"
"""The bucket of what found no room in one of its own."""

NODE_BYTES, UNIT_BYTES, BUCKET_BYTES = 256, 64, 64
"""Of names, with a zero at the end."""

WORD_BUCKETS, WORD_NAMESPACE, WORD_MADE, WORD_CLOSED, WORD_PROCESSES = 2, 3, 4, 5, 6
NODE_AT, UNIT_AT, BUCKETS_AT, BUCKET_SIZE = 560, 816, 1024, 96

_STARTED, _FINISHED, _CPU, _GPU = range(4)
_U64 = (1 << 64) - 1


class Tally:
    """Counts what a node starts and finishes, by shape bucket, for the energy sampler of its host.

    A pair of `begin` and `done` takes about a microsecond. All methods may be called from any thread, and
    none raises once the page is there: buckets beyond 32 are counted as `other`, and what is counted after
    `close`, or in a child that this process forked, goes nowhere.

    Args:
        node: Full name of the node, as its heartbeats have it.
        unit: What a result is: `chunk`, `detection`, `alert`, or `result`.
        folder: Where the sampler reads; None for `energy_folder()`.

    Raises:
        ConfigurationError: If there is no such folder, or no room in it.
    """

    def __init__(self, node: str, unit: str = "result", folder: Path | None = None) -> None:
        folder = energy_folder() if folder is None else checked(folder, make=True)
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}  # word of each bucket
        self._processes: dict[int, int] = {}  # word of each process id
        self._path, self._descriptor = _create(folder)
        try:
            os.posix_fallocate(self._descriptor, 0, PAGE_BYTES)  # or a full disk would kill us at a store
            self._page = mmap.mmap(self._descriptor, PAGE_BYTES)
            self._bytes = memoryview(self._page)
            self._words = self._bytes.cast("Q")
            self._fill(node, unit)
            made = self._path.with_suffix(SUFFIX)
            self._path.rename(made)
            self._path = made
        except OSError as error:
            self._path.unlink()
            os.close(self._descriptor)
            raise ConfigurationError(
                f"energy: {self._path}: no room for the counts: {error.strerror}"
            ) from error
        _open.add(self)

    def begin(self, bucket: str = "") -> None:
        """Count that work on a result has begun.

        Args:
            bucket: Shape of the work, such as `640x640`, where results of several shapes cost differently.
        """
        with self._lock:
            self._words[self._slots.get(bucket) or self._slot(bucket)] += 1

    def done(self, results: int = 1, bucket: str = "") -> None:
        """Count results that went out."""
        if results > 0:
            with self._lock:
                self._words[(self._slots.get(bucket) or self._slot(bucket)) + _FINISHED] += results

    def cpu(self, ns: int, bucket: str = "") -> None:
        """Add CPU time that the node measured itself, as one of several nodes in a process must."""
        self._add(_CPU, ns, bucket)

    def gpu(self, ns: int, bucket: str = "") -> None:
        """Add time on a GPU that the node measured itself."""
        self._add(_GPU, ns, bucket)

    def add_process(self, pid: int) -> bool:
        """Count the CPU and GPU time of another process, such as a child, as this node's.

        Returns:
            Whether it is counted: False for one that has ended, or beyond 31 others.
        """
        process = ProcessId.of(pid)
        with self._lock:
            if process is None or pid in self._processes:
                return process is not None
            words = range(WORD_PROCESSES, WORD_PROCESSES + 2 * MAX_PROCESSES, 2)
            word = next((word for word in words if not self._words[word]), 0)
            if not word:
                return False
            self._words[word + 1] = process.start
            self._words[word] = pid
            self._processes[pid] = word
        return True

    def remove_process(self, pid: int) -> None:
        """Count the time of another process as this node's no longer; what was counted stays."""
        with self._lock:
            word = self._processes.pop(pid, 0)
            if word:
                self._words[word] = 0

    def close(self) -> None:
        """Remove the page; a sampler that has it open still gets the last counts."""
        with self._lock:
            if self._descriptor < 0:
                return
            self._words[WORD_CLOSED] = 1
            with contextlib.suppress(OSError):  # somebody has removed it already
                self._path.unlink()
            self._let_go()

    def disown(self) -> None:
        """Let go of the page without closing it: it is that of the process that forked this one."""
        self._lock = threading.Lock()  # a thread that is not here may hold the former
        self._let_go()

    def _let_go(self) -> None:
        self._words.release()
        self._bytes.release()
        self._page.close()
        self._bytes = memoryview(bytearray(PAGE_BYTES))  # whoever counts on need not know
        self._words = self._bytes.cast("Q")
        os.close(self._descriptor)
        self._descriptor = -1
        _open.discard(self)

    def _fill(self, node: str, unit: str) -> None:
        """Write what does not change, and lock the page."""
        self._bytes[NODE_AT:UNIT_AT] = _zero_ended(node, NODE_BYTES)
        self._bytes[UNIT_AT : UNIT_AT + UNIT_BYTES] = _zero_ended(unit, UNIT_BYTES)
        self._words[1] = VERSION
        self._words[WORD_NAMESPACE] = Path("/proc/self/ns/pid").stat().st_ino
        self._words[WORD_MADE] = time.monotonic_ns()
        lock(self._descriptor)
        self.add_process(os.getpid())
        self._bytes[:8] = MAGIC

    def _add(self, word: int, ns: int, bucket: str) -> None:
        if ns > 0:
            with self._lock:
                at = (self._slots.get(bucket) or self._slot(bucket)) + word
                self._words[at] = (self._words[at] + int(ns)) & _U64

    def _slot(self, bucket: str) -> int:
        """Return the word where a bucket that was not seen before begins."""
        name = _zero_ended(bucket, BUCKET_BYTES)
        full = len(self._slots) >= MAX_BUCKETS - 1
        known = self._slots.get(OTHER if full else _text(name))
        if known is not None:
            return known
        if full:
            bucket, name = OTHER, _zero_ended(OTHER, BUCKET_BYTES)
        index = len(self._slots)
        at = BUCKETS_AT + BUCKET_SIZE * index
        self._bytes[at + 32 : at + BUCKET_SIZE] = name
        self._words[WORD_BUCKETS] = index + 1
        self._slots[_text(name)] = at // 8
        return at // 8


_open: weakref.WeakSet[Tally] = weakref.WeakSet()


def _disown_all() -> None:
    for tally in list(_open):
        tally.disown()


os.register_at_fork(after_in_child=_disown_all)


def _create(folder: Path) -> tuple[Path, int]:
    path = folder / f"{os.getpid()}-{secrets.token_hex(8)}{UNFINISHED}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        os.fchmod(descriptor, 0o640)  # whatever the umask took from the group
    except OSError as error:
        raise ConfigurationError(f"energy: {path}: cannot be made: {error.strerror}") from error
    return path, descriptor


def _zero_ended(text: str, size: int) -> bytes:
    """Return as many whole characters as fit, and zeros."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in str(text)[:size])
    return (
        printable.encode("utf-8", "replace")[: size - 1].decode("utf-8", "ignore").encode().ljust(size, b"\0")
    )


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode()
