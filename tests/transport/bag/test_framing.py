# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of ZeroMQ in the data of one MCAP message."""

from __future__ import annotations

import random
import struct

import pytest

from lowlat_nodes.transport.bag import BagError
from lowlat_nodes.transport.bag.framing import MAX_FRAMES, pack, unpack


def test_the_bytes_are_those_of_the_documentation() -> None:
    data = pack([b"ab", b"", memoryview(b"cde")])
    assert data == bytes.fromhex("03000000 02000000 00000000 03000000") + b"abcde"


@pytest.mark.parametrize("seed", range(20))
def test_frames_come_back_as_they_were(seed: int) -> None:
    numbers = random.Random(seed)
    frames = [
        numbers.randbytes(numbers.choice([0, 1, 7, 300])) for _ in range(numbers.randint(1, MAX_FRAMES))
    ]
    found = unpack(pack(frames))
    assert [bytes(frame) for frame in found] == frames
    assert all(frame.readonly for frame in found)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x00\x00",
        bytes(4),
        struct.pack("<I", 1),
        struct.pack("<I", MAX_FRAMES + 1) + bytes(4 * (MAX_FRAMES + 1)),
        struct.pack("<I", 0xFFFFFFFF) + bytes(64),
        struct.pack("<II", 1, 3) + b"ab",
        struct.pack("<II", 1, 3) + b"abcd",
        struct.pack("<III", 2, 0xFFFFFFFF, 0xFFFFFFFF) + b"abcd",
    ],
)
def test_what_is_no_frames_is_refused(data: bytes) -> None:
    with pytest.raises(BagError, match="expected"):
        unpack(data)


def test_any_damage_is_refused_or_gives_other_frames() -> None:
    data = pack([b"topic", b"header", bytes(20)])
    numbers = random.Random(1)
    for _ in range(2000):
        spoilt = bytearray(data)
        spoilt[numbers.randrange(16)] ^= 1 << numbers.randrange(8)
        try:
            found = unpack(bytes(spoilt))
        except BagError:
            continue
        assert sum(map(len, found)) <= len(data)
