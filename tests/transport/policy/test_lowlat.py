# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Our own messages: round trips, the documented bytes, and bytes that follow no document."""

from __future__ import annotations

import contextlib
import re
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowlat_nodes.control.policies.request_conditions import COMMITTED, DECIDED, DELAY
from lowlat_nodes.transport.arrays import DTYPES, WireError
from lowlat_nodes.transport.policy import lowlat

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "policy_protocol.md"

ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: arrays.arrays(
        np.dtype(name), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    )
)
KEYS = st.text(max_size=5).filter(lambda key: key != "$array")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
)
BODIES = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS | ARRAYS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_size=4,
)


def framed(frames: Sequence[bytes | memoryview]) -> list[zmq.Frame]:
    return [zmq.Frame(bytes(frame)) for frame in frames]


def read(frames: Sequence[bytes | memoryview]) -> tuple[lowlat.Header, dict[str, Any]]:
    came = framed(frames)
    header = lowlat.decode_header(came)
    return header, lowlat.decode_body(header, came)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


@given(st.sampled_from(sorted(lowlat.KINDS)), st.integers(0, 2**64 - 1), st.integers(0, 10**9), BODIES)
def test_messages_come_back_as_they_went(
    kind: str, number: int, budget_ns: int, body: dict[str, Any]
) -> None:
    header, found = read(lowlat.encode(kind, number, body, budget_ns=budget_ns))
    assert (header.kind, header.number, header.budget_ns) == (kind, number, budget_ns)
    assert equal(found, body)


def test_arrays_cannot_be_written_to_and_are_not_copied() -> None:
    frames = framed(lowlat.encode(lowlat.REQUEST, 1, {"state": np.zeros(4)}))
    state = lowlat.decode_body(lowlat.decode_header(frames), frames)["state"]
    assert not state.flags.writeable
    assert np.shares_memory(state, np.frombuffer(frames[2].buffer, np.uint8))


def test_arrays_of_any_layout_are_sent_in_c_order_and_little_endian() -> None:
    body = {"t": np.arange(6).reshape(2, 3).T, "b": np.array([1.5], ">f4"), "s": np.arange(9)[::2]}
    found = read(lowlat.encode(lowlat.ANSWER, 1, body))[1]
    assert all(np.array_equal(found[key], value) for key, value in body.items())
    assert found["b"].dtype == np.dtype("<f4")


def documented() -> dict[str, list[bytes]]:
    """Return the frames of each test vector of the document, by its name."""
    blocks = re.findall(r"^`(\w+)`:\n\n```\n(.*?)```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return {
        name: [bytes.fromhex(frame) for frame in re.split("header|body|array", text)[1:]]
        for name, text in blocks
    }


def test_the_documented_request() -> None:
    body = {"state": np.array([0.5, -1.0], np.float32), "prompt": "go"}
    assert [
        bytes(frame) for frame in lowlat.encode(lowlat.REQUEST, 7, body, budget_ns=50_000_000)
    ] == documented()["request"]


def test_the_documented_request_of_a_client_that_continues_a_plan() -> None:
    body = {
        "state": np.array([0.5, -1.0], np.float32),
        "prompt": "go",
        DELAY: 2.5,
        DECIDED: np.array([[0.25, -0.5]]),
        COMMITTED: 1,
    }
    frames = lowlat.encode(lowlat.REQUEST, 7, body, budget_ns=50_000_000)
    assert [bytes(frame) for frame in frames] == documented()["continuing"]


def test_the_documented_answer() -> None:
    header, body = read(documented()["answer"])
    assert header == lowlat.Header(lowlat.ANSWER, 7, 0, (("<f4", (1, 2)),))
    assert equal(body, {"actions": np.array([[0.25, 0.75]], np.float32)})


def test_the_documented_error() -> None:
    header, body = read(documented()["error"])
    assert header == lowlat.Header(lowlat.ERROR, 7)
    assert body == {"message": "expected 2 numbers"}


def test_keys_of_a_header_that_we_do_not_know_are_ignored() -> None:
    frames = [
        msgpack.packb({"v": 1, "kind": "describe", "id": 3, "schema": ["x", {"y": 1}]}),
        msgpack.packb({}),
    ]
    assert read(frames) == (lowlat.Header(lowlat.DESCRIBE, 3), {})


HEADER = {"v": 1, "kind": "request", "id": 1, "arrays": [["<f4", [2]]]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": 2}, "version 1"),
        ({"v": True}, "version"),
        ({"kind": "sing"}, "kind"),
        ({"kind": ["request"]}, "kind"),
        ({"id": -1}, "id"),
        ({"id": "1"}, "id"),
        ({"budget_ns": -1}, "budget"),
        ({"budget_ns": 0.5}, "budget"),
        ({"budget_ns": 1 << 60}, "budget"),
        ({"arrays": []}, "entry in 'arrays'"),
        ({"arrays": {"a": 1}}, "entry in 'arrays'"),
        ({"arrays": [["<f4"]]}, "dtype, "),
        ({"arrays": ["<f4"]}, "dtype, "),
        ({"arrays": [["|O", [1]]]}, "dtype"),
        ({"arrays": [["<f4", [-2]]]}, "sizes"),
        ({"arrays": [["<f4", [2.0]]]}, "sizes"),
        ({"arrays": [["<f4", [1_000_000_000]]]}, "sizes"),
        ({"arrays": [["<f8", [60_000_000, 60_000_000]]]}, "takes"),
        ({"arrays": [["<f4", [1]]]}, "takes 4 bytes, 8 came"),
        ({"arrays": [["<f4", [1] * 9]]}, "at most 8"),
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    frames = [msgpack.packb(HEADER | changes), msgpack.packb({"x": {"$array": 0}}), bytes(8)]
    with pytest.raises(WireError, match=reason):
        read(frames)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"x": {"$array": 1}},
        {"x": {"$array": -1}},
        {"x": {"$array": True}},
        {"x": {"$array": "0"}},
        {"x": {"$array": 0, "more": 1}},
        {"x": {"$array": 0}, "y": {"$array": 0}},
        {"$array": 0},
        [],
        {"x": b"bytes"},
        {1: 2},
    ],
    ids=str,
)
def test_a_body_that_does_not_fit_is_refused(body: Any) -> None:
    with pytest.raises(WireError):
        read([msgpack.packb(HEADER), msgpack.packb(body), bytes(8)])


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"", b""],
        [b"\xc1", b"\x80"],
        [msgpack.packb({"v": 1} | {str(key): "x" * 100 for key in range(200)}), b"\x80"],
        [msgpack.packb(HEADER), *[b""] * 100],
        [b"\xdd\xff\xff\xff\xff", b"\x80"],
        [b"\x91" * 5000, b"\x80"],
    ],
    ids=range(8),
)
def test_frames_that_are_no_message_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(WireError):
        read(frames)


def test_a_claim_of_many_elements_costs_nothing() -> None:
    header = msgpack.packb(HEADER | {"arrays": [["<f8", [1000, 1000, 1000]]]})
    tracemalloc.start()
    with pytest.raises(WireError, match="takes 8000000000 bytes, 8 came"):
        read([header, msgpack.packb({"x": {"$array": 0}}), bytes(8)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "body",
    [{"a": object()}, {"a": 1 << 70}, {"a": np.array(["text"])}, {"a": {1}}],
    ids=["object", "wide", "text", "set"],
)
def test_what_has_no_form_on_the_wire_is_not_sent(body: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        lowlat.encode(lowlat.REQUEST, 1, body)


def test_more_arrays_than_a_message_may_have_are_not_sent() -> None:
    body = {str(index): np.zeros(1) for index in range(lowlat.MAX_ARRAYS + 1)}
    with pytest.raises(WireError, match="at most 64 arrays"):
        lowlat.encode(lowlat.REQUEST, 1, body)


@settings(max_examples=3000)
@given(st.data())
def test_damaged_messages_decode_or_are_refused(data: st.DataObject) -> None:
    body = {
        "images": {"front": np.zeros((2, 2, 3), np.uint8)},
        "state": np.zeros(3, np.float32),
        "prompt": "go",
    }
    frames = [bytearray(frame) for frame in lowlat.encode(lowlat.REQUEST, 7, body, budget_ns=5)]
    for _ in range(data.draw(st.integers(1, 5))):
        frame = frames[data.draw(st.sampled_from([0, 0, 1, 1, 2, 3]))]
        if frame:
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    index = data.draw(st.integers(0, len(frames) - 1))
    frames[index] = frames[index][: data.draw(st.integers(0, len(frames[index])))]
    frames = frames[: data.draw(st.integers(0, len(frames)))] or frames
    with contextlib.suppress(WireError):
        read(frames)
