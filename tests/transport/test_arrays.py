# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays and msgpack from strangers: exact or refused, and small whatever they claim."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lowlat_nodes.transport.arrays import (
    DTYPES,
    MAX_DIMENSIONS,
    MAX_MESSAGE,
    WireError,
    content,
    decode_array,
    encodable,
    unpack,
)

any_array = hnp.arrays(
    st.sampled_from(list(DTYPES.values())), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
)


@given(any_array)
def test_an_array_comes_back_equal_and_read_only(array: np.ndarray) -> None:
    sent = encodable(array)
    back = decode_array(sent.dtype.str, list(sent.shape), bytes(content(sent)))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert not back.flags.writeable


def test_what_is_no_c_order_or_big_endian_is_sent_as_if_it_were() -> None:
    array = np.arange(6.0).reshape(2, 3)
    for odd in (array.T, array[:, ::-1], array.astype(">f8"), np.asfortranarray(array)):
        sent = encodable(odd)
        assert np.array_equal(decode_array(sent.dtype.str, list(sent.shape), bytes(content(sent))), odd)


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.array([1j]), np.zeros(1, "V3")])
def test_what_has_no_place_on_the_wire_is_not_sent(array: np.ndarray) -> None:
    with pytest.raises(WireError, match="expected an array of"):
        encodable(array)


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "why"),
    [
        ("|O", [1], bytes(8), "expected a dtype"),
        (">f4", [1], bytes(4), "expected a dtype"),
        ("<U1", [1], bytes(4), "expected a dtype"),
        ("<f4,<f4", [1], bytes(8), "expected a dtype"),
        ("f4" * 1000, [1], bytes(8), "expected a dtype"),
        (None, [1], bytes(4), "expected a dtype"),
        (["<f4"], [1], bytes(4), "expected a dtype"),
        ("<f4", 1, bytes(4), "expected a shape"),
        ("<f4", None, bytes(4), "expected a shape"),
        ("<f4", [1] * (MAX_DIMENSIONS + 1), bytes(4), "expected a shape"),
        ("<f4", [-1], bytes(4), "expected sizes"),
        ("<f4", [1.0], bytes(4), "expected sizes"),
        ("<f4", [True], bytes(4), "expected sizes"),
        ("<f4", ["1"], bytes(4), "expected sizes"),
        ("|u1", [10**9], b"", "expected sizes"),
        ("<f8", [10**7, 100], b"", "takes 8000000000 bytes, 0 came"),
        ("|u1", [2**26] * 8, b"", "takes"),
        ("<f4", [2], bytes(4), "takes 8 bytes, 4 came"),
        ("<f4", [1], bytes(5), "takes 4 bytes, 5 came"),
        ("<f4", [], b"", "takes 4 bytes, 0 came"),
        ("<f4", [1], "text", "expected its content as bytes"),
        ("<f4", [1], None, "expected its content as bytes"),
        ("<f8", [0, 2**26, 2**26, 2**26], b"", "too big"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(dtype: Any, shape: Any, data: Any, why: str) -> None:
    with pytest.raises(WireError, match=why) as caught:
        decode_array(dtype, shape, data)
    assert len(str(caught.value)) < 400


def test_a_claim_of_a_billion_elements_costs_nothing() -> None:
    tracemalloc.start()
    with pytest.raises(WireError):
        decode_array("<f8", [1000, 1000, 1000], bytes(8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_data_comes_back_equal(value: Any) -> None:
    assert unpack(msgpack.packb(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_plain_data_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        unpack(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "expected msgpack"),
        (b"\xc1", "expected msgpack"),
        (b"\x81\xa1a", "expected msgpack"),
        (b"\x01\x02", "expected msgpack"),
        (b"\xdd\xff\xff\xff\xff", "max_array_len"),
        (b"\xdf\xff\xff\xff\xff", "max_map_len"),
        (b"\xdb\xff\xff\xff\xff", "expected msgpack"),
        (b"\xc6\xff\xff\xff\xff", "expected msgpack"),
        (msgpack.packb("x" * 70_000), "max_str_len"),
        (b"\x91" * 5000 + b"\xc0", "expected msgpack"),
        (b"\x91" * 20 + b"\xc0", "at most 16 levels"),
        (b"\xa1\xff", "expected msgpack"),
        (msgpack.packb({1: 2}), "map key"),
        (msgpack.packb({b"key": 2}), "expected text as keys"),
        (msgpack.packb([b"bytes"]), "expected plain data, got 5 bytes"),
        (msgpack.packb(msgpack.ExtType(1, b"x")), "max_ext_len"),
        (msgpack.packb(msgpack.Timestamp(1, 2)), "max_ext_len"),
        (msgpack.packb([[[None] * 5000] * 50] * 10), "at most 100000 values"),
        (msgpack.packb([[[]] * 9000] * 12), "at most 100000 values"),
    ],
)
def test_msgpack_beyond_the_limits_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        unpack(data)


def test_a_message_beyond_the_limit_is_not_even_read() -> None:
    with pytest.raises(WireError, match="at most 10 bytes, got 11"):
        unpack(bytes(11), max_bytes=10)
    with pytest.raises(WireError, match=f"at most {MAX_MESSAGE} bytes"):
        unpack(bytes(MAX_MESSAGE + 1))
