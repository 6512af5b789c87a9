# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schema `heartbeat`: what a processing loop says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.schemas.schema import (
    Arrays,
    Details,
    Schema,
    checked_text,
    checked_whole,
    expect_arrays,
)


def _take_apart(payload: Heartbeat) -> tuple[Details, Arrays]:
    fields = {
        "name": payload.name,
        "state": payload.state,
        "sequence": payload.sequence,
        "latency_ns": payload.latency_ns,
        "period_ns": payload.period_ns,
        "age_ns": payload.age_ns,
    }
    _read(fields)
    return {"fields": fields}, []


def _put_together(header: Mapping[str, Any], arrays: Arrays) -> Heartbeat:
    expect_arrays("heartbeat", arrays, 0)
    fields = header.get("fields")
    if not isinstance(fields, dict):
        raise WireError("heartbeat: expected a map as 'fields'")
    return _read(fields)


def _read(fields: Mapping[str, Any]) -> Heartbeat:
    name, state = (checked_text("heartbeat", fields, key) for key in ("name", "state"))
    fields = {"age_ns": 0, **fields}
    counts = (
        checked_whole("heartbeat", fields, key) for key in ("sequence", "latency_ns", "period_ns", "age_ns")
    )
    return Heartbeat(name, state, *counts)


HEARTBEAT = Schema("heartbeat", Heartbeat, _take_apart, _put_together)
