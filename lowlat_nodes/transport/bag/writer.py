# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes bags as MCAP: the same messages give the same bytes, and a kill costs at most the last chunk.

The `mcap` library writes the records rather than `rosbags`, because it keeps two stamps (received and sent),
puts a checksum on each chunk, writes a file without a directory around it, and can be told when a chunk ends.
Nothing in a file depends on the hour, its name, the machine or the version of a library, unless chunks are
compressed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import yaml
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer

from lowlat_nodes.transport.bag import metadata, qos
from lowlat_nodes.transport.bag.errors import BagError, DiskError
from lowlat_nodes.transport.bag.metadata import FileEntry, Metadata
from lowlat_nodes.transport.bag.record import CDR, Topic
from lowlat_nodes.transport.bag.types import MessageTypes

if TYPE_CHECKING:
    from typing_extensions import Self

SUFFIX = ".mcap"
CHUNK_BYTES = 1 << 20
COMPRESSIONS: Mapping[str, CompressionType] = {
    "none": CompressionType.NONE,
    "lz4": CompressionType.LZ4,
    "zstd": CompressionType.ZSTD,
}

_LIBRARY = "lowlat_nodes"  # no version: bags are compared byte by byte
_FORMAT = (
    "u32 little-endian: count of frames, length of each; then the frames of a ZeroMQ message: topic (UTF-8), "
    "header (msgpack map, which describes the rest), arrays. See stream_protocol.md of lowlat_nodes."
)
"""What a file says of our frames; in the channel, as tools refuse schemas in an encoding not theirs."""
_RECORD_BYTES = 31  # opcode, length, and a message's own head


class BagWriter:
    """Writes a new bag.

    A path that ends in `.mcap` gives that one file. Any other path gives a rosbag2 directory with a
    `metadata.yaml`. Both are read by `ros2 bag`.

    Args:
        path: Where the bag is to be; nothing may be there yet.
        compression: `none`, `lz4` or `zstd`, of the chunks.
        max_file_bytes: A directory gets a new file when one has grown to this; 0 keeps to one file.
        chunk_bytes: A chunk ends when it has grown to this.

    Raises:
        BagError: If something is there already, or nothing can be written there.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        compression: str = "none",
        max_file_bytes: int = 0,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._single = self.path.suffix == SUFFIX
        if compression not in COMPRESSIONS:
            raise BagError(f"expected compression {', '.join(COMPRESSIONS)}; got {compression!r}")
        if max_file_bytes and self._single:
            raise BagError(
                f"{self.path}: expected a directory to split a bag into files; got a {SUFFIX} file"
            )
        self._compression = COMPRESSIONS[compression]
        self._max_file_bytes = max_file_bytes
        self._chunk_bytes = chunk_bytes
        self._types = MessageTypes()
        self._topics: dict[str, Topic] = {}
        self._definitions: dict[str, str] = {}
        self._files: list[_File] = []
        self._finished_bytes = 0
        self._closed = False
        with self._disk():
            if self._single:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            else:
                self.path.mkdir(parents=True)
            self._begin_file()

    @property
    def size(self) -> int:
        """Return how many bytes were handed to the operating system."""
        return self._finished_bytes + (0 if self._closed else self._files[-1].size)

    def declare(self, topic: Topic) -> None:
        """Add a topic; one that is written to without it is added with its type alone.

        Raises:
            BagError: If it is there with another type.
        """
        known = self._topics.get(topic.name)
        if known is not None:
            if known.type != topic.type:
                raise BagError(f"{topic.name}: expected messages of type {known.type}, got {topic.type}")
            return
        text, type_hash = self._types.definition(topic.type) if topic.type in self._types else ("", "")
        self._topics[topic.name] = replace(topic, type_hash=topic.type_hash or type_hash)
        self._definitions[topic.type] = text
        self.counts[topic.name] = 0
        self._files[-1].channel(self._topics[topic.name], text)

    def write(self, topic: str, type_name: str, stamp_ns: int, data: bytes, published_ns: int = 0) -> None:
        """Add a message.

        Args:
            topic: Absolute name.
            type_name: As in `std_msgs/msg/String`.
            stamp_ns: The time of the bag, when it was received.
            data: The serialised message with its encapsulation header.
            published_ns: When it was sent; 0 takes `stamp_ns`.

        Raises:
            BagError: For another type than the topic's, a negative stamp, or if the disk takes no more.
        """
        known = self._topics.get(topic)
        if known is None or known.type != type_name:
            self.declare(Topic(topic, type_name))
            known = self._topics[topic]
        if not 0 <= stamp_ns < 1 << 63:
            raise BagError(f"{topic}: expected a stamp from 0 to 2^63-1 ns, got {stamp_ns}")
        file = self._files[-1]
        with self._disk():
            file.write(known, self._definitions[type_name], stamp_ns, data, published_ns or stamp_ns)
        self.counts[topic] += 1
        if file.pending_bytes >= self._chunk_bytes:
            self.flush()

    def flush(self) -> None:
        """End the chunk and hand everything to the operating system, from where a kill cannot take it.

        Raises:
            BagError: If the disk takes no more.
        """
        file = self._files[-1]
        with self._disk():
            file.flush()
            if self._max_file_bytes and file.size >= self._max_file_bytes:
                self._finish(file)
                self._begin_file()

    def close(self) -> None:
        """Write the index and, in a directory, `metadata.yaml`.

        Raises:
            BagError: If the disk takes no more.
        """
        if self._closed:
            return
        self._closed = True
        with self._disk():
            self._finish(self._files[-1])
            if not self._single:
                text = metadata.dump(self._metadata(self._files))
                (self.path / metadata.NAME).write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begin_file(self) -> None:
        # Named as rosbag2 names them.
        path = self.path if self._single else self.path / f"{self.path.name}_{len(self._files)}{SUFFIX}"
        self._files.append(_File(path, self._compression))

    def _finish(self, file: _File) -> None:
        self._finished_bytes += file.finish(self._metadata([file]))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise DiskError(f"{error.filename}: exists already; choose another name or remove it") from None
        except OSError as error:
            raise DiskError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def _metadata(self, files: list[_File]) -> Metadata:
        counts = {name: sum(file.counts.get(name, 0) for file in files) for name in self._topics}
        started = [file for file in files if file.count]
        start_ns = min((file.start_ns for file in started), default=0)
        end_ns = max((file.end_ns for file in started), default=0)
        return Metadata(
            "mcap",
            tuple(
                FileEntry(file.path.name, file.start_ns, file.end_ns - file.start_ns, self._listed(file))
                for file in files
            ),
            tuple(self._topics.values()),
            counts,
            "",
            start_ns,
            end_ns - start_ns,
        )

    def _listed(self, file: _File) -> int:
        return sum(count for name, count in file.counts.items() if not self._topics[name].framed)


class _File:
    """One MCAP file that is being written."""

    def __init__(self, path: Path, compression: CompressionType) -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self.start_ns = 0
        self.end_ns = 0
        self.pending_bytes = 0
        self._stream: BufferedWriter = path.open("xb")
        # Chunks end when we say so: the library's own limit is out of reach.
        self._writer = Writer(self._stream, chunk_size=1 << 62, compression=compression)
        self._writer.start(profile="ros2", library=_LIBRARY)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def size(self) -> int:
        return self._stream.tell()

    def channel(self, topic: Topic, definition: str) -> int:
        """Return the channel of a topic, made when it is first asked for."""
        if topic.name not in self._channels:
            if topic.type not in self._schemas:
                encoding = SchemaEncoding.ROS2 if definition else SchemaEncoding.SelfDescribing
                self._schemas[topic.type] = self._writer.register_schema(
                    topic.type, encoding, definition.encode()
                )
            self._channels[topic.name] = self._writer.register_channel(
                topic.name,
                MessageEncoding.CDR if topic.encoding == CDR else topic.encoding,
                self._schemas[topic.type],
                _channel_metadata(topic),
            )
        return self._channels[topic.name]

    def write(self, topic: Topic, definition: str, stamp_ns: int, data: bytes, published_ns: int) -> None:
        channel = self.channel(topic, definition)
        self._writer.add_message(channel, stamp_ns, data, published_ns)
        self.start_ns = min(self.start_ns, stamp_ns) if self.counts else stamp_ns
        self.end_ns = max(self.end_ns, stamp_ns)
        self.counts[topic.name] = self.counts.get(topic.name, 0) + 1
        self.pending_bytes += _RECORD_BYTES + len(data)

    def flush(self) -> None:
        self._writer.flush()  # type: ignore[no-untyped-call]
        self.pending_bytes = 0

    def finish(self, found: Metadata) -> int:
        """Write the index and close; return the size."""
        try:
            # Without file names: rosbag2 fills in the one it reads, and a renamed file stays as it is.
            text = yaml.safe_dump(metadata.fields(replace(found, files=())), sort_keys=False)
            self._writer.flush()  # type: ignore[no-untyped-call]
            self._writer.add_metadata("rosbag2", {"serialized_metadata": text})
            self._writer.finish()  # type: ignore[no-untyped-call]
            return self.size
        finally:
            self._stream.close()


def _channel_metadata(topic: Topic) -> dict[str, str]:
    if topic.framed:
        return {"endpoint": topic.endpoint, "format": _FORMAT}
    return {"offered_qos_profiles": qos.dump(topic.qos), "topic_type_hash": topic.type_hash}
