# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""GR00T's messages: both generations, and bytes that are neither."""

from __future__ import annotations

import contextlib
import io
import json

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.policy import gr00t

VIDEO = np.arange(24, dtype=np.uint8).reshape(1, 1, 2, 4, 3)
STATE = np.array([[[0.5, -1.0]]], np.float32)
NESTED = {"video": {"ego": VIDEO}, "state": {"arm": STATE}, "language": {"annotation.human.task": [["go"]]}}
FLAT = {"video.ego": VIDEO, "state.arm": STATE, "annotation.human.task": [["go"]]}
CONFIG = gr00t.ModalityConfig((-1, 0), ("ego", "wrist"))


def equal(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other) and np.asarray(one).dtype == np.asarray(other).dtype
    return one == other


def test_an_array_is_a_map_with_the_bytes_of_a_npy_file() -> None:
    message = msgpack.unpackb(gr00t.encode({"state": STATE}))["state"]
    assert message.keys() == {"__ndarray_class__", "as_npy"}
    assert message["__ndarray_class__"] is True
    assert np.array_equal(np.load(io.BytesIO(message["as_npy"]), allow_pickle=False), STATE)


def test_messages_come_back_as_they_went() -> None:
    message = {
        "endpoint": "get_action",
        "data": {"observation": NESTED, "options": None},
        "n": np.float32(0.5),
    }
    assert equal(gr00t.decode(gr00t.encode(message)), message | {"n": 0.5})


def test_a_modality_is_json_text_in_n1_5_and_a_map_since() -> None:
    old = gr00t.encode_modality(gr00t.ModalityConfig((0,), ("video.ego",), "1.5"))
    new = gr00t.encode_modality(CONFIG)
    assert old["__ModalityConfig_class__"] is new["__ModalityConfig_class__"] is True
    assert json.loads(old["as_json"]) == {"delta_indices": [0], "modality_keys": ["video.ego"]}
    assert new["as_json"] == {"delta_indices": [-1, 0], "modality_keys": ["ego", "wrist"]}


@pytest.mark.parametrize("generation", gr00t.GENERATIONS)
def test_a_modality_comes_back_as_it_went(generation: str) -> None:
    config = gr00t.ModalityConfig((0, 1), ("arm",), generation)
    assert gr00t.decode_modality(gr00t.decode(gr00t.encode(gr00t.encode_modality(config)))) == config


def test_fields_of_a_modality_that_we_do_not_know_are_left_out() -> None:
    fields = {"delta_indices": [0], "modality_keys": ["arm"], "action_configs": [{"rep": "RELATIVE"}]}
    found = gr00t.decode_modality({"__ModalityConfig_class__": True, "as_json": fields})
    assert found == gr00t.ModalityConfig((0,), ("arm",), "1.6")


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"__ModalityConfig_class__": True},
        {"__ModalityConfig_class__": True, "as_json": "{"},
        {"__ModalityConfig_class__": True, "as_json": "[" * 60_000},
        {"__ModalityConfig_class__": True, "as_json": "[]"},
        {"__ModalityConfig_class__": True, "as_json": {"delta_indices": [0.5], "modality_keys": []}},
        {"__ModalityConfig_class__": True, "as_json": {"delta_indices": [0], "modality_keys": [1]}},
        {"__ModalityConfig_class__": True, "as_json": {"delta_indices": [0] * 2000, "modality_keys": []}},
    ],
    ids=range(9),
)
def test_what_is_no_modality_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="modality"):
        gr00t.decode_modality(value)


def test_observations_go_from_one_generation_to_the_other() -> None:
    assert equal(gr00t.flatten(NESTED), FLAT)
    assert equal(gr00t.nest(FLAT), NESTED)


def test_an_observation_without_the_axis_of_a_batch_gets_one() -> None:
    single = {
        "video.ego": VIDEO[0],
        "state.arm": STATE[0].astype(np.float64),
        "annotation.human.task": ["go"],
    }
    assert gr00t.is_single(single)
    nested = gr00t.nest(single)
    assert nested["video"]["ego"].shape == VIDEO.shape
    assert nested["state"]["arm"].shape == STATE.shape
    assert nested["language"] == {"annotation.human.task": [["go"]]}


@pytest.mark.parametrize("flat", [{"state.arm": "text"}, {"video.ego": [1]}, {"task": 3}, {"task": [[1]]}])
def test_an_observation_of_other_things_is_refused(flat: dict[str, object]) -> None:
    with pytest.raises(WireError, match="observation"):
        gr00t.nest(flat)


def test_an_observation_of_unknown_modalities_is_not_sent() -> None:
    with pytest.raises(WireError, match="'smell'"):
        gr00t.flatten({"smell": {}})


@pytest.mark.parametrize("value", [object(), 1 << 70, np.array([None]), {"a": {1, 2}}])
def test_what_has_no_form_on_the_wire_is_not_sent(value: object) -> None:
    with pytest.raises(WireError):
        gr00t.encode({"value": value})


@pytest.mark.parametrize(
    "message",
    [
        {"__ndarray_class__": True},
        {"__ndarray_class__": True, "as_npy": "text"},
        {"__ndarray_class__": True, "as_npy": b"", "more": 1},
        {"__ndarray_class__": True, "as_npy": b"\x80\x04K\x01."},
        {"bytes": b"outside of an array"},
        {1: "number as a key"},
        msgpack.ExtType(1, b"extension"),
    ],
    ids=range(7),
)
def test_what_is_no_message_is_refused(message: object) -> None:
    with pytest.raises(WireError):
        gr00t.decode(msgpack.packb(message))


@settings(max_examples=3000)
@given(st.data())
def test_damaged_messages_decode_or_are_refused(data: st.DataObject) -> None:
    damaged = bytearray(
        gr00t.encode(
            {"endpoint": "get_action", "data": {"observation": NESTED, "options": {"a": [1, 2.5, None]}}}
        )
    )
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] + data.draw(st.binary(max_size=8))
    try:
        message = gr00t.decode(bytes(damaged))
        if isinstance(message, dict):
            gr00t.nest(message)
            for value in message.values():
                gr00t.decode_modality(value)
    except WireError:
        pass


@settings(max_examples=1000)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_decode_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        gr00t.decode(data)
