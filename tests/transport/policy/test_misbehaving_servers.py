# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Servers that answer late, twice, never, or with anything but an answer: each costs one call at most."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgpack
import numpy as np
import pytest
import zmq
from zmq_peers import Scripted, envelope, in_ms, observation, soon, talking

from lowlat_nodes.stream.requester import AnswerRefused, RequestLate, ServerError
from lowlat_nodes.transport.policy import lowlat

PROTOCOLS = pytest.mark.parametrize("protocol", ["gr00t", "lowlat"])

Script = Callable[[list[bytes]], list[list[bytes]]]


def good(protocol: str, frames: list[bytes], value: float = 1.0) -> list[bytes]:
    return envelope(protocol, frames, {"action": {"arm": np.full((1, 2, 3), value, np.float32)}})


@PROTOCOLS
def test_an_answer_that_comes_twice_is_used_once(protocol: str) -> None:
    value = 0.0

    def script(frames: list[bytes]) -> list[list[bytes]]:
        nonlocal value
        value += 1.0
        return [good(protocol, frames, value)] * 2

    server = Scripted(protocol, script)
    with server.running(), talking(protocol, server.address) as client:
        for expected in range(1, 6):
            answer = client.request(observation(), deadline_ns=soon())
            assert answer["action"]["arm"][0, 0, 0] == expected
        assert client.counts["late"] >= 4


@PROTOCOLS
def test_a_server_that_never_answers_costs_the_deadline(protocol: str) -> None:
    server = Scripted(protocol, lambda frames: [])
    with server.running(), talking(protocol, server.address) as client:
        for _ in range(3):
            with pytest.raises(RequestLate, match="no answer by the deadline"):
                client.request(observation(), deadline_ns=in_ms(20))


@PROTOCOLS
def test_answers_that_come_late_are_dropped_by_number(protocol: str) -> None:
    held: list[list[bytes]] = []
    silent = threading.Event()
    silent.set()

    def script(frames: list[bytes]) -> list[list[bytes]]:
        held.append(good(protocol, frames, float(len(held))))
        return [] if silent.is_set() else held

    server = Scripted(protocol, script)
    with server.running(), talking(protocol, server.address) as client:
        for _ in range(3):
            with pytest.raises(RequestLate):
                client.request(observation(), deadline_ns=in_ms(20))
        silent.clear()
        answer = client.request(observation(), deadline_ns=soon())
        assert answer["action"]["arm"][0, 0, 0] == 3.0
        assert client.counts["late"] == 3


@PROTOCOLS
def test_a_flood_of_stale_answers_does_not_outlast_the_deadline(protocol: str) -> None:
    stale: list[list[bytes]] = []

    def script(frames: list[bytes]) -> list[list[bytes]]:
        if not stale:
            stale.append(good(protocol, frames))
            return []
        return stale * 3000

    server = Scripted(protocol, script)
    with server.running(), talking(protocol, server.address) as client:
        for _ in range(3):
            with pytest.raises(RequestLate):
                client.request(observation(), deadline_ns=in_ms(20))


def npy(header: bytes, body: bytes = b"") -> dict[str, object]:
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body
    return {"__ndarray_class__": True, "as_npy": data}


def gr00t_body(arm: object) -> Script:
    return lambda frames: [[*frames[:2], msgpack.packb([{"arm": arm}, {}])]]


def gr00t_raw(*parts: bytes) -> Script:
    return lambda frames: [[*frames[:2], *parts]]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (gr00t_body(npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}")), "sizes"),
        (
            gr00t_body(npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000, 100000)}", b"1234")),
            "takes",
        ),
        (
            gr00t_body(npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x04K\x01.")),
            "dtype",
        ),
        (gr00t_body(npy(b"{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", b"\x00" * 16)), "dtype"),
        (gr00t_raw(b"I am afraid I cannot do that"), "msgpack"),
        (gr00t_raw(b""), "msgpack"),
        (gr00t_raw(b"\xdd\xff\xff\xff\xff"), "msgpack"),
        (gr00t_raw(), "one frame, got 0"),
        (gr00t_raw(b"\x80", b"\x80"), "one frame, got 2"),
        (gr00t_raw(*[b"\x80"] * 500), "one frame"),
    ],
    ids=range(10),
)
def test_answers_of_gr00t_servers_that_cannot_be_used(script: Script, words: str) -> None:
    refused_first(Scripted("gr00t", once(script, "gr00t")), words)


def lowlat_body(dtype: str, shape: list[int], body: bytes) -> Script:
    def script(frames: list[bytes]) -> list[list[bytes]]:
        number = lowlat.decode_header([zmq.Frame(frame) for frame in frames]).number
        header = {"v": 1, "kind": "answer", "id": number, "arrays": [[dtype, shape]]}
        return [[msgpack.packb(header), msgpack.packb({"arm": {"$array": 0}}), body]]

    return script


def lowlat_kind(kind: str) -> Script:
    def script(frames: list[bytes]) -> list[list[bytes]]:
        number = lowlat.decode_header([zmq.Frame(frame) for frame in frames]).number
        return [[bytes(frame) for frame in lowlat.encode(kind, number, {})]]

    return script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lowlat_body("<f4", [1_000_000_000], b""), "sizes"),
        (lowlat_body("<f4", [10_000, 100_000], b"1234"), "takes"),
        (lowlat_body("|O", [1], b"12345678"), "dtype"),
        (lowlat_body("<U4", [1], bytes(16)), "dtype"),
        (lowlat_kind(lowlat.DONE), "kind 'answer'"),
        (lowlat_kind(lowlat.REQUEST), "kind 'answer'"),
        (lambda frames: [[b"I am afraid", b"I cannot do that"]], "header"),
        (lambda frames: [[b""]], "frames"),
        (lambda frames: [[b"\x80"] * 500], "frames"),
        (lambda frames: [frames[::-1]], "header|frames"),
    ],
    ids=range(10),
)
def test_answers_of_our_protocol_that_cannot_be_used(script: Script, words: str) -> None:
    refused_first(Scripted("lowlat", once(script, "lowlat")), words)


def once(script: Script, protocol: str) -> Script:
    """Return a script that does so the first time, and then answers well."""
    scripts = iter([script])

    def turn(frames: list[bytes]) -> list[list[bytes]]:
        mine = next(scripts, None)
        return mine(frames) if mine else [good(protocol, frames)]

    return turn


def refused_first(server: Scripted, words: str) -> None:
    with server.running(), talking(server.protocol, server.address) as client:
        with pytest.raises(AnswerRefused, match=words):
            client.request(observation(), deadline_ns=soon())
        assert client.request(observation(), deadline_ns=soon())["action"]["arm"].shape == (1, 2, 3)


def test_the_old_bare_error_of_gr00t_servers() -> None:
    server = Scripted("gr00t", gr00t_raw(b"ERROR"))
    with server.running(), talking("gr00t", server.address) as client, pytest.raises(ServerError):
        client.request(observation(), deadline_ns=soon())


def test_an_error_text_is_cut_short_and_made_printable() -> None:
    server = Scripted("gr00t", gr00t_raw(msgpack.packb({"error": "\x1b[2J" + "x" * 60_000})))
    with server.running(), talking("gr00t", server.address) as client:
        with pytest.raises(ServerError) as caught:
            client.request(observation(), deadline_ns=soon())
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 2000
