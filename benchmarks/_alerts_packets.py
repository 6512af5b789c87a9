# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets to measure with: each alert in a container of its own, and as many different ones as needed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.alerts.avro.writer import write_long

_MAGIC = b"Obj\x01"


@dataclass(frozen=True)
class Recorded:
    """An alert as it was recorded.

    Attributes:
        data: An Avro container with one record.
        alert_id: Its number, which a result names.
    """

    data: bytes
    alert_id: int

    def numbered(self, alert_id: int) -> bytes:
        """Return the packet with another number of as many bytes, wherever it has it."""
        old, new = zigzag(self.alert_id), zigzag(alert_id)
        if len(old) != len(new):
            raise ValueError(f"expected a number of {len(old)} bytes, got {alert_id} of {len(new)}")
        return self.data.replace(old, new)


def zigzag(value: int) -> bytes:
    """Return a number as Avro writes a long."""
    out = bytearray()
    write_long(out, value)
    return bytes(out)


def ztf_packets(folder: Path) -> list[Recorded]:
    """Return all recorded alerts of ZTF below a folder, byte by byte as they are in its files.

    Without any, simulated ones take their place, with cutouts as large as those of ZTF.
    """
    recorded = [
        Recorded(data, alert["candid"])
        for path in sorted((folder / "alerts" / "ztf").rglob("*.avro"))
        for data, alert in split(path.read_bytes())
    ]
    return recorded or _simulated()


def is_recorded(folder: Path) -> bool:
    """Return whether there are recorded alerts of ZTF below a folder."""
    return any((folder / "alerts" / "ztf").rglob("*.avro"))


def _simulated(count: int = 64) -> list[Recorded]:
    from lowlat_nodes.sim import alert_packets
    from lowlat_nodes.sim.sky.population import generate

    curves, _, _ = generate(count, 0, survey_shares={"ztf": 1.0})
    curves.alert_id = curves.alert_id + (1 << 59)
    packets = alert_packets.ztf_packets(curves)
    return [
        Recorded(bytes(packet.data), number)
        for packet, number in zip(packets, curves.alert_id.tolist(), strict=True)
    ]


def longest_rubin_packet(folder: Path) -> tuple[bytes, int]:
    """Return Rubin's alert of 345 sources and 395 forced ones in a container, and the number of both."""
    alerts = split((folder / "alerts" / "lsst" / "fink_part-2.avro").read_bytes())
    data, alert = next(iter(alerts))
    return data, len(alert["prvDiaSources"]) + len(alert["prvDiaForcedSources"])


def split(container: bytes) -> Iterator[tuple[bytes, dict]]:
    """Yield each record of a container without compression as a container of its own, with what it says."""
    import fastavro

    file = io.BytesIO(container)
    reader = fastavro.reader(file)
    if reader.codec != "null":
        raise ValueError(f"expected a container without compression, got {reader.codec}")
    head_end = _header_end(container)
    header, sync = container[:head_end], container[head_end - 16 : head_end]
    schema = fastavro.parse_schema(reader.writer_schema)
    place = io.BytesIO(container)
    place.seek(head_end)
    while place.tell() < len(container):
        count, _size = (fastavro.schemaless_reader(place, "long", None) for _ in range(2))
        for _ in range(count):
            start = place.tell()
            alert = fastavro.schemaless_reader(place, schema, None)
            body = container[start : place.tell()]
            yield header + zigzag(1) + zigzag(len(body)) + body + sync, alert
        place.seek(16, io.SEEK_CUR)


def _header_end(container: bytes) -> int:
    import fastavro

    place = io.BytesIO(container)
    place.seek(len(_MAGIC))
    fastavro.schemaless_reader(place, {"type": "map", "values": "bytes"}, None)
    return place.tell() + 16
