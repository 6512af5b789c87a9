# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the pages in which nodes count (`energy.tally`), whoever wrote them and whatever is in them.

Pages are read, never mapped: one that is cut short under our eyes is refused and harms nobody.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lowlat_nodes.energy.figures import MAX_BUCKETS, MAX_NODES
from lowlat_nodes.energy.folder import locked
from lowlat_nodes.energy.tally import (
    BUCKET_BYTES,
    BUCKET_SIZE,
    BUCKETS_AT,
    MAGIC,
    MAX_PROCESSES,
    NODE_AT,
    NODE_BYTES,
    PAGE_BYTES,
    SUFFIX,
    UNFINISHED,
    UNIT_AT,
    UNIT_BYTES,
    VERSION,
)
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.process_id import ProcessId

_MAX_FILES = 4096  # of a folder that are looked at
_HEAD = struct.Struct("8s5Q")  # magic, version, buckets, namespace, made, closed
_PROCESSES = struct.Struct(f"{2 * MAX_PROCESSES}Q")
_COUNTS = struct.Struct("4Q")
_PROCESSES_AT = _HEAD.size
_MOST = 1 << 62
_FULL = f"more than {MAX_NODES} pages"
_YOUNG_S = 10.0  # of a page that its node may still be writing
_TICK_NS = 20_000_000  # a folder may change again within a tick of its time


class Counts(NamedTuple):
    """What a node has counted of one bucket."""

    started: int
    finished: int
    cpu_ns: int
    gpu_ns: int


class BadPage(Exception):
    """A page that no node of this version wrote."""


@dataclass(slots=True, eq=False)
class Page:
    """What one node has counted so far.

    Attributes:
        node: Its full name.
        unit: What it makes.
        uid: Who owns the page.
        made_ns: When the page was made, steady clock.
        processes: Those whose time is the node's; none where their numbers mean nothing to us.
        foreign: Whether they do not, as those of a container.
        counts: By bucket.
        ended: Whether the node has closed the page or is dead: these are its last counts.
        table: What `processes` were made of.
    """

    node: str
    unit: str
    uid: int
    made_ns: int
    processes: tuple[ProcessId, ...]
    foreign: bool
    counts: dict[str, Counts] = field(default_factory=dict)
    ended: bool = False
    table: bytes = b""


@dataclass(slots=True)
class _Open:
    name: str
    descriptor: int
    inode: int
    page: Page


class TallyReader:
    """Reads the pages of all nodes of a folder, and removes those of dead ones that it may remove.

    Args:
        folder: As `energy.folder.energy_folder` gives it.

    Attributes:
        counts: Pages that were refused, by reason, and pages of dead nodes that were removed (`reaped`).
    """

    def __init__(self, folder: Path) -> None:
        self.counts = Counters()
        self._folder = folder
        self._name = str(folder)
        self._namespace = Path("/proc/self/ns/pid").stat().st_ino
        self._open: dict[str, _Open] = {}
        self._refused: dict[str, str] = {}  # why
        self._scanned_ns = -1

    @property
    def pages(self) -> list[Page]:
        """The pages as they were last read."""
        return [each.page for each in self._open.values()]

    def scan(self) -> bool:
        """Open the pages that are new; takes a microsecond where the folder has not changed.

        Returns:
            Whether there were any.
        """
        try:
            changed_ns = os.stat(self._name).st_mtime_ns  # noqa: PTH116 - half as long
            if changed_ns == self._scanned_ns:
                return False
            with os.scandir(self._folder) as entries:
                names = [entry.name for _, entry in zip(range(_MAX_FILES), entries, strict=False)]
        except OSError:
            self.counts.add("folder")
            return False
        young = abs(time.time_ns() - changed_ns) < _TICK_NS
        self._scanned_ns = -1 if young else changed_ns
        self._refused = {name: self._refused[name] for name in names if name in self._refused}
        before = len(self._open)
        for name in names:
            if name.endswith(SUFFIX) and name not in self._open and name not in self._refused:
                self._take(name)
            elif name.endswith(UNFINISHED):
                self._remove_unfinished(name)
        return len(self._open) > before

    def read(self) -> list[Page]:
        """Return all pages with their newest counts; one that has ended comes for the last time."""
        pages = []
        for each in list(self._open.values()):
            try:
                dead = not locked(each.descriptor)  # asked first: what a dead node counted is complete
                self._decode(each.page, os.pread(each.descriptor, PAGE_BYTES + 1, 0))
            except (OSError, BadPage) as error:
                self._refuse(each.name, error)
                self._drop(each)
                continue
            each.page.ended |= dead
            pages.append(each.page)
            if each.page.ended:
                self._refused[each.name] = ""  # where it stays, it is not opened again
                if dead:
                    self._reap(each)
                self._drop(each)
        return pages

    def close(self) -> None:
        """Close all pages."""
        for each in list(self._open.values()):
            self._drop(each)

    def _take(self, name: str) -> None:
        if len(self._open) >= MAX_NODES:
            self._refuse(name, BadPage(_FULL))
            return
        descriptor = -1
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._folder / name, flags)
            status = os.fstat(descriptor)
            _check(status)
            page = Page("", "", status.st_uid, 0, (), foreign=False)
            self._decode(page, os.pread(descriptor, PAGE_BYTES + 1, 0))
        except (OSError, BadPage) as error:
            self._refuse(name, error)
            if descriptor >= 0:
                os.close(descriptor)
            return
        self._open[name] = _Open(name, descriptor, status.st_ino, page)

    def _decode(self, page: Page, data: bytes) -> None:
        """Take over what a page says.

        Raises:
            BadPage: If it is none.
        """
        if len(data) != PAGE_BYTES:
            raise BadPage("wrong size")
        magic, version, buckets, namespace, made_ns, closed = _HEAD.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise BadPage("another layout")
        if buckets > MAX_BUCKETS or made_ns > _MOST:
            raise BadPage("impossible figures")
        if not page.node:
            page.node, page.unit = _text(data, NODE_AT, NODE_BYTES), _text(data, UNIT_AT, UNIT_BYTES)
            page.made_ns, page.foreign = made_ns, namespace != self._namespace
            if not page.node:
                raise BadPage("no name")
        table = data[_PROCESSES_AT:NODE_AT]
        if not page.foreign and table != page.table:
            page.table = table
            pairs = _PROCESSES.unpack(table)
            page.processes = tuple(
                ProcessId(pid, start)
                for pid, start in zip(pairs[::2], pairs[1::2], strict=True)
                if 0 < pid < 1 << 31
            )
        names = list(page.counts)
        for index in range(buckets):
            at = BUCKETS_AT + BUCKET_SIZE * index
            name = names[index] if index < len(names) else _text(data, at + _COUNTS.size, BUCKET_BYTES)
            counts = Counts(*_COUNTS.unpack_from(data, at))
            if max(counts) > _MOST:
                raise BadPage("impossible figures")
            if index >= len(names) and name in page.counts:
                raise BadPage("a bucket twice")
            page.counts[name] = counts
        page.ended = bool(closed)

    def _refuse(self, name: str, error: Exception) -> None:
        why = str(error) if isinstance(error, BadPage) else "unreadable"
        self._refused[name] = why
        self.counts.add(why)

    def _reap(self, dead: _Open) -> None:
        """Remove the page of a dead node, where it is ours or the folder is."""
        with contextlib.suppress(OSError):
            path = self._folder / dead.name
            owners = {dead.page.uid, self._folder.stat().st_uid, 0}
            if os.geteuid() in owners and path.lstat().st_ino == dead.inode:
                path.unlink()
                self.counts.add("reaped")

    def _drop(self, each: _Open) -> None:
        os.close(each.descriptor)
        del self._open[each.name]
        self._refused = {name: why for name, why in self._refused.items() if why != _FULL}
        self._scanned_ns = -1  # for those that found no room

    def _remove_unfinished(self, name: str) -> None:
        """Remove what a node left that died before its page was written."""
        with contextlib.suppress(OSError):
            path = self._folder / name
            status = path.lstat()
            old = abs(time.time() - status.st_mtime) > _YOUNG_S
            if old and stat.S_ISREG(status.st_mode) and os.geteuid() in {status.st_uid, 0}:
                path.unlink()
                self.counts.add("reaped")


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadPage("no file")


def _text(data: bytes, at: int, size: int) -> str:
    """Return a name that ends in zeros.

    Raises:
        BadPage: If it is none.
    """
    name, _, rest = data[at : at + size].partition(b"\0")
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise BadPage("a name that is none") from None
    if rest.strip(b"\0") or len(name) == size or not text.isprintable():
        raise BadPage("a name that is none")
    return text
