# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays as .npy bytes: NumPy reads what we write and the reverse; nothing else is taken."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowlat_nodes.transport.arrays import DTYPES, WireError
from lowlat_nodes.transport.policy import npy

ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: arrays.arrays(
        np.dtype(name), arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
    )
)


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version, allow_pickle=array.dtype.hasobject)
    return file.getvalue()


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def header(text: str, body: bytes = b"", *, version: bytes = b"\x01\x00") -> bytes:
    raw = text.encode()
    size = len(raw).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + raw + body


@given(ARRAYS)
def test_numpy_reads_what_we_write(array: np.ndarray) -> None:
    data = npy.dump(array)
    assert same(np.load(io.BytesIO(data)), array)
    assert data == saved(np.ascontiguousarray(array).reshape(array.shape))


@given(ARRAYS, st.sampled_from([(1, 0), (2, 0), (3, 0)]), st.booleans())
def test_we_read_what_numpy_writes(array: np.ndarray, version: tuple[int, int], fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran and array.ndim else array
    read = npy.load(saved(array, version))
    assert same(read, array)
    assert not read.flags.writeable


def test_the_keys_of_a_header_may_have_any_order() -> None:
    read = npy.load(header("{'shape': (2,), 'descr': '<f4', 'fortran_order': False}\n", b"\0" * 8))
    assert same(read, np.zeros(2, np.float32))


def test_big_endian_arrays_are_sent_as_little_endian() -> None:
    assert same(npy.load(npy.dump(np.array([1, 2], ">i4"))), np.array([1, 2], "<i4"))


@pytest.mark.parametrize(
    "array",
    [
        np.array([None]),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.zeros(1, [("a", "<f4"), ("b", "<i4")]),
        np.zeros(1, np.complex64),
        np.zeros(1, "datetime64[s]"),
        np.zeros(1, ">f4"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_other_dtypes_are_refused(array: np.ndarray) -> None:
    with pytest.raises(WireError, match="dtype"):
        npy.load(saved(array))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "expected the bytes of a .npy file"),
        (b"\x93NUMPX\x01\x00\x00\x00", "expected the bytes of a .npy file"),
        (header("{}\n", version=b"\x04\x00"), "version"),
        (header("{}\n", version=b"\x01\x01"), "version"),
        (b"\x93NUMPY\x02\x00\xff\xff", "version"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "claims 4294967295"),
        (b"\x93NUMPY\x01\x00\x10\x00{}", "claims 16"),
        (header("{'descr': '<f4'}"), "expected a header with"),
        (
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}"),
            "expected a header with",
        ),
        (header("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}"), "True or False"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': [2]}"), "a tuple"),
        (header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"), "name of a dtype"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}"), "sizes"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}"), "sizes"),
        (
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", b"\0" * 7),
            "takes 8 bytes, 7 came",
        ),
        (
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", b"\0" * 9),
            "takes 8 bytes, 9 came",
        ),
        (header("__import__('os').abort()"), "expected a dict"),
        (header("(" * 500), "expected a dict"),
        (header("-" * 500 + "1"), "expected a"),
        (header("{[]: 1}"), "expected a dict"),
        (header("\xff"), "expected a dict"),
        (header("{" + " " * 600 + "}"), "at most 512 bytes"),
    ],
)
def test_whatever_is_no_plain_array_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        npy.load(data)


def test_a_claim_of_many_elements_costs_nothing() -> None:
    claims = [
        header(f"{{'descr': '<f8', 'fortran_order': {order}, 'shape': {shape}}}")
        for shape in (
            "(1000000000,)",
            "(1099511627776,)",
            "(60000000, 60000000, 60000000)",
            "(9" + "0" * 300 + ",)",
        )
        for order in (False, True)
    ]
    tracemalloc.start()
    for claim in claims:
        with pytest.raises(WireError):
            npy.load(claim)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@settings(max_examples=2000)
@given(ARRAYS, st.data())
def test_damaged_bytes_give_an_array_of_their_size_or_are_refused(
    array: np.ndarray, data: st.DataObject
) -> None:
    damaged = bytearray(saved(array))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] + data.draw(st.binary(max_size=8))
    try:
        read = npy.load(bytes(damaged))
    except WireError:
        return
    assert read.dtype in DTYPES.values()
    assert read.nbytes <= len(damaged)
