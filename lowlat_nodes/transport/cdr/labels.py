# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""vision_msgs/msg/LabelInfo (4.1.1): the names of the classes, published once and latched."""

from __future__ import annotations

from lowlat_nodes.stream.payload import Labels
from lowlat_nodes.transport.cdr.codec import Decoded
from lowlat_nodes.transport.cdr.wire import SEQUENCE_LIMIT, CdrError, Reader, Writer

_LEAST_CLASS = 6  # number and length of the name


def read_labels(reader: Reader) -> Decoded:
    """Read the names of classes in whatever order; numbers between that are not given have none."""
    stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    names: dict[int, str] = {}
    for _ in range(reader.count("class_map", _LEAST_CLASS, SEQUENCE_LIMIT)):
        number = reader.u2("class_id")
        if number in names:
            raise CdrError(f"class_map: expected each class once, got {number} again")
        names[number] = reader.string("class_name")
    table = tuple(names.get(number, "") for number in range(max(names, default=-1) + 1))
    return Decoded(stamp_ns, frame_id, Labels(table, reader.f4("threshold")))


def write_labels(writer: Writer, stamp_ns: int, frame_id: str, payload: Labels) -> bytes:
    """Write the names of classes by number."""
    if len(payload.names) > SEQUENCE_LIMIT:
        raise CdrError(f"class_map: expected at most {SEQUENCE_LIMIT} classes, got {len(payload.names)}")
    writer.time_ns(stamp_ns)
    writer.string(frame_id)
    writer.u4(len(payload.names))
    for number, name in enumerate(payload.names):
        writer.u2(number)
        writer.string(name)
    writer.f4(payload.threshold)
    return writer.finish()
