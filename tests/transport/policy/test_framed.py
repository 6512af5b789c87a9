# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages over a stream: what comes back, and what is refused."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.policy.framed import MAX_HEADER, PREFIX, Message, decode, decode_prefix, encode


def there_and_back(message: Message) -> Message:
    prefix, header, *parts = encode(message)
    body = b"".join(parts)
    assert decode_prefix(bytes(prefix)) == (len(header), len(body))
    return decode(bytes(header), body)


def header(**changes: Any) -> bytes:
    return json.dumps({"kind": "answer", "id": 1, "values": {}, "arrays": []} | changes).encode()


def test_a_message_comes_back_equal() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    content = {
        "image": image.transpose(1, 0, 2),
        "x": np.float32([1, 2]),
        "none": np.zeros((0, 3)),
        "task": "äh",
    }
    found = there_and_back(Message("request", 1 << 40, content))
    assert (found.kind, found.number, found.content["task"]) == ("request", 1 << 40, "äh")
    for name in ("image", "x", "none"):
        assert found.content[name].dtype == content[name].dtype
        assert np.array_equal(found.content[name], content[name])
        assert not found.content[name].flags.writeable


@pytest.mark.parametrize(
    "content",
    [{"x": {1, 2}}, {"x": float("nan")}, {"x": np.array(["a"])}, {"x": np.zeros(MAX_MESSAGE + 1, np.uint8)}],
)
def test_what_has_no_form_is_not_sent(content: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="expected"):
        encode(Message("request", 1, content))


@pytest.mark.parametrize("sizes", [(MAX_HEADER + 1, 0), (10, MAX_MESSAGE + 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_message_that_is_too_large_is_refused_by_its_prefix(sizes: tuple[int, int]) -> None:
    with pytest.raises(WireError, match="at most"):
        decode_prefix(PREFIX.pack(*sizes))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"", b""),
        (b"Traceback", b""),
        (b"[" * 100_000, b""),
        (b"[]", b""),
        (b"{}", b""),
        (b'{"kind": "answer", "id": NaN, "values": {}, "arrays": []}', b""),
        (header(values={"x": 1e999}).replace(b"Infinity", b"1e999"), b"1"),
        (header(id=True), b""),
        (header(id="1"), b""),
        (header(kind=1), b""),
        (header(values=[]), b""),
        (header(arrays={}), b""),
        (header(arrays=[["x", "<f4", [0]]] * 65), b""),
        (header(arrays=[["x", "<f4"]]), b""),
        (header(arrays=[[1, "<f4", [1]]]), b"1234"),
        (header(arrays=[["x", "|u1", [1]], ["x", "|u1", [1]]]), b"12"),
        (header(values={"x": 1}, arrays=[["x", "|u1", [1]]]), b"1"),
        (header(arrays=[["x", "<f4", [2]]]), b"1234"),
        (header(arrays=[["x", "<f4", [1]]]), b"12345"),
        (header(arrays=[["x", "<f4", [1_000_000_000]]]), b"1234"),
        (header(arrays=[["x", "<f4", [10_000, 100_000]]]), b"1234"),
        (header(arrays=[["x", "<f4", [-1]]]), b""),
        (header(arrays=[["x", "<f4", [1.0]]]), b"1234"),
        (header(arrays=[["x", "<f4", 1]]), b"1234"),
        (header(arrays=[["x", "|O", [1]]]), b"12345678"),
        (header(arrays=[["x", "<U1", [1]]]), b"1234"),
    ],
    ids=range(26),
)
def test_whatever_is_no_message_is_refused(head: bytes, body: bytes) -> None:
    with pytest.raises(WireError):
        decode(head, body)


def test_a_claim_of_many_elements_costs_nothing() -> None:
    head = header(arrays=[["x", "<f8", [10_000, 100_000]]])
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode(head, b"1234")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_any_bytes_are_a_message_or_refused(head: bytes, body: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(head, body)
