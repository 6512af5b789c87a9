# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag: a rosbag2 directory or a single file, MCAP or sqlite3, compressed or not, whole or not."""

from __future__ import annotations

import heapq
import itertools
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import zstandard

from lowlat_nodes.transport.bag import metadata
from lowlat_nodes.transport.bag.errors import BagError
from lowlat_nodes.transport.bag.mcap_file import McapFile
from lowlat_nodes.transport.bag.metadata import FileEntry, Metadata
from lowlat_nodes.transport.bag.record import Recorded, Storage, Topic
from lowlat_nodes.transport.bag.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from typing_extensions import Self

STORAGES = {".mcap": "mcap", ".db3": "sqlite3"}
COMPRESSED = (".zstd", ".zst")
_MESSAGE_LIMIT_BYTES = 1 << 30
"""The largest message, unpacked, that is read."""

_Step = tuple[int, int, int, Recorded | None]  # stamp, file, place in it: what a merge sorts by


class BagReader:
    """Yields the messages of a bag in time order; memory is bounded whatever the size of the bag.

    A bag that is damaged is read as far as it goes: `damage` says what is missing and why. What was read is
    counted and compared with the bag's own counts, so that no message is lost without a word, unless nothing
    in the bag tells of it (see `McapFile`).

    Attributes:
        path: The directory or file.
        topics: What was recorded.
        counts: Messages by topic as the bag says: by `metadata.yaml`, or else by the index of its files.
        read: Messages by topic that `messages` has yielded so far.
        damage: One sentence for everything that could not be read so far.

    Raises:
        BagError: If there is no bag, a file of it is missing, or none of it can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damage: list[str] = []
        self.read: dict[str, int] = {}
        self._kept: Storage | None = None  # a lone file stays open: to unpack or to scan it may take long
        if self.path.is_dir():
            self._folder = self.path
            self._metadata = self._of_directory()
        elif self.path.is_file():
            self._folder = self.path.parent
            self._metadata = self._of_files([self.path])
        else:
            raise BagError(f"{self.path}: expected a rosbag2 directory or a file of one; there is none")
        self.topics = self._metadata.topics
        self.counts = dict(self._metadata.counts)

    @property
    def count(self) -> int:
        """Return how many messages the bag says it has."""
        return sum(self.counts.values())

    @property
    def start_ns(self) -> int:
        """Return the stamp of the first message, as the bag says."""
        return self._metadata.start_ns

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Recorded]:
        """Yield the messages of these topics (None: of all) in the order of their stamps.

        Equal stamps come in the order of the file. It may be called again for another pass.
        """
        chosen = [topic.name for topic in self.topics if topics is None or topic.name in topics]
        self.read = dict.fromkeys(chosen, 0)
        files = self._metadata.files
        walks = (self._walk(number, topics) for number in range(len(files)))
        # Without their start times (before version 5) files follow each other, as rosbag2 reads them.
        ordered = all(entry.start_ns is not None for entry in files)
        for _, _, _, message in heapq.merge(*walks) if ordered else itertools.chain.from_iterable(walks):
            if message is not None:
                self.read[message.topic] = self.read.get(message.topic, 0) + 1
                yield message
        self._account()

    def close(self) -> None:
        """Release the bag."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _of_directory(self) -> Metadata:
        path = self.path / metadata.NAME
        if not path.is_file():
            files = sorted(item for item in self.path.iterdir() if _suffix(item) in STORAGES)
            if not files:
                raise BagError(f"{self.path}: expected {metadata.NAME} or bag files in it; there is neither")
            self._note(f"there is no {metadata.NAME}: the recorder did not stop properly")
            return self._of_files(files)
        found = metadata.read(path)
        if missing := [entry.name for entry in found.files if not (self.path / entry.name).is_file()]:
            raise BagError(f"{self.path}: expected the files {', '.join(missing)} that {metadata.NAME} lists")
        if not found.files:
            raise BagError(f"{path}: expected at least one file in relative_file_paths")
        if len(found.files) == 1:
            self._kept = self._opened(found.files[0].name, found.storage)
        return found

    def _of_files(self, paths: list[Path]) -> Metadata:
        """Return what the files themselves say."""
        entries: list[FileEntry] = []
        topics: dict[tuple[str, str], Topic] = {}
        counts: dict[str, int] = {}
        kind = STORAGES.get(_suffix(paths[0]), "")
        for path in paths:
            try:
                storage = self._opened(path.name, STORAGES.get(_suffix(path), ""))
            except BagError as error:
                self._note(str(error))
                continue
            entries.append(FileEntry(path.name, storage.start_ns))
            for topic in storage.topics:
                topics.setdefault((topic.name, topic.type), topic)
                counts.setdefault(topic.name, 0)
            for name, count in storage.counts.items():
                counts[name] += count
            if len(paths) == 1:
                self._kept = storage
            else:
                storage.close()
        if not entries:
            raise BagError("; ".join(self.damage))
        start_ns = min(entry.start_ns or 0 for entry in entries)
        return Metadata(kind, tuple(entries), tuple(topics.values()), counts, "", start_ns)

    def _walk(self, number: int, topics: Collection[str] | None) -> Iterator[_Step]:
        entry = self._metadata.files[number]
        # A mark before the messages: a file is opened when its time has come, and closed when it is read.
        yield entry.start_ns or 0, number, -1, None
        try:
            storage = self._kept or self._opened(entry.name, self._metadata.storage)
        except BagError as error:
            self._note(str(error))
            return
        with nullcontext() if storage is self._kept else closing(storage):
            for index, message in enumerate(storage.messages(topics)):
                unpacked = self._unpacked(message) if self._metadata.compression == "message" else message
                if unpacked is not None:
                    yield message.stamp_ns, number, index, unpacked
            self._note(*(f"{entry.name}: {text}" for text in storage.damage))

    def _opened(self, name: str, kind: str) -> Storage:
        storage = _open_file(self._folder / name, kind)
        self._note(*(f"{name}: {text}" for text in storage.damage))
        return storage

    def _unpacked(self, message: Recorded) -> Recorded | None:
        try:
            return message._replace(data=_unpack(message.data))
        except (BagError, zstandard.ZstdError, MemoryError) as error:
            self._note(f"{message.topic}: a message cannot be unpacked: {error}")
            return None

    def _account(self) -> None:
        """Compare what was read with what the bag says it has."""
        for name, read in self.read.items():
            if read != (expected := self.counts.get(name, 0)):
                self._note(f"{name}: expected {expected} messages, {read} could be read")

    def _note(self, *damage: str) -> None:
        self.damage.extend(text for text in damage if text not in self.damage)


def _open_file(path: Path, kind: str) -> Storage:
    """Open one file of a bag, unpacked where it is compressed as a whole.

    Args:
        path: The file.
        kind: `mcap` or `sqlite3`.

    Raises:
        BagError: If it is of another kind, or none of it can be read.
    """
    if path.suffix in COMPRESSED:
        # Linux keeps the file until it is closed, whatever becomes of its name.
        with tempfile.TemporaryDirectory(prefix="lowlat_bag_") as folder:
            return _open_file(_unpack_file(path, Path(folder) / path.stem), kind)
    if kind == "mcap":
        return McapFile(path)
    if kind == "sqlite3":
        return SqliteFile(path)
    names = ", ".join(f"*{suffix}" for suffix in STORAGES)
    raise BagError(f"{path}: expected a bag file: {names}, or one of these compressed (.zstd)")


def _suffix(path: Path) -> str:
    """Return the suffix that tells the kind of file, without that of a compression."""
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


def _unpack_file(path: Path, target: Path) -> Path:
    try:
        with path.open("rb") as source, target.open("wb") as unpacked:
            zstandard.ZstdDecompressor().copy_stream(source, unpacked)
    except (OSError, zstandard.ZstdError, MemoryError) as error:
        raise BagError(f"{path}: cannot be unpacked: {error}") from error
    return target


def _unpack(data: bytes) -> bytes:
    size: int = zstandard.get_frame_parameters(data).content_size
    if size == zstandard.CONTENTSIZE_UNKNOWN:
        size = _MESSAGE_LIMIT_BYTES
    if size > _MESSAGE_LIMIT_BYTES:
        raise BagError(f"it claims {size} bytes, more than {_MESSAGE_LIMIT_BYTES}")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
