# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages from shared memory, read where they lie."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.transport.abandoned import FOLDER
from lowlat_nodes.transport.shm.attachment import Attachment
from lowlat_nodes.transport.shm.groups import group_number
from lowlat_nodes.transport.shm.place import Place

_MAPPED = 16  # segments of one subscriber: as many topics and their predecessors


class Reader:
    """Leases messages that others have written, as read-only views.

    A writer does not touch a slot on which there is a lease. Segments are mapped when they are first needed.

    Thread-safe.

    Args:
        group: Name of a group whose segments are trusted beside those of this user and root; empty for none.
        folder: Where shared memory is mounted.

    Raises:
        ConfigurationError: If this process is not in the group.
    """

    def __init__(self, *, group: str = "", folder: Path = FOLDER) -> None:
        self._folder = folder
        self._group = group_number(group)
        self._attached: dict[str, Attachment] = {}  # the one mapped last is last
        self._lock = threading.Lock()

    def lease(self, place: Place, sizes: Sequence[int]) -> list[memoryview]:
        """Return the bytes of each array of a message, read-only and without a copy.

        The lease ends when the last of these views, and of the arrays made of them, goes away.

        Args:
            place: Where the message lies.
            sizes: Bytes of each of its arrays.

        Raises:
            Overwritten: If the slot holds a later message by now.
            Unfinished: If the message is announced and its writer does not go on.
            SegmentGone: If the segment has been removed.
            SegmentRefused: If it may not be read here, is not one of ours, or the place is not in it.
        """
        attachment = self._attached.get(place.segment)
        if attachment is None or not attachment.usable:
            attachment = self._attach(place.segment)
        return attachment.lease(place, sizes)

    def sweep(self) -> None:
        """Unmap segments whose writer has ended or replaced them; so does each first use of a segment."""
        with self._lock:
            self._sweep()

    def close(self) -> None:
        """Unmap what is not leased; leases stay valid."""
        with self._lock:
            self._attached.clear()

    def _attach(self, name: str) -> Attachment:
        with self._lock:
            self._sweep()
            attachment = self._attached[name] = Attachment(self._folder, name, self._group)
            while len(self._attached) > _MAPPED:
                del self._attached[next(iter(self._attached))]
            return attachment

    def _sweep(self) -> None:
        # What views still need they keep themselves.
        self._attached = {
            name: attachment
            for name, attachment in self._attached.items()
            if attachment.usable and not attachment.ended
        }
