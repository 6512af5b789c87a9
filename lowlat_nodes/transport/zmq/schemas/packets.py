# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `packet` and `dead_letter`: bytes that another system made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lowlat_nodes.stream.payload import DeadLetter, Packet
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.schemas.schema import Arrays, Details, Schema, checked_text, expect_bytes

_MAX_KEY = 1 << 16
_MAX_REASON = 1 << 13  # characters


def _take_packet(payload: Packet) -> tuple[Details, Arrays]:
    if len(payload.key) > _MAX_KEY:
        raise WireError(f"packet: expected a key of at most {_MAX_KEY} bytes, got {len(payload.key)}")
    arrays: Arrays = [np.frombuffer(payload.data, np.uint8)]
    if payload.key:
        arrays.append(np.frombuffer(payload.key, np.uint8))
    return {"origin": checked_text("packet", {"origin": payload.origin}, "origin")}, arrays


def _put_packet(fields: Mapping[str, Any], arrays: Arrays) -> Packet:
    if not 1 <= len(arrays) <= 2:
        raise WireError(f"packet: expected 1 or 2 arrays, got {len(arrays)}")
    for array, what in zip(arrays, ("the packet", "its key"), strict=False):
        expect_bytes("packet", array, what)
    key = arrays[1] if len(arrays) > 1 else np.empty(0, np.uint8)
    if key.size > _MAX_KEY:
        raise WireError(f"packet: expected a key of at most {_MAX_KEY} bytes, got {key.size}")
    return Packet(arrays[0].data, key.tobytes(), checked_text("packet", fields, "origin"))


def _take_letter(payload: DeadLetter) -> tuple[Details, Arrays]:
    details, arrays = _take_packet(payload.packet)
    return {**details, "reason": payload.reason[:_MAX_REASON]}, arrays


def _put_letter(fields: Mapping[str, Any], arrays: Arrays) -> DeadLetter:
    reason = checked_text("dead_letter", fields, "reason", _MAX_REASON)
    return DeadLetter(_put_packet(fields, arrays), reason)


PACKET = Schema("packet", Packet, _take_packet, _put_packet)
DEAD_LETTER = Schema("dead_letter", DeadLetter, _take_letter, _put_letter)
