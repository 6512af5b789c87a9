# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Changed messages of every schema against the decoder, in processes of their own."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgpack
import pytest

from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq import fuzz
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.mutate import PAYLOADS, Mutator, sound_messages
from lowlat_nodes.transport.zmq.schemas.registry import SCHEMAS


def test_changed_messages_are_read_or_refused() -> None:
    report = fuzz.run(3 * fuzz.BATCH, seed=3, processes=2)
    assert report.messages == 3 * fuzz.BATCH
    assert (report.crashes, report.hangs, report.failures, report.died) == (0, 0, [], [])
    assert report.messages * 0.5 < report.refused < report.messages * 0.95
    assert report.growth_bytes < 8 << 20


def test_messages_of_every_schema_are_changed() -> None:
    assert {msgpack.unpackb(frames[1])["schema"] for frames in sound_messages()} == {
        schema.name for schema in SCHEMAS
    }
    for payload in PAYLOADS:
        encode(Message("out", payload), "t", 0)


def test_changes_come_again_with_the_seed() -> None:
    sound = sound_messages()
    first = list(Mutator(sound, 1).messages(500))
    assert first == list(Mutator(sound, 1).messages(500))
    assert first != list(Mutator(sound, 2).messages(500))
    assert sum(frames in sound for frames in first) < 20
    assert sound == sound_messages()


def test_whatever_is_no_refusal_is_a_crash_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(frames: Any, **_: Any) -> None:
        if len(frames) == 3:
            raise ZeroDivisionError("three")
        raise WireError("refused")

    monkeypatch.setattr(fuzz, "decode", broken)
    monkeypatch.setattr(fuzz, "BATCH", 200)
    part = next(fuzz._work(0, range(1)))
    assert part["messages"] == 200
    assert 0 < part["crashes"] == part["messages"] - part["refused"]
    assert part["failures"][0]["error"] == "ZeroDivisionError: three"
    assert len(part["failures"][0]["frames"]) == 3


def test_a_message_that_takes_too_long_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SLOW_S", -1.0)
    monkeypatch.setattr(fuzz, "BATCH", 50)
    assert next(fuzz._work(0, range(1)))["hangs"] == 50


def test_processes_that_die_or_hang_are_counted_and_the_rest_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = (
        "import json, os, sys, time\n"
        "seed, *which = map(int, sys.argv[2:])\n"
        "for batch in range(*which):\n"
        "    if batch == 2: os.abort()\n"
        "    if batch == 5: time.sleep(600)\n"
        "    print(json.dumps({'messages': 10, 'resident_bytes': batch}), flush=True)\n"
    )
    monkeypatch.setattr(fuzz, "_COMMAND", [sys.executable, "-c", program, "--work"])
    monkeypatch.setattr(fuzz, "PATIENCE_S", 5.0)
    report = fuzz.run(8 * fuzz.BATCH, processes=1)
    assert (report.messages, report.crashes, report.hangs, report.died) == (60, 1, 1, [2, 5])


def test_prints_a_report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "run", fuzz.Report)  # of 7 messages, 3 refused, 1 crash
    assert fuzz.main(["--messages", "7", "--seed", "3", "--processes", "1"]) == 1
    assert json.loads(capsys.readouterr().out)["messages"] == 7
