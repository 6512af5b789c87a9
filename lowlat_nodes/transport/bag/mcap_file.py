# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One MCAP file, in the order of its stamps, whatever state a recorder left it in.

Specification: https://mcap.dev/spec. The `mcap` library knows the layout of the records; what is read, how
much of it and in which order is decided here, for three reasons: a file without an index (a recorder that was
killed, a disk that was full) is read as far as it goes; nothing is allocated that the file's own size or a
fixed limit does not bear out; and messages outside chunks (rosbag2's preset `fastwrite`) come in order too.
"""

from __future__ import annotations

import heapq
import io
import struct
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode

from lowlat_nodes.transport.bag import qos
from lowlat_nodes.transport.bag.errors import BagError
from lowlat_nodes.transport.bag.mcap_crosscheck import DATA_SECTION, IN_CHUNKS, CrossCheck, misplaced
from lowlat_nodes.transport.bag.record import Recorded, Topic

MAGIC = b"\x89MCAP0\r\n"
LIMIT_BYTES = 1 << 30
"""The largest record and the largest chunk, unpacked, that is read."""
CACHE_BYTES = 256 << 20
"""How many unpacked bytes are kept when chunks overlap in time; beyond that they are unpacked anew."""
_RUN_BYTES = 4 << 20
"""How many bytes of messages outside chunks are taken together."""
_STAMP_LIMIT_NS = 1 << 63

_LENGTHS_OF_ENDS = {Opcode.DATA_END: 4, Opcode.FOOTER: 20}

_RECORD = struct.Struct("<BQ")  # opcode, length
_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK = struct.Struct("<QQQII")  # first and last log time, unpacked size, CRC, length of the name after it
_FOOTER = struct.Struct("<BQQQI")  # opcode, length, start of the summary, start of its offsets, CRC


class _Segment(NamedTuple):
    """Records that are read together: a chunk, or a run of messages outside chunks.

    Attributes:
        offset: Where it begins in the file.
        length: How many bytes it takes there.
        start_ns: Smallest stamp of its messages.
        chunk: Whether it is a chunk record.
    """

    offset: int
    length: int
    start_ns: int
    chunk: bool


class _Entry(NamedTuple):
    """One message of a segment; entries of a file sort by stamp, then by place."""

    stamp_ns: int
    segment: int
    offset: int
    end: int
    channel: int
    published_ns: int


class McapFile:
    """Reads one MCAP file.

    Lost messages are noted in `damage` wherever the file tells of them: by counts, by an index of chunks or
    of messages, by a checksum, or by a record that is out of place. In a file without statistics and without
    a checksum of the data section, no reader can tell that a message outside chunks, or a chunk that no index
    names, was lost in one of two ways. The kind of its record became one from 0x10 to 0xff, which the
    specification reserves and readers skip. Or the length of a record before it grew to exactly the end of a
    later one: bytes after the known fields are skipped too, or are part of a message.

    Args:
        path: The file.

    Raises:
        BagError: If it is no MCAP file, or none of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.damage: list[str] = []
        self.topics: list[Topic] = []
        self.counts: dict[str, int] = {}
        self.start_ns = 0
        self._path = path
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, Topic] = {}
        self._segments: list[_Segment] = []
        self._cache: OrderedDict[int, memoryview] = OrderedDict()
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise BagError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Recorded]:
        """Yield the messages of these topics (None: of all) in the order of their stamps.

        Chunks that cannot be unpacked are left out and noted in `damage`. Memory is bounded by `CACHE_BYTES`
        plus an index of the chunks that overlap in time.
        """
        channels = {key for key, topic in self._channels.items() if topics is None or topic.name in topics}
        walks = [self._walk(number, channels) for number in range(len(self._segments))]
        for entry in heapq.merge(*walks):
            if entry.offset < 0:
                continue
            data = bytes(self._unpack(entry.segment)[entry.offset : entry.end])
            topic = self._channels[entry.channel]
            yield Recorded(topic.name, topic.type, entry.stamp_ns, data, entry.published_ns or entry.stamp_ns)

    def close(self) -> None:
        """Release the file."""
        self._cache.clear()
        self._file.close()

    def _open(self) -> None:
        self._size = self._file.seek(0, io.SEEK_END)
        if (magic := self._read(0, len(MAGIC))) != MAGIC:
            raise BagError(
                f"{self._path}: expected an MCAP file, this starts with {magic.hex() or 'no byte'}"
            )
        try:
            self._read_index()
        except BagError as error:
            self._note(f"{error}; the file was read from its start instead")
            self._scan()
        if self.damage and not self._segments:
            raise BagError(f"{self._path}: no message can be read: {'; '.join(self.damage)}")
        self.topics = list(dict.fromkeys(self._channels.values()))

    def _read_index(self) -> None:
        """Take channels, counts and chunks from the summary section, after checking that it is whole.

        Raises:
            BagError: If the recorder never wrote it, or it contradicts the file.
        """
        summary, end = self._summary()
        statistics: Any = None
        chunks = []
        for opcode, offset, stop in _split(summary):
            content = summary[offset:stop]
            if opcode == Opcode.STATISTICS:
                statistics = _parse(records.Statistics, content)
            elif opcode == Opcode.CHUNK_INDEX:
                chunks.append(_parse(records.ChunkIndex, content))
            else:
                self._learn(opcode, content, "the index")
        counts = {} if statistics is None else statistics.channel_message_counts
        # Without counts by channel (they are optional) nothing would tell of a message that is lost.
        indexed = bool(counts) and 0 < statistics.chunk_count == len(chunks)
        if indexed and self._channels.keys() >= counts.keys():
            self._take_chunks(chunks, end)
            self.start_ns = statistics.message_start_time
        else:
            self._scan(end, chunks)  # every part of an index is optional: nothing is missing
            found = sum(self.counts.values())
            if statistics is not None and statistics.message_count != found:
                self._note(f"its index counts {statistics.message_count} messages; there are {found}")
        if counts and self._channels.keys() >= counts.keys():
            self.counts.clear()  # what should be there, rather than what a scan found
            for key, count in counts.items():
                self._count(self._channels[key], count)

    def _take_chunks(self, chunks: list[records.ChunkIndex], end: int) -> None:
        for chunk in chunks:
            offset, length = chunk.chunk_start_offset, chunk.chunk_length
            if not len(MAGIC) <= offset <= offset + length <= end or length < _RECORD.size:
                raise BagError("its index points outside the file")
            self._segments.append(_Segment(offset, length, chunk.message_start_time, True))

    def _summary(self) -> tuple[bytes, int]:
        """Return the records of the summary section and where it begins."""
        end = self._size - _FOOTER.size - len(MAGIC)
        tail = self._read(max(end, 0), _FOOTER.size + len(MAGIC))
        if tail[_FOOTER.size :] != MAGIC:
            raise BagError("it has no end: the recorder was stopped before it could write the index")
        opcode, length, start, _, crc = _FOOTER.unpack_from(tail)
        start = start or end  # 0: its writer left the summary out
        if opcode != Opcode.FOOTER or length != _FOOTER.size - _RECORD.size or not len(MAGIC) <= start <= end:
            raise BagError("its footer contradicts the file")
        if end - start > LIMIT_BYTES:
            raise BagError(f"its index has {end - start} bytes, more than {LIMIT_BYTES}")
        summary = self._read(start, end - start)
        if crc and zlib.crc32(tail[: _FOOTER.size - 4], zlib.crc32(summary)) != crc:
            raise BagError("the checksum of its index does not fit")
        return summary, start

    def _forget(self) -> None:
        for found in (self._schemas, self._channels, self.counts, self._segments):
            found.clear()

    def _scan(self, data_end: int | None = None, listed: Collection[records.ChunkIndex] = ()) -> None:
        """Find channels, counts and segments by reading all records in turn, as far as they are whole.

        Args:
            data_end: Where the data section ends according to the footer, if there is one.
            listed: The index of chunks, if there is one.
        """
        self._forget()
        check = CrossCheck(self._note)
        offset = len(MAGIC)
        run: _Segment | None = None  # of messages outside chunks
        while True:
            head = self._read(offset, _RECORD.size)
            if len(head) < _RECORD.size:
                self._cut(offset)
                break
            opcode, length = _RECORD.unpack(head)
            end = offset + _RECORD.size + length
            if length == _LENGTHS_OF_ENDS.get(opcode):
                self._end_of_data(opcode, offset, end, data_end)
                check.end((chunk.chunk_start_offset, chunk.chunk_length) for chunk in listed)
                break
            if opcode == 0 or length > LIMIT_BYTES or end > self._size:
                self._cut(offset)
                break
            if opcode != Opcode.MESSAGE_INDEX:
                check.end_chunk()
            if opcode == Opcode.MESSAGE:
                run = self._scan_message(offset, end, run)
            elif opcode == Opcode.CHUNK:
                entries = self._scan_chunk(offset, end)
                check.chunk(offset, end - offset, ((entry.channel, entry.stamp_ns) for entry in entries))
            elif opcode == Opcode.MESSAGE_INDEX:
                check.message_index(offset, self._read(offset + _RECORD.size, length))
            else:
                self._scan_other(opcode, offset, end)
            offset = end
        if run is not None:
            self._segments.append(run)
        self.start_ns = min((segment.start_ns for segment in self._segments), default=0)

    def _end_of_data(self, opcode: int, offset: int, end: int, expected: int | None) -> None:
        """Note it if this record is not the end of the data section, or the section is not what it was."""
        if opcode == Opcode.FOOTER:
            self._note(
                f"there is no end of its data before the footer at byte {offset}; messages may be lost"
            )
            return
        if expected is not None and end != expected:
            self._note(f"its data ends at byte {end}, where its footer says {expected}; messages may be lost")
        (crc,) = struct.unpack("<I", self._read(offset + _RECORD.size, 4))
        found = 0
        if crc:
            for at in range(0, offset, _RUN_BYTES):
                found = zlib.crc32(self._read(at, min(_RUN_BYTES, offset - at)), found)
        if found != crc:
            self._note("the checksum of its data does not fit")

    def _cut(self, offset: int) -> None:
        if offset < self._size:
            self._note(f"it breaks off at byte {offset} of {self._size}; what follows is lost")

    def _note(self, damage: str) -> None:
        if damage not in self.damage:
            self.damage.append(damage)

    def _scan_message(self, offset: int, end: int, run: _Segment | None) -> _Segment | None:
        """Return the run with this message in it, or a new one if they do not belong together."""
        if end - offset < _RECORD.size + _MESSAGE.size:
            self._note(f"the message at byte {offset} is too short")
            return run
        channel, _, stamp_ns, _ = _MESSAGE.unpack(self._read(offset + _RECORD.size, _MESSAGE.size))
        if channel in self._channels:
            self._count(self._channels[channel], 1)
        if run is not None and run.offset + run.length == offset and end - run.offset <= _RUN_BYTES:
            return run._replace(length=end - run.offset, start_ns=min(run.start_ns, stamp_ns))
        if run is not None:
            self._segments.append(run)
        return _Segment(offset, end - offset, stamp_ns, False)

    def _scan_other(self, opcode: int, offset: int, end: int) -> None:
        where = f"the record at byte {offset}"
        if opcode == Opcode.ATTACHMENT:
            self._scan_attachment(offset, end)
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA):
            self._learn(opcode, self._read(offset + _RECORD.size, end - offset - _RECORD.size), where)
        elif misplaced(opcode, DATA_SECTION) and not (opcode == Opcode.HEADER and offset == len(MAGIC)):
            self._note(f"{where} has a kind ({opcode}) that belongs elsewhere; it is left out")

    def _scan_attachment(self, offset: int, end: int) -> None:
        at = offset + _RECORD.size + 16  # two times
        for kind in ("<I", "<I", "<Q"):  # name, media type and data, each behind its length
            size = struct.calcsize(kind)
            if at + size <= end:
                at += struct.unpack(kind, self._read(at, size))[0]
            at += size
        if at + 4 > end:  # its checksum
            self._note(f"the attachment at byte {offset} is none; what it was is lost")

    def _scan_chunk(self, offset: int, end: int) -> list[_Entry]:
        number = len(self._segments)
        self._segments.append(_Segment(offset, end - offset, 0, True))
        entries = self._entries(number)
        self._cache.pop(number, None)
        if not entries:
            self._segments.pop()
            return entries
        self._segments[number] = self._segments[number]._replace(start_ns=min(entries).stamp_ns)
        for entry in entries:
            self._count(self._channels[entry.channel], 1)
        return entries

    def _walk(self, number: int, channels: set[int]) -> Iterator[_Entry]:
        # A mark before the messages: the segment is read when its time has come, not when the merge begins.
        yield _Entry(self._segments[number].start_ns, number, -1, -1, 0, 0)
        yield from sorted(entry for entry in self._entries(number) if entry.channel in channels)
        self._cache.pop(number, None)

    def _entries(self, number: int) -> list[_Entry]:
        """Return the messages of a segment in the order of the file, learning the channels on the way."""
        segment = self._segments[number]
        where = f"the {'chunk' if segment.chunk else 'messages'} at byte {segment.offset}"
        entries: list[_Entry] = []
        try:
            data = self._unpack(number)
            for opcode, offset, end in _split(data):
                if misplaced(opcode, IN_CHUNKS):
                    self._note(f"{where}: a record has a kind ({opcode}) that belongs elsewhere")
                    continue
                if opcode != Opcode.MESSAGE:
                    self._learn(opcode, bytes(data[offset:end]), where)
                    continue
                if end - offset < _MESSAGE.size:
                    self._note(f"{where}: a message is too short")
                    continue
                channel, _, stamp_ns, published_ns = _MESSAGE.unpack_from(data, offset)
                if channel not in self._channels or max(stamp_ns, published_ns) >= _STAMP_LIMIT_NS:
                    self._note(f"{where}: a message has no channel or an impossible stamp")
                    continue
                entries.append(_Entry(stamp_ns, number, offset + _MESSAGE.size, end, channel, published_ns))
        except BagError as error:
            self._note(f"{where}: {error}; its messages from there on are lost")
        return entries

    def _unpack(self, number: int) -> memoryview:
        """Return the records of a segment.

        Raises:
            BagError: If it is not what it claims to be.
        """
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        segment = self._segments[number]
        data = memoryview(self._read(segment.offset, segment.length))
        if segment.chunk:
            data = _unpack_chunk(data)
        self._cache[number] = data
        while len(self._cache) > 1 and sum(map(len, self._cache.values())) > CACHE_BYTES:
            self._cache.popitem(last=False)
        return data

    def _learn(self, opcode: int, content: bytes, where: str) -> None:
        try:
            if opcode == Opcode.SCHEMA:
                schema = _parse(records.Schema, content)
                self._schemas[schema.id] = schema.name
            elif opcode == Opcode.CHANNEL:
                channel = _parse(records.Channel, content)
                self._channels.setdefault(channel.id, self._topic(channel))
            elif opcode == Opcode.METADATA:
                _parse(records.Metadata, content)  # nothing is taken from it: what else it was would be lost
        except BagError as error:
            self._note(f"{where}: {error}")

    def _topic(self, channel: records.Channel) -> Topic:
        try:
            offered = qos.parse(channel.metadata.get("offered_qos_profiles"))
        except BagError as error:
            self._note(f"topic {channel.topic}: {error}")
            offered = ()
        kind, type_hash = (
            self._schemas.get(channel.schema_id, ""),
            channel.metadata.get("topic_type_hash", ""),
        )
        endpoint = channel.metadata.get("endpoint", "")
        return Topic(channel.topic, kind, offered, type_hash, channel.message_encoding, endpoint)

    def _count(self, topic: Topic, by: int) -> None:
        self.counts[topic.name] = self.counts.get(topic.name, 0) + by

    def _read(self, offset: int, length: int) -> bytes:
        """Return so many bytes of the file, fewer at its end."""
        try:
            self._file.seek(offset)
            return self._file.read(max(min(length, self._size - offset), 0))
        except (OSError, MemoryError) as error:
            raise BagError(f"{self._path}: {length} bytes at {offset} cannot be read: {error}") from error


def _split(data: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, start and end of each record in a buffer."""
    offset, size = 0, len(data)
    while offset < size:
        if size - offset < _RECORD.size:
            raise BagError(f"a record breaks off at its byte {offset}")
        opcode, length = _RECORD.unpack_from(data, offset)
        offset += _RECORD.size
        if length > size - offset:
            raise BagError(f"a record of {length} bytes breaks off after {size - offset}")
        yield opcode, offset, offset + length
        offset += length


def _parse(kind: type[records.McapRecord], content: bytes) -> Any:
    try:
        return kind.read(ReadDataStream(io.BytesIO(content)))  # type: ignore[attr-defined]
    except (McapError, struct.error, ValueError) as error:
        raise BagError(f"expected a {kind.__name__} record: {error}") from error


def _unpack_chunk(record: memoryview) -> memoryview:
    """Return the records inside a chunk record.

    Raises:
        BagError: If sizes, compression or checksum are not as it says.
    """
    head = _RECORD.size + _CHUNK.size
    if len(record) < head or record[0] != Opcode.CHUNK:
        raise BagError("there is no chunk")
    _, _, size, crc, name_length = _CHUNK.unpack_from(record, _RECORD.size)
    name = bytes(record[head : head + min(name_length, 16)])
    start = head + name_length + 8
    if len(record) < start:
        raise BagError("a chunk is too short")
    (length,) = struct.unpack_from("<Q", record, start - 8)
    if length > len(record) - start or size > LIMIT_BYTES:
        raise BagError(f"a chunk has {length} bytes, {size} unpacked: more than fit")
    packed = record[start : start + length]
    try:
        data = _decompress(name, packed, size)
    except (zstandard.ZstdError, RuntimeError, MemoryError) as error:
        raise BagError(f"a chunk cannot be unpacked: {error}") from error
    if len(data) != size:
        raise BagError(f"a chunk was expected to have {size} bytes unpacked and has {len(data)}")
    if crc and zlib.crc32(data) != crc:
        raise BagError("the checksum of a chunk does not fit")
    return data


def _decompress(name: bytes, packed: memoryview, size: int) -> memoryview:
    if name == b"":
        return packed
    if name == b"zstd":
        claimed = zstandard.get_frame_parameters(packed).content_size
        if claimed not in (size, zstandard.CONTENTSIZE_UNKNOWN):
            raise BagError(f"a chunk was expected to have {size} bytes unpacked and claims {claimed}")
        return memoryview(zstandard.ZstdDecompressor().decompress(packed, max_output_size=size))
    if name == b"lz4":
        return memoryview(lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size))
    raise BagError(f"a chunk is compressed with {name.decode(errors='replace')!r}; expected zstd or lz4")
