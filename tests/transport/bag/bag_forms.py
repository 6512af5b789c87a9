# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Small bags, made in every form that a recorder leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcap.writer import CompressionType, IndexType, Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsWriter

from lowlat_nodes.stream.payload import Text
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagWriter, MessageTypes, Recorded

STRING = "std_msgs/msg/String"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 10_000_000

Bag = list[Recorded]


def text(topic: str, stamp_ns: int, words: str) -> Recorded:
    """A recorded std_msgs/String."""
    return Recorded(topic, STRING, stamp_ns, cdr.encode(STRING, 0, "", Text(words)), stamp_ns)


def _ours(path: Path, messages: Bag) -> None:
    with BagWriter(path, chunk_bytes=200) as writer:
        for message in messages:
            writer.write(*message)


def _our_file(path: Path, messages: Bag) -> None:
    _ours(path.with_suffix(".mcap"), messages)


def _split(path: Path, messages: Bag) -> None:
    with BagWriter(path, chunk_bytes=200, max_file_bytes=1000) as writer:
        for message in messages:
            writer.write(*message)


def _compressed(name: str) -> Callable[[Path, Bag], None]:
    def write(path: Path, messages: Bag) -> None:
        with BagWriter(path, chunk_bytes=200, compression=name) as writer:
            for message in messages:
                writer.write(*message)

    return write


def _rosbags(plugin: StoragePlugin, mode: CompressionMode) -> Callable[[Path, Bag], None]:
    def write(path: Path, messages: Bag) -> None:
        definition, type_hash = MessageTypes().definition(STRING)
        writer = RosbagsWriter(path, version=9, storage_plugin=plugin)
        writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            topics = dict.fromkeys(message.topic for message in messages)
            for topic in topics:
                topics[topic] = writer.add_connection(topic, STRING, msgdef=definition, rihs01=type_hash)
            for message in messages:
                writer.write(topics[message.topic], message.stamp_ns, message.data)

    return write


def _plain_mcap(**options: object) -> Callable[[Path, Bag], None]:
    """The `mcap` library's own writer: what `options` leave out of a file, others leave out too."""

    def write(path: Path, messages: Bag) -> None:
        with path.with_suffix(".mcap").open("wb") as file:
            writer = Writer(file, compression=CompressionType.NONE, **options)
            writer.start("ros2", "test")
            schema = writer.register_schema(STRING, "ros2msg", b"string data\n")
            channels: dict[str, int] = {}
            for message in messages:
                if message.topic not in channels:
                    channels[message.topic] = writer.register_channel(message.topic, "cdr", schema)
                channel = channels[message.topic]
                writer.add_message(channel, message.stamp_ns, message.data, message.published_ns)
            writer.add_attachment(START_NS, START_NS, "notes.txt", "text/plain", b"no reader needs it")
            writer.add_metadata("notes", {"needed": "no"})
            writer.finish()

    return write


_BARE = {
    "repeat_channels": False, "repeat_schemas": False, "use_statistics": False, "use_summary_offsets": False,
    "index_types": IndexType.NONE,
}  # fmt: skip


def write(form: str, path: Path, messages: Bag) -> Path:
    """Write messages in one of the forms below and return where they are."""
    FORMS[form](path, messages)
    return path if path.exists() else path.with_suffix(".mcap")


FORMS: dict[str, Callable[[Path, Bag], None]] = {
    "ours": _ours,
    "our_file": _our_file,
    "split": _split,
    "lz4": _compressed("lz4"),
    "zstd": _compressed("zstd"),
    "rosbags_mcap": _rosbags(StoragePlugin.MCAP, CompressionMode.NONE),
    "rosbags_mcap_file": _rosbags(StoragePlugin.MCAP, CompressionMode.FILE),
    "rosbags_mcap_message": _rosbags(StoragePlugin.MCAP, CompressionMode.MESSAGE),
    "rosbags_mcap_storage": _rosbags(StoragePlugin.MCAP, CompressionMode.STORAGE),
    "rosbags_sqlite3": _rosbags(StoragePlugin.SQLITE3, CompressionMode.NONE),
    "rosbags_sqlite3_file": _rosbags(StoragePlugin.SQLITE3, CompressionMode.FILE),
    "rosbags_sqlite3_message": _rosbags(StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    "no_chunks": _plain_mcap(use_chunking=False),
    "no_summary": _plain_mcap(
        chunk_size=200, repeat_channels=False, repeat_schemas=False, use_statistics=False,
        use_summary_offsets=False,
    ),
    "no_channels_in_summary": _plain_mcap(chunk_size=200, repeat_channels=False, repeat_schemas=False),
    "no_message_index": _plain_mcap(
        chunk_size=200, repeat_channels=False, index_types=IndexType.CHUNK | IndexType.METADATA
    ),
    "small_chunks": _plain_mcap(chunk_size=200),
    "only_message_index": _plain_mcap(**{**_BARE, "index_types": IndexType.MESSAGE}, chunk_size=200),
    "only_data_checksum": _plain_mcap(**_BARE, use_chunking=False, enable_data_crcs=True),
    "bare_chunks": _plain_mcap(**_BARE, chunk_size=200),
    "bare": _plain_mcap(**_BARE, use_chunking=False),
}  # fmt: skip
