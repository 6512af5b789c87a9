# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `array`, `record` and `text`: payloads without a form of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Record, Text
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.cdr.wire import TEXT_LIMIT
from lowlat_nodes.transport.records import check
from lowlat_nodes.transport.zmq.schemas.schema import (
    MAX_NAME,
    Arrays,
    Details,
    Schema,
    checked_text,
    expect_arrays,
    expect_bytes,
)


def _take_array(payload: NDArray[Any]) -> tuple[Details, Arrays]:
    return {}, [payload]


def _put_array(_: Mapping[str, Any], arrays: Arrays) -> NDArray[Any]:
    expect_arrays("array", arrays, 1)
    return arrays[0]


def _take_record(payload: Record) -> tuple[Details, Arrays]:
    check(payload.fields)
    return {"key": _key_text(payload.key), "fields": payload.fields}, []


def _key_text(key: bytes) -> str:
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"record: expected UTF-8 as key: {error}") from error
    if len(text) > MAX_NAME:
        raise WireError(f"record: expected a key of at most {MAX_NAME} characters, got {len(text)}")
    return text


def _put_record(fields: Mapping[str, Any], arrays: Arrays) -> Record:
    expect_arrays("record", arrays, 0)
    key = checked_text("record", fields, "key")
    values = fields.get("fields")
    check(values)
    try:
        return Record(values, key.encode())  # type: ignore[arg-type]  # checked above
    except UnicodeEncodeError as error:
        raise WireError(f"record: expected UTF-8 as 'key': {error}") from error


def _take_text(payload: Text) -> tuple[Details, Arrays]:
    try:
        data = payload.data.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"text: expected what UTF-8 can say: {error}") from error
    if len(data) > TEXT_LIMIT:
        raise WireError(f"text: expected at most {TEXT_LIMIT} bytes of UTF-8, got {len(data)}")
    return {}, [np.frombuffer(data, np.uint8)]


def _put_text(_: Mapping[str, Any], arrays: Arrays) -> Text:
    expect_arrays("text", arrays, 1)
    expect_bytes("text", arrays[0], "UTF-8")
    if arrays[0].size > TEXT_LIMIT:
        raise WireError(f"text: expected at most {TEXT_LIMIT} bytes of UTF-8, got {arrays[0].size}")
    try:
        return Text(str(arrays[0].data, "utf-8"))
    except UnicodeDecodeError as error:
        raise WireError(f"text: expected UTF-8: {error}") from error


ARRAY = Schema("array", np.ndarray, _take_array, _put_array)
RECORD = Schema("record", Record, _take_record, _put_record)
TEXT = Schema("text", Text, _take_text, _put_text)
