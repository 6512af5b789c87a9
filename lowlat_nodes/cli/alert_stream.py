# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets of alerts from any source, and files of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes.alerts.container import SYNC_BYTES, write_header, write_record
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.wire import UnreadablePacket, Wire
from lowlat_nodes.stream.endpoint import PullSource
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Packet

_POLL_S = 0.2
_BATCH = 256


def drain(source: PullSource, most: int, wait_s: float) -> Iterator[list[Packet]]:
    """Yield packets as a source has them, and commit nothing: its place in a stream stays as it is.

    Args:
        source: What to ask; the caller closes it.
        most: How many packets.
        wait_s: Ends it when nothing has come for so long.
    """
    give_up_s = time.monotonic() + wait_s
    while most > 0 and not source.exhausted and time.monotonic() < give_up_s:
        messages = source.poll(min(most, _BATCH), _POLL_S)
        if messages:
            most -= len(messages)
            give_up_s = time.monotonic() + wait_s
            yield [message.payload for message in messages]


class PacketFolder:
    """Keeps packets as files that `lowlat replay` and `lowlat classify` read: 000000.avro, 000001.avro, ...

    A packet whose schema came with it or is known is an Avro container of its own, as ZTF sends it, so that
    the file needs nothing else; one that cannot be read is kept as it is.

    Args:
        folder: Made if it is not there; files of an earlier run stay, and the numbers go on.
        registry: Where schemas are found that packets only name.

    Raises:
        ConfigurationError: If it cannot be written to.
    """

    def __init__(self, folder: Path, registry: SchemaRegistry | None) -> None:
        self._folder = folder
        self._wire = Wire(registry)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot write to {folder}: {error.strerror or error}") from error
        numbers = [int(path.stem) for path in folder.glob("*.avro") if path.stem.isdecimal()]
        self._next = max(numbers, default=-1) + 1

    def add(self, packet: Packet) -> None:
        """Keep a packet.

        Raises:
            OSError: If the disk takes no more.
        """
        try:
            schema, record = self._wire.open(packet)
            data = write_record(write_header(schema.text), bytes(record), os.urandom(SYNC_BYTES))
        except UnreadablePacket:
            data = bytes(packet.data)
        (self._folder / f"{self._next:06d}.avro").write_bytes(data)
        self._next += 1
