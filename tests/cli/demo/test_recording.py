# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From the messages of a bag to one recorded run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.cli.demo.recording import RecordingError, read, read_bag
from lowlat_nodes.sim.score import score
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagWriter
from lowlat_nodes.transport.cdr import CdrError

Make = Callable[..., Any]


def without(run: Any, *kinds: str) -> list[Any]:
    """Return the messages without some kinds of events."""

    def kept(record: Any) -> bool:
        if record.topic != "/reaction/events":
            return True
        return json.loads(cdr.decode(record.type, record.data).payload.data)["event"] not in kinds

    return [record for record in run.in_order() if kept(record)]


def test_reads_targets_commands_and_inferences(fake_run: Make) -> None:
    run = fake_run(targets=12, hits=9)

    recording = read(run.in_order())

    assert [target.id for target in recording.targets] == list(range(12))
    assert sum(target.hit for target in recording.targets) == 9
    assert recording.seconds == pytest.approx(run.end_ns * 1e-9)
    assert recording.commands() == run.end_ns // 10_000_000
    assert set(recording.command_gaps_ns()) == {10_000_000}
    assert recording.messages["/arm/commands"] == recording.commands() + 50
    assert recording.tip_m[0] == pytest.approx([0.0, 0.4], abs=1e-3)
    assert np.nanmedian(score(recording.targets, recording.track).reaction_ns) == pytest.approx(
        205e6, abs=10e6
    )


def test_refused_chunks_take_over_nothing(fake_run: Make) -> None:
    refused = [item for item in read(fake_run().in_order()).inferences if item.outcome == "late"]

    assert refused
    assert all(item.switch_ns == 0 for item in refused)


def test_counters_are_those_of_the_run(fake_run: Make) -> None:
    recording = read(fake_run(stalled_ticks=11, stalls=2, steps_skipped=5).in_order())

    assert recording.policy["stalled_ticks"] == 11
    assert recording.policy["stalls"] == 2
    assert recording.sim["steps_skipped"] == 5
    assert "state" not in recording.policy  # a word is no count


@pytest.mark.parametrize("kind", ["start", "end"])
def test_a_run_without_start_or_end_is_refused(fake_run: Make, kind: str) -> None:
    with pytest.raises(RecordingError, match=f"expected one '{kind}'.*from its start to its end"):
        read(without(fake_run(), kind))


def test_a_run_without_an_accepted_chunk_is_refused(fake_run: Make) -> None:
    with pytest.raises(RecordingError, match="expected accepted chunks among 0 inferences"):
        read(record for record in fake_run().in_order() if record.topic != "/policy_node/inferences")


def test_a_light_without_fate_is_refused(fake_run: Make) -> None:
    with pytest.raises(RecordingError, match="light 0 went on and neither hit nor miss followed"):
        read(without(fake_run(hits=1), "hit"))


@pytest.mark.parametrize("topic", ["/arm/commands", "/joint_states"])
def test_a_run_without_motion_is_refused(fake_run: Make, topic: str) -> None:
    with pytest.raises(RecordingError, match="expected messages on"):
        read(record for record in fake_run().in_order() if record.topic != topic)


def test_a_silent_policy_is_refused(fake_run: Make) -> None:
    with pytest.raises(RecordingError, match="policy_node sent no diagnostics"):
        read(record for record in fake_run().in_order() if record.topic != "/diagnostics")


def test_diagnostics_must_reach_beyond_the_end(fake_run: Make) -> None:
    run = fake_run()
    last_ns = run.in_order()[0].published_ns + run.end_ns

    with pytest.raises(RecordingError, match="policy_node sent no diagnostics after the end"):
        read(
            record
            for record in run.in_order()
            if record.topic != "/diagnostics" or record.published_ns < last_ns
        )


def test_commands_of_another_arm_are_refused(fake_run: Make) -> None:
    run = fake_run()
    run.add("/arm/commands", "std_msgs/msg/Float64MultiArray", 5_000_000, np.zeros(6))

    with pytest.raises(RecordingError, match="/arm/commands: expected 3 joints"):
        read(run.in_order())


def test_a_damaged_message_is_told(fake_run: Make) -> None:
    run = fake_run()
    run.records[5] = run.records[5]._replace(data=b"\x00\x01\x00\x00\xff\xff")

    with pytest.raises(CdrError):
        read(run.in_order())


def test_decoys_are_no_targets_but_touching_them_counts(fake_run: Make) -> None:
    run = fake_run()
    light = {"id": 99, "x": 0.0, "y": 0.5, "asked": False, "colour": "blue", "window_ns": 1}
    run.event(1_200_000_000, "on", **light)
    run.event(1_300_000_000, "wrong", **light)
    run.event(1_400_000_000, "off", **light)

    recording = read(run.in_order())

    assert len(recording.targets) == 12
    assert recording.wrong == 1


def test_a_bag_is_read_and_one_that_lacks_messages_is_refused(fake_run: Make, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", chunk_bytes=1 << 14) as writer:
        for record in fake_run().in_order():
            writer.write(record.topic, record.type, record.stamp_ns, record.data, record.published_ns)
    assert len(read_bag(tmp_path / "bag").targets) == 12

    [file] = (tmp_path / "bag").glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    with pytest.raises(RecordingError):
        read_bag(tmp_path / "bag")
