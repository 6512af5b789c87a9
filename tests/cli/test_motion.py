# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands and states out of bags: names, orders, clocks, and messages that are no use."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.cli.motion import read_motion
from lowlat_nodes.control.identify import Motion
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import NO_FLOATS, Joints, Trajectory
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter

ARRAY, TRAJECTORY = "std_msgs/msg/Float64MultiArray", "trajectory_msgs/msg/JointTrajectory"
STATE = "sensor_msgs/msg/JointState"
MS = 1_000_000
EPOCH_NS = 1_700_000_000 * 1_000 * MS


def state(
    writer: BagWriter,
    at_ms: int,
    position: list[float],
    velocity: list[float] | None = None,
    names: tuple[str, ...] = ("a", "b"),
    stamp_ns: int | None = None,
) -> None:
    joints = Joints(
        names, np.array(position), NO_FLOATS if velocity is None else np.array(velocity), NO_FLOATS
    )
    at_ns = EPOCH_NS + at_ms * MS
    data = cdr.encode(STATE, at_ns if stamp_ns is None else stamp_ns, "", joints)
    writer.write("/states", STATE, at_ns + 2 * MS, data)


def array(writer: BagWriter, at_ms: int, values: list[float]) -> None:
    writer.write("/commands", ARRAY, EPOCH_NS + at_ms * MS, cdr.encode(ARRAY, 0, "", np.array(values)))


def trajectory(
    writer: BagWriter,
    at_ms: int,
    names: tuple[str, ...],
    times_ms: list[int],
    rows: list[list[float]],
    start_ms: int | None = None,
) -> None:
    start_ns = 0 if start_ms is None else EPOCH_NS + start_ms * MS
    times = np.array(times_ms, dtype=np.int64) * MS
    table = np.array(rows).reshape(len(rows), len(names))
    payload = Trajectory(names, start_ns, times, table, NO_FLOATS, NO_FLOATS)
    writer.write("/commands", TRAJECTORY, EPOCH_NS + at_ms * MS, cdr.encode(TRAJECTORY, 0, "", payload))


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., tuple[Motion, dict[str, int]]]:
    def fill_and_read(
        fill: Callable[[BagWriter], None], names: tuple[str, ...] = ()
    ) -> tuple[Motion, dict[str, int]]:
        path = tmp_path / "motion.mcap"
        writer = BagWriter(path)
        fill(writer)
        writer.close()
        with BagReader(path) as bag:
            motion, left_out = read_motion(bag, "/commands", "/states", names)
        return motion, left_out.snapshot()

    return fill_and_read


Record = Callable[..., tuple[Motion, dict[str, int]]]


def test_arrays_follow_the_names_of_the_states(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        array(writer, 0, [0.1, 0.2])
        state(writer, 5, [1.0, 2.0], [3.0, 4.0])
        array(writer, 20, [0.3, 0.4])
        state(writer, 25, [5.0, 6.0], [7.0, 8.0])

    motion, left_out = record(fill)
    assert motion.joints == ("a", "b")
    np.testing.assert_array_equal(motion.commands, [[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_array_equal((motion.command_ns - EPOCH_NS) // MS, [0, 20])
    # By their own stamps, not by the time of receipt.
    np.testing.assert_array_equal((motion.state_ns - EPOCH_NS) // MS, [5, 25])
    np.testing.assert_array_equal(motion.position, [[1.0, 2.0], [5.0, 6.0]])
    np.testing.assert_array_equal(motion.velocity, [[3.0, 4.0], [7.0, 8.0]])
    assert left_out == {}


def test_named_joints_are_picked_from_states_of_any_order(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        array(writer, 0, [0.1, 0.2])
        state(writer, 5, [1.0, 2.0, 3.0], names=("c", "a", "b"))
        state(writer, 15, [20.0, 30.0, 10.0], names=("a", "b", "c"))

    motion, _ = record(fill, ("b", "c"))
    assert motion.joints == ("b", "c")
    np.testing.assert_array_equal(motion.position, [[3.0, 1.0], [30.0, 10.0]])
    assert len(motion.velocity) == 0


def test_points_of_trajectories_act_when_they_arrive(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        state(writer, 0, [1.0, 2.0])
        trajectory(writer, 10, ("b", "a"), [20], [[0.2, 0.1]])

    motion, _ = record(fill)
    assert motion.joints == ("b", "a")
    np.testing.assert_array_equal(motion.commands, [[0.2, 0.1]])
    np.testing.assert_array_equal((motion.command_ns - EPOCH_NS) // MS, [10])
    np.testing.assert_array_equal(motion.position, [[2.0, 1.0]])


def test_a_new_trajectory_replaces_what_was_still_to_come(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        state(writer, 0, [1.0], names=("a",))
        trajectory(writer, 10, ("a",), [0, 20, 40], [[0.0], [0.1], [0.2]], start_ms=10)
        trajectory(writer, 25, ("a",), [0, 20], [[0.5], [0.6]], start_ms=30)

    motion, _ = record(fill)
    np.testing.assert_array_equal((motion.command_ns - EPOCH_NS) // MS, [10, 30, 50])
    np.testing.assert_array_equal(motion.commands, [[0.0], [0.5], [0.6]])


def test_stamps_of_another_clock_are_not_used(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        array(writer, 0, [0.1, 0.2])
        for at_ms in (5, 25, 45):
            state(writer, at_ms, [1.0, 2.0], stamp_ns=at_ms * MS)

    motion, _ = record(fill)
    np.testing.assert_array_equal((motion.state_ns - EPOCH_NS) // MS, [7, 27, 47])


def test_what_is_no_use_is_counted(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        array(writer, 0, [0.1, 0.2])
        array(writer, 10, [0.1, math.nan])
        state(writer, 5, [1.0, 2.0])
        state(writer, 15, [math.inf, 2.0])
        state(writer, 25, [1.0], names=("a",))
        state(writer, 35, [], [1.0, 2.0])
        writer.write("/commands", ARRAY, EPOCH_NS + 40 * MS, b"\x00\x01\x00\x00rubbish")

    motion, left_out = record(fill)
    assert len(motion.commands) == 1
    assert len(motion.position) == 1
    assert left_out == {
        "cannot be read": 1,
        "states without positions": 1,
        "states without some of the joints": 1,
        "values that are not finite": 2,
    }


def test_states_that_come_out_of_order_are_sorted(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        array(writer, 0, [0.1, 0.2])
        state(writer, 5, [2.0, 0.0], stamp_ns=EPOCH_NS + 3 * MS)
        state(writer, 6, [1.0, 0.0], stamp_ns=EPOCH_NS + 1 * MS)

    motion, _ = record(fill)
    np.testing.assert_array_equal(motion.position[:, 0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), r"/commands: expected a value for each of 3 joints \(a, b, c\), got 2; .*--joints"),
        (("a", "elbow"), "no states of elbow, only of a, b, c"),
        (("a",), "each of 1 joints .* got 2"),
    ],
)
def test_joints_that_do_not_fit_are_refused(record: Record, names: tuple[str, ...], expected: str) -> None:
    def fill(writer: BagWriter) -> None:
        array(writer, 0, [0.1, 0.2])
        state(writer, 5, [1.0, 2.0, 3.0], names=("a", "b", "c"))

    with pytest.raises(ConfigurationError, match=expected):
        record(fill, names)


def test_topics_of_another_type_are_refused_with_those_that_fit(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        joints = Joints(("a",), np.zeros(1), NO_FLOATS, NO_FLOATS)
        writer.write("/commands", STATE, 0, cdr.encode(STATE, 0, "", joints))
        writer.write("/other", ARRAY, 0, cdr.encode(ARRAY, 0, "", np.zeros(1)))

    with pytest.raises(ConfigurationError, match=f"/commands of type .*, got {STATE}; .*: /other"):
        record(fill)


def test_a_topic_that_is_not_there_is_named(record: Record) -> None:
    with pytest.raises(ConfigurationError, match=r"/states .* got no such topic; .*: none"):
        record(lambda writer: array(writer, 0, [0.1]))


def test_no_useful_messages_are_an_error(record: Record) -> None:
    def fill(writer: BagWriter) -> None:
        trajectory(writer, 0, ("a",), [], [])
        state(writer, 5, [1.0], names=("a",))

    with pytest.raises(ConfigurationError, match="expected commands and states, got 0 and 1 of use"):
        record(fill)
