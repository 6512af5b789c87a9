# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`metadata.yaml` of a rosbag2 directory: versions 1 to 9 are read, version 8 is written.

rosbag2 plays a bag only if all topics that it lists are serialised alike, and reads past messages of topics
that it does not list. So topics of ZeroMQ are listed in the custom data, which rosbag2 leaves alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from lowlat_nodes.transport.bag import qos, yamltext
from lowlat_nodes.transport.bag.errors import BagError
from lowlat_nodes.transport.bag.framing import ENCODING
from lowlat_nodes.transport.bag.record import CDR, Topic

NAME = "metadata.yaml"

# The newest version that Humble reads; version 9 changed how QoS is written and says nothing more.
_VERSION_WRITTEN = 8
_VERSION_NEWEST = 9

STORAGES = ("mcap", "sqlite3")
_ROOT = "rosbag2_bagfile_information"
_CUSTOM = "lowlat_topics"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a bag.

    Attributes:
        name: Its name within the bag's directory.
        start_ns: Stamp of its first message; None where not kept (before version 5).
        duration_ns: From its first to its last message.
        count: Its number of messages of topics that rosbag2 is told of.
    """

    name: str
    start_ns: int | None = None
    duration_ns: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What `metadata.yaml` says.

    Attributes:
        storage: `mcap` or `sqlite3`.
        files: The files in the order of recording.
        topics: The topics; one name may occur with several types.
        counts: Messages by topic name.
        compression: Of whole files (`file`), of single messages (`message`), or empty.
        start_ns: Stamp of the first message.
        duration_ns: From the first to the last message.
    """

    storage: str
    files: tuple[FileEntry, ...]
    topics: tuple[Topic, ...]
    counts: Mapping[str, int]
    compression: str = ""
    start_ns: int = 0
    duration_ns: int = 0

    @property
    def count(self) -> int:
        """Return the number of messages."""
        return sum(self.counts.values())


def read(path: Path) -> Metadata:
    """Read a `metadata.yaml`.

    Raises:
        BagError: If it is not one, or of a kind that we cannot read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(yamltext.LIMIT_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BagError(f"{path}: expected the metadata of a bag: {error}") from error
    return parse(yamltext.load(text, str(path)), str(path))


def parse(document: Any, where: str) -> Metadata:
    """Return the metadata in a loaded document.

    Raises:
        BagError: If something is missing, of a wrong type or of a kind that we cannot read.
    """
    try:
        info = document[_ROOT]
        version = int(info["version"])
        storage = str(info["storage_identifier"])
        mode = str(info.get("compression_mode") or "").lower()
        compression = str(info.get("compression_format") or "").lower()
        entries = [*(info["topics_with_message_count"] or []), *_framed(info.get("custom_data"))]
        counts: dict[str, int] = {}
        for entry in entries:
            name = str(entry["topic_metadata"]["name"])
            counts[name] = counts.get(name, 0) + int(entry["message_count"])
        metadata = Metadata(
            storage,
            _files(info),
            tuple(_topic(entry["topic_metadata"]) for entry in entries),
            counts,
            "" if mode == "none" else mode,
            int(info["starting_time"]["nanoseconds_since_epoch"]),
            int(info["duration"]["nanoseconds"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BagError(
            f"{where}: expected the metadata of a rosbag2 bag: {type(error).__name__}: {error}"
        ) from error
    if version > _VERSION_NEWEST:
        raise BagError(
            f"{where}: expected version {_VERSION_NEWEST} or older, got {version}; convert the bag"
        )
    if storage not in STORAGES:
        raise BagError(f"{where}: expected storage {' or '.join(STORAGES)}, got {storage!r}; convert the bag")
    if metadata.compression not in ("", "file", "message"):
        raise BagError(f"{where}: expected compression by file or message, got {metadata.compression!r}")
    if metadata.compression and compression != "zstd":
        raise BagError(f"{where}: expected compression zstd, got {compression!r}; convert the bag")
    return metadata


def dump(metadata: Metadata) -> str:
    """Write the text of a `metadata.yaml`; the same metadata always gives the same text."""
    return str(yaml.safe_dump({_ROOT: fields(metadata)}, sort_keys=False))


def fields(metadata: Metadata) -> dict[str, Any]:
    """Return what `metadata.yaml` and the `rosbag2` record of an MCAP file both hold."""
    listed = [topic for topic in metadata.topics if not topic.framed]
    framed = [topic for topic in metadata.topics if topic.framed]
    return {
        "version": _VERSION_WRITTEN,
        "storage_identifier": metadata.storage,
        "duration": {"nanoseconds": metadata.duration_ns},
        "starting_time": {"nanoseconds_since_epoch": metadata.start_ns},
        "message_count": sum(metadata.counts[topic.name] for topic in listed),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": topic.encoding,
                    "offered_qos_profiles": qos.dump(topic.qos),
                    "type_description_hash": topic.type_hash,
                },
                "message_count": metadata.counts[topic.name],
            }
            for topic in listed
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file.name for file in metadata.files],
        "files": [
            {
                "path": file.name,
                "starting_time": {"nanoseconds_since_epoch": file.start_ns or 0},
                "duration": {"nanoseconds": file.duration_ns},
                "message_count": file.count,
            }
            for file in metadata.files
        ],
        "custom_data": {_CUSTOM: _framed_text(framed, metadata.counts)} if framed else {},
        "ros_distro": "",
    }


def _files(info: Mapping[str, Any]) -> tuple[FileEntry, ...]:
    # Only the last part: before version 4 paths began with the bag's directory, and none may lead out of it.
    names = [PurePosixPath(str(path)).name for path in info["relative_file_paths"]]
    details: Sequence[Mapping[str, Any]] = info.get("files") or []
    if len(details) != len(names):
        return tuple(FileEntry(name) for name in names)
    return tuple(
        FileEntry(
            name,
            int(detail["starting_time"]["nanoseconds_since_epoch"]),
            int(detail["duration"]["nanoseconds"]),
            int(detail["message_count"]),
        )
        for name, detail in zip(names, details, strict=True)
    )


def _topic(entry: Mapping[str, Any]) -> Topic:
    return Topic(
        str(entry["name"]),
        str(entry["type"]),
        qos.parse(entry.get("offered_qos_profiles")),
        str(entry.get("type_description_hash") or ""),
        str(entry.get("serialization_format") or CDR),
        str(entry.get("endpoint") or ""),
    )


def _framed_text(topics: Sequence[Topic], counts: Mapping[str, int]) -> str:
    """Return topics of ZeroMQ as text: rosbag2 keeps nothing else in custom data."""
    entries = [
        {"name": topic.name, "type": topic.type, "endpoint": topic.endpoint, "count": counts[topic.name]}
        for topic in topics
    ]
    return json.dumps(entries)


def _framed(custom: Any) -> list[dict[str, Any]]:
    """Return topics of ZeroMQ in the form of the others."""
    text = custom.get(_CUSTOM) if isinstance(custom, dict) else None
    return [
        {
            "topic_metadata": {**entry, "serialization_format": ENCODING},
            "message_count": entry["count"],
        }
        for entry in json.loads(text or "[]")
    ]
