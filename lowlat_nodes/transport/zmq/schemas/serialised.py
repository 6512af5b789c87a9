# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schema `cdr`: a ROS message as ROS serialised it, for a bridge at the other end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lowlat_nodes.stream.payload import Serialised
from lowlat_nodes.transport.arrays import WireError, shown
from lowlat_nodes.transport.zmq.schemas.schema import Arrays, Details, Schema, expect_arrays, expect_bytes

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,99}/msg/[A-Z][A-Za-z0-9]{0,99}")


def _checked_type(name: Any) -> str:
    if type(name) is not str or not _TYPE.fullmatch(name):
        raise WireError(
            f"cdr: expected a message type such as std_msgs/msg/String as 'type', got {shown(name)}"
        )
    return name


def _take_apart(payload: Serialised) -> tuple[Details, Arrays]:
    expect_bytes("cdr", payload.data, "the message")
    return {"type": _checked_type(payload.type_name)}, [payload.data]


def _put_together(fields: Mapping[str, Any], arrays: Arrays) -> Serialised:
    expect_arrays("cdr", arrays, 1)
    expect_bytes("cdr", arrays[0], "the message")
    return Serialised(_checked_type(fields.get("type")), arrays[0])


CDR = Schema("cdr", Serialised, _take_apart, _put_together)
