# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments are laid out as the table says, on every machine, and called so that they can be told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.transport.shm.layout import (
    PAGE,
    Header,
    aligned,
    is_segment_name,
    parse_header,
    segment_name,
)
from lowlat_nodes.transport.shm.writer import Writer


def test_the_file_is_as_documented(folder: Path) -> None:
    writer = Writer(slots=3, folder=folder)
    for _ in range(4):
        place = writer.put([np.arange(600, dtype="<i8"), np.full(9, 7, np.uint8)])
    assert place is not None
    data = (folder / place.segment).read_bytes()
    magic, version, slots, slot_bytes, process, started = struct.unpack_from("<8sIIQQQ", data)
    assert (magic, version, slots, slot_bytes) == (b"LOWLATSM", 1, 3, 8192)
    assert place.segment.startswith(f"lowlat_{process}_{started}_")
    assert struct.unpack_from("<3Q", data, 64) == (4, 2, 3)
    assert len(data) == 4096 + 3 * 8192
    begin = 4096 + place.slot * 8192
    assert place[1:] == (0, 4, (0, 4800))
    assert struct.unpack_from("<600q", data, begin) == tuple(range(600))
    assert data[begin + 4800 : begin + 4809] == bytes([7] * 9)


def test_headers_come_back(folder: Path) -> None:
    header = Header(256, 4 * PAGE, 12, 34)
    assert parse_header(header.pack().ljust(PAGE), header.size) == header


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        ("", "lowlat_12_34_000000ff"),
        ("camera", "lowlat_camera_12_34_000000ff"),
        ("/robot_1/camera/image", "lowlat_robot-1-camera-image_12_34_000000ff"),
        ("../../etc", "lowlat_etc_12_34_000000ff"),
        ("Κάμερα", "lowlat_12_34_000000ff"),
        ("a" * 99, f"lowlat_{'a' * 32}_12_34_000000ff"),
    ],
)
def test_names_tell_what_they_are(hint: str, name: str) -> None:
    assert segment_name(hint, 12, 34, 255) == name
    assert is_segment_name(name)


def test_sizes_are_rounded_up() -> None:
    assert [aligned(size) for size in (0, 1, 64, 65)] == [0, 64, 64, 128]
    assert aligned(1, PAGE) == PAGE
