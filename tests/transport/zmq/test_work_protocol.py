# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""docs/work_protocol.md and docs/call_protocol.md are what goes over the wire, to the byte."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq import call, work
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.work_sink import WorkSink

DOCS = Path(__file__).resolve().parents[3] / "docs"
WORK, CALL = ((DOCS / f"{name}_protocol.md").read_text() for name in ("work", "call"))
EPOCH = 1_700_000_000_000_000_000
PATIENCE_S = 60.0


def documented(text: str) -> dict[str, list[bytes]]:
    """Return the frames of each test vector of a document, by its name."""
    blocks = re.findall(r"^`(\w+)`:[^\n]*\n\n```\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
    return {
        name: [bytes.fromhex(frame) for frame in re.split("[a-z]{4,}", block)[1:]] for name, block in blocks
    }


NOTES: Mapping[str, Mapping[str, Any]] = {
    work.HELLO: {
        "worker": "a1",
        "session": 1,
        "limit": 8,
        "silent_ns": 1_500_000_000,
        "held": [(EPOCH, 5, 6)],
    },
    work.WANT: {"session": 1, "limit": 300},
    work.WORK: {"epoch": EPOCH, "seq": 7, "session": 1, "failures": 0},
    work.DONE: {"ids": [(EPOCH, 5, 7)]},
    work.REFUSE: {"epoch": EPOCH, "seq": 7, "reason": "bad"},
    work.BYE: {},
    work.PING: {"epoch": EPOCH, "waiting": 2},
    work.WHO: {},
}

CALLS: Mapping[str, tuple[Sequence[bytes | memoryview], call.CallHeader]] = {
    "call": (
        call.encode_call(7, "add", [b"\x01\x02"], budget_ns=50_000_000),
        call.CallHeader(call.CALL, 7, "add", 50_000_000),
    ),
    "reply": (call.encode_reply(7, [b"\x03"]), call.CallHeader(call.REPLY, 7)),
    "error": (
        call.encode_error(7, "expected 2 numbers"),
        call.CallHeader(call.ERROR, 7, text="expected 2 numbers"),
    ),
}


@pytest.mark.parametrize("kind", NOTES)
def test_the_documented_bytes_of_notes(kind: str) -> None:
    note, *message = documented(WORK)[kind]
    assert work.encode_note(kind, **NOTES[kind]) == note
    assert work.decode_note(zmq.Frame(note)) == (kind, NOTES[kind])
    if kind == work.WORK:
        job = Message("", np.array([5], np.int64), Trace(1, 2, 3, 4, 5, 6))
        assert [bytes(frame) for frame in encode(job, "jobs", 7, epoch=EPOCH)] == message
    else:
        assert not message


@pytest.mark.parametrize("kind", CALLS)
def test_the_documented_bytes_of_calls(kind: str) -> None:
    frames, header = CALLS[kind]
    assert list(frames) == documented(CALL)[kind]
    assert call.decode_header([zmq.Frame(frame) for frame in documented(CALL)[kind]]) == header


def test_all_that_is_documented_is_checked() -> None:
    assert set(documented(WORK)) == set(NOTES)
    assert set(documented(CALL)) == set(CALLS)


def test_later_versions_may_say_more() -> None:
    more = work.encode_note(work.PING, epoch=1, waiting=0, more=[1])
    assert work.decode_note(zmq.Frame(more)) == (work.PING, {"epoch": 1, "waiting": 0})


def test_ids_are_told_as_ranges() -> None:
    ids = [(1, 4), (1, 5), (1, 7), (2, 8), (2, 9)]
    assert list(work.ranges(ids)) == [(1, 4, 5), (1, 7, 7), (2, 8, 9)]
    assert list(work.ranges([])) == []


def test_the_worker_of_the_document_works() -> None:
    program = re.search(r"```python\n(import.*?)```", WORK, re.DOTALL)
    assert program is not None
    sink = WorkSink("tcp://127.0.0.1:0", "jobs")
    script = program.group(1).replace("tcp://127.0.0.1:5558", sink.endpoint)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            for number in range(30):
                sink.write(Message("", np.array([number])))
            sink.flush(PATIENCE_S)
            assert sink.counts["finished"] == 30
        finally:
            process.kill()
            sink.close()
        assert process.stdout is not None
        assert len(process.stdout.read().splitlines()) == 30
