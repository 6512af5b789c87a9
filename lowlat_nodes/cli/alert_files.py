# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded alerts in files and folders, packet by packet."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

from lowlat_nodes.alerts.container import MAGIC, split
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.payload import Packet

SUFFIXES = (".avro",)


def alert_files(paths: Sequence[Path], suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return files, and those with one of the suffixes in folders, at any depth, sorted by name.

    Raises:
        ConfigurationError: If something is not there, or a folder holds nothing of the kind.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            within = sorted(
                file
                for file in path.rglob("*")
                if file.suffix in suffixes and file.is_file() and not file.name.startswith(".")
            )
            if not within:
                raise ConfigurationError(
                    f"{path}: expected a folder with files {', '.join(suffixes)}; it has none"
                )
            found += within
        elif path.is_file():
            found.append(path)
        else:
            raise ConfigurationError(f"{path}: expected a file or a folder; there is none")
    return found


def packets(path: Path) -> Iterator[Packet | str]:
    """Yield the packets in a file, or why the rest of it cannot be read.

    An Avro container gives a packet for each of its records; any other file is one packet, as it was on the
    wire.

    Args:
        path: The file.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                yield "expected packets; the file is empty"
                return
            if file.read(len(MAGIC)) != MAGIC:
                file.seek(0)
                yield Packet(file.read())
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole, memoryview(whole) as data:
                for container in split(data):
                    yield Packet(container)
    except LowlatError as error:
        yield str(error)
    except OSError as error:
        yield f"{error.strerror or error}"
