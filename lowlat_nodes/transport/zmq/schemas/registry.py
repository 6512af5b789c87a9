# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All schemas, by their name and by the payload that they carry."""

from __future__ import annotations

from typing import Any

from lowlat_nodes.transport.arrays import WireError, shown
from lowlat_nodes.transport.zmq.schemas.detections import DETECTIONS, LABELS
from lowlat_nodes.transport.zmq.schemas.heartbeat import HEARTBEAT
from lowlat_nodes.transport.zmq.schemas.images import COMPRESSED_IMAGE, IMAGE
from lowlat_nodes.transport.zmq.schemas.joints import JOINT_STATE, TRAJECTORY
from lowlat_nodes.transport.zmq.schemas.packets import DEAD_LETTER, PACKET
from lowlat_nodes.transport.zmq.schemas.plain import ARRAY, RECORD, TEXT
from lowlat_nodes.transport.zmq.schemas.ros import ROS, ROS_CDR
from lowlat_nodes.transport.zmq.schemas.schema import Schema

SCHEMAS: tuple[Schema, ...] = (
    ARRAY,
    COMPRESSED_IMAGE,
    DEAD_LETTER,
    DETECTIONS,
    HEARTBEAT,
    IMAGE,
    JOINT_STATE,
    LABELS,
    PACKET,
    RECORD,
    ROS,
    ROS_CDR,
    TEXT,
    TRAJECTORY,
)

_BY_NAME = {schema.name: schema for schema in SCHEMAS}
_BY_TYPE = {schema.payload: schema for schema in SCHEMAS}


def schema_of(payload: Any) -> Schema:
    """Return the schema of a payload.

    Raises:
        WireError: If it has no form on the wire.
    """
    schema = _BY_TYPE.get(type(payload))
    if schema is not None:
        return schema
    for base in type(payload).__mro__:  # such as np.memmap
        if base in _BY_TYPE:
            return _BY_TYPE[base]
    known = ", ".join(sorted(kind.__name__ for kind in _BY_TYPE))
    raise WireError(f"expected a payload of type {known}; got {type(payload).__name__}")


def schema_named(name: object) -> Schema:
    """Return the schema that a header names.

    Raises:
        WireError: If there is none of that name.
    """
    schema = _BY_NAME.get(name) if type(name) is str else None
    if schema is None:
        raise WireError(f"header: expected a 'schema' of {', '.join(_BY_NAME)}; got {shown(name)}")
    return schema
