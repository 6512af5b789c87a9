# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of openpi's protocol: the form on the wire, byte for byte, and what is refused."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.arrays import DTYPES, WireError
from lowlat_nodes.transport.policy import openpi

arrays = hnp.arrays(
    st.sampled_from(list(DTYPES.values())), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
)
numbers = st.sampled_from(list(DTYPES.values())).flatmap(hnp.from_dtype)
values = arrays | numbers | st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=9)
nested = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
messages = st.dictionaries(st.text(max_size=9), nested, max_size=4)

GOOD = {b"__ndarray__": True, b"data": bytes(8), b"dtype": "<f4", b"shape": [2]}
NUMBER = {b"__npgeneric__": True, b"data": 1, b"dtype": "<i4"}


def same(one: Any, other: Any) -> bool:
    """Whether two messages are equal, types and NaN included."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, float) and math.isnan(one):  # of either type: msgpack takes a float64 for a float
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, np.generic) and not isinstance(one, float):
        return type(one) is type(other) and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return bool(one == other)


@given(messages)
def test_a_message_comes_back_equal(message: dict[str, Any]) -> None:
    assert same(message, openpi.decode(openpi.encode(message)))


def test_the_form_on_the_wire() -> None:
    array = np.array([[1, 2]], "<i2")
    wire = msgpack.unpackb(openpi.encode({"x": array, "y": np.float32(0.5)}))
    assert wire == {
        "x": {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": "<i2", b"shape": [1, 2]},
        "y": {b"__npgeneric__": True, b"data": 0.5, b"dtype": "<f4"},
    }


def test_what_has_no_form_is_not_sent() -> None:
    for value in (object(), np.array([object()]), 1j, {1, 2}, 2**70, np.datetime64("2026-01-01")):
        with pytest.raises(WireError, match="expected"):
            openpi.encode({"x": value})


@pytest.mark.parametrize(
    "wrong",
    [
        {**GOOD, b"dtype": "|O"},
        {**GOOD, b"dtype": "O"},
        {**GOOD, b"dtype": "<f8"},
        {**GOOD, b"shape": [10**9]},
        {**GOOD, b"shape": 2},
        {**GOOD, b"data": "text"},
        {**GOOD, b"more": 1},
        {b"__ndarray__": True},
        {**NUMBER, b"dtype": "|O"},
        {**NUMBER, b"dtype": None},
        {**NUMBER, b"data": 1.5},
        {**NUMBER, b"data": True},
        {**NUMBER, b"data": 2**40},
        {**NUMBER, b"data": "1"},
        {**NUMBER, b"more": 1},
        {b"__npgeneric__": True},
        b"bytes",
        {b"key": 1},
    ],
)
def test_a_wrong_array_or_number_is_refused(wrong: Any) -> None:
    with pytest.raises(WireError):
        openpi.decode(msgpack.packb({"x": wrong}))


@pytest.mark.parametrize("whole", [None, 1, "text", [1], GOOD, NUMBER])
def test_a_message_is_a_map(whole: Any) -> None:
    with pytest.raises(WireError, match="expected a map"):
        openpi.decode(msgpack.packb(whole))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(openpi.decode(data), dict)


@given(messages, st.data())
def test_a_damaged_message_is_a_message_or_refused(message: dict[str, Any], data: st.DataObject) -> None:
    wire = bytearray(openpi.encode(message))
    wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        openpi.decode(bytes(wire))


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8000"),
        ("robot:9000", "ws://robot:9000"),
        ("ws://robot", "ws://robot:8000"),
        ("ws://robot:0", "ws://robot:0"),
        ("wss://robot:443/policy", "wss://robot:443/policy"),
        ("ws://[::1]:8001", "ws://[::1]:8001"),
    ],
)
def test_addresses(address: str, uri: str) -> None:
    assert openpi.split_address(address).geturl() == uri


@pytest.mark.parametrize(
    "address",
    ["", "http://robot", "ws://", "ws://:8000", "ws://user:word@robot", "ws://robot:99999", "ws://robot?x=1"],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an address such as ws://"):
        openpi.split_address(address)
