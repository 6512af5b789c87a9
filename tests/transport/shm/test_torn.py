# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames that readers hold on to while the writer goes on as fast as it can are never torn.

Every frame is one number, over and over. Readers of their own process compare all of it when they get it and
again when they let it go, some time later and in another order. The same readers without leases, as in a ring
of slots that its writer reuses when it comes around, show what would be seen otherwise.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowlat_nodes.transport.shm.writer import Writer

_SLOTS = 8
_NOTES_BYTES = 1 << 13  # of notes that wait for a reader; more are dropped, as a mailbox would
_READER = Path(__file__).with_name("torn_reader.py")
_FRAME_BYTES = 1 << 16


@dataclass(frozen=True)
class Torn:
    """What readers saw.

    Attributes:
        frames: How many they held and compared.
        torn: How many of these were not what was written, at the beginning or at the end.
        overwritten: How many they came too late for, and knew.
        written: How many the writer put into slots meanwhile.
        refused: How many it could not, because readers held all slots.
    """

    frames: int
    torn: int
    overwritten: int
    written: int
    refused: int


def test_frames_that_are_leased_stay_whole() -> None:
    found = run(3_000, "leased")
    assert found.frames >= 3_000
    assert found.written > 0
    assert found.torn == 0


def test_frames_that_are_not_leased_do_not() -> None:
    assert run(300, "bare").torn > 0


def run(frames: int, kind: str, readers: int = 2) -> Torn:
    """Have so many frames held and compared, by readers that lease them (`leased`) or not (`bare`)."""
    links, processes = [], []
    share = -(-frames // readers)
    for number in range(readers):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _NOTES_BYTES)
        command = [sys.executable, str(_READER), str(theirs.fileno()), kind, str(share), str(number)]
        processes.append(subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE))
        links.append(ours)
        theirs.close()
    writer = Writer(slots=_SLOTS, name_hint="torn")
    try:
        written = _write(writer, links)
        told = [json.loads(process.communicate()[0]) for process in processes]
    finally:
        writer.close()
        for link, process in zip(links, processes, strict=True):
            link.close()
            process.kill()
            process.wait()
    sums = {name: sum(each[name] for each in told) for name in ("frames", "torn", "overwritten")}
    return Torn(**sums, written=written, refused=writer.counts["slots_leased"])


def _write(writer: Writer, links: list[socket.socket]) -> int:
    """Write until all readers have seen enough; return how many frames."""
    frame = np.empty(_FRAME_BYTES // 8, np.uint64)
    listening = list(links)
    number = written = 0
    while listening:
        number += 1
        frame.fill(number)
        place = writer.put([frame])
        if place is None:
            continue
        written += 1
        note = json.dumps((number, _FRAME_BYTES, place)).encode()
        listening = [link for link in listening if _tell(link, note)]
    return written


def _tell(link: socket.socket, note: bytes) -> bool:
    """Send a note if there is room for it; tell whether the reader still wants any."""
    try:
        link.send(note)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True
