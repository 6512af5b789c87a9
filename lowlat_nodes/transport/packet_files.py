# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets of other systems from files, folders and archives, in order and as fast as they are asked for."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace

MAX_BYTES = 1 << 30
"""Of a file or a member of an archive; they are read whole."""

PACKETS = ".avro"
_ARCHIVES = (".tar", ".tar.gz", ".tgz")

_CONTAINER = b"Obj\x01"
_BATCH_BYTES = 32 << 20

Split = Callable[[bytes], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Place:
    """How far files were read.

    Attributes:
        file: The last one of which something was.
        packets: How many of its packets.
    """

    file: str
    packets: int


class PacketFiles:
    """Files as a source of packets that is asked, and exhausted at the end of the last file.

    A file is a packet, as it was on the wire; an Avro container gives one for each of its records, and an
    archive what its members named *.avro give. A container that breaks off gives what could be read, and then
    itself as a packet, for whoever gets it to say what is wrong with it.

    Args:
        paths: Files, folders (whatever is named *.avro, *.tar, *.tar.gz or *.tgz in them, at any depth) and
            patterns with * and ?; each sorted by name.
        clock: Stamps the receipt.
        topic: Of the messages.
        split: Makes containers of one record of a container; without it a container is a packet, too.
        progress: File that keeps how far it was committed, so that the next run goes on there.

    Attributes:
        drops: Files and members that were `unreadable` or `too_large`.
        last_failure: What was wrong with the newest of them.

    Raises:
        ConfigurationError: If there are no files, or the progress is not of these.
    """

    def __init__(
        self,
        paths: Sequence[str],
        clock: Clock,
        *,
        topic: str = "packets",
        split: Split | None = None,
        progress: Path | None = None,
    ) -> None:
        self.drops = Counters()
        self.last_failure = ""
        self._clock = clock
        self._topic = topic
        self._split = split
        self._progress = progress
        files = [file for path in paths for file in _expand(path)]
        if not files:
            raise ConfigurationError("expected at least one file or folder, got none")
        self._place = self._committed = _load(progress)
        if self._committed is not None:
            files = _rest(files, self._committed, progress)
        self._packets = self._read(files)
        self._received = 0
        self._exhausted = False

    def poll(self, most: int, timeout_s: float) -> list[Message]:  # noqa: ARG002 - files never make one wait
        """Return up to `most` packets, or fewer that have 32 MB together; none at the end."""
        messages: list[Message] = []
        size = 0
        while len(messages) < most and size < _BATCH_BYTES:
            found = next(self._packets, None)
            if found is None:
                self._exhausted = True
                break
            self._place, data = found
            packet = Packet(data, origin=f"{self._place.file}#{self._place.packets - 1}")
            trace = Trace(received_ns=self._clock.now_ns())
            messages.append(Message(self._topic, packet, trace, self._received))
            self._received += 1
            size += len(data)
        return messages

    def commit(self) -> None:
        """Note the place in the file of the progress.

        Raises:
            OSError: If the disk does not take it.
        """
        place = self._place
        if self._progress is None or place is None or place == self._committed:
            return
        written = self._progress.with_name(f"{self._progress.name}.new")
        with written.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"file": place.file, "packets": place.packets}) + "\n")
            file.flush()
            os.fsync(file.fileno())  # or a new name could have nothing in it after a power cut
        written.replace(self._progress)
        self._committed = place

    def before_handover(self, settle: Callable[[], None]) -> None:
        """Do nothing: nothing goes to another consumer."""

    @property
    def exhausted(self) -> bool:
        """Return whether the last file has ended."""
        return self._exhausted

    @property
    def lag(self) -> None:
        """Return None: how many packets files have is known when they were read."""
        return

    def close(self) -> None:
        """Close the file in hand."""
        self._packets.close()

    def _read(self, files: Iterable[str]) -> Generator[tuple[Place, bytes], None, None]:
        for file in files:
            skip = self._committed.packets if self._committed and self._committed.file == file else 0
            number = 0
            try:
                for data in self._read_file(file):
                    number += 1
                    if number > skip:
                        yield Place(file, number), data
            except Exception as error:  # a broken archive makes tarfile raise anything; the next files go on
                self._drop("unreadable", f"{file}: {type(error).__name__}: {error}")

    def _read_file(self, file: str) -> Iterator[bytes]:
        if file.endswith(_ARCHIVES):
            yield from self._read_archive(file)
            return
        with Path(file).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            self._drop("too_large", f"{file}: expected at most {MAX_BYTES} bytes")
        else:
            yield from self._open(file, data)

    def _read_archive(self, file: str) -> Iterator[bytes]:
        with tarfile.open(file, "r|*") as archive:
            for member in archive:
                name = f"{file}: {member.name}"
                if not member.isfile() or not member.name.endswith(PACKETS):
                    continue
                if member.size > MAX_BYTES:
                    self._drop("too_large", f"{name}: expected at most {MAX_BYTES} bytes, got {member.size}")
                    continue
                content = archive.extractfile(member)
                assert content is not None  # of a regular file
                yield from self._open(name, content.read())

    def _open(self, name: str, data: bytes) -> Iterator[bytes]:
        """Yield the packets in what was read."""
        if self._split is None or not data.startswith(_CONTAINER):
            yield data
            return
        try:
            yield from self._split(data)
        except LowlatError as error:
            self.last_failure = f"{name}: {error}"
            yield data

    def _drop(self, reason: str, text: str) -> None:
        self.drops.add(reason)
        self.last_failure = text


def _expand(path: str) -> list[str]:
    """Return the files that a path or pattern stands for.

    Raises:
        ConfigurationError: If there are none.
    """
    path = str(Path(path).expanduser())
    if Path(path).is_dir():
        found = sorted(
            str(file)
            for file in Path(path).rglob("*")
            if file.name.endswith((PACKETS, *_ARCHIVES)) and not file.name.startswith(".") and file.is_file()
        )
        if not found:
            raise ConfigurationError(
                f"{path}: expected files {PACKETS}, {', '.join(_ARCHIVES)} in it, got none"
            )
        return found
    if Path(path).is_file():
        return [path]
    anchor = Path(Path(path).anchor)
    matches = sorted(anchor.glob(str(Path(path).relative_to(anchor))))
    found = [file for match in matches if not match.name.startswith(".") for file in _expand(str(match))]
    if not found:
        raise ConfigurationError(f"{path}: expected a file, a folder or a pattern for them; there is none")
    return found


def _load(progress: Path | None) -> Place | None:
    """Return the place in a file of progress; None where there is no such file yet.

    Raises:
        ConfigurationError: If it is something else.
    """
    if progress is None:
        return None
    try:
        fields = json.loads(progress.read_text(encoding="utf-8"))
        place = Place(fields["file"], fields["packets"])
        if type(place.file) is str and type(place.packets) is int and place.packets >= 0:
            return place
        reason = f"got {fields}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise ConfigurationError(f"{progress}: expected the progress of an earlier run; {reason}")


def _rest(files: list[str], place: Place, progress: Path | None) -> list[str]:
    """Return the files that are left.

    Raises:
        ConfigurationError: If the place is in none of them.
    """
    if place.file not in files:
        raise ConfigurationError(
            f"{progress}: was at {place.file}, which is not among the files; remove it to begin anew"
        )
    return files[files.index(place.file) :]
