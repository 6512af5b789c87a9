# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Dead letters as files, where there is no broker to keep them."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message

PACKET, REASON = ".packet", ".json"


class DeadLetterFiles:
    """Writes each dead letter as two files of one name, which begins with the time in ns.

    `.packet` has the bytes as they came, `.json` the reason, where it came from, when, and its key as
    hexadecimal digits. The reason is written last: where it is, the packet is whole.

    Args:
        folder: Where they go; made if it is not there.
        most: Packets that are kept; the oldest go. Each of several processes that share a folder counts those
            that were there and its own.

    Raises:
        ConfigurationError: If the folder cannot be written.
    """

    def __init__(self, folder: Path, *, most: int = 1000) -> None:
        self._folder = folder
        self._most = most
        self._written = 0
        self._unsafe: list[Path] = []  # not on the disk yet
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._names = deque(sorted(path.stem for path in folder.glob(f"*{REASON}")))
        except OSError as error:
            raise ConfigurationError(f"cannot write to {folder}: {error.strerror or error}") from error
        if not os.access(folder, os.W_OK):
            raise ConfigurationError(f"cannot write to {folder}: permission denied")

    def write(self, message: Message) -> None:
        """Write a dead letter.

        Raises:
            OSError: If the disk does not take it.
        """
        letter, received_ns = message.payload, message.trace.received_ns
        name = f"{received_ns:019d}-{os.getpid()}-{self._written:06d}"
        (self._folder / f"{name}{PACKET}").write_bytes(letter.packet.data)
        said = {
            "reason": letter.reason,
            "origin": letter.packet.origin,
            "received_ns": received_ns,
            "key": letter.packet.key.hex(),
        }
        (self._folder / f"{name}{REASON}").write_text(json.dumps(said) + "\n", encoding="utf-8")
        self._unsafe += [self._folder / f"{name}{suffix}" for suffix in (PACKET, REASON)]
        self._written += 1
        self._names.append(name)
        while len(self._names) > self._most:
            oldest = self._names.popleft()
            for suffix in (REASON, PACKET):
                (self._folder / f"{oldest}{suffix}").unlink(missing_ok=True)

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 # a disk cannot be waited for in part
        """Wait until all that was written is on the disk.

        Raises:
            OSError: If the disk does not take it.
        """
        if not self._unsafe:
            return
        for path in (*self._unsafe, self._folder):
            with contextlib.suppress(FileNotFoundError):  # more came than are kept
                file = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)
        self._unsafe.clear()

    def close(self) -> None:
        """Leave the files."""
