# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the records of an MCAP file bear each other out, where no count of its messages does.

A reader skips records of kinds that it does not need or know. One flipped bit makes a chunk such a record,
and its messages are gone without a word, although the indexes of messages behind it and the index of chunks
still tell of them. Specification: https://mcap.dev/spec.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable

from mcap.opcode import Opcode

DATA_SECTION = frozenset(
    {
        Opcode.SCHEMA,
        Opcode.CHANNEL,
        Opcode.MESSAGE,
        Opcode.CHUNK,
        Opcode.MESSAGE_INDEX,
        Opcode.ATTACHMENT,
        Opcode.METADATA,
    }
)
"""What the data section may hold before its end, besides kinds that are not known yet."""
IN_CHUNKS = frozenset({Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE})
"""What a chunk may hold, likewise."""

_KNOWN = frozenset(Opcode)
_INDEX_HEAD = struct.Struct("<HI")  # channel, bytes of the array behind it
_INDEX_ENTRY = struct.Struct("<QQ")  # log time, offset in the chunk

_Stamps = dict[int, list[int]]  # of messages, by channel


def misplaced(opcode: int, allowed: frozenset[Opcode]) -> bool:
    """Return whether a record has a kind that the specification keeps elsewhere; 0 is none at all."""
    return opcode == 0 or (opcode in _KNOWN and opcode not in allowed)


class CrossCheck:
    """Compares the chunks that a scan finds with their message indexes and with the index of chunks.

    Writers index the messages of all chunks of a file or of none.

    Args:
        note: Takes a sentence for each contradiction.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._found: set[tuple[int, int]] = set()
        self._at: int | None = None  # the chunk whose message indexes may follow
        self._held: _Stamps = {}
        self._indexed: _Stamps = {}
        self._without_index: list[int] = []
        self._with_index = False

    def chunk(self, offset: int, length: int, messages: Iterable[tuple[int, int]]) -> None:
        """Take the chunk at an offset with channel and stamp of each of its messages."""
        self._found.add((offset, length))
        held: _Stamps = defaultdict(list)
        for channel, stamp_ns in messages:
            held[channel].append(stamp_ns)
        self._at, self._held, self._indexed = offset, held, defaultdict(list)

    def message_index(self, offset: int, content: bytes) -> None:
        """Take the message index record at an offset."""
        where = f"the message index at byte {offset}"
        if self._at is None:
            self._note(f"{where} follows no chunk: what it tells of is lost")
            return
        try:
            channel, size = _INDEX_HEAD.unpack_from(content)
            entries = _INDEX_ENTRY.iter_unpack(content[_INDEX_HEAD.size : _INDEX_HEAD.size + size])
        except struct.error:
            self._note(f"{where} is none; what it was is lost")
            return
        self._indexed[channel].extend(stamp_ns for stamp_ns, _ in entries)

    def end_chunk(self) -> None:
        """Compare the last chunk with its message indexes: no more of them follow."""
        at, self._at = self._at, None
        if at is None or not (self._held or self._indexed):
            return
        if not self._indexed:
            self._without_index.append(at)
            return
        self._with_index = True
        if _sorted(self._held) != _sorted(self._indexed):
            self._note(f"the chunk at byte {at} and its message indexes tell of different messages")

    def end(self, listed: Iterable[tuple[int, int]]) -> None:
        """Compare all chunks with offset and length of those that the index of chunks lists."""
        self.end_chunk()
        if self._with_index and self._without_index:
            self._note(
                f"chunks without a message index beside others with one: {len(self._without_index)}, "
                f"the first at byte {self._without_index[0]}"
            )
        if missing := sorted(set(listed) - self._found):
            self._note(
                f"chunks that its index lists and that are not there: {len(missing)}, "
                f"the first at byte {missing[0][0]}"
            )


def _sorted(stamps: _Stamps) -> _Stamps:
    return {channel: sorted(found) for channel, found in stamps.items() if found}
