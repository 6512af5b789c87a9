# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `ros` and `ros_cdr`: messages of any ROS type, field by field or as ROS serialises them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Serialised, Structure
from lowlat_nodes.transport.arrays import WireError, shown
from lowlat_nodes.transport.zmq.schemas.ros_fields import inward, outward
from lowlat_nodes.transport.zmq.schemas.schema import (
    Arrays,
    Details,
    Schema,
    checked_text,
    expect_arrays,
    expect_bytes,
)

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,127}/(?:msg|srv|action)/[A-Z][A-Za-z0-9_]{0,127}")
_HASH = re.compile(r"(?:RIHS01_[0-9a-f]{64})?")
_ENCAPSULATION = 4


def _take_structure(payload: Structure) -> tuple[Details, Arrays]:
    fields, arrays = outward(payload.fields)
    return {**_type_of(payload), "fields": fields}, arrays


def _put_structure(header: Mapping[str, Any], arrays: Arrays) -> Structure:
    fields = inward(header.get("fields"), arrays)
    type_name, type_hash = _checked_type("ros", header)
    return Structure(type_name, fields, type_hash)


def _take_serialised(payload: Serialised) -> tuple[Details, Arrays]:
    array = np.frombuffer(payload.data, np.uint8)
    _check_cdr(array)
    return _type_of(payload), [array]


def _put_serialised(header: Mapping[str, Any], arrays: Arrays) -> Serialised:
    expect_arrays("ros_cdr", arrays, 1)
    expect_bytes("ros_cdr", arrays[0], "the message")
    _check_cdr(arrays[0])
    type_name, type_hash = _checked_type("ros_cdr", header)
    return Serialised(type_name, arrays[0].data, type_hash)


def _check_cdr(data: NDArray[np.uint8]) -> None:
    if data.size < _ENCAPSULATION:
        raise WireError(f"ros_cdr: expected CDR with its encapsulation header, got {data.size} bytes")


def _type_of(payload: Structure | Serialised) -> Details:
    details = {"type": payload.type_name, "hash": payload.type_hash}
    _checked_type("ros", details)
    return details


def _checked_type(schema: str, header: Mapping[str, Any]) -> tuple[str, str]:
    name, type_hash = checked_text(schema, header, "type"), checked_text(schema, header, "hash")
    if not _TYPE.fullmatch(name):
        raise WireError(f"{schema}: expected a 'type' such as sensor_msgs/msg/Image, got {shown(name)}")
    if not _HASH.fullmatch(type_hash):
        raise WireError(
            f"{schema}: expected RIHS01_ and 64 hexadecimal digits as 'hash', got {shown(type_hash)}"
        )
    return name, type_hash


ROS = Schema("ros", Structure, _take_structure, _put_structure)
ROS_CDR = Schema("ros_cdr", Serialised, _take_serialised, _put_serialised)
